//! The gauges: a pure function from one snapshot to Prometheus text.
//!
//! They are not kept in the registry. A gauge object has to be set by someone and reads as 0 until
//! then; a function of the snapshot has no state that could lag behind `/status` or race with a
//! second scrape.
//!
//! **An unknown value has no sample.** Zero would be a lie: "no lag" before anything was read,
//! "no drift" before anything was compared. NaN would be honest for an instant, but it poisons
//! every range that contains it: one NaN makes `predict_linear(…[15m])` and `avg_over_time(…[15m])`
//! NaN, so the lag alerts would be blind for 15 minutes after each reconnect of one second. A gap
//! does none of that, and `absent()` finds it. The `HELP` and `TYPE` lines of the family are
//! written all the same, which the text format permits, so every name can be found from the first
//! scrape on.
//!
//! Label values are our own enums; only the task's name and the version are text, one of each per
//! process, and they are escaped as the format asks.

use std::fmt::Write as _;

use super::metrics::Label;
use super::snapshot::{Side, Snapshot, TableState};
use crate::model::Phase;

struct Family {
    name: &'static str,
    help: &'static str,
    samples: Vec<Sample>,
}

struct Sample {
    /// With braces, or empty.
    labels: String,
    value: f64,
}

/// All gauge families as text, in the order of this file.
pub(super) fn render(snapshot: &Snapshot, ready: bool) -> String {
    let mut text = String::with_capacity(4096);
    for family in families(snapshot, ready) {
        write_family(&mut text, &family).expect("writing to a String does not fail");
    }
    text
}

fn families(snapshot: &Snapshot, ready: bool) -> Vec<Family> {
    let mut families = labelled(snapshot);
    families.extend(stream(snapshot));
    families.extend(ends(snapshot));
    families.extend(proof(snapshot, ready));
    families
}

/// What the task is and where it stands.
fn labelled(snapshot: &Snapshot) -> Vec<Family> {
    let phases = Phase::ALL
        .into_iter()
        .map(|phase| Sample { labels: format!("{{phase=\"{}\"}}", phase.as_str()), value: flag(phase == snapshot.phase) })
        .collect();
    let states = TableState::ALL
        .into_iter()
        .map(|state| Sample {
            labels: format!("{{state=\"{}\"}}", state.as_str()),
            value: snapshot.tables.iter().filter(|table| table.state == state).count() as f64,
        })
        .collect();
    let build = Sample {
        labels: format!("{{task=\"{}\",version=\"{}\"}}", escaped(&snapshot.task), escaped(&snapshot.version)),
        value: 1.0,
    };
    vec![
        family("build_info", "Always 1; carries the version, and the task for joins.", vec![build]),
        family("phase", "1 for the phase the task is in, else 0.", phases),
        family("copy_tables", "Tables of the task by state, whether or not they were copied by this process.", states),
        single(
            "copy_remaining_seconds",
            "Estimated time until the copy is done; absent while no rate is known.",
            snapshot.copy.eta_seconds,
        ),
        single(
            "copy_share",
            "Share of its time that the copy works: 1 at full pace, less while throttle.auto slows it down.",
            Some(snapshot.copy_opening.share),
        ),
        family(
            "failed",
            "1 for the error that the task stopped with, until the process has ended; absent while nothing is wrong.",
            snapshot.error.iter().map(|error| labelled_one("code", &error.code, 1.0)).collect(),
        ),
        family(
            "failed_timestamp_seconds",
            "When the task stopped with this error, until the process has ended; absent while nothing is wrong.",
            snapshot.error.iter().zip(snapshot.failed_at).map(|(error, at)| labelled_one("code", &error.code, at)).collect(),
        ),
        single("paused", "1 while an operator has paused the task, else 0.", Some(flag(snapshot.paused))),
        single(
            "updated_timestamp_seconds",
            "When the data path last reported; an old value means that it hangs.",
            Some(snapshot.updated_at),
        ),
    ]
}

