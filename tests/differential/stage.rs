//! Three servers: a source, a target, and a witness, which is a native replica of the source and has been one since before the
//! source had anything to tell. They stay up from seed to seed.

use std::time::{Duration, Instant};

use mysql_async::Row;
use mysql_async::prelude::Queryable;

use super::settings::Route;
use crate::ferry::{PASSWORD_AT_SOURCE, PASSWORD_AT_TARGET, USER, end_of_binlog};
use crate::lab::{Options, POLL, Server, Version, source_account, target_account};

/// How long the witness may stand still: it has the same machine as the servers and the daemon of another seed.
const PATIENCE: Duration = Duration::from_secs(120);

pub struct Stage {
    pub route: Route,
    pub gtid: bool,
    pub source: Server,
    pub target: Server,
    pub witness: Server,
}

/// How far the witness has come, and what stopped it.
struct WitnessStatus {
    at: String,
    errors: String,
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
        let new = self.is_new();
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

    /// Waits until the witness has all that the source has now; or why it never will: about one seed in a hundred makes a replica of
    /// 9.7 hang or stop.
    pub async fn witness_caught_up(&self) -> Result<(), String> {
        let (file, offset) = end_of_binlog(&self.source).await;
        let wait = if self.is_new() { "SOURCE_POS_WAIT" } else { "MASTER_POS_WAIT" };
        let (mut at, mut moved) = (String::new(), Instant::now());
        loop {
            // NULL: it does not replicate; -1: not yet.
            let reached: Vec<Option<i64>> = self.witness.query_rows(format!("SELECT {wait}('{file}', {offset}, 1)")).await;
            let status = self.witness_status().await;
            match reached[0] {
                Some(-1) => {}
                Some(_) => return Ok(()),
                None => return Err(format!("it has stopped at {}: {}", status.at, status.errors)),
            }
            if status.at != at {
                (at, moved) = (status.at, Instant::now());
            }
            if moved.elapsed() > PATIENCE {
                return Err(format!("it has stood at {at} for {PATIENCE:?}, before {file}:{offset}"));
            }
            tokio::time::sleep(POLL).await;
        }
    }

    fn is_new(&self) -> bool {
        self.route.source == Version::V97
    }

    async fn witness_status(&self) -> WitnessStatus {
        let statement = if self.is_new() { "SHOW REPLICA STATUS" } else { "SHOW SLAVE STATUS" };
        let rows: Vec<Row> = self.witness.query_rows(statement).await;
        let place = if self.is_new() {
            ["Relay_Source_Log_File", "Exec_Source_Log_Pos"]
        } else {
            ["Relay_Master_Log_File", "Exec_Master_Log_Pos"]
        };
        let said = |column: &str| rows.first().and_then(|row| row.get::<Option<String>, _>(column).flatten()).unwrap_or_default();
        WitnessStatus { at: place.map(said).join(":"), errors: ["Last_IO_Error", "Last_SQL_Error"].map(said).join(" ") }
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
