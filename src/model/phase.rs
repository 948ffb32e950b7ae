//! The life of a task, as one enum and one transition function.
//!
//! Every other description of the order of phases (the README, the dashboard, the status page) is
//! a copy of the drawing below. The function is total over pairs, so a transition that nobody
//! thought of is refused instead of happening; a test walks all forty-nine.

use serde::{Deserialize, Serialize};

/// Where a task stands. `Sealed` and `Failed` are the ends: a task leaves them only by becoming
/// another task.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// Preconditions are being looked at; nothing has been written.
    #[default]
    Precheck,
    /// Tables are being created on the target.
    Schema,
    /// Rows are being copied; the stream already runs beside the copy.
    Copy,
    /// Every table is copied; only the stream runs.
    Stream,
    /// The gates of a cutover are being walked.
    Cutover,
    /// The target belongs to the application; this task will never write again.
    Sealed,
    /// Stopped at an error that needs a person.
    Failed,
}

impl Phase {
    /// All phases, in the order in which a task meets them.
    pub const ALL: [Phase; 7] =
        [Phase::Precheck, Phase::Schema, Phase::Copy, Phase::Stream, Phase::Cutover, Phase::Sealed, Phase::Failed];

    /// The spelling in JSON, in metrics and in the checkpoint.
    pub const fn as_str(self) -> &'static str {
        match self {
            Phase::Precheck => "precheck",
            Phase::Schema => "schema",
            Phase::Copy => "copy",
            Phase::Stream => "stream",
            Phase::Cutover => "cutover",
            Phase::Sealed => "sealed",
            Phase::Failed => "failed",
        }
    }

    /// Whether the task has ended.
    pub const fn is_terminal(self) -> bool {
        matches!(self, Phase::Sealed | Phase::Failed)
    }

    /// The only answer to "may a task go from here to there?".
    ///
    /// ```text
    ///              ┌── restart, schema done ──┐
    ///              │  ┌─ restart, copy done ──┼──────┐
    ///              │  │                       ▼      ▼
    ///            precheck ──► schema ──► copy ──► stream ──► cutover ──► sealed
    ///                                      ▲        │ ▲         │
    ///                                      └────────┘ └─────────┘
    ///                                   tables added   cutover given up
    ///
    ///            every phase but sealed ──► failed
    /// ```
    ///
    /// A phase does not become itself: staying is not a transition.
    pub const fn may_become(self, next: Phase) -> bool {
        match self {
            Phase::Precheck => matches!(next, Phase::Schema | Phase::Copy | Phase::Stream | Phase::Failed),
            Phase::Schema => matches!(next, Phase::Copy | Phase::Failed),
            Phase::Copy => matches!(next, Phase::Stream | Phase::Failed),
            Phase::Stream => matches!(next, Phase::Cutover | Phase::Copy | Phase::Failed),
            Phase::Cutover => matches!(next, Phase::Sealed | Phase::Stream | Phase::Failed),
            Phase::Sealed | Phase::Failed => false,
        }
    }
}

impl std::fmt::Display for Phase {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pair_is_decided_as_drawn() {
        // Rows: from; columns: to, both in the order of `ALL`.
        //            pre sch cop str cut sea fai
        const DRAWN: [[u8; 7]; 7] = [
            /* pre */ [0, 1, 1, 1, 0, 0, 1],
            /* sch */ [0, 0, 1, 0, 0, 0, 1],
            /* cop */ [0, 0, 0, 1, 0, 0, 1],
            /* str */ [0, 0, 1, 0, 1, 0, 1],
            /* cut */ [0, 0, 0, 1, 0, 1, 1],
            /* sea */ [0, 0, 0, 0, 0, 0, 0],
            /* fai */ [0, 0, 0, 0, 0, 0, 0],
        ];
        for (from, row) in Phase::ALL.into_iter().zip(DRAWN) {
            for (to, drawn) in Phase::ALL.into_iter().zip(row) {
                assert_eq!(from.may_become(to), drawn == 1, "{from} -> {to}");
            }
        }
    }

    #[test]
    fn terminal_phases_go_nowhere_and_all_others_may_fail() {
        for phase in Phase::ALL {
            let leaves = Phase::ALL.into_iter().any(|next| phase.may_become(next));
            assert_eq!(leaves, !phase.is_terminal(), "{phase}");
            assert_eq!(phase.may_become(Phase::Failed), !phase.is_terminal(), "{phase}");
        }
    }

    #[test]
    fn json_spells_a_phase_as_as_str_does() {
        for phase in Phase::ALL {
            let json = serde_json::to_value(phase).expect("a unit variant serialises");
            assert_eq!(json, phase.as_str());
        }
    }
}
