//! How fast we may go. Pure: the clock is passed in.
//!
//! There are limits, which an operator sets, and a [`Valve`], which closes by itself while the two clusters have too much to do.
//!
//! A [`Pace`] is a token bucket that holds at most one second's worth, so that a pause does not turn into a burst, and that may go
//! into debt for one unit larger than itself, so that a single huge row passes. The limit may change while it runs.

use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

/// Zero: a limit is a decision of the operator, who knows what else the two clusters carry.
pub const NO_LIMIT: u64 = 0;

/// Ceilings per second; zero means none. The one part of the configuration that changes while running.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Limits {
    pub copy_queries_per_second: u64,
    pub copy_rows_per_second: u64,
    pub copy_bytes_per_second: u64,
    pub stream_rows_per_second: u64,
    pub stream_bytes_per_second: u64,
    /// Whether the copy slows down by itself: see [`Valve`].
    pub auto: bool,
    /// Statements of others that run on the source at once, from which on the copy makes way.
    pub auto_threads_running: u64,
    /// Time of a commit on the target from which on the copy makes way.
    pub auto_commit_milliseconds: u64,
    /// Lag of the stream from which on the copy makes way.
    pub auto_lag_seconds: u64,
}

/// Off: what it measures differs from cluster to cluster, so an operator looks once before relying on it.
pub const AUTO: bool = false;
/// What pt-online-schema-change and pt-table-checksum make way at, too.
pub const AUTO_THREADS_RUNNING: u64 = 25;
/// Ten times and more of what a commit on cloud storage takes while it is well.
pub const AUTO_COMMIT_MILLISECONDS: u64 = 100;
/// Where the alert on lag begins, too: the copy can wait, the source's binlog does not.
pub const AUTO_LAG_SECONDS: u64 = 60;

impl Default for Limits {
    fn default() -> Self {
        Self {
            copy_queries_per_second: NO_LIMIT,
            copy_rows_per_second: NO_LIMIT,
            copy_bytes_per_second: NO_LIMIT,
            stream_rows_per_second: NO_LIMIT,
            stream_bytes_per_second: NO_LIMIT,
            auto: AUTO,
            auto_threads_running: AUTO_THREADS_RUNNING,
            auto_commit_milliseconds: AUTO_COMMIT_MILLISECONDS,
            auto_lag_seconds: AUTO_LAG_SECONDS,
        }
    }
}

/// A change of some limits; what is `None` stays as it is. A limit that does not exist is refused: one that was misspelt and
/// silently not set is found out at the worst hour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LimitsPatch {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub copy_queries_per_second: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub copy_rows_per_second: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub copy_bytes_per_second: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stream_rows_per_second: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stream_bytes_per_second: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub auto: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub auto_threads_running: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub auto_commit_milliseconds: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub auto_lag_seconds: Option<u64>,
}

impl LimitsPatch {
    /// Whether the patch changes nothing.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// The limits after this patch.
    pub fn applied_to(self, now: Limits) -> Limits {
        Limits {
            copy_queries_per_second: self.copy_queries_per_second.unwrap_or(now.copy_queries_per_second),
            copy_rows_per_second: self.copy_rows_per_second.unwrap_or(now.copy_rows_per_second),
            copy_bytes_per_second: self.copy_bytes_per_second.unwrap_or(now.copy_bytes_per_second),
            stream_rows_per_second: self.stream_rows_per_second.unwrap_or(now.stream_rows_per_second),
            stream_bytes_per_second: self.stream_bytes_per_second.unwrap_or(now.stream_bytes_per_second),
            auto: self.auto.unwrap_or(now.auto),
            auto_threads_running: self.auto_threads_running.unwrap_or(now.auto_threads_running),
            auto_commit_milliseconds: self.auto_commit_milliseconds.unwrap_or(now.auto_commit_milliseconds),
            auto_lag_seconds: self.auto_lag_seconds.unwrap_or(now.auto_lag_seconds),
        }
    }
}

/// Why the copy makes way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Reason {
    /// The source runs many statements of others.
    Threads,
    /// The target takes long to commit.
    Commit,
    /// The stream is behind.
    Lag,
}

impl Reason {
    pub const ALL: [Reason; 3] = [Reason::Threads, Reason::Commit, Reason::Lag];

    pub const fn as_str(self) -> &'static str {
        match self {
            Reason::Threads => "threads",
            Reason::Commit => "commit",
            Reason::Lag => "lag",
        }
    }
}

/// What was measured in the last second; what is not known is no reason.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Pressure {
    pub threads_running: Option<u64>,
    pub commit: Option<Duration>,
    pub lag: Option<Duration>,
}

/// How far the copy is let through, and for what it was last slowed down.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Opening {
    /// The share of its time that each connection of the copy works; for the rest it waits.
    pub share: f64,
    pub reason: Option<Reason>,
}

impl Default for Opening {
    fn default() -> Self {
        Self { share: 1.0, reason: None }
    }
}

impl Opening {
    /// How long a connection waits after it has worked for so long.
    pub fn wait_after(&self, worked: Duration) -> Duration {
        worked.mul_f64((1.0 / self.share.clamp(Valve::LEAST, 1.0) - 1.0).max(0.0))
    }
}

/// Closes by halves while something is above its threshold, and opens by small steps when nothing is: as TCP does with a network
/// of which it knows nothing but that it is too full. It acts on time, not on rates, so it needs to know neither what the clusters can
/// do nor how wide the rows are.
#[derive(Debug, Clone, Copy, Default)]
pub struct Valve {
    opening: Opening,
}

