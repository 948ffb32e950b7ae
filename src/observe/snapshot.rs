//! One picture of the task, which every reader shares.
//!
//! `/status`, the status page, `polarferry status`, `sd_notify STATUS=` and the gauges of
//! `/metrics` are all renderings of one [`Snapshot`]; none of them asks the data path anything of
//! its own. So two of them taken from the same snapshot cannot disagree, and looking costs the
//! data path nothing.
//!
//! Invariants:
//!
//! 1. **Unknown is not zero.** What has not been measured is `None` (JSON `null`): a lag of `0.0`
//!    says "caught up", and nothing else may say it.
//! 2. **Times are Unix seconds** as `f64`, which is what Prometheus and browsers both read.
//! 3. **No row values.** Events and causes carry tables, positions and server codes only: this
//!    picture leaves through an unauthenticated `GET`.
//! 4. **Bounded**, tables aside: the events are a ring of [`EVENTS_KEPT`].
//!
//! The field names are the contract of `/status`. A reader of another version sees missing keys as
//! defaults and ignores new ones, so the command line can be older or newer than the daemon.

use std::collections::VecDeque;
use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use crate::model::Phase;
use crate::throttle::{Limits, Opening};

/// How many events are kept: some minutes of a restless night, and one screen of the page.
pub const EVENTS_KEPT: usize = 50;

/// Everything that can be seen of a task at one moment.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Snapshot {
    pub task: String,
    pub version: String,
    pub phase: Phase,
    /// When this process started.
    pub started_at: f64,
    /// When the data path last reported: an old value means that it hangs.
    pub updated_at: f64,
    /// Whether an operator has paused the task.
    pub paused: bool,
    pub source: Source,
    pub target: Target,
    /// The checkpoint: all up to here is committed on the target.
    pub applied: Position,
    /// Age of the newest applied change; `None` while unknown.
    pub lag_seconds: Option<f64>,
    /// Age of the newest change read from the source; `None` while unknown.
    pub read_lag_seconds: Option<f64>,
    /// Source transactions known and not yet applied; says nothing until `source.position` is known.
    pub backlog_transactions: u64,
    pub backlog_bytes: Option<u64>,
    /// All that the source committed before this moment is applied. Unlike a lag it stays true when nothing can be asked any more:
    /// now minus this is how far behind we are at the most, through an outage as well.
    pub caught_up_at: Option<f64>,
    /// When the checkpoint was last seen to move.
    pub checkpoint_at: Option<f64>,
    /// How long the source keeps its binlog; `None` also when it keeps it for good.
    pub retention_seconds: Option<f64>,
    /// How long until the source may purge the binlog that we need next.
    pub retention_remaining_seconds: Option<f64>,
    pub tables: Vec<TableProgress>,
    pub schema: SchemaTotals,
    pub copy: CopyTotals,
    pub stream: StreamTotals,
    pub retries: Retries,
    pub error: Option<Failure>,
    /// When the task stopped with `error`.
    pub failed_at: Option<f64>,
    pub throttle: Limits,
    /// How far `throttle.auto` lets the copy through, and why not further.
    pub copy_opening: Opening,
    /// Other tasks that keep their state on the same target.
    pub neighbours: Vec<String>,
    /// Rows known to differ between source and target.
    pub drift: u64,
    /// When a verification last finished; `None` means that drift has never been looked for.
    pub verified_at: Option<f64>,
    /// The last events, oldest first.
    pub events: VecDeque<Event>,
}

/// The Aurora end.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Source {
    /// `host:port`.
    pub endpoint: String,
    pub server_version: String,
    /// The newest position that the source is known to have.
    pub position: Position,
}

/// The PolarDB end.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Target {
    /// `host:port`.
    pub endpoint: String,
    pub server_version: String,
}

/// A place in the source's history; all empty while unknown.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Position {
    /// Empty when the source runs without GTIDs.
    pub gtid_set: String,
    pub file: String,
    pub pos: u64,
}

impl Position {
    /// Whether this names a place at all.
    pub fn is_known(&self) -> bool {
        !self.gtid_set.is_empty() || !self.file.is_empty()
    }
}

/// How far one table has come.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct TableProgress {
    /// `database.table`, as the target spells it.
    pub name: String,
    pub state: TableState,
    pub rows_copied: u64,
    /// From the source's statistics: may be half or double the truth.
    pub rows_estimated: u64,
    pub bytes_copied: u64,
}

/// What is being done for one table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TableState {
    /// No chunk has been copied.
    #[default]
    Pending,
    /// Chunks are being copied; the stream is replayed idempotently.
    Copying,
    /// Every chunk is copied; the stream has not yet passed the last high mark.
    Copied,
    /// Out of the overlap: the stream is applied strictly.
    Streaming,
}

impl TableState {
    pub const ALL: [TableState; 4] = [TableState::Pending, TableState::Copying, TableState::Copied, TableState::Streaming];

