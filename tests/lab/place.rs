//! What a server needs of the machine: the program, a directory with initialised data, a free port,
//! a number that no other server has.

use std::env;
use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::MetadataExt;
use std::sync::atomic::{AtomicU32, Ordering};

use tempfile::TempDir;

use super::cache;
use super::failure::Failure;
use super::fetch::{Mysqld, Version};
use super::tool;

/// Ports are taken below the range from which the kernel serves outgoing connections, so that a
/// server's port is still free when it restarts.
const FIRST_PORT: u16 = 20_000;
const PORTS: u32 = 12_000;

/// mysqld refuses to run as root unless it is told so by name.
pub fn user_argument() -> Option<&'static str> {
    let ours = fs::metadata("/proc/self").map(|process| process.uid());
    (ours.ok() == Some(0)).then_some("--user=root")
}

/// Finds the server and copies its initialised data directory, which is made once per release, into
/// a new directory.
pub fn prepare(version: Version) -> Result<(Mysqld, TempDir), Failure> {
    let mysqld = Mysqld::find(version)?;
    let initialised = cache::entry(&format!("data-{}", mysqld.release()), |fresh| {
        let mut command = mysqld.command();
        command.args(user_argument()).arg("--initialize-insecure").arg("--secure-file-priv=");
        command.arg(format!("--datadir={}", fresh.join("data").display()));
        tool::run(&mut command, &format!("initialise a data directory of {version}"))?;
        // It holds the server's UUID. Without it each copy makes one for itself.
        let identity = fresh.join("data/auto.cnf");
        fs::remove_file(&identity).map_err(Failure::at(&identity))
    })?;
    let place = env::temp_dir();
    let place = place.canonicalize().map_err(Failure::at(&place))?;
    let directory = tempfile::Builder::new().prefix("lab-").tempdir_in(&place).map_err(Failure::at(&place))?;
    cache::copy_tree(&initialised.join("data"), &directory.path().join("data"))?;
    let tmp = directory.path().join("tmp");
    fs::create_dir(&tmp).map_err(Failure::at(&tmp))?;
    Ok((mysqld, directory))
}

/// Unique on this machine as long as process numbers are.
pub fn unique_id() -> u32 {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    std::process::id() % 4_000_000 * 1000 + NEXT.fetch_add(1, Ordering::Relaxed) % 1000 + 1
}

/// A port of 127.0.0.1 that nobody listens on.
pub fn free_port() -> Result<u16, Failure> {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    // Test processes that run at the same time begin at different places.
    let start = std::process::id().wrapping_mul(97);
    for _ in 0..PORTS {
        let offset = start.wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed)) % PORTS;
        let port = FIRST_PORT + offset as u16;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return Ok(port);
        }
    }
    Err(Failure::new("no port is free on 127.0.0.1"))
}
