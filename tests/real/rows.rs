//! What a table holds, row by row and column by column, and in what two servers differ about it. Equal rows of a keyless table count.

use super::pair::Pair;
pub use crate::lab::quoted;
use crate::lab::{Contents, Options, Server, Version, checksum_tables, contents, document_text};

/// One text per row.
pub async fn rows(server: &Server, database: &str, table: &str) -> Vec<String> {
    let mut rows: Vec<String> =
        contents(server, database, table, None, document_text).await.rows.iter().map(|row| row.join(" ")).collect();
    rows.sort_unstable();
    rows
}

/// One list per column, named with its type; rows in the order of their `id`.
pub async fn cells(server: &Server, database: &str, table: &str) -> Vec<(String, Vec<String>)> {
    let Contents { columns, rows } = contents(server, database, table, Some("id"), document_text).await;
    let cells = |at: usize| rows.iter().map(|row| row[at].clone()).collect();
    columns.into_iter().enumerate().map(|(at, (name, kind))| (format!("{name} {kind}"), cells(at))).collect()
}

/// # Panics
/// When a table differs between source and target, with the first rows that do.
pub async fn assert_equal(pair: &Pair, database: &str, tables: &[&str]) {
    for table in tables {
        let (source, target) = tokio::join!(rows(&pair.source, database, table), rows(&pair.target, database, table));
        if source != target {
            let first = source.iter().zip(&target).find(|(ours, theirs)| ours != theirs);
            let place = first.map_or(0, |(ours, theirs)| ours.bytes().zip(theirs.bytes()).take_while(|(a, b)| a == b).count());
            let around =
                |row: Option<&String>| row.and_then(|row| row.get(place.saturating_sub(60)..)).map(|row| format!("{row:.160}"));
            panic!(
                "first difference: {:?} here, {:?} there\n{database}.{table} differs: {} rows on the source, {} on the target\n\
                 only on the source:\n{}\nonly on the target:\n{}",
                around(first.map(|pair| pair.0)),
                around(first.map(|pair| pair.1)),
                source.len(),
                target.len(),
                surplus(&source, &target),
                surplus(&target, &source)
            );
        }
        assert!(!source.is_empty(), "{database}.{table} is empty: nothing was compared");
    }
}

/// The first rows that `these` has more often than `those`; both are sorted.
fn surplus(these: &[String], those: &[String]) -> String {
    let mut those = those.iter().peekable();
    let surplus = these.iter().filter(|row| {
        while those.next_if(|other| other < row).is_some() {}
        those.next_if_eq(row).is_none()
    });
    let lines: Vec<String> = surplus.take(5).map(|row| format!("  {row:.2000}")).collect();
    lines.join("\n")
}

/// # Panics
/// When the servers' own checksums of the tables differ.
pub async fn assert_equal_checksums(pair: &Pair, database: &str, tables: &[&str]) {
    let (source, target) =
        tokio::join!(checksum_tables(&pair.source, database, tables), checksum_tables(&pair.target, database, tables));
    assert_eq!(source, target, "CHECKSUM TABLE, source and target");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_comparison_tells_values_apart_that_look_alike() {
    for version in Version::ALL {
        let server = Server::start(version, &Options::relaxed()).await;
        server
            .exec(
                "SET NAMES utf8mb4; SET sql_mode = ''; CREATE DATABASE d; USE d; \
                 CREATE TABLE t (f FLOAT, g DOUBLE, d DECIMAL(10,2), e ENUM('', '0') CHARACTER SET utf8mb4, b VARBINARY(3), \
                 c VARCHAR(3) CHARACTER SET utf8mb4, m DATETIME(6), n BIT(64)); \
                 INSERT INTO t (f) VALUES (0e0), (-0e0), (0.1), (0.10000002), (1.4e-45), (2.8e-45), (16777216), (16777215); \
                 INSERT INTO t (g) VALUES (0e0), (-0e0), (5e-324), (1e-323), (0.1e0), (0.10000000000000002e0), (9007199254740993e0), (9007199254740994e0), (9007199254740996e0); \
                 INSERT INTO t (d) VALUES (0.1), (0.11), (-0.1); \
                 INSERT INTO t (e) VALUES (0), (1), (2); \
                 INSERT INTO t (b) VALUES (''), (x'00'), (x'0000'), (' '); \
                 INSERT INTO t (c) VALUES (''), (' '), ('a'), ('A'), ('ä'), ('~'); \
                 INSERT INTO t (m) VALUES (0), ('2020-00-00'), ('2020-00-00 00:00:00.000001'); \
                 INSERT INTO t (n) VALUES (0), (x'FFFFFFFFFFFFFFFF'), (x'FFFFFFFFFFFFFFFE'); \
                 INSERT INTO t VALUES (), ()",
            )
            .await;
        let mut found = rows(&server, "d", "t").await;
        let count = found.len();
        found.dedup();
        // Only the last two rows are equal.
        assert_eq!((count, found.len()), (41, 40), "{version}: {found:#?}");
        assert_eq!(surplus(&found, &found), "");
        assert_eq!(surplus(&found, &found[1..]), format!("  {}", found[0]));
    }
}
