//! Whether two readings of a cell are one value.

use mysql_cdc::events::row_events::mysql_value::MySqlValue as Theirs;
use polarferry::model::value::{Clock, Date, Value};

/// Their integers carry no sign: the same bits are the same number.
pub fn same(ours: Value<'_>, theirs: Option<&Theirs>) -> bool {
    let Some(theirs) = theirs else { return ours == Value::Null };
    match (ours, theirs) {
        (Value::Int(ours), theirs) => signed(theirs) == Some(ours),
        (Value::UInt(ours), theirs) => unsigned(theirs) == Some(ours),
        (Value::Float(ours), Theirs::Float(theirs)) => ours.to_bits() == theirs.to_bits(),
        (Value::Double(ours), Theirs::Double(theirs)) => ours.to_bits() == theirs.to_bits(),
        (Value::Decimal(ours), Theirs::Decimal(theirs)) => ours.as_bytes() == theirs.as_bytes(),
        (Value::Bytes(ours) | Value::Padded(ours, _), Theirs::String(theirs)) => ours == theirs.as_bytes(),
        (Value::Bytes(ours), Theirs::Blob(theirs)) => ours == theirs.as_slice(),
        (Value::Date(ours), Theirs::Date(theirs)) => (ours.year, ours.month, ours.day) == (theirs.year, theirs.month, theirs.day),
        (Value::Time { negative, clock, .. }, Theirs::Time(_)) => {
            !negative && clock.micros % 1000 == 0 && same_but_for_micros(ours, Some(theirs))
        }
        (Value::DateTime { clock, .. }, Theirs::DateTime(_)) => {
            clock.micros % 1000 == 0 && same_but_for_micros(ours, Some(theirs))
        }
        (Value::DateTime { date, clock, .. }, Theirs::Timestamp(_)) => {
            date != Date::default() && clock.micros % 1000 == 0 && same_but_for_micros(ours, Some(theirs))
        }
        _ => false,
    }
}

/// As far as milliseconds go.
pub fn same_but_for_micros(ours: Value<'_>, theirs: Option<&Theirs>) -> bool {
    match (ours, theirs) {
        (Value::Time { negative: false, clock, .. }, Some(Theirs::Time(theirs))) => {
            let hours = i16::try_from(clock.hours);
            (hours, clock.minutes, clock.seconds, clock.micros / 1000)
                == (Ok(theirs.hour), theirs.minute, theirs.second, theirs.millis)
        }
        (Value::DateTime { date, clock, .. }, Some(Theirs::DateTime(theirs))) => {
            (date.year, date.month, date.day) == (theirs.year, theirs.month, theirs.day)
                && (clock.hours, clock.minutes, clock.seconds, clock.micros / 1000)
                    == (u16::from(theirs.hour), theirs.minute, theirs.second, theirs.millis)
        }
        (Value::DateTime { date, clock, .. }, Some(Theirs::Timestamp(theirs))) => millis(date, clock) == *theirs,
        _ => false,
    }
}

fn signed(theirs: &Theirs) -> Option<i64> {
    match theirs {
        Theirs::TinyInt(bits) => Some(i64::from(bits.cast_signed())),
        Theirs::SmallInt(bits) => Some(i64::from(bits.cast_signed())),
        Theirs::MediumInt(bits) => Some(i64::from((bits << 8).cast_signed() >> 8)),
        Theirs::Int(bits) => Some(i64::from(bits.cast_signed())),
        Theirs::BigInt(bits) => Some(bits.cast_signed()),
        _ => None,
    }
}

fn unsigned(theirs: &Theirs) -> Option<u64> {
    match theirs {
        Theirs::TinyInt(bits) => Some(u64::from(*bits)),
        Theirs::SmallInt(bits) | Theirs::Year(bits) => Some(u64::from(*bits)),
        Theirs::MediumInt(bits) | Theirs::Int(bits) | Theirs::Enum(bits) => Some(u64::from(*bits)),
        Theirs::BigInt(bits) | Theirs::Set(bits) => Some(*bits),
        // The highest bit comes first.
        Theirs::Bit(bits) => Some(bits.iter().fold(0, |number, bit| number << 1 | u64::from(*bit))),
        _ => None,
    }
}

/// Milliseconds since 1970, counted day by day: slow, and nothing like our own arithmetic.
fn millis(date: Date, clock: Clock) -> u64 {
    let leap = |year: u64| year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let year = u64::from(date.year);
    let february = if leap(year) { 29 } else { 28 };
    let months = [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let years: u64 = (1970..year).map(|year| if leap(year) { 366 } else { 365 }).sum();
    let days = years + months.iter().take(usize::from(date.month) - 1).sum::<u64>() + u64::from(date.day) - 1;
    let seconds = days * 86_400 + u64::from(clock.hours) * 3600 + u64::from(clock.minutes) * 60 + u64::from(clock.seconds);
    seconds * 1000 + u64::from(clock.micros) / 1000
}
