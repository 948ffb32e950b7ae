//! Our own tables on the target: created, read and taken over here.

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Row};

use super::pipeline::Pipeline;
use super::{diagnose, run};
use crate::checkpoint::{Checkpoint, StoredCheckpoint};
use crate::conn::ask;
use crate::fault::{Code, Fault, Side};
use crate::model::gtid::GtidSet;
use crate::model::position::{FilePosition, Mark};
use crate::model::table::TableName;
use crate::model::xid::{Prepared, Xid};
use crate::sql::document;
use crate::sql::prepared as sql_prepared;
use crate::sql::quoted;
use crate::sql::state as sql;
use crate::sql::statement::{Expect, Statement};

/// How far a table's copy has come, as the ledger has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CopyState {
    Pending,
    /// Rows up to the chunks in the ledger are there; `upto` is where the copy ends.
    Copying {
        upto: Vec<u8>,
    },
    Copied {
        mark: Mark,
    },
    /// Copied whole at exactly this position.
    Snapshot {
        mark: Mark,
    },
    /// Copied, and the stream has passed its mark, on a server that has been left since.
    Strict,
    /// No longer selected: its changes are passed over.
    Excluded,
}

/// A line of the ledger.
#[derive(Debug, Clone)]
pub struct TableLine {
    pub name: TableName,
    pub state: CopyState,
    pub rows: u64,
    pub bytes: u64,
}

/// Creates what is missing. Nothing of ours is ever altered here: formats are versioned in the checkpoint.
pub async fn create(conn: &mut Conn) -> Result<(), Fault> {
    let kinds = document::create_kinds();
    let all: Vec<&str> = sql::CREATE.into_iter().chain([kinds.as_str()]).collect();
    run(conn, all.join("; ")).await.map_err(|fault| fault.at("creating the database polarferry"))
}

/// Whether a task of this name has a checkpoint; without creating anything.
pub async fn exists(conn: &mut Conn, task: &str) -> Result<bool, Fault> {
    if !has_ours(conn, "checkpoint").await? {
        return Ok(false);
    }
    let query = format!("SELECT COUNT(*) FROM `polarferry`.`checkpoint` WHERE `task`={}", quoted(task));
    let rows: Option<u64> = conn.query_first(query).await.map_err(|error| diagnose(&error))?;
    Ok(rows.unwrap_or(0) > 0)
}

/// Whether one of our own tables has been created.
async fn has_ours(conn: &mut Conn, table: &str) -> Result<bool, Fault> {
    let query = format!(
        "SELECT COUNT(*) FROM information_schema.TABLES WHERE TABLE_SCHEMA='polarferry' AND TABLE_NAME={}",
        quoted(table)
    );
    let tables: Option<u64> = conn.query_first(query).await.map_err(|error| diagnose(&error))?;
    Ok(tables.unwrap_or(0) > 0)
}

/// The account's grants, as the server prints them.
pub async fn grants(conn: &mut Conn) -> Result<Vec<String>, Fault> {
    conn.query("SHOW GRANTS").await.map_err(|error| diagnose(&error))
}

fn unreadable(detail: impl Into<String>) -> Fault {
    Fault::new(Code::CheckpointUnreadable, detail)
}

/// Reads the checkpoint under its row lock, in a transaction that stays open: one that moves it has ended when this returns, one way or
/// the other.
async fn lock(conn: &mut Conn, task: &str) -> Result<Option<Checkpoint>, Fault> {
    let [_, rows] = ask(Side::Target, conn, [b"START TRANSACTION", sql::load_checkpoint(task).as_bytes()]).await?;
    checkpoint(rows)
}

/// The same, and lets it go.
pub(super) async fn settled(conn: &mut Conn, task: &str) -> Result<Option<Checkpoint>, Fault> {
    let load = sql::load_checkpoint(task);
    let [_, rows, _] = ask(Side::Target, conn, [b"START TRANSACTION", load.as_bytes(), b"ROLLBACK"]).await?;
    checkpoint(rows)
}

fn checkpoint(rows: Vec<Row>) -> Result<Option<Checkpoint>, Fault> {
    let Some(mut row) = rows.into_iter().next() else { return Ok(None) };
    let stored = StoredCheckpoint {
        format: take(&mut row, "format")?,
        epoch: take(&mut row, "epoch")?,
        sequence: take(&mut row, "sequence")?,
        phase: take(&mut row, "phase")?,
        source_uuid: take(&mut row, "source_uuid")?,
        gtid_set: take(&mut row, "gtid_set")?,
        file: take(&mut row, "file")?,
        offset: take(&mut row, "position")?,
        committed_at_micros: take(&mut row, "committed_at")?,
    };
    Checkpoint::decode(stored).map(Some).map_err(|error| unreadable(error.to_string()))
}

fn take<T: mysql_async::prelude::FromValue>(row: &mut Row, column: &str) -> Result<T, Fault> {
    row.take_opt::<T, _>(column)
        .and_then(Result::ok)
        .ok_or_else(|| unreadable(format!("column {column} of polarferry's tables holds what this version cannot read")))
}

/// Takes the task over: raises the epoch, so that whoever held it can write no more. `None` when the task is new.
pub async fn take_over(conn: &mut Conn, task: &str) -> Result<Option<Checkpoint>, Fault> {
    let Some(mut checkpoint) = lock(conn, task).await? else {
        run(conn, "ROLLBACK").await?;
        return Ok(None);
    };
    if checkpoint.phase.is_terminal() {
        let detail = format!("task {task} is {}", checkpoint.phase.as_str());
        return Err(Fault::new(Code::Fenced, detail));
    }
    let raise = [sql::raise_epoch(task, checkpoint.epoch), sql::raise_table_epochs(task, checkpoint.epoch + 1)];
    let [checkpoint_row, tables] = raise.each_ref().map(String::as_bytes);
    ask(Side::Target, conn, [checkpoint_row, tables, b"COMMIT"]).await?;
    checkpoint.epoch += 1;
    Ok(Some(checkpoint))
}

