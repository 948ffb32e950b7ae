//! What is wrong with a configuration, all of it at once, each with its remedy.
//!
//! A message names the key, where it was written (line or environment variable) and what to write
//! instead. It never repeats the value of a key that may hold a secret, nor a line of the file.

use std::collections::{BTreeSet, HashMap};
use std::fmt;

/// Where the operator wrote what is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    Line(usize),
    Variable(String),
    /// Nothing was written, or the line is not known.
    Nowhere,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Section and key joined by a dot: `source.host`, `source.tls.mode`; empty for the file as a whole.
    pub key: String,
    pub place: Place,
    pub cause: String,
    pub remedy: String,
}

/// Every problem of one configuration, in the order of reading. Never empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problems {
    pub file: String,
    pub problems: Vec<Problem>,
}

impl std::error::Error for Problems {}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.key.rsplit_once('.') {
            Some((section, key)) => write!(f, "[{section}] {key}")?,
            None if self.key.is_empty() => f.write_str("the file")?,
            None => write!(f, "[{}]", self.key)?,
        }
        match &self.place {
            Place::Line(line) => write!(f, " (line {line})")?,
            Place::Variable(name) => write!(f, " ({name})")?,
            Place::Nowhere => {}
        }
        write!(f, " {}", self.cause)
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.problems.len();
        let noun = if count == 1 { "problem" } else { "problems" };
        write!(f, "configuration {}: {count} {noun}", self.file)?;
        for (number, problem) in self.problems.iter().enumerate() {
            write!(f, "\n{:3}. {problem}", number + 1)?;
            write!(f, "\n     remedy: {}", problem.remedy)?;
        }
        Ok(())
    }
}

/// What reading has found so far.
#[derive(Default)]
pub(super) struct Findings {
    pub problems: Vec<Problem>,
    pub warnings: Vec<String>,
    /// Every key that was asked for: the list of known keys makes itself.
    pub known: BTreeSet<String>,
    /// Lines of the keys that stand in the file.
    pub lines: HashMap<String, usize>,
    unknown: Vec<(String, Place)>,
}

impl Findings {
    pub fn problem(&mut self, key: &str, place: Place, cause: impl Into<String>, remedy: impl Into<String>) {
        self.problems.push(Problem { key: key.to_owned(), place, cause: cause.into(), remedy: remedy.into() });
    }

    pub fn unknown(&mut self, key: String, place: Place) {
        self.unknown.push((key, place));
    }

    /// Turns unknown keys into problems. Last, because only now all known keys are known.
    pub fn judge_unknown(&mut self) {
        let mut unknown = std::mem::take(&mut self.unknown);
        unknown.sort_by(|a, b| a.0.cmp(&b.0));
        for (key, place) in unknown {
            let remedy = self.suggestion(&key);
            let cause = if key.contains('.') { "is no known key" } else { "is no known section" };
            self.problem(&key, place, cause, remedy);
        }
    }

    fn suggestion(&self, unknown: &str) -> String {
        let (section, name) = split(unknown);
        let siblings: Vec<&str> =
            self.known.iter().map(|known| split(known)).filter(|(of, _)| *of == section).map(|(_, name)| name).collect();
        if let Some(nearest) = nearest(name, &siblings) {
            return if section.is_empty() { format!("did you mean [{nearest}]?") } else { format!("did you mean `{nearest}`?") };
        }
        let elsewhere = self.known.iter().map(|known| split(known));
        if let Some((of, _)) = elsewhere.filter(|(of, _)| !of.is_empty()).find(|(_, known)| *known == name) {
            return format!("`{name}` belongs under [{of}]");
        }
        format!("take it out; known here: {}", siblings.join(", "))
    }
}

fn split(key: &str) -> (&str, &str) {
    key.rsplit_once('.').unwrap_or(("", key))
}

/// The candidate that a slip of the fingers would turn into `word`, if there is one.
fn nearest<'a>(word: &str, candidates: &[&'a str]) -> Option<&'a str> {
    candidates
        .iter()
        .map(|candidate| (distance(word, candidate), *candidate))
        // A third of the letters: `prt` finds `port`, and `name` does not find `mode`.
        .filter(|(distance, candidate)| *distance <= (candidate.chars().count() / 3).max(1))
        .min()
        .map(|(_, candidate)| candidate)
}

/// Edit distance in which swapped neighbours count as one slip, as letters count.
fn distance(a: &str, b: &str) -> usize {
    let a: Vec<char> = a.to_lowercase().chars().collect();
    let b: Vec<char> = b.to_lowercase().chars().collect();
    // Row by row of the usual table, keeping two rows back for the swap.
    let mut before: Vec<usize> = Vec::new();
    let mut above: Vec<usize> = (0..=b.len()).collect();
    for i in 1..=a.len() {
        let mut row = vec![i];
        for j in 1..=b.len() {
            let same = usize::from(a[i - 1] != b[j - 1]);
            let mut least = (above[j] + 1).min(row[j - 1] + 1).min(above[j - 1] + same);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                least = least.min(before[j - 2] + 1);
            }
            row.push(least);
        }
        before = std::mem::replace(&mut above, row);
    }
    above[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_are_counted() {
        for (a, b, slips) in [
            ("host", "host", 0),
            ("hots", "host", 1),
            ("prt", "port", 1),
            ("", "abc", 3),
            ("Host", "host", 0),
            ("user", "port", 4),
        ] {
            assert_eq!(distance(a, b), slips, "{a} {b}");
            assert_eq!(distance(b, a), slips, "{b} {a}");
        }
    }

    #[test]
    fn nearest_is_near_or_nothing() {
        let keys = ["host", "port", "user", "password", "password_file", "tls"];
        assert_eq!(nearest("hots", &keys), Some("host"));
        assert_eq!(nearest("pasword", &keys), Some("password"));
        assert_eq!(nearest("passwordfile", &keys), Some("password_file"));
        assert_eq!(nearest("colour", &keys), None);
    }
}
