//! A number of bytes, written as people write it: `8MiB`, `512KiB`, `100B`, `1GB`.
//!
//! A bare number is refused: whoever writes `8` meant something, and it was not eight bytes. `MiB` is
//! 1,048,576 and `MB` is 1,000,000, as in IEC 80000-13; `8M` could be either and is refused too.

use std::fmt;
use std::str::FromStr;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Bytes(u64);

/// Largest binary unit first, so that display picks the shortest exact text.
const BINARY: [(&str, u64); 3] = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];
const DECIMAL: [(&str, u64); 3] = [("GB", 1_000_000_000), ("MB", 1_000_000), ("KB", 1_000)];

impl Bytes {
    pub const fn new(count: u64) -> Bytes {
        Bytes(count)
    }

    pub const fn kibi(count: u64) -> Bytes {
        Bytes(count << 10)
    }

    pub const fn mebi(count: u64) -> Bytes {
        Bytes(count << 20)
    }

    pub const fn get(self) -> u64 {
        self.0
    }

    /// As a size in memory; what does not fit into it is as good as without bound.
    pub fn in_memory(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }
}

/// The text is no size.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("is no size")]
pub struct NotASize;

impl FromStr for Bytes {
    type Err = NotASize;

    fn from_str(text: &str) -> Result<Bytes, NotASize> {
        let text = text.trim();
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        let (number, unit) = text.split_at(digits);
        let number: u64 = number.parse().map_err(|_| NotASize)?;
        let unit = unit.trim_start();
        let scale = if unit.eq_ignore_ascii_case("b") {
            1
        } else {
            BINARY
                .iter()
                .chain(&DECIMAL)
                .find(|(name, _)| name.eq_ignore_ascii_case(unit))
                .map(|(_, scale)| *scale)
                .ok_or(NotASize)?
        };
        number.checked_mul(scale).map(Bytes).ok_or(NotASize)
    }
}

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match BINARY.iter().find(|(_, scale)| self.0 > 0 && self.0.is_multiple_of(*scale)) {
            Some((unit, scale)) => write!(f, "{}{unit}", self.0 / scale),
            None => write!(f, "{}B", self.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_read_as_written() {
        for (text, count) in
            [("8MiB", 8 << 20), ("8 mib", 8 << 20), ("64KiB", 64 << 10), ("1GB", 1_000_000_000), ("100B", 100), ("0B", 0)]
        {
            assert_eq!(text.parse(), Ok(Bytes::new(count)), "{text}");
        }
    }

    #[test]
    fn nonsense_is_refused() {
        for text in ["", "8", "8M", "MiB", "-1MiB", "1.5MiB", "8MiB8", "99999999999GiB", "٣MiB"] {
            assert_eq!(text.parse::<Bytes>(), Err(NotASize), "{text}");
        }
    }

    #[test]
    fn display_reads_back() {
        for count in [0, 1, 1023, 1024, 1536, 8 << 20, (8 << 20) + 1, 3 << 30, u64::MAX] {
            let bytes = Bytes::new(count);
            assert_eq!(bytes.to_string().parse(), Ok(bytes));
        }
    }
}
