//! What a generated column's value depends on besides its row; pure.
//!
//! A server computes generated columns in whatever session writes the row. Most expressions give the same in every session, since
//! servers refuse NOW(), variables and the like in them; some do not, and nothing in the binary log says what that session's settings
//! were: a TIMESTAMP is read in its time zone, month names are in its language, a TIME becomes a date on its day.
//!
//! The expression is looked through as text, not parsed. Words inside its string literals are taken for what they look like: better a
//! table too many is refused than a row computed otherwise. What is not seen: a TIME that is compared with a date or added to, a format
//! of DATE_FORMAT that is a column, and a quotient under another `div_precision_increment`.

use std::collections::{HashMap, HashSet};

use crate::model::table::ColumnKind;

/// What an expression may refer to, in a column of what kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Operand {
    /// Of a kind that has to do with dates and times.
    Column(ColumnKind),
    Plain,
    Generated(Option<ColumnKind>, String),
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
/// What does so wherever it stands.
const DATED: [&str; 7] =
    ["extract(year", "extract(month", "extract(day ", "extract(quarter", "extract(week", "timestampdiff(", "date_format("];
/// What hands a value on as it is.
const CHOICES: [&str; 4] = ["if(", "ifnull(", "coalesce(", "case "];

/// What the value depends on besides the row, in words; `columns` are by their names in lower case. `kind` is that of the column that
/// holds the value, where one does.
pub fn bound_to_session(kind: Option<ColumnKind>, expression: &str, columns: &HashMap<String, Operand>) -> Option<String> {
    bound(kind, expression, columns, &mut HashSet::new())
}

/// `seen`: the generated columns that were looked at before.
fn bound(
    kind: Option<ColumnKind>,
    expression: &str,
    columns: &HashMap<String, Operand>,
    seen: &mut HashSet<String>,
) -> Option<String> {
    if let Some(ColumnKind::Timestamp { .. }) = kind {
        return Some("the session's time zone: it is a TIMESTAMP".to_owned());
    }
    let lower = expression.to_lowercase();
    let has = |words: &[&str]| words.iter().any(|word| lower.contains(word));
    if let Some(function) = FUNCTIONS.iter().find(|name| lower.contains(**name)) {
        return Some(format!("the session's settings, by {})", function.to_uppercase()));
    }
    // Case tells %M, a name, from %m, a number.
    if lower.contains("date_format(") && NAMES.iter().any(|name| expression.contains(name)) {
        return Some("the session's language, by DATE_FORMAT()".to_owned());
    }
    let date = matches!(kind, Some(ColumnKind::Date | ColumnKind::DateTime { .. }));
    let handed_on = lower.trim_matches(['(', ')', ' ']).trim_matches('`').bytes().all(|byte| byte != b'(') || has(&CHOICES);
    let dated = date && handed_on || has(&DATED);
    mentions(&lower).into_iter().find_map(|mention| match columns.get(&mention.name)? {
        Operand::Column(ColumnKind::Timestamp { .. }) if !mention.is_null_test => {
            Some(format!("the session's time zone, by the TIMESTAMP {}", mention.name))
        }
        Operand::Column(ColumnKind::Time { .. }) if dated || mention.as_date => {
            Some(format!("the day on which it is written, by the TIME {}", mention.name))
        }
        Operand::Column(_) | Operand::Plain => None,
        Operand::Generated(kind, other) if seen.insert(mention.name) => bound(*kind, other, columns, seen),
        Operand::Generated(..) => None,
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
    // Every piece is taken for a name: a backtick in a literal would put the others in the wrong places.
    for group in pieces.windows(3) {
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

    #[test]
    fn what_depends_on_the_session_is_told_from_what_does_not() {
        let columns = HashMap::from([
            ("ts".to_owned(), Operand::Column(ColumnKind::Timestamp { fraction: 0 })),
            ("at".to_owned(), Operand::Column(ColumnKind::DateTime { fraction: 0 })),
            ("t".to_owned(), Operand::Column(ColumnKind::Time { fraction: 0 })),
            ("o`dd".to_owned(), Operand::Generated(None, "year(`ts`)".to_owned())),
            ("fine".to_owned(), Operand::Generated(None, "year(`at`)".to_owned())),
            ("stamp".to_owned(), Operand::Generated(Some(ColumnKind::Timestamp { fraction: 0 }), "`at`".to_owned())),
            ("self".to_owned(), Operand::Generated(None, "`self`".to_owned())),
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
            "hour(`stamp`)",
            "concat('`',hour(`ts`))",
            "extract(year from `t`)",
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
            "`self`",
            "json_extract(`j`,_utf8mb4\\'$.ts\\')",
        ] {
            assert_eq!(bound_to_session(None, expression, &columns), None, "{expression}");
        }
        let date = Some(ColumnKind::Date);
        for expression in ["`t`", "(`t`)", "ifnull(`t`,`at`)", "(case when `a` then `t` end)"] {
            assert!(bound_to_session(date, expression, &columns).is_some(), "{expression}");
            assert_eq!(bound_to_session(None, expression, &columns), None, "{expression}");
        }
        for expression in ["timestamp(`d`,`t`)", "addtime(`at`,`t`)", "cast(concat(`d`,' ',`t`) as datetime)"] {
            assert_eq!(bound_to_session(date, expression, &columns), None, "{expression}");
        }
        assert!(bound_to_session(Some(ColumnKind::Timestamp { fraction: 0 }), "`at`", &columns).is_some());
    }
}
