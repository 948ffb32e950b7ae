//! Does a row without a key go when, and only when, it is the one that went at the source? Rows that a server holds equal and that
//! are not the same must be told apart, and equal ones go by their number.

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

/// Rows that differ, and that a comparison less exact than by bytes would hold equal. `many` has one row for each of 0 to 999, three times.
const SCHEMA: &str = "CREATE DATABASE shop DEFAULT CHARACTER SET utf8mb4; USE shop; \
    CREATE TABLE kinds (d DOUBLE, f FLOAT, z INT(8) UNSIGNED ZEROFILL, p DECIMAL(12,4) ZEROFILL, s VARCHAR(20), l CHAR(9) CHARACTER SET latin1, \
        b VARBINARY(9), x BINARY(4), t TIME(3), at DATETIME(6), ts TIMESTAMP(2) NULL, y YEAR, day DATE, e ENUM('a','b'), m SET('x','y','z'), \
        bits BIT(12), g POINT, big BIGINT UNSIGNED, sum INT GENERATED ALWAYS AS (z + 1) VIRTUAL); \
    CREATE TABLE many (n INT, s VARCHAR(20)); CREATE TABLE documents (j JSON, n INT); \
    CREATE TABLE largest (n BIGINT UNSIGNED ZEROFILL, d DECIMAL(9,3), s VARCHAR(9))";

const KINDS: [&str; 8] = [
    "(0e0, 0.1, 7, 1.5, 'a', 'é', 'a', 'a', '-12:00:00.5', '2024-01-02 03:04:05.000006', '2024-01-02 03:04:05.25', 2024, '2024-01-02', 'a', 'x,z', 5, POINT(1,2), 18446744073709551615)",
    "(-0e0, 0.1, 7, 1.5, 'a', 'é', 'a', 'a', '-12:00:00.5', '2024-01-02 03:04:05.000006', '2024-01-02 03:04:05.25', 2024, '2024-01-02', 'a', 'x,z', 5, POINT(1,2), 18446744073709551615)",
    "(0e0, 0.1, 7, 1.5, 'A', 'é', 'a', 'a', '-12:00:00.5', '2024-01-02 03:04:05.000006', '2024-01-02 03:04:05.25', 2024, '2024-01-02', 'a', 'x,z', 5, POINT(1,2), 18446744073709551615)",
    "(0e0, 0.1, 7, 1.5, 'a ', 'é', 'a', 'a', '-12:00:00.5', '2024-01-02 03:04:05.000006', '2024-01-02 03:04:05.25', 2024, '2024-01-02', 'a', 'x,z', 5, POINT(1,2), 18446744073709551615)",
    "(1.7976931348623157e308, 3.4e38, 0, 0, '', '', '', '', '838:59:59', '1000-01-01', '2038-01-19 03:14:07', 1901, '9999-12-31', 'b', '', 0, NULL, 0)",
    "(NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL)",
    "(1e-5, -1e10, 12345678, 99999999.9999, '~,', 'x', x'00ff2700', x'ff', '00:00:00.001', '2024-01-02', '2024-01-02', 0, '2024-02-29', 'b', 'y', 4095, POINT(-0e0,1e-300), 1)",
    "(123456789.123, 16777216, 1, 0.0001, '文字🚢', '~', '5:', '1234', '-00:00:00.001', '9999-12-31 23:59:59.999999', '1970-01-01 00:00:01', 2155, '1000-01-01', 'a', 'z', 1, POINT(1,2), 9)",
];

const COLUMNS: &str = "(d, f, z, p, s, l, b, x, t, at, ts, y, day, e, m, bits, g, big)";

