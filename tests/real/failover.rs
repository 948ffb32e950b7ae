//! Does a task live through a failover of its source: while the address still leads to the former writer, or to a replica that is
//! not yet promoted, and when it happens a second time? And of its target?

use std::sync::Arc;

use std::time::Instant;

use rand::Rng;
use rand::rngs::StdRng;

use super::pair::{Pair, Route};
use super::rows::rows;
use super::scale;
use super::writers::Writers;
use crate::ferry::{Ferry, PASSWORD_AT_SOURCE, PATIENCE, Relay, Task, USER, end_of_binlog};
use crate::lab::{POLL, Server, Version};

/// Two sources, the second a native replica of the first, and an address that leads to one of them.
struct Cluster {
    pair: Pair,
    second: Server,
    relay: Relay,
}

impl Cluster {
    async fn start(route: Route) -> Self {
        let options = route.source_options();
        let (pair, second) = tokio::join!(Pair::start_with_locks(route), Server::start(route.source, &options));
        let relay = Relay::to(&pair.source).await;
        follow(&second, &pair.source).await;
        Self { pair, second, relay }
    }

    fn task(&self, include: &[&str]) -> Task {
        let mut task = self.pair.task(include);
        task.source.port = self.relay.port();
        task
    }
}

fn new(server: &Server) -> bool {
    server.version() == Version::V97
}

/// Makes `replica` one of `source`, from the first event on, and read-only.
async fn follow(replica: &Server, source: &Server) {
    let (change, word) = if new(replica) { ("CHANGE REPLICATION SOURCE TO", "SOURCE") } else { ("CHANGE MASTER TO", "MASTER") };
    replica.exec("SET GLOBAL super_read_only = ON").await;
    replica
        .exec(format!(
            "{change} {word}_HOST = '127.0.0.1', {word}_PORT = {}, {word}_USER = 'root', {word}_CONNECT_RETRY = 1, {word}_AUTO_POSITION = 1",
            source.port()
        ))
        .await;
    replica.exec(if new(replica) { "START REPLICA" } else { "START SLAVE" }).await;
}

/// Waits until `replica` has all that `source` has.
async fn caught_up(replica: &Server, source: &Server) {
    let executed: Vec<String> = source.query_rows("SELECT @@GLOBAL.gtid_executed").await;
    let executed = executed[0].replace('\n', "");
    let deadline = Instant::now() + PATIENCE;
    while replica.query_rows::<u8>(format!("SELECT GTID_SUBSET('{executed}', @@GLOBAL.gtid_executed)")).await != [1] {
        assert!(Instant::now() < deadline, "the replica stays behind");
        tokio::time::sleep(POLL).await;
    }
}

async fn promote(replica: &Server) {
    replica.exec(if new(replica) { "STOP REPLICA" } else { "STOP SLAVE" }).await;
    replica.exec("SET GLOBAL super_read_only = OFF; SET GLOBAL read_only = OFF").await;
}

async fn assert_same(source: &Server, target: &Server, tables: &[&str]) {
    for table in tables {
        assert_eq!(rows(target, "shop", table).await, rows(source, "shop", table).await, "{table}");
    }
}

/// Waits until a change that `server` makes now is on the target.
async fn goes_on(cluster: &Cluster, server: &Server, ferry: &mut Ferry, id: u32) {
    server.exec(format!("INSERT INTO shop.t VALUES ({id}); INSERT INTO shop.k VALUES ({id})")).await;
    let deadline = Instant::now() + PATIENCE;
    let there = || cluster.pair.target.query_rows::<u8>(format!("SELECT 1 FROM shop.k WHERE id = {id}"));
    while there().await.is_empty() {
        assert!(ferry.ended().is_none(), "ended: {}", ferry.last_words());
        assert!(Instant::now() < deadline, "{id} does not arrive");
        tokio::time::sleep(POLL).await;
    }
    assert_same(server, &cluster.pair.target, &["t", "k"]).await;
}

