//! Somebody else has written to the target. What do the policies do about rows that are not what the source's changes imply?

use super::pair::{Pair, Route};
use super::rows::assert_equal;
use crate::ferry::{Ferry, Task};

const SCHEMA: &str = "CREATE DATABASE shop DEFAULT CHARACTER SET utf8mb4; USE shop; \
    CREATE TABLE items (id INT PRIMARY KEY, code INT UNIQUE, note VARCHAR(20)); \
    CREATE TABLE words (word VARCHAR(20) COLLATE utf8mb4_general_ci PRIMARY KEY, n INT); \
    CREATE TABLE log (n INT, what VARCHAR(20)); \
    CREATE TABLE documents (d JSON); \
    INSERT INTO items VALUES (1, 10, 'one'), (2, 20, 'two'), (3, 30, 'three'), (4, 40, 'four'); \
    INSERT INTO words VALUES ('a', 1), ('b', 2); \
    INSERT INTO log VALUES (1, 'x'), (1, 'x'), (1, 'x'), (2, 'y'), (3, 'z'), (4, 'u'), (5, 'v'); \
    INSERT INTO documents VALUES ('[1]'), ('[1]'), ('[2]')";

/// One row that is to be changed is gone, one that is to go is gone, one that is to come is there.
const MEDDLING: &str = "USE shop; DELETE FROM items WHERE id IN (1, 2); INSERT INTO items VALUES (50, NULL, 'mine')";

/// Of three equal rows one is left.
const WITHOUT_KEYS: &str = "USE shop; DELETE FROM log WHERE n = 1 LIMIT 2; DELETE FROM log WHERE n = 4; DELETE FROM documents WHERE d = CAST('[1]' AS JSON) LIMIT 1";

/// `many` rows are enough for a LOAD DATA. Rows 3 and 4 exchange their codes; 'a' and 'A' are one row for the server.
fn changes() -> String {
    let many: Vec<String> = (100..400).map(|id| format!("({id}, {id}, 'many')")).collect();
    format!(
        "USE shop; START TRANSACTION; UPDATE items SET note = 'changed' WHERE id = 1; DELETE FROM items WHERE id = 2; \
         UPDATE items SET code = NULL WHERE id = 3; UPDATE items SET code = 30 WHERE id = 4; UPDATE items SET code = 40 WHERE id = 3; \
         INSERT INTO items VALUES (50, 500, 'yours'), {}; UPDATE words SET word = 'A', n = 7 WHERE word = 'a'; \
         DELETE FROM log WHERE n IN (1, 2, 4); UPDATE log SET n = 30 WHERE n = 3; DELETE FROM documents WHERE d = CAST('[1]' AS JSON); \
         COMMIT",
        many.join(",")
    )
}

const TABLES: [&str; 4] = ["items", "words", "log", "documents"];

/// What is noted: table, row, how it was found, how many of it.
type Line = (String, String, String, u64, String);

async fn lines(pair: &Pair) -> Vec<Line> {
    pair.target.query_rows("SELECT table_name, identity, found, copies, done FROM polarferry.drift ORDER BY 1, 2").await
}

fn line(table: &str, row: &str, found: &str, copies: u64, done: &str) -> Line {
    (format!("shop.{table}"), row.to_owned(), found.to_owned(), copies, done.to_owned())
}

/// What is noted of the tables with keys. Of the row that the source has deleted, too, nothing is left to be done.
fn noted(done: &str) -> Vec<Line> {
    let rows = [("1", "missing", done), ("2", "missing", "equal"), ("50", "unexpected", done)];
    rows.map(|(row, found, done)| line("items", row, found, 1, done)).to_vec()
}

fn task(pair: &Pair, policy: &str) -> Task {
    pair.task(&["shop.*"]).with(&format!("[apply]\non_drift = \"{policy}\"\n"))
}

/// A task that streams, and somebody who meddles with its target.
async fn meddle(pair: &Pair, policy: &str) -> Ferry {
    pair.source.exec(SCHEMA).await;
    let mut ferry = Ferry::start(&task(pair, policy));
    ferry.wait_streaming().await;
    ferry.wait_applied(&pair.source).await;
    pair.target.exec(MEDDLING).await;
    ferry
}

async fn repaired_rows_end_as_the_source_has_them(route: Route) {
    let pair = Pair::start_with_locks(route).await;
    let mut ferry = meddle(&pair, "repair").await;
    pair.source.exec(changes()).await;
    let status = ferry.wait_applied(&pair.source).await;
    assert_equal(&pair, "shop", &TABLES).await;
    assert_eq!(lines(&pair).await, noted("repaired"));
    assert_eq!(status["drift"], 0, "they differ no longer");
    let metrics = ferry.metrics().await.expect("an answer");
    for line in [r#"polarferry_drift_rows_total{kind="missing"} 2"#, r#"polarferry_drift_rows_total{kind="unexpected"} 1"#] {
        assert!(metrics.contains(line), "{line}");
    }
    // Nothing is odd about them any more.
    pair.source
        .exec("USE shop; UPDATE items SET note = 'again'; DELETE FROM log WHERE n = 5; DELETE FROM items WHERE id > 40")
        .await;
    ferry.wait_applied(&pair.source).await;
    assert_equal(&pair, "shop", &TABLES).await;
    assert_eq!(lines(&pair).await.len(), 3);
    assert_eq!(ferry.terminate().await.0, 0);
}

