//! Tables without a row key: copied as one consistent snapshot at an exact source position.
//!
//! A lock on the table, for as long as it takes to read a position and open a snapshot, makes both agree: `LOCK TABLES … READ` is
//! granted when every transaction that wrote to the table has committed, and while it is held none can begin to. So the rows of
//! the snapshot are exactly the events up to the position; later events are applied strictly, earlier ones left out. The stream
//! waits at the table's first event until the snapshot stands.
//!
//! Its documents are read twice: first to learn where in them there are leaves whose types their text does not tell, then together
//! with these types, in the same snapshot; without a key no row could be asked about later.
//!
//! Rows without a key cannot be recognised, so an interrupted copy cannot go on: what an earlier try left behind is deleted, and
//! the copy starts again. Only the last step, the ledger's line with the position, makes it count.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::sync::mpsc;

use super::{CONNECTIONS_RANGE, Copying, Pending};
use crate::conn::Purpose;
use crate::fault::{Class, Code, Fault};
use crate::observe::snapshot::{Level, RetryClass, Side, TableState};
use crate::overlap::Stage;
use crate::source::documents::Documents;
use crate::source::{self, rows};
use crate::sql::dml::{STATEMENT_BYTES, Shapes};
use crate::sql::inserts::{Collision, Inserts};
use crate::sql::{probe, qualified};
use crate::target::chunk::{Fill, Ledger};
use crate::target::{self, session};

/// In seconds; a server that has a long transaction open on the table is left alone after this.
const LOCK_PATIENCE: &str = "SET SESSION lock_wait_timeout=2";

/// The name of the session: after those of the workers.
const SNAPSHOT: usize = session::NAMES - 1;
const _: () = assert!(SNAPSHOT > *CONNECTIONS_RANGE.end(), "each worker has a name of its own");

/// Between two attempts at the same lock, in which the application's writers are left alone.
const AGAIN: Duration = Duration::from_secs(5);

/// Copies the tables whose lock was not to be had, as often as it takes; the other tables are copied meanwhile.
pub async fn insist(copying: Copying, mut refused: VecDeque<Pending>) -> Result<(), Fault> {
    while let Some(pending) = refused.pop_front() {
        tokio::time::sleep(AGAIN).await;
        if !copy(&copying, &pending).await? {
            refused.push_back(pending);
        }
    }
    Ok(())
}

/// The lock was refused: said, and counted as what it is.
fn note_refusal(copying: &Copying, pending: &Pending, fault: &Fault) {
    let name = &pending.table.name;
    tracing::warn!(table = %name, %fault, "a transaction at the source holds it, and its stream stands still; trying again");
    copying.observer.metrics().retries.of(Side::Source, RetryClass::Other).inc();
    copying.observer.update(|snapshot| {
        if snapshot.retries.source == 0 {
            snapshot.push_event(Level::Warn, format!("{name} waits for the end of a transaction at the source"));
        }
        snapshot.retries.source += 1;
    });
}

/// Copies one table without a row key; false when its lock was not to be had.
pub async fn copy(copying: &Copying, pending: &Pending) -> Result<bool, Fault> {
    let table = &pending.table;
    copying.entered(&table.name, TableState::Copying);
    let mut target = target::connect(&copying.target, Purpose::Rows).await?;
    session::mark(&mut target, &copying.task, SNAPSHOT).await?;
    let mut ledger = Ledger { conn: &mut target, task: &copying.task, epoch: copying.epoch, table: &table.name };
    ledger.restarted().await?;

    let mut locker = source::connect_to(&copying.source, Purpose::Rows, &copying.facts.uuid).await?;
    let mut reader = source::connect_to(&copying.source, Purpose::Rows, &copying.facts.uuid).await?;
    // A lock that waits lets every new writer wait behind it: better to give up soon and try again later.
    source::run(&mut locker, LOCK_PATIENCE).await?;
    match source::run(&mut locker, &format!("LOCK TABLES {} READ", qualified(&table.name))).await {
        Ok(()) => {}
        Err(fault) if fault.code.class() == Some(Class::Other) => {
            note_refusal(copying, pending, &fault);
            return Ok(false);
        }
        Err(fault) => return Err(fault),
    }
    let mark = copying.mark(&mut locker).await?;
    source::run(&mut reader, "START TRANSACTION WITH CONSISTENT SNAPSHOT").await?;
    source::run(&mut locker, "UNLOCK TABLES").await?;
    drop(locker);

    let (sender, mut pieces) = mpsc::channel(1);
    let all = probe::Range { table, key: None, after: None, upto: None };
    let mut documents = Documents::new(table);
    if documents.any() && !rows::learn(&mut reader, &all, &mut documents, None).await? {
        let detail = format!("{}: its documents have too many different leaves for a table without a key", table.name);
        return Err(Fault::new(Code::ValueUnsupported, detail));
    }
    let reading = async {
        let sender = sender;
        rows::read(&mut reader, &all, &mut documents, copying.settings.chunk_bytes.in_memory(), &sender).await
    };
    let shapes = Shapes::new(table, copying.loads);
    let writing = async {
        while let Some(piece) = pieces.recv().await {
            let mut inserts = Inserts::new(&shapes, Collision::Refuse, Some(1), STATEMENT_BYTES).many();
            for row in &piece.rows {
                inserts.push(&row.values, row.blanks);
            }
            let (rows, bytes) = (piece.rows.len() as u64, piece.bytes as u64);
            let fill = Fill { shapes: &shapes, statements: &inserts.finish(), keys: Vec::new(), rows, bytes };
            ledger.write(&fill, None).await?;
            copying.wrote(&table.name, rows, bytes);
            copying.pace(0, rows, bytes).await;
        }
        ledger.snapshot(&mark).await
    };
    tokio::try_join!(reading, writing)?;
    copying.progress.make();
    pending.overlap.enter(Stage::Snapshot(mark));
    copying.entered(&table.name, TableState::Streaming);
    tracing::info!(table = %table.name, "copied as a snapshot");
    Ok(true)
}
