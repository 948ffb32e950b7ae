//! What the server is asked to write: every type of the zoo in a table of its own, so that a value that one decoder refuses
//! hides no other; wide rows with many NULLs; transactions of several tables; DDL, rollbacks and rows that concern nobody.

use std::fmt::Write;

use mysql_async::Row;

use crate::lab::{Options, Server, Version};
use crate::real::pair::Route;
use crate::real::zoo::{COLUMNS, Column, NEWER, SESSION};

pub const DATABASE: &str = "zoo";

/// Without GTIDs the other choices of the binlog's format are taken, too.
pub fn options(route: Route) -> Options {
    let options = Options { relaxed: true, ..route.source_options() };
    if route.gtid {
        return options;
    }
    options.arg("--binlog-rows-query-log-events=ON").arg("--loose-binlog-row-metadata=FULL").arg("--binlog-checksum=NONE")
}

/// From 8.0.20 on.
pub fn compresses(route: Route) -> bool {
    route.source == Version::V97
}

/// From 8.0.3 on.
pub fn updates_partially(route: Route) -> bool {
    route.source != Version::V57
}

/// Runs everything and returns the binlog files that hold it. The tables are made before the first of them.
pub async fn run(server: &mut Server) -> Vec<String> {
    let columns: Vec<&Column> = match server.version() {
        Version::V97 => COLUMNS.iter().chain(NEWER).collect(),
        Version::V57 | Version::V80 => COLUMNS.iter().collect(),
    };
    let columns: Vec<&Column> = columns.into_iter().filter(|column| !column.2.is_empty()).collect();
    let mut definitions = format!("CREATE DATABASE {DATABASE}; USE {DATABASE}; {WIDE}");
    for (number, Column(_, definition, _)) in columns.iter().enumerate() {
        write!(definitions, "; CREATE TABLE t{number} (id BIGINT PRIMARY KEY, v {definition})").expect("a String takes any text");
    }
    server.exec(format!("{SESSION}; {definitions}; FLUSH BINARY LOGS")).await;
    let before = files(server).await.len() - 1;
    for (number, Column(_, definition, literals)) in columns.iter().enumerate() {
        server.exec(format!("{SESSION}; USE {DATABASE}; {}", one_type(number, definition, literals))).await;
    }
    server.exec(format!("USE {DATABASE}; {MANY}")).await;
    server.exec(OTHERS).await;
    // Ends its file with a STOP event.
    server.restart().await;
    server.exec(format!("USE {DATABASE}; {AFTER}")).await;
    match server.version() {
        Version::V57 => {}
        Version::V80 => server.exec(format!("USE {DATABASE}; {PARTIAL}")).await,
        Version::V97 => server.exec(format!("USE {DATABASE}; {COMPRESSED}; {PARTIAL}")).await,
    }
    files(server).await.split_off(before)
}

async fn files(server: &Server) -> Vec<String> {
    let rows: Vec<Row> = server.query_rows("SHOW BINARY LOGS").await;
    rows.into_iter().map(|mut row| row.take(0).expect("a file")).collect()
}

/// Each value inserted, written over another one, moved to another key, deleted; a transaction a change.
fn one_type(number: usize, definition: &str, literals: &[&str]) -> String {
    let mut sql = String::new();
    let mut add = |statement: String| write!(sql, "{statement}; ").expect("a String takes any text");
    for (id, literal) in literals.iter().enumerate() {
        add(format!("INSERT INTO t{number} (id, v) VALUES ({id}, {literal})"));
    }
    for id in 0..literals.len() {
        add(format!("UPDATE t{number} SET v = {} WHERE id = {id}", literals[(id + 1) % literals.len()]));
    }
    if !definition.contains("NOT NULL") {
        add(format!("INSERT INTO t{number} (id, v) VALUES (-1, NULL)"));
        add(format!("UPDATE t{number} SET v = {} WHERE id = -1", literals[0]));
        add(format!("UPDATE t{number} SET v = NULL WHERE id = 0"));
    }
    add(format!("UPDATE t{number} SET id = id - 9223372036854775000 WHERE id = 0"));
    add(format!("DELETE FROM t{number} WHERE id <> 1"));
    sql
}

