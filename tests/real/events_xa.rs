//! Are XA transactions carried: prepared and committed by the same session or by another, later, after other transactions, in
//! another file, after a restart of the daemon; in one phase; rolled back?

use std::time::{Duration, Instant};

use mysql_async::Error;
use mysql_async::prelude::Queryable;
use rand::Rng;

use super::pair::{Pair, Route};
use super::rows::assert_equal;
use super::scale;
use crate::ferry::{Ferry, PATIENCE};
use crate::lab::{POLL, Server, Version};

fn prepared(xid: &str, dml: &str) -> String {
    format!("USE shop; XA START {xid}; {dml}; XA END {xid}; XA PREPARE {xid}")
}

/// From another session than the one that prepared it, which may still be leaving: until it has left, it is the only one that may.
async fn decide(source: &Server, sql: &str) {
    let (mut root, deadline) = (source.root().await, Instant::now() + PATIENCE);
    loop {
        match root.query_drop(sql).await {
            Ok(()) => break,
            // XAER_NOTA
            Err(Error::Server(error)) if error.code == 1397 && Instant::now() < deadline => tokio::time::sleep(POLL).await,
            Err(error) => panic!("{error}: {sql}"),
        }
    }
    let _ = root.disconnect().await;
}

async fn open(pair: &Pair) -> Vec<String> {
    pair.target.query_rows("SELECT CONVERT(gtrid USING utf8mb4) FROM polarferry.prepared ORDER BY 1").await
}

async fn a_prepared_transaction_arrives_when_it_is_committed(route: Route) {
    let pair = Pair::start(route).await;
    let source = &pair.source;
    source
        .exec(
            "CREATE DATABASE shop; CREATE DATABASE other; CREATE TABLE other.t (id INT PRIMARY KEY); \
             CREATE TABLE shop.t (id INT PRIMARY KEY, n INT); CREATE TABLE shop.u (id INT PRIMARY KEY, n INT); \
             INSERT INTO shop.t VALUES (1, 1), (2, 2), (3, 3), (4, 4); INSERT INTO shop.u VALUES (1, 1)",
        )
        .await;
    // Prepared before the task, rolled back after it began: of no concern. Its rows are locked while the task begins.
    source.exec(prepared("'early'", "UPDATE t SET n = 40 WHERE id = 4")).await;
    let mut ferry = Ferry::start(&pair.task(&["shop.*"]));
    ferry.wait_streaming().await;
    decide(source, "XA ROLLBACK 'early'").await;

    let late =
        "INSERT INTO t VALUES (10, 1), (11, 2); UPDATE t SET n = 9 WHERE id = 1; DELETE FROM t WHERE id = 2; UPDATE u SET n = 7";
    source.exec(prepared("'late', 'branch', 7", late)).await;
    if route.source == Version::V97 {
        let compressed = "INSERT INTO t VALUES (12, 1); UPDATE t SET n = 9 WHERE id = 4";
        source.exec("SET SESSION binlog_transaction_compression = ON;".to_owned() + &prepared("'small'", compressed)).await;
        decide(source, "XA COMMIT 'small'").await;
    }
    source.exec(prepared("'undone'", "INSERT INTO t VALUES (20, 1); UPDATE t SET n = 30 WHERE id = 3")).await;
    source.exec(prepared("'elsewhere'", "INSERT INTO other.t VALUES (1)")).await;
    source.exec(prepared("'same'", "INSERT INTO t VALUES (30, 1)") + "; XA COMMIT 'same'").await;
    source.exec(prepared("'back'", "INSERT INTO t VALUES (31, 1)") + "; XA ROLLBACK 'back'").await;
    source.exec("USE shop; XA START 'one'; INSERT INTO t VALUES (32, 1); XA END 'one'; XA COMMIT 'one' ONE PHASE").await;
    source.exec("INSERT INTO shop.t VALUES (33, 1); FLUSH BINARY LOGS; INSERT INTO shop.t VALUES (34, 1)").await;
    ferry.wait_applied(source).await;
    // The source does not show what is merely prepared, and neither does the target.
    assert_equal(&pair, "shop", &["t", "u"]).await;
    assert_eq!(open(&pair).await, ["elsewhere", "late", "undone"]);

    ferry.restart();
    source.exec("INSERT INTO shop.t VALUES (35, 1)").await;
    ferry.wait_applied(source).await;
    assert_equal(&pair, "shop", &["t", "u"]).await;
    ferry.kill9();
    source.exec("FLUSH BINARY LOGS").await;
    decide(source, "XA COMMIT 'late', 'branch', 7").await;
    source.exec("INSERT INTO shop.t VALUES (36, 1)").await;
    ferry.restart();
    ferry.wait_applied(source).await;
    assert_equal(&pair, "shop", &["t", "u"]).await;
    assert_eq!(open(&pair).await, ["elsewhere", "undone"]);
    decide(source, "XA ROLLBACK 'undone'").await;
    decide(source, "XA COMMIT 'elsewhere'").await;
    // The name may be used again.
    source.exec(prepared("'late', 'branch', 7", "UPDATE t SET n = n + 1") + "; XA COMMIT 'late', 'branch', 7").await;
    ferry.wait_applied(source).await;
    assert_equal(&pair, "shop", &["t", "u"]).await;
    assert_eq!(open(&pair).await, Vec::<String>::new());
    assert_eq!(ferry.terminate().await.0, 0);
    ferry.assert_clean_log();
}

on_routes! { a_prepared_transaction_arrives_when_it_is_committed,
    mysql_97: Route::V97,
    mysql_80_without_gtid: Route::V80.without_gtid(),
    mysql_57: Route::V57_TO_V80,
    mysql_57_without_gtid: Route::V57_TO_V80.without_gtid()
}

