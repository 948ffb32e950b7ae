//! The text of an SQL scalar inside a document, as the bytes that the document holds for it.
//!
//! The server prints a DECIMAL as its digits, a DATE as `YYYY-MM-DD`, a TIME and a DATETIME with six digits of a second, and every
//! other value of an SQL type as `base64:typeN:…`; nothing of the value is lost, only its type. [`encode`] puts both together again.
//!
//! What cannot be read back: with how many leading zeros a DECIMAL is stored. Columns and casts fill whole groups of nine digits
//! (`strings/decimal.cc`), and so does this; the value and its scale are the same in any case.

use super::tree::Tree;

/// DECIMAL, as `enum_field_types` numbers it.
pub const DECIMAL: u8 = 246;
pub const DATE: u8 = 10;
pub const TIME: u8 = 11;
pub const DATETIME: u8 = 12;
pub const TIMESTAMP: u8 = 7;

/// A document's scalar of the type that JSON_TYPE names, from the text that the server prints (without quotes and escapes).
pub fn encode(type_name: &[u8], text: &[u8]) -> Option<Tree> {
    let number = || std::str::from_utf8(text).ok();
    Some(match type_name {
        b"INTEGER" => Tree::Int(number()?.parse().ok()?),
        b"UNSIGNED INTEGER" => Tree::UInt(number()?.parse().ok()?),
        b"DOUBLE" => Tree::Double(number()?.parse().ok().filter(|value: &f64| value.is_finite())?),
        b"DECIMAL" => Tree::Opaque(DECIMAL, decimal(text)?),
        b"STRING" => Tree::Text(text.to_vec()),
        b"DATE" => Tree::Opaque(DATE, packed(date(text)? << 17, 0, false)),
        b"TIME" => {
            let (negative, text) = match text.split_first()? {
                (b'-', rest) => (true, rest),
                _ => (false, text),
            };
            let (clock, micros) = clock(text)?;
            Tree::Opaque(TIME, packed(clock, micros, negative))
        }
        b"DATETIME" | b"TIMESTAMP" => {
            let (day, rest) = text.split_at_checked(10)?;
            let (clock, micros) = clock(rest.strip_prefix(b" ")?)?;
            let kind = if type_name == b"DATETIME" { DATETIME } else { TIMESTAMP };
            Tree::Opaque(kind, packed(date(day)? << 17 | clock, micros, false))
        }
        b"BLOB" | b"BIT" | b"OPAQUE" => {
            let rest = text.strip_prefix(b"base64:type")?;
            let colon = rest.iter().position(|byte| *byte == b':')?;
            let (kind, rest) = rest.split_at_checked(colon)?;
            Tree::Opaque(std::str::from_utf8(kind).ok()?.parse().ok()?, base64(rest.get(1..)?)?)
        }
        _ => return None,
    })
}

fn digits(text: &[u8]) -> Option<u64> {
    if text.is_empty() || !text.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(text).ok()?.parse().ok()
}

/// `YYYY-MM-DD` in the server's packing: 13 months a year, five bits for the day.
fn date(text: &[u8]) -> Option<u64> {
    let part = |from: usize, to: usize| digits(text.get(from..to)?);
    (text.len() == 10 && text.get(4) == Some(&b'-') && text.get(7) == Some(&b'-')).then_some(())?;
    Some((part(0, 4)? * 13 + part(5, 7)?) << 5 | part(8, 10)?)
}

/// `HH:MM:SS.ffffff`, hours of two or three digits: the packed clock and the microseconds.
fn clock(text: &[u8]) -> Option<(u64, u64)> {
    let colon = text.iter().position(|byte| *byte == b':')?;
    let (hours, rest) = text.split_at_checked(colon)?;
    let part = |from: usize, to: usize| digits(rest.get(from..to)?);
    (rest.len() == 13 && rest.get(3) == Some(&b':') && rest.get(6) == Some(&b'.')).then_some(())?;
    let hours = digits(hours).filter(|hours| *hours <= 838)?;
    Some((hours << 12 | part(1, 3)? << 6 | part(4, 6)?, part(7, 13)?))
}

/// The 64-bit form that documents hold, little-endian.
fn packed(whole: u64, micros: u64, negative: bool) -> Vec<u8> {
    let magnitude = (whole << 24 | micros).cast_signed();
    (if negative { -magnitude } else { magnitude }).to_le_bytes().to_vec()
}

/// Bytes for the digits of a group that is not full.
const DIGIT_BYTES: [usize; 10] = [0, 1, 1, 2, 2, 3, 3, 4, 4, 4];
/// The server's longest number.
const MOST_DIGITS: usize = 65;

