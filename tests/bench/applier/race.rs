//! One race: a source, a native replica and a target of polarferry that begin equal; the workload on the source alone; then each
//! applier catches up on its own while the other's server is frozen.

use std::time::{Duration, Instant};

use mysql_async::prelude::Queryable;

use crate::delay::Proxy;
use crate::ferry::{Ferry, PASSWORD_AT_SOURCE, PASSWORD_AT_TARGET, Task, USER, applied, end_of_binlog, number};
use crate::lab::{Options, POLL, Server, Version, checksum_tables, source_account, target_account};
use crate::usage;
use crate::workload::{DATABASE, Volume, Workload};

/// Threads of the replica that apply.
pub const WORKERS: u32 = 4;

/// How long one applier may take.
const LONGEST: Duration = Duration::from_secs(2 * 3600);

/// The three servers, and the ways between them.
pub struct Track {
    pub source: Server,
    pub replica: Server,
    pub target: Server,
    /// Where the replica finds its source.
    pub to_source: Proxy,
    /// Where polarferry finds its target.
    to_target: Proxy,
}

impl Track {
    pub async fn start(version: Version, workload: Workload) -> Self {
        let mut source = Options::default();
        // Only the appliers' durability counts, and these come last and win.
        source.args.extend(["--sync-binlog=0", "--innodb-flush-log-at-trx-commit=2"].map(str::to_owned));
        let mut target = Options::default();
        target.args.extend(workload.appliers_argument().map(str::to_owned));
        let mut replica = target.clone();
        // As the README recommends.
        target.args.push("--local-infile=ON".to_owned());
        replica.args.extend(match version {
            Version::V97 => vec![format!("--replica-parallel-workers={WORKERS}")],
            // What later versions have by default.
            Version::V57 | Version::V80 => vec![
                format!("--slave-parallel-workers={WORKERS}"),
                "--slave-parallel-type=LOGICAL_CLOCK".to_owned(),
                "--slave-preserve-commit-order=ON".to_owned(),
            ],
        });
        let (source, replica, target) =
            tokio::join!(Server::start(version, &source), Server::start(version, &replica), Server::start(version, &target));
        source_account(&source, USER, PASSWORD_AT_SOURCE, true).await;
        target_account(&target, USER, PASSWORD_AT_TARGET).await;
        let (to_source, to_target) = (Proxy::start(source.port()).await, Proxy::start(target.port()).await);
        Self { source, replica, target, to_source, to_target }
    }

    /// Has the replica follow the source from the source's first transaction on.
    pub async fn attach_replica(&self) {
        let words = Words::of(self.replica.version());
        let port = self.to_source.port();
        self.replica
            .exec(match self.replica.version() {
                Version::V97 => format!(
                    "CHANGE REPLICATION SOURCE TO SOURCE_HOST='127.0.0.1', SOURCE_PORT={port}, SOURCE_USER='{USER}', \
                     SOURCE_PASSWORD='{PASSWORD_AT_SOURCE}', SOURCE_AUTO_POSITION=1, GET_SOURCE_PUBLIC_KEY=1"
                ),
                Version::V57 | Version::V80 => format!(
                    "CHANGE MASTER TO MASTER_HOST='127.0.0.1', MASTER_PORT={port}, MASTER_USER='{USER}', \
                     MASTER_PASSWORD='{PASSWORD_AT_SOURCE}', MASTER_AUTO_POSITION=1, GET_MASTER_PUBLIC_KEY=1"
                ),
            })
            .await;
        self.replica.exec(words.start).await;
        self.wait_replica().await;
    }

    pub async fn start_replica(&self) {
        self.replica.exec(Words::of(self.replica.version()).start).await;
    }

    pub async fn stop_replica(&self) {
        self.replica.exec(Words::of(self.replica.version()).stop).await;
    }

