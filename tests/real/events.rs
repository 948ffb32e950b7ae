//! Does every kind of event that a source writes arrive, or pass by without harm? A case is what is written, each part on a
//! connection of its own, about a table `shop.<name>`. All cases of a route meet one daemon, one after the other; at the end every
//! table must be equal on both sides.

use std::time::Duration;

use super::pair::{Pair, Route};
use super::rows::assert_equal;
use crate::ferry::Ferry;
use crate::lab::Version;

struct Case {
    name: &'static str,
    possible: fn(Route) -> bool,
    parts: &'static [&'static str],
}

const fn case(name: &'static str, possible: fn(Route) -> bool, parts: &'static [&'static str]) -> Case {
    Case { name, possible, parts }
}

fn everywhere(_: Route) -> bool {
    true
}

fn v97(route: Route) -> bool {
    route.source == Version::V97
}

fn before_v97(route: Route) -> bool {
    !v97(route)
}

fn from_v80(route: Route) -> bool {
    route.source != Version::V57
}

fn without_gtid(route: Route) -> bool {
    !route.gtid
}

fn v97_with_gtid(route: Route) -> bool {
    v97(route) && route.gtid
}

/// 5.7 refuses temporary tables inside a transaction under GTIDs.
fn not_v57_with_gtid(route: Route) -> bool {
    from_v80(route) || !route.gtid
}

/// Under GTIDs it is atomic, from 8.0.21 on.
fn create_and_fill(route: Route) -> bool {
    v97(route) || !route.gtid
}

const CASES: &[Case] = &[
    case(
        "rows_v2",
        everywhere,
        &["INSERT INTO rows_v2 (n) VALUES (1), (2), (3); UPDATE rows_v2 SET n = 7; DELETE FROM rows_v2 LIMIT 1"],
    ),
    case(
        "rows_v1",
        before_v97,
        &["SET GLOBAL log_bin_use_v1_row_events = 1; INSERT INTO rows_v1 (n) VALUES (1), (2), (3); UPDATE rows_v1 SET n = 7; \
             DELETE FROM rows_v1 LIMIT 1; SET GLOBAL log_bin_use_v1_row_events = 0"],
    ),
    case(
        "savepoints",
        everywhere,
        &[
            "START TRANSACTION; INSERT INTO savepoints (n) VALUES (1); SAVEPOINT a; INSERT INTO savepoints (n) VALUES (2); \
             ROLLBACK TO a; INSERT INTO savepoints (n) VALUES (3); SAVEPOINT b; RELEASE SAVEPOINT b; COMMIT",
            "START TRANSACTION; INSERT INTO savepoints (n) VALUES (4); ROLLBACK; INSERT INTO savepoints (n) VALUES (5)",
        ],
    ),
    case(
        "engines",
        without_gtid,
        &["START TRANSACTION; INSERT INTO engines (n) VALUES (1); INSERT INTO other.isam VALUES (1); ROLLBACK; \
             START TRANSACTION; INSERT INTO engines (n) VALUES (2); INSERT INTO other.isam VALUES (2); COMMIT; \
             START TRANSACTION; INSERT INTO engines (n) VALUES (3); SAVEPOINT a; INSERT INTO engines (n) VALUES (4); \
             INSERT INTO other.isam VALUES (3); ROLLBACK TO a; INSERT INTO engines (n) VALUES (5); COMMIT"],
    ),
    case("explained", everywhere, &["SET SESSION binlog_rows_query_log_events = ON; INSERT INTO explained (n) VALUES (1), (2)"]),
    case(
        "unsafe_in_mixed",
        everywhere,
        &["SET SESSION binlog_format = 'MIXED'; INSERT INTO unsafe_in_mixed (s) VALUES (UUID())"],
    ),
    case(
        "compressed",
        v97,
        &["SET SESSION binlog_transaction_compression = ON; START TRANSACTION; \
             INSERT INTO compressed (n, b) VALUES (1, REPEAT(UUID(), 30000)), (2, REPEAT(UUID(), 30000)), (3, REPEAT(UUID(), 30000)); \
             INSERT INTO compressed_too (n) VALUES (1), (2); INSERT INTO other.c (n) VALUES (9); \
             INSERT INTO compressed (n, b) SELECT n + 3, b FROM compressed; UPDATE compressed_too SET n = 7; \
             UPDATE compressed SET s = 'changed'; DELETE FROM compressed WHERE n = 2; COMMIT"],
    ),
    case("compressed_too", v97, &["SET SESSION binlog_transaction_compression = ON; INSERT INTO compressed_too (n) VALUES (3)"]),
    case(
        "compressed_by_global",
        v97,
        &[
            "SET GLOBAL binlog_transaction_compression = ON",
            "INSERT INTO compressed_by_global (n) VALUES (1), (2); UPDATE compressed_by_global SET n = n + 1",
            "SET GLOBAL binlog_transaction_compression = OFF",
            "INSERT INTO compressed_by_global (n) VALUES (3)",
        ],
    ),
    case(
        "checksums",
        everywhere,
        &[
            "SET GLOBAL binlog_checksum = NONE; INSERT INTO checksums (n) VALUES (1)",
            "INSERT INTO checksums (n) VALUES (2); FLUSH BINARY LOGS; INSERT INTO checksums (n) VALUES (3); \
             SET GLOBAL binlog_checksum = CRC32; INSERT INTO checksums (n) VALUES (4)",
        ],
    ),
    case(
        "metadata",
        from_v80,
        &["SET GLOBAL binlog_row_metadata = FULL; INSERT INTO metadata (n) VALUES (1), (2); UPDATE metadata SET n = 5; \
             SET GLOBAL binlog_row_metadata = MINIMAL; INSERT INTO metadata (n) VALUES (3)"],
    ),
    case(
        "table_ids",
        everywhere,
        &["INSERT INTO table_ids (n) VALUES (1), (2); FLUSH TABLES; UPDATE table_ids SET n = 3; FLUSH TABLES; \
             DELETE FROM table_ids LIMIT 1; FLUSH BINARY LOGS; INSERT INTO table_ids (n) VALUES (4)"],
    ),
    // The servers split events at 256 bytes.
    case(
        "small_events",
        everywhere,
        &[
            "INSERT INTO small_events (n, s) SELECT ordinal_position, REPEAT('x', 150) FROM information_schema.columns LIMIT 300; \
             UPDATE small_events SET n = n + 1",
        ],
    ),
    case(
        "settings",
        everywhere,
        &[
            "SET SESSION sql_mode = '', time_zone = '+05:30', foreign_key_checks = 0, unique_checks = 0; SET NAMES latin1; \
             INSERT INTO settings (s, at) VALUES (_latin1 x'E9', '2020-01-01 00:00:00'), ('too long for a number', NOW())",
            "SET SESSION sql_mode = 'ANSI_QUOTES,NO_BACKSLASH_ESCAPES,PIPES_AS_CONCAT'; INSERT INTO \"settings\" (s) VALUES ('\\' || 'x')",
        ],
    ),
    case(
        "temporary_tables",
        everywhere,
        &["CREATE TEMPORARY TABLE aside (id INT); INSERT INTO aside VALUES (1), (2); \
             INSERT INTO temporary_tables (n) SELECT id FROM aside; DROP TEMPORARY TABLE aside"],
    ),
    case(
        "temporary_inside",
        not_v57_with_gtid,
        &["CREATE TEMPORARY TABLE aside (id INT); START TRANSACTION; INSERT INTO temporary_inside (n) VALUES (1); \
             DROP TEMPORARY TABLE aside; INSERT INTO temporary_inside (n) VALUES (2); COMMIT"],
    ),
    case(
        "administration",
        everywhere,
        &["CREATE USER passenger; GRANT SELECT ON other.* TO passenger; DROP USER passenger; ANALYZE TABLE other.c; \
             OPTIMIZE TABLE other.c; CREATE FUNCTION other.f() RETURNS INT DETERMINISTIC NO SQL RETURN 1; DROP FUNCTION other.f; \
             CREATE TABLE mysql.beat (id INT PRIMARY KEY); INSERT INTO mysql.beat VALUES (1); INSERT INTO administration (n) VALUES (1); \
             USE mysql; SET SESSION binlog_format = 'STATEMENT'; UPDATE beat SET id = 2; DROP TABLE beat"],
    ),
    case(
        "statements_of_others",
        everywhere,
        &[
            "USE other; SET SESSION binlog_format = 'STATEMENT'; INSERT INTO c (n) VALUES (1); INSERT INTO c (n) VALUES (RAND() * 10); \
             SET @n = 5; INSERT INTO c (n) VALUES (@n); LOAD DATA INFILE 'numbers.txt' INTO TABLE c (n)",
            "INSERT INTO statements_of_others (n) VALUES (1)",
        ],
    ),
    case("loaded", everywhere, &["LOAD DATA INFILE './other/numbers.txt' INTO TABLE loaded (n)"]),
    case(
        "filled",
        create_and_fill,
        &["INSERT INTO filled (n) VALUES (1); CREATE TABLE other.filled SELECT * FROM filled; INSERT INTO filled (n) VALUES (2)"],
    ),
    case(
        "tagged",
        v97_with_gtid,
        &[
            "SET gtid_next = 'AUTOMATIC:blue'; INSERT INTO tagged (n) VALUES (1); INSERT INTO tagged (n) VALUES (2); \
             SET gtid_next = 'AUTOMATIC:red_1'; INSERT INTO tagged (n) VALUES (3)",
            "INSERT INTO tagged (n) VALUES (4)",
        ],
    ),
];

async fn everything_that_a_source_may_write_arrives_or_passes_by(route: Route) {
    let options = route.source_options().arg("--binlog-row-event-max-size=256");
    let pair = Pair::start_with(route, options, false).await;
    let cases: Vec<&Case> = CASES.iter().filter(|case| (case.possible)(route)).collect();
    let tables: Vec<&str> = cases.iter().map(|case| case.name).chain(["rotated"]).collect();
    pair.source
        .exec(
            "CREATE DATABASE shop; CREATE DATABASE other; CREATE TABLE other.isam (n INT) ENGINE = MyISAM; \
             CREATE TABLE other.c (id INT AUTO_INCREMENT PRIMARY KEY, n INT)",
        )
        .await;
    std::fs::write(pair.source.data().join("other/numbers.txt"), "11\n12\n13\n").expect("a file to load");
    for table in &tables {
        let columns = "id INT AUTO_INCREMENT PRIMARY KEY, n INT, s VARCHAR(200), at TIMESTAMP NULL, b LONGTEXT";
        pair.source.exec(format!("CREATE TABLE shop.{table} ({columns}) DEFAULT CHARACTER SET utf8mb4")).await;
    }
    let mut ferry = Ferry::start(&pair.task(&["shop.*"]));
    ferry.wait_streaming().await;
    for case in &cases {
        for part in case.parts {
            pair.source.exec(format!("USE shop; {part}")).await;
        }
    }
    let inserts = "INSERT INTO shop.rotated (n) VALUES (1); ".repeat(200);
    let rotations = "FLUSH BINARY LOGS; ".repeat(5);
    tokio::join!(pair.source.exec(&inserts), pair.source.exec(&rotations));
    ferry.wait_applied(&pair.source).await;
    assert_equal(&pair, "shop", &tables).await;

    // And on from there, by its GTIDs with their tags or by its position.
    ferry.kill9();
    for table in &tables {
        pair.source.exec(format!("INSERT INTO shop.{table} (n) VALUES (99); UPDATE shop.{table} SET n = n + 1")).await;
    }
    if v97_with_gtid(route) {
        pair.source.exec("SET gtid_next = 'AUTOMATIC:blue'; INSERT INTO shop.tagged (n) VALUES (5)").await;
        let set: Vec<String> = pair.target.query_rows("SELECT gtid_set FROM polarferry.checkpoint").await;
        assert!(set[0].contains(":blue:1-2") && set[0].contains(":red_1:1"), "{set:?}");
    }
    ferry.restart();
    ferry.wait_applied(&pair.source).await;
    assert_equal(&pair, "shop", &tables).await;
    assert_eq!(ferry.terminate().await.0, 0);
    ferry.assert_clean_log();
}

on_routes! { everything_that_a_source_may_write_arrives_or_passes_by,
    mysql_97: Route::V97,
    mysql_80: Route::V80,
    mysql_57: Route::V57_TO_V80,
    mysql_57_without_gtid: Route::V57_TO_V80.without_gtid()
}

/// Longer than two of the heartbeats that the daemon asks for, shorter than its patience for one.
const IDLE: Duration = Duration::from_secs(11);

/// Heartbeats of both versions: 8.0.26 and newer know the second. This sleep waits for nothing: it *is* the silence.
#[tokio::test(flavor = "multi_thread")]
async fn an_idle_source_is_not_taken_for_a_dead_one() {
    let idle = async |route: Route| {
        let pair = Pair::start(route).await;
        pair.source.exec("CREATE DATABASE shop; CREATE TABLE shop.t (id INT PRIMARY KEY)").await;
        let mut ferry = Ferry::start(&pair.task(&["shop.*"]));
        ferry.wait_streaming().await;
        tokio::time::sleep(IDLE).await;
        pair.source.exec("INSERT INTO shop.t VALUES (1)").await;
        let status = ferry.wait_applied(&pair.source).await;
        assert_eq!(status["retries"]["source"], 0, "{status:#}");
        assert_equal(&pair, "shop", &["t"]).await;
        assert_eq!(ferry.terminate().await.0, 0);
        ferry.assert_clean_log();
    };
    tokio::join!(idle(Route::V97), idle(Route::V57_TO_V80.without_gtid()));
}

/// A task that began by file position stays with it: its set of GTIDs would not be complete.
#[tokio::test(flavor = "multi_thread")]
async fn gtids_may_be_switched_on_and_off_under_a_running_task() {
    let pair = Pair::start(Route::V80.without_gtid()).await;
    pair.source.exec("CREATE DATABASE shop; CREATE TABLE shop.t (id INT AUTO_INCREMENT PRIMARY KEY, n INT)").await;
    let mut ferry = Ferry::start(&pair.task(&["shop.*"]));
    ferry.wait_streaming().await;
    pair.source.exec("SET GLOBAL enforce_gtid_consistency = ON").await;
    for mode in ["OFF_PERMISSIVE", "ON_PERMISSIVE", "ON", "ON_PERMISSIVE", "OFF_PERMISSIVE"] {
        pair.source.exec(format!("SET GLOBAL gtid_mode = {mode}; INSERT INTO shop.t (n) VALUES (1), (2)")).await;
        ferry.wait_applied(&pair.source).await;
        ferry.restart();
        pair.source.exec("UPDATE shop.t SET n = n + 1").await;
        ferry.wait_applied(&pair.source).await;
        assert_equal(&pair, "shop", &["t"]).await;
    }
    assert_eq!(pair.target.query_rows::<String>("SELECT gtid_set FROM polarferry.checkpoint").await, [""]);
    assert_eq!(ferry.terminate().await.0, 0);
    ferry.assert_clean_log();
}
