//! Do values of secondary unique keys move freely between rows: exchanged, handed on in chains,
//! freed and taken again, while the copy reads the rows at different times?

use rand::Rng;
use rand::rngs::StdRng;

use super::pair::{Pair, Route};
use super::rows::assert_equal;
use super::scale;
use super::writers::Writers;
use crate::ferry::{Ferry, rows_copied};

const ROWS: u32 = 2000;

/// Slow enough that thousands of values move while it goes on; the smallest chunks.
const SECTIONS: &str =
    "[copy]\nconnections = 3\nchunk_rows = 10\nchunk_bytes = \"64KiB\"\n[throttle]\ncopy_rows_per_second = 500\n";

const SCHEMA: &str = "CREATE DATABASE shop DEFAULT CHARACTER SET utf8mb4; USE shop; \
    CREATE TABLE codes (id INT PRIMARY KEY, code INT UNIQUE, tag VARCHAR(20) COLLATE utf8mb4_general_ci NULL, n INT, UNIQUE (tag, n))";

/// Rows 0 to `ROWS` of which two of three exist, each with a code of its own.
fn fill() -> String {
    let row = |id: u32| format!("({id}, {}, 't{}', {})", id * 2, id / 2, id % 2);
    let rows: Vec<String> = (0..ROWS).filter(|id| id % 3 != 0).map(row).collect();
    format!("INSERT INTO shop.codes VALUES {}", rows.join(","))
}

fn step(random: &mut StdRng) -> Vec<String> {
    let mut id = || random.random_range(0..ROWS);
    let ids = [id(), id(), id(), id()];
    let code = id() * 2;
    match random.random_range(0..9) {
        0 => rotate(&ids[..2]),
        1 => rotate(&ids[..3]),
        2 => rotate(&ids),
        // A step of a chain over several transactions: onto a code that may just have become free.
        3 | 4 => vec![format!("UPDATE codes SET code = {code} WHERE id = {}", ids[0])],
        5 => vec![
            take(ids[0], 0),
            format!("DELETE FROM codes WHERE id = {}", ids[0]),
            format!("INSERT INTO codes VALUES ({}, @v0, CONCAT('T', {}), {})", ids[1], ids[1] / 2, ids[1] % 2),
        ],
        6 => vec![format!("REPLACE INTO codes VALUES ({}, {code}, 'r{}', 7)", ids[0], ids[1])],
        7 => vec![
            format!("UPDATE codes SET tag = NULL WHERE id = {}", ids[0]),
            format!("UPDATE codes SET tag = 't{}', n = {} WHERE id = {}", ids[0] / 2, ids[0] % 2, ids[1]),
        ],
        _ => vec![format!(
            "INSERT INTO codes VALUES ({}, {code}, NULL, 0) ON DUPLICATE KEY UPDATE tag = UPPER(tag), n = 1 - n",
            ids[0]
        )],
    }
}

/// Each row gives its code to the next one, and the last to the first.
fn rotate(ids: &[u32]) -> Vec<String> {
    let (first, last) = (ids[0], ids.len() - 1);
    let mut statements: Vec<String> = ids.iter().enumerate().map(|(at, id)| take(*id, at)).collect();
    statements.push(format!("UPDATE codes SET code = NULL WHERE id = {first}"));
    for at in 0..last {
        statements.push(format!("UPDATE codes SET code = @v{at} WHERE id = {}", ids[at + 1]));
    }
    statements.push(format!("UPDATE codes SET code = @v{last} WHERE id = {first}"));
    statements
}

/// Reads a code into `@v{at}`; NULL when there is no such row.
fn take(id: u32, at: usize) -> String {
    format!("SET @v{at} = (SELECT code FROM codes WHERE id = {id} FOR UPDATE)")
}

async fn unique_values_move_freely_between_rows(route: Route) {
    let seed = scale::seed();
    let pair = Pair::start(route).await;
    pair.source.exec(format!("{SCHEMA}; {}", fill())).await;
    let writers = Writers::start(&pair.source, "shop", 4, seed, step);
    let mut ferry = Ferry::start(&pair.task(&["shop.*"]).with(SECTIONS));
    let status = ferry.wait_streaming().await;
    let streamed = |status: &serde_json::Value| status["stream"]["transactions"].as_u64();
    let enough = streamed(&status).unwrap_or_default() + 1000;
    ferry.wait_until("1000 transactions after the copy", |status| streamed(status) >= Some(enough)).await;
    assert!(writers.stop().await > 1000);
    ferry.wait_applied(&pair.source).await;
    assert_equal(&pair, "shop", &["codes"]).await;
    assert_eq!(ferry.terminate().await.0, 0);
    ferry.assert_clean_log();
}

