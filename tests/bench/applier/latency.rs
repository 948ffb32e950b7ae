//! The time from a commit on the source until another server shows it, when nothing else waits.

use std::time::{Duration, Instant};

use mysql_async::prelude::Queryable;

use crate::lab::{Server, Version};
use crate::race::{Track, wait_streaming};
use crate::workload::Workload;

/// Transactions a second.
pub const RATE: u32 = 300;

/// How long one applier is watched, at scale 1.
const TIME: Duration = Duration::from_secs(20);

/// Two points of a distribution.
#[derive(Clone, Copy, Debug)]
pub struct Delays {
    pub median: Duration,
    pub p99: Duration,
}

/// For the replica and for polarferry.
pub async fn measure(version: Version, scale: f64) -> (Delays, Delays) {
    let track = Track::start(version, Workload::Latency).await;
    Workload::Latency.fill(&track.source, scale).await;
    track.attach_replica().await;
    let count = (TIME.as_secs_f64() * scale * f64::from(RATE)).max(100.0) as u64;
    track.target.suspend();
    let replica = watch(&track.source, &track.replica, 0, count).await;
    track.stop_replica().await;
    track.target.resume();
    track.replica.suspend();
    let mut ferry = track.ferry();
    wait_streaming(&mut ferry, &track.source).await.unwrap_or_else(|why| panic!("polarferry refuses: {why}"));
    let ours = watch(&track.source, &track.target, count, count).await;
    ferry.terminate().await;
    track.replica.resume();
    (replica, ours)
}

/// Commits `count` transactions on the source at the rate, and looks for each on `shown` without pause.
async fn watch(source: &Server, shown: &Server, first: u64, count: u64) -> Delays {
    let (mut writer, mut reader) = (source.root().await, shown.root().await);
    let writing = tokio::spawn(async move {
        let mut ticks = tokio::time::interval(Duration::from_secs(1) / RATE);
        let mut committed = Vec::new();
        for id in first..first + count {
            ticks.tick().await;
            writer.query_drop(format!("INSERT INTO bench.beats VALUES ({id}, 0)")).await.expect("a commit");
            committed.push(Instant::now());
        }
        committed
    });
    let mut seen = Vec::new();
    while (seen.len() as u64) < count {
        let newest: Option<Option<u64>> = reader.query_first("SELECT MAX(id) FROM bench.beats").await.expect("an answer");
        let now = Instant::now();
        let all = newest.flatten().map_or(0, |id| (id + 1).saturating_sub(first));
        while (seen.len() as u64) < all {
            seen.push(now);
        }
    }
    let committed = writing.await.expect("the writer ends by itself");
    // A server may show a transaction before the source has told its client of the commit.
    let mut delays: Vec<Duration> =
        seen.iter().zip(&committed).map(|(seen, begun)| seen.saturating_duration_since(*begun)).collect();
    delays.sort_unstable();
    Delays { median: delays[delays.len() / 2], p99: delays[delays.len() * 99 / 100] }
}
