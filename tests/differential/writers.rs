//! The application: connections that run one drawn transaction after the other, and write down what became of each statement.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Error};
use tokio::task::JoinHandle;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use super::dice::Dice;
use super::statements;
use super::table::Table;
use crate::lab::{Server, Version};

/// The server's code for a transaction that it has rolled back because another one stood in its way.
const DEADLOCK: u16 = 1213;

/// What happened on the source, in the order in which it was answered.
#[derive(Clone)]
pub struct Journal {
    begin: Instant,
    lines: Arc<Mutex<Vec<String>>>,
}

impl Journal {
    pub fn new() -> Self {
        Self { begin: Instant::now(), lines: Arc::default() }
    }

    pub fn note(&self, who: &str, statement: &str, outcome: &str) {
        let at = self.begin.elapsed().as_secs_f64();
        let line = format!("{statement}; -- {who} {at:.3} {outcome}\n");
        self.lines.lock().unwrap_or_else(PoisonError::into_inner).push(line);
    }

    pub fn text(&self) -> String {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner).concat()
    }
}

#[derive(Clone, Copy, Default)]
pub struct Written {
    pub transactions: u64,
    pub statements: u64,
    pub refused: u64,
}

impl Written {
    pub fn add(&mut self, other: Self) {
        self.transactions += other.transactions;
        self.statements += other.statements;
        self.refused += other.refused;
    }
}

/// Everything that a writer draws from.
pub struct Script {
    pub seed: u64,
    pub version: Version,
    pub tables: Arc<Vec<Table>>,
    pub journal: Journal,
    /// Whether the task has begun: one that finds a prepared XA transaction at its begin stops when that is decided.
    pub begun: AtomicBool,
}

pub struct Writers {
    stop: CancellationToken,
    tasks: Vec<JoinHandle<Written>>,
}

impl Writers {
    pub fn start(server: &Server, script: &Arc<Script>, connections: u64, pace: Duration) -> Self {
        let stop = CancellationToken::new();
        let write = |number: u64| {
            let opts = server.opts("root", "", None);
            let (stop, script) = (stop.clone(), Arc::clone(script));
            tokio::spawn(async move {
                let mut conn = Conn::new(opts).await.expect("a writer connects");
                conn.query_drop("SET NAMES utf8mb4, innodb_lock_wait_timeout = 2").await.expect("a session");
                let mut dice = Dice::new(script.seed, 100 + number);
                let mut writer =
                    Writer { conn, who: format!("w{number}"), journal: script.journal.clone(), written: Written::default() };
                for setting in statements::session(&mut dice, script.version) {
                    writer.run(&setting).await;
                }
                let mut pace = tokio::time::interval(pace);
                pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
                let mut count = 0;
                while !stop.is_cancelled() {
                    pace.tick().await;
                    count += 1;
                    let branch = format!("{}-{number}-{count}", script.seed);
                    let drawn = statements::transaction(&mut dice, script.version, &script.tables, &branch);
                    if drawn.iter().any(|statement| statement.starts_with("XA")) && !script.begun.load(Ordering::Relaxed) {
                        continue;
                    }
                    writer.transact(&drawn).await;
                    writer.written.transactions += 1;
                }
                let _ = writer.conn.disconnect().await;
                writer.written
            })
        };
        let tasks = (0..connections).map(write).collect();
        Self { stop, tasks }
    }

    /// Ends all of them between two transactions.
    pub async fn stop(mut self) -> Written {
        self.stop.cancel();
        let mut written = Written::default();
        for task in std::mem::take(&mut self.tasks) {
            written.add(task.await.expect("no writer fails"));
        }
        written
    }
}

impl Drop for Writers {
    /// After a failure, the schema goes away while they write.
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

/// One connection and what it has done.
pub struct Writer {
    pub conn: Conn,
    pub who: String,
    pub journal: Journal,
    pub written: Written,
}

impl Writer {
    /// An XA transaction that a deadlock has ended is rolled back at once, as an application does: what is written in it after that
    /// makes 8.0.15 log a transaction that no replica takes.
    async fn transact(&mut self, statements: &[String]) {
        let branch = statements.iter().find_map(|statement| statement.strip_prefix("XA START "));
        for statement in statements {
            let refused = self.run(statement).await;
            if let (Some(DEADLOCK), Some(branch)) = (refused, branch) {
                self.run(&format!("XA END {branch}")).await;
                self.run(&format!("XA ROLLBACK {branch}")).await;
                return;
            }
        }
    }

    /// What the server refuses is counted, and its code returned: values, keys, locks. What it does not understand is a fault of the
    /// generator.
    pub async fn run(&mut self, statement: &str) -> Option<u16> {
        self.written.statements += 1;
        let mut refused = None;
        let outcome = match self.conn.query_drop(statement).await {
            Ok(()) => format!("{} rows", self.conn.affected_rows()),
            Err(Error::Server(error)) => {
                // Parse error; no such table, column, charset, collation.
                assert!(![1064, 1146, 1054, 1115, 1273].contains(&error.code), "{error}: {statement}");
                self.written.refused += 1;
                refused = Some(error.code);
                format!("refused {}: {}", error.code, error.message.replace('\n', " "))
            }
            Err(error) => panic!("{error}: {statement}"),
        };
        self.journal.note(&self.who, statement, &outcome);
        refused
    }
}
