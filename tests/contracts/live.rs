//! A real migration, scraped by a real Prometheus, asked every question of the dashboards.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use mysql_async::prelude::Queryable;
use serde_json::Value;
use tempfile::TempDir;

use super::boards::{BOARDS, board, list, queries, text};
use super::service::http_get;
use crate::ferry::{Ferry, PASSWORD_AT_SOURCE, PASSWORD_AT_TARGET, PATIENCE, Task, USER};
use crate::lab::{Options, POLL, PROMETHEUS, Process, Server, Version, free_port, source_account, target_account};

/// Panels that show nothing in a run in which nothing fails and nobody verifies.
const MAY_BE_EMPTY: [&str; 3] = ["Failure", "Gives up in", "Rows that differ"];

/// A copy of some seconds, so that it is seen.
const SLOW_COPY: &str = "[copy]\nchunk_rows = 500\n[throttle]\ncopy_rows_per_second = 800\n";

/// Scrapes that a rate over `RATE` needs on a busy machine.
const SCRAPES: f64 = 8.0;
const RATE: &str = "10s";

struct Prometheus {
    // Before its directory: fields are dropped in this order.
    _process: Process,
    _directory: TempDir,
    address: String,
}

impl Prometheus {
    fn start(target: &str) -> Self {
        let directory = tempfile::Builder::new().prefix("prometheus-").tempdir().expect("a directory");
        let rules = Path::new(env!("CARGO_MANIFEST_DIR")).join("grafana/alerts/polarferry.rules.yml");
        let text = format!(
            "global: {{ scrape_interval: 500ms, evaluation_interval: 1s }}\nrule_files: [{rules:?}]\n\
             scrape_configs: [{{ job_name: polarferry, static_configs: [{{ targets: [{target:?}] }}] }}]\n"
        );
        let config = directory.path().join("prometheus.yml");
        fs::write(&config, text).expect("a configuration");
        let address = format!("127.0.0.1:{}", free_port().expect("a free port"));
        let log = fs::File::create(directory.path().join("log")).expect("a log");
        let mut command = PROMETHEUS.command();
        command.arg(format!("--config.file={}", config.display()));
        command.arg(format!("--storage.tsdb.path={}", directory.path().join("data").display()));
        command.arg(format!("--web.listen-address={address}")).stdout(log.try_clone().expect("a log")).stderr(log);
        let process = Process::start(&mut command, Some(directory.path())).unwrap_or_else(|failure| panic!("{failure}"));
        Self { _process: process, _directory: directory, address }
    }

    fn api(&self, path: &str) -> Option<Value> {
        let (_, body) = http_get(&self.address, &format!("/api/v1/{path}")).ok()?;
        serde_json::from_str(&body).ok()
    }

    /// The series of a query from `since` until now.
    fn range(&self, expr: &str, since: SystemTime) -> Value {
        let unix = |at: SystemTime| at.duration_since(UNIX_EPOCH).expect("after 1970").as_secs_f64();
        let (start, end) = (unix(since), unix(SystemTime::now()));
        let path = format!("query_range?query={}&start={start}&end={end}&step=0.2", encoded(expr));
        self.api(&path).unwrap_or_else(|| panic!("no answer to {expr}"))
    }

    /// The newest value of a query that has one series.
    fn newest(&self, expr: &str) -> Option<f64> {
        let answer = self.api(&format!("query?query={}", encoded(expr)))?;
        answer["data"]["result"][0]["value"][1].as_str()?.parse().ok()
    }
}

fn encoded(expr: &str) -> String {
    expr.bytes()
        .map(|byte| if byte.is_ascii_alphanumeric() { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect()
}

/// As Grafana would fill it in, with everything selected.
fn filled(expr: &str) -> String {
    let filled = expr.replace("$__rate_interval", RATE).replace("$job", ".+").replace("$instance", ".+");
    assert!(!filled.contains('$'), "{filled}");
    filled
}

fn has_samples(answer: &Value) -> bool {
    let finite = |pair: &Value| pair[1].as_str().and_then(|value| value.parse::<f64>().ok()).is_some_and(f64::is_finite);
    list(&answer["data"], "result").iter().any(|series| list(series, "values").iter().any(finite))
}

async fn wait(what: &str, condition: impl Fn() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < deadline, "still waiting for: {what}");
        tokio::time::sleep(POLL).await;
    }
}

async fn pair() -> (Server, Server) {
    let options = Options::default();
    let (source, target) = tokio::join!(Server::start(Version::V80, &options), Server::start(Version::V80, &options));
    source_account(&source, USER, PASSWORD_AT_SOURCE, false).await;
    target_account(&target, USER, PASSWORD_AT_TARGET).await;
    source.exec("CREATE DATABASE shop; CREATE TABLE shop.t (id INT PRIMARY KEY AUTO_INCREMENT, n INT)").await;
    let rows = vec!["(1)"; 1000].join(",");
    for _ in 0..8 {
        source.exec(&format!("INSERT INTO shop.t (n) VALUES {rows}")).await;
    }
    source.exec("ANALYZE TABLE shop.t").await;
    (source, target)
}

#[tokio::test(flavor = "multi_thread")]
async fn every_panel_of_the_dashboards_shows_a_real_run() {
    let began = SystemTime::now() - Duration::from_secs(1);
    let (source, target) = pair().await;
    let mut ferry = Ferry::start(&Task::new(&source, &target, &["shop.*"]).with(SLOW_COPY));
    let prometheus = Prometheus::start(ferry.address());
    let mut root = source.root().await;
    let writer = tokio::spawn(async move {
        loop {
            root.query_drop("INSERT INTO shop.t (n) VALUES (2); UPDATE shop.t SET n = n + 1 WHERE id = 1")
                .await
                .expect("a write");
        }
    });
    ferry.wait_streaming().await;
    let streamed = |prometheus: &Prometheus| prometheus.newest("sum_over_time((polarferry_phase{phase=\"stream\"})[1m:500ms])");
    wait("scrapes of the stream", || streamed(&prometheus) >= Some(SCRAPES)).await;
    assert_eq!(ferry.terminate().await.0, 0);
    ferry.restart();
    ferry.wait_streaming().await;
    let started_again = "changes(process_start_time_seconds[1m] offset 1s)";
    wait("scrapes after a restart", || prometheus.newest(started_again) >= Some(1.0)).await;
    writer.abort();

    let mut silent = Vec::new();
    for path in BOARDS {
        for (title, expr) in queries(&board(path)) {
            let answer = prometheus.range(&filled(&expr), began);
            assert_eq!(answer["status"], "success", "{path}, {title}: {answer}");
            if !has_samples(&answer) && !MAY_BE_EMPTY.contains(&title.as_str()) {
                silent.push(format!("{path}, {title}: {expr}"));
            }
        }
    }
    assert!(silent.is_empty(), "show nothing of a real run:\n{}", silent.join("\n"));

    let rules = || {
        let answer = prometheus.api("rules").unwrap_or_default();
        let groups = list(&answer["data"], "groups").iter();
        groups.flat_map(|group| list(group, "rules").to_vec()).collect::<Vec<Value>>()
    };
    wait("every rule is evaluated", || {
        let rules = rules();
        rules.len() > 20 && rules.iter().all(|rule| text(rule, "health") != "unknown")
    })
    .await;
    for rule in rules() {
        assert_eq!(rule["health"], "ok", "{rule}");
        assert_ne!(rule["state"], "firing", "nothing is wrong, and yet: {rule}");
    }
    assert_eq!(ferry.terminate().await.0, 0);
    ferry.assert_clean_log();
}
