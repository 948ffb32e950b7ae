//! Does a source whose own settings differ arrive whole all the same, or is it refused?

use std::sync::Arc;

use mysql_async::prelude::Queryable;
use polarferry::conn::{Endpoint, Tls, TlsMode};
use polarferry::model::position::FilePosition;
use polarferry::source::binlog::{self, Start};

use super::pair::{Pair, Route};
use super::refusals::{DATA, assert_refused};
use crate::ferry::{Ferry, PASSWORD_AT_SOURCE, USER};
use crate::lab::count;

const SOUND: &str =
    "autocommit = 1, sql_select_limit = DEFAULT, max_execution_time = 0, transaction_isolation = 'REPEATABLE-READ'";
/// Each of them would make a session that inherits it read less, or what was never committed.
const HOSTILE: &str = "autocommit = 0, sql_select_limit = 2, max_execution_time = 1, transaction_isolation = 'READ-UNCOMMITTED'";

fn global(settings: &str) -> String {
    settings.split(", ").map(|setting| format!("SET GLOBAL {setting};")).collect()
}

async fn the_sources_session_defaults_change_nothing(route: Route) {
    let pair = Pair::start(route).await;
    pair.source
        .exec(
            "CREATE DATABASE shop; CREATE TABLE shop.t (id INT PRIMARY KEY, n INT); INSERT INTO shop.t VALUES (1, 0), (2, 0); \
             INSERT INTO shop.t SELECT a.id * 100 + b.id * 10 + c.id, 0 FROM shop.t a, shop.t b, shop.t c; \
             INSERT INTO shop.t SELECT a.id + b.id * 1000, 0 FROM shop.t a, shop.t b; CREATE TABLE shop.two (id INT PRIMARY KEY); \
             INSERT INTO shop.two SELECT id FROM shop.t",
        )
        .await;
    let rows = count(&pair.source, "shop", "t").await;
    let mut undecided = pair.source.root().await;
    undecided
        .query_drop("START TRANSACTION; INSERT INTO shop.t VALUES (-1, 0); UPDATE shop.t SET n = 1")
        .await
        .expect("a change");
    pair.source.exec(global(HOSTILE)).await;
    let mut ferry = Ferry::start(&pair.task(&["shop.*"]).with("[copy]\nconnections = 1\nchunk_rows = 10\n"));
    ferry.wait_streaming().await;
    undecided.query_drop("ROLLBACK; SET autocommit = 1; INSERT INTO shop.t VALUES (-2, 0)").await.expect("a rollback");
    pair.source.exec(global(SOUND)).await;
    ferry.wait_applied(&pair.source).await;
    for table in ["t", "two"] {
        let known = if table == "t" { rows + 1 } else { rows };
        assert_eq!(count(&pair.target, "shop", table).await, known, "{table}");
    }
    let odd: Vec<i32> = pair.target.query_rows("SELECT id FROM shop.t WHERE n <> 0 OR id = -1").await;
    assert!(odd.is_empty(), "read before it was committed: {odd:?}");
    assert_eq!(ferry.terminate().await.0, 0);
    ferry.assert_clean_log();
}

on_routes! { the_sources_session_defaults_change_nothing,
    mysql_97: Route::V97,
    mysql_57_without_gtid: Route::V57_TO_V80.without_gtid()
}

