//! One running MySQL server, with a data directory, a port and a process of its own.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use mysql_async::prelude::{FromRow, Queryable};
use mysql_async::{Conn, Opts, OptsBuilder};
use tempfile::TempDir;

use super::failure::{Failure, last_lines};
use super::fetch::{Mysqld, Version};
use super::options::Options;
use super::place;
use super::process::{POLL, Process};

/// A server recovers its tables before it answers, and test machines are slow when they are busy.
const START_PATIENCE: Duration = Duration::from_secs(90);
const STOP_PATIENCE: Duration = Duration::from_secs(90);

/// Dropping it kills the server and removes its directory.
pub struct Server {
    // Before `directory`: fields are dropped in this order.
    process: Option<Process>,
    directory: TempDir,
    version: Version,
    mysqld: Mysqld,
    options: Options,
    port: u16,
    server_id: u32,
}

impl Server {
    /// # Panics
    /// With one clear text when the server cannot be had or does not start.
    pub async fn start(version: Version, options: &Options) -> Self {
        match Self::try_start(version, options).await {
            Ok(server) => server,
            Err(failure) => panic!("{failure}"),
        }
    }

    pub async fn try_start(version: Version, options: &Options) -> Result<Self, Failure> {
        let prepared = tokio::task::spawn_blocking(move || place::prepare(version)).await;
        let (mysqld, directory) = prepared.map_err(|error| Failure::new(error.to_string()))??;
        let server_id = place::unique_id();
        let mut server = Self { process: None, directory, version, mysqld, options: options.clone(), port: 0, server_id };
        // Between the look at a port and the server's own bind another process may take it.
        for _ in 0..3 {
            server.port = place::free_port()?;
            match server.run().await {
                Err(_) if server.log().contains("Address already in use") => {
                    fs::remove_file(server.log_path()).map_err(Failure::at(&server.log_path()))?
                }
                Err(failure) => return Err(failure),
                Ok(()) => return Ok(server),
            }
        }
        Err(Failure::new(format!("{version} found no free port in three tries")))
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    pub fn version(&self) -> Version {
        self.version
    }

    /// As the server itself says, for example `8.0.15`.
    pub fn release(&self) -> &str {
        self.mysqld.release()
    }

    pub fn server_id(&self) -> u32 {
        self.server_id
    }

    /// Of mysqld, while it runs.
    pub fn process_id(&self) -> Option<u32> {
        self.process.as_ref().map(Process::id)
    }

    /// The server's data directory, binlogs (`binlog.*`) and all.
    pub fn data(&self) -> PathBuf {
        self.directory.path().join("data")
    }

    /// All that the server has said, from its first start to its last.
    pub fn log(&self) -> String {
        fs::read(self.log_path()).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
    }

    /// How to connect over TCP as `user`.
    pub fn opts(&self, user: &str, password: &str, database: Option<&str>) -> OptsBuilder {
        OptsBuilder::default()
            .ip_or_hostname("127.0.0.1")
            .tcp_port(self.port)
            // The client would go over to the server's Unix socket.
            .prefer_socket(false)
            .user(Some(user))
            .pass(Some(password))
            .db_name(database)
    }

    /// A connection as root, whose password is empty.
    pub async fn root(&self) -> Conn {
        self.try_root()
            .await
            .unwrap_or_else(|failure| panic!("no connection to {} on port {}: {failure}", self.version, self.port))
    }

    async fn try_root(&self) -> Result<Conn, Failure> {
        Ok(Conn::new(Opts::from(self.opts("root", "", None))).await?)
    }

    /// Runs statements, separated by semicolons, as root on a connection of their own.
    pub async fn exec(&self, sql: impl AsRef<str>) {
        let (mut root, sql) = (self.root().await, sql.as_ref());
        root.query_drop(sql).await.unwrap_or_else(|error| panic!("{} refuses: {error}\n{sql}", self.version));
        let _ = root.disconnect().await;
    }

    /// The rows of one query, run as root on a connection of its own.
    pub async fn query_rows<T: FromRow + Send + 'static>(&self, sql: impl AsRef<str>) -> Vec<T> {
        let (mut root, sql) = (self.root().await, sql.as_ref());
        let rows = root.query(sql).await.unwrap_or_else(|error| panic!("{} refuses: {error}\n{sql}", self.version));
        let _ = root.disconnect().await;
        rows
    }

