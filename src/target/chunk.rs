//! One transaction = some of a chunk's rows, and the ledger's line when they are the last of it.
//!
//! Before it commits, the transaction locks the table's own line of the ledger under our epoch: a daemon that has been replaced commits
//! nothing, and two chunks of one table commit one after the other.

use mysql_async::{Conn, Row};

use super::anomalies::odd;
use super::pipeline::Pipeline;
use super::run;
use crate::conn::ask;
use crate::fault::{Code, Fault, Side};
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
}

/// What the ledger notes when every row of a chunk is there: once, so that a chunk which is read again is not counted twice.
#[derive(Debug, Clone, Copy)]
pub struct Whole<'a> {
    /// `None` for what has no ranges.
    pub line: Option<Line<'a>>,
    pub rows: u64,
    pub bytes: u64,
}

/// These tables were copied whole, at one `mark`: the ledger says it of all of them at once. Not cancel-safe.
pub async fn stand(conn: &mut Conn, task: &str, epoch: u64, tables: &[&TableName], mark: &Mark) -> Result<(), Fault> {
    run(conn, "START TRANSACTION").await?;
    for table in tables {
        let mut ledger = Ledger { conn: &mut *conn, task, epoch, table };
        let complete = ledger.change(&sql::complete("snapshot", mark));
        ledger.hold_and(&complete).await?;
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
    /// Writes rows and commits; with the last of a chunk, the ledger notes it, unless one was left out. Returns the keys that are not on
    /// the target afterwards, because another row there holds one of their unique values. Not cancel-safe.
    pub async fn write(&mut self, fill: &Fill<'_>, whole: Option<&Whole<'_>>) -> Result<Vec<KeyBytes>, Fault> {
        let begin = Statement::of_ours("START TRANSACTION", Expect::Any);
        let mut pipeline = Pipeline::new(self.conn);
        for statement in [&begin].into_iter().chain(fill.statements) {
            pipeline.push(statement).await?;
        }
        let new = pipeline.flush().await?;
        let left_out = if new < fill.keys.len() as u64 { self.absent(fill.shapes, &fill.keys).await? } else { Vec::new() };
        match whole.filter(|_| left_out.is_empty()) {
            Some(whole) => self.note(whole).await?,
            None => {
                let [held] = ask(Side::Target, self.conn, [self.hold().as_bytes()]).await?;
                self.is_ours(&held)?;
                run(self.conn, "COMMIT").await?;
            }
        }
        Ok(left_out)
    }

    /// Every row of the chunk is accounted for.
    pub async fn settled(&mut self, whole: &Whole<'_>) -> Result<(), Fault> {
        run(self.conn, "START TRANSACTION").await?;
        self.note(whole).await
    }

    async fn note(&mut self, whole: &Whole<'_>) -> Result<(), Fault> {
        let counts = format!("`rows_copied`=`rows_copied`+{},`bytes_copied`=`bytes_copied`+{}", whole.rows, whole.bytes);
        self.hold_and(&self.change(counts.as_bytes())).await?;
        let line = whole.line.map(|line| sql::insert_chunk(self.task, self.table, line.after, line.upto));
        self.commit_with(line.as_deref()).await
    }

    /// Which of the keys are not in the table.
    pub async fn absent(&mut self, shapes: &Shapes, keys: &[&[u8]]) -> Result<Vec<KeyBytes>, Fault> {
        odd(self.conn, shapes, keys, true, usize::MAX).await
    }

    fn hold(&self) -> String {
        sql::hold_table(self.task, self.epoch, self.table)
    }

    fn is_ours(&self, held: &[Row]) -> Result<(), Fault> {
        let taken_over = || Fault::new(Code::Fenced, format!("the copy of {} was taken over", self.table));
        held.first().map(drop).ok_or_else(taken_over)
    }

    /// Locks the table's line, and changes something, in one round trip. Whether it was ours is known before anything is committed.
    async fn hold_and(&mut self, change: &[u8]) -> Result<(), Fault> {
        let [held, _] = ask(Side::Target, self.conn, [self.hold().as_bytes(), change]).await?;
        self.is_ours(&held)
    }

    fn change(&self, changes: &[u8]) -> Vec<u8> {
        sql::change_table(self.task, self.epoch, self.table, changes)
    }

    /// Executes a last statement, and commits.
    async fn commit_with(&mut self, last: Option<&[u8]>) -> Result<(), Fault> {
        match last {
            Some(last) => ask(Side::Target, self.conn, [last, b"COMMIT"]).await.map(drop),
            None => run(self.conn, "COMMIT").await,
        }
    }

    /// One change of the table's line, in a transaction of its own, together with a statement.
    async fn transition(&mut self, statement: Option<String>, changes: &[u8]) -> Result<(), Fault> {
        run(self.conn, "START TRANSACTION").await?;
        self.hold_and(&self.change(changes)).await?;
        self.commit_with(statement.as_ref().map(String::as_bytes)).await
    }

    /// The copy begins: it will end at `upto`. Ranges of a former life of the task, if its lines were not all deleted, count for nothing.
    pub async fn started(&mut self, upto: &[u8]) -> Result<(), Fault> {
        let chunks = sql::forget_chunks(self.task, self.table);
        self.transition(Some(chunks), &sql::copying(upto)).await
    }

    /// The copy is complete; the overlap lasts until the stream has passed `mark`.
    pub async fn copied(&mut self, mark: &Mark) -> Result<(), Fault> {
        let chunks = sql::forget_chunks(self.task, self.table);
        self.transition(Some(chunks), &sql::complete("copied", mark)).await
    }

    /// The overlap is over, whatever server the source becomes.
    pub async fn strict(&mut self) -> Result<(), Fault> {
        self.transition(None, b"`state`='strict'").await
    }

    /// The table is no longer selected.
    pub async fn excluded(&mut self) -> Result<(), Fault> {
        let chunks = sql::forget_chunks(self.task, self.table);
        self.transition(Some(chunks), b"`state`='excluded'").await
    }

    /// A copy that cannot be resumed starts over: what an earlier try left behind goes, some rows at a time under the fence.
    pub async fn restarted(&mut self) -> Result<(), Fault> {
        let delete = format!("DELETE FROM {} LIMIT {ROWS_PER_DELETE}", qualified(self.table));
        loop {
            run(self.conn, "START TRANSACTION").await?;
            self.hold_and(&self.change(b"`state`='pending',`rows_copied`=0,`bytes_copied`=0")).await?;
            run(self.conn, &delete).await?;
            let deleted = self.conn.affected_rows();
            run(self.conn, "COMMIT").await?;
            if deleted == 0 {
                return Ok(());
            }
        }
    }
}
