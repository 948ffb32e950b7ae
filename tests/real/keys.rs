//! Does a row keep its identity when its key changes, and when the collation calls two keys the same
//! that are not? And is every kind of key good enough to copy by?

use rand::Rng;
use rand::rngs::StdRng;

use super::pair::{Pair, Route};
use super::rows::assert_equal;
use super::scale;
use super::writers::Writers;
use crate::ferry::Ferry;

/// The smallest chunks, so that many bounds lie between rows that change.
const SECTIONS: &str =
    "[copy]\nconnections = 2\nchunk_rows = 10\nchunk_bytes = \"64KiB\"\n[throttle]\ncopy_rows_per_second = 1000\n";

/// Runs `step` on the tables that `schema` makes, from before the copy until some time after it.
async fn stays_equal(route: Route, schema: &str, tables: &[&str], step: fn(&mut StdRng) -> Vec<String>) {
    let seed = scale::seed();
    let pair = Pair::start(route).await;
    pair.source.exec(format!("CREATE DATABASE shop DEFAULT CHARACTER SET utf8mb4; USE shop; {schema}")).await;
    // Filled by the same hand.
    let writers = Writers::start(&pair.source, "shop", 4, seed, step);
    pair.wait_rows("shop", tables, 300).await;
    let mut ferry = Ferry::start(&pair.task(&["shop.*"]).with(SECTIONS));
    let status = ferry.wait_streaming().await;
    let streamed = |status: &serde_json::Value| status["stream"]["transactions"].as_u64();
    let enough = streamed(&status).unwrap_or_default() + 1000;
    ferry.wait_until("1000 transactions after the copy", |status| streamed(status) >= Some(enough)).await;
    assert!(writers.stop().await > 1000);
    ferry.wait_applied(&pair.source).await;
    assert_equal(&pair, "shop", tables).await;
    assert_eq!(ferry.terminate().await.0, 0);
    ferry.assert_clean_log();
}

const MOVING: &str = "CREATE TABLE moving (id INT PRIMARY KEY, n INT, s VARCHAR(20)); \
    CREATE TABLE pairs (a INT, b VARCHAR(10), n INT, PRIMARY KEY (b, a))";

/// Keys move onto free places, onto places freed in the same transaction, and in chains.
fn moves(random: &mut StdRng) -> Vec<String> {
    let (id, to, n) = (random.random_range(0..600), random.random_range(0..600), random.random_range(0..100));
    let letter = ["a", "B", "c", "ü"][random.random_range(0..4)];
    match random.random_range(0..8) {
        0 | 1 => vec![
            format!("INSERT INTO moving VALUES ({id}, {n}, 'new')"),
            format!("INSERT INTO pairs VALUES ({id}, '{letter}', {n})"),
        ],
        2 => vec![format!("UPDATE moving SET id = {to}, n = n + 1 WHERE id = {id}")],
        3 => vec![
            format!("DELETE FROM moving WHERE id = {to}"),
            format!("UPDATE moving SET id = {to} WHERE id = {id}"),
            format!("INSERT INTO moving VALUES ({id}, {n}, 'again')"),
        ],
        // All keys of a range by one, the last first.
        4 => vec![
            format!("DELETE FROM moving WHERE id = {}", id + 5),
            format!("UPDATE moving SET id = id + 1 WHERE id BETWEEN {id} AND {} ORDER BY id DESC", id + 4),
        ],
        5 => vec![
            format!("UPDATE moving SET id = -1 - {id} WHERE id = {id}"),
            format!("UPDATE moving SET id = {id}, s = 'back' WHERE id = -1 - {id}"),
        ],
        6 => vec![
            format!("UPDATE pairs SET b = '{letter}' WHERE a = {id}"),
            format!("UPDATE pairs SET a = {to} WHERE a = {id} AND b = '{letter}'"),
        ],
        _ => vec![
            format!("INSERT INTO pairs VALUES ({id}, '{letter}', {n}) ON DUPLICATE KEY UPDATE n = {n}"),
            format!("REPLACE INTO moving VALUES ({to}, {n}, 'replaced')"),
        ],
    }
}

async fn a_changed_primary_key_takes_its_row_along(route: Route) {
    stays_equal(route, MOVING, &["moving", "pairs"], moves).await;
}

