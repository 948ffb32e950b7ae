//! The binlog's row image, which is also our row: a row stays in the bytes it arrived in until the moment its values are written
//! into a statement. Nothing is allocated per cell, and nothing is converted that will not be written.
//!
//! [`Layout`] is what a TABLE_MAP event says about the columns: their wire types and sizes. It knows no names and, from a 5.7
//! source, not even signs; those come from the [`Table`] that the layout is checked against once ([`Layout::fits`]).
//!
//! Invariants:
//! 1. [`Layout::measure`] walks an image to its end before a [`RowImage`] exists, so reading a cell later never runs out of bytes
//!    that the event promised; what does not fit is an [`ImageError`], and the stream stops there.
//! 2. Images are FULL: [`Layout::measure`] is only called on events whose column bitmap is all ones.
//!
//! Formats: MySQL's `sql/rpl_record.cc`, `Field_*::pack`, `sql-common/my_time.cc` and `strings/decimal.cc`.

mod cells;

use std::sync::Arc;

use super::json::diff::DiffError;
use super::table::{Column, ColumnKind, Table};
use super::value::{Clock, Date, Decimal, Value};

/// How one column's bytes are laid out in an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wire {
    /// 1, 2, 3, 4 or 8 bytes, little-endian.
    Integer {
        bytes: u8,
    },
    Float,
    Double,
    Decimal {
        digits: u8,
        scale: u8,
    },
    Bit {
        bytes: u8,
    },
    Year,
    Date,
    /// The formats of before 5.6, which tables keep until they are rebuilt.
    OldTime,
    OldDateTime,
    OldTimestamp,
    Time {
        fraction: u8,
    },
    DateTime {
        fraction: u8,
    },
    Timestamp {
        fraction: u8,
    },
    /// CHAR, VARCHAR, BINARY, VARBINARY: a length of one or two bytes, then the bytes.
    String {
        length_bytes: u8,
    },
    /// BLOB, TEXT, JSON, GEOMETRY, VECTOR: a length of 1 to 4 bytes, then the bytes.
    Blob {
        length_bytes: u8,
    },
    Json {
        length_bytes: u8,
    },
    Geometry {
        length_bytes: u8,
    },
    Vector {
        length_bytes: u8,
    },
    Enum {
        bytes: u8,
    },
    Set {
        bytes: u8,
    },
}

/// Why bytes are not a row.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ImageError {
    #[error("the row image ends in the middle of column {0}")]
    Short(usize),
    #[error("column {0} holds a value that its type cannot have")]
    Value(usize),
    #[error("column {0}: {1}")]
    Partial(usize, DiffError),
    #[error("the event has the row value options {0}, which this version does not know")]
    UnknownOptions(u64),
    #[error("the event has columns of type {0}, which this version does not know")]
    UnknownType(u8),
    #[error("the event describes a column of type {0} with a size that the type cannot have")]
    Metadata(u8),
    #[error("the event describes {event} columns, the table has {table}")]
    ColumnCount { event: usize, table: usize },
    #[error("column {column} is {table} in the table, but {event} in the event")]
    ColumnType { column: String, table: String, event: String },
}

/// The columns of a TABLE_MAP event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    columns: Vec<Wire>,
}

impl Layout {
    pub fn new(columns: Vec<Wire>) -> Self {
        Self { columns }
    }

    pub fn len(&self) -> usize {
        self.columns.len()
    }

    pub fn is_empty(&self) -> bool {
        self.columns.is_empty()
    }

    /// The layout of only the first `count` columns.
    pub fn first(&self, count: usize) -> Self {
        Self { columns: self.columns.iter().take(count).copied().collect() }
    }

    /// Checks that rows of this layout are rows of `table`.
    pub fn fits(&self, table: &Table) -> Result<(), ImageError> {
        let (event, known) = (self.columns.len(), table.columns.len());
        if event != known && event != known + table.hidden {
            return Err(ImageError::ColumnCount { event, table: known });
        }
        for (wire, column) in self.columns.iter().zip(&table.columns) {
            if !wire.carries(column.kind) {
                return Err(ImageError::ColumnType {
                    column: column.name.clone(),
                    table: column.type_text.clone(),
                    event: format!("{wire:?}"),
                });
            }
        }
        Ok(())
    }

