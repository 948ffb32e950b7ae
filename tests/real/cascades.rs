//! Does what foreign keys do by themselves happen on the target, once, and at its place among the other changes? The sources do not log
//! it, but for one: 9.7 as it comes, where every change is in the stream and no key of the target may act.

use std::time::Duration;

use mysql_async::Error;
use mysql_async::prelude::Queryable;
use rand::Rng;
use rand::rngs::StdRng;

use super::pair::{Pair, Route};
use super::refusals::{DATA, assert_refused};
use super::rows::assert_equal;
use super::scale;
use super::writers::Writers;
use crate::ferry::{Ferry, PASSWORD_AT_SOURCE, PASSWORD_AT_TARGET, Task, USER, rows_copied};
use crate::lab::{Options, Server, Version, source_account, target_account};

/// Servers, and whether the source logs what its keys do.
#[derive(Clone, Copy, Debug)]
struct Ground {
    route: Route,
    logged: bool,
}

impl Ground {
    const fn silent(route: Route) -> Self {
        Self { route, logged: false }
    }

    const fn logged(route: Route) -> Self {
        Self { route, logged: true }
    }

    async fn pair(self) -> Pair {
        let native = self.route.source == Version::V97 && !self.logged;
        let options = Options { native_foreign_keys: native, ..self.route.source_options() };
        Pair::start_with(self.route, options, true).await
    }

    /// 9.7 as it comes refuses some of what engines do: a changed value that passes through two keys with several columns, and all but
    /// the smallest trees of rows.
    async fn change(self, pair: &Pair, changes: &str) {
        let mut root = pair.source.root().await;
        match root.query_drop(format!("USE shop; {changes}")).await {
            Ok(()) => {}
            Err(Error::Server(error)) if self.logged && matches!(error.code, 1451 | 1452 | 6575) => println!("refused: {error}"),
            Err(error) => panic!("{error}: {changes}"),
        }
        root.disconnect().await.expect("the end of its transaction");
    }
}

/// A chain of four, of which three pass on changed keys; a tree; keys that set NULL, one of them onto its own table; children without a
/// row key; a child that holds its parent; and a table that all this does not concern. `*_keep` rows stay.
const SCHEMA: &str = "CREATE DATABASE shop DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci; USE shop; \
    CREATE TABLE regions (code VARCHAR(9) PRIMARY KEY, n INT); \
    CREATE TABLE shops (code VARCHAR(9) PRIMARY KEY, region VARCHAR(9), n INT, \
        FOREIGN KEY (region) REFERENCES regions (code) ON DELETE CASCADE ON UPDATE CASCADE); \
    CREATE TABLE shelves (shop VARCHAR(9), n INT, note VARCHAR(9), PRIMARY KEY (shop, n), \
        FOREIGN KEY (shop) REFERENCES shops (code) ON DELETE CASCADE ON UPDATE CASCADE); \
    CREATE TABLE keepers (id INT PRIMARY KEY, boss INT, doc JSON, FOREIGN KEY (boss) REFERENCES keepers (id) ON DELETE SET NULL); \
    CREATE TABLE items (id INT AUTO_INCREMENT PRIMARY KEY, shop VARCHAR(9), shelf INT, keeper INT, \
        FOREIGN KEY (shop, shelf) REFERENCES shelves (shop, n) ON DELETE CASCADE ON UPDATE CASCADE, \
        FOREIGN KEY (keeper) REFERENCES keepers (id) ON DELETE SET NULL ON UPDATE CASCADE); \
    CREATE TABLE tags (item INT, tag VARCHAR(9), FOREIGN KEY (item) REFERENCES items (id) ON DELETE CASCADE); \
    CREATE TABLE loans (id INT PRIMARY KEY, item INT, FOREIGN KEY (item) REFERENCES items (id)); \
    CREATE TABLE nodes (id INT PRIMARY KEY, parent INT, FOREIGN KEY (parent) REFERENCES nodes (id) ON DELETE CASCADE); \
    CREATE TABLE plain (id INT PRIMARY KEY, n INT)";

