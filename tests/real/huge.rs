//! Transactions larger than memory should hold: of very many rows, and of very many tables.

use super::pair::{Pair, Route};
use super::rows::assert_equal;
use super::scale;
use crate::ferry::Ferry;
use crate::lab::count;

/// What the daemon may take, whatever the transaction.
const MEMORY: u64 = 256 << 20;

/// One transaction inserts all the rows, changes a third and deletes a third. The daemon is killed in the midst of it.
async fn a_transaction_of_very_many_rows_arrives_whole_in_little_memory(route: Route) {
    let rows = scale::rows() * 20;
    let pair = Pair::start(route).await;
    pair.source
        .exec(
            "CREATE DATABASE shop; USE shop; CREATE TABLE digits (d INT PRIMARY KEY); \
             INSERT INTO digits VALUES (0),(1),(2),(3),(4),(5),(6),(7),(8),(9); \
             CREATE TABLE t (id INT PRIMARY KEY, n INT, s VARCHAR(40), UNIQUE (s))",
        )
        .await;
    let mut ferry = Ferry::start(&pair.task(&["shop.*"]));
    ferry.wait_streaming().await;
    let numbers: Vec<String> = (1..=7).map(|place| format!("d{place}.d * {}", 10_u32.pow(place - 1))).collect();
    let numbers = numbers.join(" + ");
    let from: Vec<String> = (1..=7).map(|place| format!("digits d{place}")).collect();
    pair.source
        .exec(format!(
            "USE shop; START TRANSACTION; INSERT INTO t SELECT n, n, CONCAT('row ', n) FROM (SELECT {numbers} AS n FROM {}) all_n WHERE n < {rows}; \
             UPDATE t SET n = -n, s = CONCAT(s, '!') WHERE id % 3 = 0; DELETE FROM t WHERE id % 3 = 1; COMMIT",
            from.join(", ")
        ))
        .await;
    ferry.wait_until("it is in the midst of it", |status| status["backlog_bytes"].as_u64() > Some(1 << 20)).await;
    let before = ferry.most_memory();
    ferry.kill9();
    ferry.restart();
    ferry.wait_applied(&pair.source).await;
    let memory = ferry.most_memory().max(before);
    println!("{rows} rows inserted, changed, deleted in one transaction: VmHWM {} MiB", memory >> 20);
    assert!(memory <= MEMORY, "{memory} bytes");
    assert_equal(&pair, "shop", &["t"]).await;
    assert_eq!(u64::from(rows) - count(&pair.target, "shop", "t").await, u64::from((rows + 1) / 3));
    assert_eq!(ferry.terminate().await.0, 0);
    ferry.assert_clean_log();
}

on_routes! { a_transaction_of_very_many_rows_arrives_whole_in_little_memory,
    mysql_97: Route::V97,
    mysql_57_to_80_without_gtid: Route::V57_TO_V80.without_gtid()
}

/// Each table has one row of it. The target shows none of them, or all.
#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_of_very_many_tables_arrives_whole_in_little_memory() {
    let tables = scale::rows() / 20;
    let pair = Pair::start(Route::V80).await;
    pair.source.exec("CREATE DATABASE shop").await;
    for group in (0..tables).collect::<Vec<_>>().chunks(100) {
        let create: Vec<String> = group.iter().map(|at| format!("CREATE TABLE shop.t{at} (id INT PRIMARY KEY, n INT)")).collect();
        pair.source.exec(create.join(";")).await;
    }
    let mut ferry = Ferry::start(&pair.task(&["shop.*"]));
    ferry.wait_streaming().await;
    let insert: Vec<String> = (0..tables).map(|at| format!("INSERT INTO shop.t{at} VALUES (1, {at})")).collect();
    pair.source.exec(format!("START TRANSACTION; {}; COMMIT", insert.join(";"))).await;
    ferry.wait_applied(&pair.source).await;
    println!("{tables} tables in one transaction: VmHWM {} MiB", ferry.most_memory() >> 20);
    assert!(ferry.most_memory() <= MEMORY);
    let mut filled = 0;
    for group in (0..tables).collect::<Vec<_>>().chunks(100) {
        let counts: Vec<String> = group.iter().map(|at| format!("(SELECT COUNT(*) FROM shop.t{at} WHERE n = {at})")).collect();
        let counted: Vec<u64> = pair.target.query_rows(format!("SELECT {}", counts.join(" + "))).await;
        filled += counted[0];
    }
    assert_eq!(filled, u64::from(tables));
    assert_eq!(ferry.terminate().await.0, 0);
    ferry.assert_clean_log();
}
