//! A child process that never outlives the test process, however that ends.
//!
//! Dropping it kills it. Against a test process that is itself killed by SIGKILL there is a guard:
//! a small shell that reads a pipe whose other end only this process holds. The pipe's end, without
//! a word in it, means that this process is gone; the guard then kills the child and removes its
//! directory. (The kernel's own means, PR_SET_PDEATHSIG, fires when the *thread* that started the
//! child ends, and test runners end threads all the time.)

use std::io::{self, Write};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use super::failure::Failure;
use super::tool;

/// Reads the child's process number, then waits for "home" or the pipe's end. `$1` is the directory
/// to remove after the child ("" for none); a second time, should the dying child just have made
/// another file in it.
const GUARD: &str = r#"
    read -r child || exit
    read -r home && exit
    kill -s KILL "$child"
    [ -z "$1" ] || rm -rf "$1" || rm -rf "$1"
"#;

/// How often a condition is looked at while it is waited for.
pub const POLL: Duration = Duration::from_millis(20);

pub struct Process {
    child: Child,
    guard: Guard,
}

impl Process {
    /// Starts `command` in a process group of its own, so that Ctrl-C at a terminal reaches the
    /// test process alone.
    pub fn start(command: &mut Command, directory: Option<&Path>) -> Result<Self, Failure> {
        let name = command.get_program().to_string_lossy().into_owned();
        let failed = |error| Failure::new(format!("cannot start {name}: {error}"));
        let mut guard = Guard::start(directory).map_err(failed)?;
        let child = command.stdin(Stdio::null()).process_group(0).spawn().map_err(failed)?;
        let said = guard.say(&child.id().to_string());
        let process = Self { child, guard };
        said.map_err(failed).map(|()| process)
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// `None` while it runs.
    pub fn ended(&mut self) -> Result<Option<ExitStatus>, Failure> {
        self.child.try_wait().map_err(|error| Failure::new(format!("cannot look at process {}: {error}", self.child.id())))
    }

    /// Sends a signal by its name, as `TERM`. The process is not reaped before this value is
    /// dropped, so its number cannot mean another one.
    pub fn signal(&self, name: &str) -> Result<(), Failure> {
        let id = self.child.id().to_string();
        tool::run(Command::new("sh").args(["-c", r#"kill -s "$0" "$1""#, name, &id]), "send a signal").map(drop)
    }

    /// Waits until it has ended, for `patience` at most.
    pub async fn wait(&mut self, patience: Duration) -> Result<ExitStatus, Failure> {
        let deadline = Instant::now() + patience;
        loop {
            if let Some(status) = self.ended()? {
                return Ok(status);
            }
            if Instant::now() > deadline {
                return Err(Failure::new(format!("process {} did not end within {patience:?}", self.child.id())));
            }
            tokio::time::sleep(POLL).await;
        }
    }
}

impl Drop for Process {
    /// Kills the child before it sends the guard home, so that at no moment the child is unguarded.
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = self.guard.say("home");
    }
}

struct Guard(Child);

impl Guard {
    fn start(directory: Option<&Path>) -> io::Result<Self> {
        let mut command = Command::new("sh");
        command.args(["-c", GUARD, "guard"]).arg(directory.unwrap_or(Path::new(""))).process_group(0);
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().map(Self)
    }

    fn say(&mut self, word: &str) -> io::Result<()> {
        self.0.stdin.as_mut().map_or(Ok(()), |pipe| writeln!(pipe, "{word}"))
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        // `wait` closes the pipe first.
        let _ = self.0.wait();
    }
}
