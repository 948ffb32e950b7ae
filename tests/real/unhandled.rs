//! Does what this version cannot carry stop the stream where it stands: with its code, its position
//! and a remedy, with everything before it applied and nothing after it?

use super::pair::{Pair, Route};
use crate::ferry::{Ferry, Place, end_of_binlog, number};
use crate::lab::{Server, Version};

/// The contract's exit code for data that cannot be carried.
const DATA: i32 = 65;

/// Streams the database `name` with its one table, has the source run `unhandled` between two
/// inserts, and sees the daemon stop there with `code`; then again after a restart.
async fn assert_stops(pair: &Pair, name: &str, unhandled: &str, code: &str) {
    pair.source
        .exec(format!(
            "CREATE DATABASE {name}; USE {name}; CREATE TABLE t (id INT PRIMARY KEY, n INT, s VARCHAR(10), d JSON, e TEXT); \
             INSERT INTO t (id, n, s) VALUES (1, 1, 'a'), (2, 2, 'b')"
        ))
        .await;
    let mut task = pair.task(&[&format!("{name}.*")]);
    name.clone_into(&mut task.name);
    let mut ferry = Ferry::start(&task);
    ferry.wait_streaming().await;

    let exec = |sql: &str| pair.source.exec(format!("USE {name}; {sql}"));
    exec("INSERT INTO t (id, n) VALUES (3, 3)").await;
    let before = place(&pair.source).await;
    exec(unhandled).await;
    let after = place(&pair.source).await;
    exec("INSERT INTO t (id, n) VALUES (4, 4)").await;

    for attempt in ["at first", "after a restart"] {
        if attempt == "after a restart" {
            ferry.restart();
        }
        let exit = ferry.wait_end().await;
        let said = ferry.last_words();
        assert_eq!(exit, DATA, "{unhandled}, {attempt}: {said}");
        assert!(said.contains(code), "no {code}: {said}");
        assert!(said.contains("remedy: "), "no remedy: {said}");
        let stopped = position_in(&said);
        assert!((before..=after).contains(&stopped), "{unhandled} stands between {before:?} and {after:?}: {said}");
        assert_eq!(ids(&pair.target, name).await, [1, 2, 3], "{unhandled}, {attempt}");
        assert_eq!(columns(&pair.target, name).await, ["id", "n", "s", "d", "e"], "{unhandled}, {attempt}");
        let rows: Vec<(i32, Option<String>)> = pair.target.query_rows(format!("SELECT n, s FROM {name}.t WHERE id = 1")).await;
        assert_eq!(rows, [(1, Some("a".to_owned()))], "{unhandled}, {attempt}");
        assert!(checkpoint(&pair.target, name).await <= before, "{unhandled}, {attempt}");
        assert!(!ferry.log().contains("could not be written in time"), "{unhandled}, {attempt}: there was time");
    }
}

async fn place(source: &Server) -> Place {
    let (file, offset) = end_of_binlog(source).await;
    (number(&file), offset)
}

/// The first `binlog.NUMBER:OFFSET` in a message.
fn position_in(message: &str) -> Place {
    let position = message.split("binlog.").skip(1).find_map(|rest| {
        let end = rest.find(|c: char| !(c.is_ascii_digit() || c == ':'));
        let (file, offset) = rest[..end.unwrap_or(rest.len())].split_once(':')?;
        Some((number(file), offset.parse().ok()?))
    });
    position.unwrap_or_else(|| panic!("no position in: {message}"))
}

async fn ids(target: &Server, database: &str) -> Vec<i32> {
    target.query_rows(format!("SELECT id FROM {database}.t ORDER BY id")).await
}

async fn columns(target: &Server, database: &str) -> Vec<String> {
    target
        .query_rows(format!(
            "SELECT column_name FROM information_schema.columns WHERE table_schema = '{database}' ORDER BY ordinal_position"
        ))
        .await
}

async fn checkpoint(target: &Server, task: &str) -> Place {
    let rows: Vec<(String, u64)> =
        target.query_rows(format!("SELECT file, position FROM polarferry.checkpoint WHERE task = '{task}'")).await;
    (number(&rows[0].0), rows[0].1)
}

