//! Does a task live through a network that goes silent: no connection ends, nothing comes through, and neither server knows? While
//! it copies and while it streams, towards either end.
//!
//! Every silence leaves sessions behind that the servers believe in: a replica at the source, and at the target a writer with its
//! name, and perhaps with a transaction and its locks.

use std::time::{Duration, Instant};

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Row};
use polarferry::source::binlog::HEARTBEAT;
use polarferry::sql::session::take;
use rand::Rng;
use rand::rngs::StdRng;
use serde_json::Value;

use super::pair::{Pair, Route};
use super::rows::assert_equal;
use super::scale;
use super::writers::Writers;
use crate::ferry::{Ferry, PASSWORD_AT_TARGET, PATIENCE, Relay, USER};
use crate::lab::POLL;

/// A copy that goes on all the while.
const SECTIONS: &str = "[copy]\nconnections = 2\nchunk_rows = 50\n[throttle]\ncopy_rows_per_second = 150\n";
const ROWS: usize = 4000;

/// Two heartbeats; then what was read before is written, which may take ten seconds; and what a busy machine takes to show it.
const AT_SOURCE: Duration = HEARTBEAT.saturating_mul(2).saturating_add(Duration::from_secs(14));
/// What the target has for its answer, likewise.
const AT_TARGET: Duration = Duration::from_secs(30 + 5);

/// One transaction on both tables.
fn step(random: &mut StdRng) -> Vec<String> {
    let (id, n) = (random.random_range(0..ROWS), random.random_range(0..1000));
    vec![
        format!("INSERT INTO t VALUES ({id}, {n}) ON DUPLICATE KEY UPDATE n = {n}"),
        format!("DELETE FROM t WHERE id = {}", random.random_range(0..ROWS)),
        format!("INSERT INTO k VALUES ({n})"),
    ]
}

/// Waits for a status, however long the daemon stands still.
async fn wait_for(ferry: &mut Ferry, what: &str, within: Duration, condition: impl Fn(&Value) -> bool) -> Duration {
    let began = Instant::now();
    loop {
        if ferry.try_status().await.is_some_and(|status| condition(&status)) {
            return began.elapsed();
        }
        assert!(ferry.ended().is_none(), "it ended before: {what}");
        assert!(began.elapsed() < within, "not within {within:?}: {what}\n{:#}", ferry.status().await);
        tokio::time::sleep(POLL).await;
    }
}

