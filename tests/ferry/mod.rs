//! The real daemon as the child of a test: started with a configuration of its own, watched through
//! its HTTP, its log and its exit code, stopped by signals, started again.
//!
//! All its lives write into one log. It ends with this value, and it does not outlive the test
//! process, however that ends (see `lab::Process`). `POLARFERRY_BINARY` names another build of it. Waits are for conditions: one fails when the
//! daemon has made no progress for `PATIENCE`, so a slow machine only takes longer.

#![allow(dead_code, unused_imports, reason = "each test binary uses a part of the harness, and none uses all of it")]

mod http;
mod log;
mod relay;
mod task;

use std::fs::File;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use mysql_async::Row;
use mysql_async::prelude::Queryable;
use serde_json::Value;
use tempfile::TempDir;

use crate::lab::{POLL, Process, Server, Version, last_lines};
pub use log::Line;
pub use relay::Relay;
pub use task::{PASSWORD_AT_SOURCE, PASSWORD_AT_TARGET, Task, USER};

/// How long the daemon may stand still while something is waited for. Longer than anything it may
/// wait for itself on a busy machine: a lock, a lost connection, the end of a batch.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// How long it may take however well it is getting on: under a load that never ends, there is
/// always some progress.
const LONGEST: Duration = Duration::from_secs(15 * 60);

/// A place in the source's binlog that can be compared: the number at the end of the file's name,
/// and the offset in it.
pub type Place = (u64, u64);

pub struct Ferry {
    // Before `directory`: fields are dropped in this order.
    process: Option<Process>,
    directory: TempDir,
    address: String,
    /// The log's length when it was last started.
    begun: usize,
    /// Where the whole log goes if the test fails.
    kept: Option<PathBuf>,
}

impl Ferry {
    /// Starts `polarferry run` and does not wait for anything.
    pub fn start(task: &Task) -> Self {
        let directory = tempfile::Builder::new().prefix("ferry-").tempdir().expect("a temporary directory");
        let address = task.write(directory.path());
        let mut ferry = Self { process: None, directory, address, begun: 0, kept: None };
        ferry.run();
        ferry
    }

    /// If the test fails, the log is copied there.
    pub fn keep_log(&mut self, path: PathBuf) {
        self.kept = Some(path);
    }

    /// Runs `polarferry check` to its end: its exit code and its page.
    pub async fn check(task: &Task) -> (i32, String) {
        let directory = tempfile::Builder::new().prefix("ferry-").tempdir().expect("a temporary directory");
        task.write(directory.path());
        let mut command = Command::new(env!("CARGO_BIN_EXE_polarferry"));
        command.args(["check", "-c"]).arg(directory.path().join(task::FILE)).env_clear();
        let output = tokio::task::spawn_blocking(move || command.output()).await.expect("a thread").expect("the check runs");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (output.status.code().expect("an exit code"), text(&output.stdout))
    }

    fn run(&mut self) {
        self.begun = self.log().len();
        let file = self.directory.path().join(task::FILE);
        let log = File::options().create(true).append(true).open(self.log_path()).expect("the log opens");
        let ours = || env!("CARGO_BIN_EXE_polarferry").into();
        let mut command = Command::new(std::env::var_os("POLARFERRY_BINARY").unwrap_or_else(ours));
        command
            .args(["run", "-c"])
            .arg(file)
            .env_clear()
            .env("RUST_BACKTRACE", "1")
            // `POLARFERRY_LOG=debug cargo test …` reaches the daemon.
            .envs(std::env::var_os("POLARFERRY_LOG").map(|level| ("POLARFERRY_LOG", level)))
            .stdout(log.try_clone().expect("the log is cloned"))
            .stderr(log);
        let process = Process::start(&mut command, Some(self.directory.path()));
        self.process = Some(process.unwrap_or_else(|failure| panic!("{failure}")));
    }

    /// Where it listens: host and port.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// A file of its own directory, as its configuration or `source_password`.
    pub fn path(&self, file: &str) -> PathBuf {
        self.directory.path().join(file)
    }

    /// `GET /status`; `None` while it does not listen.
    pub async fn try_status(&self) -> Option<Value> {
        let (code, body) = http::get(&self.address, "/status").await?;
        assert_eq!(code, 200, "GET /status: {body}");
        let status = serde_json::from_str(&body);
        Some(status.unwrap_or_else(|error| panic!("GET /status is no JSON: {error}\n{body}")))
    }

    /// # Panics
    /// When the daemon does not answer.
    pub async fn status(&self) -> Value {
        self.try_status().await.unwrap_or_else(|| panic!("no answer from {}", self.address))
    }

    /// `GET /metrics`; `None` while it does not listen.
    pub async fn metrics(&self) -> Option<String> {
        http::get(&self.address, "/metrics").await.map(|(_, body)| body)
    }

    /// Of the daemon, while it runs.
    pub fn process_id(&self) -> Option<u32> {
        self.process.as_ref().map(Process::id)
    }

    /// Waits until the daemon shows what is wanted, and returns that status.
    ///
    /// # Panics
    /// When the daemon ends, stands still for `PATIENCE`, or takes `LONGEST`.
    pub async fn wait_until(&mut self, what: &str, condition: impl Fn(&Value) -> bool) -> Value {
        let last = Instant::now() + LONGEST;
        let (mut newest, mut deadline) = (Value::Null, Instant::now() + PATIENCE);
        loop {
            if let Some(status) = self.try_status().await {
                if condition(&status) {
                    return status;
                }
                if progress(&status) != progress(&newest) {
                    deadline = last.min(Instant::now() + PATIENCE);
                }
                newest = status;
            }
            if let Some(code) = self.ended() {
                panic!("the daemon ended with {code} before: {what}");
            }
            assert!(Instant::now() < deadline, "the daemon stands still, not yet: {what}\n{newest:#}");
            tokio::time::sleep(POLL).await;
        }
    }