    /// Until the replica has executed all that the source has.
    pub async fn wait_replica(&self) {
        let executed: Vec<String> = self.source.query_rows("SELECT @@global.gtid_executed").await;
        let wait = format!("SELECT WAIT_FOR_EXECUTED_GTID_SET('{}', {})", executed[0].replace('\n', ""), LONGEST.as_secs());
        let answer: Vec<Option<i64>> = self.replica.query_rows(wait).await;
        assert_eq!(answer, [Some(0)], "the replica has not executed all:\n{}", crate::lab::last_lines(&self.replica.log(), 20));
    }

    /// The daemon between source and target. Its way to the source is direct, its way to the target goes by the proxy.
    pub fn ferry(&self) -> Ferry {
        let mut task = Task::new(&self.source, &self.target, &[&format!("{DATABASE}.*")]);
        task.target.port = self.to_target.port();
        Ferry::start(&task)
    }
}

/// How a version calls things.
struct Words {
    start: &'static str,
    stop: &'static str,
}

impl Words {
    fn of(version: Version) -> Self {
        match version {
            Version::V97 => Self { start: "START REPLICA", stop: "STOP REPLICA" },
            Version::V57 | Version::V80 => Self { start: "START SLAVE", stop: "STOP SLAVE" },
        }
    }
}

/// Waits until the daemon streams and has applied all that the source has written; what it said at its end, if it ended.
pub async fn wait_streaming(ferry: &mut Ferry, source: &Server) -> Result<(), String> {
    let (file, offset) = end_of_binlog(source).await;
    let (end, deadline) = ((number(&file), offset), Instant::now() + LONGEST);
    loop {
        if let Some(code) = ferry.ended() {
            return Err(format!("exit code {code}: {}", ferry.last_words().trim()));
        }
        if let Some(status) = ferry.try_status().await
            && status["phase"] == "stream"
            && applied(&status) >= end
        {
            return Ok(());
        }
        assert!(Instant::now() < deadline, "polarferry has not applied all within {LONGEST:?}");
        tokio::time::sleep(POLL).await;
    }
}

/// Waits until the checkpoint on the target, which commits together with the rows, says that all is applied. (`/status` is
/// drawn anew once a second.)
async fn wait_committed(ferry: &mut Ferry, track: &Track) -> Result<(), String> {
    let (file, offset) = end_of_binlog(&track.source).await;
    let (end, deadline) = ((number(&file), offset), Instant::now() + LONGEST);
    let mut root = track.target.root().await;
    loop {
        let row: Option<(String, u64)> =
            root.query_first("SELECT file, position FROM polarferry.checkpoint").await.expect("a row");
        if row.is_some_and(|(file, offset)| (number(&file), offset) >= end) {
            let _ = root.disconnect().await;
            return Ok(());
        }
        if let Some(code) = ferry.ended() {
            return Err(format!("exit code {code}: {}", ferry.last_words().trim()));
        }
        assert!(Instant::now() < deadline, "polarferry has not applied all within {LONGEST:?}");
        tokio::time::sleep(POLL).await;
    }
}

/// What one applier needed.
#[derive(Clone, Copy, Debug, Default)]
pub struct Leg {
    pub time: Duration,
    /// Of mysqld.
    pub server_cpu: Duration,
    /// Of polarferry; the replica's threads are the server's.
    pub own_cpu: Duration,
    pub peak_mib: f64,
}

/// One race's result.
pub struct Finish {
    pub volume: Volume,
    pub replica: Option<Leg>,
    /// Or why polarferry refuses.
    pub ferry: Result<Leg, String>,
    /// polarferry's own account of its time, for who looks closer.
    pub stages: String,
    /// Whether all that ran holds what the source holds.
    pub equal: bool,
}

