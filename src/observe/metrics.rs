//! What this process has counted: one struct on one registry, passed down to the stages.
//!
//! Counters and histograms are owned here, because only the stage that does a thing can count it.
//! Gauges are not: they are rendered from the snapshot at scrape time (`gauges.rs`), so `/status`
//! and `/metrics` agree. [`Metrics::render`] joins the two.
//!
//! Rules that the names obey, and tests hold:
//!
//! 1. **Labels are closed sets.** Each label is an enum, and [`Closed`] is the only way to a child,
//!    so no text from a database can become a label value and no series is unbounded.
//! 2. **Every child exists from the start, at 0.** `increase()` and `rate()` need a first sample; a
//!    series that is born at 1 loses its first, often its only, increment.
//! 3. Base units, and `_total` on counters. Counters restart at 0 with the process, which `rate()`
//!    expects; totals across restarts are in `/status`.
//!
//! Counting costs a hash look-up and an atomic addition: call it per batch or chunk, not per row.

use std::marker::PhantomData;

use prometheus::core::{Atomic, Collector, GenericCounter, GenericCounterVec};
use prometheus::{
    Histogram, HistogramOpts, IntCounter, Opts, Registry, TextEncoder,
    core::{AtomicF64, AtomicU64},
};

use super::gauges;
use super::snapshot::{RetryClass, Side, Snapshot};
use crate::model::drift::Kind;
use crate::throttle::Reason;

/// Prometheus' media type for what [`Metrics::render`] writes.
pub const TEXT_FORMAT: &str = prometheus::TEXT_FORMAT;

/// 1 ms (one row on an idle target) to 16 s (a batch that an alert should have told about).
const BATCH_SECONDS: [f64; 15] =
    [0.001, 0.002, 0.004, 0.008, 0.016, 0.032, 0.064, 0.128, 0.256, 0.512, 1.024, 2.048, 4.096, 8.192, 16.384];

/// 1 (keeping up) to 8,192 (catching up): the exponent shows how far behind the applier is.
const BATCH_TRANSACTIONS: [f64; 14] = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1024.0, 2048.0, 4096.0, 8192.0];

/// A label whose values are the variants of an enum.
pub trait Label: Copy + 'static {
    const NAME: &'static str;
    const ALL: &'static [Self];
    fn as_str(self) -> &'static str;
}

/// Gives an enum its label name and spellings, beside the enum itself.
macro_rules! label {
    ($type:ty, $name:literal, { $($variant:ident => $text:literal),+ $(,)? }) => {
        impl Label for $type {
            const NAME: &'static str = $name;
            const ALL: &'static [Self] = &[$(<$type>::$variant),+];
            fn as_str(self) -> &'static str {
                match self { $(<$type>::$variant => $text),+ }
            }
        }
    };
}

/// What a row change did on the target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Op {
    Insert,
    Update,
    Delete,
}
label!(Op, "op", { Insert => "insert", Update => "update", Delete => "delete" });

/// What made a stage wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Throttled {
    /// A limit, and the copy.
    Copy,
    /// A limit, and the stream.
    Stream,
    /// The valve: only the copy waits for it.
    Auto(Reason),
}

impl Throttled {
    const ALL: [Throttled; 5] = [
        Throttled::Copy,
        Throttled::Stream,
        Throttled::Auto(Reason::Threads),
        Throttled::Auto(Reason::Commit),
        Throttled::Auto(Reason::Lag),
    ];

    const fn labels(self) -> [&'static str; 2] {
        match self {
            Throttled::Copy => ["copy", "limit"],
            Throttled::Stream => ["stream", "limit"],
            Throttled::Auto(reason) => ["copy", reason.as_str()],
        }
    }
}

/// What became of a DDL statement of the source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DdlOutcome {
    /// Executed on the target.
    Applied,
    /// About objects that are not migrated, or about accounts.
    Ignored,
    /// Part of an online schema change that runs as one ALTER at its RENAME.
    Folded,
    /// Found already executed after a crash, by its journal.
    Recovered,
    Failed,
}
label!(DdlOutcome, "outcome", {
    Applied => "applied", Ignored => "ignored", Folded => "folded",
    Recovered => "recovered", Failed => "failed",
});

/// Where the time of a batch goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ApplyStage {
    /// Waiting for bytes of the source.
    Read,
    Decode,
    Merge,
    /// A merged batch waiting for the target, or for a gate.
    Wait,
    Execute,
    Commit,
    Throttle,
}
label!(ApplyStage, "stage", {
    Read => "read", Decode => "decode", Merge => "merge", Wait => "wait",
    Execute => "execute", Commit => "commit", Throttle => "throttle",
});

label!(Kind, "kind", { Missing => "missing", Unexpected => "unexpected" });
label!(Side, "side", { Source => "source", Target => "target" });
label!(RetryClass, "class", { Connection => "connection", Other => "other" });

/// A counter per value of one closed label.
pub struct Closed<L, P: Atomic> {
    family: GenericCounterVec<P>,
    label: PhantomData<fn(L)>,
}

