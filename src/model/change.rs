//! What arrives from the source, in order: changes to rows, grouped by the source's own commits.

use std::sync::Arc;

use super::image::RowImage;
use super::position::{FilePosition, Position};
use super::table::Table;
use super::xid::{Prepared, Xid};

/// A row key as the literals of its columns: the same bytes for the same stored value, from the stream and from the copy.
pub type KeyBytes = Box<[u8]>;

/// What one row event does to one row. Images are complete.
#[derive(Debug, Clone)]
pub enum Change {
    Insert { after: RowImage },
    Update { before: RowImage, after: RowImage },
    Delete { before: RowImage },
}

/// The rows of one event, all of one table.
#[derive(Debug)]
pub struct Rows {
    pub table: Arc<Table>,
    pub changes: Vec<Change>,
    /// Bytes of the event, for bounds and rates.
    pub bytes: usize,
    /// The session had `foreign_key_checks` on: what foreign keys do by themselves, they have done.
    pub keys_act: bool,
    /// The end of the event.
    pub at: FilePosition,
}

impl Rows {
    /// What they take in memory: beside its bytes each change has a place in the list.
    pub fn weight(&self) -> usize {
        self.bytes + self.changes.len() * size_of::<Change>()
    }
}

/// The end of a source transaction: its XID, COMMIT, or the end of a statement that commits itself.
#[derive(Debug, Clone, PartialEq)]
pub struct Commit {
    /// The position after it, its GTID included.
    pub position: Position,
    /// When the source committed it, in microseconds since 1970 by the source's clock.
    pub at_micros: u64,
}

/// The stream, item by item. A transaction is a run of `Rows` closed by a `Commit`; one without rows of ours is only a `Commit`.
#[derive(Debug)]
pub enum StreamItem {
    Rows(Rows),
    Commit(Commit),
    /// An XA transaction is prepared: its rows are held back until it is decided.
    Prepared(Prepared, Commit),
    /// A whole XA transaction: its rows, none of which came before. `prepared` is the name under which it was held back; without
    /// one it was prepared and committed in one phase. A rollback is one without rows.
    Decided {
        prepared: Option<Xid>,
        rows: Vec<Rows>,
        commit: Commit,
    },
}

impl StreamItem {
    /// The end of the source transaction that this item closes, if it does.
    pub fn commit(&self) -> Option<&Commit> {
        match self {
            Self::Rows(_) => None,
            Self::Commit(commit) | Self::Prepared(_, commit) | Self::Decided { commit, .. } => Some(commit),
        }
    }

    /// What its rows take in memory.
    pub fn weight(&self) -> usize {
        match self {
            Self::Rows(rows) => rows.weight(),
            Self::Commit(_) | Self::Prepared(..) => 0,
            Self::Decided { rows, .. } => rows.iter().map(Rows::weight).sum(),
        }
    }
}
