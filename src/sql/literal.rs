//! Values as SQL literals, exact to the last bit.
//!
//! * Numbers are written so that the server reads back the same number: FLOAT through the double it equals (its shortest decimal
//!   would be rounded twice), both with an exponent (`-0e0` keeps its sign; `-0.0` would be a DECIMAL and lose it).
//! * Text and bytes are quoted raw, under `SET NAMES binary`.
//! * ENUM and SET travel as numbers: names may hold commas, and members may be re-ordered.
//! * JSON becomes text where text says it all, else an expression that rebuilds the SQL-typed values inside (a DECIMAL in a JSON
//!   document is not the DOUBLE that its digits would be read as).

use std::io::Write;

use crate::model::json::{self, BadJson, Node};
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
}

/// Appends the literal of `value`.
pub fn write(out: &mut Vec<u8>, value: Value<'_>) -> Result<(), Unwritable> {
    match value {
        Value::Null => out.extend_from_slice(b"NULL"),
        Value::Int(number) => push(out, format_args!("{number}")),
        Value::UInt(number) => push(out, format_args!("{number}")),
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
        Value::Json(document) => write_json(out, document)?,
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

fn write_date(out: &mut Vec<u8>, date: Date) {
    push(out, format_args!("{:04}-{:02}-{:02}", date.year, date.month, date.day));
}

fn write_clock(out: &mut Vec<u8>, clock: Clock, fraction: u8) {
    push(out, format_args!("{:02}:{:02}:{:02}", clock.hours, clock.minutes, clock.seconds));
    if fraction > 0 {
        let mut digits = Vec::with_capacity(7);
        push(&mut digits, format_args!(".{:06}", clock.micros));
        out.extend(digits.iter().take(1 + usize::from(fraction)));
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

fn write_json(out: &mut Vec<u8>, document: &[u8]) -> Result<(), Unwritable> {
    let node = json::parse(document)?;
    if has_opaque(node, 0)? {
        return write_json_expression(out, node);
    }
    let mut text = Vec::with_capacity(document.len() + 16);
    write_json_text(&mut text, node)?;
    out.extend_from_slice(b"_utf8mb4");
    write_quoted(out, &text);
    Ok(())
}

fn members<'a>(container: json::Container<'a>) -> impl Iterator<Item = Result<Node<'a>, BadJson>> {
    (0..container.len()).map(move |index| container.value(index))
}

fn has_opaque(node: Node<'_>, depth: usize) -> Result<bool, BadJson> {
    if depth > json::MAX_DEPTH {
        return Err(BadJson);
    }
    match node {
        Node::Opaque(..) => Ok(true),
        Node::Object(container) | Node::Array(container) => {
            for member in members(container) {
                if has_opaque(member?, depth + 1)? {
                    return Ok(true);
                }
            }
            Ok(false)
        }
        Node::Null | Node::True | Node::False | Node::Int(_) | Node::UInt(_) | Node::Double(_) | Node::Text(_) => Ok(false),
    }
}

/// JSON text; the depth was bounded by [`has_opaque`].
fn write_json_text(out: &mut Vec<u8>, node: Node<'_>) -> Result<(), Unwritable> {
    match node {
        Node::Null => out.extend_from_slice(b"null"),
        Node::True => out.extend_from_slice(b"true"),
        Node::False => out.extend_from_slice(b"false"),
        Node::Int(number) => push(out, format_args!("{number}")),
        Node::UInt(number) => push(out, format_args!("{number}")),
        Node::Double(number) => write_double(out, number)?,
        Node::Text(text) => write_json_string(out, text),
        Node::Opaque(sql_type, _) => return Err(Unwritable::JsonOpaque(sql_type)),
        Node::Array(array) => {
            out.push(b'[');
            for index in 0..array.len() {
                if index > 0 {
                    out.push(b',');
                }
                write_json_text(out, array.value(index)?)?;
            }
            out.push(b']');
        }
        Node::Object(object) => {
            out.push(b'{');
            for index in 0..object.len() {
                if index > 0 {
                    out.push(b',');
                }
                write_json_string(out, object.key(index)?);
                out.push(b':');
                write_json_text(out, object.value(index)?)?;
            }
            out.push(b'}');
        }
    }
    Ok(())
}

fn write_json_string(out: &mut Vec<u8>, text: &[u8]) {
    out.push(b'"');
    for byte in text {
        match byte {
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', *byte]),
            0..=0x1f => push(out, format_args!("\\u{byte:04x}")),
            _ => out.push(*byte),
        }
    }
    out.push(b'"');
}

/// An expression of type JSON, for documents with SQL-typed values inside.
fn write_json_expression(out: &mut Vec<u8>, node: Node<'_>) -> Result<(), Unwritable> {
    match node {
        Node::Opaque(sql_type, bytes) => {
            out.extend_from_slice(b"CAST(");
            write_opaque(out, sql_type, bytes)?;
            out.extend_from_slice(b" AS JSON)");
        }
        Node::Object(object) => {
            out.extend_from_slice(b"JSON_OBJECT(");
            for index in 0..object.len() {
                if index > 0 {
                    out.push(b',');
                }
                out.extend_from_slice(b"_utf8mb4");
                write_quoted(out, object.key(index)?);
                out.push(b',');
                write_json_expression(out, object.value(index)?)?;
            }
            out.push(b')');
        }
        Node::Array(array) => {
            out.extend_from_slice(b"JSON_ARRAY(");
            for index in 0..array.len() {
                if index > 0 {
                    out.push(b',');
                }
                write_json_expression(out, array.value(index)?)?;
            }
            out.push(b')');
        }
        Node::Null | Node::True | Node::False | Node::Int(_) | Node::UInt(_) | Node::Double(_) | Node::Text(_) => {
            let mut text = Vec::new();
            write_json_text(&mut text, node)?;
            out.extend_from_slice(b"CAST(_utf8mb4");
            write_quoted(out, &text);
            out.extend_from_slice(b" AS JSON)");
        }
    }
    Ok(())
}

fn write_opaque(out: &mut Vec<u8>, sql_type: u8, bytes: &[u8]) -> Result<(), Unwritable> {
    use crate::model::image::Wire;
    use crate::model::table::ColumnKind;
    let unknown = Unwritable::JsonOpaque(sql_type);
    match sql_type {
        // DECIMAL: precision, scale, then the digits as a row image has them.
        246 => {
            let (precision, rest) = bytes.split_first().ok_or(unknown)?;
            let (scale, digits) = rest.split_first().ok_or(unknown)?;
            let wire = Wire::parse(246, &[*precision, *scale]).map_err(|_| unknown)?;
            out.extend_from_slice(b"CAST(");
            write(out, wire.value(digits, ColumnKind::Decimal).ok_or(unknown)?)?;
            push(out, format_args!(" AS DECIMAL({precision},{scale}))"));
        }
        // DATE, DATETIME, TIMESTAMP, TIME: the server's packed 64-bit form, little-endian.
        10 | 12 | 7 | 11 => {
            let packed = i64::from_le_bytes(bytes.try_into().map_err(|_| unknown)?);
            let magnitude = packed.unsigned_abs();
            let (whole, micros) = (magnitude >> 24, (magnitude & 0xff_ffff) as u32);
            let clock = Clock {
                hours: (whole >> 12 & if sql_type == 11 { 0x3ff } else { 0x1f }) as u16,
                minutes: (whole >> 6 & 63) as u8,
                seconds: (whole & 63) as u8,
                micros,
            };
            let (year_month, day) = (whole >> 22, (whole >> 17 & 31) as u8);
            let date = Date { year: (year_month / 13) as u16, month: (year_month % 13) as u8, day };
            let (value, spelling) = match sql_type {
                10 => (Value::Date(date), "DATE"),
                11 => (Value::Time { negative: packed < 0, clock, fraction: 6 }, "TIME(6)"),
                _ => (Value::DateTime { date, clock, fraction: 6 }, "DATETIME(6)"),
            };
            out.extend_from_slice(b"CAST(");
            write(out, value)?;
            push(out, format_args!(" AS {spelling})"));
        }
        _ => return Err(unknown),
    }
    Ok(())
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

    #[test]
    fn json_is_text_where_text_is_exact() {
        // {"a": "b\"c"}
        let document = [0x00, 1, 0, 16, 0, 11, 0, 1, 0, 0x0c, 12, 0, b'a', 3, b'b', b'"', b'c'];
        assert_eq!(literal(Value::Json(&document)), r#"_utf8mb4'{"a":"b\\"c"}'"#);
        // [1.5] as a DOUBLE
        let mut document = vec![0x02, 1, 0, 15, 0, 0x0b, 7, 0];
        document.extend_from_slice(&1.5_f64.to_le_bytes());
        assert_eq!(literal(Value::Json(&document)), "_utf8mb4'[1.5e0]'");
    }

    #[test]
    fn json_with_decimals_is_rebuilt_not_rounded() {
        // A top-level DECIMAL(3,2) of 1.50: type 246, five bytes.
        let document = [0x0f, 246, 4, 3, 2, 0x81, 0x32];
        assert_eq!(literal(Value::Json(&document)), "CAST(CAST(1.50 AS DECIMAL(3,2)) AS JSON)");
    }
}
