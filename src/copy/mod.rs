//! The full copy, while the stream is being applied.
//!
//! What arrives: tables, their ledger lines, and the meeting place of each with the stream. What leaves: rows on the target, a line
//! in the ledger for every chunk, and, for each table, the source position (its *mark*) that the stream must pass before the
//! table's events are strict.
//!
//! # Why it is right
//!
//! The argument is [`crate::overlap`]'s: a chunk only fills in what the stream has not touched. It needs three things from
//! here. (1) The fence was passed before the first read of this process ([`crate::source::fence`]): the conductor sees to it.
//! (2) Each read is registered before it begins and until its rows are written ([`Overlap::open_read`]). (3) The look at the
//! buried keys, the insert and the commit happen under the table's gate. And it is checked: a row that was left out for a unique
//! value, and that the stream does not bring, stops the task before its range gets a line in the ledger.
//!
//! *Ranges tile the key space*: they are half-open, each begins where the last ended, and the server computes and compares the
//! bounds ([`crate::sql::probe`]). The last ends at the last key of the moment when the copy began; later rows come by the stream.
//! *The mark* is the source's position read after the last SELECT: what a read has seen lies before it.
//!
//! # Failure
//!
//! A chunk's rows and its ledger line commit together, in one or several transactions, of which the last has the line. A crash anywhere leaves either the line or a range that is read again, and reading a range again changes nothing.
//! Deadlocks are tried again here, as a whole transaction; everything else ends the copy, and the conductor starts it again from
//! the ledger. A table without a row key has no ranges, one with a unique index over parts of columns has rows that nobody can tell
//! to collide ([`Table::is_copied_whole`]), and a family of tables ([`crate::model::family`]) must be of one moment: each is copied as
//! one snapshot under a short table lock, and from its start when interrupted ([`snapshot`]).
//!
//! # What was chosen
//!
//! `LOAD DATA LOCAL` where the target takes it and the columns' types allow it (`target::load` says why that is exact), else multi-row
//! INSERT with `ON DUPLICATE KEY UPDATE`; both keep the row which is there. On [`Settings::connections`] connections.

pub mod plan;
mod progress;
mod snapshot;
mod worker;

use std::collections::{BTreeMap, VecDeque};
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;

use crate::conn::Endpoint;
use crate::fault::{Code, Fault};
use crate::model::Bytes;
use crate::model::family::Families;
use crate::model::position::{FilePosition, Mark};
use crate::model::table::Table;
use crate::observe::Observer;
use crate::overlap::{Overlap, Reach};
use crate::source;
use crate::source::facts::{self, Facts};
use crate::source::rows::Form;
use crate::sql::dml::Shapes;
use crate::throttle::{Limits, Opening};
use plan::Plan;
pub use progress::Progress;

/// Enough to hide the round trips, few enough to leave a small writer instance to its application.
pub const CONNECTIONS: usize = 4;
pub const CONNECTIONS_RANGE: RangeInclusive<usize> = 1..=64;

/// The first chunk of a table; `chunk_target` sizes the ones after it, so a wrong first guess costs one chunk.
pub const CHUNK_ROWS: usize = 10_000;
pub const CHUNK_ROWS_RANGE: RangeInclusive<usize> = 10..=1_000_000;

/// Bounds memory for wide rows: `connections` times this is in flight.
pub const CHUNK_BYTES: Bytes = Bytes::mebi(8);
pub const CHUNK_BYTES_RANGE: RangeInclusive<Bytes> = Bytes::kibi(64)..=Bytes::mebi(1024);

/// Below a second, so that a batch waiting at the table's gate is not seen as lag.
pub const CHUNK_TARGET: Duration = Duration::from_millis(700);
pub const CHUNK_TARGET_RANGE: RangeInclusive<Duration> = Duration::from_millis(50)..=Duration::from_secs(60);

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Chunks read at the same time, over all tables.
    pub connections: usize,
    /// Rows in a table's first chunk.
    pub chunk_rows: usize,
    /// Upper bound of one chunk in memory.
    pub chunk_bytes: Bytes,
    /// How long one chunk should take; chunk sizes follow it.
    pub chunk_target: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self { connections: CONNECTIONS, chunk_rows: CHUNK_ROWS, chunk_bytes: CHUNK_BYTES, chunk_target: CHUNK_TARGET }
    }
}

