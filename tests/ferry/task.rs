//! The configuration of one task between two servers of the lab.

use std::fmt::Write;
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use crate::lab::{Server, free_port, unique_id};

/// The account on both sides. The passwords differ, so that one cannot be taken for the other.
pub const USER: &str = "ferry";
pub const PASSWORD_AT_SOURCE: &str = "from-aurora";
pub const PASSWORD_AT_TARGET: &str = "to-polardb";

/// The configuration's file name.
pub const FILE: &str = "task.toml";

/// What the configuration file says. Change a field to have it say something else.
#[derive(Clone, Debug)]
pub struct Task {
    pub name: String,
    pub server_id: u32,
    pub source: End,
    pub target: End,
    pub include: Vec<String>,
    /// Further sections, as they stand in the file.
    pub sections: String,
}

#[derive(Clone, Debug)]
pub struct End {
    pub port: u16,
    pub user: String,
    pub password: String,
    /// As it stands in the file.
    pub tls: String,
}

impl Task {
    pub fn new(source: &Server, target: &Server, include: &[&str]) -> Self {
        let end = |server: &Server, password: &str| End {
            port: server.port(),
            user: USER.to_owned(),
            password: password.to_owned(),
            tls: "{ mode = \"disabled\" }".to_owned(),
        };
        Self {
            name: "voyage".to_owned(),
            server_id: unique_id(),
            source: end(source, PASSWORD_AT_SOURCE),
            target: end(target, PASSWORD_AT_TARGET),
            include: include.iter().map(|&glob| glob.to_owned()).collect(),
            sections: String::new(),
        }
    }

    pub fn with(mut self, sections: &str) -> Self {
        self.sections += sections;
        self
    }

    /// Writes the file and the passwords into `directory`; returns where the daemon will listen.
    pub fn write(&self, directory: &Path) -> String {
        let address = format!("127.0.0.1:{}", free_port().expect("a free port"));
        let mut text = format!("[task]\nname = {:?}\nserver_id = {}\n", self.name, self.server_id);
        for (name, end) in [("source", &self.source), ("target", &self.target)] {
            let password = directory.join(format!("{name}_password"));
            secret(&password, &end.password);
            write!(
                text,
                "[{name}]\nhost = \"127.0.0.1\"\nport = {}\nuser = {:?}\npassword_file = {password:?}\ntls = {}\n",
                end.port, end.user, end.tls
            )
            .expect("a String takes any text");
        }
        let include = serde_json::to_string(&self.include).expect("a list of strings");
        text += &format!("[objects]\ninclude = {include}\n[http]\nlisten = \"{address}\"\n");
        text += &self.sections;
        fs::write(directory.join(FILE), text).expect("the configuration is written");
        address
    }
}

/// A file that only its owner can read.
fn secret(path: &Path, text: &str) {
    let mut options = fs::File::options();
    let file = options.write(true).create(true).truncate(true).mode(0o600).open(path);
    file.and_then(|mut file| file.write_all(text.as_bytes())).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
}