    /// Shuts the server down cleanly and waits for its end.
    pub async fn stop(&mut self) {
        let Some(mut process) = self.process.take() else {
            return;
        };
        let stopped = match process.signal("TERM") {
            Ok(()) => process.wait(STOP_PATIENCE).await.map(drop),
            Err(failure) => Err(failure),
        };
        stopped.unwrap_or_else(|failure| panic!("{} does not stop: {failure}\n{}", self.version, last_lines(&self.log(), 20)));
    }

    /// Kills the server where it stands; what it had not yet written is lost.
    pub fn kill9(&mut self) {
        self.process = None;
    }

    /// Freezes the server: connections stay open and nothing answers.
    pub fn suspend(&self) {
        self.signal("STOP");
    }

    pub fn resume(&self) {
        self.signal("CONT");
    }

    /// Starts the server again, on the same port and data; stops it cleanly before that if it runs.
    pub async fn restart(&mut self) {
        self.stop().await;
        self.run().await.unwrap_or_else(|failure| panic!("{failure}"));
    }

    /// Changes the options that the next `restart` starts the server with.
    pub fn options_mut(&mut self) -> &mut Options {
        &mut self.options
    }

    fn log_path(&self) -> PathBuf {
        self.directory.path().join("log")
    }

    fn signal(&self, name: &str) {
        let process = self.process.as_ref().unwrap_or_else(|| panic!("{} is not running", self.version));
        process.signal(name).unwrap_or_else(|failure| panic!("{failure}"));
    }

    /// Starts mysqld and waits until it answers a query.
    async fn run(&mut self) -> Result<(), Failure> {
        let mut process = Process::start(&mut self.command()?, Some(self.directory.path()))?;
        let deadline = Instant::now() + START_PATIENCE;
        let problem = loop {
            if let Some(status) = process.ended()? {
                break format!("ended at its start ({status})");
            }
            match tokio::time::timeout(Duration::from_secs(5), self.answers()).await {
                Ok(true) => {
                    self.process = Some(process);
                    return Ok(());
                }
                _ if Instant::now() > deadline => {
                    break format!("does not answer after {START_PATIENCE:?}");
                }
                _ => tokio::time::sleep(POLL).await,
            }
        };
        Err(Failure::new(format!("{} {problem}:\n{}", self.version, last_lines(&self.log(), 20))))
    }

    /// Whether *this* server answers: not another one that took the port before it.
    async fn answers(&self) -> bool {
        let Ok(mut root) = self.try_root().await else {
            return false;
        };
        let data: Option<String> = root.query_first("SELECT @@datadir").await.unwrap_or_default();
        let _ = root.disconnect().await;
        data.is_some_and(|data| Path::new(&data) == self.data())
    }

    fn command(&self) -> Result<Command, Failure> {
        let directory = self.directory.path();
        let mut command = self.mysqld.command();
        command
            .args(place::user_argument())
            .arg(format!("--datadir={}", self.data().display()))
            .arg(format!("--tmpdir={}", directory.join("tmp").display()))
            .arg(format!("--pid-file={}", directory.join("pid").display()))
            // Relative to the data directory: the path of a Unix socket must be short.
            .arg("--socket=socket")
            .arg("--bind-address=127.0.0.1")
            .arg(format!("--port={}", self.port))
            .arg(format!("--server-id={}", self.server_id))
            .args(self.options.arguments());
        let path = self.log_path();
        let opened = File::options().create(true).append(true).open(&path);
        let log = opened.map_err(Failure::at(&path))?;
        command.stdout(log.try_clone().map_err(Failure::at(&path))?).stderr(log);
        Ok(command)
    }
}
