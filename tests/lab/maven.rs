//! MySQL 5.7 and 8.0, for which no Debian suite has packages any more: the server binaries that
//! were published inside two Maven artifacts for the tests of other projects. Each is a jar that
//! holds a tar archive with `bin/mysqld`, its messages and character sets (no client programs, no
//! plugins).

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::cache;
use super::failure::Failure;
use super::tool;

/// The archive inside each jar; the publisher built it for this one architecture.
const ARCHIVE: &str = "mysql-Linux-amd64.tar.gz";

/// The cache's entry `name`, unpacked from `artifact` (`group:name:version`) when it is not there.
pub fn unpacked(name: &str, artifact: &str) -> Result<PathBuf, Failure> {
    cache::entry(name, |fresh| unpack(fresh, artifact))
}

fn unpack(fresh: &Path, artifact: &str) -> Result<(), Failure> {
    // Maven also leaves marker files where it runs.
    let jar = fresh.join("jar");
    fs::create_dir(&jar).map_err(Failure::at(&jar))?;
    tool::run(
        Command::new("mvn")
            .args(["--batch-mode", "--quiet", "dependency:unpack"])
            .arg(format!("-Dartifact={artifact}"))
            .arg(format!("-Dmdep.unpack.includes={ARCHIVE}"))
            .arg(format!("-DoutputDirectory={}", jar.display()))
            .current_dir(&jar),
        &format!("fetch {artifact}"),
    )?;
    let archive = jar.join(ARCHIVE);
    tool::run(Command::new("tar").arg("-xzf").arg(&archive).arg("-C").arg(fresh), "unpack a server")?;
    fs::remove_dir_all(&jar).map_err(Failure::at(&jar))
}
