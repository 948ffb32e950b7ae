//! Where an event ends, in 64 bits, though the wire has only the lower 32 of it; pure.
//!
//! Inside one file events only go forward. When nothing is left out, an event ends at the end of the one before plus its own size,
//! and the 32 bits must agree with that: this is exact however large the event is. When the source leaves transactions out (it
//! does, when asked by GTIDs), the end lies further on, and a number that is smaller than the last one means that the 4 GiB were
//! passed. A gap of more than 4 GiB inside one file would be counted short; it can only arise by GTIDs, where no position is
//! ever asked for, and the next file begins with its own name and offset.
//!
//! A heartbeat says how far the source has looked. It is made up on the way and may be late, so it never moves the end back.
//!
//! [`Skip`] is for COM_BINLOG_DUMP, whose start has 32 bits: a place beyond 4 GiB is reached by reading the file from its first event
//! and leaving out what ends at or before that place. The place must be the end of an event; anything else is not ours.

use crate::model::position::FilePosition;

const WRAP: u64 = 1 << 32;
const LOW: u64 = WRAP - 1;

/// The end of an event of `size` bytes that follows `end` and whose end has the lower bits `low`.
pub fn after_event(end: u64, low: u32, size: u32) -> u64 {
    let (low, next) = (u64::from(low), end.saturating_add(u64::from(size)));
    if next & LOW == low {
        return next;
    }
    let here = (end & !LOW) | low;
    if here < end { here.saturating_add(WRAP) } else { here }
}

/// The place that a heartbeat tells of; `end` itself when that lies further on already.
pub fn after_heartbeat(end: u64, low: u32) -> u64 {
    let ahead = u64::from(low).wrapping_sub(end & LOW) & LOW;
    // More than half of the circle ahead is behind.
    if ahead < WRAP / 2 { end.saturating_add(ahead) } else { end }
}

/// What is left out at the start of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Skip {
    upto: FilePosition,
}

/// What to do with an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Passed {
    /// It ends at or before the place.
    LeftOut,
    /// It ends exactly at the place: what follows is wanted.
    Arrived,
    /// The file has no event that ends there.
    Missed,
}

impl Skip {
    pub fn new(upto: FilePosition) -> Self {
        Self { upto }
    }

    /// Where the wanted events begin.
    pub fn upto(&self) -> &FilePosition {
        &self.upto
    }

    /// An event that ends at `end` in the file that is being read.
    pub fn event(&self, end: u64) -> Passed {
        match end.cmp(&self.upto.offset) {
            std::cmp::Ordering::Less => Passed::LeftOut,
            std::cmp::Ordering::Equal => Passed::Arrived,
            std::cmp::Ordering::Greater => Passed::Missed,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_event_across_the_4_gib_is_counted_once() {
        assert_eq!(after_event(WRAP - 10, 90, 100), WRAP + 90);
        assert_eq!(after_event(WRAP + 90, 190, 100), WRAP + 190);
        assert_eq!(after_event(3 * WRAP - 1, 0, 1), 3 * WRAP);
    }

    #[test]
    fn what_is_left_out_between_two_events_may_pass_the_4_gib_too() {
        // 3.9 GiB, then 6.5 GiB: the lower bits go down by less than half of the circle.
        let gib = 1_u64 << 30;
        let (from, to) = (gib * 39 / 10, gib * 13 / 2);
        assert_eq!(after_event(from, (to & LOW) as u32, 100), to);
        assert_eq!(after_event(100, 3_000_000_000, 50), 3_000_000_000);
    }

    #[test]
    fn a_heartbeat_never_moves_the_end_back() {
        assert_eq!(after_heartbeat(WRAP + 500, 400), WRAP + 500);
        assert_eq!(after_heartbeat(WRAP + 500, 600), WRAP + 600);
        assert_eq!(after_heartbeat(WRAP - 5, 5), WRAP + 5);
        assert_eq!(after_heartbeat(700, 0), 700);
    }

    #[test]
    fn a_place_is_reached_exactly_or_missed() {
        let skip = Skip::new(FilePosition { file: "b.000001".into(), offset: WRAP + 500 });
        assert_eq!(skip.event(500), Passed::LeftOut);
        assert_eq!(skip.event(WRAP + 500), Passed::Arrived);
        assert_eq!(skip.event(WRAP + 501), Passed::Missed);
    }

    proptest! {
        #[test]
        fn a_file_of_any_length_is_followed_exactly(sizes in prop::collection::vec(19_u32..=u32::MAX, 1..60)) {
            let (mut end, mut found) = (4_u64, 4_u64);
            for size in sizes {
                end += u64::from(size);
                found = after_event(found, (end & LOW) as u32, size);
                prop_assert_eq!(found, end);
            }
        }
    }
}
