//! One seed: a schema, an application that writes to it, a daemon that is stopped and killed and started again, and in the end three
//! servers that must hold the same.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Error, Row};
use serde_json::Value;

use super::contents;
use super::dice::Dice;
use super::limits;
use super::settings;
use super::stage::Stage;
use super::statements;
use super::table::{self, Table, quoted};
use super::text;
use super::writers::{Journal, Script, Writer, Writers, Written};
use crate::ferry::{Ferry, Task, USER};
use crate::lab::{POLL, Version};

/// A table that the server refuses this often has a generator that is wrong.
const TRIES: usize = 30;

/// What a seed has done.
#[derive(Clone, Copy, Default)]
pub struct Tally {
    pub written: Written,
    pub tables: u64,
    pub rows: u64,
    pub kills: u64,
    pub stops: u64,
    pub cuts: u64,
    /// Seeds whose native replica hung or stopped: source and target were compared alone.
    pub unwitnessed: u64,
}

impl Tally {
    pub fn add(&mut self, other: Self) {
        self.written.add(other.written);
        self.tables += other.tables;
        self.rows += other.rows;
        self.kills += other.kills;
        self.stops += other.stops;
        self.cuts += other.cuts;
        self.unwitnessed += other.unwitnessed;
    }
}

/// What is known of a seed before it runs.
pub struct Voyage {
    pub seed: u64,
    pub stage: Arc<Stage>,
    pub schema: String,
    pub task: String,
    /// Where everything about a failure goes.
    pub evidence: PathBuf,
}

/// Whether the source of a seed has GTIDs.
pub fn has_gtid(seed: u64) -> bool {
    Dice::new(seed, 0).chance(50)
}

