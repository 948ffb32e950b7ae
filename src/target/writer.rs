//! One transaction = rows + checkpoint.
//!
//! A batch may come in several parts, when a source transaction is larger than memory should hold; only the last part carries
//! the checkpoint and commits. Whatever fails, the transaction is rolled back (at the latest by the server, when the connection
//! is gone), and the stream starts again from the checkpoint: a batch is repeated as a whole, never in part.
//!
//! When the next batch is there already, the COMMIT of the one before goes ahead of its first statements in one packet, which saves a round
//! trip. That is after every answer to the batch's own statements was checked; and the server executes nothing behind a COMMIT that fails.
//!
//! A failure at COMMIT leaves open whether it happened. [`open`] settles it: the checkpoint's row lock is taken on a new
//! connection, which waits for the old transaction's end; the row then says which batch was the last. A session that the server
//! has not noticed the end of is ended first ([`session`]).

use std::time::{Duration, Instant};

use mysql_async::Conn;

use super::pipeline::{Pipeline, Tell};
use super::prefetch::Prefetch;
use super::{load, run, session, state, take_out};
use crate::checkpoint::Checkpoint;
use crate::conn::{Endpoint, Purpose};
use crate::fault::{Code, Fault};
use crate::model::change::Commit;
use crate::model::phase::Phase;
use crate::model::xid::{Prepared, Xid};
use crate::sql::keyless::Removal;
use crate::sql::prepared;
use crate::sql::state as sql;
use crate::sql::statement::{Expect, Statement};

const BEGIN: &str = "START TRANSACTION";
const COMMIT: &str = "COMMIT";

/// The single writer of a task.
#[derive(Debug)]
pub struct Writer {
    conn: Conn,
    task: String,
    checkpoint: Checkpoint,
    stage: Stage,
    loads: Option<usize>,
    prefetch: Prefetch,
}

/// What the session is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Nothing,
    /// A batch that is not whole.
    Open,
    /// A batch that is whole, with its checkpoint; its COMMIT goes ahead of what comes next.
    Whole,
}

/// Opens the writer under an epoch that was taken before. The checkpoint it finds is the truth, also after a lost COMMIT reply.
pub async fn open(endpoint: &Endpoint, task: &str, epoch: u64) -> Result<Writer, Fault> {
    let asked = async { Ok(load::worth(endpoint).await) };
    let ((conn, checkpoint), loads) = tokio::try_join!(take(endpoint, task, epoch), asked)?;
    Ok(Writer { conn, task: task.to_owned(), checkpoint, stage: Stage::Nothing, loads, prefetch: Prefetch::new(endpoint, 0) })
}

async fn take(endpoint: &Endpoint, task: &str, epoch: u64) -> Result<(Conn, Checkpoint), Fault> {
    let mut conn = super::connect(endpoint, Purpose::Rows).await?;
    state::still_ours(&mut conn, task, epoch).await?;
    session::end_others(&mut conn, task).await?;
    session::mark(&mut conn, task, session::WRITER).await?;
    match state::settled(&mut conn, task).await? {
        Some(checkpoint) if checkpoint.epoch == epoch => Ok((conn, checkpoint)),
        Some(checkpoint) => {
            let detail = format!("the task's epoch is {}, ours is {epoch}", checkpoint.epoch);
            Err(Fault::new(Code::Fenced, detail))
        }
        None => Err(Fault::new(Code::Fenced, "the task's checkpoint is gone")),
    }
}

impl Writer {
    pub fn checkpoint(&self) -> &Checkpoint {
        &self.checkpoint
    }

    /// From so many rows on they should go as the lines of a LOAD DATA LOCAL; `None` where the target does not take it.
    pub fn loads(&self) -> Option<usize> {
        self.loads
    }

    /// Notes, in the open batch, which of the source's XA transactions it has prepared and decided. Not cancel-safe.
    pub async fn note(&mut self, prepared: &[&Prepared], decided: &[&Xid]) -> Result<(), Fault> {
        for statement in [prepared::note(&self.task, prepared), prepared::strike(&self.task, decided)].into_iter().flatten() {
            self.begin().await?;
            run(&mut self.conn, statement).await?;
        }
        Ok(())
    }

    /// So many other sessions read ahead of it, where statements say what to read.
    pub fn with_prefetch(self, endpoint: &Endpoint, sessions: usize) -> Self {
        Self { prefetch: Prefetch::new(endpoint, sessions), ..self }
    }

