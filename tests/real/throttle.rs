//! Does the copy make way for the application, does it say so, and does an operator's word change it at once?

use std::process::Command;
use std::time::Instant;

use mysql_async::prelude::Queryable;

use super::pair::{Pair, Route};
use super::rows::assert_equal;
use crate::ferry::{Ferry, PATIENCE};
use crate::lab::POLL;

/// So small that the copy takes a while, and so few threads that a handful of sleeping statements is many.
const SECTIONS: &str = "[copy]\nconnections = 2\nchunk_rows = 20\nchunk_target = \"50ms\"\n\
    [throttle]\ncopy_rows_per_second = 400\nauto = true\nauto_threads_running = 4\n";

fn share(status: &serde_json::Value) -> f64 {
    status["copy_opening"]["share"].as_f64().expect("a share")
}

/// A series of `/metrics`.
async fn sample(ferry: &Ferry, series: &str) -> f64 {
    let text = ferry.metrics().await.expect("an answer");
    let value = text.lines().find_map(|line| line.strip_prefix(series)?.trim().parse().ok());
    value.unwrap_or_else(|| panic!("{series} is not exported"))
}

#[tokio::test(flavor = "multi_thread")]
async fn the_copy_makes_way_while_the_source_is_busy_and_says_why() {
    let pair = Pair::start(Route::V80).await;
    let rows: Vec<String> = (0..6000).map(|id| format!("({id})")).collect();
    pair.source
        .exec(format!(
            "CREATE DATABASE shop; CREATE TABLE shop.t (id INT PRIMARY KEY); INSERT INTO shop.t VALUES {}",
            rows.join(",")
        ))
        .await;
    let token = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(token.path(), "t0ken").expect("a token");
    let sections = format!("token_file = {:?}\n{SECTIONS}", token.path());
    let mut ferry = Ferry::start(&pair.task(&["shop.*"]).with(&sections));
    ferry.wait_until("the copy", |status| status["phase"] == "copy" && share(status) == 1.0).await;

    let mut busy = Vec::new();
    for _ in 0..6 {
        let mut conn = pair.source.root().await;
        busy.push(tokio::spawn(async move { conn.query_drop("SELECT SLEEP(600)").await }));
    }
    let slowed = ferry.wait_until("it makes way", |status| share(status) < 0.1).await;
    assert_eq!((&slowed["phase"], &slowed["copy_opening"]["reason"]), (&"copy".into(), &"threads".into()));
    let said = "the source runs 6 statements of others at once (auto_threads_running is 4)";
    assert!(slowed["events"].to_string().contains("the copy makes way"), "{said}: {slowed}");
    assert!(sample(&ferry, "polarferry_copy_share").await < 0.1);
    let waited = r#"polarferry_throttled_seconds_total{phase="copy",reason="threads"}"#;
    let deadline = Instant::now() + PATIENCE;
    while sample(&ferry, waited).await <= 0.0 {
        assert!(Instant::now() < deadline, "no waiting is counted");
        tokio::time::sleep(POLL).await;
    }

    // The source is quiet again: it opens by steps.
    pair.source.exec("SELECT 1").await;
    let sleeping: Vec<u64> =
        pair.source.query_rows("SELECT ID FROM information_schema.PROCESSLIST WHERE INFO = 'SELECT SLEEP(600)'").await;
    for id in sleeping {
        pair.source.exec(format!("KILL {id}")).await;
    }
    ferry.wait_until("full pace", |status| share(status) == 1.0).await;

    // By command, at once.
    let mut command = Command::new(env!("CARGO_BIN_EXE_polarferry"));
    command.args(["throttle", "--auto", "false", "--copy-rows-per-second", "0", "--url", &format!("http://{}", ferry.address())]);
    command.arg("--token-file").arg(token.path());
    let output = command.output().expect("it runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let changed = ferry
        .wait_until("other limits", |status| {
            status["throttle"]["copy_rows_per_second"] == 0 && status["throttle"]["auto"] == false
        })
        .await;
    assert_eq!(changed["throttle"]["auto_threads_running"], 4, "what is not named stays");
    ferry.wait_streaming().await;
    assert_equal(&pair, "shop", &["t"]).await;
    assert_eq!(ferry.terminate().await.0, 0);
    ferry.assert_clean_log();
}
