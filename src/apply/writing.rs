//! The writer's loop: gates, throttle, transaction, report.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{OwnedRwLockWriteGuard, mpsc, watch};
use tokio_util::sync::CancellationToken;

use super::Part;
use crate::fault::Fault;
use crate::model::phase::Phase;
use crate::model::position::Applied;
use crate::observe::Observer;
use crate::observe::metrics::{ApplyStage, Op, Throttled};
use crate::target::writer::{Timing, Writer};
use crate::throttle::{Limits, Pace};

/// What the writer's loop works with.
#[derive(Debug)]
pub struct Writing {
    pub writer: Writer,
    pub source_uuid: String,
    pub phase: watch::Receiver<Phase>,
    pub limits: watch::Receiver<Limits>,
    pub paused: watch::Receiver<bool>,
    pub applied: watch::Sender<Applied>,
    pub observer: Observer,
    /// A stop is looked at between batches, never inside one.
    pub stop: CancellationToken,
}

/// The stream's two paces.
#[derive(Debug)]
struct Paces {
    rows: Pace,
    bytes: Pace,
}

impl Paces {
    fn new(now: Instant) -> Self {
        Self { rows: Pace::new(now), bytes: Pace::new(now) }
    }

    fn take(&mut self, rows: u64, bytes: u64, limits: Limits, now: Instant) -> Duration {
        let by_rows = self.rows.take(rows, limits.stream_rows_per_second, now);
        by_rows.max(self.bytes.take(bytes, limits.stream_bytes_per_second, now))
    }
}

/// Writes parts until they end, a stop is asked for, or something fails.
pub async fn write(mut writing: Writing, mut parts: mpsc::Receiver<Part>) -> Result<(), Fault> {
    let mut paces = Paces::new(Instant::now());
    let mut gates: Vec<OwnedRwLockWriteGuard<()>> = Vec::new();
    let mut overlaps = Vec::new();
    let mut inside = false;
    // Of the open batch; they count as applied when it is committed.
    let mut transactions = 0;
    loop {
        let waiting = Instant::now();
        let part = tokio::select! {
            biased;
            () = writing.stop.cancelled(), if !inside => return Ok(()),
            part = parts.recv() => part,
        };
        let Some(part) = part else { return Ok(()) };
        let seconds = &writing.observer.metrics().apply_seconds;
        seconds.of(ApplyStage::Wait).inc_by(waiting.elapsed().as_secs_f64());
        if !inside && !writing.unpaused().await {
            return Ok(());
        }
        if !writing.throttled(&mut paces, &part, inside).await {
            return Ok(());
        }
        for fates in &part.fates {
            // A gate is taken once for a batch, whatever the number of its parts.
            if !gates.iter().any(|gate| Arc::ptr_eq(OwnedRwLockWriteGuard::rwlock(gate), &fates.overlap.gate)) {
                gates.push(Arc::clone(&fates.overlap.gate).write_owned().await);
            }
            fates.overlap.bury(fates.absent.iter().map(|key| &**key), fates.present.iter().map(|key| &**key));
        }
        let phase = *writing.phase.borrow();
        let end = part.end.as_ref().map(|commit| (commit, writing.source_uuid.as_str(), phase));
        let began = Instant::now();
        writing.writer.note(&part.undecided.prepared(), &part.undecided.decided()).await?;
        let timing = writing.writer.write(&part.statements, end).await?;
        inside = part.end.is_none();
        transactions += part.transactions;
        writing.report(&part, transactions, timing, began.elapsed());
        overlaps.extend(part.fates.into_iter().map(|fates| fates.overlap));
        if !inside {
            transactions = 0;
            // Reported first, settled second: see `Overlap::settled`.
            for overlap in overlaps.drain(..) {
                overlap.settle();
            }
            gates.clear();
        }
    }
}

impl Writing {
    /// Waits while paused; false when a stop came first.
    async fn unpaused(&mut self) -> bool {
        tokio::select! {
            () = self.stop.cancelled() => false,
            // The sender lives as long as the conductor; without it nobody can ask for a pause.
            _ = self.paused.wait_for(|paused| !paused) => true,
        }
    }

    /// Waits for the pace; false when a stop came first. Inside a transaction a stop waits for its end. A limit that is taken back is
    /// not waited for.
    async fn throttled(&mut self, paces: &mut Paces, part: &Part, inside: bool) -> bool {
        let began = Instant::now();
        let mut wait = paces.take(part.changes, part.bytes, *self.limits.borrow_and_update(), began);
        if wait.is_zero() {
            return true;
        }
        let going_on = loop {
            tokio::select! {
                () = self.stop.cancelled(), if !inside => break false,
                () = tokio::time::sleep(wait) => break true,
                Ok(()) = self.limits.changed() => wait = paces.take(0, 0, *self.limits.borrow_and_update(), Instant::now()),
            }
        };
        let seconds = began.elapsed().as_secs_f64();
        self.observer.metrics().throttled_seconds.of(Throttled::Stream).inc_by(seconds);
        self.observer.metrics().apply_seconds.of(ApplyStage::Throttle).inc_by(seconds);
        going_on
    }

    fn report(&self, part: &Part, transactions: u64, timing: Timing, whole: Duration) {
        let metrics = self.observer.metrics();
        metrics.apply_seconds.of(ApplyStage::Execute).inc_by(timing.execute.as_secs_f64());
        metrics.apply_seconds.of(ApplyStage::Commit).inc_by(timing.commit.as_secs_f64());
        metrics.applied_rows.of(Op::Insert).inc_by(part.counts.inserts);
        metrics.applied_rows.of(Op::Update).inc_by(part.counts.updates);
        metrics.applied_rows.of(Op::Delete).inc_by(part.counts.deletes);
        let Some(end) = &part.end else { return };
        metrics.applied_transactions.inc_by(transactions);
        metrics.batches.inc();
        metrics.batch_duration.observe(whole.as_secs_f64());
        metrics.batch_transactions.observe(transactions as f64);
        self.applied.send_modify(|applied| {
            applied.transactions += transactions;
            applied.position.clone_from(&end.position);
            applied.at_micros = end.at_micros;
        });
        self.observer.update(|snapshot| {
            snapshot.stream.batches += 1;
            snapshot.stream.transactions += transactions;
            snapshot.stream.rows_inserted += part.counts.inserts;
            snapshot.stream.rows_updated += part.counts.updates;
            snapshot.stream.rows_deleted += part.counts.deletes;
        });
    }
}
