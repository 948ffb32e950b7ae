//! What a generated column's value depends on besides its row; pure.
//!
//! A server computes generated columns in whatever session writes the row. Most expressions give the same in every session, since
//! servers refuse NOW(), variables and the like in them; some do not, and nothing in the binary log says what that session's settings
//! were: a TIMESTAMP is read in its time zone, month names are in its language, a TIME becomes a date on its day.
//!
//! The expression is looked through as text, not parsed. Words inside its string literals are taken for what they look like: better a
//! table too many is refused than a row computed otherwise.

use std::collections::HashMap;

use crate::model::table::ColumnKind;

/// What an expression may refer to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Operand {
    Column(ColumnKind),
    Generated(String),
}

/// Functions whose result depends on the session's time zone or language, or on the server's tables of time zones.
const FUNCTIONS: [&str; 5] = ["from_unixtime", "convert_tz", "dayname", "monthname", "localtimestamp"];
/// What DATE_FORMAT writes in a language.
const NAMES: [&str; 4] = ["%m", "%w", "%a", "%b"];
/// Where a TIME becomes a moment of the present day.
const DATES: [&str; 3] = ["as date", "timestamp(", "date("];

/// How many generated columns may refer to each other in a chain.
const DEPTH: usize = 64;

/// What the value depends on besides the row, in words; `columns` are by their names in lower case.
pub fn bound_to_session(expression: &str, columns: &HashMap<String, Operand>) -> Option<String> {
    bound(expression, columns, DEPTH)
}

fn bound(expression: &str, columns: &HashMap<String, Operand>, depth: usize) -> Option<String> {
    if depth == 0 {
        return Some("too many other generated columns".to_owned());
    }
    let lower = expression.to_lowercase();
    if let Some(function) = FUNCTIONS.iter().find(|name| lower.contains(&format!("{name}("))) {
        return Some(format!("the session's settings, by {}()", function.to_uppercase()));
    }
    // Case tells %M, a name, from %m, a number; %w is a number.
    let names = NAMES.iter().any(|name| match *name {
        "%m" | "%w" => expression.contains(&name.to_uppercase()),
        name => expression.contains(name),
    });
    if names && lower.contains("date_format(") {
        return Some("the session's language, by DATE_FORMAT()".to_owned());
    }
    names_in(&lower).find_map(|name| match columns.get(&name)? {
        Operand::Column(ColumnKind::Timestamp { .. }) => Some(format!("the session's time zone, by the TIMESTAMP {name}")),
        Operand::Column(ColumnKind::Time { .. }) if DATES.iter().any(|sign| lower.contains(sign)) => {
            Some(format!("the day on which it is written, by the TIME {name}"))
        }
        Operand::Column(_) => None,
        Operand::Generated(other) => bound(other, columns, depth - 1),
    })
}

/// The quoted names in an expression.
fn names_in(expression: &str) -> impl Iterator<Item = String> {
    // A backtick inside a name is doubled: the pieces between are then put together again.
    let marked = expression.replace("``", "\0");
    let pieces: Vec<String> = marked.split('`').skip(1).step_by(2).map(|piece| piece.replace('\0', "`")).collect();
    pieces.into_iter()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_depends_on_the_session_is_told_from_what_does_not() {
        let columns = HashMap::from([
            ("ts".to_owned(), Operand::Column(ColumnKind::Timestamp { fraction: 0 })),
            ("at".to_owned(), Operand::Column(ColumnKind::DateTime { fraction: 0 })),
            ("t".to_owned(), Operand::Column(ColumnKind::Time { fraction: 0 })),
            ("o`dd".to_owned(), Operand::Generated("year(`ts`)".to_owned())),
            ("fine".to_owned(), Operand::Generated("year(`at`)".to_owned())),
            ("self".to_owned(), Operand::Generated("`self`".to_owned())),
        ]);
        for expression in [
            "cast(`ts` as date)",
            "(`TS` + interval 1 day)",
            "from_unixtime(`id`)",
            "convert_tz(`at`,_utf8mb4\\'+00:00\\',_utf8mb4\\'Europe/Berlin\\')",
            "date_format(`at`,_utf8mb4\\'%M %Y\\')",
            "(`o``dd` + 1)",
            "cast(`t` as datetime)",
            "`self`",
        ] {
            assert!(bound_to_session(expression, &columns).is_some(), "{expression}");
        }
        for expression in [
            "cast(`at` as date)",
            "date_format(`at`,_utf8mb4\\'%Y-%m-%d %w\\')",
            "(`a` + `b`)",
            "hour(`t`)",
            "`fine`",
            "json_extract(`j`,_utf8mb4\\'$.ts\\')",
        ] {
            assert_eq!(bound_to_session(expression, &columns), None, "{expression}");
        }
    }
}
