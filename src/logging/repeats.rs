//! How often the same line may be written: per place in our code, so many a minute. Pure: the clock is passed in.
//!
//! Errors are never held back: there are few, and each ends something. What is held back is counted, and the count is written when
//! the place may speak again.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use tracing::Level;
use tracing::callsite::Identifier;

/// More than any healthy hour has of one kind at once.
const LINES: u32 = 30;
const PER: Duration = Duration::from_secs(60);

/// What becomes of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Seen {
    /// It is written; `held` lines of its kind were not, before it.
    Shown {
        held: u64,
    },
    Held,
}

/// One place's minute.
#[derive(Debug, Clone, Copy)]
struct Minute {
    began: Instant,
    shown: u32,
    held: u64,
}

impl Minute {
    const fn new(now: Instant) -> Self {
        Self { began: now, shown: 0, held: 0 }
    }

    fn see(&mut self, now: Instant) -> Seen {
        let mut held = 0;
        if now.saturating_duration_since(self.began) >= PER {
            held = self.held;
            *self = Self::new(now);
        }
        if self.shown >= LINES {
            self.held += 1;
            return Seen::Held;
        }
        self.shown += 1;
        Seen::Shown { held }
    }
}

/// The minutes of all places that have spoken: as many as there are lines in our code that log.
#[derive(Debug, Default)]
pub struct Repeats(Mutex<HashMap<Identifier, Minute>>);

impl Repeats {
    pub fn see(&self, place: Identifier, level: Level, now: Instant) -> Seen {
        if level == Level::ERROR {
            return Seen::Shown { held: 0 };
        }
        let mut minutes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        minutes.entry(place).or_insert_with(|| Minute::new(now)).see(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_repeats_is_held_back_counted_and_told() {
        let start = Instant::now();
        let mut minute = Minute::new(start);
        for _ in 0..LINES {
            assert_eq!(minute.see(start), Seen::Shown { held: 0 });
        }
        for second in 1..8 {
            assert_eq!(minute.see(start + Duration::from_secs(second)), Seen::Held);
        }
        assert_eq!(minute.see(start + PER), Seen::Shown { held: 7 });
        assert_eq!(minute.see(start + PER), Seen::Shown { held: 0 });
    }
}
