//! Text for a terminal of 80 columns: wrapping, bars, numbers. Pure.

/// The width that every terminal, pager and ticket has.
pub(super) const WIDTH: usize = 80;

/// Makes text from a server or a daemon safe to print: control characters could move the cursor or
/// rewrite what stands above.
pub(super) fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// Fills lines up to `WIDTH`; the first begins with `first`, the others are indented as far. A word
/// longer than a line is cut, since GTID sets and paths have no spaces.
pub(super) fn wrap(first: &str, text: &str) -> String {
    let indent = first.chars().count();
    let room = WIDTH.saturating_sub(indent).max(20);
    let mut lines: Vec<String> = vec![String::new()];
    for word in plain(text).split_whitespace() {
        let mut letters: Vec<char> = word.chars().collect();
        while !letters.is_empty() {
            let line = lines.last_mut().expect("there is always a line");
            let used = line.chars().count();
            let gap = usize::from(used > 0);
            if used + gap + letters.len() <= room {
                line.extend(std::iter::repeat_n(' ', gap).chain(letters.drain(..)));
            } else if used > 0 {
                lines.push(String::new());
            } else {
                line.extend(letters.drain(..room));
            }
        }
    }
    let break_ = format!("\n{:indent$}", "");
    format!("{first}{}", lines.join(&break_))
}

/// Cuts the middle out of what is longer than `width`: both ends of a name or a GTID set tell something.
pub(super) fn squeeze(text: &str, width: usize) -> String {
    let letters: Vec<char> = plain(text).chars().collect();
    if letters.len() <= width {
        return letters.into_iter().collect();
    }
    let head = width.saturating_sub(1) / 2;
    let tail = width.saturating_sub(1) - head;
    let ends = letters[..head].iter().chain(['…'].iter());
    ends.chain(&letters[letters.len() - tail..]).collect()
}

/// `[########........]`, ASCII because logs and tickets are.
pub(super) fn bar(ratio: f64, width: usize) -> String {
    let full = (1..=width).filter(|cell| *cell as f64 <= ratio * width as f64).count();
    format!("[{}{}]", "#".repeat(full), ".".repeat(width - full))
}

/// `12,345,678`
pub(super) fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// At most five characters: `999`, `12.3K`, `456M`.
pub(super) fn short(number: u64) -> String {
    let scales = [(1_000_000_000_000, 'T'), (1_000_000_000, 'G'), (1_000_000, 'M'), (1_000, 'K')];
    let Some((scale, letter)) = scales.into_iter().find(|(scale, _)| number >= *scale) else {
        return number.to_string();
    };
    let (whole, tenth) = (number / scale, number % scale * 10 / scale);
    if whole >= 100 { format!("{whole}{letter}") } else { format!("{whole}.{tenth}{letter}") }
}

/// The two largest units: `3h 12m`, `45s`; tenths below ten seconds, where they matter.
pub(super) fn span(seconds: f64) -> String {
    if seconds < 10.0 {
        return format!("{:.1}s", seconds.max(0.0));
    }
    // Saturates; an estimate of more than an age is shown as one.
    let mut rest = seconds as u64;
    let mut parts = Vec::new();
    for (unit, length) in [("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1)] {
        if rest >= length || !parts.is_empty() {
            parts.push(format!("{}{unit}", rest / length));
        }
        rest %= length;
    }
    parts.truncate(2);
    parts.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_filled_and_never_longer_than_the_terminal() {
        let text = format!("{} {}", "word ".repeat(40), "x".repeat(200));
        let wrapped = wrap("      remedy: ", &text);
        assert!(wrapped.lines().all(|line| line.chars().count() <= WIDTH), "{wrapped}");
        assert!(wrapped.lines().skip(1).all(|line| line.starts_with("              ")));
        let words = |text: &str| text.replace(char::is_whitespace, "");
        assert_eq!(words(&wrapped), words(&format!("remedy: {text}")));
        assert_eq!(wrap("a ", ""), "a ");
    }

    #[test]
    fn numbers_read_as_people_write_them() {
        assert_eq!([0, 999, 1000, 1234567].map(thousands), ["0", "999", "1,000", "1,234,567"]);
        assert_eq!([0, 999, 1000, 12_345, 456_789_000].map(short), ["0", "999", "1.0K", "12.3K", "456M"]);
        assert!(short(u64::MAX).ends_with('T'));
        assert_eq!([0.0, 2.44, 45.0, 11_530.0, 90_000.0].map(span), ["0.0s", "2.4s", "45s", "3h 12m", "1d 1h"]);
        assert_eq!(span(60.0), "1m 0s");
    }

    #[test]
    fn bars_are_full_only_when_all_is_done() {
        assert_eq!(bar(0.0, 4), "[....]");
        assert_eq!(bar(0.99, 4), "[###.]");
        assert_eq!(bar(1.0, 4), "[####]");
        assert_eq!(bar(7.0, 4), "[####]");
        assert_eq!(bar(f64::NAN, 4), "[....]");
    }

    #[test]
    fn long_names_keep_both_ends_and_no_control_characters() {
        assert_eq!(squeeze("shop.orders", 20), "shop.orders");
        assert_eq!(squeeze("abcdefghij", 5), "ab…ij");
        assert_eq!(plain("a\x1b[2Jb\nc"), "a [2Jb c");
    }
}
