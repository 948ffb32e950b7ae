//! An application that writes at random: several connections, each one transaction after the other.

use std::time::Duration;

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Error};
use rand::rngs::StdRng;
use tokio::task::JoinHandle;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use super::scale;
use crate::lab::Server;

/// The pace of one connection: as fast as leaves the daemon its share of a small machine.
const PACE: Duration = Duration::from_millis(10);

/// The statements of one transaction, without its begin and its commit.
pub type Step = fn(&mut StdRng) -> Vec<String>;

pub struct Writers {
    stop: CancellationToken,
    tasks: Vec<JoinHandle<u64>>,
}

impl Writers {
    /// Each connection takes its steps from a random sequence of its own.
    pub fn start(server: &Server, database: &str, connections: u64, seed: u64, step: Step) -> Self {
        let stop = CancellationToken::new();
        let write = |number| {
            let opts = server.opts("root", "", Some(database));
            let (stop, mut random) = (stop.clone(), scale::random(seed, number));
            tokio::spawn(async move {
                let mut conn = Conn::new(opts).await.expect("a writer connects");
                let mut pace = tokio::time::interval(PACE);
                pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
                let mut committed = 0;
                while !stop.is_cancelled() {
                    pace.tick().await;
                    committed += u64::from(commits(&mut conn, &step(&mut random)).await);
                }
                conn.disconnect().await.expect("a writer leaves");
                committed
            })
        };
        let tasks = (0..connections).map(write).collect();
        Self { stop, tasks }
    }

    /// Ends all of them between two transactions; how many they have committed.
    pub async fn stop(mut self) -> u64 {
        self.stop.cancel();
        let mut committed = 0;
        for task in std::mem::take(&mut self.tasks) {
            committed += task.await.expect("no writer fails");
        }
        committed
    }
}

impl Drop for Writers {
    /// After a failed test, the server goes away while they write.
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

/// Writers get into each other's way: such a transaction is rolled back, and the next is another one.
async fn commits(conn: &mut Conn, statements: &[String]) -> bool {
    let statements = statements.iter().map(String::as_str);
    let whole = std::iter::once("START TRANSACTION").chain(statements);
    for statement in whole.chain(std::iter::once("COMMIT")) {
        match conn.query_drop(statement).await {
            Ok(()) => {}
            // A duplicate; a lock wait that is too long; a deadlock; what a foreign key forbids, or cannot do that far down.
            Err(Error::Server(error)) if matches!(error.code, 1062 | 1205 | 1213 | 1451 | 1452 | 1761 | 1762 | 3008 | 6575) => {
                conn.query_drop("ROLLBACK").await.expect("a rollback");
                return false;
            }
            Err(error) => panic!("{error}: {statement}"),
        }
    }
    true
}
