//! Does every scalar inside every document arrive with its value and its SQL type: copied, streamed, copied under change by a daemon
//! that is killed, and when the source sends only what changed in a document?
//!
//! What is compared is each document's text, the type of every leaf, and, where the servers know it, its size in storage.

use std::fmt::Write;

use serde_json::Value;

use super::pair::{Pair, Route};
use crate::ferry::Ferry;
use crate::lab::{Server, Version};

/// A session that stores what applications with permissive settings store.
const SESSION: &str = "SET NAMES utf8mb4, time_zone = '+00:00', sql_mode = 'ALLOW_INVALID_DATES'; USE shop";

/// One row with a value of each type that has no JSON text of its own.
const SAMPLES: &str = "CREATE DATABASE aside; CREATE TABLE aside.samples (ti TINYINT UNSIGNED, bi BIGINT UNSIGNED, big BIGINT, de DECIMAL(20,4), d0 DECIMAL(10,0), f FLOAT, \
    g DOUBLE, da DATE, t TIME(3), dt DATETIME(6), ts TIMESTAMP(6) NULL, vb VARBINARY(300), b16 BINARY(16), bl BLOB, mb MEDIUMBLOB, \
    lb LONGBLOB, c CHAR(4), en ENUM('a', 'b'), se SET('x', 'y'), ge GEOMETRY) CHARACTER SET utf8mb4; \
    INSERT INTO aside.samples VALUES (7, 4294967297, 4294967298, 1.5, 7, 0.1, 1, '2024-02-29', '-12:34:56.789', '2024-02-29 01:02:03.000004', \
    '2024-02-29 01:02:03.000005', x'0027FF5C', '0123456789abcdef', x'00', x'0027', '', 'c', 'b', 'x,y', POINT(1, 0.1))";

/// Documents over `aside.samples`.
const DOCUMENTS: &[&str] = &[
    "JSON_ARRAY(ti, bi, big, de, d0, f, g, da, t, dt, ts)",
    "JSON_OBJECT('ti', ti, 'in', JSON_OBJECT('de', de, 'ts', ts, 'list', JSON_ARRAY(da, JSON_ARRAY(t, 'x', NULL, TRUE))), 'plain', JSON_ARRAY(1, 2))",
    "JSON_ARRAY(vb, b16, bl, mb, lb, c, en, se, ge)",
    "JSON_OBJECT('id', b16, 'created', ts)",
    "CAST(ti AS JSON)",
    "CAST(de AS JSON)",
    "CAST(big AS JSON)",
    "CAST(vb AS JSON)",
    "JSON_EXTRACT(JSON_ARRAY(ts), '$[0]')",
    "CAST(dt AS JSON)",
    "CAST(0.1e0 + 0.2e0 AS JSON)",
    "JSON_ARRAY(1.0e0, -0e0, 5e-324, 1.7976931348623157e308, 0.1e0 + 0.2e0, 1e22, 1e23, 123456789012345678e0, 2.2250738585072014e-308, 1e-7)",
    "JSON_ARRAY(0, -1, 4294967295, 4294967296, 9223372036854775807, -9223372036854775808, 18446744073709551615, \
     CAST(5 AS UNSIGNED), 32768, 65536, CAST(65536 AS UNSIGNED), CAST(0 AS UNSIGNED))",
    "JSON_ARRAY(de * de, d0 + 0.5, CAST(-0.5 AS DECIMAL(30,20)), CAST(0 AS DECIMAL(5,5)), \
     CAST(99999999999999999999999999999999999.999999999999999999999999999999 AS DECIMAL(65,30)))",
    "JSON_ARRAY(CAST('0000-00-00' AS DATE), CAST('2023-02-31' AS DATE), CAST('2020-00-15 10:00:00' AS DATETIME(6)), \
     CAST('31:59:59.999999' AS TIME(6)), CAST('-00:00:00.000001' AS TIME(6)), CAST('9999-12-31 23:59:59.999999' AS DATETIME(6)))",
    "'{\"a\": 4294967296, \"b\": \"2024-02-29\", \"c\": \"12:34:56.000000\", \"d\": \"base64:type15:YQ==\", \"e\": \"base64:type \\\\\" x\", \"f\": -0.0, \"g\": 1.25}'",
    "JSON_OBJECT('', de, 'a b', ti, 'q\"', vb, 'back\\\\slash', da, '😀', ts, CHAR(1, 10, 127 USING utf8mb4), bi, '$', d0, 'a.b', 1.5e0, '*', 2.5e0, \
     '[0]', 3.5e0, 'it''s', 0.5e0, 'é', 7)",
    "JSON_OBJECT('', JSON_OBJECT('', JSON_ARRAY(de, JSON_OBJECT('', ti)), 'z', ti), 'a', 1)",
    "'{\"a\": 1, \"a\": 2.50, \"b\": [], \"c\": {}, \"\": \"\"}'",
    "'null'",
    "'\"2024-02-29\"'",
    "'-0'",
    "JSON_ARRAY()",
];

