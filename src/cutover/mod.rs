//! The verdict: may the application move now? Evidence in, verdict out; pure.
//!
//! Unknown is NO. Each gate is one line of evidence that an operator can check by hand.

use std::time::Duration;

use crate::model::phase::Phase;
use crate::observe::snapshot::{Position, Snapshot, TableState, unix_now};
use crate::observe::verdict::{Check, Verdict};

/// Above this, a switch would make the application wait noticeably.
const LAG_SECONDS: f64 = 5.0;

/// A report that is older than this is not of now. The data path reports once a second.
const FRESH_SECONDS: f64 = 10.0;

/// With less of the binlog left than this, a switch that has to be put off may find it gone.
const RETENTION_SECONDS: f64 = 1800.0;

/// Weighs the evidence of a snapshot, as of now.
pub fn verdict(snapshot: &Snapshot) -> Verdict {
    judge(snapshot, unix_now())
}

fn judge(snapshot: &Snapshot, now: f64) -> Verdict {
    let checks = task(snapshot, now).into_iter().chain(stream(snapshot)).chain(sameness(snapshot)).collect();
    Verdict::of(checks)
        .note(
            "fallback",
            "none: this version has no task in reverse. What the application writes on the target stays there alone",
        )
        .note(
            "objects",
            "views, triggers, routines, events and accounts are not carried: create them before the application moves",
        )
}

/// Whether anything of it is true now, and whether the task runs as it should.
fn task(snapshot: &Snapshot, now: f64) -> Vec<Check> {
    let copied = snapshot.tables.iter().filter(|table| table.state == TableState::Streaming).count();
    let age = (now - snapshot.updated_at).max(0.0);
    let retry = snapshot.retries.last.as_ref();
    let error = snapshot.error.as_ref();
    vec![
        Check::new("fresh", age <= FRESH_SECONDS, format!("the data path has reported {age:.0} s ago")),
        Check::new("phase", snapshot.phase == Phase::Stream, format!("the task is in phase {}", snapshot.phase.as_str())),
        Check::new(
            "copy",
            !snapshot.tables.is_empty() && copied == snapshot.tables.len(),
            format!("{copied} of {} tables are copied and past their overlap", snapshot.tables.len()),
        ),
        Check::new("retries", retry.is_none(), retry.map_or_else(|| "none open".to_owned(), |retry| retry.cause.clone())),
        Check::new("error", error.is_none(), error.map_or_else(|| "none".to_owned(), |error| error.message.clone())),
        Check::new("not paused", !snapshot.paused, if snapshot.paused { "paused" } else { "running" }),
    ]
}

/// Whether all is applied that the source has.
fn stream(snapshot: &Snapshot) -> Vec<Check> {
    let reached = snapshot.applied.file == snapshot.source.position.file && snapshot.applied.pos >= snapshot.source.position.pos;
    let known = snapshot.is_in_sight();
    let place = |at: &Position| if at.is_known() { format!("{}:{}", at.file, at.pos) } else { "unknown".to_owned() };
    let seconds = |lag: Option<f64>| lag.map_or_else(|| "unknown".to_owned(), |lag| format!("{lag:.1} s"));
    let within = |lag: Option<f64>| lag.is_some_and(|lag| lag <= LAG_SECONDS);
    let left = snapshot.retention_remaining_seconds;
    vec![
        Check::new("read lag", within(snapshot.read_lag_seconds), seconds(snapshot.read_lag_seconds)),
        Check::new("apply lag", within(snapshot.lag_seconds), seconds(snapshot.lag_seconds)),
        Check::new(
            "position",
            known && reached,
            format!("applied {}, source {}", place(&snapshot.applied), place(&snapshot.source.position)),
        ),
        Check::new(
            "backlog",
            known && snapshot.backlog_transactions == 0,
            if known { format!("{} transactions wait", snapshot.backlog_transactions) } else { "unknown".to_owned() },
        ),
        // Unknown is no obstacle here: at the position above nothing is needed any more.
        Check::new(
            "retention",
            left.is_none_or(|left| left >= RETENTION_SECONDS),
            left.map_or_else(
                || "the source keeps its binlog for good, or does not say for how long".to_owned(),
                |left| {
                    let minutes = Duration::from_secs(left as u64 / 60 * 60);
                    format!("the source keeps what is needed next for {}", humantime::format_duration(minutes))
                },
            ),
        ),
    ]
}

/// Whether both ends hold the same.
fn sameness(snapshot: &Snapshot) -> Vec<Check> {
    let met = snapshot.drift;
    vec![
        Check::new("drift", met == 0, if met == 0 { "none met".to_owned() } else { format!("{met} rows") }),
        Check::new(
            "verification",
            snapshot.verified_at.is_some(),
            "not verified: this version does not compare rows by itself; compare both ends while writes are stopped",
        ),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_known_is_no() {
        let verdict = verdict(&Snapshot::default());
        assert!(!verdict.is_go());
        for name in ["read lag", "apply lag", "position", "backlog"] {
            let check = verdict.checks().iter().find(|check| check.name == name).expect(name);
            assert!(!check.ok && check.detail.contains("unknown"), "{check:?}");
        }
    }

    #[test]
    fn without_verification_it_stays_no() {
        let mut snapshot =
            Snapshot { phase: Phase::Stream, lag_seconds: Some(0.0), read_lag_seconds: Some(0.0), ..Snapshot::default() };
        snapshot.tables.push(crate::observe::snapshot::TableProgress { state: TableState::Streaming, ..Default::default() });
        for position in [&mut snapshot.applied, &mut snapshot.source.position] {
            position.file = "b.000001".into();
            position.pos = 9;
        }
        let failed = |snapshot: &Snapshot| -> Vec<String> {
            judge(snapshot, 3.0).checks().iter().filter(|check| !check.ok).map(|check| check.name.clone()).collect()
        };
        assert_eq!(failed(&snapshot), ["verification"]);
        snapshot.verified_at = Some(1.0);
        assert!(judge(&snapshot, 3.0).is_go());
        assert!(!judge(&snapshot, 60.0).is_go(), "of a minute ago");
        snapshot.retention_remaining_seconds = Some(60.0);
        assert_eq!(failed(&snapshot), ["retention"]);
        snapshot.retention_remaining_seconds = None;
        snapshot.source.position.pos = 10;
        assert_eq!(failed(&snapshot), ["position"]);
    }
}
