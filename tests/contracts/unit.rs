//! The unit file: systemd understands it, it gives the daemon next to nothing, and it restarts after the right exit codes.

use std::fs;

use polarferry::cli::Exit;
use tempfile::TempDir;

use super::program::{self, succeed};
use super::service::read;
use crate::lab::SYSTEMD_ANALYZE;

const UNIT: &str = "systemd/polarferry@.service";
const INSTALLED: &str = "/usr/bin/polarferry";

/// Where `systemd-analyze security` calls a service well protected; its scale goes to 10. In tenths of a point, as the option is.
const EXPOSURE: u32 = 19;

/// The unit with a program that is there, which `systemd-analyze verify` wants.
fn unit(directory: &TempDir) -> std::path::PathBuf {
    let path = directory.path().join("polarferry@.service");
    let text = read(UNIT).replace(INSTALLED, env!("CARGO_BIN_EXE_polarferry"));
    fs::write(&path, text).expect("a unit");
    path
}

/// All values of a key, in order.
fn values(key: &str) -> Vec<String> {
    let text = read(UNIT);
    let values = text.lines().filter_map(|line| line.strip_prefix(key)?.strip_prefix('=').map(str::to_owned));
    values.collect()
}

#[test]
fn systemd_has_nothing_to_say_about_the_unit() {
    let directory = tempfile::tempdir().expect("a directory");
    let mut command = SYSTEMD_ANALYZE.command();
    // The manual page is in the package, not on the machine of a test.
    command.args(["verify", "--man=no", "--recursive-errors=no"]).arg(unit(&directory));
    let said = succeed(&mut command);
    assert_eq!(said, "");
}

#[test]
fn the_unit_is_exposed_to_less_than_two() {
    let directory = tempfile::tempdir().expect("a directory");
    let mut command = SYSTEMD_ANALYZE.command();
    command.args(["security", "--offline=true", "--no-pager", &format!("--threshold={EXPOSURE}")]).arg(unit(&directory));
    let output = program::run(&mut command);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}

#[test]
fn it_restarts_unless_a_person_must_act_first() {
    assert_eq!(values("Restart"), ["on-failure"]);
    let never = values("RestartPreventExitStatus").concat();
    let never: Vec<u8> = never.split(' ').map(|code| code.parse().expect("a code")).collect();
    assert_eq!(never, [Exit::Usage, Exit::Data, Exit::Fenced, Exit::Configuration].map(Exit::code));
    for restarted in [Exit::Internal, Exit::Temporary] {
        assert!(!never.contains(&restarted.code()), "{restarted:?}");
    }
}

#[test]
fn it_hands_over_every_credential_that_the_daemon_knows() {
    let names: Vec<String> =
        values("LoadCredential").iter().filter_map(|value| Some(value.split_once(':')?.0.to_owned())).collect();
    assert_eq!(names, ["source_password", "target_password", "http_token"]);
    let readme = read("README.md");
    for name in names {
        assert!(readme.contains(&format!("/etc/credstore/polarferry.orders.{name}")), "the README does not say where {name} is");
    }
}
