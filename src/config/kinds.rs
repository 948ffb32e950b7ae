//! The kinds of value that are not plain text: flags, numbers, durations, sizes, lists.
//!
//! Continues `section`: each getter answers with what was written, or reports it and answers with a default.

use std::fmt::Display;
use std::ops::RangeInclusive;
use std::str::FromStr;
use std::time::Duration;

use config::{Value, ValueKind};

use super::file::from_environment;
use super::section::Section;
use crate::model::Bytes;

impl Section<'_> {
    pub fn flag(&mut self, name: &str, default: bool) -> bool {
        let Some((place, value)) = self.value(name) else {
            return default;
        };
        let environment = from_environment(&value);
        match value.kind {
            ValueKind::Boolean(flag) => flag,
            ValueKind::String(text) if environment && text == "true" => true,
            ValueKind::String(text) if environment && text == "false" => false,
            other => {
                self.wrong_kind(name, place, &other, "true or false, without quotes");
                default
            }
        }
    }

    /// A whole number within `range`; without a default it must be there.
    pub fn number<T>(&mut self, name: &str, default: Option<T>, range: RangeInclusive<T>) -> T
    where
        T: Copy + PartialOrd + Display + TryFrom<i128>,
    {
        let fallback = default.unwrap_or(*range.start());
        let allowed = format!("a whole number from {} to {}", range.start(), range.end());
        let Some((place, value)) = self.value(name) else {
            if default.is_none() {
                self.problem(name, "is missing", format!("write {allowed}"));
            }
            return fallback;
        };
        let environment = from_environment(&value);
        let number = match &value.kind {
            ValueKind::I64(number) => i128::from(*number),
            ValueKind::String(text) if environment => match text.parse() {
                Ok(number) => number,
                Err(_) => {
                    self.report(name, place, "is no number".to_owned(), format!("write {allowed}"));
                    return fallback;
                }
            },
            other => {
                self.wrong_kind(name, place, other, &format!("{allowed}, without quotes"));
                return fallback;
            }
        };
        match T::try_from(number) {
            Ok(number) if range.contains(&number) => number,
            _ => {
                self.report(name, place, format!("= {number} is out of range"), format!("write {allowed}"));
                fallback
            }
        }
    }

    /// A duration with its unit, `"700ms"`.
    pub fn duration(&mut self, name: &str, default: Duration, range: RangeInclusive<Duration>) -> Duration {
        let parse = |text: &str| humantime::parse_duration(text).ok();
        self.measure(name, default, &range, parse, duration_text)
    }

    /// A size with its unit, `"8MiB"`.
    pub fn bytes(&mut self, name: &str, default: Bytes, range: RangeInclusive<Bytes>) -> Bytes {
        self.measure(name, default, &range, |text| text.parse().ok(), |bytes| bytes.to_string())
    }

    fn measure<T: Copy + PartialOrd>(
        &mut self,
        name: &str,
        default: T,
        range: &RangeInclusive<T>,
        parse: impl Fn(&str) -> Option<T>,
        show: impl Fn(T) -> String,
    ) -> T {
        let remedy = format!("{name} = \"{}\"; from \"{}\" to \"{}\"", show(default), show(*range.start()), show(*range.end()));
        let Some((place, value)) = self.value(name) else {
            return default;
        };
        let cause = match &value.kind {
            ValueKind::String(text) => match parse(text) {
                Some(measure) if range.contains(&measure) => return measure,
                Some(_) => format!("= {text:?} is out of range"),
                None => format!("= {text:?} has no number and unit that belong here"),
            },
            ValueKind::I64(_) | ValueKind::Float(_) => "is a number without a unit".to_owned(),
            other => {
                self.wrong_kind(name, place, other, &remedy);
                return default;
            }
        };
        self.report(name, place, cause, format!("write {remedy}"));
        default
    }

    /// `list`, of at least one item; `example` shows one.
    pub fn required_list<T: FromStr<Err: Display>>(
        &mut self,
        name: &str,
        example: &str,
        remedy: impl Fn(&T::Err) -> String,
    ) -> Vec<T> {
        let list = |section: &mut Self| Some(section.list(name, remedy)).filter(|list| !list.is_empty());
        self.demand(name, "is missing or empty", example, list).unwrap_or_default()
    }

    /// A list of texts that become values of ours; from the environment, separated by commas.
    pub fn list<T: FromStr<Err: Display>>(&mut self, name: &str, remedy: impl Fn(&T::Err) -> String) -> Vec<T> {
        let Some((place, value)) = self.value(name) else {
            return Vec::new();
        };
        let environment = from_environment(&value);
        let texts = match value.kind {
            ValueKind::Array(values) => values,
            ValueKind::String(text) if environment => commas(&text).map(|text| Value::from(text.trim())).collect(),
            other => {
                self.wrong_kind(name, place, &other, &format!("a list, {name} = [\"…\"]"));
                return Vec::new();
            }
        };
        let mut list = Vec::new();
        for item in texts {
            match item.kind {
                ValueKind::String(text) => match text.parse() {
                    Ok(item) => list.push(item),
                    Err(error) => {
                        let cause = format!("{text:?} {error}");
                        self.report(name, place.clone(), cause, remedy(&error));
                    }
                },
                other => self.wrong_kind(name, place.clone(), &other, "every item as text in quotes"),
            }
        }
        list
    }
}

/// Splits at the commas outside backquotes, since a quoted name may contain one. Empty text is an empty list.
fn commas(text: &str) -> impl Iterator<Item = &str> {
    let mut quoted = false;
    let items = text.split(move |c| {
        quoted ^= c == '`';
        c == ',' && !quoted
    });
    items.filter(|item| !item.trim().is_empty())
}

/// The shortest exact text in one unit: `24h`, where humantime would write `1day`.
pub(super) fn duration_text(duration: Duration) -> String {
    let milliseconds = duration.as_millis();
    for (unit, length) in [("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)] {
        if milliseconds > 0 && milliseconds.is_multiple_of(length) && duration.subsec_nanos().is_multiple_of(1_000_000) {
            return format!("{}{unit}", milliseconds / length);
        }
    }
    humantime::format_duration(duration).to_string()
}
