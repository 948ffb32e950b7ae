//! Tables that are copied as one consistent snapshot at an exact source position: one without a row key or with a unique index over
//! parts of columns, and a family ([`crate::model::family`]).
//!
//! A lock on the tables, for as long as it takes to read a position and open a snapshot, makes both agree: `LOCK TABLES … READ` is
//! granted when every transaction that wrote to one of them has committed, and while it is held none can begin to
//! ([`LOCK_PATIENCE`]). So the rows of the snapshot are exactly the events up to the position; later events are applied strictly,
//! earlier ones left out. The stream waits at a table's first event until the snapshot stands.
//!
//! *Families.* What foreign keys did is in no event, so copy and stream cannot overlap: a child that was read late lacks what a
//! parent's delete took away, and nothing tells whether the delete, repeated, will find it. All members are locked by one statement and
//! read in one snapshot; so at the mark the whole family stands as it stood at the source, which is where the windows of
//! `apply::family` begin. 5.7 takes no lock on a table into which a key acts; but whoever made it act wrote to its parent, which
//! is a member, too, and held a lock on that.
//!
//! Documents are read twice: first to learn where in them there are leaves whose types their text does not tell, then together
//! with these types, in the same snapshot; no row could be asked about later without leaving it.
//!
//! Such a copy cannot go on after an interruption: the snapshot is gone, and rows without a key cannot be recognised. What an earlier
//! try left behind is deleted, and the copy starts again, for a family as a whole. Only the last step, the ledger's lines with the
//! position, makes it count: one transaction for all members, so that no crash leaves them at different marks.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::sync::mpsc;

use super::worker::inserts;
use super::{CONNECTIONS_RANGE, Copying, Pending};
use crate::conn::Purpose;
use crate::fault::{Class, Code, Fault};
use crate::model::position::Mark;
use crate::model::table::{Table, TableName};
use crate::observe::snapshot::{Level, RetryClass, Side, TableState};
use crate::overlap::Stage;
use crate::source::documents::Documents;
use crate::source::{self, rows};
use crate::sql::dml::Shapes;
use crate::sql::inserts::Collision;
use crate::sql::{probe, qualified};
use crate::target::chunk::{Fill, Ledger, Whole};
use crate::target::{self, session};

/// In seconds; a server that has a long transaction open on the table is left alone after this.
///
/// In a transaction of its own InnoDB takes a lock, too, and so waits also for what the server's own lock does not see on 5.7: a prepared
/// XA transaction whose client has gone, which may be in the binary log and not yet in the engine; and what a foreign key changes.
const LOCK_PATIENCE: &str = "SET SESSION lock_wait_timeout=2, innodb_lock_wait_timeout=2, innodb_table_locks=1, autocommit=0";

/// The name of the session: after those of the workers.
const SNAPSHOT: usize = session::NAMES - 1;
const _: () = assert!(SNAPSHOT > *CONNECTIONS_RANGE.end(), "each worker has a name of its own");

/// Between two attempts at the same lock, in which the application's writers are left alone.
const AGAIN: Duration = Duration::from_secs(5);

/// Copies the tables whose lock was not to be had, as often as it takes; the other tables are copied meanwhile.
pub async fn insist(copying: Copying, mut refused: VecDeque<Vec<Pending>>) -> Result<(), Fault> {
    while let Some(group) = refused.pop_front() {
        tokio::time::sleep(AGAIN).await;
        if !copy(&copying, &group).await? {
            refused.push_back(group);
        }
    }
    Ok(())
}

fn names(group: &[Pending]) -> String {
    group.iter().map(|pending| pending.table.name.to_string()).collect::<Vec<_>>().join(", ")
}

/// The lock was refused: said, and counted as what it is.
fn note_refusal(copying: &Copying, group: &[Pending], fault: &Fault) {
    let names = names(group);
    tracing::warn!(tables = %names, %fault, "a transaction at the source holds them, and their stream stands still; trying again");
    copying.observer.metrics().retries.of(Side::Source, RetryClass::Other).inc();
    copying.observer.update(|snapshot| {
        if snapshot.retries.source == 0 {
            snapshot.push_event(Level::Warn, format!("{names}: waiting for the end of a transaction at the source"));
        }
        snapshot.retries.source += 1;
    });
}

