//! Are rows found by keys whose values a server compares in a way of its own? A SET of 64 members is a signed number in a comparison,
//! a BIT(64) an unsigned one, a FLOAT a DOUBLE.

use super::pair::{Pair, Route};
use super::rows::assert_equal;
use crate::ferry::Ferry;

/// The highest bit, all bits, one, and none.
const BITS: [&str; 4] = ["9223372036854775808", "18446744073709551615", "1", "0"];
const FLOATS: [&str; 4] = ["0.1", "3.4028234663852886e38", "-1.4e-45", "16777217"];

fn schema() -> String {
    let members: Vec<String> = (1..=64).map(|member| format!("'{member}'")).collect();
    let set = format!("SET({})", members.join(","));
    let mut sql = "CREATE DATABASE shop; USE shop".to_owned();
    for (name, kind, values) in [("sets", set.as_str(), BITS), ("bits", "BIT(64)", BITS), ("floats", "FLOAT", FLOATS)] {
        sql += &format!(
            "; CREATE TABLE {name}1 (k {kind} NOT NULL PRIMARY KEY, n INT); \
             CREATE TABLE {name}2 (k {kind} NOT NULL, m INT NOT NULL, n INT, PRIMARY KEY (k, m)); \
             CREATE TABLE {name}3 (id INT PRIMARY KEY, k {kind} NULL UNIQUE, n INT)"
        );
        for (at, value) in values.iter().enumerate() {
            sql += &format!(
                "; INSERT INTO {name}1 VALUES ({value}, {at}); INSERT INTO {name}2 VALUES ({value}, 1, {at}), ({value}, 2, {at}); \
                 INSERT INTO {name}3 VALUES ({at}, {value}, {at})"
            );
        }
    }
    sql
}

/// The rows of the first two values exchange what makes them unique, change, and go.
const CHANGES: [&str; 4] = [
    "START TRANSACTION; UPDATE {}3 SET k = NULL WHERE id = 0; UPDATE {}3 a JOIN {}1 b ON b.n = 0 SET a.k = b.k WHERE a.id = 1; \
     UPDATE {}3 a JOIN {}1 b ON b.n = 1 SET a.k = b.k WHERE a.id = 0; COMMIT",
    "UPDATE {}1 SET n = n + 10; UPDATE {}2 SET n = n + 10 WHERE m = 1; UPDATE {}2 SET m = 3 WHERE n = 0",
    "START TRANSACTION; DELETE FROM {}1 WHERE n = 11; DELETE FROM {}2 WHERE n IN (1, 11); DELETE FROM {}3 WHERE id = 1; COMMIT",
    "DELETE FROM {}1 WHERE n = 10; DELETE FROM {}2 WHERE n IN (0, 10); DELETE FROM {}3 WHERE id = 0",
];

async fn keys_that_compare_in_their_own_way_find_their_rows(route: Route) {
    let pair = Pair::start(route).await;
    pair.source.exec(schema()).await;
    let names = ["sets", "bits", "floats"].map(|name| [1, 2, 3].map(|number| format!("{name}{number}"))).concat();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut ferry = Ferry::start(&pair.task(&["shop.*"]));
    ferry.wait_streaming().await;
    for changes in CHANGES {
        for name in ["sets", "bits", "floats"] {
            pair.source.exec(format!("USE shop; {}", changes.replace("{}", name))).await;
        }
        ferry.wait_applied(&pair.source).await;
        assert_equal(&pair, "shop", &names).await;
    }
    assert_eq!(ferry.terminate().await.0, 0);
    ferry.assert_clean_log();
}

on_routes! { keys_that_compare_in_their_own_way_find_their_rows,
    mysql_97: Route::V97,
    mysql_57_to_80_without_gtid: Route::V57_TO_V80.without_gtid()
}
