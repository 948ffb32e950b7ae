//! Result rows of the binary protocol as values. The same stored value gives the same [`Value`] here as it does from a row image:
//! the keys of copy and stream are compared byte for byte.

use mysql_async::Value as Wire;

use crate::model::table::{Column, ColumnKind};
use crate::model::value::{Clock, Date, Decimal, Value};

/// The value of a cell, or `None` when the server sent what the column's type cannot give.
pub fn value<'a>(cell: &'a Wire, column: &Column) -> Option<Value<'a>> {
    Some(match (cell, column.kind) {
        (Wire::NULL, _) => Value::Null,
        (Wire::Int(number), ColumnKind::Integer { unsigned: false }) => Value::Int(*number),
        (Wire::Int(number), ColumnKind::Integer { unsigned: true } | ColumnKind::Year) => {
            Value::UInt(u64::try_from(*number).ok()?)
        }
        (Wire::UInt(number), ColumnKind::Integer { unsigned: true } | ColumnKind::Year) => Value::UInt(*number),
        (Wire::UInt(number), ColumnKind::Integer { unsigned: false }) => Value::Int(i64::try_from(*number).ok()?),
        (Wire::UInt(number), ColumnKind::Enum | ColumnKind::Set | ColumnKind::Bit) => Value::UInt(*number),
        (Wire::Int(number), ColumnKind::Enum | ColumnKind::Set | ColumnKind::Bit) => Value::UInt(number.cast_unsigned()),
        (Wire::Float(number), ColumnKind::Float) => Value::Float(*number),
        (Wire::Double(number), ColumnKind::Double) => Value::Double(*number),
        (Wire::Bytes(bytes), ColumnKind::Decimal) => Value::Decimal(decimal(bytes)?),
        (Wire::Bytes(bytes), ColumnKind::Text | ColumnKind::Binary | ColumnKind::Geometry | ColumnKind::Vector) => {
            Value::Bytes(bytes)
        }
        (Wire::Bytes(bytes), ColumnKind::FixedBinary { length }) => Value::Padded(bytes, length),
        (Wire::Bytes(bytes), ColumnKind::Json) => Value::JsonText(bytes),
        (Wire::Date(year, month, day, ..), ColumnKind::Date) => Value::Date(Date { year: *year, month: *month, day: *day }),
        (
            Wire::Date(year, month, day, hours, minutes, seconds, micros),
            ColumnKind::DateTime { fraction } | ColumnKind::Timestamp { fraction },
        ) => Value::DateTime {
            date: Date { year: *year, month: *month, day: *day },
            clock: Clock { hours: u16::from(*hours), minutes: *minutes, seconds: *seconds, micros: *micros },
            fraction,
        },
        (Wire::Time(negative, days, hours, minutes, seconds, micros), ColumnKind::Time { fraction }) => Value::Time {
            negative: *negative,
            clock: Clock {
                hours: u16::try_from(days * 24 + u32::from(*hours)).ok()?,
                minutes: *minutes,
                seconds: *seconds,
                micros: *micros,
            },
            fraction,
        },
        _ => return None,
    })
}

/// Digits without the zeros that ZEROFILL puts in front, as the row image spells them.
fn decimal(text: &[u8]) -> Option<Decimal> {
    let (sign, digits) = match text.split_first()? {
        (b'-', rest) => (&b"-"[..], rest),
        _ => (&b""[..], text),
    };
    let zeros = digits.iter().take_while(|digit| **digit == b'0').count();
    let mut digits = digits.get(zeros..)?;
    let mut decimal = Decimal::new();
    decimal.push(sign)?;
    if digits.first().is_none_or(|first| *first == b'.') {
        decimal.push(b"0")?;
    }
    if digits.last() == Some(&b'.') {
        digits = digits.get(..digits.len() - 1)?;
    }
    decimal.push(digits)?;
    Some(decimal)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zerofilled_decimals_read_as_the_row_image_spells_them() {
        for (text, expected) in [("00012.50", "12.50"), ("0", "0"), ("000", "0"), ("-0.5", "-0.5"), ("00.01", "0.01")] {
            assert_eq!(decimal(text.as_bytes()).map(|value| value.as_bytes().to_vec()), Some(expected.as_bytes().to_vec()));
        }
    }
}