    pub(super) fn wires(&self) -> &[Wire] {
        &self.columns
    }

    /// The length of the image that `bytes` begins with.
    pub fn measure(&self, bytes: &[u8]) -> Result<usize, ImageError> {
        let mut at = self.columns.len().div_ceil(8);
        let nulls = bytes.get(..at).ok_or(ImageError::Short(0))?;
        for (index, wire) in self.columns.iter().enumerate() {
            if !is_null(nulls, index) {
                at += wire.size(bytes.get(at..).unwrap_or(&[])).ok_or(ImageError::Short(index))?;
                if at > bytes.len() {
                    return Err(ImageError::Short(index));
                }
            }
        }
        Ok(at)
    }
}

fn is_null(nulls: &[u8], index: usize) -> bool {
    nulls.get(index / 8).is_some_and(|byte| byte >> (index % 8) & 1 == 1)
}

/// One row, as it stood before or after a change.
#[derive(Debug, Clone)]
pub struct RowImage {
    event: Arc<[u8]>,
    start: usize,
    end: usize,
    layout: Arc<Layout>,
}

impl RowImage {
    /// The image at `start..end` of an event's rows; `end` comes from [`Layout::measure`].
    pub fn new(event: Arc<[u8]>, start: usize, end: usize, layout: Arc<Layout>) -> Self {
        Self { event, start, end, layout }
    }

    pub fn bytes(&self) -> &[u8] {
        self.event.get(self.start..self.end).unwrap_or(&[])
    }

    /// Calls `visit` with each column's value, in order.
    pub fn walk<'a>(&'a self, columns: &[Column], mut visit: impl FnMut(usize, Value<'a>)) -> Result<(), ImageError> {
        let bytes = self.bytes();
        let mut at = self.layout.columns.len().div_ceil(8);
        let nulls = bytes.get(..at).ok_or(ImageError::Short(0))?;
        for (index, (wire, column)) in self.layout.columns.iter().zip(columns).enumerate() {
            if is_null(nulls, index) {
                visit(index, Value::Null);
                continue;
            }
            let rest = bytes.get(at..).unwrap_or(&[]);
            let size = wire.size(rest).ok_or(ImageError::Short(index))?;
            let cell = rest.get(..size).ok_or(ImageError::Short(index))?;
            visit(index, wire.read(cell, column.kind).ok_or(ImageError::Value(index))?);
            at += size;
        }
        Ok(())
    }
}

impl PartialEq for RowImage {
    /// Equal when every byte is: two images of one layout with equal values.
    fn eq(&self, other: &Self) -> bool {
        self.bytes() == other.bytes()
    }
}

/// Bytes that a DECIMAL's `digits` leftover digits take.
const DIGIT_BYTES: [usize; 10] = [0, 1, 1, 2, 2, 3, 3, 4, 4, 4];

fn fraction_bytes(fraction: u8) -> usize {
    usize::from(fraction).div_ceil(2)
}

fn little(bytes: &[u8]) -> u64 {
    bytes.iter().rev().fold(0, |value, byte| value << 8 | u64::from(*byte))
}

fn big(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0, |value, byte| value << 8 | u64::from(*byte))
}