/// Looks whether the epoch is still the one that we took.
pub async fn still_ours(conn: &mut Conn, task: &str, epoch: u64) -> Result<(), Fault> {
    let found: Option<u64> = conn.query_first(sql::load_epoch(task)).await.map_err(|error| diagnose(&error))?;
    if found == Some(epoch) {
        return Ok(());
    }
    Err(Fault::new(Code::Fenced, format!("the task's epoch is no longer {epoch}: another instance has taken it over")))
}

/// The server's number for a key that is there already.
const DUPLICATE: u16 = 1062;

/// Writes a new task's checkpoint and ledger, all or nothing.
pub async fn begin(conn: &mut Conn, task: &str, checkpoint: &Checkpoint, tables: &[TableName]) -> Result<(), Fault> {
    run(conn, "START TRANSACTION").await?;
    conn.query_drop(sql::insert_checkpoint(task, checkpoint)).await.map_err(|error| match &error {
        mysql_async::Error::Server(server) if server.code == DUPLICATE => {
            Fault::new(Code::Fenced, format!("another instance has begun the task {task} a moment ago"))
        }
        _ => diagnose(&error),
    })?;
    let line = |name| Statement::of_ours(sql::insert_table(task, checkpoint.epoch, name), Expect::Exactly(1));
    let lines: Vec<Statement> = tables.iter().map(line).collect();
    let mut pipeline = Pipeline::new(conn);
    for line in &lines {
        pipeline.push(line).await?;
    }
    pipeline.flush().await?;
    run(conn, "COMMIT").await
}

/// The tables that other tasks carry, with their tasks; without creating anything.
pub async fn carried_by_others(conn: &mut Conn, task: &str) -> Result<Vec<(String, TableName)>, Fault> {
    if has_ours(conn, "tables").await? { carried(conn, task).await } else { Ok(Vec::new()) }
}

/// The same, where our tables have been created.
pub async fn carried(conn: &mut Conn, task: &str) -> Result<Vec<(String, TableName)>, Fault> {
    let rows: Vec<(String, String, String)> = conn.query(sql::load_carried(task)).await.map_err(|error| diagnose(&error))?;
    Ok(rows.into_iter().map(|(task, schema, table)| (task, TableName { schema, table })).collect())
}

/// What the target knows of a task besides its checkpoint.
#[derive(Debug)]
pub struct Ledger {
    pub tables: Vec<TableLine>,
    /// XA transactions of the source that were not decided at the checkpoint.
    pub prepared: Vec<Prepared>,
    /// How many rows are recorded as different from the source's.
    pub drift: u64,
}

pub async fn ledger(conn: &mut Conn, task: &str) -> Result<Ledger, Fault> {
    let questions = [sql::load_tables(task), sql_prepared::load(task), sql::count_drift(task)];
    let [tables, prepared, drift] = ask(Side::Target, conn, questions.each_ref().map(String::as_bytes)).await?;
    Ok(Ledger {
        tables: tables.into_iter().map(table_line).collect::<Result<_, _>>()?,
        prepared: prepared.into_iter().map(prepared_line).collect::<Result<_, _>>()?,
        drift: drift.first().and_then(|row| row.get_opt(0)).and_then(Result::ok).ok_or_else(|| unreadable("the drift"))?,
    })
}

fn table_line(mut row: Row) -> Result<TableLine, Fault> {
    let name = TableName { schema: take(&mut row, "schema_name")?, table: take(&mut row, "table_name")? };
    let state: String = take(&mut row, "state")?;
    let mark = Mark {
        server_uuid: take::<Option<String>>(&mut row, "mark_uuid")?.unwrap_or_default(),
        file: FilePosition {
            file: take::<Option<String>>(&mut row, "mark_file")?.unwrap_or_default(),
            offset: take::<Option<u64>>(&mut row, "mark_position")?.unwrap_or_default(),
        },
    };
    let state = match state.as_str() {
        "pending" => CopyState::Pending,
        "copying" => CopyState::Copying { upto: take::<Option<Vec<u8>>>(&mut row, "upto")?.unwrap_or_default() },
        "copied" => CopyState::Copied { mark },
        "snapshot" => CopyState::Snapshot { mark },
        "strict" => CopyState::Strict,
        "excluded" => CopyState::Excluded,
        other => return Err(unreadable(format!("{name} has the unknown state {other:?}"))),
    };
    Ok(TableLine { name, state, rows: take(&mut row, "rows_copied")?, bytes: take(&mut row, "bytes_copied")? })
}

fn prepared_line(mut row: Row) -> Result<Prepared, Fault> {
    let xid = Xid { gtrid: take(&mut row, "gtrid")?, bqual: take(&mut row, "bqual")?, format: take(&mut row, "format_id")? };
    let gtid: String = take(&mut row, "gtid")?;
    let gtids = GtidSet::parse(&gtid)
        .map_err(|error| Fault::new(Code::CheckpointUnreadable, error.to_string()).at("polarferry.prepared"))?;
    let begins = FilePosition { file: take(&mut row, "file")?, offset: take(&mut row, "position")? };
    Ok(Prepared { xid, gtids, begins, replaces: false })
}

/// The ranges that the ledger has for a table, as (after, upto].
pub async fn chunks(conn: &mut Conn, task: &str, name: &TableName) -> Result<Vec<(Option<Vec<u8>>, Vec<u8>)>, Fault> {
    conn.query(sql::load_chunks(task, name)).await.map_err(|error| diagnose(&error))
}
