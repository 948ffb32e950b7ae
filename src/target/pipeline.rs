//! Statements in as few round trips as packets allow.
//!
//! Several go to the server as one text, separated by semicolons. It executes them in their order, answers each, and stops at the
//! first that fails. A batch's COMMIT is never among its own: it is asked for when every answer was what the source's events imply, so
//! a count that is wrong, or an answer that is lost, ends in a rollback, as with statements sent one by one.

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Row};

use super::long::{self, Sent};
use super::{check, diagnose, load, run_lax};
use crate::fault::{Code, Fault};
use crate::sql::statement::Statement;

/// Statements for one session, in their order. What was pushed is executed at the latest by [`Pipeline::flush`].
pub(crate) struct Pipeline<'a> {
    conn: &'a mut Conn,
    text: Vec<u8>,
    waiting: Vec<&'a Statement>,
    affected: u64,
    /// Hears once that the first statement of all has been executed.
    first: Option<Tell<'a>>,
}

/// What is to be told.
pub(crate) type Tell<'a> = &'a mut (dyn FnMut() + Send);

impl<'a> Pipeline<'a> {
    pub fn new(conn: &'a mut Conn) -> Self {
        Self { conn, text: Vec::new(), waiting: Vec::new(), affected: 0, first: None }
    }

    pub fn telling(self, first: Option<Tell<'a>>) -> Self {
        Self { first, ..self }
    }

    /// Executes it together with those before and after it, when they fit into one packet. Not cancel-safe.
    pub async fn push(&mut self, statement: &'a Statement) -> Result<(), Fault> {
        let alone = statement.text.len() > long::ROOM || statement.blanks > 0 || !statement.lines.is_empty();
        if alone || self.text.len() + statement.text.len() + 1 > long::ROOM {
            self.send().await?;
        }
        if alone {
            return self.alone(statement).await;
        }
        if !self.waiting.is_empty() {
            self.text.push(b';');
        }
        self.text.extend_from_slice(&statement.text);
        self.waiting.push(statement);
        Ok(())
    }

    /// Executes what waits. Returns the rows that the server counted in all. Not cancel-safe.
    pub async fn flush(mut self) -> Result<u64, Fault> {
        self.send().await?;
        Ok(self.affected)
    }

    /// Executes what waits, and goes on.
    pub async fn send(&mut self) -> Result<(), Fault> {
        let Some(first) = self.waiting.first() else { return Ok(()) };
        let text = std::mem::take(&mut self.text);
        let mut answers = self.conn.query_iter(text).await.map_err(|error| diagnose(&error).at(&first.table))?;
        // The first answer has come, and was no refusal.
        if let Some(tell) = self.first.take() {
            tell();
        }
        // The first that was not as it should be; the server has executed the ones after it all the same.
        let mut wrong = None;
        for statement in self.waiting.drain(..) {
            let (answered, affected) = (answers.columns().is_some(), answers.affected_rows());
            // On to the next answer. An answer that is a refusal is handed out here.
            if let Err(error) = answers.collect::<Row>().await {
                let refusal = diagnose(&error).at(&statement.table);
                // After a deadlock, or when the session is gone, there is no transaction any more in which something could be wrong.
                return Err(wrong.filter(|_| refusal.code.class().is_none()).unwrap_or(refusal));
            }
            if !answered {
                return Err(Fault::new(Code::Internal, "the target answered fewer statements than it was sent"));
            }
            wrong = wrong.or(check(statement, affected).err());
            self.affected += affected;
        }
        answers.drop_result().await.map_err(|error| diagnose(&error))?;
        wrong.map_or(Ok(()), Err)
    }

    /// A statement that does not fit into every packet, that the server must not execute in strict mode, or with lines of its own.
    async fn alone(&mut self, statement: &Statement) -> Result<(), Fault> {
        let at = |fault: Fault| fault.at(&statement.table);
        let sent = if !statement.lines.is_empty() {
            load::load(self.conn, statement).await.map(|affected| Sent { affected, variables: 0 })
        } else if statement.blanks > 0 {
            run_lax(self.conn, statement).await
        } else {
            long::affect(self.conn, &statement.text).await
        };
        let Sent { affected, variables } = sent.map_err(at)?;
        long::free(self.conn, variables).await?;
        check(statement, affected)?;
        self.affected += affected;
        Ok(())
    }
}