on_routes! { a_changed_primary_key_takes_its_row_along,
    mysql_97: Route::V97,
    mysql_57_to_80_without_gtid: Route::V57_TO_V80.without_gtid()
}

/// The default collation differs between versions: it is in the definition, not in the server.
const CASED: &str = "CREATE TABLE folded (name VARCHAR(20) COLLATE utf8mb4_general_ci PRIMARY KEY, n INT); \
    CREATE TABLE exact (name VARCHAR(20) COLLATE utf8mb4_bin PRIMARY KEY, n INT); \
    CREATE TABLE old (name CHAR(20) CHARACTER SET latin1 COLLATE latin1_german1_ci, n INT, PRIMARY KEY (name)); \
    CREATE TABLE uca (name VARCHAR(20) COLLATE utf8mb4_unicode_ci PRIMARY KEY, n INT)";

/// 'a' becomes 'A' and 'ä', by an update, and by a delete and an insert.
fn cases(random: &mut StdRng) -> Vec<String> {
    let table = ["folded", "exact", "old", "uca"][random.random_range(0..4)];
    let (name, other, n) = (cased(random), cased(random), random.random_range(0..100));
    match random.random_range(0..6) {
        0 | 1 => vec![format!("INSERT INTO {table} VALUES ('{name}', {n})")],
        2 => vec![format!("UPDATE {table} SET name = '{name}' WHERE name = '{other}'")],
        // The same name in another spelling, for a collation that does not see it.
        3 => vec![format!("UPDATE {table} SET name = UPPER(name), n = {n} WHERE name = '{name}'")],
        4 => vec![format!("DELETE FROM {table} WHERE name = '{name}'"), format!("INSERT INTO {table} VALUES ('{name}', {n})")],
        _ => vec![
            format!("REPLACE INTO {table} VALUES ('{name}', {n})"),
            format!("UPDATE {table} SET name = CONCAT(LOWER(name), ' ') WHERE name = '{name}'"),
        ],
    }
}

/// Some 400 names for a collation that sees neither case nor accent nor the space at the end.
fn cased(random: &mut StdRng) -> String {
    let first = ["a", "A", "ä", "Ä", "ß", "s", "e", "É"][random.random_range(0..8)];
    let end = ["", " ", "x", "X"][random.random_range(0..4)];
    format!("{first}{}{end}", random.random_range(0..100))
}

async fn keys_that_differ_only_in_case_stay_one_row(route: Route) {
    stays_equal(route, CASED, &["folded", "exact", "old", "uca"], cases).await;
}

