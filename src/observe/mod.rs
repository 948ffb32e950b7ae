//! Beside the path: what the task shows of itself, and the few words it takes from outside.
//!
//! Stages report into one [`Observer`]: gauges by [`Observer::update`], counts by the counters of
//! [`Metrics`]. Readers take the newest [`Snapshot`] out of it. Nothing in this room asks a stage,
//! a database or a clock of the data path, and the HTTP server runs on a thread of its own, so:
//!
//! 1. **Looking never blocks moving.** The snapshot is shared as an [`Arc`]. A reader clones the
//!    pointer and lets go of the lock before it serialises anything; a writer changes the snapshot
//!    in place, and copies it only when a reader still holds the last one. With 2,000 tables that
//!    copy is a fraction of a millisecond, at most once per read.
//! 2. **Moving never blocks looking.** A data path that is busy, stuck or in a long transaction
//!    leaves the last snapshot in place, with its `updated_at`; readers show its age. So whoever
//!    drives the data path updates at least every few seconds, changed or not: silence means that
//!    it hangs, and the page says so after 15 seconds.
//! 3. **Readers agree**, because there is one snapshot and each answer is made from one of them.
//!
//! What is deliberately not here: decisions. The verdict of a cutover is computed by a function
//! that the conductor passes in; commands from outside leave through a bounded channel and are
//! carried out, or refused, by the conductor.
//!
//! | file | what |
//! |---|---|
//! | `snapshot.rs` | the picture, and when it means *ready* |
//! | `throttle.rs`, `verdict.rs` | the words of `POST /throttle` and `GET /cutover` |
//! | `metrics.rs`, `gauges.rs` | counters of this process; gauges as a pure function of the snapshot |
//! | `heat.rs` | the tables that change most |
//! | `http.rs` | sockets, limits, deadlines, the thread |
//! | `routes.rs`, `access.rs` | one request → one answer; who may change anything |
//! | `status.html`, `.css`, `.js` | the status page, which renders `/status` and nothing else |

mod access;
mod gauges;
mod heat;
pub mod http;
pub mod metrics;
mod routes;
pub mod snapshot;

pub mod verdict;

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::watch;

use crate::model::table::TableName;
pub use crate::throttle::{Limits, LimitsPatch};
pub use access::Token;
use heat::Heat;
pub use metrics::Metrics;
pub use routes::{Control, Routes};
pub use snapshot::{Level, Snapshot};
pub use verdict::{Check, Verdict};

/// The one place where stages report and readers look. Cheap to clone; all clones are the same.
#[derive(Clone)]
pub struct Observer {
    sender: watch::Sender<Arc<Snapshot>>,
    metrics: Metrics,
    pulse: Arc<Pulse>,
    heat: Arc<Mutex<Heat>>,
}

/// How often the conductor's loop has come round, when it last did, and how often we were looked at.
struct Pulse {
    began: Instant,
    turns: AtomicU64,
    /// Milliseconds from `began` to the last turn.
    turned: AtomicU64,
    scrapes: watch::Sender<u64>,
}

impl std::fmt::Debug for Observer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Observer")
    }
}

impl Observer {
    /// An observer of a task that has just started.
    pub fn new(task: &str, version: &str) -> Observer {
        let now = snapshot::unix_now();
        let first = Snapshot {
            task: task.to_owned(),
            version: version.to_owned(),
            started_at: now,
            updated_at: now,
            ..Snapshot::default()
        };
        let pulse =
            Pulse { began: Instant::now(), turns: AtomicU64::new(0), turned: AtomicU64::new(0), scrapes: watch::Sender::new(0) };
        let heat = Arc::new(Mutex::new(Heat::new(Instant::now())));
        Observer { sender: watch::Sender::new(Arc::new(first)), metrics: Metrics::new(), pulse: Arc::new(pulse), heat }
    }

    /// The conductor's loop has come round once more.
    pub fn turned(&self) {
        let now = u64::try_from(self.pulse.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.pulse.turned.store(now, Ordering::Relaxed);
        self.pulse.turns.fetch_add(1, Ordering::Relaxed);
    }

    /// How often it came round.
    pub fn turns(&self) -> u64 {
        self.pulse.turns.load(Ordering::Relaxed)
    }

    /// How long ago it last came round, or was started.
    pub fn since_turn(&self) -> Duration {
        let turned = Duration::from_millis(self.pulse.turned.load(Ordering::Relaxed));
        self.pulse.began.elapsed().saturating_sub(turned)
    }

    fn note_scrape(&self) {
        self.pulse.scrapes.send_modify(|scrapes| *scrapes += 1);
    }

    /// Wakes when `/metrics` is read once more after this call.
    pub fn scrapes(&self) -> watch::Receiver<u64> {
        self.pulse.scrapes.subscribe()
    }

    /// Changes the snapshot and tells every subscriber. `change` runs under the channel's lock:
    /// it sets fields and does nothing slower.
    pub fn update(&self, change: impl FnOnce(&mut Snapshot)) {
        self.sender.send_modify(|shared| {
            let snapshot = Arc::make_mut(shared);
            change(snapshot);
            snapshot.updated_at = snapshot::unix_now();
        });
    }

    /// So many changes of each of these tables were applied.
    pub fn heat(&self, tables: &HashMap<TableName, u64>) {
        let mut heat = self.heat.lock().unwrap_or_else(PoisonError::into_inner);
        tables.iter().for_each(|(table, changes)| heat.add(table, *changes));
    }

    /// The tables that change most now.
    pub fn hottest(&self) -> Vec<snapshot::HotTable> {
        self.heat.lock().unwrap_or_else(PoisonError::into_inner).hottest(Instant::now())
    }

    /// The newest snapshot.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        Arc::clone(&self.sender.borrow())
    }

    /// A receiver that wakes at each change. Clone the [`Arc`] out of `borrow()` at once: a
    /// borrow that is held blocks every [`Observer::update`].
    pub fn subscribe(&self) -> watch::Receiver<Arc<Snapshot>> {
        self.sender.subscribe()
    }

    /// Adds an event to the ring. It is not logged: what is logged is decided where it is handled.
    pub fn event(&self, level: Level, text: impl Into<String>) {
        self.update(|snapshot| snapshot.push_event(level, text));
    }

    /// The counters and histograms of this process.
    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_update_reaches_subscribers_and_leaves_old_snapshots_alone() {
        let observer = Observer::new("orders", "0.0.0");
        let mut receiver = observer.subscribe();
        let before = observer.snapshot();
        observer.clone().update(|snapshot| snapshot.drift = 3);
        assert_eq!(before.drift, 0);
        assert_eq!(observer.snapshot().drift, 3);
        assert!(receiver.has_changed().expect("the observer lives"));
        assert_eq!(receiver.borrow_and_update().drift, 3);
        assert!(observer.snapshot().updated_at >= before.updated_at);
    }

    #[test]
    fn an_event_is_in_the_next_snapshot() {
        let observer = Observer::new("orders", "0.0.0");
        observer.event(Level::Info, "copy began");
        let snapshot = observer.snapshot();
        assert_eq!(snapshot.events[0].text, "copy began");
        assert_eq!(snapshot.task, "orders");
    }
}
