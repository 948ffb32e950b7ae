//! What the viewer sees while the daemon works: on a terminal one block that is drawn again in its
//! place, else one line each time.

use std::io::{self, IsTerminal, Write};
use std::time::Duration;

use crate::status::Status;

pub const WIDTH: usize = 80;

const BAR: usize = 40;

/// Moves to the beginning of the line so many lines above, and clears from there on.
fn back(lines: usize) -> String {
    format!("\x1b[{lines}F\x1b[J")
}

pub struct Screen {
    terminal: bool,
    drawn: usize,
}

impl Screen {
    pub fn new() -> Self {
        Self { terminal: io::stdout().is_terminal(), drawn: 0 }
    }

    /// Shows one moment: the time since the daemon's start, its status, what the writer committed.
    pub fn show(&mut self, elapsed: Duration, status: &Status, committed: u64) {
        if !self.terminal {
            println!("{}", line(elapsed, status));
            return;
        }
        let lines = block(elapsed, status, committed);
        let mut text = if self.drawn > 0 { back(self.drawn) } else { String::new() };
        for line in &lines {
            text.push_str(line);
            text.push('\n');
        }
        self.drawn = lines.len();
        print!("{text}");
        // A terminal that is gone is no reason to stop.
        let _ = io::stdout().flush();
    }
}

fn block(elapsed: Duration, status: &Status, committed: u64) -> Vec<String> {
    let share = share(status);
    let filled = (share * BAR as f64) as usize;
    vec![
        format!("  phase    {:<49}{:>8} s", status.phase, elapsed.as_secs()),
        format!("  tables   {} of {} copied", status.tables_copied, status.tables),
        format!(
            "  rows     [{}{}] {:>3.0} %  {:>13}",
            "#".repeat(filled),
            ".".repeat(BAR - filled),
            share * 100.0,
            thousands(status.rows_copied)
        ),
        format!("  copy     {} rows/s", thousands(status.copy_rate as u64)),
        format!(
            "  stream   {} transactions, {:.0}/s; the writer committed {}",
            thousands(status.transactions),
            status.stream_rate,
            thousands(committed)
        ),
        format!("  lag      {}, backlog {} transactions", lag(status.lag_seconds), thousands(status.backlog)),
    ]
}

fn line(elapsed: Duration, status: &Status) -> String {
    format!(
        "{:>4} s  {:<8} {:>2}/{} tables {:>10} rows {:>3.0} %  {:>8} tx  lag {}",
        elapsed.as_secs(),
        status.phase,
        status.tables_copied,
        status.tables,
        thousands(status.rows_copied),
        share(status) * 100.0,
        thousands(status.transactions),
        lag(status.lag_seconds)
    )
}

/// How much is copied, from 0 to 1. Estimates may be too low, so only the end is the whole.
fn share(status: &Status) -> f64 {
    if status.streams() {
        return 1.0;
    }
    let estimated = status.rows_estimated.max(1) as f64;
    (status.rows_copied as f64 / estimated).min(0.99)
}

pub fn lag(seconds: Option<f64>) -> String {
    seconds.map_or_else(|| "unknown".to_owned(), |seconds| format!("{seconds:.1} s"))
}

/// `31 ms`, `4.2 s`
pub fn span(duration: Duration) -> String {
    if duration < Duration::from_secs(1) {
        format!("{} ms", duration.as_millis())
    } else {
        format!("{:.1} s", duration.as_secs_f64())
    }
}

/// `12,345,678`
pub fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Fills lines up to `WIDTH`: the first begins with `first`, the others are indented as far.
pub fn wrapped(first: &str, text: &str) -> String {
    let indent = first.chars().count();
    let mut lines = first.to_owned();
    let mut used = indent;
    for word in text.split_whitespace() {
        let length = word.chars().count();
        if used > indent && used + 1 + length > WIDTH {
            lines.push('\n');
            lines.push_str(&" ".repeat(indent));
            used = indent;
        } else if used > indent {
            lines.push(' ');
            used += 1;
        }
        lines.push_str(word);
        used += length;
    }
    lines
}
