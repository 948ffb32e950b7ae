//! The writer's loop: gates, throttle, transaction, report.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{OwnedRwLockWriteGuard, mpsc, watch};
use tokio_util::sync::CancellationToken;

use super::cold::Cold;
use super::drift::Anomaly;
use super::mend::{self, Kept, Mended};
use super::{Counts, Output, Part};
use crate::fault::Fault;
use crate::model::change::Commit;
use crate::model::drift::Kind;
use crate::model::phase::Phase;
use crate::model::position::Applied;
use crate::observe::Observer;
use crate::observe::metrics::{ApplyStage, Op, Throttled};
use crate::sql::state::DriftLine;
use crate::target::writer::Writer;
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
    pub cold: Arc<Cold>,
    /// A stop is looked at between batches, never inside one.
    pub stop: CancellationToken,
}

/// What the open batch has written; it counts when it is committed.
#[derive(Debug, Default)]
struct Tally {
    began: Option<Instant>,
    transactions: u64,
    counts: Counts,
    drift: Drift,
}

/// Rows that were not as the events imply.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Drift {
    missing: u64,
    unexpected: u64,
    /// How many are recorded as different now, in all; none when none was met.
    differ: Option<u64>,
}

impl Tally {
    /// `mended`: what the part wrote in the end, where it met drift.
    fn add(&mut self, part: &Part, mended: Option<(Counts, Drift)>) {
        let (counts, drift) = mended.unwrap_or((part.counts, Drift::default()));
        self.drift.missing += drift.missing;
        self.drift.unexpected += drift.unexpected;
        self.drift.differ = drift.differ.or(self.drift.differ);
        self.transactions += part.transactions;
        self.counts.inserts += counts.inserts;
        self.counts.updates += counts.updates;
        self.counts.deletes += counts.deletes;
    }
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

/// A batch that is written whole. Its COMMIT goes out with the next part's first statements when that part is there already, and nothing
/// holds it up; else at once.
struct Whole {
    tally: Tally,
    end: Commit,
}

/// Writes parts until they end, a stop is asked for, or something fails.
pub async fn write(mut writing: Writing, mut parts: mpsc::Receiver<Part>) -> Result<(), Fault> {
    let mut paces = Paces::new(Instant::now());
    let mut gates: Vec<OwnedRwLockWriteGuard<()>> = Vec::new();
    let mut overlaps = Vec::new();
    let mut inside = false;
    let mut batch = Tally::default();
    let mut whole = None;
    loop {
        let Some(mut part) = writing.next(&mut parts, inside, &mut whole).await? else { return Ok(()) };
        if !part.is_plain() {
            writing.commit(&mut whole).await?;
        }
        if !inside && !writing.unpaused(&mut whole).await? {
            return Ok(());
        }
        if !writing.throttled(&mut paces, &part, inside, &mut whole).await? {
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
        let executing = Instant::now();
        batch.began.get_or_insert(executing);
        writing.writer.note(&part.undecided.prepared(), &part.undecided.decided()).await?;
        let mut committing = Duration::ZERO;
        let mut committed = |took| {
            committing = took;
            report(&writing.observer, &writing.applied, whole.take(), took);
        };
        let met = match part.kept.take() {
            Some(kept) => carry_out_kept(&mut writing.writer, &part.writes, kept, end).await?,
            None => carry_out(&mut writing.writer, &part.writes, end, &mut committed).await.map(|()| None)?,
        };
        batch.add(&part, met);
        writing.executed(&part, executing.elapsed().saturating_sub(committing));
        inside = part.end.is_none();
        overlaps.extend(part.fates.into_iter().map(|fates| fates.overlap));
        whole = part.end.map(|end| Whole { tally: std::mem::take(&mut batch), end });
        if !inside && !gates.is_empty() {
            writing.commit(&mut whole).await?;
            // Reported first, settled second: see `Overlap::settled`.
            for overlap in overlaps.drain(..) {
                overlap.settle();
            }
            gates.clear();
        }
    }
}

/// One output after the other; with the last of them the batch ends, if it does.
async fn carry_out(
    writer: &mut Writer,
    writes: &[Output],
    end: Option<(&Commit, &str, Phase)>,
    committed: &mut (dyn FnMut(Duration) + Send),
) -> Result<(), Fault> {
    let Some((last, before)) = writes.split_last() else { return writer.write(&[], &[], end, committed).await };
    for output in before {
        writer.write(&output.removals, &output.statements, None, committed).await?;
    }
    writer.write(&last.removals, &last.statements, end, committed).await
}

/// The same, where drift does not stop the task; with what was written in the end, where drift was met.
async fn carry_out_kept(
    writer: &mut Writer,
    writes: &[Output],
    mut kept: Kept,
    end: Option<(&Commit, &str, Phase)>,
) -> Result<Option<(Counts, Drift)>, Fault> {
    writer.mark().await?;
    // What was due is committed by the mark.
    let nothing = &mut |_| ();
    let fault = match carry_out(writer, writes, end, nothing).await {
        Err(fault) if mend::may_be_drift(&fault) => fault,
        done => return done.map(|()| None),
    };
    let Mended { output, counts, anomalies } = mend::mend(writer, &mut kept, fault).await?;
    let lines: Vec<DriftLine<'_>> = anomalies.iter().map(Anomaly::line).collect();
    let differ = Some(writer.note_drift(&lines).await?);
    let count = |kind: Kind| anomalies.iter().filter(|anomaly| anomaly.kind == kind).map(|anomaly| anomaly.copies).sum();
    let (missing, unexpected) = (count(Kind::Missing), count(Kind::Unexpected));
    let tables: BTreeSet<&str> = anomalies.iter().map(|anomaly| &*anomaly.table).collect();
    let policy = kept.cure.as_str();
    tracing::warn!(?tables, missing, unexpected, policy, "the target's rows are not what the source's changes imply");
    carry_out(writer, writes.get(..kept.families).unwrap_or(&[]), None, nothing).await?;
    carry_out(writer, &[output], end, nothing).await?;
    Ok(Some((counts, Drift { missing, unexpected, differ })))
}

impl Part {
    /// Whether nothing but statements has to be done for it.
    fn is_plain(&self) -> bool {
        self.fates.is_empty() && self.kept.is_none() && self.undecided.is_empty()
    }
}

impl Writing {
    /// The next part; none when there are no more, or a stop was asked for. What is whole is committed before it is waited for.
    async fn next(
        &mut self,
        parts: &mut mpsc::Receiver<Part>,
        inside: bool,
        whole: &mut Option<Whole>,
    ) -> Result<Option<Part>, Fault> {
        if self.stop.is_cancelled() && !inside || parts.is_empty() {
            self.commit(whole).await?;
        }
        let waiting = Instant::now();
        let part = tokio::select! {
            biased;
            () = self.stop.cancelled(), if !inside => None,
            part = parts.recv() => part,
        };
        if part.is_none() {
            self.commit(whole).await?;
        }
        self.observer.metrics().apply_seconds.of(ApplyStage::Wait).inc_by(waiting.elapsed().as_secs_f64());
        Ok(part)
    }

    async fn commit(&mut self, whole: &mut Option<Whole>) -> Result<(), Fault> {
        let began = Instant::now();
        self.writer.commit().await?;
        report(&self.observer, &self.applied, whole.take(), began.elapsed());
        Ok(())
    }

    /// Waits while paused; false when a stop came first.
    async fn unpaused(&mut self, whole: &mut Option<Whole>) -> Result<bool, Fault> {
        let paused = *self.paused.borrow_and_update();
        if !paused {
            return Ok(true);
        }
        self.commit(whole).await?;
        Ok(tokio::select! {
            () = self.stop.cancelled() => false,
            // The sender lives as long as the conductor; without it nobody can ask for a pause.
            _ = self.paused.wait_for(|paused| !paused) => true,
        })
    }

    /// Waits for the pace; false when a stop came first. Inside a transaction a stop waits for its end. A limit that is taken back is
    /// not waited for.
    async fn throttled(
        &mut self,
        paces: &mut Paces,
        part: &Part,
        inside: bool,
        whole: &mut Option<Whole>,
    ) -> Result<bool, Fault> {
        let began = Instant::now();
        let mut wait = paces.take(part.changes, part.bytes, *self.limits.borrow_and_update(), began);
        if wait.is_zero() {
            return Ok(true);
        }
        self.commit(whole).await?;
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
        Ok(going_on)
    }

    fn executed(&self, part: &Part, took: Duration) {
        self.cold.note(part.changes, took, part.ahead);
        self.observer.heat(&part.heat);
        self.observer.metrics().apply_seconds.of(ApplyStage::Execute).inc_by(took.as_secs_f64());
    }
}

/// A batch is committed, and that took so long.
fn report(observer: &Observer, applied: &watch::Sender<Applied>, whole: Option<Whole>, took: Duration) {
    let Some(Whole { tally: Tally { began, transactions, counts, drift }, end }) = whole else { return };
    let metrics = observer.metrics();
    metrics.apply_seconds.of(ApplyStage::Commit).inc_by(took.as_secs_f64());
    metrics.applied_rows.of(Op::Insert).inc_by(counts.inserts);
    metrics.applied_rows.of(Op::Update).inc_by(counts.updates);
    metrics.applied_rows.of(Op::Delete).inc_by(counts.deletes);
    metrics.applied_transactions.inc_by(transactions);
    metrics.drift_rows.of(Kind::Missing).inc_by(drift.missing);
    metrics.drift_rows.of(Kind::Unexpected).inc_by(drift.unexpected);
    metrics.batches.inc();
    metrics.batch_duration.observe(began.map_or(0.0, |began| began.elapsed().as_secs_f64()));
    metrics.batch_transactions.observe(transactions as f64);
    applied.send_modify(|applied| {
        applied.transactions += transactions;
        applied.position.clone_from(&end.position);
        applied.at_micros = end.at_micros;
    });
    observer.update(|snapshot| {
        snapshot.stream.batches += 1;
        snapshot.stream.transactions += transactions;
        snapshot.stream.rows_inserted += counts.inserts;
        snapshot.stream.rows_updated += counts.updates;
        snapshot.stream.rows_deleted += counts.deletes;
        snapshot.drift = drift.differ.unwrap_or(snapshot.drift);
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap;

    use crate::apply::Undecided;

    #[test]
    fn a_batch_counts_all_its_parts() {
        let part = |transactions, inserts| Part {
            writes: Vec::new(),
            fates: Vec::new(),
            end: None,
            transactions,
            counts: Counts { inserts, updates: 1, deletes: 0 },
            undecided: Undecided::default(),
            kept: None,
            changes: 0,
            bytes: 0,
            heat: HashMap::new(),
            ahead: false,
        };
        let mut batch = Tally::default();
        for part in [part(2, 10), part(1, 5)] {
            batch.add(&part, None);
        }
        assert_eq!((batch.transactions, batch.counts), (3, Counts { inserts: 15, updates: 2, deletes: 0 }));
    }

    #[test]
    fn a_limit_that_is_taken_back_leaves_nothing_to_wait_for() {
        let start = Instant::now();
        let mut paces = Paces::new(start);
        let slow = Limits { stream_rows_per_second: 1, ..Limits::default() };
        assert_eq!(paces.take(3600, 0, slow, start), Duration::from_secs(3600));
        let faster = Limits { stream_rows_per_second: 3600, ..Limits::default() };
        assert_eq!(paces.take(0, 0, faster, start), Duration::from_secs(1));
        assert_eq!(paces.take(0, 0, Limits::default(), start), Duration::ZERO);
    }
}