/// Documents that are numbered along.
fn documents() -> Vec<String> {
    let nested = |levels: usize, leaf: &str| {
        (0..levels).fold(leaf.to_owned(), |inner, level| match level % 2 {
            0 => format!("JSON_ARRAY('x', {inner})"),
            _ => format!("JSON_OBJECT('k', {inner}, 'l', 1)"),
        })
    };
    let mut documents: Vec<String> = DOCUMENTS.iter().map(|&text| text.to_owned()).collect();
    documents.push(nested(99, "de"));
    documents.push(nested(90, "ts"));
    documents.push(format!("JSON_ARRAY({})", vec!["ts, b16"; 60].join(", ")));
    documents
}

/// Fills `table` from the number `from` on.
async fn fill(source: &Server, table: &str, from: usize) {
    for (number, document) in documents().iter().enumerate() {
        let id = from + number;
        source.exec(format!("{SESSION}; INSERT INTO {table} (id, d) SELECT {id}, {document} FROM aside.samples")).await;
    }
}

async fn prepare(source: &Server) {
    source
        .exec(format!("CREATE DATABASE shop; {SESSION}; {SAMPLES}; CREATE TABLE docs (id INT PRIMARY KEY, d JSON, n INT)"))
        .await;
}

/// An expression for the type of each leaf below `value`, which stands at `path` of `base`.
fn leaf_types(base: &str, path: &str, value: &Value, out: &mut Vec<String>) {
    match value {
        Value::Array(members) if !members.is_empty() => {
            for (at, member) in members.iter().enumerate() {
                leaf_types(base, &format!("{path}[{at}]"), member, out);
            }
        }
        Value::Object(members) if !members.is_empty() => {
            for (key, member) in members {
                if key.is_empty() {
                    // 5.7 takes no empty key in a path; it is the first of all.
                    let members = format!("JSON_EXTRACT(JSON_EXTRACT({base}, '{path}.*'), '$[0]')");
                    leaf_types(&members, "$", member, out);
                } else {
                    let key = serde_json::to_string(key).expect("a string").replace('\\', "\\\\").replace('\'', "''");
                    leaf_types(base, &format!("{path}.{key}"), member, out);
                }
            }
        }
        _ => out.push(format!("IFNULL(JSON_TYPE(JSON_EXTRACT({base}, '{path}')), '?')")),
    }
}

/// Each document as its text and the types of its leaves, in order.
async fn described(server: &Server, table: &str, column: &str) -> Vec<(i64, Option<String>, String)> {
    let rows: Vec<(i64, Option<String>)> =
        server.query_rows(format!("SELECT id, CAST({column} AS CHAR) FROM shop.{table} ORDER BY id")).await;
    let mut described = Vec::new();
    for (id, text) in rows {
        let mut types = Vec::new();
        if let Some(text) = &text {
            let value: Value = serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text:.200}"));
            leaf_types(column, "$", &value, &mut types);
        }
        let mut listed = String::new();
        for part in types.chunks(2000) {
            let query = format!("SELECT CONCAT_WS(',', {}) FROM shop.{table} WHERE id = {id}", part.join(", "));
            let row: Vec<String> = server.query_rows(query).await;
            write!(listed, "{},", row[0]).expect("a String takes any text");
        }
        described.push((id, text, listed));
    }
    described
}