impl Wire {
    /// Reads a TABLE_MAP column: the raw type byte and its metadata bytes.
    pub fn parse(type_byte: u8, metadata: &[u8]) -> Result<Self, ImageError> {
        let first = metadata.first().copied().unwrap_or(0);
        let second = metadata.get(1).copied().unwrap_or(0);
        let wire = match type_byte {
            1 => Self::Integer { bytes: 1 },
            2 => Self::Integer { bytes: 2 },
            9 => Self::Integer { bytes: 3 },
            3 => Self::Integer { bytes: 4 },
            8 => Self::Integer { bytes: 8 },
            4 => Self::Float,
            5 => Self::Double,
            246 => Self::Decimal { digits: first, scale: second },
            16 => Self::Bit { bytes: second.saturating_add(u8::from(first > 0)) },
            13 => Self::Year,
            10 | 14 => Self::Date,
            11 => Self::OldTime,
            12 => Self::OldDateTime,
            7 => Self::OldTimestamp,
            19 => Self::Time { fraction: first },
            18 => Self::DateTime { fraction: first },
            17 => Self::Timestamp { fraction: first },
            15 | 253 => Self::String { length_bytes: if little(metadata) > 255 { 2 } else { 1 } },
            254 => Self::parse_string(first, second)?,
            247 => Self::Enum { bytes: second },
            248 => Self::Set { bytes: second },
            249..=252 => Self::Blob { length_bytes: first },
            245 => Self::Json { length_bytes: first },
            255 => Self::Geometry { length_bytes: first },
            242 => Self::Vector { length_bytes: first },
            other => return Err(ImageError::UnknownType(other)),
        };
        if wire.is_possible() { Ok(wire) } else { Err(ImageError::Metadata(type_byte)) }
    }

    /// Whether a server has such a column: sizes beyond these would be read as something else.
    fn is_possible(self) -> bool {
        match self {
            Self::Integer { .. } | Self::Float | Self::Double | Self::Year | Self::Date => true,
            Self::OldTime | Self::OldDateTime | Self::OldTimestamp | Self::String { .. } => true,
            Self::Decimal { digits, scale } => (1..=65).contains(&digits) && scale <= 30 && scale <= digits,
            Self::Time { fraction } | Self::DateTime { fraction } | Self::Timestamp { fraction } => fraction <= 6,
            Self::Bit { bytes } | Self::Set { bytes } => (1..=8).contains(&bytes),
            Self::Enum { bytes } => (1..=2).contains(&bytes),
            Self::Blob { length_bytes }
            | Self::Json { length_bytes }
            | Self::Geometry { length_bytes }
            | Self::Vector { length_bytes } => (1..=4).contains(&length_bytes),
        }
    }

    /// MYSQL_TYPE_STRING carries its real type in the metadata, and two bits of the length folded into it.
    fn parse_string(first: u8, second: u8) -> Result<Self, ImageError> {
        let folded = (first & 0x30) ^ 0x30;
        let length = u16::from(second) | (u16::from(folded) << 4);
        match first | 0x30 {
            247 => Ok(Self::Enum { bytes: second }),
            248 => Ok(Self::Set { bytes: second }),
            254 => Ok(Self::String { length_bytes: if length > 255 { 2 } else { 1 } }),
            other => Err(ImageError::UnknownType(other)),
        }
    }

    fn carries(self, kind: ColumnKind) -> bool {
        match self {
            Self::Integer { .. } => matches!(kind, ColumnKind::Integer { .. }),
            Self::Float => kind == ColumnKind::Float,
            Self::Double => kind == ColumnKind::Double,
            Self::Decimal { .. } => kind == ColumnKind::Decimal,
            Self::Bit { .. } => kind == ColumnKind::Bit,
            Self::Year => kind == ColumnKind::Year,
            Self::Date => kind == ColumnKind::Date,
            Self::OldTime => kind == ColumnKind::Time { fraction: 0 },
            Self::OldDateTime => kind == ColumnKind::DateTime { fraction: 0 },
            Self::OldTimestamp => kind == ColumnKind::Timestamp { fraction: 0 },
            Self::Time { fraction } => kind == ColumnKind::Time { fraction },
            Self::DateTime { fraction } => kind == ColumnKind::DateTime { fraction },
            Self::Timestamp { fraction } => kind == ColumnKind::Timestamp { fraction },
            Self::String { .. } => matches!(kind, ColumnKind::Text | ColumnKind::Binary | ColumnKind::FixedBinary { .. }),
            Self::Blob { .. } => matches!(kind, ColumnKind::Text | ColumnKind::Binary),
            Self::Json { .. } => kind == ColumnKind::Json,
            Self::Geometry { .. } => kind == ColumnKind::Geometry,
            Self::Vector { .. } => kind == ColumnKind::Vector,
            Self::Enum { .. } => kind == ColumnKind::Enum,
            Self::Set { .. } => kind == ColumnKind::Set,
        }
    }

