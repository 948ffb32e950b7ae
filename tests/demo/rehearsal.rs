//! The cutover, rehearsed: writes have stopped; drain, ask for the verdict, stop the daemon.

use std::time::{Duration, Instant};

use mysql_async::Row;
use serde_json::Value;
use tokio::time::sleep;

use crate::daemon::Daemon;
use crate::http;
use crate::lab::{Failure, Server, Version};
use crate::screen::wrapped;
use crate::status::{Position, Status};

const POLL: Duration = Duration::from_millis(100);

/// A backlog after a writer that was too fast for this machine may take a while.
const DRAIN_PATIENCE: Duration = Duration::from_secs(300);

/// The gates are judged from a snapshot, which follows what is applied within a second or two.
const VERDICT_PATIENCE: Duration = Duration::from_secs(3);

pub struct Rehearsal {
    pub drained: Duration,
    pub verdict: Verdict,
    pub last: Status,
    pub stopped: Duration,
}

/// The answer of `/cutover`.
pub struct Verdict {
    go: bool,
    checks: Vec<Check>,
}

struct Check {
    name: String,
    ok: bool,
    detail: String,
}

/// The source must be at rest.
pub async fn rehearse(daemon: &mut Daemon, source: &Server) -> Result<Rehearsal, Failure> {
    let fence = position(source).await?;
    let began = Instant::now();
    let last = drain(daemon, &fence).await?;
    let drained = began.elapsed();
    let verdict = verdict(daemon).await?;
    let stopped = daemon.stop().await?;
    Ok(Rehearsal { drained, verdict, last, stopped })
}

/// The end of the source's binlog.
async fn position(source: &Server) -> Result<Position, Failure> {
    let ask = match source.version() {
        Version::V97 => "SHOW BINARY LOG STATUS",
        Version::V80 | Version::V57 => "SHOW MASTER STATUS",
    };
    let rows: Vec<Row> = source.query_rows(ask).await;
    rows.first()
        .and_then(|row| Position::new(&row.get::<String, _>(0)?, row.get(1)?))
        .ok_or_else(|| Failure::new("the source does not tell its binlog position"))
}

/// Waits until everything up to `fence` is applied.
async fn drain(daemon: &mut Daemon, fence: &Position) -> Result<Status, Failure> {
    let deadline = Instant::now() + DRAIN_PATIENCE;
    loop {
        if let Some(status) = daemon.status().await?
            && status.applied >= *fence
        {
            return Ok(status);
        }
        if Instant::now() > deadline {
            return Err(daemon.failure(&format!("the source's last position is not applied after {DRAIN_PATIENCE:?}")));
        }
        sleep(POLL).await;
    }
}

/// The first verdict that is GO, or else the last one in time.
async fn verdict(daemon: &mut Daemon) -> Result<Verdict, Failure> {
    let deadline = Instant::now() + VERDICT_PATIENCE;
    loop {
        daemon.check()?;
        let answer = http::get(daemon.port(), "/cutover").await?.ok_or_else(|| Failure::new("the daemon no longer listens"))?;
        let value: Value =
            serde_json::from_str(&answer.body).map_err(|error| Failure::new(format!("/cutover is no JSON: {error}")))?;
        let go = answer.status == 200;
        if go || Instant::now() > deadline {
            let checks = value["checks"].as_array().map_or(&[][..], Vec::as_slice);
            let checks = checks.iter().map(Check::read).collect();
            return Ok(Verdict { go, checks });
        }
        sleep(POLL).await;
    }
}

impl Check {
    fn read(value: &Value) -> Self {
        let text = |key: &str| value[key].as_str().unwrap_or_default().to_owned();
        Self { name: text("name"), ok: value["ok"].as_bool().unwrap_or(false), detail: text("detail") }
    }
}

impl Verdict {
    /// Each gate with its evidence.
    pub fn print(&self) {
        println!("cutover rehearsal: {}", self.in_short());
        for check in &self.checks {
            let sign = if check.ok { "ok" } else { "no" };
            let first = format!("  {sign}  {:<12} ", check.name);
            println!("{}", wrapped(&first, &check.detail));
        }
    }

    /// `GO`, or the gates that say no.
    pub fn in_short(&self) -> String {
        if self.go {
            return "GO".to_owned();
        }
        let closed: Vec<&str> = self.checks.iter().filter(|check| !check.ok).map(|check| check.name.as_str()).collect();
        format!("NO-GO by {}", closed.join(", "))
    }
}