const TABLES: [&str; 9] = ["regions", "shops", "shelves", "keepers", "items", "tags", "loans", "nodes", "plain"];

/// What is there after this, whatever was before.
fn fill() -> String {
    let mut text = "USE shop; SET foreign_key_checks = 0; ".to_owned();
    for table in TABLES {
        text += &format!("DELETE FROM {table}; ");
    }
    text += "SET foreign_key_checks = 1; INSERT INTO regions VALUES ('keep', 0); INSERT INTO shops VALUES ('keep', 'keep', 0); \
        INSERT INTO shelves VALUES ('keep', 1, ''); INSERT INTO items VALUES (1, 'keep', 1, NULL); INSERT INTO tags VALUES (1, 'keep'); \
        INSERT INTO loans VALUES (1, 1); INSERT INTO plain VALUES (1, 1); INSERT INTO nodes VALUES (1000, NULL); \
        INSERT INTO keepers VALUES (1000, NULL, '{\"a\": 1.5}'); ";
    for id in 1..=9 {
        text += &format!("INSERT INTO keepers VALUES ({id}, IF({id} > 3, {id} - 3, NULL), JSON_ARRAY({id}.50, 'a')); ");
    }
    for id in 1..=40 {
        text += &format!("INSERT INTO nodes VALUES ({id}, NULLIF({id} DIV 2, 0)); ");
    }
    for region in 1..=6 {
        text += &format!("INSERT INTO regions VALUES ('r{region}', {region}); ");
        for shop in 1..=3 {
            text += &format!("INSERT INTO shops VALUES ('s{region}{shop}', 'r{region}', {shop}); ");
            for shelf in 1..=2 {
                let id = region * 100 + shop * 10 + shelf * 2;
                let keeper = id % 9 + 1;
                text += &format!(
                    "INSERT INTO shelves VALUES ('s{region}{shop}', {shelf}, 'n'); \
                     INSERT INTO items VALUES ({id}, 's{region}{shop}', {shelf}, {keeper}), ({id} + 1, 's{region}{shop}', {shelf}, NULL); \
                     INSERT INTO tags VALUES ({id}, 'a'), ({id}, 'a'), ({id} + 1, 'b'); "
                );
            }
        }
    }
    text + "INSERT INTO loans SELECT id, id FROM items WHERE shop LIKE 's6%'"
}