/// Precision, scale, and the digits as a row image has them.
fn decimal(text: &[u8]) -> Option<Vec<u8>> {
    let (negative, text) = match text.split_first()? {
        (b'-', rest) => (true, rest),
        _ => (false, text),
    };
    let point = text.iter().position(|byte| *byte == b'.').unwrap_or(text.len());
    let (whole, fraction) = text.split_at_checked(point)?;
    let fraction = fraction.get(1..).unwrap_or(&[]);
    let width = (whole.len().div_ceil(9) * 9).min(MOST_DIGITS.checked_sub(fraction.len())?);
    let mut padded = vec![b'0'; width.checked_sub(whole.len())?];
    padded.extend_from_slice(whole);
    let (lead, groups) = padded.split_at_checked(width % 9)?;
    let mut out = vec![u8::try_from(width + fraction.len()).ok()?, u8::try_from(fraction.len()).ok()?];
    let start = out.len();
    let whole_groups = std::iter::once(lead).filter(|lead| !lead.is_empty()).chain(groups.chunks(9));
    for group in whole_groups.chain(fraction.chunks(9)) {
        let bytes = *DIGIT_BYTES.get(group.len())?;
        out.extend(digits(group)?.to_be_bytes().iter().skip(8 - bytes));
    }
    let body = out.get_mut(start..)?;
    *body.first_mut()? ^= 0x80;
    if negative {
        body.iter_mut().for_each(|byte| *byte = !*byte);
    }
    Some(out)
}

/// Base64 as the server prints it: with padding, and line breaks after 76 characters.
fn base64(text: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(text.len() / 4 * 3);
    let (mut bits, mut held) = (0_u32, 0_u32);
    for byte in text.iter().filter(|byte| !matches!(byte, b'\n' | b'=')) {
        let value = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return None,
        };
        bits = bits << 6 | u32::from(value);
        held += 6;
        if held >= 8 {
            held -= 8;
            out.push((bits >> held & 0xff) as u8);
        }
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::image::Wire;
    use crate::model::table::ColumnKind;
    use crate::model::value::Value;

    fn opaque(name: &[u8], text: &[u8]) -> (u8, Vec<u8>) {
        match encode(name, text) {
            Some(Tree::Opaque(kind, bytes)) => (kind, bytes),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn decimals_are_written_as_row_images_have_them() {
        let long = format!("-{}.{}", "9".repeat(35), "9".repeat(30));
        for text in ["1.50", "-1.50", "0.0001", "7", "-123456789012.5", "0.00", "1234567890.1234", &"9".repeat(65), &long] {
            let (kind, bytes) = opaque(b"DECIMAL", text.as_bytes());
            let wire = Wire::parse(kind, &bytes[..2]).expect("a DECIMAL");
            let Some(Value::Decimal(read)) = wire.value(&bytes[2..], ColumnKind::Decimal) else { panic!("{text}") };
            assert_eq!(read.as_bytes(), text.as_bytes());
        }
        assert_eq!(encode(b"DECIMAL", "9".repeat(66).as_bytes()), None);
        assert_eq!(encode(b"DECIMAL", b"1e5"), None);
    }

    #[test]
    fn moments_are_packed_as_the_server_packs_them() {
        // 2024-02-29: (2024 * 13 + 2) << 5 | 29, then 17 bits of a clock and 24 of a fraction.
        assert_eq!(opaque(b"DATE", b"2024-02-29"), (DATE, (((2024_i64 * 13 + 2) << 5 | 29) << 41).to_le_bytes().to_vec()));
        let time = -((12_i64 << 12 | 34 << 6 | 56) << 24 | 789_000);
        assert_eq!(opaque(b"TIME", b"-12:34:56.789000"), (TIME, time.to_le_bytes().to_vec()));
        assert_eq!(opaque(b"TIMESTAMP", b"0000-00-00 00:00:00.000000"), (TIMESTAMP, vec![0; 8]));
        for (name, text) in [(&b"DATE"[..], &b"2024-2-29"[..]), (b"TIME", b"12:34:56"), (b"DATETIME", b"2024-02-29")] {
            assert_eq!(encode(name, text), None);
        }
    }

    #[test]
    fn opaque_bytes_come_out_of_base64() {
        assert_eq!(opaque(b"BLOB", b"base64:type252:YQD/"), (252, b"a\0\xff".to_vec()));
        assert_eq!(opaque(b"BIT", b"base64:type16:AAU="), (16, vec![0, 5]));
        assert_eq!(opaque(b"OPAQUE", b"base64:type13:MjAy\nNA=="), (13, b"2024".to_vec()));
        assert_eq!(encode(b"BLOB", b"base64:type252:Y*"), None);
        assert_eq!(encode(b"FROBNICATION", b"1"), None);
    }
}
