//! One table of the configuration, read key by key.
//!
//! A getter always answers, with the default or with a placeholder, and reports what is wrong: reading
//! goes on, and the answers are thrown away if anything was reported. What nobody asked for is unknown,
//! so the list of known keys cannot drift from the code that reads them. (`serde` with
//! `deny_unknown_fields` stops at the first error, and an operator deserves all of them.)
//!
//! Here is the table and its text; `kinds` reads everything else. Nothing is coerced: text is no number,
//! `1` is no `true`, a number is no duration. Only a value from the environment, which is always text, is
//! read as what the key wants. An empty text means "not set".

use std::fmt::Display;
use std::str::FromStr;

use config::{Map, Value, ValueKind};

use super::file::{from_environment, join, variable};
use super::problem::{Findings, Place};

pub(super) struct Section<'a> {
    path: String,
    values: Map<String, Value>,
    findings: &'a mut Findings,
}

impl<'a> Section<'a> {
    pub fn root(values: Map<String, Value>, findings: &'a mut Findings) -> Section<'a> {
        Section { path: String::new(), values, findings }
    }

    /// Reads one table inside this one; keys that `read` leaves behind are unknown.
    pub fn section<T>(&mut self, name: &str, read: impl FnOnce(&mut Section<'_>) -> T) -> T {
        let values = match self.value(name) {
            None => Map::new(),
            Some((_, Value { kind: ValueKind::Table(values), .. })) => values,
            Some((place, value)) => {
                self.wrong_kind(name, place, &value.kind, &format!("a table, [{}]", join(&self.path, name)));
                Map::new()
            }
        };
        let mut inner = Section { path: join(&self.path, name), values, findings: self.findings };
        let answer = read(&mut inner);
        inner.finish();
        answer
    }

    /// Reports every key that nobody asked for.
    pub fn finish(self) {
        for (name, value) in &self.values {
            let key = join(&self.path, name);
            let place = place(self.findings, &key, value);
            self.findings.unknown(key, place);
        }
    }

    pub fn problem(&mut self, name: &str, cause: impl Into<String>, remedy: impl Into<String>) {
        let key = join(&self.path, name);
        // The key itself, or the header under which it is missing.
        let line = self.findings.lines.get(&key).or_else(|| self.findings.lines.get(&self.path));
        let place = line.map_or(Place::Nowhere, |line| Place::Line(*line));
        self.findings.problem(&key, place, cause, remedy);
    }

    pub fn warn(&mut self, name: &str, text: &str) {
        self.findings.warnings.push(format!("[{}] {name} {text}", self.path));
    }

    /// Takes a key out and remembers that it is known, also when it is absent.
    pub(super) fn value(&mut self, name: &str) -> Option<(Place, Value)> {
        let key = join(&self.path, name);
        let value = self.values.remove(name);
        let value = value.map(|value| (place(self.findings, &key, &value), value));
        self.findings.known.insert(key);
        value
    }

    pub(super) fn report(&mut self, name: &str, place: Place, cause: String, remedy: String) {
        self.findings.problem(&join(&self.path, name), place, cause, remedy);
    }

    /// Says what kind was found and never the value: it may stand where a password should.
    pub(super) fn wrong_kind(&mut self, name: &str, place: Place, found: &ValueKind, wanted: &str) {
        let found = match found {
            ValueKind::Nil => "nothing",
            ValueKind::Boolean(_) => "true or false",
            ValueKind::I64(_) | ValueKind::I128(_) | ValueKind::U64(_) | ValueKind::U128(_) => "a whole number",
            ValueKind::Float(_) => "a number with a fraction",
            ValueKind::String(_) => "text",
            ValueKind::Table(_) => "a table",
            ValueKind::Array(_) => "a list",
        };
        self.report(name, place, format!("is {found}"), format!("write {wanted}"));
    }

    pub fn text(&mut self, name: &str) -> Option<String> {
        let (place, value) = self.value(name)?;
        match value.kind {
            ValueKind::String(text) => Some(text).filter(|text| !text.is_empty()),
            other => {
                self.wrong_kind(name, place, &other, &format!("text in quotes, {name} = \"…\""));
                None
            }
        }
    }

    /// Text that must be there; `remedy` says what belongs there.
    pub fn required(&mut self, name: &str, remedy: &str) -> String {
        self.demand(name, "is missing", remedy, |section| section.text(name)).unwrap_or_default()
    }

    /// `parsed`, of text that must be there.
    pub fn required_parsed<T: FromStr<Err: Display>>(&mut self, name: &str, remedy: &str) -> Option<T> {
        self.demand(name, "is missing", remedy, |section| section.parsed(name, remedy))
    }

    /// Reports that nothing was given, unless reading has already reported what is wrong with it.
    pub(super) fn demand<T>(
        &mut self,
        name: &str,
        cause: &str,
        remedy: &str,
        read: impl FnOnce(&mut Self) -> Option<T>,
    ) -> Option<T> {
        let before = self.findings.problems.len();
        let value = read(self);
        if value.is_none() && self.findings.problems.len() == before {
            self.problem(name, cause, remedy);
        }
        value
    }

    /// Text that becomes a value of ours. `None` when absent, or reported as wrong.
    pub fn parsed<T: FromStr<Err: Display>>(&mut self, name: &str, remedy: &str) -> Option<T> {
        let place = self.place_of(name);
        let text = self.text(name)?;
        self.parse(name, place, &text, remedy)
    }

    fn parse<T: FromStr<Err: Display>>(&mut self, name: &str, place: Place, text: &str, remedy: &str) -> Option<T> {
        text.parse()
            .map_err(|error| {
                self.report(name, place, format!("= {text:?}: {error}"), remedy.to_owned());
            })
            .ok()
    }

    fn place_of(&self, name: &str) -> Place {
        self.values.get(name).map_or(Place::Nowhere, |value| place(self.findings, &join(&self.path, name), value))
    }
}

fn place(findings: &Findings, key: &str, value: &Value) -> Place {
    if from_environment(value) {
        Place::Variable(variable(key))
    } else {
        let line = findings.lines.get(key);
        line.map_or(Place::Nowhere, |line| Place::Line(*line))
    }
}