// By hand, because a derived one would ask the marker and the atomic to be `Clone`.
impl<L, P: Atomic> Clone for Closed<L, P> {
    fn clone(&self) -> Self {
        Closed { family: self.family.clone(), label: PhantomData }
    }
}

impl<L: Label, P: Atomic + 'static> Closed<L, P> {
    fn new(registry: &Registry, name: &str, help: &str) -> Self {
        let family = GenericCounterVec::new(Opts::new(name, help), &[L::NAME]).expect(VALID);
        for label in L::ALL {
            family.with_label_values(&[label.as_str()]);
        }
        Closed { family: registered(registry, family), label: PhantomData }
    }

    /// The counter of one label value.
    pub fn of(&self, label: L) -> GenericCounter<P> {
        self.family.with_label_values(&[label.as_str()])
    }
}

/// Retries by side and class: the one family with two labels.
#[derive(Clone)]
pub struct RetryCounts(GenericCounterVec<AtomicU64>);

impl RetryCounts {
    pub fn of(&self, side: Side, class: RetryClass) -> IntCounter {
        self.0.with_label_values(&[side.as_str(), class.as_str()])
    }
}

/// Time waited by who waited and why.
#[derive(Clone)]
pub struct ThrottledSeconds(GenericCounterVec<AtomicF64>);

impl ThrottledSeconds {
    pub fn of(&self, what: Throttled) -> GenericCounter<AtomicF64> {
        self.0.with_label_values(&what.labels())
    }
}

/// Every counter and histogram of the process. Clones share the same numbers.
#[derive(Clone)]
pub struct Metrics {
    registry: Registry,
    pub applied_transactions: IntCounter,
    pub applied_rows: Closed<Op, AtomicU64>,
    pub batches: IntCounter,
    pub batch_duration: Histogram,
    pub batch_transactions: Histogram,
    pub apply_seconds: Closed<ApplyStage, AtomicF64>,
    pub copy_rows: IntCounter,
    pub copy_bytes: IntCounter,
    pub retries: RetryCounts,
    pub throttled_seconds: ThrottledSeconds,
    pub verify_rows: IntCounter,
    pub drift_rows: Closed<Kind, AtomicU64>,
    pub ddl: Closed<DdlOutcome, AtomicU64>,
    pub skipped_transactions: IntCounter,
}

/// Why registration cannot fail: it refuses only malformed and doubled names, and every name is a
/// constant of this file that the tests register.
const VALID: &str = "metric names are valid and distinct";

impl Metrics {
    /// All families, all children, all at 0.
    pub fn new() -> Metrics {
        let registry = Registry::new();
        #[cfg(target_os = "linux")]
        registry
            .register(Box::new(
                // `process_*`: CPU, memory, file descriptors, threads and start of this process.
                prometheus::process_collector::ProcessCollector::for_self(),
            ))
            .expect(VALID);
        let r = &registry;
        Metrics {
            applied_transactions: counter(
                r,
                "polarferry_applied_transactions_total",
                "Source transactions committed on the target.",
            ),
            applied_rows: Closed::new(
                r,
                "polarferry_applied_rows_total",
                "Rows whose change is committed on the target, after merging within a batch, by operation.",
            ),
            batches: counter(
                r,
                "polarferry_batches_total",
                "Target transactions committed by the applier, each one or more whole source transactions.",
            ),
            batch_duration: histogram(
                r,
                "polarferry_batch_duration_seconds",
                "Time from the begin of a batch on the target to the reply to its commit.",
                &BATCH_SECONDS,
            ),
            batch_transactions: histogram(
                r,
                "polarferry_batch_transactions",
                "Source transactions per batch: 1 when keeping up, thousands when catching up.",
                &BATCH_TRANSACTIONS,
            ),
            apply_seconds: Closed::new(
                r,
                "polarferry_apply_seconds_total",
                "Time spent per stage of the stream; the fastest growing one is the bottleneck.",
            ),
            copy_rows: counter(r, "polarferry_copy_rows_total", "Rows copied in full load."),
            copy_bytes: counter(r, "polarferry_copy_bytes_total", "Bytes of row values copied in full load."),
            retries: retries(r),
            throttled_seconds: throttled(r),
            verify_rows: counter(r, "polarferry_verify_rows_total", "Rows compared between source and target."),
            drift_rows: Closed::new(
                r,
                "polarferry_drift_rows_total",
                "Rows of the target that were not what the source's changes imply, and did not stop the task (apply.on_drift).",
            ),
            ddl: Closed::new(r, "polarferry_ddl_total", "DDL statements met in the stream, by what became of them."),
            skipped_transactions: counter(
                r,
                "polarferry_skipped_transactions_total",
                "Source transactions left out by an operator's order; each is kept in polarferry.skipped.",
            ),
            registry,
        }
    }

    /// The whole answer of `/metrics`. `ready` is the verdict for a cutover from the same snapshot.
    pub fn render(&self, snapshot: &Snapshot, ready: bool) -> Result<String, prometheus::Error> {
        let mut text = gauges::render(snapshot, ready);
        TextEncoder::new().encode_utf8(&self.registry.gather(), &mut text)?;
        Ok(text)
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Metrics::new()
    }
}