/// How far behind the stream is.
fn stream(snapshot: &Snapshot) -> Vec<Family> {
    // A backlog is a distance to the source's position: without one, or with one of before an outage, its 0 means nothing.
    let backlog = snapshot.is_in_sight().then_some(snapshot.backlog_transactions as f64);
    vec![
        single(
            "read_lag_seconds",
            "Age of the newest change read from the source: high when the source or the network is slow; absent while unknown.",
            snapshot.read_lag_seconds,
        ),
        single(
            "apply_lag_seconds",
            "Age of the newest change committed on the target: high alone when the target is slow; absent while unknown.",
            snapshot.lag_seconds,
        ),
        single(
            "backlog_transactions",
            "Source transactions not yet committed on the target; absent while the source's position is unknown.",
            backlog,
        ),
        single(
            "backlog_bytes",
            "Binlog bytes of the source not yet committed on the target; absent while unknown.",
            snapshot.backlog_bytes.map(|bytes| bytes as f64),
        ),
        single(
            "caught_up_timestamp_seconds",
            "All that the source committed before this moment is applied; keeps its value through an outage. Absent until known.",
            snapshot.caught_up_at,
        ),
        single("checkpoint_timestamp_seconds", "When the checkpoint was last seen to move.", snapshot.checkpoint_at),
        single(
            "binlog_retention_seconds",
            "How long the source keeps its binlog; absent when unknown, and when it keeps it for good.",
            snapshot.retention_seconds,
        ),
        single(
            "binlog_retention_remaining_seconds",
            "Time until the source may purge the binlog that is needed next; absent while unknown.",
            snapshot.retention_remaining_seconds,
        ),
    ]
}

/// Whether the two ends answer.
fn ends(snapshot: &Snapshot) -> Vec<Family> {
    let retry = snapshot.retries.last.as_ref();
    let ends = [(Side::Source, &snapshot.source.server_version), (Side::Target, &snapshot.target.server_version)];
    let up = ends.into_iter().filter_map(|(side, version)| {
        let is_down = retry.is_some_and(|retry| retry.side == side);
        // Its version is known from the first answer on.
        (is_down || !version.is_empty()).then(|| labelled_one(Side::NAME, side.as_str(), flag(!is_down)))
    });
    vec![
        family(
            "endpoint_up",
            "0 while this end is tried again, 1 when it answered last; absent before the first answer.",
            up.collect(),
        ),
        single(
            "retry_window_end_timestamp_seconds",
            "When the retry that is going on gives up; absent when there is none.",
            retry.map(|retry| retry.window_ends_at),
        ),
    ]
}

/// What is known about sameness, and whether it is time.
fn proof(snapshot: &Snapshot, ready: bool) -> Vec<Family> {
    // Drift that was met is known, verified or not; "none" is known only after looking.
    let looked = snapshot.verified_at.is_some() || snapshot.drift > 0;
    vec![
        single(
            "verify_drift_rows",
            "Rows known to differ between source and target; absent until a verification has finished or drift was met.",
            looked.then_some(snapshot.drift as f64),
        ),
        single("cutover_ready", "1 when the verdict of /cutover is GO, else 0; unknown is not GO.", Some(flag(ready))),
    ]
}

fn family(name: &'static str, help: &'static str, samples: Vec<Sample>) -> Family {
    Family { name, help, samples }
}

fn labelled_one(label: &str, text: &str, value: f64) -> Sample {
    Sample { labels: format!("{{{label}=\"{}\"}}", escaped(text)), value }
}

fn single(name: &'static str, help: &'static str, value: Option<f64>) -> Family {
    let sample = value.map(|value| Sample { labels: String::new(), value });
    family(name, help, sample.into_iter().collect())
}

fn flag(is: bool) -> f64 {
    f64::from(u8::from(is))
}

