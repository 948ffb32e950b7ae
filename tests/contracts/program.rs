//! Programs that are run to their end.

use std::process::{Command, Output};

/// Runs `command` to its end; its standard input is the caller's affair.
///
/// # Panics
/// When it cannot be run.
pub fn run(command: &mut Command) -> Output {
    command.output().unwrap_or_else(|error| panic!("{command:?} cannot be run: {error}"))
}

/// Runs `command` and wants a success.
///
/// # Panics
/// When it fails: with all that it said.
pub fn succeed(command: &mut Command) -> String {
    let output = run(command);
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{command:?}: {}\n{said}", output.status);
    said
}
