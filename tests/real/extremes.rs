//! Does what stands at the edge of a type, of a table or of a packet arrive as it is? Each case fills tables on the source, has
//! them copied, changes them, and has that streamed.
//!
//! What is not here: the temporal formats of before 5.6, which no server of the lab can make any more (a table keeps them when
//! it comes from such an old server), and what `types` has.

mod charsets;
mod hidden;
mod names;
mod numbers;
mod packets;
mod wide;

use super::pair::{Pair, Route};
use super::rows::{assert_equal, quoted};
use crate::ferry::Ferry;
use crate::real::zoo::SESSION;

/// A database with its tables: what is there when the task begins, and what changes while it streams.
struct Case<'c> {
    database: &'c str,
    tables: Vec<String>,
    before: String,
    after: String,
}

/// Copies and streams all cases in one task.
async fn arrive(pair: &Pair, cases: &[Case<'_>]) {
    for case in cases {
        let database = quoted(case.database);
        pair.source.exec(format!("{SESSION}; CREATE DATABASE {database}; USE {database}; {}", case.before)).await;
    }
    let globs: Vec<String> = cases.iter().map(|case| format!("{}.*", quoted(case.database))).collect();
    let globs: Vec<&str> = globs.iter().map(String::as_str).collect();
    let mut ferry = Ferry::start(&pair.task(&globs));
    ferry.wait_streaming().await;
    compare(pair, cases).await;
    for case in cases {
        pair.source.exec(format!("{SESSION}; USE {}; {}", quoted(case.database), case.after)).await;
    }
    ferry.wait_applied(&pair.source).await;
    compare(pair, cases).await;
    assert_eq!(ferry.terminate().await.0, 0);
    ferry.assert_clean_log();
}

async fn compare(pair: &Pair, cases: &[Case<'_>]) {
    for case in cases {
        let tables: Vec<&str> = case.tables.iter().map(String::as_str).collect();
        assert_equal(pair, case.database, &tables).await;
    }
}

/// Each row once more, each of the first ones with the values of its neighbour, one gone, one with another key.
fn stir(table: &str, columns: &[String], rows: usize) -> String {
    let table = quoted(table);
    let names: Vec<String> = columns.iter().map(|column| quoted(column)).collect();
    let list = names.join(", ");
    let sets: Vec<String> = names.iter().map(|name| format!("a.{name} = b.{name}")).collect();
    format!(
        "INSERT INTO {table} (id, {list}) SELECT id + 1000000, {list} FROM {table}; \
         UPDATE {table} a JOIN {table} b ON b.id = 1000000 + (a.id + 1) % {rows} SET {} WHERE a.id < 1000000; \
         DELETE FROM {table} WHERE id IN (0, 1000000); UPDATE {table} SET id = -id WHERE id IN (1, 1000001); ",
        sets.join(", ")
    )
}
