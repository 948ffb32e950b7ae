//! Unique indexes over a prefix of a column or over an expression: do their values move between rows, and are such tables, which are
//! copied whole, equal when they are written to all the time?

use rand::Rng;
use rand::rngs::StdRng;

use super::pair::{Pair, Route};
use super::rows::assert_equal;
use super::scale;
use super::writers::Writers;
use crate::ferry::Ferry;
use crate::lab::{Options, Version};

const ROWS: u32 = 300;

/// `initials` has nothing that identifies a row but a prefix.
const SCHEMA: &str = "CREATE DATABASE shop DEFAULT CHARACTER SET utf8mb4; USE shop; \
    CREATE TABLE names (id INT PRIMARY KEY, name VARCHAR(40) COLLATE utf8mb4_general_ci NULL, body TEXT, \
        UNIQUE (name(5)), UNIQUE by_body (body(4), name(2))); \
    CREATE TABLE initials (name VARCHAR(40) NOT NULL, n INT, PRIMARY KEY (name(4)))";

/// From 8.0.13 on.
const BY_EXPRESSION: &str = "USE shop; CREATE TABLE sums (id INT PRIMARY KEY, a INT, b INT, UNIQUE by_sum ((a + b)), UNIQUE mixed ((LOWER(CONCAT('x', a))), b))";

fn fill(functional: bool) -> String {
    let list = |row: &dyn Fn(u32) -> String| (0..ROWS).filter(|id| id % 3 != 0).map(row).collect::<Vec<_>>().join(",");
    let names = list(&|id| format!("({id}, 'n{id:04}-{id}', 'b{id:03}')"));
    let initials = list(&|id| format!("('{id:04}-{id}', {id})"));
    let sums = list(&|id| format!("({id}, {id}, {id})"));
    let mut sql = format!("USE shop; INSERT INTO names VALUES {names}; INSERT INTO initials VALUES {initials}");
    if functional {
        sql += &format!("; INSERT INTO sums VALUES {sums}");
    }
    sql
}

fn over_prefixes(random: &mut StdRng) -> Vec<String> {
    step(random, 6)
}

fn over_both(random: &mut StdRng) -> Vec<String> {
    step(random, 9)
}

fn step(random: &mut StdRng, kinds: u32) -> Vec<String> {
    let kind = random.random_range(0..kinds);
    let mut id = || random.random_range(0..ROWS);
    let (one, other, third) = (id(), id(), id());
    match kind {
        // They exchange what the index sees, and keep the rest.
        0 => vec![
            format!(
                "SET @a = (SELECT name FROM names WHERE id = {one} FOR UPDATE), @b = (SELECT name FROM names WHERE id = {other} FOR UPDATE)"
            ),
            format!("UPDATE names SET name = NULL WHERE id = {one}"),
            format!("UPDATE names SET name = @a WHERE id = {other}"),
            format!("UPDATE names SET name = @b WHERE id = {one}"),
        ],
        // Behind the prefix.
        1 => {
            vec![format!("UPDATE names SET name = CONCAT(LEFT(name, 6), 'x{other}'), body = CONCAT(body, 'y') WHERE id = {one}")]
        }
        2 => {
            vec![format!("DELETE FROM names WHERE id = {one}"), format!("INSERT INTO names VALUES ({other}, 'N{one:04}', NULL)")]
        }
        3 => vec![format!("UPDATE initials SET name = '{other:04}+{third}', n = n + 1 WHERE name LIKE '{one:04}%'")],
        4 => vec![
            format!("DELETE FROM initials WHERE name LIKE '{one:04}%'"),
            format!("INSERT INTO initials VALUES ('{one:04}*{other}', {third})"),
        ],
        5 => vec![format!("REPLACE INTO names VALUES ({one}, 'n{other:04}', 'b{third:03}')")],
        6 => vec![format!("REPLACE INTO sums VALUES ({one}, {other}, {third})")],
        7 => vec![format!("UPDATE sums SET a = b + 7, b = a - 7 WHERE id = {one}")],
        _ => vec![
            format!(
                "SET @a = (SELECT a FROM sums WHERE id = {one} FOR UPDATE), @b = (SELECT b FROM sums WHERE id = {one} FOR UPDATE)"
            ),
            format!("DELETE FROM sums WHERE id = {one}"),
            format!("INSERT IGNORE INTO sums VALUES ({other}, @a, @b)"),
        ],
    }
}

async fn parts_that_are_unique_move_freely_between_rows(route: Route) {
    let functional = route.source != Version::V57;
    let pair = Pair::start_with_locks(route).await;
    pair.source.exec(SCHEMA).await;
    if functional {
        pair.source.exec(BY_EXPRESSION).await;
    }
    pair.source.exec(fill(functional)).await;
    let writers = Writers::start(&pair.source, "shop", 4, scale::seed(), if functional { over_both } else { over_prefixes });
    let mut ferry = Ferry::start(&pair.task(&["shop.*"]));
    let streamed = |status: &serde_json::Value| status["stream"]["transactions"].as_u64();
    let enough = streamed(&ferry.wait_streaming().await).unwrap_or_default() + 1000;
    ferry.wait_until("1000 transactions after the copy", |status| streamed(status) >= Some(enough)).await;
    ferry.kill9();
    ferry.restart();
    ferry.wait_streaming().await;
    assert!(writers.stop().await > 1000);
    ferry.wait_applied(&pair.source).await;
    let tables: &[&str] = if functional { &["names", "initials", "sums"] } else { &["names", "initials"] };
    assert_equal(&pair, "shop", tables).await;
    assert_eq!(ferry.terminate().await.0, 0);
    ferry.assert_clean_log();
}

on_routes! { parts_that_are_unique_move_freely_between_rows,
    mysql_97: Route::V97,
    mysql_80: Route::V80,
    mysql_57_to_80_without_gtid: Route::V57_TO_V80.without_gtid()
}

/// Where the source logs what foreign keys do, a table that was copied whole was still not copied for their sake.
#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_logs_cascades_is_no_obstacle_after_a_restart() {
    let options = Options { native_foreign_keys: false, ..Route::V97.source_options() };
    let pair = Pair::start_with(Route::V97, options, true).await;
    pair.source.exec(SCHEMA).await;
    pair.source.exec(fill(false)).await;
    let mut ferry = Ferry::start(&pair.task(&["shop.*"]));
    for _ in 0..2 {
        ferry.wait_streaming().await;
        pair.source.exec("UPDATE shop.names SET body = CONCAT(body, '!')").await;
        ferry.wait_applied(&pair.source).await;
        ferry.restart();
    }
    ferry.wait_streaming().await;
    assert_equal(&pair, "shop", &["names", "initials"]).await;
    assert_eq!(ferry.terminate().await.0, 0);
}

/// A target whose index sees more of a column than the source's refuses rows, and one that sees less would, too.
#[tokio::test(flavor = "multi_thread")]
async fn a_unique_index_over_other_parts_is_refused() {
    let pair = Pair::start_with_locks(Route::V80).await;
    pair.source.exec("CREATE DATABASE shop; CREATE TABLE shop.t (id INT PRIMARY KEY, s VARCHAR(20), UNIQUE u (s(5)))").await;
    pair.target.exec("CREATE DATABASE shop; CREATE TABLE shop.t (id INT PRIMARY KEY, s VARCHAR(20), UNIQUE u (s(4)))").await;
    let mut ferry = Ferry::start(&pair.task(&["shop.*"]));
    assert_eq!(ferry.wait_end().await, 65);
    let said = ferry.last_words();
    assert!(said.contains("the unique key u is only here, or is over other parts"), "{said}");
}
