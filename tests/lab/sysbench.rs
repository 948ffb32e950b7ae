//! Load from sysbench: the machine's own if it is in PATH, else Debian's, unpacked into the cache.

use std::env;
use std::ffi::OsString;
use std::fs::File;
use std::io::{Read, Seek};
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use super::accounts;
use super::debian::Root;
use super::failure::{Failure, last_lines};
use super::process::Process;
use super::server::Server;

const USER: &str = "sysbench";
const PASSWORD: &str = "sysbench";

/// Filling tables, and what a run needs beyond its own time.
const PATIENCE: Duration = Duration::from_secs(300);

/// What sysbench is to do. `table_size` is in rows; `rate` in transactions per second, as many as
/// possible if it is absent.
#[derive(Clone, Debug)]
pub struct Load {
    pub script: String,
    pub threads: u32,
    pub tables: u32,
    pub table_size: u32,
    pub time: Duration,
    pub rate: Option<u32>,
    /// Transactions in all, after which the run ends before its time; 0 for no such end.
    pub events: u64,
    /// Further arguments, as `--mysql-ignore-errors=all`.
    pub args: Vec<String>,
}

impl Default for Load {
    fn default() -> Self {
        let script = "oltp_read_write".to_owned();
        Self {
            script,
            threads: 4,
            tables: 4,
            table_size: 1000,
            time: Duration::from_secs(5),
            rate: None,
            events: 0,
            args: Vec::new(),
        }
    }
}

/// sysbench against one database of one server, in which it has an account of its own.
pub struct Sysbench {
    program: Program,
    arguments: Vec<String>,
    load: Load,
}

impl Sysbench {
    /// Makes the database and the account if they are not there. The tables are `sbtest1` …
    /// `sbtestN`, after `prepare`.
    pub async fn new(server: &Server, database: &str, load: &Load) -> Self {
        let program = tokio::task::spawn_blocking(Program::find).await.expect("the search does not panic");
        let program = program.unwrap_or_else(|failure| panic!("{failure}"));
        server.exec(format!("CREATE DATABASE IF NOT EXISTS `{database}`; DROP USER IF EXISTS {USER}")).await;
        accounts::create(server, USER, PASSWORD, "ALL", &format!("`{database}`.*")).await;
        let mut arguments = vec![
            "--db-driver=mysql".to_owned(),
            "--mysql-host=127.0.0.1".to_owned(),
            format!("--mysql-port={}", server.port()),
            format!("--mysql-user={USER}"),
            format!("--mysql-password={PASSWORD}"),
            format!("--mysql-db={database}"),
            format!("--tables={}", load.tables),
            format!("--table-size={}", load.table_size),
        ];
        arguments.extend(load.args.iter().cloned());
        Self { program, arguments, load: load.clone() }
    }

    /// Creates and fills the tables.
    pub async fn prepare(&self) {
        let threads = self.load.threads.min(self.load.tables);
        self.spawn("prepare", &[format!("--threads={threads}")]).finish(PATIENCE).await;
    }

    /// Starts the load, for the time that it was given.
    pub fn start(&self) -> Run {
        let mut arguments = vec![
            format!("--threads={}", self.load.threads),
            format!("--events={}", self.load.events),
            format!("--time={}", self.load.time.as_secs()),
        ];
        arguments.extend(self.load.rate.map(|rate| format!("--rate={rate}")));
        self.spawn("run", &arguments)
    }

    /// The load from its start to its end.
    pub async fn run(&self) -> Report {
        self.start().wait().await
    }

    fn spawn(&self, verb: &str, arguments: &[String]) -> Run {
        let mut command = self.program.command(&self.load.script);
        command.args(&self.arguments).args(arguments).arg(verb);
        Run::start(&mut command, self.load.time).unwrap_or_else(|failure| panic!("{failure}"))
    }
}

/// A load that is running. Dropping it kills sysbench.
pub struct Run {
    process: Process,
    output: File,
    time: Duration,
}

/// What sysbench says at its end.
#[derive(Clone, Debug)]
pub struct Report {
    pub transactions: u64,
    /// Deadlocks for the most part; sysbench tried those transactions again.
    pub ignored_errors: u64,
    pub text: String,
}

impl Run {
    fn start(command: &mut Command, time: Duration) -> Result<Self, Failure> {
        let output = tempfile::tempfile().map_err(Failure::at(&env::temp_dir()))?;
        let again = || output.try_clone().map_err(Failure::at(&env::temp_dir()));
        let process = Process::start(command.stdout(again()?).stderr(again()?), None)?;
        Ok(Self { process, output, time })
    }

    pub fn is_running(&mut self) -> bool {
        self.process.ended().is_ok_and(|status| status.is_none())
    }

    /// Waits for the end.
    ///
    /// # Panics
    /// When sysbench fails, with its last lines.
    pub async fn wait(self) -> Report {
        let patience = self.time + PATIENCE;
        let text = self.finish(patience).await;
        Report {
            transactions: number_after(&text, "transactions:"),
            ignored_errors: number_after(&text, "ignored errors:"),
            text,
        }
    }

    async fn finish(mut self, patience: Duration) -> String {
        let ended = self.process.wait(patience).await;
        let mut words = Vec::new();
        let read = self.output.rewind().and_then(|()| self.output.read_to_end(&mut words));
        let text = String::from_utf8_lossy(&words).into_owned();
        match (ended, read) {
            (Ok(status), Ok(_)) if status.success() => text,
            (Ok(status), _) => panic!("sysbench failed ({status}):\n{}", last_lines(&text, 20)),
            (Err(failure), _) => panic!("sysbench: {failure}\n{}", last_lines(&text, 20)),
        }
    }
}

/// "    transactions:                        1234   (246.2 per sec.)"
fn number_after(text: &str, label: &str) -> u64 {
    let line = text.lines().find_map(|line| line.trim_start().strip_prefix(label));
    let number = line.and_then(|rest| rest.split_whitespace().next()?.parse().ok());
    number.unwrap_or_else(|| panic!("sysbench's report has no number of \"{label}\":\n{text}"))
}

/// How to run sysbench.
struct Program {
    command: Vec<OsString>,
    /// Where an unpacked one has its scripts and the client library's plugins for passwords.
    places: Option<(PathBuf, PathBuf)>,
}

impl Program {
    fn find() -> Result<Self, Failure> {
        let path = env::var_os("PATH").unwrap_or_default();
        if let Some(installed) = env::split_paths(&path).map(|place| place.join("sysbench")).find(|file| file.is_file()) {
            return Ok(Self { command: vec![installed.into()], places: None });
        }
        let root = Root::unpacked("debian-sysbench", &["sysbench"])?;
        let command = root.command(&root.path("usr/bin/sysbench"), None)?;
        let plugins = root.libraries().join("libmariadb3/plugin");
        Ok(Self { command, places: Some((root.path("usr/share/sysbench"), plugins)) })
    }

    /// `script` is one of sysbench's own by its name, or an absolute path to a Lua file.
    fn command(&self, script: &str) -> Command {
        let mut command = Command::new(&self.command[0]);
        command.args(&self.command[1..]);
        if let Some((scripts, plugins)) = &self.places {
            // The scripts load each other from where they run. An absolute path stays what it is
            // when it is joined.
            command.arg(scripts.join(script).with_extension("lua")).current_dir(scripts).env("MARIADB_PLUGIN_DIR", plugins);
        } else {
            command.arg(script);
        }
        command
    }
}
