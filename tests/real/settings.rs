//! Does a source whose own settings differ arrive whole all the same, or is it refused?

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
    let other = binlog::open(&endpoint(&pair), &uuid, task.server_id, &from_the_first()).await.expect("another replica");
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
