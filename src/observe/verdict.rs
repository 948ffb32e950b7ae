//! The answer of `GET /cutover`, as it is written on the wire.
//!
//! The cutover room decides; this room only shows. A verdict is built from its checks alone, so an
//! answer can never contradict its own evidence, and no evidence at all is NO-GO.

use serde::{Deserialize, Serialize};

/// GO or NO-GO, with each gate that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdict {
    verdict: Answer,
    checks: Vec<Check>,
    /// What an operator should know and no program can decide.
    #[serde(default)]
    notes: Vec<Note>,
}

/// Something to be known before the application moves, in one sentence.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Note {
    pub name: String,
    pub detail: String,
}

/// One gate: whether it is open, and the evidence in one sentence.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Check {
    pub name: String,
    pub ok: bool,
    pub detail: String,
}

/// The two possible answers; unknown is NO-GO.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Answer {
    #[serde(rename = "GO")]
    Go,
    #[serde(rename = "NO-GO")]
    NoGo,
}

impl Verdict {
    /// GO if there are checks and every one is ok.
    pub fn of(checks: Vec<Check>) -> Verdict {
        let go = !checks.is_empty() && checks.iter().all(|check| check.ok);
        let verdict = if go { Answer::Go } else { Answer::NoGo };
        Verdict { verdict, checks, notes: Vec::new() }
    }

    /// With one more thing to be known.
    pub fn note(mut self, name: impl Into<String>, detail: impl Into<String>) -> Verdict {
        self.notes.push(Note { name: name.into(), detail: detail.into() });
        self
    }

    pub fn notes(&self) -> &[Note] {
        &self.notes
    }

    pub fn is_go(&self) -> bool {
        self.verdict == Answer::Go
    }

    pub fn answer(&self) -> Answer {
        self.verdict
    }

    pub fn checks(&self) -> &[Check] {
        &self.checks
    }
}

impl Check {
    pub fn new(name: impl Into<String>, ok: bool, detail: impl Into<String>) -> Check {
        Check { name: name.into(), ok, detail: detail.into() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_closed_gate_or_none_at_all_is_no_go() {
        assert!(!Verdict::of(vec![]).is_go());
        let open = Check::new("phase", true, "stream");
        let closed = Check::new("lag", false, "unknown");
        assert!(Verdict::of(vec![open.clone()]).is_go());
        let mixed = Verdict::of(vec![open, closed]);
        assert!(!mixed.is_go());
        let json = serde_json::to_value(&mixed).expect("a verdict serialises");
        assert_eq!(json["verdict"], "NO-GO");
        assert_eq!(json["checks"][1]["ok"], false);
        assert_eq!(json["checks"][1]["detail"], "unknown");
    }
}