impl Settings {
    /// A chunk is read and written in pieces, so that the rows being read, waiting and being written are less than `chunk_bytes`
    /// (without their keys and places).
    fn form(&self, shapes: &Shapes) -> Form {
        Form { piece: self.chunk_bytes.in_memory() / 4, documents_as_lines: shapes.documents_as_lines() }
    }
}

/// A table that is still to be copied, in whole or in part.
#[derive(Debug, Clone)]
pub struct Pending {
    pub table: Arc<Table>,
    pub overlap: Arc<Overlap>,
    pub rows_estimated: u64,
    /// The key at which the copy ends, when it has begun before.
    pub upto: Option<Vec<u8>>,
}

/// What the copy works with.
#[derive(Debug, Clone)]
pub struct Copying {
    pub source: Endpoint,
    pub target: Endpoint,
    pub facts: Arc<Facts>,
    pub task: String,
    pub epoch: u64,
    pub settings: Settings,
    pub limits: watch::Receiver<Limits>,
    pub opening: watch::Receiver<Opening>,
    pub paused: watch::Receiver<bool>,
    pub observer: Observer,
    pub progress: Arc<Progress>,
    pub families: Arc<Families>,
    /// How far the stream has come; `None` without one.
    pub reach: Option<Reach>,
    /// See [`crate::target::writer::Writer::loads`].
    pub loads: Option<usize>,
}

impl Copying {
    /// What the stream must pass: the source's position, read on this session. Without a stream there may be no binary log; the mark is
    /// then of no server, and a stream that is added later sets it.
    async fn mark(&self, conn: &mut source::Conn) -> Result<Mark, Fault> {
        if self.reach.is_none() {
            return Ok(Mark { server_uuid: String::new(), file: FilePosition::default() });
        }
        let position = facts::position(&self.facts, conn).await?;
        Ok(Mark { server_uuid: self.facts.uuid.clone(), file: position.file })
    }
}

/// The tables that are copied range by range, and those that are copied as snapshots: families, and each other one that is copied whole.
fn grouped(pending: Vec<Pending>, families: &Families) -> (Vec<Pending>, Vec<Vec<Pending>>) {
    let (mut keyed, mut alone, mut together) = (Vec::new(), Vec::new(), BTreeMap::<usize, Vec<Pending>>::new());
    for pending in pending {
        match families.of(&pending.table.name) {
            Some(family) => together.entry(family).or_default().push(pending),
            None if pending.table.is_copied_whole() => alone.push(vec![pending]),
            None => keyed.push(pending),
        }
    }
    (keyed, together.into_values().chain(alone).collect())
}

/// Copies every pending table. Dropping the future is safe at any point: what is not committed is rolled back by the target.
pub async fn copy(copying: Copying, pending: Vec<Pending>) -> Result<(), Fault> {
    let (keyed, groups) = grouped(pending, &copying.families);
    // The stream waits at the first event of such a table until its snapshot stands: these go first.
    let mut refused = VecDeque::new();
    for group in groups {
        if !snapshot::copy(&copying, &group).await? {
            refused.push_back(group);
        }
    }
    let plan = Arc::new(Plan::load(&copying, keyed).await?);
    let turn = Arc::new(Notify::new());
    let mut workers = JoinSet::new();
    if !refused.is_empty() {
        workers.spawn(snapshot::insist(copying.clone(), refused));
    }
    for number in 1..=copying.settings.connections {
        workers.spawn(worker::work(number, copying.clone(), Arc::clone(&plan), Arc::clone(&turn)));
    }
    while let Some(ended) = workers.join_next().await {
        ended.map_err(|error| Fault::new(Code::Internal, format!("a copy worker ended: {error}")))??;
    }
    Ok(())
}
