//! Whoever looks sees the same: `/status`, `/metrics`, the command line as text and as JSON, and the mirror in the state directory,
//! at the same moment of a real run that is behind.

use std::collections::BTreeMap;
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::service::http_get;
use crate::ferry::{Ferry, PASSWORD_AT_SOURCE, PASSWORD_AT_TARGET, PATIENCE, Task, USER};
use crate::lab::{Options, POLL, Server, Version, source_account, target_account};

const TOKEN: &str = "t0ken";

fn polarferry(ferry: &Ferry, arguments: &[&str]) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_polarferry"));
    command.args(arguments).args(["--url", &format!("http://{}", ferry.address())]).env("POLARFERRY_TOKEN", TOKEN);
    super::program::succeed(&mut command)
}

fn samples(text: &str) -> BTreeMap<&str, f64> {
    let series = text.lines().filter(|line| line.starts_with("polarferry_")).filter_map(|line| line.rsplit_once(' '));
    series.filter_map(|(name, value)| Some((name, value.parse().ok()?))).collect()
}

/// All answers between two equal ones of `/status`: so they are of one moment.
async fn moment(ferry: &Ferry) -> (Value, String, String, Value) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let before = ferry.status().await;
        let (_, metrics) = http_get(ferry.address(), "/metrics").expect("an answer");
        let page = polarferry(ferry, &["status"]);
        let json: Value = serde_json::from_str(&polarferry(ferry, &["status", "--json"])).expect("JSON");
        if ferry.status().await == before {
            return (before, metrics, page, json);
        }
        assert!(Instant::now() < deadline, "there is no quiet moment");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn page_metrics_and_command_line_show_the_same_numbers_at_the_same_moment() {
    let options = Options::relaxed();
    let (source, target) = tokio::join!(Server::start(Version::V80, &options), Server::start(Version::V80, &options));
    source_account(&source, USER, PASSWORD_AT_SOURCE, false).await;
    target_account(&target, USER, PASSWORD_AT_TARGET).await;
    source.exec("CREATE DATABASE shop; CREATE TABLE shop.t (id INT PRIMARY KEY); INSERT INTO shop.t VALUES (1), (2), (3)").await;
    let token = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(token.path(), TOKEN).expect("a token");
    let mut ferry = Ferry::start(&Task::new(&source, &target, &["shop.*"]).with(&format!("token_file = {:?}\n", token.path())));
    ferry.wait_streaming().await;
    polarferry(&ferry, &["pause"]);
    ferry.wait_until("paused", |status| status["paused"] == true).await;
    for id in 10..15 {
        source.exec(format!("INSERT INTO shop.t VALUES ({id})")).await;
    }
    let behind = |status: &Value| status["backlog_transactions"] == 5 && status["lag_seconds"].as_f64() > Some(1.0);
    let deadline = Instant::now() + PATIENCE;
    while !behind(&ferry.status().await) {
        assert!(Instant::now() < deadline, "it does not fall behind: {}", ferry.status().await);
        tokio::time::sleep(POLL).await;
    }

    let (status, metrics, page, json) = moment(&ferry).await;
    assert_eq!(json, status);
    let samples = samples(&metrics);
    for (series, pointer) in [
        ("polarferry_apply_lag_seconds", "/lag_seconds"),
        ("polarferry_read_lag_seconds", "/read_lag_seconds"),
        ("polarferry_backlog_transactions", "/backlog_transactions"),
        ("polarferry_backlog_bytes", "/backlog_bytes"),
        ("polarferry_caught_up_timestamp_seconds", "/caught_up_at"),
        ("polarferry_updated_timestamp_seconds", "/updated_at"),
        ("polarferry_copy_rows_total", "/copy/rows"),
        ("polarferry_copy_bytes_total", "/copy/bytes"),
        ("polarferry_applied_transactions_total", "/stream/transactions"),
        ("polarferry_batches_total", "/stream/batches"),
        ("polarferry_copy_share", "/copy_opening/share"),
    ] {
        let shown = status.pointer(pointer).and_then(Value::as_f64);
        assert_eq!(samples.get(series).copied(), shown, "{series} and {pointer}");
    }
    assert_eq!(samples["polarferry_copy_tables{state=\"streaming\"}"], 1.0);
    assert_eq!((samples["polarferry_phase{phase=\"stream\"}"], samples["polarferry_paused"]), (1.0, 1.0));
    let lag = Duration::from_secs_f64(status["lag_seconds"].as_f64().expect("a lag"));
    assert!(lag < Duration::from_secs(10), "the text below has one digit up to here");
    for line in [
        "phase    stream, paused by an operator\n",
        "backlog  5 transactions\n",
        &format!("lag      {:.1}s\n", lag.as_secs_f64()),
    ] {
        assert!(page.contains(line), "{line}\n{page}");
    }
    polarferry(&ferry, &["resume"]);
    ferry.wait_applied(&source).await;
    assert_eq!(ferry.terminate().await.0, 0);
    ferry.assert_clean_log();
}
