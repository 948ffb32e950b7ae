//! What the daemon writes to standard error: one JSON object per event, and, when it ends with a
//! failure, words for the person who started it.

use serde_json::Value;

/// One line of standard error.
pub enum Line<'t> {
    Event(Value),
    /// `polarferry: cause`, `remedy: …`, or something that nobody meant to write.
    Words(&'t str),
}

pub fn lines(log: &str) -> impl Iterator<Item = Line<'_>> {
    log.lines().filter(|line| !line.trim().is_empty()).map(|line| match serde_json::from_str(line) {
        Ok(event @ Value::Object(_)) => Line::Event(event),
        _ => Line::Words(line),
    })
}

/// All that is not a line of the log.
pub fn words(log: &str) -> String {
    let words = lines(log).filter_map(|line| match line {
        Line::Words(words) => Some(words),
        Line::Event(_) => None,
    });
    words.collect::<Vec<_>>().join("\n")
}

/// Errors, and words that are not a log's: a run without a failure has neither.
pub fn odd(log: &str) -> String {
    let odd = lines(log).filter_map(|line| match line {
        Line::Event(event) => (event["level"] == "ERROR").then(|| event.to_string()),
        Line::Words(words) => Some(words.to_owned()),
    });
    odd.collect::<Vec<_>>().join("\n")
}
