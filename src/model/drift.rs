//! Rows of the target that are not what the source's changes imply: the words for them.

use std::fmt;
use std::str::FromStr;

/// What is done about drift.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum OnDrift {
    #[default]
    Stop,
    Repair,
    Record,
}

impl OnDrift {
    pub const ALL: [Self; 3] = [Self::Stop, Self::Repair, Self::Record];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Stop => "stop",
            Self::Repair => Cure::Repair.as_str(),
            Self::Record => Cure::Record.as_str(),
        }
    }

    /// None where drift stops the task.
    pub const fn cure(self) -> Option<Cure> {
        match self {
            Self::Stop => None,
            Self::Repair => Some(Cure::Repair),
            Self::Record => Some(Cure::Record),
        }
    }
}

/// What is done about drift that does not stop the task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cure {
    Repair,
    Record,
}

impl Cure {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Repair => "repair",
            Self::Record => "record",
        }
    }
}

impl fmt::Display for OnDrift {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The text names no policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("is none of stop, repair, record")]
pub struct UnknownPolicy;

impl FromStr for OnDrift {
    type Err = UnknownPolicy;

    fn from_str(text: &str) -> Result<Self, UnknownPolicy> {
        Self::ALL.into_iter().find(|policy| policy.as_str() == text).ok_or(UnknownPolicy)
    }
}

/// How a row was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// It was to be changed or deleted.
    Missing,
    /// It was to be inserted.
    Unexpected,
}

impl Kind {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Unexpected => "unexpected",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_policy_is_what_it_is_called() {
        for policy in OnDrift::ALL {
            assert_eq!(policy.to_string().parse(), Ok(policy));
        }
        assert_eq!("ignore".parse::<OnDrift>(), Err(UnknownPolicy));
    }
}