    pub(super) fn conn(&mut self) -> &mut Conn {
        &mut self.conn
    }

    pub(super) fn task(&self) -> &str {
        &self.task
    }

    pub(super) async fn begin(&mut self) -> Result<(), Fault> {
        self.commit().await?;
        if self.stage == Stage::Nothing {
            run(&mut self.conn, BEGIN).await?;
            self.stage = Stage::Open;
        }
        Ok(())
    }

    /// Executes one part of a batch; with `end`, moves the checkpoint, too, and the batch is whole: it is committed by the next call of
    /// this or of [`Writer::commit`], whichever comes first. `committed` hears of it as soon as it is so, and how long that took, also
    /// when what follows fails. After an error the part may be undone (`anomalies`); otherwise the writer is of no further use: dropping
    /// it ends the session, and the server rolls back. Not cancel-safe.
    pub async fn write(
        &mut self,
        removals: &[Removal],
        statements: &[Statement],
        end: Option<(&Commit, &str, Phase)>,
        committed: &mut (dyn FnMut(Duration) + Send),
    ) -> Result<(), Fault> {
        let at = |fault: Fault| match end {
            Some((commit, ..)) => fault.at(format!("a batch that ends at {}", commit.position)),
            None => fault,
        };
        if !removals.is_empty() {
            self.begin().await?;
        }
        for removal in removals {
            take_out(&mut self.conn, removal).await.map_err(at)?;
        }
        let next = end.map(|(commit, source_uuid, phase)| Checkpoint {
            position: commit.position.clone(),
            committed_at_micros: commit.at_micros,
            source_uuid: source_uuid.to_owned(),
            phase,
            ..self.checkpoint.clone()
        });
        let before: &[&str] = match self.stage {
            Stage::Nothing => &[BEGIN],
            Stage::Open => &[],
            // In one round trip with what follows it.
            Stage::Whole => &[COMMIT, BEGIN],
        };
        let before: Vec<Statement> = before.iter().map(|text| Statement::of_ours(*text, Expect::Any)).collect();
        let checkpoint = next.as_ref().map(|next| Statement::of_ours(sql::move_checkpoint(&self.task, next), Expect::Ours));
        let all: Vec<&Statement> = before.iter().chain(statements).chain(&checkpoint).collect();
        let (due, stage, sent) = (self.stage == Stage::Whole, &mut self.stage, Instant::now());
        let mut tell = || {
            *stage = Stage::Open;
            committed(sent.elapsed());
        };
        let tell: Option<Tell<'_>> = if due { Some(&mut tell) } else { None };
        if let Err(fault) = execute(&mut self.conn, &mut self.prefetch, &all, tell).await {
            let before = || fault.clone().at("committing the batch before");
            return Err(if self.stage == Stage::Whole { before() } else { at(fault) });
        }
        self.stage = Stage::Open;
        if let Some(next) = next {
            self.stage = Stage::Whole;
            self.checkpoint = Checkpoint { sequence: next.sequence + 1, ..next };
        }
        Ok(())
    }

    /// Commits a batch that is whole; does nothing when there is none. Not cancel-safe.
    pub async fn commit(&mut self) -> Result<(), Fault> {
        if self.stage == Stage::Whole {
            run(&mut self.conn, COMMIT).await?;
            self.stage = Stage::Nothing;
        }
        Ok(())
    }
}

/// In their order; the rows of each are read ahead while the one before it is executed, where it says how.
async fn execute<'e>(
    conn: &'e mut Conn,
    prefetch: &mut Prefetch,
    statements: &[&'e Statement],
    first: Option<Tell<'e>>,
) -> Result<(), Fault> {
    let mut pipeline = Pipeline::new(conn).telling(first);
    if !prefetch.has_work(statements) {
        for statement in statements {
            pipeline.push(statement).await?;
        }
        return pipeline.flush().await.map(drop);
    }
    let mut rest = statements.iter().copied();
    let mut next = rest.next();
    while let Some(statement) = next {
        next = rest.next();
        let executing = async {
            pipeline.push(statement).await?;
            pipeline.send().await
        };
        let touching = async {
            if let Some(next) = next {
                prefetch.touch(next).await;
            }
            Ok(())
        };
        tokio::try_join!(executing, touching)?;
    }
    Ok(())
}