async fn a_change_of_definition_stops_the_stream(route: Route) {
    let pair = Pair::start(route).await;
    for (name, ddl) in [
        ("adds", "ALTER TABLE t ADD COLUMN x INT"),
        ("empties", "TRUNCATE TABLE t"),
        ("indexes", "CREATE INDEX by_n ON t (n)"),
        ("renames", "RENAME TABLE t TO u; RENAME TABLE u TO t"),
        ("drops", "DROP TABLE t; CREATE TABLE t (id INT PRIMARY KEY, n INT)"),
    ] {
        assert_stops(&pair, name, ddl, "ddl-on-selected").await;
    }
}

on_routes! { a_change_of_definition_stops_the_stream,
    mysql_97: Route::V97,
    mysql_57_without_gtid: Route::V57_TO_V80.without_gtid()
}

async fn a_change_logged_as_a_statement_stops_the_stream(route: Route) {
    let pair = Pair::start(route).await;
    std::fs::write(pair.source.data().join("numbers.txt"), "11\n12\n").expect("a file to load");
    for (name, dml) in [
        ("updates", "UPDATE t SET n = n + 1"),
        ("inserts", "INSERT INTO t (id, n) SELECT id + 10, n FROM t"),
        ("deletes", "DELETE FROM t WHERE id = 1"),
        ("random", "UPDATE t SET n = RAND() * 100"),
        ("variables", "SET @n = 7; UPDATE t SET n = @n"),
        ("loads", "LOAD DATA INFILE './numbers.txt' INTO TABLE t (id)"),
        ("mixes", "SET SESSION binlog_format = 'MIXED'; UPDATE t SET n = n + 1"),
    ] {
        let unhandled = format!("SET SESSION binlog_format = 'STATEMENT'; {dml}");
        assert_stops(&pair, name, &unhandled, "statement-event").await;
    }
}

on_routes! { a_change_logged_as_a_statement_stops_the_stream,
    mysql_80: Route::V80,
    mysql_57_without_gtid: Route::V57_TO_V80.without_gtid()
}

async fn a_partial_row_image_stops_the_stream(route: Route) {
    let pair = Pair::start(route).await;
    for (name, image, dml) in [
        ("updates", "MINIMAL", "UPDATE t SET n = 9 WHERE id = 1"),
        ("deletes", "MINIMAL", "DELETE FROM t WHERE id = 1"),
        ("inserts", "MINIMAL", "INSERT INTO t (id) VALUES (10)"),
        // It leaves out BLOB and TEXT, not JSON.
        ("blobs", "NOBLOB", "UPDATE t SET n = 9 WHERE id = 1"),
    ] {
        let unhandled = format!("SET SESSION binlog_row_image = '{image}'; {dml}");
        assert_stops(&pair, name, &unhandled, "partial-image").await;
    }
}

on_routes! { a_partial_row_image_stops_the_stream,
    mysql_97: Route::V97,
    mysql_80: Route::V80,
    mysql_57_without_gtid: Route::V57_TO_V80.without_gtid()
}

/// SQL takes a BIT into a document; no expression rebuilds it on every server.
async fn a_document_that_cannot_be_written_stops_the_stream(route: Route) {
    let pair = Pair::start(route).await;
    pair.source.exec("CREATE DATABASE aside; CREATE TABLE aside.b (b BIT(9)); INSERT INTO aside.b VALUES (5)").await;
    let dml = "INSERT INTO t (id, d) SELECT 10, JSON_OBJECT('bits', b) FROM aside.b";
    assert_stops(&pair, "documents", dml, "value-unsupported").await;
}

on_routes! { a_document_that_cannot_be_written_stops_the_stream,
    mysql_97: Route::V97,
    mysql_57_without_gtid: Route::V57_TO_V80.without_gtid()
}