async fn rows_without_a_key_go_by_their_number(route: Route) {
    let pair = Pair::start_with_locks(route).await;
    let thrice = [KINDS.join(","), KINDS.join(","), KINDS.join(",")].join(",");
    let numbers: Vec<String> = (0..3000).map(|n| format!("({},'row {}')", n % 1000, n % 7)).collect();
    pair.source
        .exec(format!(
            "{SCHEMA}; SET time_zone = '+00:00'; INSERT INTO kinds {COLUMNS} VALUES {thrice}; \
             INSERT INTO largest VALUES {}; INSERT INTO many VALUES {}; INSERT INTO documents VALUES ('[1]', 1), ('[2]', 1), ('[1]', 1), ('null', 1), (NULL, 1), \
             (JSON_ARRAY(1.50, 'a'), 4), (JSON_ARRAY(1.5, 'a'), 4), (JSON_ARRAY(1.50, 'a'), 4), (JSON_OBJECT('k', 2), 5), (JSON_OBJECT('k', 2.0), 5)",
            ["a", "b", "c", "d", "e"].map(|s| format!("(18446744073709551615, 1.5, '{s}')")).join(","),
            numbers.join(",")
        ))
        .await;
    let mut ferry = Ferry::start(&pair.task(&["shop.*"]));
    ferry.wait_streaming().await;
    ferry.wait_applied(&pair.source).await;
    // One of each kind, some of the many, all at once; then a few; then moved, and back within one transaction.
    for changes in [
        "DELETE FROM kinds ORDER BY d, s, z LIMIT 9",
        "DELETE FROM many WHERE n % 3 = 0 AND s < 'row 4'",
        "DELETE FROM many WHERE n = 1 LIMIT 1",
        "DELETE FROM largest WHERE s = 'a'",
        "DELETE FROM largest",
        "INSERT INTO largest VALUES (18446744073709551615, 1.5, 'f')",
        "UPDATE many SET s = CONCAT(s, '!') WHERE n % 5 = 0",
        "UPDATE kinds SET big = big - 1 WHERE big > 0",
        "DELETE FROM documents WHERE CAST(j AS CHAR) = '[1]' LIMIT 1",
        "DELETE FROM documents WHERE n = 4 AND CAST(j AS CHAR) = '[1.5, \"a\"]'",
        "DELETE FROM documents WHERE n = 5 AND CAST(j AS CHAR) LIKE '%2.0%'",
        "UPDATE documents SET j = JSON_ARRAY(1.5, 'a') WHERE n = 4 LIMIT 1",
        "DELETE FROM documents WHERE j IS NULL; INSERT INTO documents VALUES ('{\"a\": 1}', 2); UPDATE documents SET n = 3",
        "BEGIN; DELETE FROM many WHERE n = 7; INSERT INTO many VALUES (7, 'new'), (7, 'new'); UPDATE many SET s = 'newer' WHERE n = 7 LIMIT 1; COMMIT",
        "DELETE FROM kinds WHERE s IS NULL OR s <> 'a'",
    ] {
        pair.source.exec(format!("USE shop; SET time_zone = '+00:00'; {changes}")).await;
        ferry.wait_applied(&pair.source).await;
        assert_equal(&pair, "shop", &["kinds", "many", "documents"]).await;
        let left = "SELECT IFNULL(GROUP_CONCAT(n, ' ', d, ' ', s ORDER BY s), '') FROM shop.largest";
        assert_eq!(pair.source.query_rows::<String>(left).await, pair.target.query_rows::<String>(left).await);
    }
    assert_eq!(ferry.terminate().await.0, 0);
    ferry.assert_clean_log();
}