    /// Bytes that the cell at the start of `rest` takes, its length prefix included.
    fn size(self, rest: &[u8]) -> Option<usize> {
        Some(match self {
            Self::Integer { bytes } | Self::Bit { bytes } | Self::Enum { bytes } | Self::Set { bytes } => usize::from(bytes),
            Self::Float | Self::OldTimestamp => 4,
            Self::Double | Self::OldDateTime => 8,
            Self::Year => 1,
            Self::Date | Self::OldTime => 3,
            Self::Decimal { digits, scale } => {
                let whole = usize::from(digits.checked_sub(scale)?);
                let scale = usize::from(scale);
                whole / 9 * 4 + DIGIT_BYTES.get(whole % 9)? + scale / 9 * 4 + DIGIT_BYTES.get(scale % 9)?
            }
            Self::Time { fraction } => 3 + fraction_bytes(fraction),
            Self::DateTime { fraction } => 5 + fraction_bytes(fraction),
            Self::Timestamp { fraction } => 4 + fraction_bytes(fraction),
            Self::String { length_bytes }
            | Self::Blob { length_bytes }
            | Self::Json { length_bytes }
            | Self::Geometry { length_bytes }
            | Self::Vector { length_bytes } => {
                let prefix = usize::from(length_bytes);
                prefix.checked_add(usize::try_from(little(rest.get(..prefix)?)).ok()?)?
            }
        })
    }

    /// The value of a cell that stands alone, when `bytes` are just this cell.
    pub fn value(self, bytes: &[u8], kind: ColumnKind) -> Option<Value<'_>> {
        (self.size(bytes)? == bytes.len()).then(|| self.read(bytes, kind))?
    }

    /// The value of one cell, whose size [`Wire::size`] has given.
    fn read(self, cell: &[u8], kind: ColumnKind) -> Option<Value<'_>> {
        Some(match self {
            Self::Integer { bytes } => read_integer(cell, bytes, kind),
            Self::Float => Value::Float(f32::from_le_bytes(cell.try_into().ok()?)),
            Self::Double => Value::Double(f64::from_le_bytes(cell.try_into().ok()?)),
            Self::Decimal { digits, scale } => Value::Decimal(read_decimal(cell, digits, scale)?),
            Self::Bit { .. } => Value::UInt(big(cell)),
            Self::Year => Value::UInt(cell.first().map_or(0, |year| if *year == 0 { 0 } else { 1900 + u64::from(*year) })),
            Self::Date => {
                let packed = little(cell);
                Value::Date(Date {
                    year: u16::try_from(packed >> 9).ok()?,
                    month: (packed >> 5 & 15) as u8,
                    day: (packed & 31) as u8,
                })
            }
            Self::OldTime => read_old_time(cell)?,
            Self::OldDateTime => read_old_datetime(cell)?,
            Self::OldTimestamp => read_timestamp(little(cell), 0, 0),
            Self::Time { fraction } => read_time(cell, fraction)?,
            Self::DateTime { fraction } => read_datetime(cell, fraction)?,
            Self::Timestamp { fraction } => {
                read_timestamp(big(cell.get(..4)?), read_fraction(cell.get(4..)?, fraction), fraction)
            }
            Self::String { length_bytes } => {
                let bytes = cell.get(usize::from(length_bytes)..)?;
                match kind {
                    ColumnKind::FixedBinary { length } => Value::Padded(bytes, length),
                    _ => Value::Bytes(bytes),
                }
            }
            Self::Blob { length_bytes } | Self::Geometry { length_bytes } | Self::Vector { length_bytes } => {
                Value::Bytes(cell.get(usize::from(length_bytes)..)?)
            }
            Self::Json { length_bytes } => Value::Json(cell.get(usize::from(length_bytes)..)?),
            Self::Enum { .. } | Self::Set { .. } => Value::UInt(little(cell)),
        })
    }
}

