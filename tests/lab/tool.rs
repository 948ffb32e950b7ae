//! Runs a program of the machine to its end.

use std::io::ErrorKind;
use std::process::{Command, Stdio};

use super::failure::{Failure, last_lines};

/// Runs `command` and returns what it wrote to standard output. A program that is not installed is
/// named together with its `purpose`; one that fails is quoted with its last lines.
pub fn run(command: &mut Command, purpose: &str) -> Result<String, Failure> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output = command.stdin(Stdio::null()).output().map_err(|error| match error.kind() {
        ErrorKind::NotFound => Failure::new(format!("the lab needs the program `{name}` to {purpose}, and it is not installed")),
        _ => Failure::new(format!("`{name}`, needed to {purpose}, cannot be run: {error}")),
    })?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    if output.status.success() {
        return Ok(text);
    }
    let words = format!("{text}{}", String::from_utf8_lossy(&output.stderr));
    Err(Failure::new(format!("`{name}` could not {purpose} ({}):\n{}", output.status, last_lines(&words, 12))))
}
