//! From the bytes of one cell to its value, by its wire type and the column's kind.

use super::wire::{DIGIT_BYTES, Wire, big, fraction_bytes, little};
use crate::model::table::ColumnKind;
use crate::model::value::{Clock, Date, Decimal, Value};

impl Wire {
    /// The value of a cell that stands alone, when `bytes` are just this cell.
    pub fn value(self, bytes: &[u8], kind: ColumnKind) -> Option<Value<'_>> {
        (self.size(bytes)? == bytes.len()).then(|| self.read(bytes, kind))?
    }

    /// The value of one cell, whose size [`Wire::size`] has given.
    pub(super) fn read(self, cell: &[u8], kind: ColumnKind) -> Option<Value<'_>> {
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
}
