//! Changes to very many rows at once, which go to the target as the lines of LOAD DATAs: is each value what it was, and each row
//! changed in its place? And changes all over a table that the target cannot keep in memory?

use super::pair::{Pair, Route};
use super::rows::assert_equal;
use crate::ferry::Ferry;

const ROWS: u32 = 700;

/// `kinds` has one key, so its rows are replaced, and so has `owners`, to which others refer; `codes` has two. In `named` the row key is
/// none that the server calls PRIMARY.
fn schema() -> String {
    let members: Vec<String> = (0..64).map(|at| format!("'m{at}'")).collect();
    format!(
        "CREATE DATABASE shop DEFAULT CHARACTER SET utf8mb4; USE shop; \
         CREATE TABLE kinds (id INT PRIMARY KEY, e ENUM('red','2','') NULL, s SET({}) NULL, b BIT(64) NULL, y YEAR NULL, \
            d DECIMAL(20,6) NULL, f FLOAT NULL, r DOUBLE NULL, at DATETIME(6) NULL, ts TIMESTAMP(3) NULL, t TIME(2) NULL, \
            v VARCHAR(80) NULL, l TEXT CHARACTER SET latin1 NULL, w VARBINARY(80) NULL, x BINARY(6) NULL, \
            twice INT GENERATED ALWAYS AS (id * 2) STORED, KEY (v(5)), KEY (twice)); \
         CREATE TABLE codes (id INT PRIMARY KEY, code INT NULL, e ENUM('a','b') NOT NULL, UNIQUE (code)); \
         CREATE TABLE owners (id INT PRIMARY KEY, n INT, s SET('a','b') NOT NULL, y YEAR NOT NULL, KEY (n)); \
         CREATE TABLE owned (id INT PRIMARY KEY, owner INT NOT NULL, FOREIGN KEY (owner) REFERENCES owners (id)); \
         CREATE TABLE named (a INT NOT NULL, b VARCHAR(20) NOT NULL, n INT, UNIQUE only_one (a, b)); \
         CREATE TABLE seeds (n INT PRIMARY KEY)",
        members.join(",")
    )
}