    pub const fn as_str(self) -> &'static str {
        match self {
            TableState::Pending => "pending",
            TableState::Copying => "copying",
            TableState::Copied => "copied",
            TableState::Streaming => "streaming",
        }
    }
}

/// How far the target's schema has come, since this process started; all zero when it was there before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct SchemaTotals {
    /// Tables that are to be there.
    pub tables: u64,
    /// Tables that are there.
    pub created: u64,
}

/// The copy as a whole, across restarts.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct CopyTotals {
    pub rows: u64,
    pub bytes: u64,
    pub rows_per_second: f64,
    /// Time until the copy is done; `None` while no rate is known, and when there is nothing to do.
    pub eta_seconds: Option<f64>,
}

/// The stream as a whole, since this process started.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct StreamTotals {
    pub transactions: u64,
    pub rows_inserted: u64,
    pub rows_updated: u64,
    pub rows_deleted: u64,
    pub batches: u64,
    pub transactions_per_second: f64,
    pub rows_per_second: f64,
    /// The tables that change most, those first.
    pub hottest: Vec<HotTable>,
}

/// How often a table changes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct HotTable {
    /// `database.table`.
    pub name: String,
    /// Row changes at the source, over the last minutes.
    pub changes_per_second: f64,
}

/// What was tried again.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Retries {
    pub source: u64,
    pub target: u64,
    /// The retry that is going on; `None` once the end answers again.
    pub last: Option<Retry>,
}

/// One retry: what failed, when it is tried next, and when we give up.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Retry {
    pub side: Side,
    pub class: RetryClass,
    pub cause: String,
    pub next_attempt_at: f64,
    pub window_ends_at: f64,
}

/// Which end of the ferry line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Side {
    Source,
    Target,
}

/// Which retry window counts: `[retry] connection_window` or `other_window`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RetryClass {
    Connection,
    Other,
}

/// Why the task stands still, in the operator's words.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Failure {
    pub code: String,
    pub message: String,
    /// What to do about it.
    pub remedy: String,
}

/// Something that happened, for a person.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Event {
    pub at: f64,
    pub level: Level,
    pub text: String,
}

/// How much an event matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    Info,
    Warn,
    Error,
}

impl Snapshot {
    /// Adds an event, dropping the oldest when the ring is full.
    pub fn push_event(&mut self, level: Level, text: impl Into<String>) {
        while self.events.len() >= EVENTS_KEPT {
            self.events.pop_front();
        }
        self.events.push_back(Event { at: unix_now(), level, text: text.into() });
    }

    /// What the source keeps, less what we are behind. A file is purged by the age of its end, and the file that we need ends after
    /// the place that we are at: so this is the least that is left.
    pub fn reckon_retention(&mut self, now: f64) {
        let reckon = |kept: f64, caught_up: f64| (kept - (now - caught_up).max(0.0)).max(0.0);
        self.retention_remaining_seconds = self.retention_seconds.zip(self.caught_up_at).map(|(kept, at)| reckon(kept, at));
    }

    /// Whether the source's position is that of now: it was asked, and both ends answer.
    pub fn is_in_sight(&self) -> bool {
        self.source.position.is_known() && self.retries.last.is_none()
    }

    /// Nothing is measured any more: what was measured last says nothing about now.
    pub fn forget_measures(&mut self) {
        (self.lag_seconds, self.read_lag_seconds, self.backlog_bytes) = (None, None, None);
        self.source.position = Position::default();
        (self.stream.transactions_per_second, self.stream.rows_per_second) = (0.0, 0.0);
        (self.copy.rows_per_second, self.copy.eta_seconds) = (0.0, None);
        self.stream.hottest.clear();
    }

    /// `Ok` when the task streams and applies; else the reason, for `/readyz` and for a person.
    pub fn readiness(&self) -> Result<(), String> {
        if let Some(failure) = &self.error {
            return Err(format!("stopped by error {}: {}; remedy: {}", failure.code, failure.message, failure.remedy));
        }
        if let Some(retry) = &self.retries.last {
            return Err(format!("trying again: {}", retry.cause));
        }
        match self.phase {
            Phase::Stream | Phase::Cutover if self.paused => Err("paused by an operator; remedy: POST /resume".to_owned()),
            Phase::Stream | Phase::Cutover => Ok(()),
            Phase::Precheck | Phase::Schema | Phase::Copy | Phase::Sealed | Phase::Failed => {
                Err(format!("phase is {}, ready means stream or cutover", self.phase))
            }
        }
    }
}

