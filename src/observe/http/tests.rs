//! The server over real sockets, with a client that knows no HTTP but what it is told to send.

use std::net::SocketAddr;

use secrecy::SecretString;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::mpsc;

use super::*;
use crate::model::Phase;
use crate::observe::{Check, Control, LimitsPatch, Observer, Token, Verdict};

/// Far longer than anything here takes, shorter than a person's patience.
const PATIENCE: Duration = Duration::from_secs(20);

const TOKEN: &str = "correct horse";

struct Harbour {
    address: SocketAddr,
    observer: Observer,
    control: mpsc::Receiver<Control>,
    shutdown: CancellationToken,
    server: Server,
}

fn open(token: Option<&str>) -> Harbour {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("a bound address");
    let observer = Observer::new("orders", "1.2.3");
    let (sender, control) = mpsc::channel(1);
    let shutdown = CancellationToken::new();
    let routes = Routes {
        observer: observer.clone(),
        verdict: Arc::new(|snapshot| {
            let streams = snapshot.phase == Phase::Stream;
            Verdict::of(vec![Check::new("phase", streams, snapshot.phase.as_str())])
        }),
        token: Token::new(token.map(SecretString::from)),
        control: sender,
    };
    let server = spawn(listener, routes, shutdown.clone()).expect("the server starts");
    Harbour { address, observer, control, shutdown, server }
}

struct Reply {
    status: u16,
    head: String,
    body: String,
}

impl Reply {
    fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).expect("the body is JSON")
    }

    fn has(&self, header: &str) -> bool {
        self.head.lines().any(|line| line.eq_ignore_ascii_case(header))
    }
}

/// Sends one request and reads until the server closes.
async fn send(address: SocketAddr, start: &str, headers: &str, body: &str) -> Reply {
    let length = match body.len() {
        0 => String::new(),
        length => format!("Content-Length: {length}\r\n"),
    };
    let request = format!("{start} HTTP/1.1\r\nHost: ferry\r\nConnection: close\r\n{headers}{length}\r\n{body}");
    let exchange = async {
        let mut stream = TcpStream::connect(address).await.expect("a connection");
        stream.write_all(request.as_bytes()).await.expect("a write");
        let mut reply = Vec::new();
        stream.read_to_end(&mut reply).await.expect("a reply");
        String::from_utf8(reply).expect("a reply in UTF-8")
    };
    let reply = timeout(PATIENCE, exchange).await.expect("a reply in time");
    let (head, body) = reply.split_once("\r\n\r\n").expect("a whole header");
    let status = head.split(' ').nth(1).and_then(|code| code.parse().ok());
    Reply { status: status.expect("a status code"), head: head.to_owned(), body: body.to_owned() }
}

async fn get(address: SocketAddr, path: &str) -> Reply {
    send(address, &format!("GET {path}"), "", "").await
}

async fn post(address: SocketAddr, path: &str, token: &str, body: &str) -> Reply {
    let headers = format!("Authorization: Bearer {token}\r\n");
    send(address, &format!("POST {path}"), &headers, body).await
}

#[tokio::test]
async fn every_looking_route_answers_from_the_snapshot() {
    let harbour = open(None);
    let at = harbour.address;

    assert_eq!(get(at, "/livez").await.status, 200);
    let ready = get(at, "/readyz").await;
    assert_eq!(ready.status, 503);
    assert!(ready.body.contains("precheck"), "{}", ready.body);
    let cutover = get(at, "/cutover").await;
    assert_eq!(cutover.status, 503);
    assert_eq!(cutover.json()["verdict"], "NO-GO");

    harbour.observer.update(|snapshot| {
        snapshot.phase = Phase::Stream;
        snapshot.lag_seconds = Some(0.5);
    });
    assert_eq!(get(at, "/readyz").await.status, 200);
    let cutover = get(at, "/cutover").await;
    assert_eq!(cutover.status, 200);
    assert_eq!(cutover.json()["verdict"], "GO");
    assert_eq!(cutover.json()["checks"][0]["detail"], "stream");

    let status = get(at, "/status?pretty").await;
    assert_eq!(status.status, 200);
    assert!(status.has("content-type: application/json"));
    assert!(status.has("cache-control: no-store"));
    assert!(status.has("x-content-type-options: nosniff"));
    assert_eq!(status.json()["task"], "orders");
    assert_eq!(status.json()["lag_seconds"], 0.5);

    let metrics = get(at, "/metrics").await;
    assert_eq!(metrics.status, 200);
    assert!(metrics.body.contains("polarferry_apply_lag_seconds 0.5\n"));
    assert!(metrics.body.contains("polarferry_cutover_ready 1\n"));
}

#[tokio::test]
async fn the_page_loads_nothing_but_its_own_style_and_script() {
    let harbour = open(None);
    let page = get(harbour.address, "/").await;
    assert_eq!(page.status, 200);
    assert!(page.has("content-type: text/html; charset=utf-8"));
    assert!(page.head.contains("default-src 'none'"), "{}", page.head);
    for part in [page.body, get(harbour.address, "/status.js").await.body] {
        assert!(!part.contains("//cdn") && !part.contains("https://"));
        assert!(!part.contains("innerHTML") && !part.contains("eval("));
    }
    let style = get(harbour.address, "/status.css").await;
    assert!(style.has("content-type: text/css; charset=utf-8"));
}

#[tokio::test]
async fn head_has_the_length_and_no_body() {
    let harbour = open(None);
    let reply = send(harbour.address, "HEAD /livez", "", "").await;
    assert_eq!(reply.status, 200);
    assert!(reply.has("content-length: 3"), "{}", reply.head);
    assert_eq!(reply.body, "");
}