/// Copies a table that is copied whole, or a family; false when the lock was not to be had.
pub async fn copy(copying: &Copying, group: &[Pending]) -> Result<bool, Fault> {
    let mut target = target::connect(&copying.target, Purpose::Rows).await?;
    session::mark(&mut target, &copying.task, SNAPSHOT).await?;
    for Pending { table, .. } in group {
        copying.entered(&table.name, TableState::Copying);
        ledger(copying, table, &mut target).restarted().await?;
    }
    let mut reader = source::connect_to(&copying.source, Purpose::Rows, &copying.facts.uuid).await?;
    let mark = match open_snapshot(copying, group, &mut reader).await {
        Ok(mark) => mark,
        Err(fault) if fault.code.class() == Some(Class::Other) => {
            note_refusal(copying, group, &fault);
            return Ok(false);
        }
        Err(fault) => return Err(fault),
    };
    for Pending { table, .. } in group {
        fill(copying, table, &mut reader, &mut target).await?;
    }
    let tables: Vec<&TableName> = group.iter().map(|pending| &pending.table.name).collect();
    target::chunk::stand(&mut target, &copying.task, copying.epoch, &tables, &mark).await?;
    copying.progress.make();
    for Pending { table, overlap, .. } in group {
        overlap.enter(Stage::Snapshot(mark.clone()));
        copying.entered(&table.name, TableState::Streaming);
    }
    tracing::info!(tables = %names(group), "copied as a snapshot");
    Ok(true)
}

fn ledger<'a>(copying: &'a Copying, table: &'a Table, conn: &'a mut target::Conn) -> Ledger<'a> {
    Ledger { conn, task: &copying.task, epoch: copying.epoch, table: &table.name }
}

/// Opens the reader's snapshot at the position that is returned.
async fn open_snapshot(copying: &Copying, group: &[Pending], reader: &mut source::Conn) -> Result<Mark, Fault> {
    let mut locker = source::connect_to(&copying.source, Purpose::Rows, &copying.facts.uuid).await?;
    // A lock that waits lets every new writer wait behind it: better to give up soon and try again later.
    source::run(&mut locker, LOCK_PATIENCE).await?;
    source::run(&mut locker, source::HOLDING).await?;
    let locks: Vec<String> = group.iter().map(|pending| format!("{} READ", qualified(&pending.table.name))).collect();
    source::run(&mut locker, &format!("LOCK TABLES {}", locks.join(","))).await?;
    let mark = copying.mark(&mut locker).await?;
    source::run(reader, "START TRANSACTION WITH CONSISTENT SNAPSHOT").await?;
    source::run(&mut locker, "UNLOCK TABLES").await?;
    Ok(mark)
}

/// Reads a table in the reader's snapshot and writes it.
async fn fill(copying: &Copying, table: &Table, reader: &mut source::Conn, target: &mut target::Conn) -> Result<(), Fault> {
    let (sender, mut pieces) = mpsc::channel(1);
    let all = probe::Range { table, key: None, after: None, upto: None };
    let mut documents = Documents::new(table);
    if documents.any() && !rows::learn(reader, &all, &mut documents, None).await? {
        let detail = format!("{}: its documents have too many different leaves for a copy in one snapshot", table.name);
        return Err(Fault::new(Code::ValueUnsupported, detail));
    }
    let shapes = Shapes::new(table, copying.loads);
    let reading = async {
        let sender = sender;
        rows::read(reader, &all, &mut documents, copying.settings.form(&shapes), &sender).await
    };
    let mut ledger = ledger(copying, table, target);
    let writing = async {
        let mut whole = Whole { line: None, rows: 0, bytes: 0 };
        while let Some(piece) = pieces.recv().await {
            let statements = inserts(&shapes, Collision::Refuse, Some(1), &piece);
            let (rows, bytes) = (piece.count() as u64, piece.lines.len() as u64);
            (whole.rows, whole.bytes) = (whole.rows + rows, whole.bytes + bytes);
            let fill = Fill { shapes: &shapes, statements: &statements, keys: Vec::new() };
            ledger.write(&fill, Some(&whole).filter(|_| piece.last)).await?;
            copying.wrote(&table.name, rows, bytes);
            copying.pace(0, rows, bytes).await;
        }
        Ok(())
    };
    tokio::try_join!(reading, writing)?;
    Ok(())
}
