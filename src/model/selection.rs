//! Which tables the task carries: globs over `database.table`.
//!
//! A table is selected when some `include` matches it, no `exclude` does, and it is not in a system
//! schema. In a glob `*` stands for any run of characters, also none, and `?` for exactly one; neither
//! crosses the dot. A part in backquotes is taken literally, as the server would: `` `odd.name`.`a*` ``
//! names one table, and a doubled backquote stands for one.
//!
//! Names are compared byte for byte, as a server with `lower_case_table_names=0` (Aurora's and PolarDB's
//! default) does. On a server with 1 the catalog and the binlog carry lower-case names, so write globs in lower case.
//!
//! System schemas are never selected, whatever a wildcard says: accounts, grants and `mysql.rds_*` belong
//! to the cloud they live in, and `polarferry` is our own state. To name one is an error and not silence,
//! because whoever writes `mysql.*` expects something that will not happen.

use std::fmt;
use std::str::FromStr;

/// Schemas that no task carries: the server's own (Aurora's `rds_*` and `aurora_*` objects live in `mysql`) and ours.
pub const SYSTEM_SCHEMAS: [&str; 5] = ["mysql", "sys", "information_schema", "performance_schema", "polarferry"];

/// Case does not matter here: `INFORMATION_SCHEMA` is one schema however it is written, and being too
/// careful with a schema named `MySQL` costs an error message.
pub fn is_system_schema(name: &str) -> bool {
    SYSTEM_SCHEMAS.iter().any(|system| system.eq_ignore_ascii_case(name))
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Selection {
    pub include: Vec<Glob>,
    pub exclude: Vec<Glob>,
}

impl Selection {
    /// Whether the task carries this table. `polarferry` and the server's schemas never are.
    pub fn includes(&self, schema: &str, table: &str) -> bool {
        let any = |globs: &[Glob]| globs.iter().any(|glob| glob.matches(schema, table));
        !is_system_schema(schema) && any(&self.include) && !any(&self.exclude)
    }
}

/// One `database.table` pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Glob {
    schema: Part,
    table: Part,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    /// Bare text: `*` and `?` are wildcards.
    Pattern(String),
    /// Backquoted text: every character stands for itself.
    Literal(String),
}

/// Why a text is no glob.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotAGlob {
    #[error("is empty")]
    Empty,
    #[error("has no table part")]
    NoTable,
    #[error("has more than two parts")]
    TooManyParts,
    #[error("has an empty part")]
    EmptyPart,
    #[error("has a backquote that is not closed")]
    OpenBackquote,
    #[error("has text beside a backquoted part")]
    BesideBackquote,
    #[error("has the character {0:?} outside backquotes")]
    Unexpected(char),
    #[error("names the system schema {0}, which is never migrated")]
    SystemSchema(String),
}

impl NotAGlob {
    pub fn remedy(&self) -> &'static str {
        match self {
            NotAGlob::Empty | NotAGlob::NoTable | NotAGlob::EmptyPart => {
                "write database.table; database.* takes every table of a database"
            }
            NotAGlob::TooManyParts => "write database.table; put a name that contains a dot into backquotes: `a.b`.c",
            NotAGlob::OpenBackquote => "close the backquote; inside, write a backquote of the name twice",
            NotAGlob::BesideBackquote => "put the whole part into backquotes, or none of it; backquoted parts have no wildcards",
            NotAGlob::Unexpected(_) => "put the name into backquotes: `my name`.table",
            NotAGlob::SystemSchema(_) => "leave it out; accounts and grants are made on the target by hand",
        }
    }
}

impl Glob {
    pub fn matches(&self, schema: &str, table: &str) -> bool {
        self.schema.matches(schema) && self.table.matches(table)
    }
}

impl FromStr for Glob {
    type Err = NotAGlob;