#[tokio::test]
async fn wrong_paths_and_methods_say_what_is_right() {
    let harbour = open(Some(TOKEN));
    let lost = get(harbour.address, "/nowhere").await;
    assert_eq!(lost.status, 404);
    assert_eq!(lost.json()["error"]["code"], "not_found");
    let wrong = send(harbour.address, "DELETE /status", "", "").await;
    assert_eq!(wrong.status, 405);
    assert!(wrong.has("allow: GET, HEAD"), "{}", wrong.head);
}

#[tokio::test]
async fn a_change_needs_the_token() {
    let mut harbour = open(Some(TOKEN));
    let at = harbour.address;
    for path in ["/pause", "/resume", "/throttle", "/cutover"] {
        let none = send(at, &format!("POST {path}"), "", "").await;
        assert_eq!(none.status, 401, "{path}");
        assert!(none.has("www-authenticate: Bearer"));
        assert_eq!(post(at, path, "wrong", "").await.status, 403, "{path}");
    }
    assert!(harbour.control.try_recv().is_err(), "nothing got through");

    let accepted = post(at, "/pause", TOKEN, "").await;
    assert_eq!(accepted.status, 202);
    assert_eq!(accepted.json()["accepted"], "pause");
    assert_eq!(harbour.control.try_recv(), Ok(Control::Pause));
    assert_eq!(post(at, "/cutover", TOKEN, "").await.status, 202);
    assert_eq!(harbour.control.try_recv(), Ok(Control::Cutover));
    assert_eq!(post(at, "/resume", TOKEN, "").await.status, 202);
    // The channel of one is full now: refused, not queued.
    assert_eq!(post(at, "/resume", TOKEN, "").await.status, 503);
    assert_eq!(harbour.control.try_recv(), Ok(Control::Resume));
}

#[tokio::test]
async fn without_a_configured_token_a_change_is_refused_with_the_remedy() {
    let harbour = open(None);
    let reply = post(harbour.address, "/pause", "anything", "").await;
    assert_eq!(reply.status, 403);
    let remedy = reply.json()["error"]["remedy"].to_string();
    assert!(remedy.contains("token_file"), "{remedy}");
}

#[tokio::test]
async fn a_throttle_patch_is_parsed_strictly_and_bounded() {
    let mut harbour = open(Some(TOKEN));
    let at = harbour.address;
    for wrong in ["", "{}", "[", r#"{"copy_rows": 1}"#, r#"{"copy_rows_per_second": -1}"#] {
        assert_eq!(post(at, "/throttle", TOKEN, wrong).await.status, 400, "{wrong}");
    }
    let huge = " ".repeat(65 * 1024);
    assert_eq!(post(at, "/throttle", TOKEN, &huge).await.status, 413);

    let body = r#"{"copy_rows_per_second": 500, "stream_bytes_per_second": 0}"#;
    assert_eq!(post(at, "/throttle", TOKEN, body).await.status, 202);
    let patch = LimitsPatch { copy_rows_per_second: Some(500), stream_bytes_per_second: Some(0), ..LimitsPatch::default() };
    assert_eq!(harbour.control.try_recv(), Ok(Control::Throttle(patch)));
}

#[tokio::test]
async fn a_client_that_never_ends_its_header_blocks_nobody_and_is_dropped() {
    let harbour = open(None);
    let at = harbour.address;
    let mut slow = TcpStream::connect(at).await.expect("a connection");
    slow.write_all(b"GET /status HTTP/1.1\r\nHost: fe").await.expect("a write");
    // Half the places are taken by clients that say nothing at all.
    let mut silent = Vec::new();
    for _ in 0..CONNECTIONS / 2 {
        silent.push(TcpStream::connect(at).await.expect("a connection"));
    }
    assert_eq!(get(at, "/livez").await.status, 200);
    let mut rest = Vec::new();
    let dropped = timeout(PATIENCE, slow.read_to_end(&mut rest)).await;
    assert!(dropped.is_ok(), "closed within the header deadline");
}

#[tokio::test]
async fn one_connection_too_many_is_closed_and_a_free_place_is_used_again() {
    let harbour = open(None);
    let at = harbour.address;
    let mut held = Vec::new();
    for _ in 0..CONNECTIONS {
        held.push(TcpStream::connect(at).await.expect("a connection"));
    }
    // The kernel completes connections before the server accepts them, so order is kept: this one
    // comes after all that are held.
    let mut excess = TcpStream::connect(at).await.expect("a connection");
    let mut nothing = Vec::new();
    let closed = timeout(Duration::from_secs(3), excess.read_to_end(&mut nothing)).await;
    assert!(closed.is_ok(), "closed at once, well before the header deadline");
    assert!(nothing.is_empty());

    drop(held);
    let reached = async {
        loop {
            let mut stream = TcpStream::connect(at).await.expect("a connection");
            let request = b"GET /livez HTTP/1.0\r\n\r\n";
            let mut reply = Vec::new();
            let sent = stream.write_all(request).await;
            if sent.is_ok() && stream.read_to_end(&mut reply).await.is_ok() && !reply.is_empty() {
                break;
            }
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, reached).await.expect("a place is free");
}

#[tokio::test]
async fn shutdown_ends_the_thread_even_with_a_client_connected() {
    let harbour = open(None);
    let _idle = TcpStream::connect(harbour.address).await.expect("a connection");
    assert_eq!(get(harbour.address, "/livez").await.status, 200);
    harbour.shutdown.cancel();
    let joined = timeout(PATIENCE, harbour.server.join()).await;
    joined.expect("ends in time").expect("ends without a panic");
}
