//! One GET to the daemon on loopback.

use std::io::{Error, ErrorKind};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::lab::Failure;

/// The daemon answers from a snapshot, at once.
const PATIENCE: Duration = Duration::from_secs(5);

pub struct Answer {
    pub status: u16,
    pub body: String,
}

/// `Ok(None)` when nobody listens on the port, as before the daemon is up.
pub async fn get(port: u16, path: &str) -> Result<Option<Answer>, Failure> {
    let failed = |why: String| Failure::new(format!("GET {path} of the daemon: {why}"));
    match timeout(PATIENCE, exchange(port, path)).await {
        Ok(Ok(text)) => parse(&text).map(Some).ok_or_else(|| failed(format!("no HTTP answer: {text:.80}"))),
        Ok(Err(error)) if error.kind() == ErrorKind::ConnectionRefused => Ok(None),
        Ok(Err(error)) => Err(failed(error.to_string())),
        Err(_) => Err(failed(format!("no answer within {PATIENCE:?}"))),
    }
}

async fn exchange(port: u16, path: &str) -> Result<String, Error> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut text = String::new();
    stream.read_to_string(&mut text).await?;
    Ok(text)
}

/// The daemon sends its answers whole, and with `Connection: close` an answer ends where the
/// connection does.
fn parse(text: &str) -> Option<Answer> {
    let (head, body) = text.split_once("\r\n\r\n")?;
    let status = head.split(' ').nth(1)?.parse().ok()?;
    Some(Answer { status, body: body.to_owned() })
}