impl Voyage {
    pub fn new(seed: u64, stage: Arc<Stage>) -> Self {
        let mut dice = Dice::new(seed, 1);
        let schema = table::name(&mut dice, "fuzz", 0) + &format!(" {seed}");
        let evidence = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("differential/{}-{seed}", stage.route));
        let schema = schema.replace(' ', "_");
        Self { seed, schema, task: format!("fuzz-{seed}"), stage, evidence }
    }

    /// # Panics
    /// When anything is not as it should be; the daemon's log and the rest are then in `evidence`.
    pub async fn run(&self) -> Tally {
        let _ = fs::remove_dir_all(&self.evidence);
        let journal = Journal::new();
        let trace = if settings::trace() { Some(self.trace().await) } else { None };
        let _guard = Evidence { directory: &self.evidence, journal: journal.clone(), trace };
        let mut dice = Dice::new(self.seed, 2);
        let version = self.stage.route.source;
        let tables = Arc::new(self.schema(&mut dice, &journal).await);
        let begun = AtomicBool::new(false);
        let script = Arc::new(Script { seed: self.seed, version, tables: Arc::clone(&tables), journal: journal.clone(), begun });
        let mut tally = Tally { written: self.fill(&mut dice, &script).await, ..Tally::default() };

        let pace = Duration::from_millis(*dice.pick(&[2, 5, 10, 30]));
        let writers = Writers::start(&self.stage.source, &script, dice.between(1..=4), pace);
        let deadline = Instant::now() + settings::span();
        let mut ferry = Ferry::start(&self.task(&mut dice));
        ferry.keep_log(self.evidence.join("daemon.log"));
        self.disturb(&mut dice, &mut ferry, deadline, &mut tally, &script).await;
        tally.written.add(writers.stop().await);

        ferry.wait_streaming().await;
        ferry.wait_applied(&self.stage.source).await;
        let witness = self.stage.witness_caught_up().await;
        if let Err(why) = &witness {
            println!("seed {}: the native replica is no witness: {why}", self.seed);
            tally.unwitnessed += 1;
        }
        let mut differences = Vec::new();
        for table in tables.iter() {
            match contents::compare(&self.stage, table, witness.is_ok()).await {
                Ok(rows) => tally.rows += rows,
                Err(text) => differences.push(text),
            }
        }
        tally.tables = tables.len() as u64;
        assert!(differences.is_empty(), "{}", differences.join("\n"));
        assert_eq!(ferry.terminate().await.0, 0, "the exit code at the end");
        ferry.assert_clean_log();
        tally
    }

    /// Has the target log every statement from here on; where.
    async fn trace(&self) -> PathBuf {
        let path = self.stage.target.data().join(format!("trace-{}", self.seed));
        let target = &self.stage.target;
        target.exec(format!("SET GLOBAL general_log_file = '{}'; SET GLOBAL general_log = 1", path.display())).await;
        path
    }

    /// Makes the schema on the source.
    async fn schema(&self, dice: &mut Dice, journal: &Journal) -> Vec<Table> {
        let version = self.stage.route.source;
        let mut root = self.stage.source.root().await;
        if version != Version::V57 {
            let metadata = *dice.pick(&["MINIMAL", "FULL"]);
            root.query_drop(format!("SET GLOBAL binlog_row_metadata = {metadata}")).await.expect("a setting");
        }
        root.query_drop("SET NAMES utf8mb4, sql_mode = 'STRICT_TRANS_TABLES'").await.expect("a session");
        let create = format!("CREATE DATABASE {} DEFAULT {}", quoted(&self.schema), text::draw(dice, version).clause());
        root.query_drop(&create).await.unwrap_or_else(|error| panic!("{error}: {create}"));
        journal.note("schema", &create, "");
        let mut tables: Vec<Table> = Vec::new();
        for at in 0..dice.between(1..=8) as usize {
            tables.push(self.create(&mut root, dice, at, &tables, journal).await);
        }
        let _ = root.disconnect().await;
        tables
    }

    async fn create(&self, root: &mut Conn, dice: &mut Dice, at: usize, others: &[Table], journal: &Journal) -> Table {
        let mut said = String::new();
        for _ in 0..TRIES {
            let drawn = table::draw(dice, self.stage.route.source, &self.schema, at, others);
            let create = drawn.create();
            match root.query_drop(&create).await {
                Ok(()) => {
                    journal.note("schema", &create, "");
                    return drawn;
                }
                Err(Error::Server(error)) => {
                    said = format!("{error}: {create}");
                    journal.note("schema", &format!("/* {create} */"), &format!("refused {error}"));
                    assert!(![1064, 1054].contains(&error.code), "{said}");
                }
                Err(error) => panic!("{error}: {create}"),
            }
        }
        panic!("no table in {TRIES} tries; the last: {said}");
    }

    /// The rows that are there before anything starts.
    async fn fill(&self, dice: &mut Dice, script: &Script) -> Written {
        let conn = self.stage.source.root().await;
        let mut writer = Writer { conn, who: "fill".to_owned(), journal: script.journal.clone(), written: Written::default() };
        writer.run("SET NAMES utf8mb4").await;
        writer.run("SET sql_mode = 'NO_AUTO_VALUE_ON_ZERO,ALLOW_INVALID_DATES'").await;
        for table in script.tables.iter() {
            for _ in 0..*dice.pick(&[0, 1, 5, 20]) {
                let insert = statements::insert(dice, table, 20, "INSERT IGNORE");
                writer.run(&insert).await;
            }
        }
        let _ = writer.conn.disconnect().await;
        writer.written
    }

    /// What the daemon is told: small chunks and small batches, so that there are many moments, and sometimes its defaults.
    fn task(&self, dice: &mut Dice) -> Task {
        let include = format!("{}.*", quoted(&self.schema));
        let mut task = Task::new(&self.stage.source, &self.stage.target, &[&include]);
        task.name.clone_from(&self.task);
        let sections = format!(
            "[copy]\nconnections = {}\nchunk_rows = {}\nchunk_bytes = \"{}\"\n\
             [apply]\nbatch_rows = {}\nbatch_bytes = \"{}\"\nbatch_transactions = {}\n\
             [throttle]\ncopy_rows_per_second = {}\n",
            dice.between(1..=4),
            dice.pick(&[10, 30, 100, 10_000]),
            dice.pick(&["64KiB", "8MiB"]),
            dice.pick(&[1, 7, 100, 20_000, 20_000]),
            dice.pick(&["64KiB", "16MiB"]),
            dice.pick(&[1, 3, 5_000, 5_000]),
            dice.pick(&[0, 300, 1000, 3000]),
        );
        task.with(&sections)
    }

    /// Until the deadline: kills the daemon, stops it, cuts its connections, at random moments.
    async fn disturb(&self, dice: &mut Dice, ferry: &mut Ferry, deadline: Instant, tally: &mut Tally, script: &Script) {
        // The first while it copies.
        let mut wait = Duration::from_millis(dice.between(200..=2000));
        loop {
            let moment = (Instant::now() + wait).min(deadline);
            while Instant::now() < moment {
                if let Some(code) = ferry.ended() {
                    panic!("the daemon ended with {code}: {}", ferry.last_words());
                }
                if !script.begun.load(Ordering::Relaxed) {
                    script.begun.store(ferry.try_status().await.as_ref().is_some_and(under_way), Ordering::Relaxed);
                }
                tokio::time::sleep(POLL).await;
            }
            if moment == deadline {
                return;
            }
            let what = match dice.below(10) {
                0..=4 => {
                    ferry.restart();
                    tally.kills += 1;
                    "SIGKILL"
                }
                5..=7 => {
                    assert_eq!(ferry.terminate().await.0, 0, "the exit code after SIGTERM: {}", ferry.last_words());
                    ferry.restart();
                    tally.stops += 1;
                    "SIGTERM"
                }
                8 => {
                    if !limits::CUTS_AT_START {
                        ferry.wait_until("the task under way", under_way).await;
                    }
                    self.cut().await;
                    tally.cuts += 1;
                    "connections cut"
                }
                _ => {
                    self.stage.source.exec("FLUSH BINARY LOGS").await;
                    "next binlog file"
                }
            };
            script.journal.note("disturb", "", what);
            wait = Duration::from_millis(dice.between(1000..=5000));
        }
    }

    /// Ends the daemon's connections at one of the servers.
    async fn cut(&self) {
        for server in [&self.stage.source, &self.stage.target] {
            let mut root = server.root().await;
            // The table of the information schema fails over statements that are not UTF-8.
            let rows: Vec<Row> = root.query("SHOW PROCESSLIST").await.expect("the connections");
            let theirs = rows.iter().filter(|row| row.get::<String, _>("User").as_deref() == Some(USER));
            for id in theirs.filter_map(|row| row.get::<u64, _>("Id")) {
                // It may have ended by itself.
                let _ = root.query_drop(format!("KILL {id}")).await;
            }
            let _ = root.disconnect().await;
        }
    }
}

/// Whether the prechecks are behind the daemon, and the task has its place in the binlog.
fn under_way(status: &Value) -> bool {
    ["copy", "stream"].iter().any(|phase| status["phase"] == *phase)
}

/// Written down when the test fails while this is there.
struct Evidence<'v> {
    directory: &'v Path,
    journal: Journal,
    trace: Option<PathBuf>,
}

impl Drop for Evidence<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let written = fs::create_dir_all(self.directory)
                .and_then(|()| fs::write(self.directory.join("journal.sql"), self.journal.text()))
                .and_then(|()| self.trace.as_ref().map_or(Ok(0), |trace| fs::copy(trace, self.directory.join("target.log"))));
            if let Err(error) = written {
                eprintln!("{}: {error}", self.directory.display());
            }
        }
    }
}
