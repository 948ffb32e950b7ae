//! Does a row without a key go when, and only when, it is the one that went at the source? Rows that a server holds equal and that
//! are not the same must be told apart.

use mysql_async::prelude::Queryable;

use super::pair::{Pair, Route};
use super::rows::assert_equal;
use crate::ferry::Ferry;

/// Each pair of rows is equal for `=`; the second of each goes, and the first comes back.
const ALIKE: &str = "CREATE DATABASE shop; USE shop; \
    CREATE TABLE t (n INT, d DOUBLE, e DOUBLE(8,2), f FLOAT, s VARCHAR(9) COLLATE utf8mb4_general_ci, b VARBINARY(9)) CHARSET utf8mb4; \
    INSERT INTO t VALUES (1, 0e0, 0e0, 0e0, 'a', 'x'), (1, -0e0, 0e0, 0e0, 'a', 'x'), (2, 1, 0e0, 0e0, 'a', 'x'), (2, 1, -0e0, 0e0, 'a', 'x'), \
    (3, 1, 1, 0e0, 'a', 'x'), (3, 1, 1, -0e0, 'a', 'x'), (4, 1, 1, 1, 'a', 'x'), (4, 1, 1, 1, 'A ', 'x'), (5, 1, 1, 1, 'a', 'x'), (5, 1, 1, 1, 'a', 'x ')";

const CHANGES: &str = "USE shop; DELETE FROM t WHERE n = 1 AND d LIKE '-%'; DELETE FROM t WHERE n = 2 AND e LIKE '-%'; \
    DELETE FROM t WHERE n = 3 AND f LIKE '-%'; DELETE FROM t WHERE n = 4 AND BINARY s = 'A '; DELETE FROM t WHERE n = 5 AND b = 'x '; \
    INSERT INTO t SELECT n, -d, e, -f, UPPER(s), b FROM t; DELETE FROM t WHERE n < 4 AND s = 'A' AND d NOT LIKE '-%'";

async fn rows_that_are_only_held_equal_are_told_apart(route: Route) {
    let pair = Pair::start_with_locks(route).await;
    pair.source.exec(ALIKE).await;
    let mut ferry = Ferry::start(&pair.task(&["shop.*"]));
    ferry.wait_streaming().await;
    for statement in CHANGES.split("; ").skip(1) {
        pair.source.exec(format!("USE shop; {statement}")).await;
        ferry.wait_applied(&pair.source).await;
        assert_equal(&pair, "shop", &["t"]).await;
    }
    assert_eq!(ferry.terminate().await.0, 0);
    ferry.assert_clean_log();
}

on_routes! { rows_that_are_only_held_equal_are_told_apart,
    mysql_97: Route::V97,
    mysql_57_to_80_without_gtid: Route::V57_TO_V80.without_gtid()
}

/// A server writes minus zero into a DOUBLE(M,D) only on a way that no statement of ours can take.
#[tokio::test(flavor = "multi_thread")]
async fn a_sign_that_cannot_be_written_stops_and_is_not_lost() {
    let pair = Pair::start(Route::V97).await;
    pair.source
        .exec("CREATE DATABASE shop; CREATE TABLE shop.t (n INT PRIMARY KEY, e DOUBLE(8,2)); INSERT INTO shop.t VALUES (1, 0)")
        .await;
    let mut ferry = Ferry::start(&pair.task(&["shop.*"]));
    ferry.wait_streaming().await;
    pair.source.exec("INSERT INTO shop.t SELECT 2, -e FROM shop.t").await;
    assert_eq!(ferry.wait_end().await, 65);
    let words = ferry.last_words();
    assert!(words.contains("value-unsupported") && words.contains("shop.t") && words.contains("minus zero"), "{words}");
}

/// A transaction that stays open on a table without a key holds up that table's copy, and no other's.
#[tokio::test(flavor = "multi_thread")]
async fn a_lock_that_is_not_to_be_had_holds_up_no_other_table() {
    let pair = Pair::start_with_locks(Route::V80).await;
    pair.source
        .exec("CREATE DATABASE shop; USE shop; CREATE TABLE k (id INT PRIMARY KEY); CREATE TABLE t (n INT); INSERT INTO k VALUES (1), (2); INSERT INTO t VALUES (1)")
        .await;
    let mut holder = pair.source.root().await;
    holder.query_drop("BEGIN; INSERT INTO shop.t VALUES (2)").await.expect("an open transaction");
    let mut ferry = Ferry::start(&pair.task(&["shop.*"]));
    let state = |status: &serde_json::Value, at: usize| status["tables"][at]["state"].as_str().unwrap_or_default().to_owned();
    let status = ferry
        .wait_until("k is copied", |status| status["retries"]["source"].as_u64() > Some(0) && state(status, 0) == "streaming")
        .await;
    assert_ne!(state(&status, 1), "streaming", "{status:#}");
    holder.query_drop("COMMIT").await.expect("the end of it");
    ferry.wait_streaming().await;
    pair.source.exec("INSERT INTO shop.t VALUES (3)").await;
    ferry.wait_applied(&pair.source).await;
    assert_equal(&pair, "shop", &["k", "t"]).await;
    assert_eq!(ferry.terminate().await.0, 0);
    ferry.assert_clean_log();
}
