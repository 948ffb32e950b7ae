//! Does wrong input end with one line that says cause and remedy, with the contract's exit code, and
//! with nothing written on the target?

use super::pair::{Pair, Route};
use crate::ferry::{Ferry, PASSWORD_AT_SOURCE, PASSWORD_AT_TARGET, Task, USER};
use crate::lab::{Options, Server, Version, count, create_account, free_port, last_lines};
use mysql_async::BinlogStreamRequest;
use mysql_async::prelude::Queryable;

/// Failed precheck.
pub const DATA: &[i32] = &[65];
const CONFIGURATION: &[i32] = &[78];
/// A refused login may be found by the precheck or before it.
const EITHER: &[i32] = &[65, 78];

const TABLE: &str = "CREATE DATABASE shop; CREATE TABLE shop.t (id INT PRIMARY KEY, n INT); \
    INSERT INTO shop.t VALUES (1, 1), (2, 2)";

/// Starts a daemon on `task` and sees it refuse: with one of `codes`, and with a cause that contains
/// each of `words`, however they are cased.
pub async fn assert_refused(pair: &Pair, task: &Task, codes: &[i32], words: &[&str]) {
    let before = databases(&pair.target).await;
    if !codes.contains(&78) {
        assert_not_ready(task, words).await;
    }
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

/// `polarferry check` says the same, on a terminal of 80 columns.
async fn assert_not_ready(task: &Task, words: &[&str]) {
    let (code, page) = Ferry::check(task).await;
    println!("{}", last_lines(&page, 60));
    assert_eq!(code, 65, "{page}");
    assert!(page.lines().all(|line| line.chars().count() <= 80), "wider than a terminal:\n{page}");
    let failed: String = page.split("\n").skip_while(|line| !line.starts_with("fail")).collect::<Vec<_>>().join(" ");
    let said = failed.split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase();
    assert!(said.contains("remedy: "), "no remedy:\n{page}");
    // A name that is longer than a line is cut.
    let squeezed = said.replace(' ', "");
    for word in words {
        assert!(squeezed.contains(&word.to_lowercase().replace(' ', "")), "no {word:?} in:\n{page}");
    }
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
    // A copy alone needs none.
    let mut ferry = Ferry::start(&pair.task(&["shop.*"]).with("[migrate]\nstream = false\n"));
    assert_eq!(ferry.wait_end().await, 0, "{}", ferry.last_words());
    assert_eq!(count(&pair.target, "shop", "t").await, 2);
    ferry.assert_clean_log();
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

/// A table without a key would get each row twice, and say nothing.
#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_another_task_carries_is_refused() {
    let pair = Pair::start_with_locks(Route::V80).await;
    pair.source.exec("CREATE DATABASE shop; CREATE TABLE shop.k (n INT); CREATE TABLE shop.t (id INT PRIMARY KEY)").await;
    let mut ferry = Ferry::start(&pair.task(&["shop.k"]));
    ferry.wait_streaming().await;
    let mut other = pair.task(&["shop.*"]);
    "other".clone_into(&mut other.name);
    assert_refused(&pair, &other, DATA, &["target.tasks", "shop.k", "task voyage"]).await;
    other.include = vec!["shop.t".to_owned()];
    let mut second = Ferry::start(&other);
    second.wait_streaming().await;
    for daemon in [&mut ferry, &mut second] {
        assert_eq!(daemon.terminate().await.0, 0);
    }
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

/// What an operator grants when one word was forgotten.
#[tokio::test(flavor = "multi_thread")]
async fn each_forgotten_privilege_is_named() {
    let pair = pair().await;
    let without =
        |all: &[&'static str], one: &str| all.iter().copied().filter(|name| *name != one).collect::<Vec<_>>().join(", ");
    let source = ["SELECT", "REPLICATION SLAVE", "REPLICATION CLIENT", "SHOW VIEW"];
    for (number, privilege) in ["SELECT", "REPLICATION SLAVE", "REPLICATION CLIENT"].into_iter().enumerate() {
        let user = format!("poor{number}");
        create_account(&pair.source, &user, "p", &without(&source, privilege), "*.*").await;
        let mut task = pair.task(&["shop.*"]);
        (task.source.user, task.source.password) = (user, "p".to_owned());
        assert_refused(&pair, &task, DATA, &["source", privilege]).await;
    }
    let target = ["SELECT", "INSERT", "UPDATE", "DELETE", "CREATE", "ALTER", "INDEX", "REFERENCES", "DROP"];
    for (number, privilege) in target.into_iter().filter(|name| *name != "DROP").enumerate() {
        let user = format!("poor{number}");
        create_account(&pair.target, &user, "p", &without(&target, privilege), "*.*").await;
        let mut task = pair.task(&["shop.*"]);
        (task.target.user, task.target.password) = (user, "p".to_owned());
        assert_not_ready(&task, &["target.privileges", privilege, "on shop.*"]).await;
    }
    // The state's own database is easily forgotten.
    create_account(&pair.target, "narrow", "p", &target.join(", "), "shop.*").await;
    let mut task = pair.task(&["shop.*"]);
    (task.target.user, task.target.password) = ("narrow".to_owned(), "p".to_owned());
    assert_refused(&pair, &task, DATA, &["target.privileges", "on polarferry.*"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_stands_in_the_way_on_the_target_is_named() {
    let pair = pair().await;
    const SAME: &str = "CREATE DATABASE shop; CREATE TABLE shop.t (id INT PRIMARY KEY, n INT)";
    const GONE: &str = "DROP DATABASE shop";
    for (prepare, undo, words) in [
        (
            "SET GLOBAL super_read_only = ON".to_owned(),
            "SET GLOBAL super_read_only = OFF, read_only = OFF",
            &["target.writable", "primary endpoint"][..],
        ),
        (
            "SET GLOBAL max_allowed_packet = 1048576".to_owned(),
            "SET GLOBAL max_allowed_packet = 67108864",
            &["target.max_allowed_packet", "1048576"],
        ),
        (
            "CREATE DATABASE shop; CREATE VIEW shop.t AS SELECT 1 AS id, 2 AS n".to_owned(),
            GONE,
            &["target.views", "shop.t", "drop"],
        ),
        (
            format!("{SAME}; CREATE TRIGGER shop.x BEFORE INSERT ON shop.t FOR EACH ROW SET NEW.n = 0"),
            GONE,
            &["target.triggers", "drop them until the cutover"],
        ),
        (
            "CREATE DATABASE shop; CREATE TABLE shop.t (id INT PRIMARY KEY, n BIGINT UNSIGNED)".to_owned(),
            GONE,
            &["target.definitions", "shop.t", "column n"],
        ),
        (
            "CREATE DATABASE shop; CREATE TABLE shop.t (id INT PRIMARY KEY)".to_owned(),
            GONE,
            &["target.definitions", "shop.t", "1 columns here, 2 there"],
        ),
    ] {
        pair.target.exec(prepare).await;
        assert_refused(&pair, &pair.task(&["shop.*"]), DATA, words).await;
        pair.target.exec(undo).await;
    }

    // Triggers that the account may not see.
    let rights = "SELECT, INSERT, UPDATE, DELETE, CREATE, ALTER, INDEX, REFERENCES, DROP";
    create_account(&pair.target, "blind", "p", rights, "*.*").await;
    let mut task = pair.task(&["shop.*"]);
    (task.target.user, task.target.password) = ("blind".to_owned(), "p".to_owned());
    pair.target.exec(SAME).await;
    assert_refused(&pair, &task, DATA, &["target.triggers", "GRANT TRIGGER"]).await;
    pair.target.exec(GONE).await;

    // Definitions that the target would take for others.
    pair.source.exec("CREATE TABLE shop.stamped (id INT PRIMARY KEY, free TIMESTAMP NULL, at TIMESTAMP NOT NULL)").await;
    pair.target.exec("SET GLOBAL explicit_defaults_for_timestamp = OFF").await;
    let words = ["target.explicit_defaults_for_timestamp", "at of shop.stamped", "switch it on"];
    assert_refused(&pair, &pair.task(&["shop.*"]), DATA, &words).await;
    pair.target.exec("SET GLOBAL explicit_defaults_for_timestamp = ON").await;

    pair.source.exec("CREATE TABLE shop.unique_only (n INT NOT NULL UNIQUE)").await;
    pair.target.exec("SET GLOBAL sql_require_primary_key = ON").await;
    let words = ["target.primary_keys", "shop.unique_only", "sql_require_primary_key"];
    assert_refused(&pair, &pair.task(&["shop.*"]), DATA, &words).await;
}

/// The target's answer, since only the target knows what it takes.
#[tokio::test(flavor = "multi_thread")]
async fn a_definition_that_the_target_does_not_take_is_named() {
    let pair = Pair::start(Route::between(Version::V97, Version::V80)).await;
    pair.source
        .exec("CREATE DATABASE shop DEFAULT CHARACTER SET latin1; CREATE TABLE shop.t (s CHAR(1) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin PRIMARY KEY)")
        .await;
    let mut ferry = Ferry::start(&pair.task(&["shop.*"]));
    assert_eq!(ferry.wait_end().await, 65);
    let said = ferry.last_words();
    assert!(said.contains("definition-refused") && said.contains("shop.t") && said.contains("by hand"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_is_a_reader_or_has_such_a_replica_is_refused() {
    let pair = pair().await;
    pair.source.exec("SET GLOBAL read_only = ON").await;
    assert_refused(&pair, &pair.task(&["shop.*"]), DATA, &["source.writer", "writer endpoint"]).await;
    pair.source.exec("SET GLOBAL read_only = OFF").await;

    let mut task = pair.task(&["shop.*"]);
    let mut other = pair.source.root().await;
    other.query_drop("SET @slave_uuid = '3e11fa47-71ca-11e1-9e33-c80aa9429562'").await.expect("a session");
    let stream = other.get_binlog_stream(BinlogStreamRequest::new(task.server_id)).await.expect("a replica");
    let id = task.server_id.to_string();
    assert_refused(&pair, &task, DATA, &["source.server_id", &id, "another replica", "task.server_id"]).await;
    drop(stream);
    task.server_id = pair.source.server_id();
    assert_refused(&pair, &task, DATA, &["source.server_id", "the source's own", "task.server_id"]).await;

    // Views are no obstacle, and are said.
    pair.source.exec("CREATE VIEW shop.seen AS SELECT * FROM shop.t").await;
    let (code, page) = Ferry::check(&pair.task(&["shop.*"])).await;
    assert_eq!(code, 0, "{page}");
    assert!(page.contains("source.views") && page.contains("shop.seen"), "{page}");
}

#[tokio::test(flavor = "multi_thread")]
async fn names_in_another_case_are_refused() {
    let route = Route::V57_TO_V80;
    let pair = Pair::start_with(route, route.source_options().arg("--lower-case-table-names=1"), false).await;
    pair.source.exec(TABLE).await;
    let words = ["target.lower_case_table_names", "is 0 here, 1 on the source"];
    assert_refused(&pair, &pair.task(&["shop.*"]), DATA, &words).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_cannot_be_trusted_or_demands_tls_is_refused() {
    let pair = Pair::start(Route::V97).await;
    pair.source.exec(TABLE).await;
    let mut task = pair.task(&["shop.*"]);
    let ca = pair.source.data().join("ca.pem");
    task.source.tls = format!("{{ mode = \"verify-identity\", ca = {ca:?} }}");
    assert_refused(&pair, &task, CONFIGURATION, &["source-tls", "certificate", "tls.ca"]).await;
    assert_not_ready(&task, &["source.connection", "certificate", "tls.ca"]).await;

    pair.target.exec(format!("ALTER USER '{USER}'@'%' REQUIRE SSL")).await;
    let plain = pair.task(&["shop.*"]);
    assert_refused(&pair, &plain, CONFIGURATION, &["target-login", "1045", "TLS"]).await;
    // From here on only TLS gets in, not even root without it.
    pair.source.exec("SET GLOBAL require_secure_transport = ON").await;
    assert_refused(&pair, &plain, CONFIGURATION, &["source-tls", "require_secure_transport", "tls.mode"]).await;
    assert_not_ready(&plain, &["source.connection", "require_secure_transport", "tls.mode"]).await;
}

/// `run` keeps trying; `check` says it at once, or after the ten seconds that a server has.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_cannot_be_reached_is_named() {
    let pair = pair().await;
    // This server is too old to agree on a cipher.
    let mut task = pair.task(&["shop.*"]);
    task.target.tls = "{ mode = \"required\" }".to_owned();
    assert_refused(&pair, &task, CONFIGURATION, &["target-tls", "shares no TLS version or cipher", "tls.mode"]).await;
    let mut task = pair.task(&["shop.*"]);
    task.source.port = free_port().expect("a port");
    assert_not_ready(&task, &["source.connection", "refused", "source 127.0.0.1", "check host and port"]).await;
    // Connections to it open, and nobody ever speaks.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let mut task = pair.task(&["shop.*"]);
    task.target.port = silent.local_addr().expect("its address").port();
    assert_not_ready(&task, &["target.connection", "no answer within 10 s", "check host and port"]).await;
}

/// The source's sessions had time zones of their own, and languages, and the binary log does not say which.
#[tokio::test(flavor = "multi_thread")]
async fn columns_that_the_target_would_compute_otherwise_are_refused() {
    let pair = Pair::start(Route::V80).await;
    for (columns, why) in [
        (
            "at TIMESTAMP NULL, day DATE AS (DATE(at)) STORED",
            "the column day depends on the session's time zone, by the TIMESTAMP at",
        ),
        ("at TIMESTAMP NULL, day DATE AS (DATE(at)) VIRTUAL, KEY (day)", "the column day depends on"),
        ("at TIMESTAMP NULL, KEY by_day ((DATE(at)))", "the index by_day depends on"),
        ("at DATETIME, name VARCHAR(20) AS (DAYNAME(at)) STORED", "by DAYNAME()"),
    ] {
        pair.source
            .exec(format!(
                "DROP DATABASE IF EXISTS shop; CREATE DATABASE shop; CREATE TABLE shop.t (id INT PRIMARY KEY, {columns})"
            ))
            .await;
        assert_refused(&pair, &pair.task(&["shop.*"]), DATA, &["shop.t", why]).await;
    }
    // Computed whenever it is read, in whatever session reads it; and what is the same in every session.
    let fine = "day DATE AS (DATE(at)), alive INT AS (IF(at IS NULL, 1, NULL)) STORED, UNIQUE (id, alive)";
    pair.source
        .exec(format!(
            "DROP DATABASE shop; CREATE DATABASE shop; CREATE TABLE shop.t (id INT PRIMARY KEY, at TIMESTAMP NULL, {fine})"
        ))
        .await;
    let mut ferry = Ferry::start(&pair.task(&["shop.*"]));
    ferry.wait_streaming().await;
    assert_eq!(ferry.terminate().await.0, 0);
}
