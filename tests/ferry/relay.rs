//! An address that leads to one server and later to another, as the name of a cluster's writer does at a failover; or nowhere, as a
//! network does that drops every packet and tells nobody.

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
    swallows: watch::Sender<bool>,
    listening: JoinHandle<()>,
}

impl Relay {
    pub async fn to(server: &Server) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a free port");
        let port = listener.local_addr().expect("an address").port();
        let leads_to = Arc::new(AtomicU16::new(server.port()));
        let (taken, cuts, swallows) = (Arc::new(AtomicUsize::new(0)), watch::Sender::new(0), watch::Sender::new(false));
        let road =
            Road { leads_to: Arc::clone(&leads_to), taken: Arc::clone(&taken), cuts: cuts.clone(), swallows: swallows.clone() };
        let listening = tokio::spawn(listen(listener, road));
        Self { port, leads_to, taken, cuts, swallows, listening }
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

    /// From now on nothing comes through, in either direction, and no connection ends: those that there are go silent for good, as
    /// when a host vanishes, and new ones are never answered.
    pub fn swallow(&self) {
        self.swallows.send_replace(true);
    }

    /// New connections are answered again. The silent ones stay silent: the other end has forgotten them.
    pub fn let_through(&self) {
        self.swallows.send_replace(false);
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

struct Road {
    leads_to: Arc<AtomicU16>,
    taken: Arc<AtomicUsize>,
    cuts: watch::Sender<usize>,
    swallows: watch::Sender<bool>,
}

async fn listen(listener: TcpListener, road: Road) {
    while let Ok((mut near, _)) = listener.accept().await {
        let port = road.leads_to.load(Ordering::SeqCst);
        road.taken.fetch_add(1, Ordering::SeqCst);
        let (mut cut, mut swallows) = (road.cuts.subscribe(), road.swallows.subscribe());
        tokio::spawn(async move {
            let through = async {
                let Ok(mut far) = TcpStream::connect(("127.0.0.1", port)).await else { return };
                tokio::select! {
                    _ = copy_bidirectional(&mut near, &mut far) => return,
                    // Also when it was so from the beginning. Its sender is the listener's.
                    _ = swallows.wait_for(|swallows| *swallows) => {}
                }
                // Neither end is told.
                std::future::pending::<()>().await;
                drop(far);
            };
            tokio::select! {
                () = through => {}
                _ = cut.changed() => {}
            }
        });
    }
}