fn registered<C: Collector + Clone + 'static>(registry: &Registry, collector: C) -> C {
    registry.register(Box::new(collector.clone())).expect(VALID);
    collector
}

fn counter(registry: &Registry, name: &str, help: &str) -> IntCounter {
    registered(registry, IntCounter::new(name, help).expect(VALID))
}

fn histogram(registry: &Registry, name: &str, help: &str, buckets: &[f64]) -> Histogram {
    let options = HistogramOpts::new(name, help).buckets(buckets.to_vec());
    registered(registry, Histogram::with_opts(options).expect(VALID))
}

fn retries(registry: &Registry) -> RetryCounts {
    let options = Opts::new(
        "polarferry_retries_total",
        "Attempts repeated after a transient error, by side and by the retry window that they count against.",
    );
    let family = GenericCounterVec::new(options, &[Side::NAME, RetryClass::NAME]).expect(VALID);
    let counts = RetryCounts(registered(registry, family));
    for side in Side::ALL {
        for class in RetryClass::ALL {
            counts.of(*side, *class);
        }
    }
    counts
}

fn throttled(registry: &Registry) -> ThrottledSeconds {
    let options = Opts::new(
        "polarferry_throttled_seconds_total",
        "Time that connections of copy or stream waited for the configured pace, by what was held back and why.",
    );
    let family = GenericCounterVec::new(options, &["phase", "reason"]).expect(VALID);
    let seconds = ThrottledSeconds(registered(registry, family));
    for what in Throttled::ALL {
        seconds.of(what);
    }
    seconds
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rendered(metrics: &Metrics) -> String {
        metrics.render(&Snapshot::default(), false).expect("our metrics encode")
    }

    #[test]
    fn every_name_of_the_contract_is_there_from_the_first_scrape() {
        let text = rendered(&Metrics::new());
        for name in [
            "build_info",
            "phase",
            "read_lag_seconds",
            "apply_lag_seconds",
            "backlog_transactions",
            "backlog_bytes",
            "applied_transactions_total",
            "applied_rows_total",
            "batches_total",
            "batch_duration_seconds",
            "batch_transactions",
            "copy_rows_total",
            "copy_bytes_total",
            "copy_tables",
            "retries_total",
            "throttled_seconds_total",
            "binlog_retention_remaining_seconds",
            "verify_rows_total",
            "verify_drift_rows",
            "drift_rows_total",
            "ddl_total",
            "skipped_transactions_total",
            "cutover_ready",
        ] {
            assert!(text.contains(&format!("# TYPE polarferry_{name} ")), "polarferry_{name} is missing");
            assert!(text.contains(&format!("# HELP polarferry_{name} ")), "polarferry_{name} has no help");
        }
        #[cfg(target_os = "linux")]
        assert!(text.contains("process_resident_memory_bytes "));
    }

    #[test]
    fn every_label_value_starts_at_zero() {
        let text = rendered(&Metrics::new());
        for line in [
            "polarferry_applied_transactions_total 0",
            r#"polarferry_applied_rows_total{op="insert"} 0"#,
            r#"polarferry_applied_rows_total{op="update"} 0"#,
            r#"polarferry_applied_rows_total{op="delete"} 0"#,
            r#"polarferry_retries_total{class="connection",side="source"} 0"#,
            r#"polarferry_retries_total{class="other",side="source"} 0"#,
            r#"polarferry_retries_total{class="connection",side="target"} 0"#,
            r#"polarferry_retries_total{class="other",side="target"} 0"#,
            r#"polarferry_throttled_seconds_total{phase="copy",reason="limit"} 0"#,
            r#"polarferry_throttled_seconds_total{phase="copy",reason="threads"} 0"#,
            r#"polarferry_throttled_seconds_total{phase="stream",reason="limit"} 0"#,
            r#"polarferry_ddl_total{outcome="applied"} 0"#,
            r#"polarferry_ddl_total{outcome="recovered"} 0"#,
            r#"polarferry_apply_seconds_total{stage="read"} 0"#,
            r#"polarferry_apply_seconds_total{stage="throttle"} 0"#,
            "polarferry_batch_duration_seconds_count 0",
            "polarferry_skipped_transactions_total 0",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} is missing");
        }
    }

    #[test]
    fn what_is_counted_is_seen() {
        let metrics = Metrics::new();
        let stage = metrics.clone();
        stage.applied_rows.of(Op::Delete).inc_by(3);
        stage.apply_seconds.of(ApplyStage::Commit).inc_by(0.5);
        stage.retries.of(Side::Target, RetryClass::Other).inc();
        stage.batch_transactions.observe(500.0);
        let text = rendered(&metrics);
        for line in [
            r#"polarferry_applied_rows_total{op="delete"} 3"#,
            r#"polarferry_apply_seconds_total{stage="commit"} 0.5"#,
            r#"polarferry_retries_total{class="other",side="target"} 1"#,
            r#"polarferry_batch_transactions_bucket{le="512"} 1"#,
            r#"polarferry_batch_transactions_bucket{le="256"} 0"#,
        ] {
            assert!(text.lines().any(|found| found == line), "{line} is missing");
        }
    }
}
