//! Whether reading ahead of the writer is worth it: it is where the target waits for its disks, and takes its time where it does not.
//!
//! What a changed row takes in a large part only hints at it, since rows are slow for other reasons, too: they are wide, or the target is
//! far away. So reading ahead is *tried* where rows are slow, and goes on while they are faster with it than they were without it. After
//! some parts one goes without, and it is decided anew; where it was of no use, the next try waits longer each time.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Changes in a part that tell anything: in small ones the round trips count for more.
const MANY: u64 = 1_000;
/// Microseconds a row. From here on it is tried.
const SLOW: f64 = 60.0;
/// What a row may take with it, of what it takes without it.
const WORTH: f64 = 0.8;
/// Parts between two decisions.
const PARTS: u32 = 16;
/// Parts before a new try, at the most.
const LONGEST_PAUSE: u32 = 4096;

/// Written by the writer's loop, read by the merger's.
#[derive(Debug, Default)]
pub struct Cold(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    reading: bool,
    /// Microseconds a row, in the last part that went without.
    without: f64,
    /// Parts until it is decided again.
    left: u32,
    /// How long the last pause was.
    pause: u32,
}

impl Cold {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// So many changes took the target this long; `ahead`: they were read ahead.
    pub fn note(&self, changes: u64, time: Duration, ahead: bool) {
        if changes < MANY {
            return;
        }
        let (mut state, row) = (self.state(), time.as_secs_f64() * 1e6 / changes as f64);
        // The modes change while parts of the old one are still on their way.
        if ahead != state.reading {
            return;
        }
        state.left = state.left.saturating_sub(1);
        if !ahead {
            state.without = row;
            if row > SLOW && state.left == 0 {
                (state.reading, state.left) = (true, PARTS);
            }
        } else if row > state.without * WORTH {
            state.pause = (state.pause * 2).clamp(PARTS, LONGEST_PAUSE);
            (state.reading, state.left) = (false, state.pause);
        } else {
            state.pause = 0;
            state.reading = state.left > 0;
        }
    }

    /// Whether the rows of a part with so many changes are to be read ahead.
    pub fn wants_reads(&self, changes: u64) -> bool {
        changes >= MANY && self.state().reading
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn note(cold: &Cold, micros: u64, ahead: bool) -> bool {
        cold.note(MANY, Duration::from_micros(micros * MANY), ahead);
        cold.wants_reads(MANY)
    }

    #[test]
    fn reading_ahead_is_tried_where_rows_are_slow_and_goes_on_while_it_helps() {
        let cold = Cold::default();
        cold.note(MANY - 1, Duration::from_secs(9), false);
        assert!(!cold.wants_reads(MANY), "too few to tell");
        assert!(!note(&cold, 50, false));
        assert!(note(&cold, 150, false) && !cold.wants_reads(MANY - 1));
        assert!(note(&cold, 150, false), "one that was on its way without it");
        assert!((1..PARTS).all(|_| note(&cold, 40, true)));
        assert!(!note(&cold, 40, true), "one goes without");
        assert!(note(&cold, 140, false), "still cold");
        assert!((1..PARTS).all(|_| note(&cold, 40, true)) && !note(&cold, 40, true));
        assert!(!note(&cold, 20, false), "warm by now");
    }

    #[test]
    fn where_it_is_of_no_use_it_is_tried_less_and_less_often() {
        let cold = Cold::default();
        for pause in [PARTS, PARTS * 2, PARTS * 4] {
            assert!(note(&cold, 70, false), "far away, and not cold");
            assert!(!note(&cold, 400, true));
            assert!((1..pause).all(|_| !note(&cold, 70, false)));
        }
    }
}
