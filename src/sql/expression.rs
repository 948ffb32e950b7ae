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

/// What an expression may refer to, in a column of what kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Operand {
    Column(ColumnKind),
    Generated(ColumnKind, String),
}

/// Functions whose result depends on the session's time zone or language, or on the server's tables of time zones.
const FUNCTIONS: [&str; 4] = ["from_unixtime(", "convert_tz(", "dayname(", "monthname("];
/// What DATE_FORMAT writes in a language.
const NAMES: [&str; 4] = ["%M", "%W", "%a", "%b"];
/// What takes a TIME for a moment of the present day when it stands before it.
const DATES: [&str; 16] = [
    "date(",
    "year(",
    "month(",
    "dayofmonth(",
    "day(",
    "to_days(",
    "to_seconds(",
    "dayofweek(",
    "weekday(",
    "dayofyear(",
    "quarter(",
    "week(",
    "yearweek(",
    "datediff(",
    "last_day(",
    "timestamp(",
];

/// How many generated columns may refer to each other in a chain.
const DEPTH: usize = 64;

/// What the value depends on besides the row, in words; `columns` are by their names in lower case. `kind` is that of the column that
/// holds the value, where one does.
pub fn bound_to_session(kind: Option<ColumnKind>, expression: &str, columns: &HashMap<String, Operand>) -> Option<String> {
    bound(kind, expression, columns, DEPTH)
}

fn bound(kind: Option<ColumnKind>, expression: &str, columns: &HashMap<String, Operand>, depth: usize) -> Option<String> {
    if depth == 0 {
        return Some("too many other generated columns".to_owned());
    }
    if let Some(ColumnKind::Timestamp { .. }) = kind {
        return Some("the session's time zone: it is a TIMESTAMP".to_owned());
    }
    let lower = expression.to_lowercase();
    if let Some(function) = FUNCTIONS.iter().find(|name| lower.contains(**name)) {
        return Some(format!("the session's settings, by {})", function.to_uppercase()));
    }
    // Case tells %M, a name, from %m, a number.
    if lower.contains("date_format(") && NAMES.iter().any(|name| expression.contains(name)) {
        return Some("the session's language, by DATE_FORMAT()".to_owned());
    }
    let dated = matches!(kind, Some(ColumnKind::Date | ColumnKind::DateTime { .. }));
    mentions(&lower).into_iter().find_map(|mention| match columns.get(&mention.name)? {
        Operand::Column(ColumnKind::Timestamp { .. }) if !mention.is_null_test => {
            Some(format!("the session's time zone, by the TIMESTAMP {}", mention.name))
        }
        Operand::Column(ColumnKind::Time { .. }) if dated || mention.as_date => {
            Some(format!("the day on which it is written, by the TIME {}", mention.name))
        }
        Operand::Column(_) => None,
        Operand::Generated(kind, other) => bound(Some(*kind), other, columns, depth - 1),
    })
}

/// A column in an expression.
struct Mention {
    name: String,
    /// Nothing is asked of it but whether it is NULL.
    is_null_test: bool,
    /// It is taken for a date.
    as_date: bool,
}

fn mentions(expression: &str) -> Vec<Mention> {
    // A backtick inside a name is doubled: it is no end of it.
    let marked = expression.replace("``", "\0");
    let pieces: Vec<&str> = marked.split('`').collect();
    let mut mentions = Vec::new();
    for group in pieces.windows(3).step_by(2) {
        let [before, name, after] = group else { continue };
        let next = after.trim_start();
        mentions.push(Mention {
            name: name.replace('\0', "`"),
            is_null_test: next.starts_with("is null") || next.starts_with("is not null") || before.ends_with("isnull("),
            as_date: next.starts_with("as date") || DATES.iter().any(|function| before.ends_with(function)),
        });
    }
    mentions
}

#[cfg(test)]
mod tests {
    use super::*;

    const INTEGER: ColumnKind = ColumnKind::Integer { unsigned: false };

    #[test]
    fn what_depends_on_the_session_is_told_from_what_does_not() {
        let columns = HashMap::from([
            ("ts".to_owned(), Operand::Column(ColumnKind::Timestamp { fraction: 0 })),
            ("at".to_owned(), Operand::Column(ColumnKind::DateTime { fraction: 0 })),
            ("t".to_owned(), Operand::Column(ColumnKind::Time { fraction: 0 })),
            ("o`dd".to_owned(), Operand::Generated(INTEGER, "year(`ts`)".to_owned())),
            ("fine".to_owned(), Operand::Generated(INTEGER, "year(`at`)".to_owned())),
            ("stamp".to_owned(), Operand::Generated(ColumnKind::Timestamp { fraction: 0 }, "`at`".to_owned())),
            ("self".to_owned(), Operand::Generated(INTEGER, "`self`".to_owned())),
        ]);
        for expression in [
            "cast(`ts` as date)",
            "(`TS` + interval 1 day)",
            "from_unixtime(`id`)",
            "convert_tz(`at`,_utf8mb4\\'+00:00\\',_utf8mb4\\'Europe/Berlin\\')",
            "date_format(`at`,_utf8mb4\\'%M %Y\\')",
            "(`o``dd` + 1)",
            "cast(`t` as datetime)",
            "(to_days(`t`) + 1)",
            "`self`",
            "hour(`stamp`)",
            "if((`ts` is null),0,hour(`ts`))",
        ] {
            assert!(bound_to_session(None, expression, &columns).is_some(), "{expression}");
        }
        for expression in [
            "cast(`at` as date)",
            "date_format(`at`,_utf8mb4\\'%Y-%m-%d %w\\')",
            "(`a` + `b`)",
            "hour(`t`)",
            "timestamp(`at`,`t`)",
            "(case when (`ts` is null) then 1 end)",
            "if((`ts` is not null),NULL,isnull(`ts`))",
            "`fine`",
            "json_extract(`j`,_utf8mb4\\'$.ts\\')",
        ] {
            assert_eq!(bound_to_session(None, expression, &columns), None, "{expression}");
        }
        let date = Some(ColumnKind::Date);
        assert!(bound_to_session(date, "`t`", &columns).is_some() && bound_to_session(Some(INTEGER), "`t`", &columns).is_none());
        assert!(bound_to_session(Some(ColumnKind::Timestamp { fraction: 0 }), "`at`", &columns).is_some());
    }
}
