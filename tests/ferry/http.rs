//! One GET, written out: the daemon's answers are small and come with their length.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// A daemon that takes longer to say how it is does not answer.
const TIMEOUT: Duration = Duration::from_secs(5);

/// The status code and the body; `None` when nobody answers.
pub async fn get(address: &str, path: &str) -> Option<(u16, String)> {
    let answer = tokio::time::timeout(TIMEOUT, exchange(address, path)).await;
    let answer = answer.ok()?.ok()?;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let code = head.split_whitespace().nth(1)?.parse().ok()?;
    Some((code, body.to_owned()))
}

async fn exchange(address: &str, path: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(address).await?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    Ok(answer)
}