/// Each of these leaves a row of each table; what they build on is there after `fill`.
const CHANGES: [&str; 22] = [
    "DELETE FROM regions WHERE code = 'r1'",
    "UPDATE shops SET code = 's9' WHERE code = 's21'",
    "BEGIN; UPDATE shops SET code = 'x' WHERE code = 's22'; UPDATE shops SET code = 's22' WHERE code = 's23'; \
     UPDATE shops SET code = 's23' WHERE code = 'x'; COMMIT",
    "UPDATE shops SET code = CONCAT(code, 'x'), n = n + 1 WHERE code LIKE 's3%'",
    "UPDATE shops SET code = UPPER(code) WHERE code LIKE 's3%'; UPDATE regions SET code = 'R3', n = 7 WHERE code = 'r3'",
    "DELETE FROM keepers WHERE id = 1",
    "UPDATE keepers SET id = id + 100, doc = JSON_ARRAY(1.500) WHERE id IN (8, 9)",
    "BEGIN; DELETE FROM regions WHERE code = 'r4'; INSERT INTO regions VALUES ('r4', 44); INSERT INTO shops VALUES ('s41', 'r4', 9); \
     INSERT INTO shelves VALUES ('s41', 1, 'new'); INSERT INTO items VALUES (412, 's41', 1, 2); INSERT INTO tags VALUES (412, 'new'); COMMIT",
    "BEGIN; INSERT INTO shops VALUES ('s7', 'r4', 1); INSERT INTO shelves VALUES ('s7', 1, 'a'), ('s7', 2, 'b'); DELETE FROM shelves WHERE shop = 's7' AND n = 2; \
     UPDATE shelves SET note = 'c' WHERE shop = 's7'; UPDATE shops SET code = 's8' WHERE code = 's7'; INSERT INTO items VALUES (700, 's8', 1, 3); \
     UPDATE plain SET n = n + 1; DELETE FROM keepers WHERE id = 3; UPDATE items SET keeper = 4 WHERE id = 700; DELETE FROM tags WHERE item = 412; \
     DELETE FROM shops WHERE code = 's41'; UPDATE plain SET n = n + 1; COMMIT",
    "BEGIN; DELETE FROM shops WHERE code = 's8'; ROLLBACK",
    "DELETE FROM nodes WHERE id IN (9, 4, 18, 5)",
    "DELETE FROM nodes WHERE id < 40 ORDER BY id DESC LIMIT 9",
    "BEGIN; UPDATE nodes SET parent = 3 WHERE id = 2; DELETE FROM nodes WHERE id = 7; INSERT INTO nodes VALUES (7, 2), (71, 7); DELETE FROM nodes WHERE id = 3; COMMIT",
    "SET foreign_key_checks = 0; DELETE FROM regions WHERE code = 'r5'; UPDATE shops SET code = 'lost' WHERE code = 's51'; DELETE FROM items WHERE id = 522",
    "INSERT INTO regions VALUES ('r5', 55); DELETE FROM shops WHERE code = 's52'",
    "SET foreign_key_checks = 0; INSERT INTO shelves VALUES ('late', 1, 'a'); SET foreign_key_checks = 1; INSERT INTO shops VALUES ('late', 'r5', 1)",
    "BEGIN; SET foreign_key_checks = 0; DELETE FROM shops WHERE code = 'late'; INSERT INTO shops VALUES ('late', 'r5', 2); SET foreign_key_checks = 1; \
     UPDATE shops SET code = 'later' WHERE code = 'late'; COMMIT",
    "DELETE FROM regions WHERE code = 'r5'",
    "BEGIN; DELETE FROM loans WHERE item BETWEEN 600 AND 619; DELETE FROM shops WHERE code = 's61'; COMMIT",
    "REPLACE INTO keepers VALUES (2, 4, 'null'); REPLACE INTO nodes VALUES (1, NULL)",
    "INSERT INTO shops VALUES ('s9', 'r2', 5) ON DUPLICATE KEY UPDATE code = 's99', region = NULL",
    "XA START 'a'; DELETE FROM regions WHERE code = 'r2'; UPDATE shops SET code = 's100' WHERE code = 's99'; XA END 'a'; XA PREPARE 'a'; XA COMMIT 'a'",
];

async fn what_keys_do_is_done_on_the_target_once(ground: Ground) {
    let pair = ground.pair().await;
    pair.source.exec(SCHEMA).await;
    pair.source.exec(fill()).await;
    let mut ferry = Ferry::start(&pair.task(&["shop.*"]));
    ferry.wait_streaming().await;
    ferry.wait_applied(&pair.source).await;
    assert_equal(&pair, "shop", &TABLES).await;
    for changes in CHANGES {
        println!("{changes}");
        ground.change(&pair, changes).await;
        ferry.wait_applied(&pair.source).await;
        assert_equal(&pair, "shop", &TABLES).await;
    }
    // The same again, and twice, so that all of it is read at once and becomes one batch.
    assert_eq!(ferry.terminate().await.0, 0);
    for _ in 0..2 {
        pair.source.exec(fill()).await;
        for changes in CHANGES {
            ground.change(&pair, changes).await;
        }
    }
    ferry.restart();
    ferry.wait_streaming().await;
    ferry.wait_applied(&pair.source).await;
    assert_equal(&pair, "shop", &TABLES).await;
    assert_eq!(ferry.terminate().await.0, 0);
    ferry.assert_clean_log();
}

on_routes! { what_keys_do_is_done_on_the_target_once,
    mysql_57_to_80: Ground::silent(Route::V57_TO_V80),
    mysql_80_without_gtid: Ground::silent(Route::V80.without_gtid()),
    mysql_97: Ground::silent(Route::V97),
    mysql_97_that_logs_it: Ground::logged(Route::V97)
}

