//! Values as SQL literals, exact to the last bit.
//!
//! * Numbers are written so that the server reads back the same number: FLOAT through the double it equals (its shortest decimal
//!   would be rounded twice), both with an exponent (`-0e0` keeps its sign; `-0.0` would be a DECIMAL and lose it).
//! * Text and bytes are quoted raw, under `SET NAMES binary`.
//! * ENUM and SET travel as numbers: names may hold commas, and members may be re-ordered.
//! * JSON: see [`document`].

use std::io::Write;

use super::document;
use crate::model::json::BadJson;
use crate::model::value::{Clock, Date, Value};

/// Why a value has no literal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unwritable {
    #[error("{0}")]
    Json(#[from] BadJson),
    #[error("a JSON document holds a value of SQL type {0}, which no expression rebuilds exactly")]
    JsonOpaque(u8),
    #[error("a number that is not finite")]
    NotFinite,
    #[error("minus zero in a column with a fixed number of decimals, into which a server writes it as zero")]
    MinusZero,
}

/// Appends the literal of `value`.
pub fn write(out: &mut Vec<u8>, value: Value<'_>) -> Result<(), Unwritable> {
    match value {
        Value::Null => out.extend_from_slice(b"NULL"),
        Value::Int(number) => write_int(out, number),
        Value::UInt(number) => write_digits(out, number, 1),
        Value::Float(number) => write_double(out, f64::from(number))?,
        Value::Double(number) => write_double(out, number)?,
        Value::Decimal(decimal) => out.extend_from_slice(decimal.as_bytes()),
        Value::Bytes(bytes) => write_quoted(out, bytes),
        Value::Padded(bytes, length) => {
            out.push(b'\'');
            escape(out, bytes);
            for _ in bytes.len()..length as usize {
                out.extend_from_slice(b"\\0");
            }
            out.push(b'\'');
        }
        Value::Date(date) => {
            out.push(b'\'');
            write_date(out, date);
            out.push(b'\'');
        }
        Value::Time { negative, clock, fraction } => {
            out.extend_from_slice(if negative { b"'-" } else { b"'" });
            write_clock(out, clock, fraction);
            out.push(b'\'');
        }
        Value::DateTime { date, clock, fraction } => {
            out.push(b'\'');
            write_date(out, date);
            out.push(b' ');
            write_clock(out, clock, fraction);
            out.push(b'\'');
        }
        Value::Json(document) => document::write(out, document)?,
        Value::JsonText(text) => {
            out.extend_from_slice(b"_utf8mb4");
            write_quoted(out, text);
        }
    }
    Ok(())
}

fn push(out: &mut Vec<u8>, text: std::fmt::Arguments<'_>) {
    // Writing to a Vec cannot fail.
    let _ = out.write_fmt(text);
}

fn write_double(out: &mut Vec<u8>, number: f64) -> Result<(), Unwritable> {
    if !number.is_finite() {
        return Err(Unwritable::NotFinite);
    }
    push(out, format_args!("{number:e}"));
    Ok(())
}

fn write_int(out: &mut Vec<u8>, number: i64) {
    if number < 0 {
        out.push(b'-');
    }
    write_digits(out, number.unsigned_abs(), 1);
}

/// Decimal digits, at least `width` of them. (Most values of most tables pass here: the formatting machinery costs several times
/// as much.)
fn write_digits(out: &mut Vec<u8>, mut number: u64, width: usize) {
    let start = out.len();
    while number > 0 || out.len() < start + width {
        out.push(b'0' + (number % 10) as u8);
        number /= 10;
    }
    if let Some(digits) = out.get_mut(start..) {
        digits.reverse();
    }
}

fn write_date(out: &mut Vec<u8>, date: Date) {
    write_digits(out, date.year.into(), 4);
    out.push(b'-');
    write_digits(out, date.month.into(), 2);
    out.push(b'-');
    write_digits(out, date.day.into(), 2);
}

