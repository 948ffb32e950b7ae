//! The fence: proof that everything we have applied, or skipped as older than our start, is visible to reads that begin now.
//!
//! Why it is needed: MySQL hands a transaction to replicas when its binlog is written, and makes it visible when the engine has
//! committed it, a moment later (or much later: semi-synchronous replication waits in between). A chunk read in that moment would
//! miss changes that the stream will not bring again.
//!
//! **With GTIDs**: a GTID enters `gtid_executed` after the engine's commit. So: applied ⊆ `gtid_executed`.
//!
//! **Without**: transactions become visible in the order of the binlog (`binlog_order_commits`, the default; the precheck demands
//! it). So the *last* change to a table of ours at or before the position is proof for all before it. Its row is locked until
//! its transaction has committed; a locking read of this one row by its key therefore returns only after that. The last change is
//! found by reading the position's own file from its start: a server rotates to a new file only when every transaction of the
//! old one is committed. No privilege beyond SELECT is needed, no table is locked, and the lock on the one row lasts for the
//! length of one read: in a SERIALIZABLE transaction a plain SELECT locks, on every version and without further rights.
//!
//! **XA**: the rows of a transaction that is merely prepared are locked, and are no change yet; the assembler gives them out at the
//! place of its XA COMMIT. An XA COMMIT that comes from another session than the PREPARE (after a reconnect, or from a transaction
//! manager) is written to the binlog first and carried out by the engine right after it, outside of the order above, and its GTID may
//! be in `gtid_executed` a moment before. So without GTIDs each XA COMMIT in the file has its own row waited for; in both cases the
//! pause of [`SETTLE`] follows.
//!
//! 5.7 releases a transaction's row locks a few instructions before the transaction leaves the list of active ones; the pause of
//! [`SETTLE`] is many thousand times as long.
//!
//! A change whose layout no longer fits the table was followed by DDL, which waits for all transactions on the table: proof, too.

use std::time::{Duration, Instant};

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, IsolationLevel, TxOpts};

use super::binlog::{self, FILE_START, Silences, Start};
use super::facts::{self, Facts};
use crate::conn::{self, Endpoint, Purpose, diagnose};
use crate::fault::{Code, Fault, Side};
use crate::model::change::{Change, Rows, StreamItem};
use crate::model::event::{Event, Framed};
use crate::model::position::{FilePosition, Position};
use crate::model::table::{RowKey, Table};
use crate::sql::{dml, probe};
use std::sync::Arc;

/// How often `gtid_executed` is asked again.
const POLL: Duration = Duration::from_millis(50);
/// What is delivered is visible after a commit in the engine, and after a semi-synchronous replica's word: ten seconds by default.
const VISIBLE: Duration = Duration::from_secs(60);
/// See the header.
pub const SETTLE: Duration = Duration::from_millis(100);

/// Turns events into stream items; the conductor passes the stream's own assembler, so that there is one reading of events.
pub trait Assemble: Send {
    fn feed(&mut self, framed: Framed) -> Result<Option<StreamItem>, Fault>;
}

/// Returns when everything at or before `position` is visible. Cancel-safe: it changes nothing.
pub async fn pass(
    endpoint: &Endpoint,
    server_id: u32,
    facts: &Facts,
    position: &Position,
    silences: &Arc<Silences>,
    assemble: &mut impl Assemble,
) -> Result<(), Fault> {
    let mut conn = super::connect_to(endpoint, Purpose::Rows, &facts.uuid).await?;
    if facts.follows_gtids(position) {
        let deadline = Instant::now() + VISIBLE;
        while !facts::executed(&mut conn).await?.contains_all(&position.gtids) {
            if Instant::now() >= deadline {
                let detail = format!(
                    "the source does not have transactions that were applied, for {} s by now: its history was reset, or a crash took its end",
                    VISIBLE.as_secs()
                );
                return Err(Fault::new(Code::SourceChanged, detail));
            }
            tokio::time::sleep(POLL).await;
        }
    } else {
        for (table, key) in last_touches(endpoint, &facts.uuid, server_id, &position.file, silences, assemble).await? {
            wait_for_row(&mut conn, &table, &key).await?;
        }
    }
    tokio::time::sleep(SETTLE).await;
    Ok(())
}

/// A table and the key of a row of it.
type Touch = (Arc<Table>, Vec<u8>);

fn touch(rows: &Rows) -> Option<Touch> {
    let row = rows.changes.last().map(|change| match change {
        Change::Insert { after } | Change::Update { after, .. } => after,
        Change::Delete { before } => before,
    })?;
    let key = dml::key_of(&rows.table, rows.table.key_columns()?, row).ok()?;
    Some((Arc::clone(&rows.table), key))
}

/// The last change at or before `upto`, in its file, and the last one of each XA transaction that was committed there.
async fn last_touches(
    endpoint: &Endpoint,
    uuid: &str,
    server_id: u32,
    upto: &FilePosition,
    silences: &Arc<Silences>,
    assemble: &mut impl Assemble,
) -> Result<Vec<Touch>, Fault> {
    let start = FilePosition { file: upto.file.clone(), offset: FILE_START };
    let mut reader = binlog::open(endpoint, uuid, server_id, &Start::FileOnce(start), silences).await?;
    let (mut last, mut touches) = (None, Vec::new());
    while let Some(framed) = reader.next().await? {
        let rotated = matches!(&framed.event, Event::Rotate(next) if next.file != upto.file);
        if rotated || framed.end > upto.offset {
            break;
        }
        // What cannot be read here was followed by DDL: see the header.
        match assemble.feed(framed) {
            Ok(Some(StreamItem::Rows(rows))) => last = touch(&rows).or(last),
            Ok(Some(StreamItem::Decided { rows, .. })) => touches.extend(rows.iter().rev().find_map(touch)),
            Ok(Some(StreamItem::Commit(_) | StreamItem::Prepared(..)) | None) | Err(_) => {}
        }
    }
    reader.close().await;
    touches.extend(last);
    Ok(touches)
}

/// Waits until no transaction holds the row, or the place where it was. After a fault the session is still in a transaction, and
/// [`super::HOLDING`].
pub async fn wait_for_row(conn: &mut Conn, table: &Table, key: &[u8]) -> Result<(), Fault> {
    let RowKey::Key(row_key) = &table.row_key else { return Ok(()) };
    let place = |error: &mysql_async::Error| diagnose(Side::Source, error).at(&table.name);
    super::run(conn, super::HOLDING).await?;
    let mut options = TxOpts::new();
    options.with_isolation_level(IsolationLevel::Serializable);
    let mut transaction = conn.start_transaction(options).await.map_err(|error| place(&error))?;
    transaction.query_drop(probe::one_row(table, row_key, key)).await.map_err(|error| place(&error))?;
    transaction.commit().await.map_err(|error| place(&error))?;
    super::run(conn, conn::IDLE).await
}
