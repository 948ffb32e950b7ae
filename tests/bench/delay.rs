//! A long way between two processes: a TCP proxy that holds every byte back for half a round-trip time, in both directions. It
//! delays and does not throttle: bytes on the way do not wait for each other.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::time::Instant;

/// Pieces on the way in one direction of one connection: 64 MiB, more than a window of TCP holds at such a distance.
const PIECES: usize = 1024;
const PIECE: usize = 64 * 1024;

/// Lives until it is dropped; so do its connections, until one of their ends closes them.
pub struct Proxy {
    port: u16,
    one_way: Arc<AtomicU64>,
    accepting: tokio::task::JoinHandle<()>,
}

impl Proxy {
    /// In front of `port`, at first without any delay.
    pub async fn start(port: u16) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a free port");
        let own = listener.local_addr().expect("an address").port();
        let one_way = Arc::new(AtomicU64::new(0));
        let delay = Arc::clone(&one_way);
        let accepting = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                if let Ok(server) = TcpStream::connect(("127.0.0.1", port)).await {
                    join(client, server, &delay);
                }
            }
        });
        Self { port: own, one_way, accepting }
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    pub fn set_round_trip(&self, time: Duration) {
        self.one_way.store(time.as_micros() as u64 / 2, Ordering::Relaxed);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

fn join(client: TcpStream, server: TcpStream, delay: &Arc<AtomicU64>) {
    // Nothing to be done when the kernel refuses: it only waits for more bytes then.
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    carry(from_client, to_server, Arc::clone(delay));
    carry(from_server, to_client, Arc::clone(delay));
}

fn carry(
    mut from: impl AsyncReadExt + Unpin + Send + 'static,
    mut to: impl AsyncWriteExt + Unpin + Send + 'static,
    delay: Arc<AtomicU64>,
) {
    let (pieces, mut arrived) = mpsc::channel::<(Instant, Vec<u8>)>(PIECES);
    tokio::spawn(async move {
        let mut buffer = vec![0; PIECE];
        while let Ok(length) = from.read(&mut buffer).await
            && length > 0
        {
            let due = Instant::now() + Duration::from_micros(delay.load(Ordering::Relaxed));
            if pieces.send((due, buffer[..length].to_vec())).await.is_err() {
                return;
            }
        }
    });
    tokio::spawn(async move {
        while let Some((due, piece)) = arrived.recv().await {
            // A timer rounds up to the next millisecond: what is due goes without one.
            if due > Instant::now() {
                tokio::time::sleep_until(due).await;
            }
            if to.write_all(&piece).await.is_err() {
                return;
            }
        }
        let _ = to.shutdown().await;
    });
}
