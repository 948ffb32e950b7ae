//! Where we are in the source's history. A position is volatile; only the checkpoint makes one durable.

use std::fmt;

use super::gtid::GtidSet;

/// A place in a server's binary log: right *after* the last byte that counts as read or applied.
#[derive(Debug, Clone, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
pub struct FilePosition {
    pub file: String,
    pub offset: u64,
}

impl FilePosition {
    /// The number at the end of the file's name; files are numbered upwards without gaps that matter here.
    pub fn sequence(&self) -> Option<u64> {
        self.file.rsplit('.').next()?.parse().ok()
    }

    /// The name without its number.
    fn base(&self) -> Option<&str> {
        self.file.rsplit_once('.').map(|(base, _)| base)
    }

    /// True when everything up to `other` lies at or before `self`. Names that carry no number, or that a server was told to give anew
    /// (`log_bin`), do not compare: unknown is not yes.
    pub fn reaches(&self, other: &FilePosition) -> bool {
        if self.file == other.file {
            return self.offset >= other.offset;
        }
        match (self.sequence(), other.sequence()) {
            (Some(ours), Some(theirs)) => self.base() == other.base() && ours > theirs,
            _ => false,
        }
    }

    /// True when `end`, the end of the same server's log, lies before `self`: a server's files only grow. Names that do not compare
    /// prove nothing.
    pub fn is_ahead_of(&self, end: &FilePosition) -> bool {
        self.base().is_some() && self != end && self.reaches(end)
    }
}

impl fmt::Display for FilePosition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file, self.offset)
    }
}

/// A position in both spellings. `gtids` is empty on a source without GTIDs.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Position {
    pub gtids: GtidSet,
    pub file: FilePosition,
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.file.fmt(f)
    }
}

/// A position that means something only on the server it was read from: file names repeat between servers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mark {
    pub server_uuid: String,
    pub file: FilePosition,
}

/// The last committed batch, for everybody who wants to know.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Applied {
    pub position: Position,
    /// Transactions since this lane began.
    pub transactions: u64,
    /// When the source committed its last transaction, by the source's clock.
    pub at_micros: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(file: &str, offset: u64) -> FilePosition {
        FilePosition { file: file.to_owned(), offset }
    }

    #[test]
    fn files_compare_by_number_not_by_letters() {
        assert!(at("binlog.1000000", 4).reaches(&at("binlog.999999", 900)));
        assert!(!at("binlog.999999", 900).reaches(&at("binlog.1000000", 4)));
        assert!(at("b.000002", 7).reaches(&at("b.000002", 7)));
        assert!(!at("b.000002", 6).reaches(&at("b.000002", 7)));
        assert!(!at("old.000002", 6).reaches(&at("new.000001", 7)), "a server whose files were named anew");
    }

    #[test]
    fn a_log_that_ends_before_a_place_in_it_is_not_the_one_that_it_was_read_from() {
        assert!(at("b.000003", 7).is_ahead_of(&at("b.000001", 900)) && at("b.000003", 7).is_ahead_of(&at("b.000003", 6)));
        assert!(!at("b.000003", 7).is_ahead_of(&at("b.000003", 7)) && !at("b.000003", 7).is_ahead_of(&at("b.000004", 4)));
        assert!(!at("b.000003", 7).is_ahead_of(&at("renamed.000001", 4)), "of two names nothing is known");
        assert!(!FilePosition::default().is_ahead_of(&at("b.000001", 4)) && !at("b", 7).is_ahead_of(&at("b", 4)));
    }

    #[test]
    fn names_without_a_number_never_reach_each_other() {
        assert!(!at("alpha", 10).reaches(&at("beta", 4)));
    }
}