/// The wall clock in Unix seconds, to the millisecond: a reader wants no more, and so few digits
/// survive JSON exactly. A clock before 1970 reads as 0: it is only ever shown.
pub fn unix_now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_millis() as f64 / 1000.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_has_the_fields_of_the_contract() {
        let snapshot =
            Snapshot { tables: vec![TableProgress::default()], error: Some(Failure::default()), ..Snapshot::default() };
        let json = serde_json::to_value(&snapshot).expect("a snapshot serialises");
        for pointer in [
            "/task",
            "/version",
            "/phase",
            "/started_at",
            "/updated_at",
            "/schema/tables",
            "/schema/created",
            "/source/endpoint",
            "/source/server_version",
            "/source/position/gtid_set",
            "/source/position/file",
            "/source/position/pos",
            "/target/endpoint",
            "/target/server_version",
            "/applied/gtid_set",
            "/applied/file",
            "/applied/pos",
            "/lag_seconds",
            "/read_lag_seconds",
            "/backlog_transactions",
            "/backlog_bytes",
            "/caught_up_at",
            "/checkpoint_at",
            "/retention_seconds",
            "/retention_remaining_seconds",
            "/tables/0/name",
            "/tables/0/state",
            "/tables/0/rows_copied",
            "/tables/0/rows_estimated",
            "/tables/0/bytes_copied",
            "/copy/rows",
            "/copy/bytes",
            "/copy/rows_per_second",
            "/copy/eta_seconds",
            "/stream/transactions",
            "/stream/rows_inserted",
            "/stream/rows_updated",
            "/stream/rows_deleted",
            "/stream/batches",
            "/stream/transactions_per_second",
            "/stream/rows_per_second",
            "/stream/hottest",
            "/retries/source",
            "/retries/target",
            "/retries/last",
            "/error/code",
            "/error/message",
            "/error/remedy",
            "/failed_at",
            "/paused",
            "/throttle/copy_queries_per_second",
            "/throttle/copy_rows_per_second",
            "/throttle/copy_bytes_per_second",
            "/throttle/stream_rows_per_second",
            "/throttle/stream_bytes_per_second",
            "/throttle/auto",
            "/copy_opening/share",
            "/copy_opening/reason",
            "/neighbours",
            "/events",
            "/drift",
        ] {
            assert!(json.pointer(pointer).is_some(), "{pointer} is missing");
        }
        assert!(json["lag_seconds"].is_null(), "an unknown lag is null, not 0");
    }

    #[test]
    fn json_survives_a_round_trip_and_a_reader_of_another_version() {
        let mut snapshot = Snapshot { lag_seconds: Some(0.25), ..Snapshot::default() };
        snapshot.push_event(Level::Warn, "retrying");
        let text = serde_json::to_string(&snapshot).expect("a snapshot serialises");
        let back: Snapshot = serde_json::from_str(&text).expect("our own JSON parses");
        assert_eq!(back, snapshot);

        let other: Snapshot =
            serde_json::from_str(r#"{"task":"orders","new_key":1}"#).expect("missing keys are defaults, new keys are ignored");
        assert_eq!(other.task, "orders");
    }

    #[test]
    fn retention_runs_out_while_the_source_cannot_be_asked() {
        let mut snapshot = Snapshot { retention_seconds: Some(3600.0), ..Snapshot::default() };
        snapshot.reckon_retention(1000.0);
        assert_eq!(snapshot.retention_remaining_seconds, None, "how far behind we are is unknown");
        snapshot.caught_up_at = Some(1000.0);
        snapshot.lag_seconds = Some(0.0);
        snapshot.forget_measures();
        assert_eq!(snapshot.lag_seconds, None);
        for (now, left) in [(900.0, 3600.0), (1600.0, 3000.0), (9000.0, 0.0)] {
            snapshot.reckon_retention(now);
            assert_eq!(snapshot.retention_remaining_seconds, Some(left));
        }
    }

    #[test]
    fn the_ring_of_events_drops_the_oldest() {
        let mut snapshot = Snapshot::default();
        for number in 0..EVENTS_KEPT + 3 {
            snapshot.push_event(Level::Info, number.to_string());
        }
        assert_eq!(snapshot.events.len(), EVENTS_KEPT);
        assert_eq!(snapshot.events[0].text, "3");
    }

    #[test]
    fn ready_means_streaming_unpaused_and_without_retry_or_error() {
        for phase in Phase::ALL {
            let mut snapshot = Snapshot { phase, ..Snapshot::default() };
            let streams = matches!(phase, Phase::Stream | Phase::Cutover);
            assert_eq!(snapshot.readiness().is_ok(), streams, "{phase}");
            snapshot.paused = true;
            assert!(snapshot.readiness().is_err(), "{phase}, paused");
            snapshot.paused = false;
            snapshot.retries.last = Some(Retry {
                side: Side::Target,
                class: RetryClass::Connection,
                cause: "refused".to_owned(),
                next_attempt_at: 1.0,
                window_ends_at: 2.0,
            });
            assert!(snapshot.readiness().is_err(), "{phase}, retrying");
            snapshot.retries.last = None;
            snapshot.error = Some(Failure::default());
            assert!(snapshot.readiness().is_err(), "{phase}, error");
        }
    }
}