/// Slow enough that it is killed in the middle.
const SLOW: &str = "[throttle]\ncopy_rows_per_second = 150\n[copy]\nchunk_rows = 50\n[apply]\nbatch_rows = 40\n";

async fn keys_that_act_under_load_and_kills_leave_no_orphan(ground: Ground) {
    let seed = scale::seed();
    let pair = ground.pair().await;
    pair.source.exec(SCHEMA).await;
    pair.source.exec(fill()).await;
    let step = if ground.logged { step_without_circles } else { step };
    let writers = Writers::start(&pair.source, "shop", 3, seed, step);
    let mut random = scale::random(seed, u64::MAX);
    let mut ferry = Ferry::start(&pair.task(&["shop.*"]).with(SLOW));
    let mut in_copy = 0;
    for _ in 0..2 {
        let some = |status: &serde_json::Value| rows_copied(status) > 50 || status["phase"] == "stream";
        in_copy += u32::from(ferry.wait_until("some rows copied", some).await["phase"] == "copy");
        kill_soon(&mut ferry, &mut random).await;
    }
    assert!(in_copy > 0, "the copy was over before the first kill");
    for _ in 0..2 {
        ferry.wait_streaming().await;
        kill_soon(&mut ferry, &mut random).await;
    }
    ferry.wait_streaming().await;
    let committed = writers.stop().await;
    println!("{committed} transactions");
    assert!(committed > 0);
    ferry.wait_applied(&pair.source).await;
    assert_equal(&pair, "shop", &TABLES).await;
    assert_eq!(ferry.terminate().await.0, 0);
    ferry.assert_clean_log();
}

on_routes! { keys_that_act_under_load_and_kills_leave_no_orphan,
    mysql_57_to_80_without_gtid: Ground::silent(Route::V57_TO_V80.without_gtid()),
    mysql_80: Ground::silent(Route::V80),
    mysql_97: Ground::silent(Route::V97),
    mysql_97_that_logs_it: Ground::logged(Route::V97)
}

/// This sleep waits for nothing: it *is* the random moment.
async fn kill_soon(ferry: &mut Ferry, random: &mut StdRng) {
    tokio::time::sleep(random.random_range(Duration::ZERO..Duration::from_millis(800))).await;
    ferry.restart();
}

/// Few keys, so that rows go and come back all the time. The first statement takes back what a transaction that failed has left.
fn step(random: &mut StdRng) -> Vec<String> {
    let mut statements = vec!["SET foreign_key_checks = 1".to_owned()];
    if random.random_range(0..12) == 0 {
        statements.push("SET foreign_key_checks = 0".to_owned());
    }
    for _ in 0..random.random_range(1..6) {
        statements.push(change(random));
    }
    statements
}

/// See [`a_circle_of_rows_goes_at_once`].
fn step_without_circles(random: &mut StdRng) -> Vec<String> {
    let mut statements = step(random);
    if statements.iter().any(|statement| statement.ends_with("= 0")) {
        statements.retain(|statement| !statement.contains("nodes"));
    }
    statements
}