async fn a_task_outlives_two_failovers(route: Route) {
    let cluster = Cluster::start(route).await;
    let (first, second) = (&cluster.pair.source, &cluster.second);
    first
        .exec(
            "CREATE DATABASE shop; CREATE TABLE shop.t (id INT PRIMARY KEY); CREATE TABLE shop.k (id INT); \
               INSERT INTO shop.t VALUES (1), (2); INSERT INTO shop.k VALUES (1), (1)",
        )
        .await;
    let mut ferry = Ferry::start(&cluster.task(&["shop.*"]));
    ferry.wait_streaming().await;
    goes_on(&cluster, first, &mut ferry, 3).await;

    // The address leads to the replica before it is promoted: that is no reason to stop.
    caught_up(second, first).await;
    first.exec("SET GLOBAL super_read_only = ON").await;
    cluster.relay.lead_to(second);
    cluster.relay.cut();
    ferry
        .wait_until("a retry", |status| status["retries"]["last"]["cause"].as_str().is_some_and(|c| c.contains("no writer")))
        .await;
    promote(second).await;
    ferry.wait_streaming().await;
    goes_on(&cluster, second, &mut ferry, 4).await;

    // And back; the table without a key has long passed its snapshot.
    follow(first, second).await;
    caught_up(first, second).await;
    promote(first).await;
    cluster.relay.lead_to(first);
    cluster.relay.cut();
    goes_on(&cluster, first, &mut ferry, 5).await;

    // A start while the address leads to a reader waits, too.
    follow(second, first).await;
    caught_up(second, first).await;
    ferry.kill9();
    cluster.relay.lead_to(second);
    ferry.restart();
    ferry
        .wait_until("a retry", |status| status["retries"]["last"]["cause"].as_str().is_some_and(|c| c.contains("no writer")))
        .await;
    cluster.relay.lead_to(first);
    goes_on(&cluster, first, &mut ferry, 6).await;
    assert_eq!(ferry.terminate().await.0, 0);
    ferry.assert_clean_log();
}

on_routes! { a_task_outlives_two_failovers,
    mysql_97: Route::V97,
    mysql_80: Route::V80
}

/// The target becomes read-only, and its address leads to another server that holds all it had.
#[tokio::test(flavor = "multi_thread")]
async fn a_task_outlives_a_failover_of_its_target() {
    let route = Route::V80;
    let pair = Pair::start(route).await;
    let second = Server::start(route.target, &route.source_options()).await;
    follow(&second, &pair.target).await;
    let relay = Relay::to(&pair.target).await;
    pair.source.exec("CREATE DATABASE shop; CREATE TABLE shop.t (id INT PRIMARY KEY, n INT)").await;
    let mut task = pair.task(&["shop.*"]);
    task.target.port = relay.port();
    let mut ferry = Ferry::start(&task);
    ferry.wait_streaming().await;
    let step = |random: &mut StdRng| {
        vec![format!("INSERT INTO t VALUES ({}, 1) ON DUPLICATE KEY UPDATE n = n + 1", random.random_range(0..500))]
    };
    let writers = Writers::start(&pair.source, "shop", 2, scale::seed(), step);
    ferry.wait_until("changes applied", |status| status["stream"]["transactions"].as_u64() > Some(50)).await;

    pair.target.exec("SET GLOBAL super_read_only = ON").await;
    let refused = |status: &serde_json::Value| {
        status["retries"]["last"]["cause"].as_str().is_some_and(|cause| cause.starts_with("target-read-only"))
    };
    ferry.wait_until("a retry", refused).await;
    caught_up(&second, &pair.target).await;
    promote(&second).await;
    relay.lead_to(&second);
    relay.cut();
    ferry.wait_until("it goes on", |status| status["retries"]["last"].is_null()).await;
    assert!(writers.stop().await > 0);
    ferry.wait_applied(&pair.source).await;
    assert_same(&pair.source, &second, &["t"]).await;
    assert_eq!(ferry.terminate().await.0, 0);
    ferry.assert_clean_log();
}

/// The address moves while connections to the former writer stay: a new one must not be mixed with them.
#[tokio::test(flavor = "multi_thread")]
async fn every_session_of_a_voyage_is_with_the_server_that_was_surveyed() {
    let cluster = Cluster::start(Route::V80).await;
    let first = &cluster.pair.source;
    first.exec("CREATE DATABASE shop; CREATE TABLE shop.t (id INT PRIMARY KEY)").await;
    caught_up(&cluster.second, first).await;
    let (uuid, other): (Vec<String>, Vec<String>) =
        (first.query_rows("SELECT @@server_uuid").await, cluster.second.query_rows("SELECT @@server_uuid").await);
    let endpoint = polarferry::conn::Endpoint {
        host: "127.0.0.1".to_owned(),
        port: cluster.relay.port(),
        user: USER.to_owned(),
        password: PASSWORD_AT_SOURCE.into(),
        tls: polarferry::conn::Tls { mode: polarferry::conn::TlsMode::Disabled, ca: None },
    };
    let purpose = polarferry::conn::Purpose::Rows;
    assert!(polarferry::source::connect_to(&endpoint, purpose, &uuid[0]).await.is_ok());
    cluster.relay.lead_to(&cluster.second);
    let fault = polarferry::source::connect_to(&endpoint, purpose, &uuid[0]).await.expect_err("another server");
    assert!(fault.code.class().is_some(), "{fault}");
    assert!(polarferry::source::connect_to(&endpoint, purpose, &other[0]).await.is_ok());
    let (file, _) = end_of_binlog(first).await;
    let start = polarferry::source::binlog::Start::FileOnce(polarferry::model::position::FilePosition { file, offset: 4 });
    let opened = polarferry::source::binlog::open(&endpoint, &uuid[0], 7, &start, &Arc::default()).await;
    assert!(opened.is_err_and(|fault| fault.code.class().is_some()));
}
