//! Does wrong input end with one line that says cause and remedy, with the contract's exit code, and
//! with nothing written on the target?

use super::pair::{Pair, Route};
use crate::ferry::{Ferry, PASSWORD_AT_SOURCE, PASSWORD_AT_TARGET, Task};
use crate::lab::{Options, Server, create_account};

/// Failed precheck.
const DATA: &[i32] = &[65];
const CONFIGURATION: &[i32] = &[78];
/// A refused login may be found by the precheck or before it.
const EITHER: &[i32] = &[65, 78];

const TABLE: &str = "CREATE DATABASE shop; CREATE TABLE shop.t (id INT PRIMARY KEY, n INT); \
    INSERT INTO shop.t VALUES (1, 1), (2, 2)";

/// Starts a daemon on `task` and sees it refuse: with one of `codes`, and with a cause that contains
/// each of `words`, however they are cased.
async fn assert_refused(pair: &Pair, task: &Task, codes: &[i32], words: &[&str]) {
    let before = databases(&pair.target).await;
    let mut ferry = Ferry::start(task);
    let code = ferry.wait_end().await;
    let said = ferry.last_words();
    assert!(codes.contains(&code), "exit code {code}, not {codes:?}: {said}");
    let beginning = |prefix: &str| said.lines().filter(|line| line.starts_with(prefix)).count();
    assert_eq!(beginning("polarferry: "), 1, "not one cause:\n{said}");
    assert!(said.contains("remedy: "), "no remedy:\n{said}");
    for word in words {
        assert!(said.to_lowercase().contains(&word.to_lowercase()), "no {word:?} in:\n{said}");
    }
    for password in [PASSWORD_AT_SOURCE, PASSWORD_AT_TARGET] {
        assert!(!ferry.log().contains(password), "a password in the log");
    }
    assert_eq!(databases(&pair.target).await, before, "written on the target");
}

async fn databases(server: &Server) -> Vec<String> {
    server.query_rows("SHOW DATABASES").await
}

async fn pair_with(source: Options) -> Pair {
    let pair = Pair::start_with(Route::V80, source, false).await;
    pair.source.exec(TABLE).await;
    pair
}

async fn pair() -> Pair {
    pair_with(Route::V80.source_options()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_login_names_the_side() {
    let pair = pair().await;
    let mut task = pair.task(&["shop.*"]);
    task.source.password = "wrong".to_owned();
    assert_refused(&pair, &task, EITHER, &["source", "1045"]).await;
    let mut task = pair.task(&["shop.*"]);
    task.target.password = "wrong".to_owned();
    assert_refused(&pair, &task, EITHER, &["target", "1045"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_without_binlog_is_refused() {
    let options = Options { log_bin: false, gtid: false, ..Route::V80.source_options() };
    let pair = pair_with(options).await;
    assert_refused(&pair, &pair.task(&["shop.*"]), DATA, &["binlog"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_logs_statements_is_refused() {
    let options = Route::V80.source_options();
    let pair = pair_with(options.arg("--binlog-format=STATEMENT")).await;
    let words = ["binlog_format", "STATEMENT", "ROW"];
    assert_refused(&pair, &pair.task(&["shop.*"]), DATA, &words).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_logs_partial_rows_is_refused() {
    let options = Route::V80.source_options();
    let pair = pair_with(options.arg("--binlog-row-image=MINIMAL")).await;
    let words = ["binlog_row_image", "MINIMAL", "FULL"];
    assert_refused(&pair, &pair.task(&["shop.*"]), DATA, &words).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_privilege_is_named() {
    let pair = pair().await;
    let rights = "SELECT, REPLICATION CLIENT, SHOW VIEW";
    create_account(&pair.source, "poor", "p", rights, "*.*").await;
    let mut task = pair.task(&["shop.*"]);
    (task.source.user, task.source.password) = ("poor".to_owned(), "p".to_owned());
    assert_refused(&pair, &task, DATA, &["source", "REPLICATION SLAVE"]).await;

    let rights = "SELECT, UPDATE, DELETE, CREATE, DROP, ALTER, INDEX, REFERENCES";
    create_account(&pair.target, "poor", "p", rights, "*.*").await;
    let mut task = pair.task(&["shop.*"]);
    (task.target.user, task.target.password) = ("poor".to_owned(), "p".to_owned());
    assert_refused(&pair, &task, DATA, &["target", "INSERT"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_may_not_be_read_is_refused() {
    let pair = pair().await;
    let rights = "REPLICATION SLAVE, REPLICATION CLIENT, SHOW VIEW";
    create_account(&pair.source, "blind", "p", rights, "*.*").await;
    let mut task = pair.task(&["shop.*"]);
    (task.source.user, task.source.password) = ("blind".to_owned(), "p".to_owned());
    assert_refused(&pair, &task, DATA, &["source", "SELECT"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_without_a_key_needs_lock_tables() {
    let pair = pair().await;
    pair.source.exec("CREATE TABLE shop.keyless (n INT)").await;
    let words = ["shop.keyless", "LOCK TABLES"];
    assert_refused(&pair, &pair.task(&["shop.*"]), DATA, &words).await;
    // Without that table the same task is welcome.
    let mut ferry = Ferry::start(&pair.task(&["shop.t"]));
    ferry.wait_streaming().await;
    assert_eq!(ferry.terminate().await.0, 0);
    ferry.assert_clean_log();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_key_of_the_configuration_is_named() {
    let pair = pair().await;
    let task = pair.task(&["shop.*"]).with("[retry]\nconection_window = \"1h\"\n");
    let words = ["conection_window", "connection_window", "task.toml"];
    assert_refused(&pair, &task, CONFIGURATION, &words).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_target_table_with_rows_is_not_touched() {
    let pair = pair().await;
    pair.target
        .exec("CREATE DATABASE shop; CREATE TABLE shop.t (id INT PRIMARY KEY, n INT); INSERT INTO shop.t VALUES (7, 7)")
        .await;
    assert_refused(&pair, &pair.task(&["shop.*"]), DATA, &["shop.t", "target"]).await;
    let rows: Vec<(i32, i32)> = pair.target.query_rows("SELECT * FROM shop.t").await;
    assert_eq!(rows, [(7, 7)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_selection_that_matches_nothing_is_refused() {
    let pair = pair().await;
    assert_refused(&pair, &pair.task(&["shup.*"]), DATA, &["objects.include"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_target_table_that_compares_or_holds_unique_otherwise_is_refused() {
    let pair = pair_with(Route::V80.source_options()).await;
    pair.source
        .exec("CREATE TABLE shop.names (id INT PRIMARY KEY, s VARCHAR(9) COLLATE utf8mb4_bin, n INT) CHARSET utf8mb4")
        .await;
    for (different, word) in [
        ("s VARCHAR(9) COLLATE utf8mb4_general_ci, n INT", "utf8mb4_general_ci"),
        ("s VARCHAR(9) COLLATE utf8mb4_bin, n INT, UNIQUE narrow (n)", "unique"),
    ] {
        pair.target
            .exec(format!(
                "DROP DATABASE IF EXISTS shop; CREATE DATABASE shop; \
                 CREATE TABLE shop.names (id INT PRIMARY KEY, {different}) CHARSET utf8mb4"
            ))
            .await;
        assert_refused(&pair, &pair.task(&["shop.names"]), DATA, &["shop.names", word]).await;
    }
}
