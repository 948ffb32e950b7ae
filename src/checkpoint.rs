//! The durable resume point: one row on the target, moved by the very transaction whose rows it accounts for.
//!
//! Invariants:
//! 1. The row's position is exactly what the target's data shows: every source transaction up to it, and none after it. Only a
//!    target commit moves it, together with the rows.
//! 2. It is moved only under the epoch that this daemon took at its start, and only from the sequence number it last wrote. Zero
//!    rows changed means that somebody else took over: roll back, exit. Two daemons can never both write.
//! 3. What cannot be understood is refused: an unknown format, a GTID set that does not parse. There is no fresh start by accident.
//!
//! A lost COMMIT reply: the row is read again `FOR UPDATE` on a new connection, which waits until the old transaction has ended
//! one way or the other; its sequence number says which.

use crate::model::phase::Phase;
use crate::model::position::{FilePosition, Position};

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    pub epoch: u64,
    pub sequence: u64,
    pub phase: Phase,
    /// The server whose files `position.file` names.
    pub source_uuid: String,
    pub position: Position,
    /// When the source committed the last applied transaction, microseconds since 1970; 0 before the first.
    pub committed_at_micros: u64,
}

/// A row as the target returned it.
#[derive(Debug, Clone)]
pub struct StoredCheckpoint {
    pub format: u64,
    pub epoch: u64,
    pub sequence: u64,
    pub phase: String,
    pub source_uuid: String,
    pub gtid_set: String,
    pub file: String,
    pub offset: u64,
    pub committed_at_micros: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadCheckpoint {
    #[error("it has format {0}, this version reads format {known}", known = Checkpoint::FORMAT)]
    Format(u64),
    #[error("its phase {0:?} is unknown")]
    Phase(String),
    #[error("its GTID set does not parse")]
    GtidSet,
}

impl Checkpoint {
    /// Raised when the meaning of a column changes.
    pub const FORMAT: u64 = 1;

    pub fn decode(stored: StoredCheckpoint) -> Result<Self, BadCheckpoint> {
        if stored.format != Self::FORMAT {
            return Err(BadCheckpoint::Format(stored.format));
        }
        let phase =
            Phase::ALL.into_iter().find(|phase| phase.as_str() == stored.phase).ok_or(BadCheckpoint::Phase(stored.phase))?;
        let gtids = crate::model::gtid::GtidSet::parse(&stored.gtid_set).map_err(|_| BadCheckpoint::GtidSet)?;
        Ok(Self {
            epoch: stored.epoch,
            sequence: stored.sequence,
            phase,
            source_uuid: stored.source_uuid,
            position: Position { gtids, file: FilePosition { file: stored.file, offset: stored.offset } },
            committed_at_micros: stored.committed_at_micros,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stored() -> StoredCheckpoint {
        StoredCheckpoint {
            format: 1,
            epoch: 3,
            sequence: 9,
            phase: "copy".into(),
            source_uuid: "u".into(),
            gtid_set: String::new(),
            file: "b.000001".into(),
            offset: 4,
            committed_at_micros: 0,
        }
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        assert_eq!(Checkpoint::decode(stored()).map(|checkpoint| checkpoint.phase), Ok(Phase::Copy));
        let decode = |change: fn(&mut StoredCheckpoint)| {
            let mut row = stored();
            change(&mut row);
            Checkpoint::decode(row)
        };
        assert_eq!(decode(|row| row.format = 2), Err(BadCheckpoint::Format(2)));
        assert_eq!(decode(|row| row.phase = "?".into()), Err(BadCheckpoint::Phase("?".into())));
        assert_eq!(decode(|row| row.gtid_set = "x:1".into()), Err(BadCheckpoint::GtidSet));
    }
}