/// What cannot be carried: a commit whose rows came before the task, and a group that is no longer in the binlog.
async fn a_prepared_transaction_whose_rows_are_out_of_reach_stops_the_task(route: Route) {
    let pair = Pair::start(route).await;
    let source = &pair.source;
    source.exec("CREATE DATABASE shop; CREATE TABLE shop.t (id INT PRIMARY KEY, n INT); INSERT INTO shop.t VALUES (1, 1)").await;
    source.exec(prepared("'early'", "INSERT INTO t VALUES (2, 2)")).await;
    let mut task = pair.task(&["shop.*"]);
    let mut ferry = Ferry::start(&task);
    ferry.wait_streaming().await;
    source.exec("INSERT INTO shop.t VALUES (3, 3)").await;
    decide(source, "XA COMMIT 'early'").await;
    assert_eq!(ferry.wait_end().await, 65);
    let said = ferry.last_words();
    assert!(
        said.contains("transaction-unsupported") && said.contains("X'6561726c79',X'',1") && said.contains("remedy: "),
        "{said}"
    );
    assert_eq!(pair.target.query_rows::<i32>("SELECT id FROM shop.t").await, [1, 3]);

    // A new task, as the remedy says.
    pair.target.exec("DROP DATABASE shop").await;
    task.name = "again".to_owned();
    let mut ferry = Ferry::start(&task);
    ferry.wait_streaming().await;
    source.exec(prepared("'purged'", "INSERT INTO t VALUES (4, 4)")).await;
    source.exec("FLUSH BINARY LOGS; INSERT INTO shop.t VALUES (5, 5)").await;
    ferry.wait_applied(source).await;
    assert_eq!(ferry.terminate().await.0, 0);
    let (last, _) = crate::ferry::end_of_binlog(source).await;
    source.exec(format!("PURGE BINARY LOGS TO '{last}'")).await;
    ferry.restart();
    assert_eq!(ferry.wait_end().await, 65);
    let said = ferry.last_words();
    assert!(said.contains("stream-lost") && said.contains("remedy: "), "{said}");
}

on_routes! { a_prepared_transaction_whose_rows_are_out_of_reach_stops_the_task,
    mysql_80: Route::V80,
    mysql_57_without_gtid: Route::V57_TO_V80.without_gtid()
}

/// A transaction manager at work: what is prepared is decided at once or some transactions later, by another session, one way or
/// the other; then its row is changed again.
async fn manage(source: &Server, seed: u64, transactions: u32) {
    let mut random = scale::random(seed, 7);
    let mut undecided: Vec<u32> = Vec::new();
    for number in 0..transactions {
        let dml = format!("INSERT INTO t VALUES ({}, 1); UPDATE t SET n = n + 1 WHERE id = {number}", number + 1000);
        source.exec(prepared(&format!("'t{number}'"), &dml)).await;
        undecided.push(number);
        let rotation = if random.random_range(0..12) == 0 { "FLUSH BINARY LOGS" } else { "DO 0" };
        source.exec(format!("INSERT INTO shop.plain (n) VALUES ({number}); {rotation}")).await;
        let waiting = if number + 1 == transactions { 0 } else { random.random_range(0..6) };
        while undecided.len() > waiting {
            let verb = if random.random_range(0..4) == 0 { "ROLLBACK" } else { "COMMIT" };
            let number = undecided.swap_remove(random.random_range(0..undecided.len()));
            decide(source, &format!("XA {verb} 't{number}'")).await;
            source.exec(format!("UPDATE shop.t SET n = n + 10 WHERE id = {number}")).await;
        }
    }
}

async fn a_killed_daemon_neither_loses_nor_doubles_an_xa_transaction(route: Route) {
    let seed = scale::seed();
    let pair = Pair::start(route).await;
    pair.source
        .exec(
            "CREATE DATABASE shop; USE shop; CREATE TABLE t (id INT PRIMARY KEY, n INT); \
             CREATE TABLE plain (id INT AUTO_INCREMENT PRIMARY KEY, n INT); INSERT INTO plain (n) VALUES (1)",
        )
        .await;
    let rows: Vec<String> = (0..900).map(|id| format!("({id}, 0)")).collect();
    pair.source.exec(format!("INSERT INTO shop.t VALUES {}", rows.join(","))).await;
    let sections = "[copy]\nchunk_rows = 100\nchunk_bytes = \"64KiB\"\n[throttle]\ncopy_rows_per_second = 200\n";
    let mut ferry = Ferry::start(&pair.task(&["shop.*"]).with(sections));
    ferry.wait_until("the copy", |status| status["phase"] == "copy" || status["phase"] == "stream").await;
    let mut random = scale::random(seed, 8);
    let killing = async {
        for _ in 0..6 {
            // This sleep waits for nothing: it *is* the random moment.
            tokio::time::sleep(random.random_range(Duration::ZERO..Duration::from_millis(1500))).await;
            ferry.restart();
        }
    };
    tokio::join!(killing, manage(&pair.source, seed, 120));
    ferry.wait_streaming().await;
    ferry.wait_applied(&pair.source).await;
    assert_equal(&pair, "shop", &["t", "plain"]).await;
    assert_eq!(open(&pair).await, Vec::<String>::new());
    assert_eq!(ferry.terminate().await.0, 0);
    ferry.assert_clean_log();
}

on_routes! { a_killed_daemon_neither_loses_nor_doubles_an_xa_transaction,
    mysql_97: Route::V97,
    mysql_57_without_gtid: Route::V57_TO_V80.without_gtid()
}