fn change(random: &mut StdRng) -> String {
    let mut below = |limit: u32| random.random_range(1..limit);
    let (region, shop, shelf, item, keeper, node) = (below(7), below(20), below(4), below(200) + 100, below(12), below(60));
    let (other, n) = (below(60), below(1000));
    match below(24) {
        1 | 2 => format!("INSERT IGNORE INTO regions VALUES ('r{region}', {n})"),
        3 | 4 => format!("INSERT IGNORE INTO shops SELECT 's{shop}', code, {n} FROM regions WHERE code = 'r{region}'"),
        5 | 6 => format!("INSERT IGNORE INTO shelves SELECT code, {shelf}, '{n}' FROM shops WHERE code = 's{shop}'"),
        7..=9 => format!("INSERT IGNORE INTO items SELECT {item}, shop, n, NULL FROM shelves WHERE shop = 's{shop}' LIMIT 1"),
        10 => format!("INSERT IGNORE INTO tags SELECT id, '{n}' FROM items WHERE shop = 's{shop}'"),
        11 => format!("INSERT IGNORE INTO keepers SELECT {keeper}, MAX(id), '[{n}.50]' FROM keepers"),
        12 => format!("UPDATE items SET keeper = (SELECT MAX(id) FROM keepers WHERE id <= {keeper}) WHERE shop = 's{shop}'"),
        13 => format!("DELETE FROM keepers WHERE id = {keeper}"),
        14 => format!("UPDATE keepers SET id = id + 1 WHERE id = {keeper}"),
        15 => format!("DELETE FROM regions WHERE code = 'r{region}'"),
        16 => format!("DELETE FROM shops WHERE code = 's{shop}'"),
        17 => format!("UPDATE shops SET code = 's{other}', n = {n} WHERE code = 's{shop}'"),
        18 => format!("UPDATE shelves SET n = {shelf}, note = '{n}' WHERE shop = 's{shop}' LIMIT 1"),
        19 => format!("DELETE FROM items WHERE id < {item} LIMIT 3"),
        20 | 21 => format!("INSERT IGNORE INTO nodes SELECT {node}, MAX(id) FROM nodes WHERE id <= {other}"),
        22 => format!("DELETE FROM nodes WHERE id IN ({node}, {other}, {node} + 1)"),
        _ => "UPDATE plain SET n = n + 1".to_owned(),
    }
}

/// Rows that hang on each other in a circle, as only sessions without checks can tie them: one end takes all of them away. 9.7.4, where it
/// logs that, logs the end of the first row twice; so the stream contradicts itself.
async fn a_circle_of_rows_goes_at_once(ground: Ground) {
    let pair = ground.pair().await;
    pair.source.exec(SCHEMA).await;
    pair.source.exec(fill()).await;
    let mut ferry = Ferry::start(&pair.task(&["shop.nodes"]));
    ferry.wait_streaming().await;
    for circle in ["(101, 101)", "(101, 102), (102, 101)", "(101, 102), (102, 103), (103, 101), (104, 103)"] {
        pair.source
            .exec(format!(
                "USE shop; SET foreign_key_checks = 0; INSERT INTO nodes VALUES {circle}; SET foreign_key_checks = 1; \
                 DELETE FROM nodes WHERE id = 101; INSERT INTO nodes VALUES (101, 1000); DELETE FROM nodes WHERE id = 101"
            ))
            .await;
    }
    if ground.logged {
        assert_eq!(ferry.wait_end().await, 65);
        assert!(ferry.last_words().contains("contradicts itself"), "{}", ferry.last_words());
        return;
    }
    ferry.wait_applied(&pair.source).await;
    assert_equal(&pair, "shop", &["nodes"]).await;
    assert_eq!(ferry.terminate().await.0, 0);
    ferry.assert_clean_log();
}