/// A row of `kinds` from `n` and a number that changes each time.
fn kinds(salt: u32) -> String {
    let pick = |values: &[&str]| format!("ELT(1 + (n + {salt}) % {}, {})", values.len(), values.join(","));
    let texts = ["'NULL'", r"'\\N'", "'it''s'", r"'line\nand, \\ more'", "''", "NULL", r"'\0\Z\t\r\b'", r#"'"q", `b`'"#];
    let columns = [
        format!("(n + {salt}) % 5"),
        format!("IF((n + {salt}) % 3 = 0, 1 << 63, (n * 7919 + {salt}) % 9999)"),
        format!("IF((n + {salt}) % 7 = 0, ~0, n * {salt})"),
        pick(&["0", "1901", "2155", "NULL", "2000"]),
        pick(&["-0.000001", "99999999999999.999999", "NULL", "0"]),
        format!("(n + {salt}) / 3"),
        pick(&["1e-300", "-0e0", "NULL", "123456789.125"]),
        pick(&["'0000-00-00'", "'9999-12-31 23:59:59.999999'", "NULL", "'2024-02-30 10:00:00'"]),
        pick(&["'2001-01-01 00:00:01.5'", "NULL", "'2037-12-31 23:59:59.999'"]),
        pick(&["'-838:59:59'", "'00:00:00.25'", "NULL"]),
        pick(&texts),
        pick(&[&texts[..4], &["'na\u{ef}ve'"]].concat()),
        pick(&texts[..7]),
        pick(&["'ab'", r"'\0\0'", "NULL"]),
    ];
    columns.join(", ")
}

const WRITTEN: [&str; 14] = ["e", "s", "b", "y", "d", "f", "r", "at", "ts", "t", "v", "l", "w", "x"];

async fn many_rows_change_together(route: Route) {
    let pair = Pair::start(route).await;
    let seeds: Vec<String> = (0..ROWS).map(|n| format!("({n})")).collect();
    pair.source.exec(schema()).await;
    pair.source.exec(format!("INSERT INTO shop.seeds VALUES {}", seeds.join(","))).await;
    let mut ferry = Ferry::start(&pair.task(&["shop.*"]));
    ferry.wait_streaming().await;
    let columns = WRITTEN.join(", ");
    // The mode of long ago: what no member's name is becomes the error value.
    let session = "USE shop; SET sql_mode='ALLOW_INVALID_DATES,NO_AUTO_VALUE_ON_ZERO'; SET time_zone='+00:00'";
    let values = kinds(3);
    let mut steps = vec![format!(
        "INSERT INTO kinds (id, {columns}) SELECT n, {values} FROM seeds; INSERT INTO codes SELECT n, n, 1 + n % 2 FROM seeds; \
         INSERT INTO named SELECT n % 10, CONCAT('b', n), 0 FROM seeds; INSERT INTO owners SELECT n, 0, 1 + n % 3, 1901 + n % 99 FROM seeds; \
         INSERT INTO owned SELECT n, n FROM seeds"
    )];
    for salt in [4, 5, 12] {
        let values = kinds(salt);
        steps.push(format!(
            "REPLACE INTO kinds (id, {columns}) SELECT n, {values} FROM seeds; UPDATE codes SET code = NULL WHERE id % 3 = 0; \
             UPDATE codes SET code = -code ORDER BY id DESC; UPDATE named SET n = n + {salt}, b = CONCAT(b, 'x'); \
             UPDATE owners SET n = n + {salt}, y = y + 1"
        ));
    }
    steps.push("UPDATE kinds SET id = id + 5000, v = CONCAT('moved ', id)".to_owned());
    steps.push(format!(
        "BEGIN; DELETE FROM kinds WHERE id % 2 = 0; UPDATE kinds SET w = v, v = NULL; INSERT INTO kinds (id, v) SELECT n, 'new' FROM seeds; \
         DELETE FROM named WHERE a < 5; UPDATE codes SET e = 'b', code = id + {ROWS} * 3; COMMIT"
    ));
    for step in steps {
        pair.source.exec(format!("{session}; {step}")).await;
        ferry.wait_applied(&pair.source).await;
        assert_equal(&pair, "shop", &["kinds", "codes", "named", "owners", "owned"]).await;
    }
    assert_eq!(ferry.terminate().await.0, 0);
    ferry.assert_clean_log();
}

on_routes! { many_rows_change_together,
    mysql_97: Route::V97,
    mysql_80: Route::V80,
    mysql_57_to_80: Route::V57_TO_V80
}

/// Whether it waits for its disks long enough to be read ahead depends on the machine; what arrives must not.
async fn a_target_with_little_memory_takes_changes_all_over_a_table(route: Route) {
    const MANY: u32 = 24_000;
    let pair = Pair::start_with_target(route, route.target_options().arg("--innodb-buffer-pool-size=5M".to_owned())).await;
    pair.source.exec("CREATE DATABASE shop; CREATE TABLE shop.cold (id INT PRIMARY KEY, n INT, filler VARBINARY(900))").await;
    for first in (0..MANY).step_by(2000) {
        let rows: Vec<String> = (first..first + 2000).map(|id| format!("({id}, 0, REPEAT('{id:08x}', 100))")).collect();
        pair.source.exec(format!("INSERT INTO shop.cold VALUES {}", rows.join(","))).await;
    }
    let mut ferry = Ferry::start(&pair.task(&["shop.*"]));
    ferry.wait_streaming().await;
    for salt in 1..=6 {
        pair.source
            .exec(format!(
                "USE shop; UPDATE cold SET n = n + {salt} WHERE id * 7919 % 10 = {salt}; DELETE FROM cold WHERE id % 60 = {salt}; \
                 UPDATE cold SET filler = CONCAT(filler, 'x'), n = -n WHERE id % 6 = {salt} - 1"
            ))
            .await;
    }
    ferry.wait_applied(&pair.source).await;
    assert_equal(&pair, "shop", &["cold"]).await;
    assert_eq!(ferry.terminate().await.0, 0);
    ferry.assert_clean_log();
}

on_routes! { a_target_with_little_memory_takes_changes_all_over_a_table,
    mysql_97: Route::V97,
    mysql_57_to_80_without_gtid: Route::V57_TO_V80.without_gtid()
}
