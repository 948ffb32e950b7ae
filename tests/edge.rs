//! The binary as scripts and systemd see it: exit codes, both output streams, the HTTP it speaks. As a service: `contracts`.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::thread::{self, JoinHandle};
use std::time::Duration;

const DEADLINE: Duration = Duration::from_secs(20);

const FILE: &str = r#"
[task]
name = "orders"
server_id = 4210001
[source]
host = "aurora.test"
user = "ferry"
[target]
host = "polar.test"
user = "ferry"
[objects]
include = ["shop.*"]
"#;

fn polarferry(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_polarferry"));
    command
        .args(arguments)
        .env_clear()
        .env("POLARFERRY__HTTP__LISTEN", "127.0.0.1:0")
        .env("POLARFERRY__SOURCE__PASSWORD", "s3cret")
        .env("POLARFERRY__TARGET__PASSWORD", "s3cret")
        .stdin(Stdio::null());
    command
}

fn output(arguments: &[&str]) -> (Option<i32>, String, String) {
    texts(polarferry(arguments).output().expect("what the test set up"))
}

fn texts(output: Output) -> (Option<i32>, String, String) {
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("what the test set up");
    (output.status.code(), text(output.stdout), text(output.stderr))
}

fn file(directory: &Path, text: &str) -> PathBuf {
    let path = directory.join("orders.toml");
    std::fs::write(&path, text).expect("what the test set up");
    path
}

/// Answers one request with `status` and `body`; gives back what was asked.
fn serve(status: u16, body: &'static str) -> (String, JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("what the test set up");
    let url = format!("http://{}", listener.local_addr().expect("what the test set up"));
    let asked = thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("what the test set up");
        stream.set_read_timeout(Some(DEADLINE)).expect("what the test set up");
        let mut reader = BufReader::new(stream.try_clone().expect("what the test set up"));
        let mut request = String::new();
        let mut length = 0;
        loop {
            let mut line = String::new();
            reader.read_line(&mut line).expect("what the test set up");
            if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().expect("what the test set up");
            }
            if line == "\r\n" {
                break;
            }
            request += &line;
        }
        let mut content = vec![0; length];
        reader.read_exact(&mut content).expect("what the test set up");
        let answer = format!("HTTP/1.1 {status} X\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len());
        stream.write_all(answer.as_bytes()).expect("what the test set up");
        request + &String::from_utf8(content).expect("what the test set up")
    });
    (url, asked)
}

#[test]
fn exit_codes_are_those_of_sysexits() {
    for (arguments, code) in [
        (&["--help"][..], 0),
        (&["--version"], 0),
        (&["status", "--help"], 0),
        (&[], 64),
        (&["nonsense"], 64),
        (&["status", "--url", "https://h"], 64),
        (&["pause"], 64),
        (&["verify", "-c", "x"], 70),
        (&["cutover", "-c", "x"], 70),
        (&["config", "-c", "/nonexistent.toml"], 78),
        (&["run", "-c", "/nonexistent.toml"], 78),
        (&["check", "-c", "/nonexistent.toml"], 78),
    ] {
        let (found, out, err) = output(arguments);
        assert_eq!(found, Some(code), "{arguments:?}\n{out}{err}");
        if code > 64 {
            assert!(err.contains("remedy: "), "{arguments:?}: {err}");
        }
    }
}

#[test]
fn config_prints_the_effective_configuration_without_secrets() {
    let directory = tempfile::tempdir().expect("what the test set up");
    let path = file(directory.path(), FILE);
    let (code, out, err) = output(&["config", "-c", path.to_str().expect("what the test set up")]);
    assert_eq!(code, Some(0), "{err}");
    assert!(out.contains("host = \"aurora.test\"\nport = 3306\n"), "{out}");
    assert!(err.contains("warning: [source] password is written in the configuration"), "{err}");
    assert!(!format!("{out}{err}").contains("s3cret"));
}