    /// Waits until all tables are copied and only the stream runs.
    pub async fn wait_streaming(&mut self) -> Value {
        self.wait_until("phase stream", |status| status["phase"] == "stream").await
    }

    /// Waits until all that the source has written up to now is applied.
    pub async fn wait_applied(&mut self, source: &Server) -> Value {
        let (file, offset) = end_of_binlog(source).await;
        let end = (number(&file), offset);
        self.wait_until(&format!("{file}:{offset} applied"), |status| applied(status) >= end).await
    }

    /// SIGTERM; the exit code and how long it took.
    pub async fn terminate(&mut self) -> (i32, Duration) {
        self.stop_by("TERM").await
    }

    /// A stop signal by its name, as `INT`; the exit code and how long it took.
    pub async fn stop_by(&mut self, signal: &str) -> (i32, Duration) {
        let begin = Instant::now();
        self.signal(signal);
        (self.wait_end().await, begin.elapsed())
    }

    pub fn signal(&self, name: &str) {
        let process = self.process.as_ref().expect("the daemon was started");
        process.signal(name).unwrap_or_else(|failure| panic!("{failure}"));
    }

    /// The most memory that it has had at once, in bytes, as the kernel counts it.
    pub fn most_memory(&self) -> u64 {
        let process = self.process.as_ref().expect("the daemon was started");
        let status = std::fs::read_to_string(format!("/proc/{}/status", process.id())).expect("the daemon runs");
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("the kernel counts it");
        let kib: u64 = line.trim().trim_end_matches(" kB").parse().expect("a number");
        kib * 1024
    }

    /// Kills it where it stands.
    pub fn kill9(&mut self) {
        self.process = None;
    }

    /// Starts it again with what `task` says now; kills it before that if it still runs.
    pub fn restart_with(&mut self, task: &Task) {
        self.kill9();
        self.address = task.write(self.directory.path());
        self.run();
    }

    /// Starts it again with the same configuration; kills it before that if it still runs.
    pub fn restart(&mut self) {
        self.kill9();
        self.run();
    }

    /// The exit code if it has ended; 128 and the signal's number after a signal, as a shell says.
    pub fn ended(&mut self) -> Option<i32> {
        let process = self.process.as_mut().expect("the daemon was started");
        let ended = process.ended().unwrap_or_else(|failure| panic!("{failure}"));
        ended.map(|status| {
            let signal = status.signal().map(|signal| 128 + signal);
            status.code().or(signal).expect("a code or a signal")
        })
    }

    /// Waits until it has ended by itself; its exit code.
    pub async fn wait_end(&mut self) -> i32 {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(code) = self.ended() {
                return code;
            }
            assert!(Instant::now() < deadline, "the daemon has not ended within {PATIENCE:?}");
            tokio::time::sleep(POLL).await;
        }
    }

    /// All that it has said, from its first start to its last.
    pub fn log(&self) -> String {
        std::fs::read(self.log_path()).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
    }

    /// What it has said since its last start to the person who started it, outside its log.
    pub fn last_words(&self) -> String {
        log::words(&self.log()[self.begun..])
    }

    /// # Panics
    /// When a line of the log is an error, or is not a line of a log at all, such as a panic.
    pub fn assert_clean_log(&self) {
        let odd = log::odd(&self.log());
        assert!(odd.is_empty(), "unexpected in the log:\n{odd}");
    }

    fn log_path(&self) -> PathBuf {
        self.directory.path().join("log")
    }
}

impl Drop for Ferry {
    /// Whatever failed, the daemon may know why.
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("--- the daemon's log\n{}", last_lines(&self.log(), 30));
            if let Some(path) = &self.kept {
                let kept = path.parent().map_or(Ok(()), std::fs::create_dir_all).and_then(|()| std::fs::write(path, self.log()));
                kept.unwrap_or_else(|error| eprintln!("{}: {error}", path.display()));
            }
        }
    }
}

/// What changes while the daemon is getting on.
fn progress(status: &Value) -> (&Value, &Value, Place, u64, &Value) {
    let transactions = &status["stream"]["transactions"];
    (&status["phase"], &status["schema"]["created"], applied(status), rows_copied(status), transactions)
}

/// How far the target is, as the daemon shows it.
pub fn applied(status: &Value) -> Place {
    let place = &status["applied"];
    (number(place["file"].as_str().unwrap_or_default()), place["pos"].as_u64().unwrap_or_default())
}

/// The rows copied so far, over all tables.
pub fn rows_copied(status: &Value) -> u64 {
    let tables = status["tables"].as_array().into_iter().flatten();
    tables.filter_map(|table| table["rows_copied"].as_u64()).sum()
}

/// Where the source's binlog ends now, as root sees it: file and offset.
pub async fn end_of_binlog(source: &Server) -> (String, u64) {
    let statement = match source.version() {
        Version::V57 | Version::V80 => "SHOW MASTER STATUS",
        Version::V97 => "SHOW BINARY LOG STATUS",
    };
    let mut root = source.root().await;
    let row: Option<Row> = root.query_first(statement).await.expect("a position");
    let _ = root.disconnect().await;
    let mut row = row.expect("the source has a binlog");
    let file = row.take("File").expect("a file");
    (file, row.take("Position").expect("an offset"))
}

/// The number at the end of a binlog file's name; 0 when there is none yet.
pub fn number(file: &str) -> u64 {
    let suffix = file.rsplit('.').next().unwrap_or_default();
    suffix.parse().unwrap_or_default()
}
