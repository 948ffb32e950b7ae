//! A lexer for MySQL statements as they stand in the binlog, and their classification.
//!
//! The binlog's statements were accepted by a server, so there is no grammar to check; the one question is *what does this touch*.
//! No tree is built: words, names, strings and symbols are enough to find the verb, the object and the names, and what is not
//! recognised is [`Query::Unknown`], which stops the stream.
//!
//! Version comments (`/*!80000 … */`) are opened: their content was executed. Other comments are skipped.

use crate::model::table::TableName;
use crate::model::xid::Xid;

#[derive(Debug, Clone, PartialEq, Eq)]
enum Token {
    /// An unquoted word, as written.
    Word(String),
    /// A name in backticks; or in double quotes, which are names under ANSI_QUOTES only and strings otherwise: where a server has taken
    /// one for a name, it can be nothing else.
    Name(String),
    Text,
    Number,
    Symbol(u8),
}

/// What is done with an XA transaction. (PREPARE, and COMMIT in one phase, are events of their own.)
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Xa {
    Start,
    End,
    Commit,
    Rollback,
}

/// What a statement is, and which of our objects it may touch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Query {
    Begin,
    Commit,
    Rollback,
    /// SAVEPOINT, RELEASE SAVEPOINT: inside a transaction, without effect on rows.
    Savepoint,
    /// Rows before it in the same transaction may be undone.
    RollbackTo,
    Xa(Xa, Xid),
    /// Changes the definition or drops all rows of these tables.
    TableDdl {
        verb: &'static str,
        tables: Vec<TableName>,
    },
    /// CREATE TABLE … SELECT of 8.0.21 and newer: its rows follow in the same group.
    CreateAndFill(TableName),
    /// Drops a whole schema.
    DropSchema(String),
    /// Databases, views, triggers, routines, events: no row of ours changes.
    OtherDdl(&'static str),
    /// Accounts, maintenance, temporary tables, server objects.
    Irrelevant,
    /// Changes rows by statement: which ones cannot be told from here. The schemas it names, the default one included.
    Dml {
        verb: String,
        schemas: Vec<String>,
    },
    Unknown,
}

fn lex(sql: &str) -> Vec<Token> {
    let mut tokens = Vec::new();
    let mut rest = sql;
    while let Some(first) = rest.chars().next() {
        let (token, used) = match first {
            c if c.is_whitespace() => (None, c.len_utf8()),
            '#' => (None, line_end(rest)),
            '-' if rest.starts_with("-- ") || rest.starts_with("--\t") || rest.starts_with("--\n") => (None, line_end(rest)),
            '/' if rest.starts_with("/*!") => {
                (None, rest.len() - rest[3..].trim_start_matches(|c: char| c.is_ascii_digit()).len())
            }
            '/' if rest.starts_with("/*") => (None, rest[2..].find("*/").map_or(rest.len(), |at| at + 4)),
            // The end of a version comment that was opened.
            '*' if rest.starts_with("*/") => (None, 2),
            '`' | '\'' | '"' => {
                let (text, used) = quoted(rest, first);
                // In a name a backslash is one, in a string it escapes; which of both this is, is not known.
                let ambiguous = rest.get(..used).is_some_and(|run| run.contains('\\'));
                let name = first == '`' || first == '"' && !ambiguous;
                (Some(if name { Token::Name(text) } else { Token::Text }), used)
            }
            c if c.is_ascii_digit() => (Some(Token::Number), word_end(rest)),
            c if c.is_alphabetic() || c == '_' || c == '$' || !c.is_ascii() => {
                let used = word_end(rest);
                (Some(Token::Word(rest[..used].to_owned())), used)
            }
            c => (Some(Token::Symbol(c as u8)), c.len_utf8()),
        };
        tokens.extend(token);
        rest = &rest[used.max(1).min(rest.len())..];
    }
    tokens
}

fn line_end(text: &str) -> usize {
    text.find('\n').map_or(text.len(), |at| at + 1)
}

fn word_end(text: &str) -> usize {
    text.find(|c: char| !(c.is_alphanumeric() || c == '_' || c == '$' || !c.is_ascii())).unwrap_or(text.len())
}

/// The content of a quoted run and the bytes it took, quotes included. Doubled quotes and (except in names) backslashes escape.
fn quoted(text: &str, quote: char) -> (String, usize) {
    let mut content = String::new();
    let mut chars = text.char_indices().skip(1).peekable();
    while let Some((at, c)) = chars.next() {
        if c == '\\' && quote != '`' {
            content.extend(chars.next().map(|(_, escaped)| escaped));
        } else if c != quote {
            content.push(c);
        } else if chars.peek().is_some_and(|(_, next)| *next == quote) {
            chars.next();
            content.push(quote);
        } else {
            return (content, at + quote.len_utf8());
        }
    }
    (content, text.len())
}