#[test]
fn a_configuration_problem_ends_with_78_and_a_list() {
    let directory = tempfile::tempdir().expect("what the test set up");
    let path = file(directory.path(), &FILE.replace("host = \"polar.test\"", "hots = \"polar.test\""));
    let (code, out, err) = output(&["config", "-c", path.to_str().expect("what the test set up")]);
    assert_eq!((code, out.as_str()), (Some(78), ""));
    assert!(err.contains("orders.toml: 2 problems\n"), "{err}");
    assert!(err.contains("did you mean `host`?"), "{err}");
}

#[test]
fn status_asks_the_daemon_and_prints_for_people_or_programs() {
    let body = r#"{"task":"orders","phase":"stream","lag_seconds":0.5,"backlog_transactions":0}"#;
    let (url, asked) = serve(200, body);
    let (code, out, err) = output(&["status", "--url", &url]);
    assert_eq!(code, Some(0), "{err}");
    assert!(out.contains("phase    stream\n") && out.contains("lag      0.5s\n"), "{out}");
    assert!(asked.join().expect("what the test set up").starts_with("GET /status HTTP/1.1\r\n"));

    let (url, asked) = serve(200, body);
    assert_eq!(output(&["status", "--json", "--url", &url]).1, format!("{body}\n"));
    asked.join().expect("what the test set up");

    let (url, asked) = serve(200, "<html>");
    assert_eq!(output(&["status", "--url", &url]).0, Some(70));
    asked.join().expect("what the test set up");
}

#[test]
fn a_daemon_that_is_not_there_is_unavailable() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("what the test set up");
    let url = format!("http://{}", listener.local_addr().expect("what the test set up"));
    drop(listener);
    let (code, _, err) = output(&["status", "--url", &url]);
    assert_eq!(code, Some(69), "{err}");
    assert!(err.contains("no answer from http://127.0.0.1:") && err.contains("remedy: "), "{err}");
}

#[test]
fn watch_prints_one_line_at_a_time_into_a_pipe_and_ends_with_its_reader() {
    let (url, asked) = serve(200, r#"{"task":"orders","phase":"copy"}"#);
    let mut child = polarferry(&["status", "--watch", "--url", &url])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("what the test set up");
    let mut line = String::new();
    BufReader::new(child.stdout.take().expect("what the test set up")).read_line(&mut line).expect("what the test set up");
    assert_eq!(line, "task=orders phase=copy lag=unknown backlog=unknown\n");
    asked.join().expect("what the test set up");
    child.kill().expect("what the test set up");
    child.wait().expect("what the test set up");
}

#[test]
fn control_sends_the_token_and_obeys_a_refusal() {
    let directory = tempfile::tempdir().expect("what the test set up");
    let token = directory.path().join("token");
    std::fs::write(&token, "t0ken\n").expect("what the test set up");
    let token = token.to_str().expect("what the test set up");

    let (url, asked) = serve(200, "{}");
    let (code, out, err) = output(&["throttle", "--copy-rows-per-second", "5000", "--token-file", token, "--url", &url]);
    assert_eq!((code, out.as_str()), (Some(0), "limits changed\n"), "{err}");
    let asked = asked.join().expect("what the test set up");
    assert!(asked.starts_with("POST /throttle HTTP/1.1\r\n"), "{asked}");
    assert!(asked.to_lowercase().contains("authorization: bearer t0ken\r\n"), "{asked}");
    assert!(asked.ends_with(r#"{"copy_rows_per_second":5000}"#), "{asked}");

    let (url, asked) = serve(403, r#"{"message":"no token is configured"}"#);
    let (code, _, err) = output(&["pause", "--token-file", token, "--url", &url]);
    assert_eq!(code, Some(77));
    assert!(err.contains("refuses POST /pause: no token is configured\nremedy: "), "{err}");
    assert!(!err.contains("t0ken"));
    asked.join().expect("what the test set up");
}

#[test]
fn a_level_that_is_none_is_a_configuration_problem() {
    let directory = tempfile::tempdir().expect("what the test set up");
    let path = file(directory.path(), FILE);
    let mut command = polarferry(&["run", "-c", path.to_str().expect("what the test set up")]);
    let (code, _, err) = texts(command.env("POLARFERRY_LOG", "polarferry=loud").output().expect("what the test set up"));
    assert_eq!(code, Some(78));
    assert!(err.contains("POLARFERRY_LOG") && err.contains("remedy: "), "{err}");
}
