//! The HTTP server: sockets, limits, deadlines, and the thread that it has to itself.
//!
//! Health must be answered while the data path is busy, so the server shares nothing with it but
//! the snapshot: one named thread, one single-threaded runtime. A data path that blocks all of its
//! workers is still seen, with the age of its last report.
//!
//! A client can be slow, broken or hostile; each thing that it can hold is bounded:
//!
//! | what | bound |
//! |---|---|
//! | connections | [`CONNECTIONS`]; one more is closed at once |
//! | time to send a header, and to idle between two requests | [`HEADER_DEADLINE`] |
//! | time to send a body, and its size | `routes.rs` |
//! | time of a connection | [`LIFETIME`], then [`GRACE`] to end the request that runs |
//! | buffer of a connection | [`BUFFER`] |
//!
//! So a client that reads or writes nothing leaves within `LIFETIME + GRACE`, and until then it
//! holds one of 64 places and some KiB. A well-behaved one notices a closed connection between two
//! requests and opens another, as HTTP/1.1 lets any server do.
//!
//! If the server ends, for whatever reason, [`Server::join`] says so; the conductor awaits it, since
//! a daemon that cannot be watched should not run on.

use std::convert::Infallible;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::pin::pin;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use secrecy::SecretString;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, oneshot};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::routes::{self, Routes};

/// Loopback: what the status page tells about a database is nobody else's business unless the
/// operator says so. The contract's port; PostgreSQL's exporter has the same by default, and is rarely on
/// a host that runs this daemon.
pub const LISTEN: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 9187);

#[derive(Debug, Clone)]
pub struct Settings {
    pub listen: SocketAddr,
    /// Without it every request that changes anything is refused.
    pub token: Option<SecretString>,
}

impl Default for Settings {
    fn default() -> Self {
        Settings { listen: LISTEN, token: None }
    }
}

/// Some scrapers, some pages, some probes; far below any limit of file descriptors.
const CONNECTIONS: usize = 64;

const HEADER_DEADLINE: Duration = Duration::from_secs(5);

/// Longer than any answer takes, short enough that 64 silent clients cannot lock us out for long.
const LIFETIME: Duration = Duration::from_secs(30);

/// What a running request gets at the end of its connection, and at shutdown.
const GRACE: Duration = Duration::from_secs(2);

/// Twice the smallest that hyper takes: bounds the header, and what is read ahead of a body.
const BUFFER: usize = 16 * 1024;

/// The pause after a failed accept: out of file descriptors, trying at once would only spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(250);

/// The running server.
pub struct Server {
    thread: thread::JoinHandle<()>,
    /// Never sent to: it is dropped when the thread ends, whether it returns or panics.
    ended: oneshot::Receiver<Infallible>,
}

impl Server {
    /// Waits for the end: `Ok` after `shutdown`, an error if the thread panicked.
    pub async fn join(self) -> io::Result<()> {
        let Err(_dropped) = self.ended.await;
        // The thread has nothing left to do but to exit, so this does not block.
        self.thread.join().map_err(|_panic| io::Error::other("the HTTP thread panicked"))
    }
}

/// Starts the server on a thread of its own. The listener is bound by the caller, so that an
/// address in use is reported as a fault of the configuration before anything else is begun.
///
/// # Errors
/// When the runtime or the thread cannot be created.
pub fn spawn(listener: std::net::TcpListener, routes: Routes, shutdown: CancellationToken) -> io::Result<Server> {
    listener.set_nonblocking(true)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let listener = {
        let _context = runtime.enter();
        TcpListener::from_std(listener)?
    };
    let (alive, ended) = oneshot::channel();
    let thread = thread::Builder::new().name("observe-http".to_owned()).spawn(move || {
        let _alive = alive;
        runtime.block_on(serve(listener, routes, shutdown));
    })?;
    Ok(Server { thread, ended })
}

/// Serves until `shutdown`, then lets running requests end within [`GRACE`].
pub async fn serve(listener: TcpListener, routes: Routes, shutdown: CancellationToken) {
    let routes = Arc::new(routes);
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    let open = TaskTracker::new();
    loop {
        let accepted = tokio::select! {
            biased;
            () = shutdown.cancelled() => break,
            accepted = listener.accept() => accepted,
        };
        let stream = match accepted {
            Ok((stream, _peer)) => stream,
            Err(error) => {
                tracing::warn!(%error, "cannot accept an HTTP connection; raise LimitNOFILE if this goes on");
                sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        // Without a place the stream is dropped here, which closes it.
        if let Ok(place) = Arc::clone(&places).try_acquire_owned() {
            let conversation = converse(stream, Arc::clone(&routes), shutdown.clone());
            open.spawn(async move {
                conversation.await;
                drop(place);
            });
        }
    }
    drop(listener);
    open.close();
    // Each conversation ends itself within its grace; the rest of the time is for the scheduler.
    let _all_ended = timeout(GRACE * 2, open.wait()).await;
}

/// One connection from its first byte to its last.
async fn converse(stream: TcpStream, routes: Arc<Routes>, shutdown: CancellationToken) {
    let service = service_fn(move |request| {
        let routes = Arc::clone(&routes);
        async move { Ok::<_, Infallible>(routes::answer(&routes, request).await) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_DEADLINE)
        .max_buf_size(BUFFER)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = pin!(connection);
    tokio::select! {
        // What a client does to its own connection is no event of ours.
        _closed = connection.as_mut() => return,
        () = sleep(LIFETIME) => {}
        () = shutdown.cancelled() => {}
    }
    connection.as_mut().graceful_shutdown();
    let _ended = timeout(GRACE, connection).await;
}

#[cfg(test)]
mod tests;
