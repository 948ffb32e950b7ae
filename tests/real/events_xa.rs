//! Are XA transactions carried: prepared and committed by the same session or by another, later, after other transactions, in
//! another file, after a restart of the daemon; in one phase; rolled back?

use super::pair::{Pair, Route};
use super::rows::assert_equal;
use crate::ferry::Ferry;

fn prepared(xid: &str, dml: &str) -> String {
    format!("USE shop; XA START {xid}; {dml}; XA END {xid}; XA PREPARE {xid}")
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
    source.exec("XA ROLLBACK 'early'").await;

    let late =
        "INSERT INTO t VALUES (10, 1), (11, 2); UPDATE t SET n = 9 WHERE id = 1; DELETE FROM t WHERE id = 2; UPDATE u SET n = 7";
    source.exec(prepared("'late', 'branch', 7", late)).await;
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
    source.exec("FLUSH BINARY LOGS; XA COMMIT 'late', 'branch', 7; INSERT INTO shop.t VALUES (36, 1)").await;
    ferry.restart();
    ferry.wait_applied(source).await;
    assert_equal(&pair, "shop", &["t", "u"]).await;
    assert_eq!(open(&pair).await, ["elsewhere", "undone"]);
    source.exec("XA ROLLBACK 'undone'; XA COMMIT 'elsewhere'").await;
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
    source.exec("INSERT INTO shop.t VALUES (3, 3); XA COMMIT 'early'").await;
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
