//! Programs that tests run beside the servers: the machine's own where it has them, else Debian's, unpacked into the cache.

use std::env;
use std::path::Path;
use std::process::Command;

use super::debian::Root;
use super::failure::Failure;

/// A program, and the packages and the directories of libraries that it needs when it is unpacked.
#[derive(Clone, Copy)]
pub struct Program {
    pub name: &'static str,
    entry: &'static str,
    packages: &'static [&'static str],
    /// Below `/usr/lib/<architecture>`, before the ordinary ones.
    libraries: Option<&'static str>,
}

pub const PROMTOOL: Program = Program { name: "promtool", ..PROMETHEUS };
pub const PROMETHEUS: Program =
    Program { name: "prometheus", entry: "debian-prometheus", packages: &["prometheus", "promtool"], libraries: None };
pub const SYSTEMD_ANALYZE: Program =
    Program { name: "systemd-analyze", entry: "debian-systemd", packages: &["systemd"], libraries: Some("systemd") };

pub const MYSQL: Program = Program { name: "mysql", ..MYSQLDUMP };
pub const MYSQLDUMP: Program = Program {
    name: "mysqldump",
    entry: "debian-mysql-server",
    packages: &["mysql-server-core", "mysql-client-core"],
    libraries: None,
};
pub const MYLOADER: Program = Program { name: "myloader", ..MYDUMPER };
pub const MYDUMPER: Program = Program { name: "mydumper", entry: "debian-mydumper", packages: &["mydumper"], libraries: None };

impl Program {
    /// # Panics
    /// With one clear text when the program cannot be had.
    pub fn command(self) -> Command {
        self.find().unwrap_or_else(|failure| panic!("{failure}"))
    }

    fn find(self) -> Result<Command, Failure> {
        let on_path = |directory: &Path| directory.join(self.name).is_file();
        if env::var_os("PATH").is_some_and(|path| env::split_paths(&path).any(|directory| on_path(&directory))) {
            return Ok(Command::new(self.name));
        }
        let root = Root::unpacked(self.entry, self.packages)?;
        let first = self.libraries.map(|directory| root.libraries().join(directory));
        let words = root.command(&root.path("usr/bin").join(self.name), first.as_deref())?;
        let (loader, arguments) = words.split_first().ok_or_else(|| Failure::new("no loader"))?;
        let mut command = Command::new(loader);
        command.args(arguments);
        Ok(command)
    }
}
