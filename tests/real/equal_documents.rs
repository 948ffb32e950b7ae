//! Does a document arrive that a server holds equal to the one before it? `1.5` and `1.50` are equal for it, and so are the INTEGER
//! and the UNSIGNED INTEGER 7; an upsert that changes nothing else leaves the old document.

use super::pair::{Pair, Route};
use super::rows::assert_equal;
use crate::ferry::Ferry;

const SCHEMA: &str = "CREATE DATABASE shop; USE shop; CREATE TABLE t (id INT PRIMARY KEY, d JSON, n INT); \
    INSERT INTO t VALUES (1, JSON_OBJECT('b', CAST(1.5 AS DECIMAL(20,10))), 0), (2, JSON_ARRAY(7, 'x'), 0), (3, '[1]', 0), (4, '{}', 0)";

/// The first as one change of a row, for 5.7, which logs it; the others by way of something else in one transaction, which comes to
/// one change here.
const CHANGES: [&str; 4] = [
    "UPDATE t SET d = JSON_SET(d, '$.b', 1.50) WHERE id = 1",
    "START TRANSACTION; UPDATE t SET d = 'null' WHERE id = 2; UPDATE t SET d = JSON_ARRAY(CAST(7 AS UNSIGNED), 'x') WHERE id = 2; COMMIT",
    "START TRANSACTION; DELETE FROM t WHERE id = 3; INSERT INTO t VALUES (3, JSON_ARRAY(1.00), 0); COMMIT",
    "START TRANSACTION; UPDATE t SET d = '[2]', n = 1; UPDATE t SET d = JSON_ARRAY(2.0), n = 0; COMMIT",
];

const KINDS: &str = "SELECT CONCAT_WS(' ', id, d, JSON_TYPE(d->'$.b'), JSON_TYPE(d->'$[0]')) FROM shop.t ORDER BY id";

async fn documents_that_are_held_equal_arrive_as_they_are(route: Route) {
    let pair = Pair::start(route).await;
    pair.source.exec(SCHEMA).await;
    let mut ferry = Ferry::start(&pair.task(&["shop.*"]));
    ferry.wait_streaming().await;
    for changes in CHANGES {
        pair.source.exec(format!("USE shop; {changes}")).await;
        ferry.wait_applied(&pair.source).await;
        assert_equal(&pair, "shop", &["t"]).await;
        let source: Vec<String> = pair.source.query_rows(KINDS).await;
        assert_eq!(source, pair.target.query_rows::<String>(KINDS).await, "{changes}");
    }
    assert_eq!(ferry.terminate().await.0, 0);
    ferry.assert_clean_log();
}

on_routes! { documents_that_are_held_equal_arrive_as_they_are,
    mysql_97: Route::V97,
    mysql_57_to_80_without_gtid: Route::V57_TO_V80.without_gtid()
}