fn write_family(text: &mut String, family: &Family) -> std::fmt::Result {
    let name = family.name;
    writeln!(text, "# HELP polarferry_{name} {}", family.help)?;
    writeln!(text, "# TYPE polarferry_{name} gauge")?;
    for sample in &family.samples {
        // A stage that divided by nothing has learnt nothing: such a value is unknown too.
        if sample.value.is_finite() {
            writeln!(text, "polarferry_{name}{} {}", sample.labels, sample.value)?;
        }
    }
    Ok(())
}

/// A label value as the text format wants it.
fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observe::snapshot::{Retry, RetryClass, TableProgress};

    fn has(text: &str, line: &str) -> bool {
        text.lines().any(|found| found == line)
    }

    #[test]
    fn unknown_values_have_no_sample_but_keep_their_name() {
        let text = render(&Snapshot::default(), false);
        for name in [
            "read_lag_seconds",
            "apply_lag_seconds",
            "backlog_transactions",
            "backlog_bytes",
            "binlog_retention_remaining_seconds",
            "verify_drift_rows",
            "copy_remaining_seconds",
            "caught_up_timestamp_seconds",
            "checkpoint_timestamp_seconds",
            "binlog_retention_seconds",
            "retry_window_end_timestamp_seconds",
        ] {
            assert!(text.contains(&format!("# TYPE polarferry_{name} gauge\n")));
            assert!(!text.contains(&format!("\npolarferry_{name} ")), "{name} has a sample");
        }
        let broken = Snapshot { lag_seconds: Some(f64::NAN), ..Snapshot::default() };
        assert!(!render(&broken, false).contains("NaN"));
    }

    #[test]
    fn an_end_that_is_tried_again_is_down_and_hides_the_backlog() {
        let mut snapshot = Snapshot::default();
        assert!(!render(&snapshot, false).contains("polarferry_endpoint_up{"));
        snapshot.source.server_version = "8.0".to_owned();
        snapshot.source.position.file = "b.000001".to_owned();
        assert!(has(&render(&snapshot, false), "polarferry_backlog_transactions 0"));
        snapshot.retries.last = Some(Retry {
            side: Side::Target,
            class: RetryClass::Connection,
            cause: "refused".to_owned(),
            next_attempt_at: 1.0,
            window_ends_at: 2.5,
        });
        let text = render(&snapshot, false);
        for line in [
            r#"polarferry_endpoint_up{side="source"} 1"#,
            r#"polarferry_endpoint_up{side="target"} 0"#,
            "polarferry_retry_window_end_timestamp_seconds 2.5",
        ] {
            assert!(has(&text, line), "{line} is missing in\n{text}");
        }
        assert!(!text.contains("\npolarferry_backlog_transactions "));
    }

    #[test]
    fn gauges_say_what_the_snapshot_says() {
        let mut snapshot = Snapshot {
            task: "or\"ders".to_owned(),
            version: "1.2.3".to_owned(),
            phase: Phase::Stream,
            lag_seconds: Some(0.25),
            backlog_transactions: 12,
            verified_at: Some(1.0),
            tables: vec![TableProgress { state: TableState::Copying, ..TableProgress::default() }],
            ..Snapshot::default()
        };
        snapshot.source.position.file = "mysql-bin.000001".to_owned();
        let text = render(&snapshot, true);
        for line in [
            r#"polarferry_build_info{task="or\"ders",version="1.2.3"} 1"#,
            r#"polarferry_phase{phase="stream"} 1"#,
            r#"polarferry_phase{phase="copy"} 0"#,
            r#"polarferry_copy_tables{state="copying"} 1"#,
            r#"polarferry_copy_tables{state="pending"} 0"#,
            "polarferry_apply_lag_seconds 0.25",
            "polarferry_backlog_transactions 12",
            "polarferry_verify_drift_rows 0",
            "polarferry_cutover_ready 1",
        ] {
            assert!(has(&text, line), "{line} is missing in\n{text}");
        }
    }
}
