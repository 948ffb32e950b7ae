//! One HTTP/1.1 request to the daemon's own interface, which is plain HTTP on loopback by default.

use std::time::Duration;

use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HOST, HeaderValue};
use hyper::{Method, Request, Uri};
use hyper_util::rt::TokioIo;
use secrecy::{ExposeSecret, SecretString};
use tokio::net::TcpStream;

use super::exit::{Exit, Failure};
use super::text::plain;

/// The daemon answers from a snapshot, so what takes longer than this is not going to come.
const PATIENCE: Duration = Duration::from_secs(5);

/// At some hundred bytes a table this is more than 100,000 tables; what is longer is not our daemon.
const LARGEST_ANSWER: usize = 16 << 20;

pub(super) struct Reply {
    pub status: u16,
    pub body: String,
}

/// `GET`, or with a token and a body `POST`.
pub(super) async fn request(url: &str, route: &str, post: Option<(&SecretString, String)>) -> Result<Reply, Failure> {
    let (host, port, path) = address(url, route)?;
    let exchange = exchange(&host, port, &path, post);
    let unanswered = |cause: String| {
        let remedy = "see whether the daemon runs, and give the address of its [http] listen as --url";
        Failure::new(Exit::Unavailable, format!("no answer from {}: {cause}", plain(url)), remedy)
    };
    match tokio::time::timeout(PATIENCE, exchange).await {
        Ok(Ok(reply)) => Ok(reply),
        Ok(Err(error)) => Err(unanswered(error.to_string())),
        Err(_) => Err(unanswered(format!("nothing within {} s", PATIENCE.as_secs()))),
    }
}

/// Takes `http://host:port/prefix` apart and puts the route behind the prefix.
fn address(url: &str, route: &str) -> Result<(String, u16, String), Failure> {
    let refuse = |cause: &str| {
        let remedy = "write --url http://HOST:PORT; for a daemon elsewhere, tunnel to it: ssh -L 9187:127.0.0.1:9187 HOST";
        Failure::new(Exit::Usage, format!("--url {:?} {cause}", plain(url)), remedy)
    };
    let uri: Uri = url.parse().map_err(|_| refuse("is no URL"))?;
    if uri.scheme_str() != Some("http") {
        return Err(refuse("does not begin with http://"));
    }
    let host = uri.host().ok_or_else(|| refuse("names no host"))?;
    let path = format!("{}{route}", uri.path().trim_end_matches('/'));
    // The brackets of [::1] belong to the URL, not to the address.
    let host = host.trim_start_matches('[').trim_end_matches(']');
    Ok((host.to_owned(), uri.port_u16().unwrap_or(80), path))
}

type Fault = Box<dyn std::error::Error + Send + Sync>;

async fn exchange(host: &str, port: u16, path: &str, post: Option<(&SecretString, String)>) -> Result<Reply, Fault> {
    let stream = TcpStream::connect((host, port)).await?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let host = if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") };
    let mut request = Request::builder().uri(path).header(HOST, host);
    let mut body = String::new();
    if let Some((token, content)) = post {
        let mut bearer = HeaderValue::from_str(&format!("Bearer {}", token.expose_secret()))
            .map_err(|_| "the token holds characters that no HTTP header can carry")?;
        bearer.set_sensitive(true);
        request = request.method(Method::POST).header(AUTHORIZATION, bearer).header(CONTENT_TYPE, "application/json");
        body = content;
    }
    let answer = sender.send_request(request.body(Full::new(Bytes::from(body)))?);
    let receive = async {
        let answer = answer.await?;
        let status = answer.status().as_u16();
        let body = Limited::new(answer.into_body(), LARGEST_ANSWER).collect().await?.to_bytes();
        let body = String::from_utf8_lossy(&body).into_owned();
        Ok(Reply { status, body })
    };
    // The connection must be driven while we wait; it may end first, when the answer was its last.
    tokio::pin!(receive);
    tokio::select! {
        reply = &mut receive => reply,
        _ = connection => receive.await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_taken_apart() {
        let ok = |url: &str| address(url, "/status").unwrap();
        assert_eq!(ok("http://127.0.0.1:9187"), ("127.0.0.1".into(), 9187, "/status".into()));
        assert_eq!(ok("http://[::1]:9187/"), ("::1".into(), 9187, "/status".into()));
        assert_eq!(ok("http://h/ferry/"), ("h".into(), 80, "/ferry/status".into()));
        for url in ["127.0.0.1:9187", "https://h", "h", "", "http://", "file:///x"] {
            assert_eq!(address(url, "/status").unwrap_err().exit, Exit::Usage, "{url}");
        }
    }
}
