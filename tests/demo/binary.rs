//! The daemon itself, built as this program was: the same profile, the same target directory.

use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::lab::Failure;

const NAME: &str = "polarferry";

/// Builds the daemon and returns its path. Cargo is quiet unless it fails.
pub fn build() -> Result<PathBuf, Failure> {
    let directory = profile_directory()?;
    let (Some(target), Some(profile)) = (directory.parent(), directory.file_name()) else {
        return Err(misplaced(&directory));
    };
    // Cargo keeps the profile `dev` in a directory of another name.
    let profile = if profile == "debug" { OsString::from("dev") } else { profile.to_owned() };
    println!("building {NAME} (profile {}) …", profile.to_string_lossy());
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let built = Command::new(&cargo)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        // This example, which is built already, is named so that Cargo takes the same features of
        // the dependencies as for it. Otherwise it would compile all of them a second time.
        .args(["build", "--quiet", "--bin", NAME, "--example", "demo"])
        .arg("--profile")
        .arg(profile)
        .arg("--target-dir")
        .arg(target)
        .stdin(Stdio::null())
        .output()
        .map_err(|error| Failure::new(format!("cannot run cargo: {error}")))?;
    if !built.status.success() {
        let words = String::from_utf8_lossy(&built.stderr);
        return Err(Failure::new(format!("cargo build failed:\n{words}")));
    }
    let binary = directory.join(NAME);
    if binary.is_file() { Ok(binary) } else { Err(misplaced(&directory)) }
}

/// Examples lie one directory below the binaries of their profile.
fn profile_directory() -> Result<PathBuf, Failure> {
    let ours = env::current_exe().map_err(|error| Failure::new(format!("cannot tell where this program is: {error}")))?;
    ours.parent().and_then(Path::parent).map(Path::to_owned).ok_or_else(|| misplaced(&ours))
}

fn misplaced(place: &Path) -> Failure {
    Failure::new(format!("no {NAME} in {}; run this program as `cargo demo`", place.display()))
}
