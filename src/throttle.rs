//! How fast we may go. Pure: the clock is passed in.
//!
//! A [`Pace`] is a token bucket that holds at most one second's worth, so that a pause does not turn into a burst, and that may go
//! into debt for one unit larger than itself, so that a single huge row passes. The limit may change while it runs.

use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

/// Zero: a limit is a decision of the operator, who knows what else the two clusters carry.
pub const NO_LIMIT: u64 = 0;

/// Ceilings per second; zero means none. The one part of the configuration that changes while running.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Limits {
    pub copy_queries_per_second: u64,
    pub copy_rows_per_second: u64,
    pub copy_bytes_per_second: u64,
    pub stream_rows_per_second: u64,
    pub stream_bytes_per_second: u64,
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
        }
    }
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
        assert!(serde_json::from_str::<LimitsPatch>(r#"{"copy_rows":1}"#).is_err());
    }
}
