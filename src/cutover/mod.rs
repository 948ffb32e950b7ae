//! The verdict: may the application move now? Evidence in, verdict out; pure.
//!
//! Unknown is NO. Each gate is one line of evidence that an operator can check by hand.

use crate::model::phase::Phase;
use crate::observe::snapshot::{Position, Snapshot, TableState};
use crate::observe::verdict::{Check, Verdict};

/// Above this, a switch would make the application wait noticeably.
const LAG_SECONDS: f64 = 5.0;

/// Weighs the evidence of a snapshot.
pub fn verdict(snapshot: &Snapshot) -> Verdict {
    let gate = |name: &str, ok: bool, detail: String| Check::new(name, ok, detail);
    let copied = snapshot.tables.iter().filter(|table| table.state == TableState::Streaming).count();
    let reached = snapshot.applied.file == snapshot.source.position.file && snapshot.applied.pos >= snapshot.source.position.pos;
    let known = snapshot.is_in_sight();
    let place = |at: &Position| if at.is_known() { format!("{}:{}", at.file, at.pos) } else { "unknown".to_owned() };
    let seconds = |lag: Option<f64>| lag.map_or_else(|| "unknown".to_owned(), |lag| format!("{lag:.1} s"));
    let within = |lag: Option<f64>| lag.is_some_and(|lag| lag <= LAG_SECONDS);
    Verdict::of(vec![
        gate("phase", snapshot.phase == Phase::Stream, format!("the task is in phase {}", snapshot.phase.as_str())),
        gate(
            "copy",
            !snapshot.tables.is_empty() && copied == snapshot.tables.len(),
            format!("{copied} of {} tables are copied and past their overlap", snapshot.tables.len()),
        ),
        gate("read lag", within(snapshot.read_lag_seconds), seconds(snapshot.read_lag_seconds)),
        gate("apply lag", within(snapshot.lag_seconds), seconds(snapshot.lag_seconds)),
        gate(
            "position",
            known && reached,
            format!("applied {}, source {}", place(&snapshot.applied), place(&snapshot.source.position)),
        ),
        gate(
            "backlog",
            known && snapshot.backlog_transactions == 0,
            if known { format!("{} transactions wait", snapshot.backlog_transactions) } else { "unknown".to_owned() },
        ),
        gate(
            "retries",
            snapshot.retries.last.is_none(),
            match &snapshot.retries.last {
                None => "none open".to_owned(),
                Some(retry) => retry.cause.clone(),
            },
        ),
        gate(
            "error",
            snapshot.error.is_none(),
            match &snapshot.error {
                None => "none".to_owned(),
                Some(error) => error.message.clone(),
            },
        ),
        gate("not paused", !snapshot.paused, if snapshot.paused { "paused" } else { "running" }.to_owned()),
        gate(
            "drift",
            snapshot.drift == 0,
            if snapshot.drift == 0 { "none met".to_owned() } else { format!("{} rows", snapshot.drift) },
        ),
        gate(
            "verification",
            snapshot.verified_at.is_some(),
            "not verified: this version does not compare rows by itself; compare both ends while writes are stopped".to_owned(),
        ),
    ])
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
            verdict(snapshot).checks().iter().filter(|check| !check.ok).map(|check| check.name.clone()).collect()
        };
        assert_eq!(failed(&snapshot), ["verification"]);
        snapshot.verified_at = Some(1.0);
        assert!(verdict(&snapshot).is_go());
        snapshot.source.position.pos = 10;
        assert_eq!(failed(&snapshot), ["position"]);
    }
}