    fn from_str(text: &str) -> Result<Glob, NotAGlob> {
        let text = text.trim();
        if text.is_empty() {
            return Err(NotAGlob::Empty);
        }
        let (schema, rest) = Part::take(text)?;
        let rest = rest.strip_prefix('.').ok_or(NotAGlob::NoTable)?;
        let (table, rest) = Part::take(rest)?;
        if !rest.is_empty() {
            return Err(NotAGlob::TooManyParts);
        }
        let (Part::Pattern(name) | Part::Literal(name)) = &schema;
        if is_system_schema(name) {
            return Err(NotAGlob::SystemSchema(name.clone()));
        }
        Ok(Glob { schema, table })
    }
}

impl Part {
    /// Takes one part from the front; what remains is empty or begins with a dot.
    fn take(text: &str) -> Result<(Part, &str), NotAGlob> {
        let (part, rest) = match text.strip_prefix('`') {
            Some(quoted) => {
                let (name, rest) = unquote(quoted)?;
                if !(rest.is_empty() || rest.starts_with('.')) {
                    return Err(NotAGlob::BesideBackquote);
                }
                (Part::Literal(name), rest)
            }
            None => {
                let (name, rest) = text.split_at(text.find('.').unwrap_or(text.len()));
                if name.contains('`') {
                    return Err(NotAGlob::BesideBackquote);
                }
                let odd = |c: &char| !(c.is_alphanumeric() || "_$*?-".contains(*c));
                if let Some(odd) = name.chars().find(odd) {
                    return Err(NotAGlob::Unexpected(odd));
                }
                (Part::Pattern(name.to_owned()), rest)
            }
        };
        let (Part::Pattern(name) | Part::Literal(name)) = &part;
        if name.is_empty() {
            return Err(NotAGlob::EmptyPart);
        }
        Ok((part, rest))
    }

    fn matches(&self, name: &str) -> bool {
        match self {
            Part::Pattern(pattern) => wild(pattern, name),
            Part::Literal(literal) => literal == name,
        }
    }
}

/// Reads up to the closing backquote; a doubled one stands for one.
fn unquote(text: &str) -> Result<(String, &str), NotAGlob> {
    let mut name = String::new();
    let mut rest = text;
    loop {
        let (before, after) = rest.split_once('`').ok_or(NotAGlob::OpenBackquote)?;
        name.push_str(before);
        match after.strip_prefix('`') {
            Some(next) => {
                name.push('`');
                rest = next;
            }
            None => return Ok((name, after)),
        }
    }
}

/// Wildcard match that goes back only to the last `*`: at worst the product of both lengths, never exponential.
fn wild(pattern: &str, name: &str) -> bool {
    let (mut pattern, mut name) = (pattern.chars(), name.chars());
    // After the last star: the pattern that follows it, and the name from where that is tried next.
    let mut retry: Option<(std::str::Chars<'_>, std::str::Chars<'_>)> = None;
    loop {
        let at = name.clone();
        match (pattern.next(), name.next()) {
            (None, None) => return true,
            (Some('*'), _) => {
                name = at;
                retry = Some((pattern.clone(), name.clone()));
            }
            (Some('?'), Some(_)) => {}
            (Some(wanted), Some(found)) if wanted == found => {}
            _ => {
                // The star swallows one more character, or there is no way left.
                let Some((after, from)) = &mut retry else {
                    return false;
                };
                if from.next().is_none() {
                    return false;
                }
                (pattern, name) = (after.clone(), from.clone());
            }
        }
    }
}