fn read_integer(cell: &[u8], bytes: u8, kind: ColumnKind) -> Value<'_> {
    let raw = little(cell);
    if kind == (ColumnKind::Integer { unsigned: true }) {
        return Value::UInt(raw);
    }
    let unused = 64 - 8 * u32::from(bytes);
    // Shifting up and back down as a signed number extends the sign.
    Value::Int((raw << unused).cast_signed() >> unused)
}

fn read_decimal(cell: &[u8], digits: u8, scale: u8) -> Option<Decimal> {
    let whole = usize::from(digits.checked_sub(scale)?);
    let scale = usize::from(scale);
    let negative = cell.first()? & 0x80 == 0;
    let byte = |at: usize| -> Option<u8> {
        let byte = *cell.get(at)? ^ if negative { 0xff } else { 0 };
        Some(if at == 0 { byte ^ 0x80 } else { byte })
    };
    let mut at = 0;
    let mut group = |width: usize| -> Option<u64> {
        let mut value = 0;
        for _ in 0..width {
            value = value << 8 | u64::from(byte(at)?);
            at += 1;
        }
        Some(value)
    };
    let mut text = Decimal::new();
    if negative {
        text.push(b"-")?;
    }
    let mut started = false;
    let lead = whole % 9;
    let whole_groups = (lead > 0).then_some(lead).into_iter().chain(std::iter::repeat_n(9, whole / 9));
    for group_digits in whole_groups {
        let value = group(*DIGIT_BYTES.get(group_digits)?)?;
        if started {
            push_padded(&mut text, value, group_digits)?;
        } else if value > 0 {
            text.push(value.to_string().as_bytes())?;
            started = true;
        }
    }
    if !started {
        text.push(b"0")?;
    }
    if scale > 0 {
        text.push(b".")?;
        let tail = scale % 9;
        for group_digits in std::iter::repeat_n(9, scale / 9).chain((tail > 0).then_some(tail)) {
            let value = group(*DIGIT_BYTES.get(group_digits)?)?;
            push_padded(&mut text, value, group_digits)?;
        }
    }
    Some(text)
}

fn push_padded(text: &mut Decimal, value: u64, width: usize) -> Option<()> {
    let mut digits = [b'0'; 9];
    let mut rest = value;
    for digit in digits.get_mut(..width)?.iter_mut().rev() {
        *digit = b'0' + (rest % 10) as u8;
        rest /= 10;
    }
    (rest == 0).then_some(())?;
    text.push(digits.get(..width)?)
}

/// Microseconds from the 0 to 3 bytes behind a temporal value.
fn read_fraction(bytes: &[u8], fraction: u8) -> u32 {
    let raw = big(bytes) as u32;
    match fraction {
        1 | 2 => raw * 10_000,
        3 | 4 => raw * 100,
        _ => raw,
    }
}

fn read_time(cell: &[u8], fraction: u8) -> Option<Value<'static>> {
    // TIME is stored as a number shifted to be unsigned, so that bytes sort; the fraction of a negative time counts down.
    let width = 8 * cell.len() as u32;
    let shifted = i64::try_from(big(cell)).ok()? - (1_i64 << (width - 1));
    let fraction_bits = 8 * u32::try_from(fraction_bytes(fraction)).ok()?;
    let magnitude = shifted.unsigned_abs();
    let hms = magnitude >> fraction_bits;
    let raw = magnitude & ((1 << fraction_bits) - 1);
    let micros = match fraction {
        1 | 2 => raw * 10_000,
        3 | 4 => raw * 100,
        _ => raw,
    };
    Some(Value::Time {
        negative: shifted < 0,
        clock: Clock {
            hours: (hms >> 12 & 0x3ff) as u16,
            minutes: (hms >> 6 & 63) as u8,
            seconds: (hms & 63) as u8,
            micros: u32::try_from(micros).ok()?,
        },
        fraction,
    })
}