/// One silence, noticed and outlived. It lasts for `attempts` that fail, each of which waits ten seconds for an answer.
async fn silence(ferry: &mut Ferry, relay: &Relay, side: &str, notice: Duration, attempts: u64) {
    let before = ferry.status().await["retries"][side].as_u64().unwrap_or_default();
    let began = Instant::now();
    relay.swallow();
    let noticed = wait_for(ferry, "it notices", notice, |status| status["retries"]["last"]["side"] == side).await;
    let longest = PATIENCE * u32::try_from(attempts + 1).expect("few");
    wait_for(ferry, "it goes on trying", longest, |status| status["retries"][side].as_u64() >= Some(before + 1 + attempts)).await;
    let status = ferry.status().await;
    assert!(status["lag_seconds"].is_null(), "a lag that nobody has measured: {status}");
    let (lasted, applied) = (began.elapsed(), status["applied"].clone());
    relay.let_through();
    let back =
        wait_for(ferry, "it goes on", PATIENCE, |status| status["retries"]["last"].is_null() && status["applied"] != applied)
            .await;
    println!("{side} silent for {lasted:.1?}: noticed after {noticed:.1?}, and {back:.1?} after its end something was applied");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_network_that_goes_silent_is_noticed_and_outlived() {
    let attempts = if scale::all_pairs() { 8 } else { 1 };
    let seed = scale::seed();
    let pair = Pair::start_with_locks(Route::V80).await;
    let rows: Vec<String> = (0..ROWS).map(|id| format!("({id}, 0)")).collect();
    pair.source
        .exec(format!(
            "CREATE DATABASE shop; CREATE TABLE shop.t (id INT PRIMARY KEY, n INT); CREATE TABLE shop.k (n INT); \
             INSERT INTO shop.t VALUES {}; INSERT INTO shop.k VALUES (0)",
            rows.join(",")
        ))
        .await;
    let (source, target) = tokio::join!(Relay::to(&pair.source), Relay::to(&pair.target));
    let mut task = pair.task(&["shop.*"]).with(SECTIONS);
    (task.source.port, task.target.port) = (source.port(), target.port());
    let mut ferry = Ferry::start(&task);
    let process = ferry.process_id();
    let writers = Writers::start(&pair.source, "shop", 2, seed, step);

    let applies = |status: &Value| status["phase"] == "copy" && status["stream"]["transactions"].as_u64() > Some(0);
    ferry.wait_until("copy and stream", applies).await;
    silence(&mut ferry, &target, "target", AT_TARGET, attempts).await;
    silence(&mut ferry, &source, "source", AT_SOURCE, attempts).await;
    assert_eq!(ferry.status().await["phase"], "copy", "the copy was over too soon");
    ferry.wait_streaming().await;
    silence(&mut ferry, &target, "target", AT_TARGET, attempts).await;
    silence(&mut ferry, &source, "source", AT_SOURCE, attempts).await;
    assert!(writers.stop().await > 0);
    ferry.wait_applied(&pair.source).await;
    assert_equal(&pair, "shop", &["t", "k"]).await;
    assert_eq!(ferry.process_id(), process);
    let ended = ferry.log().matches("an earlier session of this task is still open").count();
    assert!(ended >= 2, "the writers that were left behind, twice: {ended}");
    assert_eq!(ferry.terminate().await.0, 0);
    ferry.assert_clean_log();
}

/// A copy without a stream has no heartbeat: somebody asks all the same.
#[tokio::test(flavor = "multi_thread")]
async fn a_copy_alone_notices_it_too() {
    let pair = Pair::start(Route::V80.without_gtid()).await;
    let rows: Vec<String> = (0..ROWS).map(|id| format!("({id}, 0)")).collect();
    pair.source
        .exec(format!(
            "CREATE DATABASE shop; CREATE TABLE shop.t (id INT PRIMARY KEY, n INT); INSERT INTO shop.t VALUES {}",
            rows.join(",")
        ))
        .await;
    let (source, target) = tokio::join!(Relay::to(&pair.source), Relay::to(&pair.target));
    let mut task = pair.task(&["shop.*"]).with(SECTIONS).with("[migrate]\nstream = false\n");
    (task.source.port, task.target.port) = (source.port(), target.port());
    let mut ferry = Ferry::start(&task);
    for (relay, side) in [(&source, "source"), (&target, "target")] {
        let copies =
            |status: &Value| status["retries"]["last"].is_null() && status["copy"]["rows_per_second"].as_f64() > Some(0.0);
        let before = ferry.wait_until("it copies", copies).await["copy"]["rows"].clone();
        relay.swallow();
        let noticed = wait_for(&mut ferry, "it notices", AT_TARGET, |status| status["retries"]["last"]["side"] == side).await;
        println!("{side} silent for a copy alone: noticed after {noticed:.1?}");
        relay.let_through();
        wait_for(&mut ferry, "it goes on", PATIENCE, |status| status["copy"]["rows"].as_u64() > before.as_u64()).await;
    }
    assert_eq!(ferry.wait_end().await, 0);
    assert_equal(&pair, "shop", &["t"]).await;
    ferry.assert_clean_log();
}

/// A session that was left behind may be in the middle of a statement that is no text: whoever looks for it must not mind.
async fn a_session_in_the_middle_of_bytes_is_ended(route: Route) {
    let pair = Pair::start(route).await;
    pair.source.exec("CREATE DATABASE shop; CREATE TABLE shop.t (id INT PRIMARY KEY); INSERT INTO shop.t VALUES (1)").await;
    let task = pair.task(&["shop.*"]);
    let mut ferry = Ferry::start(&task);
    ferry.wait_streaming().await;
    assert_eq!(ferry.terminate().await.0, 0);
    let mut left = Conn::new(pair.target.opts(USER, PASSWORD_AT_TARGET, None)).await.expect("a session");
    left.query_drop(take(&task.name, 0, 1)).await.expect("the writer's name");
    let busy = tokio::spawn(async move { left.query_drop(&b"SET NAMES binary; SELECT SLEEP(1000), '\xff\xfe\xc3'"[..]).await });
    let deadline = Instant::now() + PATIENCE;
    let sleeps = |row: &Row| row.get::<Option<String>, _>("State").flatten().as_deref() == Some("User sleep");
    while !pair.target.query_rows::<Row>("SHOW PROCESSLIST").await.iter().any(sleeps) {
        assert!(Instant::now() < deadline, "it does not sleep");
        tokio::time::sleep(POLL).await;
    }
    ferry.restart();
    ferry.wait_streaming().await;
    assert!(busy.await.expect("no panic").is_err(), "it was ended");
    assert_eq!(ferry.log().matches("an earlier session of this task is still open").count(), 1);
    assert_eq!(ferry.terminate().await.0, 0);
    ferry.assert_clean_log();
}

on_routes! { a_session_in_the_middle_of_bytes_is_ended,
    mysql_97: Route::V97,
    mysql_80: Route::V80
}