/// A reader over tokens that looks for words without regard to case.
struct Reader<'t> {
    tokens: &'t [Token],
    default_schema: &'t str,
}

impl Reader<'_> {
    fn peek_word(&self) -> String {
        match self.tokens.first() {
            Some(Token::Word(word)) => word.to_ascii_uppercase(),
            _ => String::new(),
        }
    }

    fn skip(&mut self) {
        self.tokens = self.tokens.get(1..).unwrap_or(&[]);
    }

    fn accept(&mut self, word: &str) -> bool {
        let found = self.peek_word() == word;
        if found {
            self.skip();
        }
        found
    }

    fn accept_all(&mut self, words: &[&str]) {
        for word in words {
            self.accept(word);
        }
    }

    fn accept_symbol(&mut self, symbol: u8) -> bool {
        let found = self.tokens.first() == Some(&Token::Symbol(symbol));
        if found {
            self.skip();
        }
        found
    }

    /// Goes on behind the next occurrence of `word`.
    fn find(&mut self, word: &str) -> bool {
        while !self.tokens.is_empty() {
            if self.accept(word) {
                return true;
            }
            self.skip();
        }
        false
    }

    fn part(&mut self) -> Option<String> {
        let part = match self.tokens.first()? {
            Token::Word(word) => word.clone(),
            Token::Name(name) => name.clone(),
            Token::Text | Token::Number | Token::Symbol(_) => return None,
        };
        self.skip();
        Some(part)
    }

    fn name(&mut self) -> Option<TableName> {
        let first = self.part()?;
        if self.accept_symbol(b'.') {
            return Some(TableName::new(first, self.part()?));
        }
        Some(TableName::new(self.default_schema, first))
    }

    /// `a, b.c, d`
    fn names(&mut self) -> Option<Vec<TableName>> {
        let mut names = vec![self.name()?];
        while self.accept_symbol(b',') {
            names.push(self.name()?);
        }
        Some(names)
    }
}

/// Says what a QUERY event's statement is.
pub fn classify(sql: &str, default_schema: &str) -> Query {
    let tokens = lex(sql);
    let mut reader = Reader { tokens: &tokens, default_schema };
    let verb = reader.peek_word();
    reader.skip();
    match verb.as_str() {
        "BEGIN" => Query::Begin,
        "START" => Query::Begin,
        "COMMIT" => Query::Commit,
        "ROLLBACK" if reader.tokens.is_empty() => Query::Rollback,
        "ROLLBACK" => Query::RollbackTo,
        "SAVEPOINT" | "RELEASE" => Query::Savepoint,
        "XA" => xa(sql).unwrap_or(Query::Unknown),
        "CREATE" | "ALTER" | "DROP" => definition(&verb, &mut reader).unwrap_or(Query::Unknown),
        "RENAME" => rename(&mut reader).unwrap_or(Query::Unknown),
        "TRUNCATE" => {
            reader.accept("TABLE");
            reader.names().map_or(Query::Unknown, |tables| Query::TableDdl { verb: "TRUNCATE TABLE", tables })
        }
        "GRANT" | "REVOKE" | "SET" | "FLUSH" | "ANALYZE" | "OPTIMIZE" | "REPAIR" | "CHECK" | "CHECKSUM" | "INSTALL"
        | "UNINSTALL" | "IMPORT" | "CACHE" => Query::Irrelevant,
        "INSERT" | "UPDATE" | "DELETE" | "REPLACE" | "LOAD" | "CALL" | "DO" | "SELECT" | "WITH" | "TABLE" | "VALUES" => {
            Query::Dml { verb, schemas: schemas(&tokens, default_schema) }
        }
        _ => Query::Unknown,
    }
}

/// The server writes these itself, always in one form.
fn xa(sql: &str) -> Option<Query> {
    let mut words = sql.split_ascii_whitespace().skip(1);
    let verb = match words.next()? {
        "START" => Xa::Start,
        "END" => Xa::End,
        "COMMIT" => Xa::Commit,
        "ROLLBACK" => Xa::Rollback,
        _ => return None,
    };
    let xid = Xid::parse(words.next()?)?;
    words.next().is_none().then_some(Query::Xa(verb, xid))
}

