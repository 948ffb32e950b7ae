//! A definition, said so that another version understands the same by it; pure.
//!
//! `SHOW CREATE TABLE` leaves out what is the default of the server that prints it. The default collation of a character set is
//! such a thing, and it changed: `CHARSET=utf8mb4` is `utf8mb4_general_ci` on 5.7 and `utf8mb4_0900_ai_ci` on 8.0. Taken over as it
//! is, the definition would compare, order and hold unique otherwise, and rows that are different on the source would be one
//! on the target. So every character set that names no collation gets the source's default one.

use std::collections::HashMap;

/// Adds what the source leaves out. `defaults` has each character set's default collation, as the source has it.
pub fn spell_collations(definition: &str, defaults: &HashMap<String, String>) -> String {
    let mut out = String::with_capacity(definition.len() + 64);
    let mut rest = definition;
    while let Some(first) = rest.chars().next() {
        let taken = match first {
            '`' | '\'' | '"' => quoted_length(rest, first),
            _ => charset_clause(rest).unwrap_or(first.len_utf8()),
        };
        let (text, after) = rest.split_at(taken);
        out.push_str(text);
        if let Some(charset) = charset_of(text)
            && !after.trim_start().starts_with("COLLATE")
            && let Some(collation) = defaults.get(charset)
        {
            out.push_str(if text.starts_with("CHARSET=") { " COLLATE=" } else { " COLLATE " });
            out.push_str(collation);
        }
        rest = after;
    }
    out
}

/// The definition as a statement that leaves a table alone which is there already.
pub fn if_absent(definition: &str) -> String {
    definition
        .strip_prefix("CREATE TABLE ")
        .map_or_else(|| definition.to_owned(), |rest| format!("CREATE TABLE IF NOT EXISTS {rest}"))
}

/// The server prints its own clauses in capitals; `charset` inside an expression is printed small, and stays.
const CLAUSES: [&str; 2] = ["CHARSET=", "CHARACTER SET "];

/// The length of a clause that names a character set, if the text begins with one.
fn charset_clause(text: &str) -> Option<usize> {
    let keyword = CLAUSES.into_iter().find(|clause| text.starts_with(clause))?;
    let name = text.get(keyword.len()..)?;
    let length = name.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(name.len());
    (length > 0).then_some(keyword.len() + length)
}

fn charset_of(clause: &str) -> Option<&str> {
    CLAUSES.into_iter().find_map(|keyword| clause.strip_prefix(keyword))
}

/// The length of a quoted run, quotes included; quotes inside are doubled, and in strings escaped.
fn quoted_length(text: &str, quote: char) -> usize {
    let mut chars = text.char_indices().skip(1).peekable();
    while let Some((at, c)) = chars.next() {
        if c == '\\' && quote != '`' {
            chars.next();
        } else if c == quote && chars.next_if(|(_, next)| *next == quote).is_none() {
            return at + 1;
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spelled(definition: &str) -> String {
        let defaults = [("utf8mb4", "utf8mb4_general_ci"), ("latin1", "latin1_swedish_ci")];
        spell_collations(definition, &defaults.map(|(charset, collation)| (charset.to_owned(), collation.to_owned())).into())
    }

    #[test]
    fn a_default_collation_is_spelled_for_tables_and_columns() {
        assert_eq!(
            spelled("(`a` char(1) CHARACTER SET latin1 NOT NULL) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 ROW_FORMAT=DYNAMIC"),
            "(`a` char(1) CHARACTER SET latin1 COLLATE latin1_swedish_ci NOT NULL) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 \
             COLLATE=utf8mb4_general_ci ROW_FORMAT=DYNAMIC"
        );
    }

    #[test]
    fn a_table_is_created_only_when_it_is_absent() {
        assert_eq!(if_absent("CREATE TABLE `t` (`a` int)"), "CREATE TABLE IF NOT EXISTS `t` (`a` int)");
    }

    #[test]
    fn what_is_spelled_already_and_what_is_only_text_stays() {
        for definition in [
            "(`a` char(1) CHARACTER SET latin1 COLLATE latin1_bin) DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin",
            "(`CHARSET=utf8mb4` int COMMENT 'it''s \\' CHARSET=utf8mb4')",
            "(`a` int AS (cast(`b` as char charset utf8mb4)))",
            "CHARSET=unknown1",
            "'never closed CHARSET=utf8mb4",
        ] {
            assert_eq!(spelled(definition), definition);
        }
    }
}
