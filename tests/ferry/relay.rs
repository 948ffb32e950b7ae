//! An address that leads to one server and later to another, as the name of a cluster's writer does at a failover.

use std::sync::Arc;
use std::sync::atomic::{AtomicU16, AtomicUsize, Ordering};

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::lab::Server;

/// Dropping it ends all that goes through it.
pub struct Relay {
    port: u16,
    leads_to: Arc<AtomicU16>,
    taken: Arc<AtomicUsize>,
    cuts: watch::Sender<usize>,
    listening: JoinHandle<()>,
}

impl Relay {
    pub async fn to(server: &Server) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a free port");
        let port = listener.local_addr().expect("an address").port();
        let leads_to = Arc::new(AtomicU16::new(server.port()));
        let (taken, cuts) = (Arc::new(AtomicUsize::new(0)), watch::Sender::new(0));
        let listening = tokio::spawn(listen(listener, Arc::clone(&leads_to), Arc::clone(&taken), cuts.clone()));
        Self { port, leads_to, taken, cuts, listening }
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// How many connections were made through it.
    pub fn taken(&self) -> usize {
        self.taken.load(Ordering::SeqCst)
    }

    /// New connections lead to `server`; those that there are stay.
    pub fn lead_to(&self, server: &Server) {
        self.leads_to.store(server.port(), Ordering::SeqCst);
    }

    /// Ends the connections that there are.
    pub fn cut(&self) {
        self.cuts.send_modify(|cuts| *cuts += 1);
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.listening.abort();
        self.cut();
    }
}

async fn listen(listener: TcpListener, leads_to: Arc<AtomicU16>, taken: Arc<AtomicUsize>, cuts: watch::Sender<usize>) {
    while let Ok((mut near, _)) = listener.accept().await {
        let port = leads_to.load(Ordering::SeqCst);
        taken.fetch_add(1, Ordering::SeqCst);
        let mut cut = cuts.subscribe();
        tokio::spawn(async move {
            let Ok(mut far) = TcpStream::connect(("127.0.0.1", port)).await else { return };
            tokio::select! {
                _ = copy_bidirectional(&mut near, &mut far) => {}
                _ = cut.changed() => {}
            }
        });
    }
}