/// 5.7 prints the DOUBLE 1.0 as 1.
fn spelled_alike(text: Option<String>) -> Option<String> {
    text.map(|text| text.replace(".0,", ",").replace(".0]", "]").replace(".0}", "}").trim_end_matches(".0").to_owned())
}

async fn assert_documents(pair: &Pair, table: &str, column: &str) {
    let source = described(&pair.source, table, column).await;
    let target = described(&pair.target, table, column).await;
    assert_eq!(source.len(), target.len(), "rows of {table}");
    let across = pair.source.version() != pair.target.version();
    for (ours, theirs) in source.into_iter().zip(target) {
        let read = |row: (i64, Option<String>, String)| if across { (row.0, spelled_alike(row.1), row.2) } else { row };
        let (ours, theirs) = (read(ours), read(theirs));
        assert!(
            ours == theirs,
            "{table}.{column}: {:.3000}\non the target: {:.3000}",
            format!("{ours:?}"),
            format!("{theirs:?}")
        );
    }
}

async fn assert_sizes(pair: &Pair, table: &str) {
    if pair.source.version() != Version::V57 {
        let query = format!("SELECT id, JSON_STORAGE_SIZE(d) FROM shop.{table} ORDER BY id");
        let source: Vec<(i64, Option<u64>)> = pair.source.query_rows(&query).await;
        let target: Vec<(i64, Option<u64>)> = pair.target.query_rows(&query).await;
        assert_eq!(source, target, "sizes of {table}");
    }
}

async fn documents_are_copied_and_streamed_exactly(route: Route) {
    let pair = Pair::start_with_locks(route).await;
    prepare(&pair.source).await;
    fill(&pair.source, "docs", 0).await;
    // No two of these have a leaf in common, and together they have more leaves than are asked for at once.
    pair.source
        .exec(format!(
            "{SESSION}; CREATE TABLE shapes (id INT PRIMARY KEY, d JSON); CREATE TABLE loose (id INT, d JSON, e JSON); \
             CREATE TABLE bare (id INT PRIMARY KEY, d JSON); INSERT INTO bare VALUES (1, NULL), (2, '[]'), (3, '{{}}')"
        ))
        .await;
    let shapes: Vec<String> = (0..400)
        .map(|id| {
            format!("SELECT {id}, JSON_OBJECT('k{id}', de, CONCAT('l', {id}), JSON_ARRAY(ti, {id}), 'm', 'x') FROM aside.samples")
        })
        .collect();
    pair.source.exec(format!("{SESSION}; INSERT INTO shapes {}", shapes.join(" UNION ALL "))).await;
    fill(&pair.source, "loose", 0).await;
    pair.source.exec(format!("{SESSION}; UPDATE loose SET e = d WHERE id % 2 = 0; DELETE FROM loose WHERE id > 20")).await;

    let mut ferry = Ferry::start(&pair.task(&["shop.*"]));
    ferry.wait_streaming().await;
    for table in ["docs", "shapes", "loose", "bare"] {
        assert_documents(&pair, table, "d").await;
        assert_sizes(&pair, table).await;
    }
    assert_documents(&pair, "loose", "e").await;

    fill(&pair.source, "docs", 1000).await;
    pair.source.exec(format!("{SESSION}; INSERT INTO docs (id, d) SELECT id + 2000, '[]' FROM docs WHERE id < 1000")).await;
    pair.source
        .exec(format!(
            "{SESSION}; UPDATE docs a JOIN docs b ON b.id = a.id - 2000 SET a.d = b.d, a.n = 1 WHERE a.id BETWEEN 2000 AND 2999"
        ))
        .await;
    pair.source.exec(format!("{SESSION}; DELETE FROM docs WHERE id = 3; UPDATE docs SET id = id + 5000 WHERE id < 10")).await;
    // Without a key a row is found by its documents.
    pair.source.exec(format!("{SESSION}; UPDATE loose SET id = id + 100 WHERE id > 5; DELETE FROM loose WHERE id < 4")).await;
    ferry.wait_applied(&pair.source).await;
    assert_documents(&pair, "docs", "d").await;
    assert_documents(&pair, "loose", "d").await;
    assert_documents(&pair, "loose", "e").await;
    assert_sizes(&pair, "docs").await;
    assert_eq!(ferry.terminate().await.0, 0);
    ferry.assert_clean_log();
}