fn write_clock(out: &mut Vec<u8>, clock: Clock, fraction: u8) {
    write_digits(out, clock.hours.into(), 2);
    out.push(b':');
    write_digits(out, clock.minutes.into(), 2);
    out.push(b':');
    write_digits(out, clock.seconds.into(), 2);
    if fraction > 0 {
        out.push(b'.');
        let start = out.len();
        write_digits(out, clock.micros.into(), 6);
        out.truncate(start + usize::from(fraction));
    }
}

/// `'…'` with everything escaped that would end it or change it.
pub fn write_quoted(out: &mut Vec<u8>, bytes: &[u8]) {
    out.reserve(bytes.len() + 2);
    out.push(b'\'');
    escape(out, bytes);
    out.push(b'\'');
}

fn escape(out: &mut Vec<u8>, bytes: &[u8]) {
    // Runs of plain bytes are copied whole; under a binary character set only these three need care.
    let mut rest = bytes;
    while let Some(at) = rest.iter().position(|byte| matches!(byte, b'\'' | b'\\' | 0)) {
        let (plain, special) = rest.split_at(at);
        out.extend_from_slice(plain);
        let Some((byte, after)) = special.split_first() else { break };
        out.extend_from_slice(&[b'\\', if *byte == 0 { b'0' } else { *byte }]);
        rest = after;
    }
    out.extend_from_slice(rest);
}

/// Whether `text` is one literal as [`write`] spells keys: a number, or one quoted string with nothing behind it.
pub fn is_single(text: &[u8]) -> bool {
    match text {
        [b'\'', inner @ .., b'\''] => {
            let mut escaped = false;
            for byte in inner {
                match byte {
                    _ if escaped => escaped = false,
                    b'\\' => escaped = true,
                    b'\'' => return false,
                    _ => {}
                }
            }
            !escaped
        }
        [b'0'..=b'9' | b'-', ..] => text.iter().all(|byte| matches!(byte, b'0'..=b'9' | b'.' | b'e' | b'-')),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::value::Decimal;

    fn literal(value: Value<'_>) -> String {
        let mut out = Vec::new();
        write(&mut out, value).expect("a literal");
        String::from_utf8(out).expect("ASCII in these tests")
    }

    #[test]
    fn numbers_read_back_as_themselves() {
        assert_eq!(literal(Value::Float(0.1)), "1.0000000149011612e-1");
        assert_eq!(literal(Value::Double(-0.0)), "-0e0");
        assert_eq!(literal(Value::Int(i64::MIN)), "-9223372036854775808");
        assert_eq!((literal(Value::Int(0)), literal(Value::UInt(u64::MAX))), ("0".into(), "18446744073709551615".into()));
        let mut decimal = Decimal::new();
        decimal.push(b"-1.50").expect("room");
        assert_eq!(literal(Value::Decimal(decimal)), "-1.50");
        assert_eq!(write(&mut Vec::new(), Value::Double(f64::NAN)), Err(Unwritable::NotFinite));
    }

    #[test]
    fn bytes_cannot_leave_their_quotes() {
        assert_eq!(literal(Value::Bytes(b"a'b\\c\0d\n")), "'a\\'b\\\\c\\0d\n'");
        assert_eq!(literal(Value::Padded(b"ab", 4)), "'ab\\0\\0'");
    }

    #[test]
    fn temporal_values_keep_zero_parts_and_digits() {
        let date = Date { year: 2020, month: 0, day: 0 };
        let clock = Clock { hours: 838, minutes: 59, seconds: 59, micros: 120_000 };
        assert_eq!(literal(Value::Date(date)), "'2020-00-00'");
        assert_eq!(literal(Value::Time { negative: true, clock, fraction: 2 }), "'-838:59:59.12'");
        assert_eq!(literal(Value::DateTime { date, clock: Clock::default(), fraction: 0 }), "'2020-00-00 00:00:00'");
    }
}
