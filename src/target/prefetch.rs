//! Reading ahead of the writer.
//!
//! The writer is one session, and a session waits for each page that the target has not in memory: on a cold target it waits most of the
//! time. So while it executes one statement, other sessions touch the rows that the next one will change, several at a time. They read
//! what is committed, in transactions of their own, and hold no locks.
//!
//! Nothing depends on them, and the server bounds what they ask. If they cannot be opened, fail, or take too long, they are given up until
//! the next voyage, and the writer goes on alone.

use std::time::Duration;

use futures_util::future::join_all;
use mysql_async::Conn;
use mysql_async::prelude::Queryable;

use super::diagnose;
use crate::conn::{self, Endpoint, Purpose};
use crate::fault::{Code, Fault, Side};
use crate::sql::statement::Statement;

/// The writer waits for its next rows so long at the most.
const PATIENCE: Duration = Duration::from_secs(10);

#[derive(Debug)]
pub(super) struct Prefetch {
    endpoint: Endpoint,
    /// How many sessions; 0 for none, or none any more.
    wanted: usize,
    sessions: Vec<Conn>,
}

async fn open(endpoint: &Endpoint) -> Result<Conn, Fault> {
    let mut session = super::connect(endpoint, Purpose::Rows).await?;
    super::run(&mut session, conn::BOUNDED).await?;
    Ok(session)
}

impl Prefetch {
    pub fn new(endpoint: &Endpoint, sessions: usize) -> Self {
        Self { endpoint: endpoint.clone(), wanted: sessions, sessions: Vec::new() }
    }

    /// Whether there is anything that it would touch.
    pub fn has_work(&self, statements: &[&Statement]) -> bool {
        self.wanted > 0 && statements.iter().any(|statement| !statement.reads.is_empty())
    }

    /// Touches the rows that a statement will change. Not cancel-safe.
    pub async fn touch(&mut self, statement: &Statement) {
        if !self.has_work(&[statement]) {
            return;
        }
        let silent = || Err(Fault::new(Code::ConnectionLost(Side::Target), format!("no answer within {PATIENCE:?}")));
        if let Err(fault) = tokio::time::timeout(PATIENCE, self.ask(&statement.reads)).await.unwrap_or_else(|_| silent()) {
            tracing::info!(cause = fault.detail, "the sessions that read ahead on the target are given up");
            self.wanted = 0;
            self.sessions.clear();
        }
    }

    async fn ask(&mut self, reads: &[Vec<u8>]) -> Result<(), Fault> {
        if self.sessions.is_empty() {
            tracing::info!(sessions = self.wanted, "the target waits for its disks: rows are read ahead");
            let opening = (0..self.wanted).map(|_| open(&self.endpoint));
            self.sessions = join_all(opening).await.into_iter().collect::<Result<_, _>>()?;
        }
        let step = self.sessions.len();
        let asked = self.sessions.iter_mut().enumerate().map(|(first, session)| async move {
            for read in reads.iter().skip(first).step_by(step) {
                session.query_drop(read.as_slice()).await.map_err(|error| diagnose(&error))?;
            }
            Ok(())
        });
        join_all(asked).await.into_iter().collect()
    }
}