on_routes! { documents_are_copied_and_streamed_exactly,
    mysql_97: Route::V97,
    mysql_80: Route::V80,
    mysql_57_to_80_without_gtid: Route::V57_TO_V80.without_gtid()
}

/// Many chunks, and pieces of few documents.
const SMALL: &str = "[copy]\nconnections = 2\nchunk_rows = 50\nchunk_bytes = \"64KiB\"\n";

async fn documents_that_change_while_a_killed_daemon_copies_them_arrive(route: Route) {
    let pair = Pair::start(route).await;
    prepare(&pair.source).await;
    fill(&pair.source, "docs", 0).await;
    for step in [100, 200, 400, 800, 1600, 3200] {
        pair.source.exec(format!("{SESSION}; INSERT INTO docs SELECT id + {step}, d, id FROM docs")).await;
    }
    let mut ferry = Ferry::start(&pair.task(&["shop.*"]).with(SMALL));
    for round in 0..20 {
        pair.source
            .exec(format!(
                "{SESSION}; UPDATE docs, aside.samples SET d = JSON_OBJECT('r{round}', de, 'x', d) WHERE id % 23 = {round} AND JSON_DEPTH(d) < 50; \
                 UPDATE docs, aside.samples SET d = JSON_ARRAY(ti, {round}, ts) WHERE id % 41 = {round}; DELETE FROM docs WHERE id % 97 = {round}"
            ))
            .await;
        if round % 5 == 4 {
            ferry.restart();
        }
    }
    ferry.wait_streaming().await;
    ferry.wait_applied(&pair.source).await;
    assert_documents(&pair, "docs", "d").await;
    assert_eq!(ferry.terminate().await.0, 0);
    ferry.assert_clean_log();
}

on_routes! { documents_that_change_while_a_killed_daemon_copies_them_arrive,
    mysql_97: Route::V97,
    mysql_80: Route::V80.without_gtid(),
    mysql_57_to_80: Route::V57_TO_V80
}

/// Documents of 64 KiB and more, of very many leaves.
async fn large_documents_arrive(route: Route) {
    let pair = Pair::start(route).await;
    prepare(&pair.source).await;
    let list = |suffix: &str| (0..100_000).map(|number| format!("{number}{suffix}")).collect::<Vec<_>>().join(",");
    let members = (0..20_000).map(|number| format!("'k{number}',{number}.5")).collect::<Vec<_>>().join(",");
    let fill = |from: usize| {
        format!(
            "{SESSION}; INSERT INTO docs (id, d) VALUES ({from} + 1, '[{}]'), ({from} + 2, JSON_ARRAY({})), ({from} + 3, JSON_OBJECT({members}))",
            list(""),
            list(".5")
        )
    };
    let long = |id: usize| {
        format!(
            "{SESSION}; INSERT INTO docs (id, d) SELECT {id}, JSON_OBJECT('text', REPEAT('ä', 1000000), 'price', de) FROM aside.samples"
        )
    };
    pair.source.exec(fill(0)).await;
    pair.source.exec(long(4)).await;
    let mut ferry = Ferry::start(&pair.task(&["shop.*"]));
    ferry.wait_streaming().await;
    pair.source.exec(fill(10)).await;
    pair.source.exec(long(14)).await;
    ferry.wait_applied(&pair.source).await;
    assert_documents(&pair, "docs", "d").await;
    assert_eq!(ferry.terminate().await.0, 0);
    ferry.assert_clean_log();
}

on_routes! { large_documents_arrive,
    mysql_97: Route::V97,
    mysql_57_to_80: Route::V57_TO_V80
}

