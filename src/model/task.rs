//! What one daemon carries: a task, and which parts of a migration it does.

use std::fmt;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::str::FromStr;

/// The longest name: it is part of a primary key on the target.
const NAME_LENGTH: usize = 64;

/// A task's name: 1 to 64 of `A-Z a-z 0-9 _ . -`, so that it fits a key, a file name, a systemd
/// instance and a metric label without quoting.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Name(String);

/// The text is no task name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("is no task name")]
pub struct NotAName;

impl Name {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Name {
    type Err = NotAName;

    fn from_str(text: &str) -> Result<Name, NotAName> {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte);
        if (1..=NAME_LENGTH).contains(&text.len()) && text.bytes().all(plain) { Ok(Name(text.to_owned())) } else { Err(NotAName) }
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Task {
    pub name: Name,
    /// Our identity as a replica; MySQL drops the older of two replicas that use the same one.
    pub server_id: NonZeroU32,
    /// Where the checkpoint's copy for human eyes goes; nothing is read back from there.
    pub state_dir: Option<PathBuf>,
}

/// Which parts of a migration the task does. Only combinations that end well can be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Migrate {
    schema: bool,
    copy: bool,
    stream: bool,
}

/// A combination of parts that cannot end well.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Pointless {
    #[error("nothing is left to do: schema, copy and stream are all false")]
    Nothing,
    #[error("a stream alone begins at the present: what changed before it, and rows that nobody copied, would be missing")]
    StreamWithoutCopy,
}

impl Pointless {
    pub fn remedy(self) -> &'static str {
        match self {
            Pointless::Nothing => "set at least one of them to true, or leave them out",
            Pointless::StreamWithoutCopy => "copy = true; tables that are on the target already are used when they are empty",
        }
    }
}

impl Migrate {
    pub fn new(schema: bool, copy: bool, stream: bool) -> Result<Migrate, Pointless> {
        match (schema, copy, stream) {
            (false, false, false) => Err(Pointless::Nothing),
            (_, false, true) => Err(Pointless::StreamWithoutCopy),
            _ => Ok(Migrate { schema, copy, stream }),
        }
    }

    pub fn schema(self) -> bool {
        self.schema
    }

    pub fn copy(self) -> bool {
        self.copy
    }

    pub fn stream(self) -> bool {
        self.stream
    }
}

impl Default for Migrate {
    /// Everything: that is what a migration without downtime is.
    fn default() -> Self {
        Migrate { schema: true, copy: true, stream: true }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_needs_no_quoting_anywhere() {
        for good in ["a", "orders-2024_v1.2", &"x".repeat(64)] {
            assert!(good.parse::<Name>().is_ok(), "{good}");
        }
        for bad in ["", "two words", "käse", "a/b", "a'b", &"x".repeat(65)] {
            assert_eq!(bad.parse::<Name>(), Err(NotAName), "{bad}");
        }
    }

    #[test]
    fn only_combinations_that_end_well_are_accepted() {
        for bits in 0..8_u8 {
            let [schema, copy, stream] = [bits & 4 != 0, bits & 2 != 0, bits & 1 != 0];
            let refused = bits == 0 || (stream && !copy);
            assert_eq!(Migrate::new(schema, copy, stream).is_err(), refused, "{bits:03b}");
        }
    }
}