/// Runs one workload once. `first` says who goes first, as runs take turns.
pub async fn race(version: Version, workload: Workload, scale: f64, alone: bool, replica_first: bool) -> Finish {
    let track = Track::start(version, workload).await;
    workload.fill(&track.source, scale).await;
    if !alone {
        track.attach_replica().await;
        track.stop_replica().await;
    }
    let mut ferry = track.ferry();
    let ready = wait_streaming(&mut ferry, &track.source).await;
    if ready.is_ok() {
        assert_eq!(ferry.terminate().await.0, 0);
    }
    let volume = workload.change(&track.source, scale).await;
    track.to_source.set_round_trip(workload.round_trip());
    track.to_target.set_round_trip(workload.round_trip());
    let mut replica = None;
    if replica_first && !alone {
        replica = Some(run_replica(&track).await);
    }
    let mut stages = String::new();
    let outcome = match ready {
        Err(why) => Err(why),
        Ok(()) => run_ferry(&track, &mut ferry, &mut stages).await,
    };
    if !replica_first && !alone {
        replica = Some(run_replica(&track).await);
    }
    track.to_source.set_round_trip(Duration::ZERO);
    track.to_target.set_round_trip(Duration::ZERO);
    let mut equal = true;
    let truth = contents(&track.source, workload).await;
    if replica.is_some() {
        equal &= contents(&track.replica, workload).await == truth;
    }
    if outcome.is_ok() {
        equal &= contents(&track.target, workload).await == truth;
    }
    Finish { volume, replica, ferry: outcome, stages, equal }
}

async fn run_replica(track: &Track) -> Leg {
    track.target.suspend();
    let process = track.replica.process_id();
    let (cpu, began) = (usage::cpu(process), Instant::now());
    track.start_replica().await;
    track.wait_replica().await;
    let leg = Leg { time: began.elapsed(), server_cpu: usage::cpu(process) - cpu, ..Leg::default() };
    track.stop_replica().await;
    track.target.resume();
    leg
}

async fn run_ferry(track: &Track, ferry: &mut Ferry, stages: &mut String) -> Result<Leg, String> {
    track.replica.suspend();
    let process = track.target.process_id();
    let (cpu, began) = (usage::cpu(process), Instant::now());
    ferry.restart();
    let outcome = wait_committed(ferry, track).await;
    let (time, own) = (began.elapsed(), ferry.process_id());
    let leg = Leg { time, server_cpu: usage::cpu(process) - cpu, own_cpu: usage::cpu(own), peak_mib: usage::peak_mib(own) };
    if outcome.is_ok() {
        if std::env::var_os("BENCH_LOG").is_some() {
            println!("{}", ferry.log());
        }
        *stages = seconds_by_stage(&ferry.metrics().await.unwrap_or_default());
        ferry.terminate().await;
    }
    track.replica.resume();
    outcome.map(|()| leg)
}

/// `polarferry_apply_seconds_total{stage="merge"} 1.5` as `merge 1.5`.
fn seconds_by_stage(metrics: &str) -> String {
    let stage = |line: &str| {
        let (labels, seconds) = line.strip_prefix("polarferry_apply_seconds")?.rsplit_once(' ')?;
        let name = labels.split('"').nth(1)?;
        let seconds: f64 = seconds.parse().ok()?;
        (seconds >= 0.005).then(|| format!("{name} {seconds:.2} s"))
    };
    let batches = metrics.lines().find_map(|line| line.strip_prefix("polarferry_batches_total ")).unwrap_or("?");
    let stages: Vec<String> = metrics.lines().filter_map(stage).collect();
    format!("{batches} batches; {}", stages.join(", "))
}

/// Comparable sums of every table. CHECKSUM TABLE adds up rows, so equal rows of a keyless table count as often as they occur.
async fn contents(server: &Server, workload: Workload) -> (std::collections::BTreeMap<String, u64>, Vec<(u64, u64)>) {
    let sums = checksum_tables(server, DATABASE, &workload.tables()).await;
    let copies = match workload {
        Workload::Keyless => {
            let groups = "SELECT COUNT(*) AS copies FROM bench.log GROUP BY n, at, level, price, text";
            server.query_rows(format!("SELECT copies, COUNT(*) FROM ({groups}) g GROUP BY copies ORDER BY copies")).await
        }
        _ => Vec::new(),
    };
    (sums, copies)
}
