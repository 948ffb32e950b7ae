//! The binlog's events in our words: what the source's door hands to the stream.

use std::sync::Arc;

use super::gtid::Gtid;
use super::image::{ImageError, Layout};
use super::position::FilePosition;
use super::table::TableName;
use super::xid::XaEnd;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RowsKind {
    Insert,
    Update,
    /// An update whose images after it may hold changes of documents instead of documents.
    PartialUpdate,
    Delete,
}

/// The rows of one event, not yet split.
#[derive(Debug)]
pub struct RowsEvent {
    pub table_id: u64,
    pub kind: RowsKind,
    /// How many columns each image has, when they are the first ones of the table map; `None` when there are gaps.
    pub columns: Option<usize>,
    /// See [`super::change::Rows`].
    pub keys_act: bool,
    pub data: Arc<[u8]>,
}

#[derive(Debug)]
pub enum Event {
    Rotate(FilePosition),
    /// A transaction begins. Its GTID, if it has one, and its commit time in microseconds, if the source says it.
    Begin {
        gtid: Option<Gtid>,
        at_micros: Option<u64>,
    },
    TableMap {
        id: u64,
        name: TableName,
        layout: Result<Arc<Layout>, ImageError>,
    },
    Rows(RowsEvent),
    Query {
        schema: String,
        sql: String,
    },
    Commit,
    /// The end of a group that prepares an XA transaction, or commits one in one phase.
    XaPrepare(XaEnd),
    /// The source lives and has nothing for us.
    Heartbeat,
    /// Known, and without effect on rows.
    Nothing,
    Unsupported(String),
}

/// An event, where it ends, and when it was written (seconds since 1970, by the source's clock).
#[derive(Debug)]
pub struct Framed {
    pub event: Event,
    pub end: u64,
    pub timestamp: u32,
    pub bytes: usize,
}
