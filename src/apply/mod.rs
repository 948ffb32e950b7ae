//! The applier: a single ordered lane that writes batches.
//!
//! A **batch** is a run of whole, consecutive source transactions, written as one target transaction that also moves the
//! checkpoint. The merger reads ahead and closes a batch when the writer is free to take it, or when a bound is hit; so batches
//! size themselves: one transaction when idle, thousands when behind. While one batch is written, the next waits rendered, and
//! the one after it is being merged.
//!
//! # Why it is right
//!
//! *Exactly once*: rows and checkpoint commit together ([`crate::target::writer`]); whatever fails, the stream starts again right
//! after the last committed batch. *Order*: there is one lane, and inside a batch only the last state of each key matters, since
//! nobody can see what lies between. The target shows only states that the source had at the end of one of its transactions.
//!
//! # Invariants
//!
//! 1. A part without an end is never committed. A transaction larger than the bounds is written in parts into one target
//!    transaction; memory stays bounded.
//! 2. Strict tables: the count that the server returns is exactly what the events imply; anything else is drift, which
//!    stops the task, or is repaired or recorded by policy ([`drift`]).
//! 3. Tables that are being copied, or have been copied past our position, are written idempotently, under their gate
//!    ([`crate::overlap`]).
//! 4. Where foreign keys act at the source and the binlog does not say so, they act here, at the same place in the order ([`family`]).
//!    Everywhere else no foreign key of the target does anything: the session runs with `foreign_key_checks=0`. It is switched on for
//!    single changes and off again in the same run of statements; whatever fails in between, the session is not used again.
//! 5. A whole batch whose COMMIT is due is never kept waiting: not for the next part, a pause, a pace, a gate or a stop.
//!
//! # Failure, line by line
//!
//! Reading breaks: the unfinished batch is dropped. Writing breaks before COMMIT: the server rolls back. At COMMIT: unknown, and
//! the checkpoint says which. Behind the COMMIT of the batch before, in one packet with it: that batch stands, and is reported. The
//! process dies: the server rolls back, or has committed, and the checkpoint says which. In each case the lane is rebuilt from the
//! checkpoint by the conductor; there is no second way.

mod cold;
pub mod drift;
pub mod family;
mod mend;
pub mod merge;
mod merger;
pub mod render;
mod undecided;
mod writing;

use std::collections::HashMap;
use std::ops::RangeInclusive;
use std::sync::Arc;

use crate::model::Bytes;
use crate::model::change::{Commit, KeyBytes};
use crate::model::drift::OnDrift;
use crate::model::table::TableName;
use crate::overlap::Overlap;
use mend::Kept;

pub use cold::Cold;
pub use merger::{Merger, merge};
pub use render::Output;
pub use undecided::Undecided;
pub use writing::{Writing, write};

/// Bounds undo and the time of one commit. At four row changes a transaction, as sysbench writes them, it
/// and `BATCH_TRANSACTIONS` are reached together.
pub const BATCH_ROWS: usize = 40_000;
pub const BATCH_ROWS_RANGE: RangeInclusive<usize> = 1..=1_000_000;

/// Three batches are in memory at once: one being written, one rendered, one being merged. A batch may exceed its bounds by one
/// transaction that is not larger than they are.
pub const BATCH_BYTES: Bytes = Bytes::mebi(16);
pub const BATCH_BYTES_RANGE: RangeInclusive<Bytes> = Bytes::kibi(64)..=Bytes::mebi(1024);

/// A target near by takes batches long before they are so large. With 30 ms to it, 60,000 transactions of sysbench's went in 14 batches
/// of at most 5,000, which took 1.96 s to execute and commit, and in 10 of at most 10,000, in 1.61 s.
pub const BATCH_TRANSACTIONS: usize = 10_000;
pub const BATCH_TRANSACTIONS_RANGE: RangeInclusive<usize> = 1..=1_000_000;

/// Sessions that read ahead of the writer where the target waits for its disks.
pub const PREFETCH: usize = 4;
pub const PREFETCH_RANGE: RangeInclusive<usize> = 0..=16;

/// Upper bounds of one batch; an idle target takes it long before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    pub batch_rows: usize,
    pub batch_bytes: Bytes,
    pub batch_transactions: usize,
    pub on_drift: OnDrift,
    pub prefetch: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            batch_rows: BATCH_ROWS,
            batch_bytes: BATCH_BYTES,
            batch_transactions: BATCH_TRANSACTIONS,
            on_drift: OnDrift::default(),
            prefetch: PREFETCH,
        }
    }
}

/// How many rows a part writes, by kind, after merging.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    pub inserts: u64,
    pub updates: u64,
    pub deletes: u64,
}

/// Keys of a table in overlap whose fate the part decides.
#[derive(Debug)]
pub struct Fates {
    pub overlap: Arc<Overlap>,
    pub absent: Vec<KeyBytes>,
    pub present: Vec<KeyBytes>,
}

/// A batch, or a piece of one that is larger than memory should hold.
#[derive(Debug)]
pub struct Part {
    /// Executed one after the other. More than one only where the order asks for it: see [`family`].
    pub writes: Vec<Output>,
    /// Sorted by table, so that gates are always taken in the same order.
    pub fates: Vec<Fates>,
    /// The last transaction in it; `None` in the middle of a transaction.
    pub end: Option<Commit>,
    pub transactions: u64,
    pub counts: Counts,
    /// XA transactions of the source that it leaves prepared, and those that it decides.
    pub undecided: Undecided,
    /// What `writes` was made of, where drift does not stop the task.
    pub kept: Option<Kept>,
    /// Row changes and bytes before merging: what throttles count.
    pub changes: u64,
    pub bytes: u64,
    /// The changes by table.
    pub heat: HashMap<TableName, u64>,
    /// Its statements say what to read ahead of them.
    pub ahead: bool,
}