on_routes! { rows_without_a_key_go_by_their_number,
    mysql_97: Route::V97,
    mysql_80_without_gtid: Route::V80.without_gtid(),
    mysql_57_to_80: Route::V57_TO_V80
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_without_a_key_that_is_missing_stops_the_task() {
    let pair = Pair::start_with_locks(Route::V97).await;
    pair.source
        .exec("CREATE DATABASE shop; CREATE TABLE shop.many (n INT); INSERT INTO shop.many VALUES (1), (1), (2), (3)")
        .await;
    let mut ferry = Ferry::start(&pair.task(&["shop.*"]));
    ferry.wait_streaming().await;
    ferry.wait_applied(&pair.source).await;
    // The sum is the same afterwards: one row too few of one kind, one too many of another.
    pair.target.exec("UPDATE shop.many SET n = 2 WHERE n = 3").await;
    pair.source.exec("DELETE FROM shop.many").await;
    assert_eq!(ferry.wait_end().await, 65);
    assert!(ferry.last_words().contains("drift"), "{}", ferry.last_words());
    assert_eq!(pair.target.query_rows::<u64>("SELECT COUNT(*) FROM shop.many").await, [4]);
}

/// One of three equal rows goes, for many rows at once. Two stay, also where a server would not write them as they are: `e` is the
/// error value, which is not the member ''.
#[tokio::test(flavor = "multi_thread")]
async fn of_equal_rows_the_others_stay_as_they_are() {
    let pair = Pair::start_with_locks(Route::V97).await;
    let kinds: Vec<(u8, u8)> = (0..20).flat_map(|h| (0..3).map(move |e| (h, e))).collect();
    let rows: Vec<String> =
        kinds.iter().map(|(h, e)| format!("({}, {h}, {e}, {}0e0)", h % 2, if h % 4 == 0 { "-" } else { "" })).collect();
    let insert = format!("INSERT INTO t VALUES {}", rows.join(","));
    pair.source
        .exec(format!(
            "CREATE DATABASE shop; USE shop; CREATE TABLE t (n INT, h INT, e ENUM('a', ''), d DOUBLE); SET sql_mode = ''; \
             {insert}; {insert}; {insert}"
        ))
        .await;
    let mut ferry = Ferry::start(&pair.task(&["shop.*"]));
    ferry.wait_streaming().await;
    ferry.wait_applied(&pair.source).await;
    let deletes: Vec<String> =
        kinds.iter().map(|(h, e)| format!("DELETE FROM t WHERE h = {h} AND e + 0 = {e} LIMIT 1")).collect();
    for _ in 0..3 {
        assert_equal(&pair, "shop", &["t"]).await;
        pair.source.exec(format!("USE shop; BEGIN; {}; COMMIT", deletes.join("; "))).await;
        ferry.wait_applied(&pair.source).await;
    }
    assert_eq!(pair.target.query_rows::<u64>("SELECT COUNT(*) FROM shop.t").await, [0]);
    assert_eq!(ferry.terminate().await.0, 0);
    ferry.assert_clean_log();
}

/// A server's functions give NULL for what is longer than its packet, and so does a digest over the whole of such a row.
#[tokio::test(flavor = "multi_thread")]
async fn rows_longer_than_the_targets_packet_are_found() {
    const THREE: usize = 3 * 1024 * 1024;
    let pair = Pair::start_with_locks(Route::V97).await;
    pair.target.exec("SET GLOBAL max_allowed_packet = 4194304").await;
    let rows: Vec<String> = (0..4).map(|n| format!("({n}, REPEAT('a', {THREE}), REPEAT('b', {THREE}))")).collect();
    pair.source
        .exec(format!(
            "CREATE DATABASE shop; USE shop; CREATE TABLE t (n INT, b LONGBLOB, x LONGTEXT); INSERT INTO t VALUES {}",
            rows.join(",")
        ))
        .await;
    let mut ferry = Ferry::start(&pair.task(&["shop.*"]));
    ferry.wait_streaming().await;
    ferry.wait_applied(&pair.source).await;
    pair.source.exec("DELETE FROM shop.t WHERE n = 3; DELETE FROM shop.t; INSERT INTO shop.t VALUES (5, 'b', 'x')").await;
    ferry.wait_applied(&pair.source).await;
    assert_eq!(pair.target.query_rows::<i32>("SELECT n FROM shop.t").await, [5]);
    assert_eq!(ferry.terminate().await.0, 0);
    ferry.assert_clean_log();
}

/// 5.7's own lock does not see it: what was prepared may be in the binary log any moment, and in the engine a moment later.
async fn a_prepared_transaction_whose_client_has_gone_is_waited_for(route: Route) {
    let pair = Pair::start_with_locks(route).await;
    pair.source.exec("CREATE DATABASE shop; CREATE TABLE shop.log (n INT); INSERT INTO shop.log VALUES (1)").await;
    pair.source.exec("XA START 'left'; INSERT INTO shop.log VALUES (2); XA END 'left'; XA PREPARE 'left'").await;
    let mut ferry = Ferry::start(&pair.task(&["shop.*"]));
    ferry.wait_until("the lock is refused", |status| status["retries"]["source"].as_u64() > Some(0)).await;
    assert_eq!(pair.target.query_rows::<u64>("SELECT COUNT(*) FROM shop.log").await, [0]);
    pair.source.exec("XA ROLLBACK 'left'; INSERT INTO shop.log VALUES (3)").await;
    ferry.wait_streaming().await;
    ferry.wait_applied(&pair.source).await;
    assert_equal(&pair, "shop", &["log"]).await;
    assert_eq!(ferry.terminate().await.0, 0);
}

on_routes! { a_prepared_transaction_whose_client_has_gone_is_waited_for,
    mysql_97: Route::V97,
    mysql_57_to_80: Route::V57_TO_V80
}
