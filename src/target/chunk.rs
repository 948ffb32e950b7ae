//! One transaction = some of a chunk's rows, and the ledger's line when they are the last of it.
//!
//! The transaction first locks the table's own line of the ledger under our epoch: a daemon that has been replaced writes nothing,
//! and two chunks of one table commit one after the other.

use mysql_async::Conn;

use super::anomalies::odd;
use super::pipeline::Pipeline;
use super::{diagnose, run};
use crate::conn::ask;
use crate::fault::{Code, Fault};
use crate::model::change::KeyBytes;
use crate::model::position::Mark;
use crate::model::table::TableName;
use crate::sql::dml::Shapes;
use crate::sql::qualified;
use crate::sql::state as sql;
use crate::sql::statement::{Expect, Statement};

/// Bounds the undo of one transaction.
const ROWS_PER_DELETE: u64 = 20_000;

/// Some of a chunk's rows.
#[derive(Debug)]
pub struct Fill<'a> {
    pub shapes: &'a Shapes,
    /// Inserts that leave a row which is there as it is.
    pub statements: &'a [Statement],
    /// The key of each row in them.
    pub keys: Vec<&'a [u8]>,
    /// Rows and bytes as they were read.
    pub rows: u64,
    pub bytes: u64,
}

/// These tables were copied whole, at one `mark`: the ledger says it of all of them at once. Not cancel-safe.
pub async fn stand(conn: &mut Conn, task: &str, epoch: u64, tables: &[&TableName], mark: &Mark) -> Result<(), Fault> {
    run(conn, "START TRANSACTION").await?;
    for table in tables {
        let mut ledger = Ledger { conn: &mut *conn, task, epoch, table };
        let complete = ledger.change(&sql::complete("snapshot", mark));
        ledger.hold_and([complete]).await?;
    }
    run(conn, "COMMIT").await
}

/// A range of the ledger.
#[derive(Debug, Clone, Copy)]
pub struct Line<'a> {
    pub after: Option<&'a [u8]>,
    pub upto: &'a [u8],
}

/// The ledger's keeper for one connection.
#[derive(Debug)]
pub struct Ledger<'a> {
    pub conn: &'a mut Conn,
    pub task: &'a str,
    pub epoch: u64,
    pub table: &'a TableName,
}

impl Ledger<'_> {
    /// Writes rows and commits; the ledger gets its line only when none was left out. Returns the keys that are not on the target
    /// afterwards, because another row there holds one of their unique values. Not cancel-safe.
    pub async fn write(&mut self, fill: &Fill<'_>, line: Option<Line<'_>>) -> Result<Vec<KeyBytes>, Fault> {
        let begin = Statement::of_ours("START TRANSACTION", Expect::Any);
        let mut pipeline = Pipeline::new(self.conn);
        for statement in [&begin].into_iter().chain(fill.statements) {
            pipeline.push(statement).await?;
        }
        let new = pipeline.flush().await?;
        let left_out = if new < fill.keys.len() as u64 { self.absent(fill.shapes, &fill.keys).await? } else { Vec::new() };
        let counts = format!("`rows_copied`=`rows_copied`+{},`bytes_copied`=`bytes_copied`+{}", fill.rows, fill.bytes);
        let line = line.filter(|_| left_out.is_empty()).map(|line| self.insert(line));
        self.hold_and(line.into_iter().chain([self.change(counts.as_bytes())])).await?;
        run(self.conn, "COMMIT").await?;
        Ok(left_out)
    }

    /// Every row of the range is accounted for.
    pub async fn line(&mut self, line: Line<'_>) -> Result<(), Fault> {
        run(self.conn, "START TRANSACTION").await?;
        self.hold_and([self.insert(line)]).await?;
        run(self.conn, "COMMIT").await
    }

    /// Which of the keys are not in the table.
    pub async fn absent(&mut self, shapes: &Shapes, keys: &[&[u8]]) -> Result<Vec<KeyBytes>, Fault> {
        odd(self.conn, shapes, keys, true, usize::MAX).await
    }

    /// Locks the table's line, and executes the statements, in one round trip.
    async fn hold_and(&mut self, statements: impl IntoIterator<Item = Vec<u8>>) -> Result<(), Fault> {
        let mut text = sql::hold_table(self.task, self.epoch, self.table).into_bytes();
        for statement in statements {
            text.push(b';');
            text.extend_from_slice(&statement);
        }
        let answers = ask(self.conn, text).await.map_err(|error| diagnose(&error))?;
        let held = answers.first().is_some_and(|rows| !rows.is_empty());
        held.then_some(()).ok_or_else(|| Fault::new(Code::Fenced, format!("the copy of {} was taken over", self.table)))
    }

    fn insert(&self, line: Line<'_>) -> Vec<u8> {
        sql::insert_chunk(self.task, self.table, line.after, line.upto)
    }

    fn change(&self, changes: &[u8]) -> Vec<u8> {
        sql::change_table(self.task, self.epoch, self.table, changes)
    }

    /// One change of the table's line, in a transaction of its own, together with `statements`.
    async fn transition(&mut self, statements: &[String], changes: &[u8]) -> Result<(), Fault> {
        run(self.conn, "START TRANSACTION").await?;
        let statements = statements.iter().map(|statement| statement.clone().into_bytes());
        self.hold_and(statements.chain([self.change(changes)])).await?;
        run(self.conn, "COMMIT").await
    }

    /// The copy begins: it will end at `upto`. Ranges of a former life of the task, if its lines were not all deleted, count for nothing.
    pub async fn started(&mut self, upto: &[u8]) -> Result<(), Fault> {
        let chunks = sql::forget_chunks(self.task, self.table);
        self.transition(&[chunks], &sql::copying(upto)).await
    }

    /// The copy is complete; the overlap lasts until the stream has passed `mark`.
    pub async fn copied(&mut self, mark: &Mark) -> Result<(), Fault> {
        let chunks = sql::forget_chunks(self.task, self.table);
        self.transition(&[chunks], &sql::complete("copied", mark)).await
    }

    /// The overlap is over, whatever server the source becomes.
    pub async fn strict(&mut self) -> Result<(), Fault> {
        self.transition(&[], b"`state`='strict'").await
    }

    /// The table is no longer selected.
    pub async fn excluded(&mut self) -> Result<(), Fault> {
        let chunks = sql::forget_chunks(self.task, self.table);
        self.transition(&[chunks], b"`state`='excluded'").await
    }

    /// A copy that cannot be resumed starts over: what an earlier try left behind goes, some rows at a time under the fence.
    pub async fn restarted(&mut self) -> Result<(), Fault> {
        let delete = format!("DELETE FROM {} LIMIT {ROWS_PER_DELETE}", qualified(self.table));
        loop {
            run(self.conn, "START TRANSACTION").await?;
            self.hold_and([self.change(b"`state`='pending',`rows_copied`=0,`bytes_copied`=0")]).await?;
            run(self.conn, &delete).await?;
            let deleted = self.conn.affected_rows();
            run(self.conn, "COMMIT").await?;
            if deleted == 0 {
                return Ok(());
            }
        }
    }
}
