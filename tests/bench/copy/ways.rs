//! The ways from source to target.

use std::fs::File;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use clap::ValueEnum;
use tokio::task::JoinSet;

use crate::contest::{Contest, Leg};
use crate::ferry::{Ferry, Task};
use crate::lab::{MYDUMPER, MYLOADER, MYSQL, MYSQLDUMP, POLL, Program, Server, last_lines};
use crate::tables::{self, DATABASE, Workload};
use crate::usage;

/// Of every way that can use more than one: polarferry's own default.
pub const THREADS: usize = 4;

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Way {
    Raw,
    Mysqldump,
    Mydumper,
    Polarferry,
}

impl Way {
    pub const ALL: [Self; 4] = [Self::Raw, Self::Mysqldump, Self::Mydumper, Self::Polarferry];

    /// Has its programs at hand, so that no run waits for a download.
    pub fn fetch(self) {
        let programs: &[Program] = match self {
            Self::Raw | Self::Polarferry => &[],
            Self::Mysqldump => &[MYSQLDUMP, MYSQL],
            Self::Mydumper => &[MYDUMPER, MYLOADER],
        };
        programs.iter().for_each(|program| drop(program.command()));
    }

    pub fn name(self) -> String {
        self.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
    }
}

/// Its account of itself, and when it had ended.
type Outcome = Result<(Leg, Instant), String>;

/// Runs statements on several sessions at a time, in their order.
async fn in_parallel(server: &Server, statements: Vec<String>) {
    let queue = std::sync::Arc::new(tokio::sync::Mutex::new(statements.into_iter()));
    let mut sessions = JoinSet::new();
    for _ in 0..THREADS {
        let (queue, mut session) = (std::sync::Arc::clone(&queue), server.root().await);
        sessions.spawn(async move {
            loop {
                let Some(statement) = queue.lock().await.next() else { break };
                let ran = mysql_async::prelude::Queryable::query_drop(&mut session, &statement).await;
                ran.unwrap_or_else(|error| panic!("{error}: {statement}"));
            }
            let _ = session.disconnect().await;
        });
    }
    sessions.join_all().await;
}

pub async fn raw(contest: &Contest) -> Outcome {
    let directory = directory(&contest.source);
    contest.target.exec(format!("CREATE DATABASE {DATABASE} DEFAULT CHARACTER SET utf8mb4")).await;
    let (mut exports, mut loads) = (Vec::new(), Vec::new());
    for table in contest.workload.tables() {
        let create: Vec<(String, String)> = contest.source.query_rows(format!("SHOW CREATE TABLE {DATABASE}.{table}")).await;
        contest.target.exec(format!("USE {DATABASE}; {}", create[0].1)).await;
        let parts = if contest.workload == Workload::Wide { THREADS as u64 } else { 1 };
        let step = contest.volume.rows / parts + 1;
        for part in 0..parts {
            let file = directory.path().join(format!("{table}.{part}"));
            let rows =
                if parts == 1 { String::new() } else { format!(" WHERE id >= {} AND id < {}", part * step, (part + 1) * step) };
            exports
                .push(format!("SELECT * INTO OUTFILE '{}' CHARACTER SET utf8mb4 FROM {DATABASE}.{table}{rows}", file.display()));
            loads.push(format!("LOAD DATA INFILE '{}' INTO TABLE {DATABASE}.{table} CHARACTER SET utf8mb4", file.display()));
        }
    }
    in_parallel(&contest.source, exports).await;
    in_parallel(&contest.target, loads).await;
    Ok((Leg::default(), Instant::now()))
}

/// Beside a server's own data, and gone with this value.
fn directory(server: &Server) -> tempfile::TempDir {
    let place = server.data().parent().map_or_else(std::env::temp_dir, Path::to_path_buf);
    tempfile::tempdir_in(place).expect("a directory")
}

fn at(program: Program, port: u16) -> Command {
    let mut command = program.command();
    command.args(["--host=127.0.0.1", "--user=root"]).arg(format!("--port={port}"));
    command
}

