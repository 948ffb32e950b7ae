//! The daemon as a service, with this test as its service manager: the other end of `NOTIFY_SOCKET`, its credentials, its signals,
//! its exit code. No database is needed: a service is up before one answers.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::lab::{POLL, Process, free_port};

/// Longer than anything takes that these tests wait for, on a busy machine.
pub const DEADLINE: Duration = Duration::from_secs(20);

pub const TOKEN: &str = "0123456789abcdef";

/// A task whose ends are not there.
pub struct Service {
    process: Process,
    manager: UnixDatagram,
    address: String,
    directory: TempDir,
}

/// What is asked for before it starts.
pub struct Wanted {
    /// Where source and target are said to be.
    pub ends: u16,
    pub watchdog: Option<Duration>,
    pub credentials: &'static [(&'static str, &'static str)],
}

impl Default for Wanted {
    fn default() -> Self {
        let credentials = &[("source_password", "from-aurora\n"), ("target_password", "to-polardb\n"), ("http_token", TOKEN)];
        // Nobody listens on a port that was free a moment ago.
        Self { ends: free_port().expect("a free port"), watchdog: None, credentials }
    }
}

impl Service {
    pub fn start(wanted: &Wanted) -> Self {
        let directory = tempfile::Builder::new().prefix("service-").tempdir().expect("a directory");
        let place = |name: &str| directory.path().join(name);
        let socket = place("notify");
        let manager = UnixDatagram::bind(&socket).expect("a socket");
        manager.set_read_timeout(Some(DEADLINE)).expect("a timeout");
        for (name, secret) in wanted.credentials {
            fs::create_dir_all(place("credentials")).expect("a directory");
            fs::write(place("credentials").join(name), secret).expect("a credential");
        }
        fs::create_dir(place("state")).expect("a directory");
        let address = format!("127.0.0.1:{}", free_port().expect("a free port"));
        fs::write(place("orders.toml"), text(&address, wanted.ends)).expect("a configuration");
        let log = File::create(place("log")).expect("a log");
        let mut command = Command::new(env!("CARGO_BIN_EXE_polarferry"));
        command.args(["run", "-c"]).arg(place("orders.toml")).env_clear();
        command.env("NOTIFY_SOCKET", &socket).env("CREDENTIALS_DIRECTORY", place("credentials"));
        command.env("STATE_DIRECTORY", place("state"));
        if let Some(watchdog) = wanted.watchdog {
            command.env("WATCHDOG_USEC", watchdog.as_micros().to_string());
        }
        command.stdout(log.try_clone().expect("a log")).stderr(log);
        let process = Process::start(&mut command, Some(directory.path())).unwrap_or_else(|failure| panic!("{failure}"));
        Self { process, manager, address, directory }
    }

    /// The configuration, for a test that changes it.
    pub fn file(&self) -> PathBuf {
        self.directory.path().join("orders.toml")
    }

    pub fn credential(&self, name: &str) -> PathBuf {
        self.directory.path().join("credentials").join(name)
    }

    pub fn state(&self) -> PathBuf {
        self.directory.path().join("state")
    }

    pub fn log(&self) -> String {
        fs::read_to_string(self.directory.path().join("log")).expect("a log")
    }

    pub fn wait_for_log(&self, text: &str) {
        let deadline = Instant::now() + DEADLINE;
        while !self.log().contains(text) {
            assert!(Instant::now() < deadline, "{text} is not in the log:\n{}", self.log());
            thread::sleep(POLL);
        }
    }

    /// The next notification.
    pub fn told(&self) -> String {
        let mut buffer = [0; 4096];
        let length = self.manager.recv(&mut buffer).unwrap_or_else(|error| panic!("no notification: {error}\n{}", self.log()));
        String::from_utf8_lossy(&buffer[..length]).into_owned()
    }

    /// The next notification that is not one of those that come by the clock.
    pub fn told_of_change(&self) -> String {
        self.told_until(|text| !text.starts_with("STATUS=") && text != "WATCHDOG=1")
    }

    /// The next notification that is wanted.
    pub fn told_until(&self, wanted: impl Fn(&str) -> bool) -> String {
        let deadline = Instant::now() + DEADLINE;
        loop {
            let text = self.told();
            if wanted(&text) {
                return text;
            }
            assert!(Instant::now() < deadline, "the last notification was {text}");
        }
    }

    pub fn signal(&self, name: &str) {
        self.process.signal(name).unwrap_or_else(|failure| panic!("{failure}"));
    }

    /// Its exit code, when it has ended by itself.
    pub fn end(&mut self) -> Option<i32> {
        let deadline = Instant::now() + DEADLINE;
        loop {
            if let Some(status) = self.process.ended().unwrap_or_else(|failure| panic!("{failure}")) {
                return status.code();
            }
            assert!(Instant::now() < deadline, "it has not ended\n{}", self.log());
            thread::sleep(POLL);
        }
    }

    pub fn is_running(&mut self) -> bool {
        self.process.ended().unwrap_or_else(|failure| panic!("{failure}")).is_none()
    }

    pub fn get(&self, path: &str) -> (u16, String) {
        ask(&self.address, &format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"))
    }

    pub fn post(&self, path: &str, token: &str) -> (u16, String) {
        let head = format!("POST {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer {token}\r\n");
        ask(&self.address, &format!("{head}Content-Length: 0\r\n\r\n"))
    }
}

/// One GET of somebody else's server. HTTP/1.0, so that the answer ends with the connection.
pub fn http_get(address: &str, path: &str) -> std::io::Result<(u16, String)> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(DEADLINE))?;
    write!(stream, "GET {path} HTTP/1.0\r\nHost: {address}\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let code = answer.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap_or_default();
    Ok((code, answer.split_once("\r\n\r\n").map_or_else(String::new, |(_, body)| body.to_owned())))
}

fn ask(address: &str, request: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(address).expect("it listens");
    stream.set_read_timeout(Some(DEADLINE)).expect("a timeout");
    stream.write_all(request.as_bytes()).expect("it reads");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("it answers");
    let (head, body) = answer.split_once("\r\n\r\n").expect("an answer");
    let code = head.split(' ').nth(1).and_then(|code| code.parse().ok());
    (code.expect("a code"), body.to_owned())
}

fn text(address: &str, port: u16) -> String {
    let end = |host: &str| format!("host = {host:?}\nport = {port}\nuser = \"ferry\"\ntls = {{ mode = \"disabled\" }}\n");
    // Two names for one machine: the same name twice would be refused.
    let (source, target) = (end("127.0.0.1"), end("localhost"));
    format!(
        "[task]\nname = \"orders\"\nserver_id = 4210001\n[source]\n{source}[target]\n{target}\
         [objects]\ninclude = [\"shop.*\"]\n[http]\nlisten = \"{address}\"\n"
    )
}

/// A server that greets everybody with this error, as MySQL does with hosts and accounts that it does not want. Ends with the test
/// process; returns its port.
pub fn refusing(number: u16, message: &str) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let mut packet = vec![0xff];
    packet.extend(number.to_le_bytes());
    packet.extend(message.as_bytes());
    let mut framed = u32::try_from(packet.len()).expect("a short message").to_le_bytes()[..3].to_vec();
    framed.push(0);
    framed.extend(packet);
    thread::spawn(move || {
        for stream in listener.incoming() {
            // A client that has gone has had its answer.
            let _ = stream.and_then(|mut stream| stream.write_all(&framed));
        }
    });
    port
}

/// A file of the repository.
pub fn read(path: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}
