//! The name of an XA transaction, and where its prepared half stands in the binlog.
//!
//! A server spells it in two ways, measured on 5.7, 8.0 and 9.7: `XA START`, `XA END`, `XA COMMIT` and `XA ROLLBACK` are statements
//! that end with `X'<gtrid>',X'<bqual>',<format>` in hexadecimal digits; the end of a prepared group is an event of its own
//! (XA_PREPARE_LOG_EVENT) that holds the bytes. Both become the same [`Xid`]; what fits neither is `None`, and stops the stream.

use std::fmt;

use super::gtid::GtidSet;
use super::position::FilePosition;

/// Either part of a name is at most this long (XA specification; MySQL's MAXGTRIDSIZE, MAXBQUALSIZE).
const PART: usize = 64;

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Xid {
    pub gtrid: Vec<u8>,
    pub bqual: Vec<u8>,
    /// The event has 32 bits of it, so no more take part in the comparison.
    pub format: u32,
}

/// A prepared transaction that is not decided, and the place of the group that prepared it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prepared {
    pub xid: Xid,
    /// The GTID of the group, if it has one; empty otherwise.
    pub gtids: GtidSet,
    /// Where the group begins.
    pub begins: FilePosition,
    /// Another one was held under this name, and is gone: see `stream::hold`.
    pub replaces: bool,
}

/// What a group of events that prepares, or commits in one phase, ends with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct XaEnd {
    pub xid: Xid,
    /// `XA COMMIT … ONE PHASE`: the group is a transaction like any other.
    pub one_phase: bool,
}

impl Xid {
    /// Reads `X'61',X'62',7`.
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split(',');
        let (gtrid, bqual) = (hexadecimal(parts.next()?)?, hexadecimal(parts.next()?)?);
        let format: i64 = parts.next()?.parse().ok()?;
        // Truncated as the event's 32 bits are.
        let format = u32::try_from(format & 0xffff_ffff).ok()?;
        (parts.next().is_none() && gtrid.len() <= PART && bqual.len() <= PART).then_some(Self { gtrid, bqual, format })
    }
}

impl XaEnd {
    /// Reads the body of an XA_PREPARE_LOG_EVENT: one byte (one phase?), format, two lengths, both parts.
    pub fn decode(body: &[u8]) -> Option<Self> {
        let number = |at: usize| Some(u32::from_le_bytes(body.get(at..at + 4)?.try_into().ok()?));
        let length = |at: usize| number(at).and_then(|length| usize::try_from(length).ok()).filter(|length| *length <= PART);
        let one_phase = match body.first()? {
            0 => false,
            1 => true,
            _ => return None,
        };
        let (format, gtrid, bqual) = (number(1)?, length(5)?, length(9)?);
        let parts = body.get(13..).filter(|parts| parts.len() == gtrid + bqual)?;
        let (gtrid, bqual) = parts.split_at_checked(gtrid)?;
        Some(Self { xid: Xid { gtrid: gtrid.to_vec(), bqual: bqual.to_vec(), format }, one_phase })
    }
}

fn hexadecimal(text: &str) -> Option<Vec<u8>> {
    let digits = text.strip_prefix("X'")?.strip_suffix('\'')?;
    let digit = |byte: &u8| char::from(*byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let pairs = digits.as_bytes().chunks(2).map(|pair| match pair {
        [high, low] => Some((digit(high)? << 4) | digit(low)?),
        _ => None,
    });
    pairs.collect()
}

impl fmt::Display for Xid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for part in [&self.gtrid, &self.bqual] {
            f.write_str("X'")?;
            for byte in part {
                write!(f, "{byte:02x}")?;
            }
            f.write_str("',")?;
        }
        write!(f, "{}", self.format)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_spellings_are_one_name() {
        let xid = Xid { gtrid: b"a".to_vec(), bqual: b"b".to_vec(), format: 7 };
        assert_eq!(Xid::parse("X'61',X'62',7"), Some(xid.clone()));
        assert_eq!(Xid::parse(&xid.to_string()), Some(xid.clone()));
        let body = [0, 7, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, b'a', b'b'];
        assert_eq!(XaEnd::decode(&body), Some(XaEnd { xid: xid.clone(), one_phase: false }));
        let in_one_phase = [1, 7, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, b'a', b'b'];
        assert_eq!(XaEnd::decode(&in_one_phase), Some(XaEnd { xid, one_phase: true }));
        let empty = Xid { gtrid: b"r".to_vec(), bqual: Vec::new(), format: u32::MAX };
        assert_eq!(Xid::parse("X'72',X'',4294967295"), Some(empty.clone()));
        assert_eq!(Xid::parse("X'72',X'',-1"), Some(empty));
    }

    #[test]
    fn what_is_no_name_is_none() {
        for text in ["", "'a'", "X'6',X'',1", "X'61',X''", "X'61',X'',x", "X'61',X'',1,2", "X'6g',X'',1"] {
            assert_eq!(Xid::parse(text), None, "{text}");
        }
        let long = format!("X'{}',X'',1", "61".repeat(65));
        assert_eq!(Xid::parse(&long), None);
        for body in [&[][..], &[2, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], &[0, 7, 0, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0, 1]] {
            assert_eq!(XaEnd::decode(body), None, "{body:?}");
        }
    }
}