on_routes! { a_circle_of_rows_goes_at_once,
    mysql_57_to_80: Ground::silent(Route::V57_TO_V80),
    mysql_80: Ground::silent(Route::V80),
    mysql_97: Ground::silent(Route::V97),
    mysql_97_that_logs_it: Ground::logged(Route::V97)
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_whose_effects_cannot_be_repeated_are_refused_by_name() {
    let pair = Pair::start_with_locks(Route::V80).await;
    pair.source
        .exec(
            "CREATE DATABASE shop; USE shop; CREATE TABLE authors (id INT PRIMARY KEY); \
             CREATE TABLE books (id INT PRIMARY KEY, author INT, CONSTRAINT written_by FOREIGN KEY (author) REFERENCES authors (id) ON DELETE CASCADE); \
             CREATE TABLE pages (id INT PRIMARY KEY, book INT, FOREIGN KEY (book) REFERENCES books (id)); \
             CREATE TABLE loose (id INT, KEY (id)); \
             CREATE TABLE hung (id INT PRIMARY KEY, loose INT, FOREIGN KEY (loose) REFERENCES loose (id) ON DELETE SET NULL)",
        )
        .await;
    assert_refused(&pair, &pair.task(&["shop.books"]), DATA, &["written_by", "shop.authors is not selected"]).await;
    assert_refused(&pair, &pair.task(&["shop.*"]), DATA, &["shop.loose has no primary key"]).await;
    pair.target
        .exec(
            "CREATE DATABASE shop; USE shop; CREATE TABLE authors (id INT PRIMARY KEY); \
             CREATE TABLE books (id INT PRIMARY KEY, author INT, CONSTRAINT written_by FOREIGN KEY (author) REFERENCES authors (id))",
        )
        .await;
    let task = pair.task(&["shop.authors", "shop.books", "shop.pages"]);
    assert_refused(&pair, &task, DATA, &["target.foreign_keys", "written_by of shop.books"]).await;
    pair.target
        .exec("DROP TABLE shop.books; CREATE TABLE shop.strange (author INT, FOREIGN KEY (author) REFERENCES shop.authors (id))")
        .await;
    assert_refused(&pair, &task, DATA, &["shop.strange", "is not selected"]).await;
    pair.target.exec("DROP DATABASE shop").await;
    pair.source.exec("REVOKE LOCK TABLES ON *.* FROM ferry").await;
    assert_refused(&pair, &task, DATA, &["source.cascades", "LOCK TABLES"]).await;
    pair.source
        .exec(
            "GRANT LOCK TABLES ON *.* TO ferry; INSERT INTO shop.authors VALUES (1), (2); INSERT INTO shop.books VALUES (1, 1), (2, 2); \
             INSERT INTO shop.pages VALUES (1, 2)",
        )
        .await;
    // What keys reach on the target may not leave the task; it may when nothing reaches it any more.
    let mut ferry = Ferry::start(&task);
    ferry.wait_streaming().await;
    let without = |tables: &[&str]| Task { include: tables.iter().map(|&table| table.to_owned()).collect(), ..task.clone() };
    ferry.restart_with(&without(&["shop.authors", "shop.books"]));
    assert_eq!(ferry.wait_end().await, 65);
    let words = ferry.last_words();
    assert!(words.contains("selection-changed") && words.contains("hangs on shop.books"), "{words}");
    ferry.restart_with(&task);
    pair.source
        .exec("INSERT INTO shop.authors VALUES (3); INSERT INTO shop.books VALUES (3, 3); DELETE FROM shop.authors WHERE id = 1")
        .await;
    ferry.wait_applied(&pair.source).await;
    assert_equal(&pair, "shop", &["authors", "books", "pages"]).await;
    // A key that the target has lost would not act.
    assert_eq!(ferry.terminate().await.0, 0);
    pair.target.exec("ALTER TABLE shop.books DROP FOREIGN KEY written_by").await;
    ferry.restart();
    assert_eq!(ferry.wait_end().await, 65);
    let words = ferry.last_words();
    assert!(words.contains("schema-mismatch") && words.contains("written_by of shop.books"), "{words}");
    pair.target
        .exec("ALTER TABLE shop.books ADD CONSTRAINT written_by FOREIGN KEY (author) REFERENCES shop.authors (id) ON DELETE CASCADE")
        .await;
    ferry.restart_with(&without(&["shop.authors"]));
    pair.source.exec("DELETE FROM shop.authors WHERE id = 3").await;
    ferry.wait_applied(&pair.source).await;
    assert_equal(&pair, "shop", &["authors"]).await;
    assert_eq!(pair.target.query_rows::<u32>("SELECT id FROM shop.books ORDER BY id").await, [2, 3], "left as it was");
    assert_eq!(ferry.terminate().await.0, 0);
}

/// What its keys do happens to tables that are not carried.
#[tokio::test(flavor = "multi_thread")]
async fn a_parent_is_carried_without_its_children() {
    let pair = Pair::start(Route::V80).await;
    pair.source
        .exec(
            "CREATE DATABASE shop; USE shop; CREATE TABLE authors (id INT PRIMARY KEY); \
             CREATE TABLE books (id INT PRIMARY KEY, author INT, FOREIGN KEY (author) REFERENCES authors (id) ON DELETE CASCADE); \
             INSERT INTO authors VALUES (1), (2); INSERT INTO books VALUES (1, 1)",
        )
        .await;
    let mut ferry = Ferry::start(&pair.task(&["shop.authors"]));
    ferry.wait_streaming().await;
    pair.source.exec("DELETE FROM shop.authors WHERE id = 1").await;
    ferry.wait_applied(&pair.source).await;
    assert_equal(&pair, "shop", &["authors"]).await;
    assert_eq!(ferry.terminate().await.0, 0);
    ferry.assert_clean_log();
}

/// That is another implementation, which refuses what the source's engine does.
#[tokio::test(flavor = "multi_thread")]
async fn a_target_that_carries_keys_out_above_its_engine_is_refused() {
    let source = Server::start(Version::V80, &Options::relaxed()).await;
    let target = Server::start(Version::V97, &Options::relaxed()).await;
    source_account(&source, USER, PASSWORD_AT_SOURCE, true).await;
    target_account(&target, USER, PASSWORD_AT_TARGET).await;
    let pair = Pair { source, target };
    pair.source.exec(SCHEMA).await;
    assert_refused(&pair, &pair.task(&["shop.*"]), DATA, &["target.foreign_keys", "innodb_native_foreign_keys"]).await;
}

/// By name, children come before their parents here, and two tables are each other's. `there`: a dump of the definitions is there already.
async fn assert_keys_act(route: Route, there: bool) {
    let pair = Pair::start_with_locks(route).await;
    let schema = "CREATE DATABASE shop; USE shop; SET foreign_key_checks = 0; \
        CREATE TABLE a (id INT PRIMARY KEY, z INT, KEY az (z), CONSTRAINT az FOREIGN KEY (z) REFERENCES z (id) ON DELETE CASCADE); \
        CREATE TABLE m (id INT PRIMARY KEY, n INT, KEY mn (n), CONSTRAINT mn FOREIGN KEY (n) REFERENCES n (id) ON DELETE CASCADE); \
        CREATE TABLE n (id INT PRIMARY KEY, m INT, KEY nm (m), CONSTRAINT nm FOREIGN KEY (m) REFERENCES m (id) ON DELETE CASCADE); \
        CREATE TABLE z (id INT PRIMARY KEY)";
    let anew = "ALTER TABLE a FORCE; ALTER TABLE m FORCE; ALTER TABLE n FORCE";
    let rows = "INSERT INTO z VALUES (1), (2); INSERT INTO a VALUES (1, 1), (2, 2); INSERT INTO m VALUES (1, NULL), (2, NULL); \
        INSERT INTO n VALUES (1, 1), (2, 2); INSERT INTO m VALUES (3, 1), (4, 2)";
    pair.source.exec(format!("{schema}; {anew}; SET foreign_key_checks = 1; {rows}")).await;
    if there {
        pair.target.exec(schema).await;
    }
    let mut ferry = Ferry::start(&pair.task(&["shop.*"]));
    ferry.wait_streaming().await;
    pair.source.exec("DELETE FROM shop.z WHERE id = 1; DELETE FROM shop.m WHERE id = 1").await;
    ferry.wait_applied(&pair.source).await;
    assert_equal(&pair, "shop", &["z", "a", "m", "n"]).await;
    assert_eq!(
        pair.target.query_rows::<i32>("SELECT id FROM shop.a UNION ALL SELECT id FROM shop.m ORDER BY 1").await,
        [2, 2, 4]
    );
    assert_eq!(ferry.terminate().await.0, 0);
    ferry.assert_clean_log();
}

async fn keys_act_whatever_the_tables_are_called(route: Route) {
    assert_keys_act(route, false).await;
}

async fn keys_of_tables_that_are_there_act(route: Route) {
    assert_keys_act(route, true).await;
}

on_routes! { keys_act_whatever_the_tables_are_called,
    mysql_97: Route::V97,
    mysql_57_to_80_without_gtid: Route::V57_TO_V80.without_gtid()
}

on_routes! { keys_of_tables_that_are_there_act,
    mysql_80: Route::V80
}
