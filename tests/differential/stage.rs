//! Three servers: a source, a target, and a witness, which is a native replica of the source and has been one since before the
//! source had anything to tell. They stay up from seed to seed.

use std::time::{Duration, Instant};

use mysql_async::Row;
use mysql_async::prelude::Queryable;

use super::settings::Route;
use crate::ferry::{PASSWORD_AT_SOURCE, PASSWORD_AT_TARGET, USER, end_of_binlog};
use crate::lab::{Options, POLL, Server, Version, source_account, target_account};

/// How long the witness may take to catch up: it has the same machine as the servers and the daemon of another seed.
const PATIENCE: Duration = Duration::from_secs(600);

pub struct Stage {
    pub route: Route,
    pub gtid: bool,
    pub source: Server,
    pub target: Server,
    pub witness: Server,
}

/// The source, and the witness, which is the same but for its name.
fn options(route: Route, gtid: bool) -> Options {
    // What Aurora does with foreign keys; older versions know nothing else.
    Options { gtid, native_foreign_keys: route.source == Version::V97, ..Options::relaxed() }
}

impl Stage {
    pub async fn start(route: Route, gtid: bool) -> Self {
        let ours = options(route, gtid);
        // PolarDB has its binlog off by default, and it may be on: one for each.
        let target = Options { log_bin: gtid, native_foreign_keys: route.target == Version::V97, ..ours.clone() }
            .arg(format!("--local-infile={}", u8::from(gtid)));
        let (source, target, witness) = tokio::join!(
            Server::start(route.source, &ours),
            Server::start(route.target, &target),
            Server::start(route.source, &ours)
        );
        source_account(&source, USER, PASSWORD_AT_SOURCE, true).await;
        target_account(&target, USER, PASSWORD_AT_TARGET).await;
        let stage = Self { route, gtid, source, target, witness };
        stage.follow().await;
        stage
    }

    /// Makes the witness a replica of the source.
    async fn follow(&self) {
        let (file, offset) = end_of_binlog(&self.source).await;
        let auto = u8::from(self.gtid);
        let new = self.route.source == Version::V97;
        let (change, word) = if new { ("CHANGE REPLICATION SOURCE TO", "SOURCE") } else { ("CHANGE MASTER TO", "MASTER") };
        let mut settings = vec![
            format!("{word}_HOST = '127.0.0.1'"),
            format!("{word}_PORT = {}", self.source.port()),
            format!("{word}_USER = 'root'"),
            format!("{word}_CONNECT_RETRY = 1"),
            format!("{word}_AUTO_POSITION = {auto}"),
        ];
        if !self.gtid {
            settings.extend([format!("{word}_LOG_FILE = '{file}'"), format!("{word}_LOG_POS = {offset}")]);
        }
        if self.gtid {
            // The source's accounts are not part of what is compared, and the witness needs none.
            let executed: Vec<String> = self.source.query_rows("SELECT @@GLOBAL.gtid_executed").await;
            self.witness.exec(if new { "RESET BINARY LOGS AND GTIDS" } else { "RESET MASTER" }).await;
            self.witness.exec(format!("SET GLOBAL gtid_purged = '{}'", executed[0].replace('\n', ""))).await;
        }
        let start = if new { "START REPLICA" } else { "START SLAVE" };
        self.witness.exec(format!("{change} {}", settings.join(", "))).await;
        self.witness.exec(start).await;
    }

    /// Waits until the witness has all that the source has now.
    ///
    /// # Panics
    /// When it has stopped, or is too slow.
    pub async fn witness_caught_up(&self) {
        let (file, offset) = end_of_binlog(&self.source).await;
        let wait = if self.route.source == Version::V97 { "SOURCE_POS_WAIT" } else { "MASTER_POS_WAIT" };
        let deadline = Instant::now() + PATIENCE;
        loop {
            // NULL: it does not replicate; -1: not yet.
            let reached: Vec<Option<i64>> = self.witness.query_rows(format!("SELECT {wait}('{file}', {offset}, 1)")).await;
            match reached[0] {
                Some(-1) => {}
                Some(_) => return,
                None => panic!("the native replica has stopped: {}", self.witness_says().await),
            }
            assert!(Instant::now() < deadline, "the native replica is not at {file}:{offset} after {PATIENCE:?}");
            tokio::time::sleep(POLL).await;
        }
    }

    async fn witness_says(&self) -> String {
        let new = self.route.source == Version::V97;
        let statement = if new { "SHOW REPLICA STATUS" } else { "SHOW SLAVE STATUS" };
        let rows: Vec<Row> = self.witness.query_rows(statement).await;
        let said = |row: &Row, column: &str| row.get::<Option<String>, _>(column).flatten().unwrap_or_default();
        rows.first().map_or_else(String::new, |row| format!("{} {}", said(row, "Last_IO_Error"), said(row, "Last_SQL_Error")))
    }

    /// Removes what a seed has left.
    pub async fn clear(&self, schema: &str, task: &str) {
        let drop = format!("DROP DATABASE IF EXISTS {schema}");
        let clear =
            ["checkpoint", "tables", "chunks"].map(|table| format!("DELETE FROM polarferry.{table} WHERE task = '{task}'"));
        self.source.exec(&drop).await;
        let mut root = self.target.root().await;
        root.query_drop("SET foreign_key_checks = 0").await.expect("a setting");
        root.query_drop(drop).await.expect("the target drops its schema");
        for statement in clear {
            // The tables are not there when the daemon never came so far.
            let _ = root.query_drop(statement).await;
        }
        let _ = root.disconnect().await;
    }
}