/// More columns than a byte, or two, has bits for; nothing that one of the decoders refuses.
const WIDE: &str = "CREATE TABLE wide (id INT PRIMARY KEY, a TINYINT, b SMALLINT UNSIGNED, c MEDIUMINT, d INT UNSIGNED, e BIGINT, \
    f DECIMAL(30,10), g DOUBLE, h FLOAT, i VARCHAR(20) CHARACTER SET utf8mb4, j CHAR(255) CHARACTER SET utf8mb4, k TEXT CHARACTER SET utf8mb4, \
    l DATE, m DATETIME(3), n TIME, o TIMESTAMP NULL, p YEAR, q ENUM('x','y'), r SET('x','y','z'), s BIT(9)); \
    CREATE TABLE narrow (id INT PRIMARY KEY, n INT); CREATE TABLE keyless (n INT, s VARCHAR(9)); \
    CREATE TABLE document (id INT PRIMARY KEY, d JSON)";

/// Events of many rows and of more than the server packs into one; transactions of several tables.
const MANY: &str = "INSERT INTO narrow VALUES (1,1),(2,2),(3,3),(4,4),(5,5),(6,6),(7,7),(8,8),(9,9),(10,NULL); \
    INSERT INTO wide SELECT a.id + 10 * b.id, IF(a.id > 3, -a.id, NULL), IF(b.id > 2, b.id, NULL), -a.id * b.id, IF(a.id = b.id, NULL, a.id), \
    -a.id * 1e15, IF(a.id < 7, a.id / 7 - b.id, NULL), a.id / 3, b.id / -7, IF(a.id % 2, REPEAT('ä', a.id), NULL), REPEAT('😀', b.id * 20), \
    IF(b.id % 3, REPEAT('ß', a.id * 100), NULL), '2024-02-29', '2024-02-29 01:02:03.456', '12:34:56', IF(a.id > 5, '2001-02-03 04:05:06', NULL), \
    2000 + a.id, 1 + a.id % 2, b.id % 8, a.id * b.id FROM narrow a, narrow b; \
    UPDATE wide SET a = id % 100, f = NULL, k = CONCAT(k, '!') WHERE id % 3 = 0; \
    UPDATE wide, narrow SET wide.e = NULL, narrow.n = wide.id WHERE narrow.id = wide.id % 10 AND wide.id < 60; \
    BEGIN; INSERT INTO keyless VALUES (1, 'a'), (1, 'a'), (NULL, NULL); UPDATE narrow SET n = n + 1; \
    SAVEPOINT here; DELETE FROM wide; ROLLBACK TO here; DELETE FROM keyless LIMIT 1; UPDATE narrow SET id = id + 100 WHERE id < 4; COMMIT; \
    BEGIN; DELETE FROM narrow; ROLLBACK; \
    XA START 'x'; INSERT INTO narrow VALUES (300, 1); XA END 'x'; XA PREPARE 'x'; XA COMMIT 'x'; \
    INSERT INTO narrow VALUES (1, 1) ON DUPLICATE KEY UPDATE n = 5; INSERT INTO narrow VALUES (1, 1) ON DUPLICATE KEY UPDATE n = 5; \
    REPLACE INTO narrow VALUES (1, 9); FLUSH BINARY LOGS; UPDATE keyless SET s = NULL; DELETE FROM wide WHERE id % 2";

/// What a task on the database above only passes by.
const OTHERS: &str = "CREATE DATABASE other; USE other; CREATE TABLE t (id INT PRIMARY KEY, n INT); INSERT INTO t VALUES (1, 1); \
    ALTER TABLE t ADD COLUMN s VARCHAR(9) DEFAULT 'ü'; INSERT INTO t VALUES (2, 2, NULL); RENAME TABLE t TO u; CREATE INDEX i ON u (n); \
    TRUNCATE TABLE u; CREATE TABLE v LIKE u; CREATE VIEW w AS SELECT * FROM v; DROP VIEW w; DROP TABLE u, v; \
    CREATE USER bystander; GRANT SELECT ON other.* TO bystander; DROP USER bystander; DROP DATABASE other";

const AFTER: &str = "INSERT INTO narrow VALUES (50, 50); INSERT INTO document VALUES (1, '{\"a\": [1, 2.5, \"x\"]}'), (2, NULL)";

const COMPRESSED: &str = "SET binlog_transaction_compression = ON; \
    INSERT INTO wide (id, k) VALUES (1000, REPEAT('x', 10000)); SET binlog_transaction_compression = OFF";

const PARTIAL: &str = "SET binlog_row_value_options = 'PARTIAL_JSON'; \
    UPDATE document SET d = JSON_SET(d, '$.a[0]', 7) WHERE id = 1; SET binlog_row_value_options = ''; INSERT INTO narrow VALUES (51, 51)";