/// An application without strict mode stores an ENUM's empty error value; a strict session cannot.
#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_the_target_refuses_stops_the_task() {
    let pair = Pair::start(Route::V80).await;
    pair.source
        .exec("CREATE DATABASE shop; CREATE TABLE shop.t (id INT PRIMARY KEY, e ENUM('a', 'b')); INSERT INTO shop.t VALUES (1, 'a')")
        .await;
    let mut ferry = Ferry::start(&pair.task(&["shop.*"]));
    ferry.wait_streaming().await;
    pair.target.exec("ALTER TABLE shop.t MODIFY e ENUM('a')").await;
    pair.source.exec("INSERT INTO shop.t VALUES (2, 'b'); INSERT INTO shop.t VALUES (3, 'a')").await;
    for attempt in ["at first", "after a restart"] {
        if attempt == "after a restart" {
            ferry.restart();
        }
        assert_eq!(ferry.wait_end().await, DATA, "{attempt}");
        let said = ferry.last_words();
        assert!(said.contains("data-refused") && said.contains("shop.t") && said.contains("remedy: "), "{attempt}: {said}");
        assert_eq!(pair.target.query_rows::<i32>("SELECT id FROM shop.t").await, [1], "{attempt}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_concerns_other_databases_does_not_stop_the_stream() {
    for route in [Route::V97, Route::V57_TO_V80.without_gtid()] {
        let pair = Pair::start(route).await;
        pair.source
            .exec("CREATE DATABASE shop; CREATE TABLE shop.t (id INT PRIMARY KEY); CREATE DATABASE other; CREATE TABLE other.t (id INT PRIMARY KEY)")
            .await;
        let mut ferry = Ferry::start(&pair.task(&["shop.*"]));
        ferry.wait_streaming().await;
        let statement = match route.source {
            Version::V97 => "",
            Version::V57 | Version::V80 => {
                "SET SESSION binlog_format = 'STATEMENT'; INSERT INTO t VALUES (2); SET SESSION binlog_format = 'ROW';"
            }
        };
        pair.source
            .exec(format!(
                "USE other; INSERT INTO t VALUES (1); {statement} ALTER TABLE t ADD COLUMN n INT; SET SESSION binlog_row_image = 'MINIMAL'; \
                 UPDATE t SET n = 1; DELETE FROM t; TRUNCATE t; DROP TABLE t; CREATE USER bystander; GRANT SELECT ON *.* TO bystander; \
                 DROP USER bystander; ANALYZE TABLE shop.t; FLUSH BINARY LOGS; CREATE TEMPORARY TABLE shop.aside (id INT); \
                 INSERT INTO shop.aside VALUES (1); DROP TEMPORARY TABLE shop.aside; SET sql_mode = 'ANSI_QUOTES'; \
                 CREATE TABLE \"u v\" (\"id\" INT PRIMARY KEY); ALTER TABLE \"other\".\"u v\" ADD \"n\" INT; TRUNCATE TABLE \"u v\"; \
                 DROP TABLE \"u v\"; CREATE DATABASE \"one\"; DROP DATABASE \"one\"; DROP DATABASE other"
            ))
            .await;
        pair.source.exec("SET binlog_row_image = 'FULL'; INSERT INTO shop.t VALUES (3)").await;
        ferry.wait_applied(&pair.source).await;
        assert_eq!(pair.target.query_rows::<i32>("SELECT id FROM shop.t").await, [3]);
        assert_eq!(ferry.terminate().await.0, 0);
        ferry.assert_clean_log();
    }
}

/// At its start a server logs of each MEMORY table that it is empty; before 8.0.22 as a DELETE in statement format.
async fn a_memory_table_beside_ours_may_be_emptied_by_a_restart(route: Route) {
    let mut pair = Pair::start(route).await;
    pair.source
        .exec(
            "CREATE DATABASE shop; CREATE TABLE shop.t (id INT PRIMARY KEY); CREATE TABLE shop.cache (id INT) ENGINE = MEMORY; \
             INSERT INTO shop.cache VALUES (1)",
        )
        .await;
    let mut ferry = Ferry::start(&pair.task(&["shop.t"]));
    ferry.wait_streaming().await;
    pair.source.restart().await;
    pair.source.exec("SELECT * FROM shop.cache; INSERT INTO shop.cache VALUES (2); INSERT INTO shop.t VALUES (1)").await;
    ferry.wait_applied(&pair.source).await;
    assert_eq!(pair.target.query_rows::<i32>("SELECT id FROM shop.t").await, [1]);

    // The same by a client may have a trigger write to ours.
    pair.source.exec("USE shop; SET SESSION binlog_format = 'STATEMENT'; DELETE FROM `shop`.`cache`").await;
    assert_eq!(ferry.wait_end().await, DATA);
    assert!(ferry.last_words().contains("statement-event"), "{}", ferry.last_words());
}

on_routes! { a_memory_table_beside_ours_may_be_emptied_by_a_restart,
    mysql_80: Route::V80,
    mysql_57_without_gtid: Route::V57_TO_V80.without_gtid()
}