on_routes! { repaired_rows_end_as_the_source_has_them,
    mysql_97: Route::V97,
    mysql_80: Route::V80,
    mysql_57_to_80_without_gtid: Route::V57_TO_V80.without_gtid()
}

/// Batches of one transaction, one behind the other: what comes before the drift is there, what comes with it is not.
#[tokio::test(flavor = "multi_thread")]
async fn batches_before_the_drift_are_committed() {
    let pair = Pair::start_with_locks(Route::V97).await;
    pair.source.exec(SCHEMA).await;
    let mut ferry = Ferry::start(&pair.task(&["shop.*"]).with("[apply]\nbatch_transactions = 1\n"));
    ferry.wait_streaming().await;
    ferry.wait_applied(&pair.source).await;
    pair.target.exec("DELETE FROM shop.items WHERE id = 2").await;
    let updates: Vec<String> = (1..=200).map(|number| format!("UPDATE items SET note = '{number}' WHERE id = 1")).collect();
    pair.source
        .exec(format!("USE shop; {}; DELETE FROM items WHERE id = 2; DELETE FROM items WHERE id = 3", updates.join(";")))
        .await;
    assert_eq!(ferry.wait_end().await, 65);
    let there: Vec<(u32, String)> =
        pair.target.query_rows("SELECT id, note FROM shop.items WHERE id IN (1, 3) ORDER BY id").await;
    assert_eq!(there, [(1, "200".to_owned()), (3, "three".to_owned())]);

    pair.target.exec("INSERT INTO shop.items VALUES (2, 20, 'two')").await;
    ferry.restart();
    ferry.wait_applied(&pair.source).await;
    assert_equal(&pair, "shop", &TABLES).await;
    assert_eq!(ferry.terminate().await.0, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn recorded_rows_are_left_alone_and_counted_as_different() {
    let pair = Pair::start_with_locks(Route::V80).await;
    let mut ferry = meddle(&pair, "record").await;
    pair.target.exec(WITHOUT_KEYS).await;
    pair.source.exec(changes()).await;
    let status = ferry.wait_applied(&pair.source).await;
    let mut all = noted("recorded");
    for (table, row, copies) in [("documents", "_utf8mb4'[1]'", 1), ("log", "1,'x'", 2), ("log", "4,'u'", 1)] {
        all.push(line(table, row, "missing", copies, "recorded"));
    }
    all.sort();
    assert_eq!(lines(&pair).await, all);
    assert_eq!(status["drift"], 6);
    let rows: Vec<(u32, Option<u32>, String)> =
        pair.target.query_rows("SELECT * FROM shop.items WHERE id < 100 ORDER BY id").await;
    assert_eq!(rows, [(3, Some(40), "three".into()), (4, Some(30), "four".into()), (50, None, "mine".into())]);
    assert_equal(&pair, "shop", &["words", "log", "documents"]).await;
    ferry.restart();
    ferry.wait_until("it is known after a restart", |status| status["drift"] == 6).await;
    // Met again, it is still one row; and when the source deletes it, too, none.
    pair.source.exec("UPDATE shop.items SET note = 'again' WHERE id = 1").await;
    assert_eq!(ferry.wait_applied(&pair.source).await["drift"], 6);
    pair.source.exec("DELETE FROM shop.items WHERE id = 1").await;
    assert_eq!(ferry.wait_applied(&pair.source).await["drift"], 5);
    assert_eq!(pair.target.query_rows::<u64>("SELECT times FROM polarferry.drift WHERE identity = '1'").await, [3]);
    assert_eq!(ferry.terminate().await.0, 0);
}

/// The other row's own content is not known: neither policy may guess it. And rows of one batch are odd by the thousand when the table
/// is another one.
#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_repaired_stops_the_task() {
    for (policy, meddling, change, said) in [
        (
            "repair",
            "UPDATE shop.items SET code = 99 WHERE id = 4",
            "UPDATE shop.items SET code = 99 WHERE id = 3",
            "data-refused",
        ),
        ("record", "UPDATE shop.items SET code = 99 WHERE id = 4", "INSERT INTO shop.items VALUES (5, 99, '')", "data-refused"),
        ("repair", "DELETE FROM shop.items", "UPDATE shop.items SET note = 'gone'", "more than 1000 rows"),
        ("repair", "DELETE FROM shop.log WHERE n = 1 LIMIT 1", "DELETE FROM shop.log WHERE n = 1", "fewer equal rows stand"),
        ("stop", "DELETE FROM shop.items WHERE id = 1", "DELETE FROM shop.items WHERE id = 1", "drift"),
    ] {
        let pair = Pair::start_with_locks(Route::V80).await;
        pair.source.exec(SCHEMA).await;
        let many: Vec<String> = (1000..2500).map(|id| format!("({id}, NULL, '')")).collect();
        pair.source.exec(format!("INSERT INTO shop.items VALUES {}", many.join(","))).await;
        let mut ferry = Ferry::start(&task(&pair, policy));
        ferry.wait_streaming().await;
        ferry.wait_applied(&pair.source).await;
        pair.target.exec(meddling).await;
        pair.source.exec(change).await;
        assert_eq!(ferry.wait_end().await, 65, "{policy}: {change}");
        assert!(ferry.last_words().contains(said), "{policy}: {}", ferry.last_words());
        assert_eq!(lines(&pair).await, [], "nothing was passed");
    }
}
