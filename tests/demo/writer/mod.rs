//! The application: several connections that keep trading in the shop, at a steady rate in all.
//!
//! Each connection draws from a generator of its own, seeded from one number, so the same seed makes
//! the same decisions; how the connections interleave is up to the server.

mod trade;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use mysql_async::{Conn, Error};
use tokio::sync::watch;
use tokio::task::{JoinError, JoinSet};
use tokio::time::{MissedTickBehavior, interval};

use self::trade::Trader;
use crate::lab::{Failure, Server};
use crate::shop::{DATABASE, Sizes};

pub const CONNECTIONS: u64 = 4;

/// ER_LOCK_WAIT_TIMEOUT, ER_LOCK_DEADLOCK: the server took the transaction back, as it may.
const COLLISIONS: [u16; 2] = [1205, 1213];

type Ended = Result<Result<(), Error>, JoinError>;

/// Dropping it ends the connections where they are.
pub struct Writer {
    tasks: JoinSet<Result<(), Error>>,
    stop: watch::Sender<bool>,
    committed: Arc<AtomicU64>,
}

impl Writer {
    /// Starts to trade, `rate` transactions a second.
    pub async fn start(server: &Server, sizes: Sizes, rate: u32, seed: u64) -> Result<Self, Failure> {
        let (stop, stopped) = watch::channel(false);
        let committed = Arc::new(AtomicU64::new(0));
        let period = Duration::from_secs(CONNECTIONS) / rate;
        let mut tasks = JoinSet::new();
        for number in 0..CONNECTIONS {
            let conn = Conn::new(server.opts("root", "", Some(DATABASE))).await?;
            let trader = Trader::new(conn, sizes, seed, number);
            tasks.spawn(work(trader, period, stopped.clone(), Arc::clone(&committed)));
        }
        Ok(Self { tasks, stop, committed })
    }

    /// The transactions committed so far.
    pub fn committed(&self) -> u64 {
        self.committed.load(Ordering::Relaxed)
    }

    /// Fails when a connection has failed.
    pub fn check(&mut self) -> Result<(), Failure> {
        self.tasks.try_join_next().map_or(Ok(()), judge)
    }

    /// Lets each connection finish its transaction, and returns how many were committed in all. It
    /// may be called again.
    pub async fn stop(&mut self) -> Result<u64, Failure> {
        self.stop.send_replace(true);
        while let Some(ended) = self.tasks.join_next().await {
            judge(ended)?;
        }
        Ok(self.committed())
    }
}

fn judge(ended: Ended) -> Result<(), Failure> {
    match ended {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) => Err(Failure::new(format!("the writer failed: {error}"))),
        Err(error) => Err(Failure::new(format!("the writer ended: {error}"))),
    }
}

/// One connection's life. A tick that came late is made up for, so the rate holds on average.
async fn work(mut trader: Trader, period: Duration, stop: watch::Receiver<bool>, committed: Arc<AtomicU64>) -> Result<(), Error> {
    let mut pace = interval(period);
    pace.set_missed_tick_behavior(MissedTickBehavior::Burst);
    while !*stop.borrow() {
        pace.tick().await;
        match trader.trade().await {
            Ok(()) => {
                committed.fetch_add(1, Ordering::Relaxed);
            }
            Err(Error::Server(error)) if COLLISIONS.contains(&error.code) => {}
            Err(error) => return Err(error),
        }
    }
    trader.close().await
}