fn read_datetime(cell: &[u8], fraction: u8) -> Option<Value<'static>> {
    let packed = big(cell.get(..5)?).checked_sub(0x80_0000_0000)?;
    let (date, clock) = (packed >> 17, packed & 0x1_ffff);
    Some(Value::DateTime {
        date: Date { year: u16::try_from((date >> 5) / 13).ok()?, month: ((date >> 5) % 13) as u8, day: (date & 31) as u8 },
        clock: Clock {
            hours: (clock >> 12) as u16,
            minutes: (clock >> 6 & 63) as u8,
            seconds: (clock & 63) as u8,
            micros: read_fraction(cell.get(5..)?, fraction),
        },
        fraction,
    })
}

fn read_timestamp(seconds: u64, micros: u32, fraction: u8) -> Value<'static> {
    // Zero is the zero date, not 1970.
    if seconds == 0 && micros == 0 {
        return Value::DateTime { date: Date::default(), clock: Clock::default(), fraction };
    }
    let (days, second) = (seconds / 86_400, seconds % 86_400);
    Value::DateTime {
        date: civil(days),
        clock: Clock { hours: (second / 3600) as u16, minutes: (second / 60 % 60) as u8, seconds: (second % 60) as u8, micros },
        fraction,
    }
}

/// The Gregorian date `days` after 1970-01-01 (days counted in 400-year eras that begin on 1 March).
fn civil(days: u64) -> Date {
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    Date {
        year: (era * 400 + year_of_era + u64::from(month <= 2)) as u16,
        month: month as u8,
        day: (day_of_year - (153 * shifted_month + 2) / 5 + 1) as u8,
    }
}

fn read_old_time(cell: &[u8]) -> Option<Value<'static>> {
    let raw = little(cell);
    let signed = (raw << 40).cast_signed() >> 40;
    let magnitude = signed.unsigned_abs();
    Some(Value::Time {
        negative: signed < 0,
        clock: Clock {
            hours: u16::try_from(magnitude / 10_000).ok()?,
            minutes: (magnitude / 100 % 100) as u8,
            seconds: (magnitude % 100) as u8,
            micros: 0,
        },
        fraction: 0,
    })
}

fn read_old_datetime(cell: &[u8]) -> Option<Value<'static>> {
    let raw = little(cell);
    let (date, clock) = (raw / 1_000_000, raw % 1_000_000);
    Some(Value::DateTime {
        date: Date { year: u16::try_from(date / 10_000).ok()?, month: (date / 100 % 100) as u8, day: (date % 100) as u8 },
        clock: Clock {
            hours: (clock / 10_000) as u16,
            minutes: (clock / 100 % 100) as u8,
            seconds: (clock % 100) as u8,
            micros: 0,
        },
        fraction: 0,
    })
}

#[cfg(test)]
mod tests {
    use super::super::table::tests::{column, table};
    use super::*;

