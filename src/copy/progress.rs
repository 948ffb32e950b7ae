//! What the copy tells the world, and the paces it keeps.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::Copying;
use crate::model::table::TableName;
use crate::observe::metrics::Throttled;
use crate::observe::snapshot::TableState;
use crate::throttle::Pace;

/// Shared by all workers, and by all voyages of a task.
#[derive(Debug)]
pub struct Progress {
    paces: Mutex<Paces>,
    made: AtomicU64,
}

#[derive(Debug)]
struct Paces {
    queries: Pace,
    rows: Pace,
    bytes: Pace,
}

impl Progress {
    pub fn new(now: Instant) -> Self {
        let pace = Pace::new(now);
        Self { paces: Mutex::new(Paces { queries: pace.clone(), rows: pace.clone(), bytes: pace }), made: AtomicU64::new(0) }
    }

    /// A range has its line in the ledger, or a table is finished.
    pub(super) fn make(&self) {
        self.made.fetch_add(1, Ordering::Relaxed);
    }

    /// How often that was so. It rises as long as the copy gets on.
    pub fn made(&self) -> u64 {
        self.made.load(Ordering::Relaxed)
    }

    fn wait_for(&self, copying: &Copying, queries: u64, rows: u64, bytes: u64) -> Duration {
        let limits = *copying.limits.borrow();
        let mut paces = self.paces.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        let by_queries = paces.queries.take(queries, limits.copy_queries_per_second, now);
        let by_rows = paces.rows.take(rows, limits.copy_rows_per_second, now);
        let by_bytes = paces.bytes.take(bytes, limits.copy_bytes_per_second, now);
        by_queries.max(by_rows).max(by_bytes)
    }
}

impl Copying {
    /// Waits while the task is paused, and as long as the limits ask for.
    pub(super) async fn pace(&self, queries: u64, rows: u64, bytes: u64) {
        let mut paused = self.paused.clone();
        // The sender lives as long as the conductor; without it nobody can ask for a pause.
        let _ = paused.wait_for(|paused| !paused).await;
        let mut limits = self.limits.clone();
        limits.mark_unchanged();
        let mut wait = self.progress.wait_for(self, queries, rows, bytes);
        if wait.is_zero() {
            return;
        }
        let began = Instant::now();
        while !wait.is_zero() {
            tokio::select! {
                () = tokio::time::sleep(wait) => break,
                // A limit that is taken back is not waited for; the debt is counted anew at the new one.
                Ok(()) = limits.changed() => wait = self.progress.wait_for(self, 0, 0, 0),
            }
        }
        self.observer.metrics().throttled_seconds.of(Throttled::Copy).inc_by(began.elapsed().as_secs_f64());
    }

    /// Waits as long as the valve asks for after so much work. What opens meanwhile is not waited for.
    pub(super) async fn make_way(&self, worked: Duration) {
        let mut opening = self.opening.clone();
        // A chunk that was itself held back has not worked all the while.
        let worked = worked.min(self.settings.chunk_target * 2);
        let began = Instant::now();
        let mut reason = None;
        loop {
            let now = *opening.borrow_and_update();
            let left = now.wait_after(worked).saturating_sub(began.elapsed());
            if left.is_zero() {
                break;
            }
            reason = now.reason.or(reason);
            tokio::select! {
                () = tokio::time::sleep(left) => {}
                Ok(()) = opening.changed() => {}
            }
        }
        if let Some(reason) = reason {
            self.observer.metrics().throttled_seconds.of(Throttled::Auto(reason)).inc_by(began.elapsed().as_secs_f64());
        }
    }

    /// Rows were read, and are on the target now, by the copy or by the stream.
    pub(super) fn wrote(&self, name: &TableName, rows: u64, bytes: u64) {
        self.observer.metrics().copy_rows.inc_by(rows);
        self.observer.metrics().copy_bytes.inc_by(bytes);
        let name = name.to_string();
        self.observer.update(|snapshot| {
            snapshot.copy.rows += rows;
            snapshot.copy.bytes += bytes;
            if let Ok(at) = snapshot.tables.binary_search_by(|table| table.name.cmp(&name))
                && let Some(table) = snapshot.tables.get_mut(at)
            {
                table.rows_copied += rows;
                table.bytes_copied += bytes;
            }
        });
    }

    pub(super) fn entered(&self, name: &TableName, state: TableState) {
        let name = name.to_string();
        self.observer.update(|snapshot| {
            if let Ok(at) = snapshot.tables.binary_search_by(|table| table.name.cmp(&name))
                && let Some(table) = snapshot.tables.get_mut(at)
            {
                table.state = state;
            }
        });
    }
}
