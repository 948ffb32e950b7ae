//! The watch: once a second it asks the source where it stands, and tells the world how far behind we are.
//!
//! Lag is measured by positions, not by clocks: each second the source's position is written down with our own time; the lag is
//! the age of the oldest such position that has not been reached yet. An idle source is no lag, a wrong clock on either side
//! changes nothing, and when the source cannot be asked the lag is unknown, not zero. So it is after a start, until the first of
//! these positions is reached. A lag of less than a second is shown as zero; the backlog says whether there is any.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::mpsc;
use tokio::time::{Interval, MissedTickBehavior};

use crate::conn::{Endpoint, Purpose};
use crate::fault::{Code, Fault, Side};
use crate::model::phase::Phase;
use crate::model::position::{Applied, FilePosition, Position};
use crate::observe::Observer;
use crate::observe::snapshot::{Snapshot, TableState, unix_now};
use crate::overlap::{Overlap, Overlaps, Reach, Reached, Stage, passed};
use crate::source;
use crate::source::facts::{self, Facts};
use crate::source::fence::SETTLE;
use crate::source::heartbeat::Heartbeat;
use crate::target;

use super::tide::{Commits, Tide};
use super::voyage::shown;

const PERIOD: Duration = Duration::from_secs(1);
/// A server that answers nothing for so long is given up, and connected to again: perhaps somewhere else.
const ANSWER: Duration = Duration::from_secs(30);
/// Positions written down; older ones are thinned out, which rounds a long lag up by at most its age's share.
const SAMPLES: usize = 3600;

/// What the watch looks at.
pub struct Watch {
    pub source: Endpoint,
    pub facts: Arc<Facts>,
    pub overlaps: Arc<Overlaps>,
    pub reach: Reach,
    pub observer: Observer,
    pub phases: mpsc::Sender<Phase>,
    pub tide: Tide,
    /// The task's name, when it has a heartbeat on the source.
    pub heartbeat: Option<String>,
}

/// Positions of the source that have not been reached, oldest first.
#[derive(Debug, Default)]
pub struct Milestones {
    ahead: VecDeque<(Instant, FilePosition)>,
    /// Whether one of ours was reached already.
    known: bool,
}

impl Milestones {
    pub fn note(&mut self, now: Instant, position: FilePosition) {
        if self.ahead.back().is_none_or(|(_, last)| *last != position) {
            if self.ahead.len() >= SAMPLES {
                // Keep the oldest and every other one behind it.
                let mut keep = false;
                self.ahead.retain(|_| {
                    keep = !keep;
                    keep
                });
            }
            self.ahead.push_back((now, position));
        }
    }

    /// How old the oldest position is that `reached` has not reached; zero when there is none. Unknown until the first one is
    /// reached: what we are behind by when we begin is older than anything that we have written down.
    pub fn lag(&mut self, now: Instant, reached: &FilePosition) -> Option<Duration> {
        while self.ahead.front().is_some_and(|(_, position)| reached.reaches(position)) {
            self.ahead.pop_front();
            self.known = true;
        }
        let oldest = self.ahead.front().map_or(Duration::ZERO, |(noted, _)| now.saturating_duration_since(*noted));
        self.known.then_some(oldest)
    }
}

/// What is counted from one look to the next.
#[derive(Debug, Clone, Copy, Default)]
struct Counts {
    transactions: u64,
    rows: u64,
    copied: u64,
}

impl Counts {
    fn of(snapshot: &Snapshot) -> Self {
        let stream = &snapshot.stream;
        Self {
            transactions: stream.transactions,
            rows: stream.rows_inserted + stream.rows_updated + stream.rows_deleted,
            copied: snapshot.copy.rows,
        }
    }
}

/// After a stall it goes on from now, and does not make up for what it missed.
pub(super) fn every(period: Duration) -> Interval {
    let mut tick = tokio::time::interval(period);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    tick
}

/// Asks the target, once a second, whether the task is still ours: an idle task writes nothing, and would not notice otherwise that
/// it was replaced. A task of its own, so that a target that hangs does not keep the watch from saying so.
pub async fn guard(target: Endpoint, task: String, epoch: u64) -> Result<(), Fault> {
    let mut conn = answered(Side::Target, ANSWER, target::connect(&target, Purpose::Rows)).await?;
    let mut tick = every(PERIOD);
    loop {
        tick.tick().await;
        answered(Side::Target, ANSWER, target::state::still_ours(&mut conn, &task, epoch)).await?;
    }
}

