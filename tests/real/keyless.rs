//! Does a row without a key go when, and only when, it is the one that went at the source? Rows that a server holds equal and that
//! are not the same must be told apart.

use mysql_async::prelude::Queryable;

use super::pair::{Pair, Route};
use super::rows::assert_equal;
use crate::ferry::Ferry;

/// Each pair of rows is equal for `=`; the second of each goes, and rows that have the other sign come.
const ALIKE: &str = "CREATE DATABASE shop; USE shop; \
    CREATE TABLE t (n INT, d DOUBLE, f FLOAT, s VARCHAR(9) COLLATE utf8mb4_general_ci, b VARBINARY(9)) CHARSET utf8mb4; \
    INSERT INTO t VALUES (1, 0e0, 0e0, 'a', 'x'), (1, -0e0, 0e0, 'a', 'x'), (2, 1, 0e0, 'a', 'x'), (2, 1, -0e0, 'a', 'x'), \
    (3, 1, 1, 'a', 'x'), (3, 1, 1, 'A ', 'x'), (4, 1, 1, 'a', 'x'), (4, 1, 1, 'a', 'x ')";

const CHANGES: [&str; 6] = [
    "DELETE FROM t WHERE n = 1 AND d LIKE '-%'",
    "DELETE FROM t WHERE n = 2 AND f LIKE '-%'",
    "DELETE FROM t WHERE n = 3 AND BINARY s = 'A '",
    "DELETE FROM t WHERE n = 4 AND b = 'x '",
    "INSERT INTO t SELECT n, -d, -f, UPPER(s), b FROM t",
    "DELETE FROM t WHERE n < 3 AND d NOT LIKE '-%' AND f NOT LIKE '-%'",
];

async fn rows_that_are_only_held_equal_are_told_apart(route: Route) {
    let pair = Pair::start_with_locks(route).await;
    pair.source.exec(ALIKE).await;
    let mut ferry = Ferry::start(&pair.task(&["shop.*"]));
    ferry.wait_streaming().await;
    for statement in CHANGES {
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