/// Each of them would keep a session that inherits it from writing, make it write otherwise, or hide a column of a table.
#[tokio::test(flavor = "multi_thread")]
async fn the_targets_session_defaults_change_nothing() {
    let pair = Pair::start(Route::V97).await;
    pair.source
        .exec(
            "CREATE DATABASE shop; CREATE TABLE shop.t (id INT PRIMARY KEY, s VARCHAR(20)); INSERT INTO shop.t VALUES (0, 'a\\\\'); \
             SET sql_generate_invisible_primary_key = ON; CREATE TABLE shop.k (n INT); INSERT INTO shop.k (n) VALUES (1), (1); \
             SET GLOBAL show_gipk_in_create_table_and_information_schema = OFF",
        )
        .await;
    pair.target
        .exec(
            "SET GLOBAL lc_messages = 'de_DE'; SET GLOBAL transaction_read_only = ON; SET GLOBAL transaction_isolation = 'SERIALIZABLE'; SET GLOBAL autocommit = 0; \
             SET GLOBAL completion_type = 2; SET GLOBAL sql_mode = 'ANSI,NO_BACKSLASH_ESCAPES,PAD_CHAR_TO_FULL_LENGTH,TRADITIONAL'; \
             SET GLOBAL time_zone = '+09:30'; SET GLOBAL sql_select_limit = 1; SET GLOBAL sql_safe_updates = ON; SET GLOBAL wait_timeout = 5; \
             SET GLOBAL init_connect = 'SET foreign_key_checks = 1, character_set_results = latin1'",
        )
        .await;
    let mut ferry = Ferry::start(&pair.task(&["shop.*"]));
    ferry.wait_streaming().await;
    pair.source
        .exec("UPDATE shop.t SET id = 7, s = 'it''s'; INSERT INTO shop.k (n) VALUES (2); DELETE FROM shop.k WHERE n = 1 LIMIT 1")
        .await;
    ferry.wait_applied(&pair.source).await;
    assert_eq!(ferry.terminate().await.0, 0);
    ferry.assert_clean_log();
    let rows: Vec<(i32, String)> = pair.target.query_rows("SELECT id, s FROM shop.t LIMIT 10").await;
    assert_eq!(rows, [(7, "it's".to_owned())]);
    let kept: Vec<(u64, i32)> = pair.source.query_rows("SELECT my_row_id, n FROM shop.k ORDER BY 1").await;
    let found: Vec<(u64, i32)> = pair.target.query_rows("SELECT my_row_id, n FROM shop.k ORDER BY 1 LIMIT 10").await;
    assert_eq!(found, kept);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_would_be_lost_or_ended_or_doubled_is_refused() {
    let options = Route::V80.source_options().arg("--binlog-ignore-db=hidden");
    let pair = Pair::start_with(Route::V80, options, false).await;
    let table = "id INT PRIMARY KEY";
    pair.source
        .exec(format!(
            "CREATE DATABASE shop; CREATE TABLE shop.t ({table}); CREATE DATABASE hidden; CREATE TABLE hidden.t ({table})"
        ))
        .await;
    assert_refused(&pair, &pair.task(&["shop.*", "hidden.*"]), DATA, &["binlog_filters", "hidden"]).await;

    let task = pair.task(&["shop.*"]);
    let uuid = pair.source.query_rows::<String>("SELECT @@server_uuid").await.remove(0);
    let other =
        binlog::open(&endpoint(&pair), &uuid, task.server_id, &from_the_first(), &Arc::default()).await.expect("another replica");
    assert_refused(&pair, &task, DATA, &["server_id", "in use"]).await;
    drop(other);

    // Another id: when the server notices that the other one has gone is its own affair.
    let mut ferry = Ferry::start(&pair.task(&["shop.*"]));
    ferry.wait_streaming().await;
    assert_eq!(ferry.terminate().await.0, 0);
    pair.target.exec("CREATE TRIGGER shop.again AFTER INSERT ON shop.t FOR EACH ROW SET @seen = 1").await;
    ferry.restart();
    assert_eq!(ferry.wait_end().await, 65);
    assert!(ferry.last_words().contains("target.triggers"), "{}", ferry.last_words());
}

fn from_the_first() -> Start {
    Start::File(FilePosition { file: "binlog.000001".to_owned(), offset: 4 })
}

fn endpoint(pair: &Pair) -> Endpoint {
    Endpoint {
        host: "127.0.0.1".to_owned(),
        port: pair.source.port(),
        user: USER.to_owned(),
        password: PASSWORD_AT_SOURCE.into(),
        tls: Tls { mode: TlsMode::Disabled, ca: None },
    }
}