    fn read(wire: Wire, kind: ColumnKind, bytes: &[u8]) -> Value<'_> {
        assert_eq!(wire.size(bytes), Some(bytes.len()), "{wire:?}");
        wire.read(bytes, kind).expect("a value")
    }

    #[test]
    fn integers_extend_their_sign_only_when_signed() {
        let signed = ColumnKind::Integer { unsigned: false };
        let unsigned = ColumnKind::Integer { unsigned: true };
        let medium = Wire::Integer { bytes: 3 };
        assert_eq!(read(medium, signed, &[0xff, 0xff, 0xff]), Value::Int(-1));
        assert_eq!(read(medium, unsigned, &[0xff, 0xff, 0xff]), Value::UInt(0xff_ffff));
        assert_eq!(read(Wire::Integer { bytes: 8 }, signed, &[0, 0, 0, 0, 0, 0, 0, 0x80]), Value::Int(i64::MIN));
    }

    #[test]
    fn decimals_keep_every_digit_and_the_sign() {
        // The example of strings/decimal.cc: 1234567890.1234 as DECIMAL(14,4), and its negative.
        let wire = Wire::Decimal { digits: 14, scale: 4 };
        let text = |bytes: &[u8]| match read(wire, ColumnKind::Decimal, bytes) {
            Value::Decimal(decimal) => String::from_utf8(decimal.as_bytes().to_vec()).expect("digits"),
            other => panic!("{other:?}"),
        };
        assert_eq!(text(&[0x81, 0x0d, 0xfb, 0x38, 0xd2, 0x04, 0xd2]), "1234567890.1234");
        assert_eq!(text(&[0x7e, 0xf2, 0x04, 0xc7, 0x2d, 0xfb, 0x2d]), "-1234567890.1234");
        assert_eq!(text(&[0x80, 0, 0, 0, 0, 0, 1]), "0.0001");
    }

    #[test]
    fn negative_times_count_their_fraction_down() {
        // Field_timef's own table: -00:00:00.01 as TIME(2) is 7f ff ff ff.
        let value = read(Wire::Time { fraction: 2 }, ColumnKind::Time { fraction: 2 }, &[0x7f, 0xff, 0xff, 0xff]);
        let clock = Clock { micros: 10_000, ..Clock::default() };
        assert_eq!(value, Value::Time { negative: true, clock, fraction: 2 });
    }

    #[test]
    fn timestamps_become_utc_dates_and_zero_stays_zero() {
        let at = |seconds: u32| read_timestamp(u64::from(seconds), 0, 0);
        let date = |year, month, day| Date { year, month, day };
        let Value::DateTime { date: leap, clock, .. } = at(951_827_696) else { panic!() };
        assert_eq!((leap, clock.hours, clock.minutes, clock.seconds), (date(2000, 2, 29), 12, 34, 56));
        let Value::DateTime { date: last, .. } = at(2_147_483_647) else { panic!() };
        assert_eq!(last, date(2038, 1, 19));
        let Value::DateTime { date: zero, .. } = at(0) else { panic!() };
        assert_eq!(zero, Date::default());
    }

    #[test]
    fn an_image_is_measured_to_its_end_or_refused() {
        let layout = Layout::new(vec![Wire::Integer { bytes: 4 }, Wire::String { length_bytes: 1 }]);
        let image = [0b0, 7, 0, 0, 0, 3, b'a', b'b', b'c', 0xee];
        assert_eq!(layout.measure(&image), Ok(9));
        assert_eq!(layout.measure(&image[..8]), Err(ImageError::Short(1)));
        assert_eq!(layout.measure(&[0b11]), Ok(1));
    }

    #[test]
    fn a_layout_that_does_not_fit_names_the_column() {
        let table = table("t", vec![column("id", ColumnKind::Integer { unsigned: false })], &[0]);
        assert_eq!(Layout::new(vec![Wire::Integer { bytes: 4 }]).fits(&table), Ok(()));
        let error = Layout::new(vec![Wire::Double]).fits(&table).expect_err("a double is no integer");
        assert!(error.to_string().contains("column id"));
    }

    #[test]
    fn string_metadata_folds_long_lengths_and_real_types() {
        // CHAR(255) in utf8mb4 is 1020 bytes long: two bits of the length hide in the type byte.
        assert_eq!(Wire::parse(254, &[0xce, 0xfc]), Ok(Wire::String { length_bytes: 2 }));
        assert_eq!(Wire::parse(254, &[0xf7, 0x01]), Ok(Wire::Enum { bytes: 1 }));
        assert_eq!(Wire::parse(254, &[0xf8, 0x08]), Ok(Wire::Set { bytes: 8 }));
        assert_eq!(Wire::parse(99, &[]), Err(ImageError::UnknownType(99)));
    }

    #[test]
    fn sizes_that_no_column_has_are_refused() {
        for (kind, metadata) in [
            (16, [1, 255]),
            (16, [0, 9]),
            (246, [66, 2]),
            (246, [5, 6]),
            (18, [7, 0]),
            (254, [247, 3]),
            (248, [0, 9]),
            (252, [5, 0]),
            (245, [0, 0]),
        ] {
            assert_eq!(Wire::parse(kind, &metadata), Err(ImageError::Metadata(kind)), "{kind} {metadata:?}");
        }
        assert_eq!(Wire::parse(16, &[0, 8]), Ok(Wire::Bit { bytes: 8 }));
        assert_eq!(Wire::parse(246, &[65, 30]), Ok(Wire::Decimal { digits: 65, scale: 30 }));
    }
}