on_routes! { unique_values_move_freely_between_rows,
    mysql_97: Route::V97,
    mysql_97_without_gtid: Route::V97.without_gtid(),
    mysql_57_to_80_without_gtid: Route::V57_TO_V80.without_gtid()
}

/// Somebody else's row stands in the way of one that the copy is still to bring. A chunk leaves out what
/// collides, because the stream brings it; here it does not, and a row would be lost in silence.
async fn a_row_that_finds_its_unique_value_taken_stops_the_task(route: Route) {
    let pair = Pair::start(route).await;
    pair.source.exec(format!("{SCHEMA}; {}", fill())).await;
    let mut ferry = Ferry::start(&pair.task(&["shop.*"]).with(SECTIONS));
    ferry.wait_until("the first rows", |status| rows_copied(status) > 0).await;
    let last = (0..ROWS).rev().find(|id| id % 3 != 0).expect("some rows");
    pair.target.exec(format!("INSERT INTO shop.codes VALUES (1000000, {}, NULL, 0)", last * 2)).await;
    for attempt in ["at first", "after a restart"] {
        if attempt == "after a restart" {
            ferry.restart();
        }
        assert_eq!(ferry.wait_end().await, 65, "{attempt}");
        let said = ferry.last_words();
        assert!(said.contains("data-refused") && said.contains("shop.codes: 1 rows"), "{attempt}: {said}");
    }
    pair.target.exec("DELETE FROM shop.codes WHERE id = 1000000").await;
    ferry.restart();
    ferry.wait_streaming().await;
    ferry.wait_applied(&pair.source).await;
    assert_equal(&pair, "shop", &["codes"]).await;
}

on_routes! { a_row_that_finds_its_unique_value_taken_stops_the_task,
    mysql_97: Route::V97,
    mysql_57_to_80_without_gtid: Route::V57_TO_V80.without_gtid()
}

/// 5.7's default collation for utf8mb4 tells these apart, 8.0's does not.
const ALIKE: &str = "CREATE DATABASE shop DEFAULT CHARACTER SET utf8mb4; USE shop; \
    CREATE TABLE names (id INT PRIMARY KEY, s VARCHAR(20) UNIQUE, t VARCHAR(9) CHARACTER SET utf8, UNIQUE (t, s)) CHARSET utf8mb4; \
    CREATE TABLE words (w VARCHAR(20) PRIMARY KEY, n INT) CHARSET utf8mb4; \
    INSERT INTO names VALUES (1, 'strasse', 'a'), (2, 'straße', 'a'); \
    INSERT INTO words VALUES ('strasse', 1), ('straße', 1)";

#[tokio::test(flavor = "multi_thread")]
async fn values_that_only_a_newer_default_holds_equal_stay_apart() {
    let pair = Pair::start(Route::V57_TO_V80).await;
    pair.source.exec(ALIKE).await;
    let mut ferry = Ferry::start(&pair.task(&["shop.*"]));
    ferry.wait_streaming().await;
    pair.source
        .exec(
            "INSERT INTO shop.names VALUES (3, 'masse', 'b'), (4, 'maße', 'b'); \
             INSERT INTO shop.words VALUES ('masse', 2), ('maße', 2); UPDATE shop.words SET n = n + 1",
        )
        .await;
    ferry.wait_applied(&pair.source).await;
    assert_equal(&pair, "shop", &["names", "words"]).await;
    let collations = "SELECT DISTINCT collation_name FROM information_schema.columns \
        WHERE table_schema = 'shop' AND collation_name IS NOT NULL ORDER BY 1";
    assert_eq!(pair.target.query_rows::<String>(collations).await, pair.source.query_rows::<String>(collations).await);
    assert_eq!(ferry.terminate().await.0, 0);
    ferry.assert_clean_log();
}