/// CREATE, ALTER and DROP: the options in front of the object's kind are skipped, then the kind decides.
fn definition(verb: &str, reader: &mut Reader<'_>) -> Option<Query> {
    let mut temporary = false;
    while let Some(token) = reader.tokens.first() {
        let Token::Word(word) = token else {
            reader.skip();
            continue;
        };
        let kind = word.to_ascii_uppercase();
        reader.skip();
        match kind.as_str() {
            "TEMPORARY" => temporary = true,
            "TABLE" | "TABLES" if temporary => return Some(Query::Irrelevant),
            "TABLE" | "TABLES" => {
                reader.accept_all(&["IF", "NOT", "EXISTS"]);
                return table_definition(verb, reader);
            }
            "INDEX" => {
                let found = reader.find("ON");
                let verb = if verb == "CREATE" { "CREATE INDEX" } else { "DROP INDEX" };
                return found.then(|| reader.name()).flatten().map(|name| Query::TableDdl { verb, tables: vec![name] });
            }
            "DATABASE" | "SCHEMA" if verb == "DROP" => {
                reader.accept_all(&["IF", "EXISTS"]);
                return Some(Query::DropSchema(reader.part()?));
            }
            "DATABASE" | "SCHEMA" => return Some(Query::OtherDdl("database")),
            "VIEW" => return Some(Query::OtherDdl("view")),
            "TRIGGER" => return Some(Query::OtherDdl("trigger")),
            "PROCEDURE" | "FUNCTION" => return Some(Query::OtherDdl("routine")),
            "EVENT" => return Some(Query::OtherDdl("event")),
            // CREATE SPATIAL INDEX is an index; CREATE SPATIAL REFERENCE SYSTEM is the server's.
            "SPATIAL" if reader.peek_word() != "REFERENCE" => {}
            "USER" | "ROLE" | "TABLESPACE" | "UNDO" | "LOGFILE" | "SERVER" | "INSTANCE" | "RESOURCE" | "SPATIAL" => {
                return Some(Query::Irrelevant);
            }
            _ => {}
        }
    }
    None
}

fn table_definition(verb: &str, reader: &mut Reader<'_>) -> Option<Query> {
    match verb {
        "CREATE" => {
            let name = reader.name()?;
            let filled = matches!(reader.tokens, [.., Token::Word(start), Token::Word(transaction)]
                if start.eq_ignore_ascii_case("START") && transaction.eq_ignore_ascii_case("TRANSACTION"));
            Some(if filled { Query::CreateAndFill(name) } else { Query::TableDdl { verb: "CREATE TABLE", tables: vec![name] } })
        }
        "DROP" => Some(Query::TableDdl { verb: "DROP TABLE", tables: reader.names()? }),
        _ => {
            let mut tables = vec![reader.name()?];
            // ALTER TABLE a RENAME TO b and EXCHANGE PARTITION … WITH TABLE b touch a second table.
            while !reader.tokens.is_empty() {
                if reader.accept("RENAME") {
                    if !matches!(reader.peek_word().as_str(), "COLUMN" | "INDEX" | "KEY") {
                        reader.accept_all(&["TO", "AS"]);
                        reader.accept_symbol(b'=');
                        tables.push(reader.name()?);
                    }
                } else if reader.accept("WITH") {
                    if reader.accept("TABLE") {
                        tables.push(reader.name()?);
                    }
                } else {
                    reader.skip();
                }
            }
            Some(Query::TableDdl { verb: "ALTER TABLE", tables })
        }
    }
}

fn rename(reader: &mut Reader<'_>) -> Option<Query> {
    if reader.accept("USER") {
        return Some(Query::Irrelevant);
    }
    if !reader.accept("TABLE") && !reader.accept("TABLES") {
        return None;
    }
    let mut tables = Vec::new();
    loop {
        tables.push(reader.name()?);
        if !reader.accept("TO") {
            return None;
        }
        tables.push(reader.name()?);
        if !reader.accept_symbol(b',') {
            return Some(Query::TableDdl { verb: "RENAME TABLE", tables });
        }
    }
}