/// Changes that the source sends as differences: of one document, of two, of one beside a whole one, several of one row in one transaction.
const PARTIAL: &str = "SET SESSION binlog_row_value_options = 'PARTIAL_JSON'; \
    UPDATE pairs, aside.samples SET d = JSON_SET(d, '$.a', de, '$.new', ts) WHERE id = 1; \
    UPDATE pairs SET d = JSON_REPLACE(d, '$.list[1]', 'x', '$.a', 4294967296) WHERE id = 2; \
    UPDATE pairs SET d = JSON_REMOVE(d, '$.list[0]', '$.a'), e = JSON_SET(e, '$.\"b c\".\"\"', 1.50) WHERE id = 3; \
    UPDATE pairs SET d = JSON_SET(d, '$.a', 'longer than it was'), e = '[1]', n = 5 WHERE id = 4; \
    UPDATE pairs SET d = JSON_SET(d, '$.a', 1), e = NULL WHERE id = 5; \
    UPDATE pairs SET n = 7 WHERE id = 6; \
    UPDATE pairs SET d = JSON_ARRAY_INSERT(d, '$.list[0]', 9) WHERE id IN (7, 8); \
    UPDATE pairs SET d = JSON_SET(d, '$.a', JSON_OBJECT('deep', JSON_ARRAY(1, 2))), id = id + 100 WHERE id = 9; \
    BEGIN; UPDATE pairs SET d = JSON_SET(d, '$.a', 1) WHERE id = 10; UPDATE pairs SET d = JSON_SET(d, '$.b', 2) WHERE id = 10; \
    UPDATE pairs SET d = JSON_REMOVE(d, '$.list') WHERE id = 10; COMMIT; \
    UPDATE pairs SET d = JSON_SET(d, '$.list[5]', id) WHERE id > 20; \
    UPDATE pairs SET d = JSON_REMOVE(d, '$.padding') WHERE id = 11; DELETE FROM pairs WHERE id = 12";

async fn partial_updates_arrive_whole(route: Route) {
    let pair = Pair::start(route).await;
    prepare(&pair.source).await;
    let document = "JSON_OBJECT('a', ti, 'list', JSON_ARRAY(1, 2, de), 'padding', REPEAT('x', 200))";
    let rows: Vec<String> =
        (1..40).map(|id| format!("SELECT {id}, {document}, JSON_OBJECT('b c', {document}), 0 FROM aside.samples")).collect();
    pair.source
        .exec(format!(
            "{SESSION}; CREATE TABLE pairs (id INT PRIMARY KEY, d JSON, e JSON, n INT); INSERT INTO pairs {}",
            rows.join(" UNION ALL ")
        ))
        .await;
    let mut ferry = Ferry::start(&pair.task(&["shop.*"]));
    ferry.wait_streaming().await;
    pair.source.exec(format!("{SESSION}; {PARTIAL}")).await;
    let events: Vec<mysql_async::Row> = pair.source.query_rows("SHOW BINLOG EVENTS").await;
    let partial = |row: &&mysql_async::Row| row.get::<String, _>("Event_type").is_some_and(|kind| kind.contains("partial"));
    assert!(events.iter().filter(partial).count() > 5, "the source sends whole documents");
    if pair.source.version() == Version::V97 {
        pair.source
            .exec(format!(
                "{SESSION}; SET SESSION binlog_transaction_compression = ON; SET SESSION binlog_row_value_options = 'PARTIAL_JSON'; \
                 UPDATE pairs SET d = JSON_SET(d, '$.zip', n) WHERE id > 5; UPDATE pairs SET d = JSON_SET(d, '$.zip', 1.5), e = d WHERE id > 15"
            ))
            .await;
    }
    ferry.wait_applied(&pair.source).await;
    assert_documents(&pair, "pairs", "d").await;
    assert_documents(&pair, "pairs", "e").await;
    assert_eq!(ferry.terminate().await.0, 0);
    ferry.assert_clean_log();
}

on_routes! { partial_updates_arrive_whole,
    mysql_97: Route::V97,
    mysql_80: Route::V80.without_gtid()
}