impl Valve {
    /// The copy never stands still: one that did would find out nothing, and a table is to be finished some day.
    pub const LEAST: f64 = 1.0 / 32.0;
    /// From the least to the full in about twenty seconds of peace.
    const STEP: f64 = 0.05;

    /// Goes on from an opening.
    pub const fn from(opening: Opening) -> Self {
        Self { opening }
    }

    /// One second's decision.
    pub fn step(&mut self, pressure: &Pressure, limits: &Limits) -> Opening {
        let reason = if limits.auto { above(pressure, limits) } else { None };
        let Opening { share, reason: before } = self.opening;
        self.opening = match reason {
            Some(_) => Opening { share: (share / 2.0).max(Self::LEAST), reason },
            None if !limits.auto || share + Self::STEP >= 1.0 => Opening::default(),
            None => Opening { share: share + Self::STEP, reason: before },
        };
        self.opening
    }
}

fn above(pressure: &Pressure, limits: &Limits) -> Option<Reason> {
    let commit = Duration::from_millis(limits.auto_commit_milliseconds);
    let lag = Duration::from_secs(limits.auto_lag_seconds);
    let holds = |reason: &Reason| match reason {
        Reason::Threads => pressure.threads_running.is_some_and(|threads| threads >= limits.auto_threads_running),
        Reason::Commit => pressure.commit.is_some_and(|took| took >= commit),
        Reason::Lag => pressure.lag.is_some_and(|behind| behind >= lag),
    };
    Reason::ALL.into_iter().find(holds)
}

/// One quantity's bucket.
#[derive(Debug, Clone)]
pub struct Pace {
    available: f64,
    filled: Instant,
}

impl Pace {
    pub fn new(now: Instant) -> Self {
        Self { available: 0.0, filled: now }
    }

    /// Takes `amount` at `limit` a second (0: no limit) and says how long to wait before going on.
    pub fn take(&mut self, amount: u64, limit: u64, now: Instant) -> Duration {
        let passed = now.saturating_duration_since(self.filled).as_secs_f64();
        self.filled = now;
        if limit == NO_LIMIT {
            self.available = 0.0;
            return Duration::ZERO;
        }
        let limit = limit as f64;
        self.available = (self.available + passed * limit).min(limit) - amount as f64;
        Duration::from_secs_f64((-self.available).max(0.0) / limit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_long_run_keeps_the_limit_and_a_pause_buys_one_second() {
        let start = Instant::now();
        let mut pace = Pace::new(start);
        assert_eq!(pace.take(50, 100, start), Duration::from_millis(500));
        assert_eq!(pace.take(0, 100, start + Duration::from_secs(60)), Duration::ZERO);
        assert_eq!(pace.take(300, 100, start + Duration::from_secs(60)), Duration::from_secs(2));
    }

    #[test]
    fn no_limit_never_waits_and_leaves_no_debt() {
        let start = Instant::now();
        let mut pace = Pace::new(start);
        pace.take(1_000_000, 10, start);
        assert_eq!(pace.take(u64::MAX, NO_LIMIT, start), Duration::ZERO);
        assert_eq!(pace.take(0, 10, start), Duration::ZERO);
    }

    #[test]
    fn a_patch_changes_only_what_it_names() {
        let now = Limits { copy_rows_per_second: 5, ..Limits::default() };
        let patch = LimitsPatch { stream_rows_per_second: Some(7), ..LimitsPatch::default() };
        let after = patch.applied_to(now);
        assert_eq!((after.copy_rows_per_second, after.stream_rows_per_second), (5, 7));
        assert!(!patch.is_empty() && LimitsPatch::default().is_empty());
        let patch = LimitsPatch { auto: Some(true), ..LimitsPatch::default() };
        assert!(patch.applied_to(now).auto && patch.applied_to(now).auto_threads_running == AUTO_THREADS_RUNNING);
        assert!(serde_json::from_str::<LimitsPatch>(r#"{"copy_rows":1}"#).is_err());
    }

    #[test]
    fn the_valve_closes_by_halves_and_opens_by_steps() {
        let limits = Limits { auto: true, ..Limits::default() };
        let (mut valve, calm) = (Valve::default(), Pressure { threads_running: Some(3), ..Pressure::default() });
        assert_eq!(valve.step(&calm, &limits), Opening::default());
        let busy = Pressure { threads_running: Some(25), lag: Some(Duration::from_secs(90)), ..Pressure::default() };
        let closed = valve.step(&busy, &limits);
        assert_eq!((closed.share, closed.reason), (0.5, Some(Reason::Threads)));
        assert_eq!(closed.wait_after(Duration::from_secs(1)), Duration::from_secs(1));
        for _ in 0..20 {
            valve.step(&busy, &limits);
        }
        assert_eq!(valve.opening.share, Valve::LEAST, "it never closes altogether");
        let opening = valve.step(&calm, &limits);
        assert_eq!(opening.reason, Some(Reason::Threads), "what it was slowed down for is why it is not yet at full pace");
        assert!((0..20).map(|_| valve.step(&calm, &limits)).last().is_some_and(|opening| opening == Opening::default()));
    }

    #[test]
    fn what_is_unknown_and_what_is_switched_off_slows_nothing_down() {
        let limits = Limits { auto: true, ..Limits::default() };
        assert_eq!(Valve::default().step(&Pressure::default(), &limits), Opening::default());
        let busy = Pressure { commit: Some(Duration::from_millis(100)), ..Pressure::default() };
        let mut valve = Valve::default();
        assert_eq!(valve.step(&busy, &limits).reason, Some(Reason::Commit));
        assert_eq!(valve.step(&busy, &Limits { auto: false, ..limits }), Opening::default(), "at once");
        assert_eq!(Opening::default().wait_after(Duration::from_secs(9)), Duration::ZERO);
    }
}
