//! Rows of the target that are not what the source's events imply, and what may be done about them; pure.
//!
//! An event is more than its new row: an update and a delete say that the row is there, an insert that it is not. Whatever else is on
//! the target was written by somebody else, or lost. By default that stops the task. The other policies keep it going:
//!
//! * [`Cure::Repair`]: the row ends as the source has it. Events bring whole rows, so nothing has to be asked of the source: a
//!   missing row is inserted as the last event left it, one that should not be there is deleted first.
//! * [`Cure::Record`]: the row is left as it is on the target, and stays different until somebody, or a later change, sees to it.
//!
//! Of a table without a key the events do not tell how many equal rows the source has left: fewer than are to go may be recorded, and
//! stop the task where they would have to be repaired. A row that the source has deleted, and that is missing, needs nothing: it is noted
//! as `equal`.
//!
//! Either way each row is noted in `polarferry.drift` in the transaction that passes it, so it is noted exactly once. What is written
//! then is held to its counts as always: [`adjust`] makes a run out of which the odd rows are taken, or in which they stand as they
//! were found, and a second surprise in one part stops the task under every policy.

use std::collections::HashMap;
use std::sync::Arc;

use super::merge::{Net, Slot};
use crate::model::change::KeyBytes;
use crate::model::drift::{Cure, Kind};
use crate::sql::state::DriftLine;

/// One row that was not as the events imply; of a table without a key, some equal ones.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Anomaly {
    /// As `database.table`.
    pub table: Arc<str>,
    /// The row's key as it stands in a statement; the whole row where it has none.
    pub row: KeyBytes,
    pub kind: Kind,
    pub copies: u64,
    pub outcome: Outcome,
}

/// What became of such a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The source has deleted it, too.
    Equal,
    Repaired,
    /// It is not, or may not be, as the source's is now.
    Recorded,
}

impl Anomaly {
    /// Of a row with a key, found before it was seen to.
    pub fn of_slot(table: Arc<str>, slot: &Slot, kind: Kind, cure: Cure) -> Self {
        let outcome = match (&slot.after, cure) {
            (None, _) => Outcome::Equal,
            (Some(_), Cure::Repair) => Outcome::Repaired,
            (Some(_), Cure::Record) => Outcome::Recorded,
        };
        Self { table, row: slot.key.clone(), kind, copies: 1, outcome }
    }

    pub fn line(&self) -> DriftLine<'_> {
        let done = match self.outcome {
            Outcome::Equal => "equal",
            Outcome::Repaired => "repaired",
            Outcome::Recorded => "recorded",
        };
        DriftLine { table: &self.table, row: &self.row, found: self.kind.as_str(), copies: self.copies, done }
    }
}

/// Rows in a run's way, by key.
pub type InTheWay = HashMap<KeyBytes, Kind>;

/// Makes a keyed run fit what was found. Returns the keys of the rows that must go before it.
pub fn adjust(slots: &mut Vec<Slot>, found: &InTheWay, cure: Cure) -> Vec<KeyBytes> {
    let mut gone = Vec::new();
    slots.retain_mut(|slot| match (found.get(&slot.key), cure) {
        (None, _) => true,
        (Some(_), Cure::Record) => false,
        (Some(Kind::Missing), Cure::Repair) => {
            slot.before = None;
            true
        }
        (Some(Kind::Unexpected), Cure::Repair) => {
            gone.push(slot.key.clone());
            true
        }
    });
    gone
}

/// Of a row without a key no more copies go than stand. Returns how many are missing.
pub fn limit(net: &mut Net, standing: u64) -> u64 {
    let missing = net.change.min(0).unsigned_abs().saturating_sub(standing);
    net.change += missing.cast_signed();
    missing
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::image::{Layout, RowImage, Wire};

    fn row() -> RowImage {
        RowImage::new(Arc::from([0, 1]), 0, 2, Arc::new(Layout::new(vec![Wire::Integer { bytes: 1 }])))
    }

    fn slot(key: &[u8], before: bool) -> Slot {
        Slot { key: key.into(), before: before.then(row), after: Some(row()) }
    }

    #[test]
    fn repaired_rows_stand_as_they_were_found_and_recorded_ones_are_left_alone() {
        let found: InTheWay = [(Box::from(*b"1"), Kind::Missing), (Box::from(*b"2"), Kind::Unexpected)].into();
        let run = || vec![slot(b"1", true), slot(b"2", false), slot(b"3", true)];
        let mut repaired = run();
        assert_eq!(adjust(&mut repaired, &found, Cure::Repair), [Box::from(*b"2")]);
        assert_eq!(repaired.iter().map(|slot| slot.before.is_some()).collect::<Vec<_>>(), [false, false, true]);
        let mut recorded = run();
        assert_eq!(adjust(&mut recorded, &found, Cure::Record), Vec::<KeyBytes>::new());
        assert_eq!(recorded.iter().map(|slot| &*slot.key).collect::<Vec<_>>(), [b"3"]);
    }

    #[test]
    fn no_more_copies_go_than_stand() {
        let mut net = Net { values: Box::from(*b"1"), blanks: 0, row: row(), change: -3 };
        assert_eq!((limit(&mut net, 5), net.change), (0, -3));
        assert_eq!((limit(&mut net, 1), net.change), (2, -1));
        let mut comes = Net { change: 4, ..net };
        assert_eq!((limit(&mut comes, 0), comes.change), (0, 4));
    }
}