on_routes! { keys_that_differ_only_in_case_stay_one_row,
    mysql_97: Route::V97,
    mysql_57_to_80_without_gtid: Route::V57_TO_V80.without_gtid()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_changes_only_its_case_is_spelled_anew() {
    for route in [Route::V80, Route::V57_TO_V80.without_gtid()] {
        let pair = Pair::start(route).await;
        pair.source
            .exec(
                "CREATE DATABASE shop; USE shop; CREATE TABLE t (name VARCHAR(10) COLLATE utf8mb4_general_ci PRIMARY KEY, n INT) \
                 DEFAULT CHARSET utf8mb4; INSERT INTO t VALUES ('a', 1), ('b', 2), ('c', 3), ('d', 4)",
            )
            .await;
        let mut ferry = Ferry::start(&pair.task(&["shop.*"]));
        ferry.wait_streaming().await;
        pair.source
            .exec(
                "USE shop; UPDATE t SET name = 'A' WHERE name = 'a'; \
                 START TRANSACTION; DELETE FROM t WHERE name = 'b'; INSERT INTO t VALUES ('B', 20); COMMIT; \
                 START TRANSACTION; UPDATE t SET name = 'C' WHERE name = 'c'; UPDATE t SET n = 30 WHERE name = 'c'; COMMIT; \
                 UPDATE t SET name = 'd ' WHERE name = 'd'",
            )
            .await;
        ferry.wait_applied(&pair.source).await;
        let rows: Vec<(String, i32)> = pair.target.query_rows("SELECT name, n FROM shop.t ORDER BY name").await;
        let expected = [("A", 1), ("B", 20), ("C", 30), ("d ", 4)].map(|(name, n)| (name.to_owned(), n));
        assert_eq!(rows, expected);
        assert_eq!(ferry.terminate().await.0, 0);
        ferry.assert_clean_log();
    }
}

/// Kinds of keys to copy by: types that order by something else than what they are compared with,
/// long ones, composite ones, unique ones that are no primary keys. Column `k` comes from `value`.
const KINDS: [(&str, &str); 12] = [
    ("BIGINT UNSIGNED NOT NULL PRIMARY KEY", "18446744073709551615 - n"),
    ("DECIMAL(30,10) NOT NULL PRIMARY KEY", "n / 7 - 20"),
    ("DATETIME(6) NOT NULL PRIMARY KEY", "'2024-01-01' + INTERVAL n * 1000001 MICROSECOND"),
    ("TIMESTAMP(3) NOT NULL DEFAULT '2000-01-01 00:00:00' PRIMARY KEY", "'2024-03-31 00:00:00' + INTERVAL n * 12345 SECOND"),
    ("TIME(2) NOT NULL PRIMARY KEY", "SEC_TO_TIME(n * 700 - 100000)"),
    ("VARBINARY(20) NOT NULL PRIMARY KEY", "UNHEX(LPAD(HEX(n * 255), 6, '0'))"),
    ("BINARY(6) NOT NULL PRIMARY KEY", "UNHEX(RPAD(HEX(n * 257 + 4096), 6, '0'))"),
    ("CHAR(20) CHARACTER SET latin1 NOT NULL PRIMARY KEY", "CONCAT(CHAR(65 + n % 26, 192 + n % 30), ' ', n)"),
    ("VARCHAR(60) CHARACTER SET gbk NOT NULL PRIMARY KEY", "CONCAT('誠', n, '''\\\\')"),
    ("DOUBLE NOT NULL PRIMARY KEY", "(n - 150) / 3e0"),
    ("BIT(20) NOT NULL UNIQUE", "n * 1000"),
    ("VARCHAR(20) CHARACTER SET utf8mb4 NOT NULL, m INT NOT NULL DEFAULT 0, UNIQUE (m, k), KEY (n)", "CONCAT(n, 'ü')"),
];

async fn every_kind_of_key_can_be_copied_by(route: Route) {
    let pair = Pair::start(route).await;
    let mut names = Vec::new();
    let mut sql =
        "SET NAMES utf8mb4; SET time_zone = '+00:00'; CREATE DATABASE shop; USE shop; CREATE TABLE numbers (n INT PRIMARY KEY)"
            .to_owned();
    let numbers: Vec<String> = (1..=300).map(|n| format!("({n})")).collect();
    sql += &format!("; INSERT INTO numbers VALUES {}", numbers.join(","));
    for (at, (definition, value)) in KINDS.iter().enumerate() {
        let name = format!("kind{at}");
        sql += &format!(
            "; CREATE TABLE {name} (n INT NOT NULL, k {definition}); INSERT INTO {name} (n, k) SELECT n, {value} FROM numbers"
        );
        names.push(name);
    }
    // Two members of an ENUM sort by their numbers and not by their names.
    sql += "; CREATE TABLE choices (n INT, k ENUM('z', 'a', 'm') NOT NULL, j SMALLINT NOT NULL, PRIMARY KEY (k, j)); \
        INSERT INTO choices SELECT n, 1 + n % 3, n FROM numbers";
    names.push("choices".to_owned());
    pair.source.exec(sql).await;
    let names: Vec<&str> = names.iter().map(String::as_str).collect();

    let mut ferry = Ferry::start(&pair.task(&["shop.*"]).with("[copy]\nchunk_rows = 10\nchunk_bytes = \"64KiB\"\n"));
    ferry.wait_streaming().await;
    assert_equal(&pair, "shop", &names).await;
    for name in &names {
        pair.source.exec(format!("USE shop; UPDATE {name} SET n = -n WHERE n % 3 = 0; DELETE FROM {name} WHERE n % 7 = 1")).await;
    }
    ferry.wait_applied(&pair.source).await;
    assert_equal(&pair, "shop", &names).await;
    assert_eq!(ferry.terminate().await.0, 0);
    ferry.assert_clean_log();
}

on_routes! { every_kind_of_key_can_be_copied_by,
    mysql_97: Route::V97,
    mysql_57_to_80_without_gtid: Route::V57_TO_V80.without_gtid()
}
