//! Does a task carry the tables that it began with, whatever the configuration says later, and never take one for carried that
//! is not?

use super::pair::{Pair, Route};
use super::rows::assert_equal;
use crate::ferry::Ferry;
use crate::lab::count;

const DATA: i32 = 65;

const TABLES: &str = "CREATE DATABASE shop; CREATE DATABASE crm; CREATE TABLE shop.a (id INT PRIMARY KEY); \
    CREATE TABLE shop.b (id INT PRIMARY KEY); CREATE TABLE crm.c (id INT PRIMARY KEY); \
    INSERT INTO shop.a VALUES (1); INSERT INTO shop.b VALUES (1); INSERT INTO crm.c VALUES (1)";

async fn stops_for_the_selection(ferry: &mut Ferry, table: &str) {
    assert_eq!(ferry.wait_end().await, DATA);
    let said = ferry.last_words();
    assert!(said.contains("selection-changed") && said.contains(table) && said.contains("remedy: "), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_of_the_selection_neither_loses_rows_nor_hides_that_they_are_missing() {
    let pair = Pair::start(Route::V80).await;
    pair.source.exec(TABLES).await;
    let mut task = pair.task(&["shop.*"]);
    let mut ferry = Ferry::start(&task);
    ferry.wait_streaming().await;

    // More than the task began with.
    task.include = vec!["shop.*".to_owned(), "crm.*".to_owned()];
    ferry.restart_with(&task);
    stops_for_the_selection(&mut ferry, "crm.c").await;

    // Less: what is left out is not written any more, and the rest goes on.
    task.include = vec!["shop.a".to_owned()];
    ferry.restart_with(&task);
    let status = ferry.wait_streaming().await;
    assert_eq!(status["tables"].as_array().map(Vec::len), Some(1), "{status:#}");
    pair.source.exec("INSERT INTO shop.a VALUES (2); INSERT INTO shop.b VALUES (2)").await;
    ferry.wait_applied(&pair.source).await;
    assert_equal(&pair, "shop", &["a"]).await;
    assert_eq!(count(&pair.target, "shop", "b").await, 1);

    // Back again: what was passed over cannot be brought.
    task.include = vec!["shop.*".to_owned()];
    ferry.restart_with(&task);
    stops_for_the_selection(&mut ferry, "shop.b").await;

    // And what it had, it still has.
    task.include = vec!["shop.a".to_owned()];
    ferry.restart_with(&task);
    ferry.wait_streaming().await;
    pair.source.exec("INSERT INTO shop.a VALUES (3)").await;
    ferry.wait_applied(&pair.source).await;
    assert_equal(&pair, "shop", &["a"]).await;
    assert_eq!(ferry.terminate().await.0, 0);
}