/// Every schema that a statement could reach: the default one, and whatever stands before a dot.
fn schemas(tokens: &[Token], default_schema: &str) -> Vec<String> {
    let mut schemas = vec![default_schema.to_owned()];
    for window in tokens.windows(2) {
        if let [Token::Word(name) | Token::Name(name), Token::Symbol(b'.')] = window {
            schemas.push(name.clone());
        }
    }
    schemas
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ddl(sql: &str) -> Vec<String> {
        match classify(sql, "shop") {
            Query::TableDdl { tables, .. } => tables.iter().map(ToString::to_string).collect(),
            other => panic!("{sql}: {other:?}"),
        }
    }

    #[test]
    fn tables_are_found_behind_comments_quotes_and_options() {
        assert_eq!(ddl("/* app */ ALTER TABLE t1 ADD COLUMN zz int -- trailing"), ["shop.t1"]);
        assert_eq!(ddl("# hash\nALTER TABLE /*! ddl. */ t1 ADD x int"), ["ddl.t1"]);
        assert_eq!(ddl("CREATE TABLE IF NOT EXISTS `we``ird`.`a b` (`x` int)"), ["we`ird.a b"]);
        assert_eq!(ddl("DROP TABLE IF EXISTS `a`,`b`.`c` /* generated by server */"), ["shop.a", "b.c"]);
        assert_eq!(ddl("RENAME TABLE a TO b, x.c TO x.d"), ["shop.a", "shop.b", "x.c", "x.d"]);
        assert_eq!(ddl("TRUNCATE t12"), ["shop.t12"]);
        assert_eq!(ddl("CREATE UNIQUE INDEX ix1 USING BTREE ON t17 (b, a DESC)"), ["shop.t17"]);
        assert_eq!(ddl("CREATE SPATIAL INDEX i ON g (p)"), ["shop.g"]);
        assert_eq!(ddl("DROP INDEX `PRIMARY` ON t17"), ["shop.t17"]);
        assert_eq!(ddl("ALTER TABLE t3 EXCHANGE PARTITION p0 WITH TABLE t3x WITHOUT VALIDATION"), ["shop.t3", "shop.t3x"]);
        assert_eq!(ddl("ALTER TABLE t1 RENAME AS x.t1b"), ["shop.t1", "x.t1b"]);
        assert_eq!(ddl("ALTER TABLE t1 RENAME COLUMN d TO d2, RENAME INDEX i TO j"), ["shop.t1"]);
        // Under ANSI_QUOTES.
        assert_eq!(ddl("ALTER TABLE \"o\".\"a \"\"b\" COMMENT 'x'"), ["o.a \"b"]);
        assert_eq!(classify("DROP TABLE \"a\\b\"", "shop"), Query::Unknown);
    }

    #[test]
    fn what_changes_no_row_of_ours_is_told_apart() {
        for (sql, expected) in [
            ("BEGIN", Query::Begin),
            ("COMMIT", Query::Commit),
            ("ROLLBACK", Query::Rollback),
            ("ROLLBACK TO `s`", Query::RollbackTo),
            ("XA START X'61',X'',1", Query::Xa(Xa::Start, Xid { gtrid: b"a".to_vec(), bqual: Vec::new(), format: 1 })),
            ("XA ROLLBACK 'a'", Query::Unknown),
            ("CREATE TABLE `x`.`y` (\n  `id` int\n) START TRANSACTION", Query::CreateAndFill(TableName::new("x", "y"))),
            ("CREATE TEMPORARY TABLE tmp1 (a int)", Query::Irrelevant),
            ("DROP /*!40005 TEMPORARY */ TABLE IF EXISTS `tmp1`", Query::Irrelevant),
            ("CREATE USER 'u'@'%' IDENTIFIED BY 'x'", Query::Irrelevant),
            ("CREATE SPATIAL REFERENCE SYSTEM 990000 NAME 'x' DEFINITION 'TABLE'", Query::Irrelevant),
            ("CREATE DATABASE `d2` /*!40100 DEFAULT CHARACTER SET utf8mb4 */", Query::OtherDdl("database")),
            (
                "CREATE ALGORITHM=UNDEFINED DEFINER=`root`@`localhost` SQL SECURITY DEFINER VIEW `v1` AS select 1",
                Query::OtherDdl("view"),
            ),
            ("CREATE DEFINER=`r`@`l` TRIGGER tr1 BEFORE INSERT ON t1 FOR EACH ROW SET @a = 1", Query::OtherDdl("trigger")),
            ("DROP DATABASE IF EXISTS d2", Query::DropSchema("d2".into())),
        ] {
            assert_eq!(classify(sql, "shop"), expected, "{sql}");
        }
    }

    #[test]
    fn statements_name_every_schema_that_they_could_reach() {
        let Query::Dml { schemas, .. } = classify("INSERT INTO a SELECT * FROM `o t`.b", "shop") else { panic!() };
        assert_eq!(schemas, ["shop", "o t"]);
        assert_eq!(classify("FROBNICATE t1", "shop"), Query::Unknown);
        assert_eq!(classify("", "shop"), Query::Unknown);
    }

    #[test]
    fn unfinished_text_ends_where_it_ends() {
        for sql in ["'", "`a", "/* x", "/*!", "\"a\\", "-- ", "é`"] {
            classify(sql, "");
        }
    }
}
