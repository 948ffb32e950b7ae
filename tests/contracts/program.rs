//! Programs of the machine.

use std::io::ErrorKind;
use std::process::{Command, Output};

/// Runs `command` to its end; its standard input is the caller's affair.
///
/// # Panics
/// When the program is not there: with the package that brings it.
pub fn run(command: &mut Command, package: &str) -> Output {
    let name = command.get_program().to_string_lossy().into_owned();
    command.output().unwrap_or_else(|error| match error.kind() {
        ErrorKind::NotFound => {
            panic!("`{name}` is not installed, and this contract cannot be checked without it: apt-get install {package}")
        }
        _ => panic!("`{name}` cannot be run: {error}"),
    })
}

/// Runs `command` and wants a success.
///
/// # Panics
/// When it fails: with all that it said.
pub fn succeed(command: &mut Command, package: &str) -> String {
    let output = run(command, package);
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{command:?}: {}\n{said}", output.status);
    said
}
