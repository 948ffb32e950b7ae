//! One cell, on its way from a row image or a result row to a statement. Borrowed: a value lives as long as the bytes it was
//! read from, so carrying a row costs no allocation per cell.
//!
//! Exactness is the point. A FLOAT stays the `f32` it is, a DECIMAL stays its digits, text stays bytes in the column's own
//! character set, ENUM and SET stay the numbers the server stores, and temporal values keep every digit and every zero part.

/// Decimal digits, held in place: MySQL's longest DECIMAL (65 digits, sign, point) fits.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Decimal {
    text: [u8; Self::CAPACITY],
    length: u8,
}

impl Decimal {
    /// 65 digits, a sign, a point, a leading zero, and slack.
    pub const CAPACITY: usize = 72;

    pub const fn new() -> Self {
        Self { text: [0; Self::CAPACITY], length: 0 }
    }

    /// Appends bytes; `None` when the number is longer than any DECIMAL can be.
    pub fn push(&mut self, bytes: &[u8]) -> Option<()> {
        let start = usize::from(self.length);
        let room = self.text.get_mut(start..start + bytes.len())?;
        room.copy_from_slice(bytes);
        self.length = u8::try_from(start + bytes.len()).ok()?;
        Some(())
    }

    pub fn as_bytes(&self) -> &[u8] {
        self.text.get(..usize::from(self.length)).unwrap_or(&[])
    }

    pub fn is_empty(&self) -> bool {
        self.length == 0
    }
}

impl Default for Decimal {
    fn default() -> Self {
        Self::new()
    }
}

impl std::fmt::Debug for Decimal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&String::from_utf8_lossy(self.as_bytes()))
    }
}

/// A calendar date; each part may be zero, as MySQL allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Date {
    pub year: u16,
    pub month: u8,
    pub day: u8,
}

/// A time of day or an interval: `hours` goes to 838 in a TIME.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Clock {
    pub hours: u16,
    pub minutes: u8,
    pub seconds: u8,
    pub micros: u32,
}

/// One cell's value.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Value<'a> {
    Null,
    Int(i64),
    /// Unsigned integers, BIT, YEAR, ENUM's index and SET's bits.
    UInt(u64),
    Float(f32),
    Double(f64),
    Decimal(Decimal),
    /// Bytes as stored: text in the column's character set, binary, geometry (SRID + WKB), vector.
    Bytes(&'a [u8]),
    /// `BINARY(n)` whose trailing zero bytes the binlog left out: `n` in all.
    Padded(&'a [u8], u32),
    Date(Date),
    Time {
        negative: bool,
        clock: Clock,
        fraction: u8,
    },
    /// DATETIME, or TIMESTAMP in UTC.
    DateTime {
        date: Date,
        clock: Clock,
        fraction: u8,
    },
    /// MySQL's binary JSON, as stored.
    Json(&'a [u8]),
    /// A JSON document as utf8mb4 text.
    JsonText(&'a [u8]),
}