impl fmt::Display for Glob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.schema, self.table)
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Part::Pattern(pattern) => f.write_str(pattern),
            Part::Literal(literal) => write!(f, "`{}`", literal.replace('`', "``")),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn glob(text: &str) -> Glob {
        text.parse().expect(text)
    }

    fn selection(include: &[&str], exclude: &[&str]) -> Selection {
        let globs = |texts: &[&str]| texts.iter().map(|text| glob(text)).collect();
        Selection { include: globs(include), exclude: globs(exclude) }
    }

    #[test]
    fn exclude_wins_over_include() {
        let selection = selection(&["shop.*", "crm.user?"], &["shop.tmp_*"]);
        assert!(selection.includes("shop", "orders"));
        assert!(selection.includes("crm", "user1"));
        assert!(!selection.includes("crm", "user"));
        assert!(!selection.includes("crm", "user12"));
        assert!(!selection.includes("shop", "tmp_1"));
        assert!(!selection.includes("Shop", "orders"));
        assert!(!selection.includes("other", "orders"));
    }

    #[test]
    fn system_schemas_are_never_selected() {
        let all = selection(&["*.*", "m?sql.*"], &[]);
        for schema in SYSTEM_SCHEMAS {
            assert!(!all.includes(schema, "t"), "{schema}");
            assert!(!all.includes(&schema.to_uppercase(), "t"), "{schema}");
        }
        assert!(!all.includes("mysql", "rds_heartbeat2"));
        assert!(all.includes("mysql2", "t"));
    }

    #[test]
    fn naming_a_system_schema_is_an_error() {
        for text in ["mysql.*", "`sys`.x", "PolarFerry.checkpoint"] {
            let error = text.parse::<Glob>().unwrap_err();
            assert!(matches!(error, NotAGlob::SystemSchema(_)), "{text}");
            assert!(!error.remedy().is_empty());
        }
    }

    #[test]
    fn backquoted_parts_are_literal() {
        let odd = glob("`my.db`.`a*``b`");
        assert!(odd.matches("my.db", "a*`b"));
        assert!(!odd.matches("my.db", "axx`b"));
        assert_eq!(odd.to_string(), "`my.db`.`a*``b`");
        assert!(glob("`my.db`.*").matches("my.db", "anything"));
    }

    #[test]
    fn malformed_globs_say_why() {
        for (text, error) in [
            ("", NotAGlob::Empty),
            ("shop", NotAGlob::NoTable),
            ("`shop`", NotAGlob::NoTable),
            ("shop.", NotAGlob::EmptyPart),
            (".t", NotAGlob::EmptyPart),
            ("a.b.c", NotAGlob::TooManyParts),
            ("`a.b", NotAGlob::OpenBackquote),
            ("`a`x.b", NotAGlob::BesideBackquote),
            ("a.b`c`", NotAGlob::BesideBackquote),
            ("a.b c", NotAGlob::Unexpected(' ')),
            ("a.b;", NotAGlob::Unexpected(';')),
        ] {
            assert_eq!(text.parse::<Glob>(), Err(error), "{text}");
        }
    }

    #[test]
    fn many_stars_do_not_explode() {
        let pattern = "*a".repeat(30) + "b";
        assert!(!wild(&pattern, &"a".repeat(64)));
    }

    /// The definition of a wildcard match, word for word, and exponential.
    fn naive(pattern: &[char], name: &[char]) -> bool {
        match (pattern, name) {
            ([], []) => true,
            (['*', rest @ ..], _) => (0..=name.len()).any(|n| naive(rest, &name[n..])),
            (['?', rest @ ..], [_, more @ ..]) => naive(rest, more),
            ([p, rest @ ..], [n, more @ ..]) => p == n && naive(rest, more),
            _ => false,
        }
    }

    proptest! {
        #[test]
        fn wildcards_match_as_defined(pattern in "[ab*?]{0,8}", name in "[abc]{0,8}") {
            let chars = |text: &str| text.chars().collect::<Vec<_>>();
            prop_assert_eq!(wild(&pattern, &name), naive(&chars(&pattern), &chars(&name)));
        }

        #[test]
        fn any_name_can_be_selected_literally(schema in "\\PC{1,12}", table in "\\PC{1,12}") {
            let quote = |name: &str| format!("`{}`", name.replace('`', "``"));
            let text = format!("{}.{}", quote(&schema), quote(&table));
            let glob: Glob = text.parse().unwrap();
            prop_assert!(glob.matches(&schema, &table));
            prop_assert_eq!(glob.to_string(), text);
        }

        #[test]
        fn parsing_never_panics_and_display_reads_back(text in "[a`.*? é]{0,12}") {
            if let Ok(glob) = text.parse::<Glob>() {
                prop_assert_eq!(glob.to_string().parse::<Glob>(), Ok(glob));
            }
        }
    }
}