/// The answer to a question that takes no time, or the end of a connection that no longer gives one.
async fn answered<T>(side: Side, within: Duration, question: impl Future<Output = Result<T, Fault>>) -> Result<T, Fault> {
    let silent = || Fault::new(Code::ConnectionLost(side), format!("no answer within {within:?}"));
    tokio::time::timeout(within, question).await.unwrap_or_else(|_| Err(silent()))
}

/// How long the copy still takes, at the pace of now.
fn reckon_eta(snapshot: &mut Snapshot) {
    let left: u64 = snapshot
        .tables
        .iter()
        .filter(|table| matches!(table.state, TableState::Pending | TableState::Copying))
        .map(|table| table.rows_estimated.saturating_sub(table.rows_copied))
        .sum();
    let pace = snapshot.copy.rows_per_second;
    snapshot.copy.eta_seconds = (pace > 0.0).then(|| left as f64 / pace);
}

/// The watch of a copy without a stream: asks the source once a second whether it is there, and says how fast the copy is.
pub async fn pulse(source: Endpoint, facts: Arc<Facts>, observer: Observer, tide: Tide) -> Result<(), Fault> {
    let mut conn = source::connect_to(&source, Purpose::Rows, &facts.uuid).await?;
    let mut tick = every(PERIOD);
    let mut before = (Instant::now(), Counts::of(&observer.snapshot()));
    loop {
        tick.tick().await;
        answered(Side::Source, ANSWER, source::run(&mut conn, "DO 0")).await?;
        let now = (Instant::now(), Counts::of(&observer.snapshot()));
        let seconds = (now.0 - before.0).as_secs_f64().max(0.001);
        observer.update(|snapshot| {
            snapshot.copy.rows_per_second = now.1.copied.saturating_sub(before.1.copied) as f64 / seconds;
            reckon_eta(snapshot);
        });
        before = now;
        // There are no commits of a stream, and no lag.
        tide.look(&mut conn, (Commits::default(), Commits::default()), None, &observer).await?;
    }
}

/// Watches until the source cannot be asked any more.
pub async fn watch(watch: Watch) -> Result<(), Fault> {
    let mut conn = source::connect_to(&watch.source, Purpose::Rows, &watch.facts.uuid).await?;
    let mut tick = every(PERIOD);
    let (mut to_read, mut to_apply) = (Milestones::default(), Milestones::default());
    let mut before = (Instant::now(), Counts::of(&watch.observer.snapshot()));
    let mut commits = Commits::of(&watch.observer);
    let mut heartbeat = Heartbeat::default();
    loop {
        tick.tick().await;
        if let Some(task) = &watch.heartbeat {
            answered(Side::Source, ANSWER, heartbeat.beat(&mut conn, task, Instant::now())).await?;
        }
        let position = answered(Side::Source, ANSWER, facts::position(&watch.facts, &mut conn)).await?;
        let now = Instant::now();
        let Reached { read, backlog, applied } = watch.reach.look();
        to_read.note(now, position.file.clone());
        to_apply.note(now, position.file.clone());
        let read_lag = to_read.lag(now, &read);
        let lag = to_apply.lag(now, &applied.position.file);
        let same_file = position.file.file == applied.position.file.file;
        let backlog_bytes = same_file.then(|| position.file.offset.saturating_sub(applied.position.file.offset));
        let counts = Counts::of(&watch.observer.snapshot());
        let seconds = (now - before.0).as_secs_f64().max(0.001);
        let rate = |new: u64, old: u64| new.saturating_sub(old) as f64 / seconds;
        let complete = watch.tables(&applied);
        let hottest = watch.observer.hottest();
        watch.observer.update(|snapshot| {
            let (wall, reached) = (unix_now(), shown(&applied.position));
            if snapshot.applied != reached {
                snapshot.checkpoint_at = Some(wall);
            }
            snapshot.source.position = shown(&position);
            snapshot.applied = reached;
            // Where we are unsure now, what was sure before still holds.
            snapshot.caught_up_at = lag.map(|lag| wall - lag.as_secs_f64()).or(snapshot.caught_up_at);
            snapshot.retention_seconds = watch.facts.binlog_kept.map(|kept| kept.as_secs_f64());
            snapshot.reckon_retention(wall);
            snapshot.read_lag_seconds = read_lag.map(|lag| lag.as_secs_f64());
            snapshot.lag_seconds = lag.map(|lag| lag.as_secs_f64());
            snapshot.backlog_transactions = backlog;
            snapshot.backlog_bytes = backlog_bytes;
            snapshot.stream.transactions_per_second = rate(counts.transactions, before.1.transactions);
            snapshot.stream.rows_per_second = rate(counts.rows, before.1.rows);
            snapshot.stream.hottest = hottest;
            snapshot.copy.rows_per_second = rate(counts.copied, before.1.copied);
            reckon_eta(snapshot);
        });
        before = (now, counts);
        let committed = Commits::of(&watch.observer);
        watch.tide.look(&mut conn, (commits, committed), lag, &watch.observer).await?;
        commits = committed;
        watch.forget_burials(&mut conn).await?;
        let phase = if complete { Phase::Stream } else { Phase::Copy };
        // Full only when the conductor is behind: the next look says it again.
        let _ = watch.phases.try_send(phase);
    }
}