/// Runs the first program into the second, or alone, to the end.
async fn run(directory: &Path, mut first: Command, second: Option<Command>) -> Result<(), String> {
    let log = directory.join("log");
    let file = File::create(&log).expect("a file");
    let again = || file.try_clone().expect("a file");
    first.stdin(Stdio::null()).stderr(again());
    let ran = tokio::task::spawn_blocking(move || {
        let Some(mut second) = second else { return [Some(first.stdout(file).status().expect("it runs")), None] };
        let mut writer = first.stdout(Stdio::piped()).spawn().expect("it starts");
        let piped = writer.stdout.take().expect("a pipe");
        let read = second.stdin(piped).stdout(again_of(&file)).stderr(file).status().expect("it runs");
        [Some(writer.wait().expect("it ends")), Some(read)]
    });
    let ended = ran.await.expect("a thread");
    if ended.iter().flatten().all(std::process::ExitStatus::success) {
        return Ok(());
    }
    let words = std::fs::read_to_string(&log).unwrap_or_default();
    Err(format!("{ended:?}: {}", last_lines(&words, 5)))
}

fn again_of(file: &File) -> File {
    file.try_clone().expect("a file")
}

pub async fn mysqldump(contest: &Contest) -> Outcome {
    let directory = directory(&contest.source);
    let mut dump = at(MYSQLDUMP, contest.to_source.port());
    dump.args(["--single-transaction", "--set-gtid-purged=OFF", "--no-tablespaces", "--databases", DATABASE]);
    run(directory.path(), dump, Some(at(MYSQL, contest.target.port()))).await?;
    Ok((Leg::default(), Instant::now()))
}

pub async fn mydumper(contest: &Contest) -> Outcome {
    let (directory, dumped) = (directory(&contest.source), directory(&contest.source));
    let threads = format!("--threads={THREADS}");
    let mut dump = at(MYDUMPER, contest.to_source.port());
    dump.args([&threads, "--rows=200000", "--trx-consistency-only", "--database", DATABASE])
        .arg("--outputdir")
        .arg(dumped.path());
    run(directory.path(), dump, None).await?;
    let mut load = at(MYLOADER, contest.target.port());
    load.args([&threads, "--enable-binlog", "--database", DATABASE]).arg("--directory").arg(dumped.path());
    run(directory.path(), load, None).await?;
    Ok((Leg::default(), Instant::now()))
}

pub async fn polarferry(contest: &Contest) -> Outcome {
    let mut task = Task::new(&contest.source, &contest.target, &[&format!("{DATABASE}.*")]);
    task.source.port = contest.to_source.port();
    let mut load = None;
    if contest.workload.is_under_load() {
        load = Some(tables::sysbench(&contest.source, contest.scale).await.start());
    }
    let mut ferry = Ferry::start(&task);
    let mut lag: Option<f64> = None;
    let ended = loop {
        if let Some(code) = ferry.ended() {
            return Err(format!("exit code {code}: {}", ferry.last_words().trim()));
        }
        if let Some(status) = ferry.try_status().await
            && let Some(seconds) = status["lag_seconds"].as_f64()
        {
            lag = Some(lag.unwrap_or(0.0).max(seconds));
        }
        if is_copied(&contest.target).await {
            break Instant::now();
        }
        tokio::time::sleep(POLL).await;
    };
    let own = ferry.process_id();
    let leg = Leg { own_cpu: Some(usage::cpu(own)), peak_mib: Some(usage::peak_mib(own)), lag, ..Leg::default() };
    drop(load);
    ferry.wait_streaming().await;
    ferry.wait_applied(&contest.source).await;
    if std::env::var_os("BENCH_LOG").is_some() {
        println!("{}", ferry.log());
    }
    ferry.terminate().await;
    Ok((leg, ended))
}

/// Whether the ledger has every table, and each of them whole.
async fn is_copied(target: &Server) -> bool {
    let there: Vec<u64> = target
        .query_rows("SELECT COUNT(*) FROM information_schema.TABLES WHERE TABLE_SCHEMA='polarferry' AND TABLE_NAME='tables'")
        .await;
    if there != [1] {
        return false;
    }
    let counts: Vec<(u64, u64)> = target
        .query_rows("SELECT COUNT(*), CAST(IFNULL(SUM(state IN ('pending','copying')), 0) AS UNSIGNED) FROM polarferry.tables")
        .await;
    matches!(counts[..], [(tables, 0)] if tables > 0)
}
