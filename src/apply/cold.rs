//! Whether the target waits for its disks.
//!
//! What a changed row takes in a large batch tells it: some microseconds, some tens where rows are wide, where its page is in memory;
//! a hundred and more where it has to be read. Then others are to read ahead of the writer ([`crate::target`]), until rows are as fast
//! as they are without disks. On a warm target reading ahead would only take the target's time, so it is off there.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Changes in a part that tell anything: in small ones the round trips count for more.
const MANY: u64 = 1_000;
/// Microseconds a row.
const BEGINS: u64 = 60;
const ENDS: u64 = 15;

/// Written by the writer's loop, read by the merger's.
#[derive(Debug, Default)]
pub struct Cold(AtomicBool);

impl Cold {
    /// So many changes took the target this long.
    pub fn note(&self, changes: u64, time: Duration) {
        if changes >= MANY {
            let limit = if self.0.load(Ordering::Relaxed) { ENDS } else { BEGINS };
            self.0.store(time > Duration::from_micros(limit) * u32::try_from(changes).unwrap_or(u32::MAX), Ordering::Relaxed);
        }
    }

    /// Whether the rows of a part with so many changes are to be read ahead.
    pub fn wants_reads(&self, changes: u64) -> bool {
        changes >= MANY && self.0.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reading_ahead_begins_where_rows_are_slow_and_ends_where_they_are_as_fast_as_in_memory() {
        let cold = Cold::default();
        let took = |micros: u64| Duration::from_micros(micros * MANY);
        cold.note(MANY - 1, took(500));
        assert!(!cold.wants_reads(MANY), "too few to tell");
        for (micros, wanted) in [(50, false), (70, true), (30, true), (10, false), (30, false)] {
            cold.note(MANY, took(micros));
            assert_eq!(cold.wants_reads(MANY), wanted, "{micros} µs");
        }
    }
}
