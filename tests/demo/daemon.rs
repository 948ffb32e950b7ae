//! The daemon as an operator runs it: a configuration file, `polarferry run`, SIGTERM.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::net::TcpListener;
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::lab::{self, Failure, Server};
use crate::shop::DATABASE;
use crate::status::Status;

const USER: &str = "ferry";
const SOURCE_PASSWORD: &str = "from the source";
const TARGET_PASSWORD: &str = "to the target";

/// How often we look whether it has ended.
const POLL: Duration = Duration::from_millis(20);

/// A batch in flight is committed first; half a minute is far more than one takes.
const STOP_PATIENCE: Duration = Duration::from_secs(30);

/// Dropping it kills the daemon.
pub struct Daemon {
    child: Child,
    port: u16,
    directory: TempDir,
}

impl Daemon {
    /// Makes the two accounts, with no more rights than a migration needs, and starts the daemon.
    pub async fn start(binary: &Path, source: &Server, target: &Server) -> Result<Self, Failure> {
        lab::source_account(source, USER, SOURCE_PASSWORD, false).await;
        lab::target_account(target, USER, TARGET_PASSWORD).await;
        let failed = |error: io::Error| Failure::new(format!("cannot start the daemon: {error}"));
        let directory = TempDir::with_prefix("polarferry-demo-").map_err(failed)?;
        let port = free_port().map_err(failed)?;
        let place = directory.path();
        let file = configure(place, source.port(), target.port(), port).map_err(failed)?;
        let log = File::create(place.join("log")).map_err(failed)?;
        let child = Command::new(binary)
            .args(["run", "-c"])
            .arg(file)
            .stdin(Stdio::null())
            .stdout(log.try_clone().map_err(failed)?)
            .stderr(log)
            // A group of its own: Ctrl-C is for us, and we stop the daemon.
            .process_group(0)
            .spawn()
            .map_err(failed)?;
        Ok(Self { child, port, directory })
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// Fails when the daemon has ended, with the last that it said.
    pub fn check(&mut self) -> Result<(), Failure> {
        match self.ended()? {
            None => Ok(()),
            Some(status) => Err(self.failure(&format!("the daemon ended ({status})"))),
        }
    }

    /// What it says of itself; `Ok(None)` as long as it does not listen. Fails when it has ended or
    /// stands still.
    pub async fn status(&mut self) -> Result<Option<Status>, Failure> {
        self.check()?;
        let status = Status::fetch(self.port).await.map_err(|failure| self.failure(&failure.to_string()))?;
        match status.as_ref().and_then(|status| status.error.as_ref()) {
            None => Ok(status),
            Some(error) => Err(self.failure(&format!("the task stands still: {error}"))),
        }
    }

    /// A failure together with the end of the daemon's log.
    pub fn failure(&self, what: &str) -> Failure {
        let log = fs::read(self.directory.path().join("log")).unwrap_or_default();
        let log = String::from_utf8_lossy(&log);
        let lines: Vec<&str> = log.lines().collect();
        let last = lines[lines.len().saturating_sub(15)..].join("\n");
        Failure::new(format!("{what}; the end of its log:\n{last}"))
    }

    /// Asks it to stop; returns how long that took. Anything but exit code 0 is a failure.
    pub async fn stop(&mut self) -> Result<Duration, Failure> {
        self.check()?;
        let began = Instant::now();
        let id = self.child.id().to_string();
        // Not reaped before `ended` says so, so the number cannot mean another process.
        let sent = Command::new("sh").args(["-c", r#"kill -s TERM "$0""#, &id]).status();
        if !sent.is_ok_and(|status| status.success()) {
            return Err(Failure::new("cannot send SIGTERM to the daemon"));
        }
        loop {
            match self.ended()? {
                Some(status) if status.success() => return Ok(began.elapsed()),
                Some(status) => return Err(self.failure(&format!("SIGTERM led to {status}"))),
                None if began.elapsed() > STOP_PATIENCE => {
                    return Err(self.failure(&format!("no end within {STOP_PATIENCE:?} of SIGTERM")));
                }
                None => tokio::time::sleep(POLL).await,
            }
        }
    }

    fn ended(&mut self) -> Result<Option<ExitStatus>, Failure> {
        self.child.try_wait().map_err(|error| Failure::new(format!("cannot look at the daemon: {error}")))
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Writes the passwords and the configuration; returns the latter's path.
fn configure(place: &Path, source: u16, target: u16, http: u16) -> io::Result<PathBuf> {
    let source = section(place, "source", source, SOURCE_PASSWORD)?;
    let target = section(place, "target", target, TARGET_PASSWORD)?;
    let path = place.join("polarferry.toml");
    // The shortest retry windows: if this program is killed and the servers with it, the daemon
    // gives up by itself.
    let text = format!(
        r#"[task]
name = "demo"
server_id = 4210001

{source}
{target}
[objects]
include = ["{DATABASE}.*"]

[retry]
connection_window = "10m"
other_window = "1m"

[http]
listen = "127.0.0.1:{http}"
"#
    );
    fs::write(&path, text)?;
    Ok(path)
}

fn section(place: &Path, name: &str, port: u16, password: &str) -> io::Result<String> {
    let file = place.join(format!("{name}_password"));
    let mut secret = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&file)?;
    writeln!(secret, "{password}")?;
    Ok(format!(
        r#"[{name}]
host = "127.0.0.1"
port = {port}
user = "{USER}"
password_file = "{}"
tls = {{ mode = "disabled" }}
"#,
        file.display()
    ))
}

fn free_port() -> io::Result<u16> {
    Ok(TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port())
}