/// Whether a table is copied and past its overlap at `position`.
pub fn is_complete(overlap: &Overlap, server_uuid: &str, position: &Position) -> bool {
    match overlap.stage() {
        Stage::Copying => false,
        Stage::Until(mark) => passed(&mark, server_uuid, position),
        Stage::Snapshot(_) | Stage::Strict => true,
    }
}

impl Watch {
    /// Updates each table's state; true when every table is copied and past its overlap.
    fn tables(&self, applied: &Applied) -> bool {
        let states: Vec<(String, Option<TableState>)> = self
            .overlaps
            .iter()
            .map(|(name, overlap)| {
                let state = match overlap.stage() {
                    _ if is_complete(overlap, &self.facts.uuid, &applied.position) => Some(TableState::Streaming),
                    // The copy itself says how far it is.
                    Stage::Copying => None,
                    Stage::Until(_) | Stage::Snapshot(_) | Stage::Strict => Some(TableState::Copied),
                };
                (name.to_string(), state)
            })
            .collect();
        let complete = states.iter().all(|(_, state)| *state == Some(TableState::Streaming));
        self.observer.update(|snapshot| {
            for (name, state) in states {
                if let Some(state) = state
                    && let Ok(at) = snapshot.tables.binary_search_by(|table| table.name.cmp(&name))
                    && let Some(table) = snapshot.tables.get_mut(at)
                {
                    table.state = state;
                }
            }
        });
        complete
    }

    /// Lets go of buried keys whose deletes have become visible on the source.
    async fn forget_burials(&self, conn: &mut source::Conn) -> Result<(), Fault> {
        let burials = self.overlaps.values().any(|overlap| overlap.has_burials());
        if !burials || !self.facts.follows_gtids(&self.reach.applied.borrow().position) {
            return Ok(());
        }
        // In this order: what is settled now is in the applied position that is read after it.
        let settled: Vec<_> = self.overlaps.values().map(|overlap| (overlap, overlap.settled())).collect();
        let applied = self.reach.applied.borrow().position.gtids.clone();
        if facts::executed(conn).await?.contains_all(&applied) {
            // For an XA COMMIT: see `source::fence`.
            tokio::time::sleep(SETTLE).await;
            for (overlap, clock) in settled {
                overlap.forget(clock);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(offset: u64) -> FilePosition {
        FilePosition { file: "b.000001".into(), offset }
    }

    #[test]
    fn an_idle_source_is_no_lag_and_a_stuck_applier_is() {
        let (mut milestones, start) = (Milestones::default(), Instant::now());
        let later = |seconds| start + Duration::from_secs(seconds);
        for second in 0..10 {
            milestones.note(later(second), at(100));
        }
        assert_eq!(milestones.lag(later(10), &at(99)), None, "how old the rest is, nobody has seen");
        assert_eq!(milestones.lag(later(10), &at(100)), Some(Duration::ZERO));
        milestones.note(later(11), at(200));
        milestones.note(later(12), at(300));
        assert_eq!(milestones.lag(later(15), &at(150)), Some(Duration::from_secs(4)));
        assert_eq!(milestones.lag(later(15), &at(200)), Some(Duration::from_secs(3)));
    }

    #[tokio::test]
    async fn a_server_that_answers_nothing_is_a_lost_connection() {
        for side in [Side::Source, Side::Target] {
            let never = std::future::pending::<Result<(), Fault>>();
            let fault = answered(side, Duration::from_millis(1), never).await.expect_err("no answer");
            assert_eq!(fault.code, Code::ConnectionLost(side));
        }
    }

    #[test]
    fn a_long_lag_keeps_its_oldest_milestone() {
        let (mut milestones, start) = (Milestones { known: true, ..Milestones::default() }, Instant::now());
        for second in 0..10_000_u64 {
            milestones.note(start + Duration::from_secs(second), at(second + 10));
        }
        assert!(milestones.ahead.len() <= SAMPLES);
        assert_eq!(milestones.lag(start + Duration::from_secs(10_000), &at(4)), Some(Duration::from_secs(10_000)));
    }
}
