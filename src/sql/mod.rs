//! The only room that spells SQL. Pure: text in, text out.
//!
//! Names enter statements through [`Ident`] alone, values through [`literal`] alone. Statements are bytes, not strings: every
//! session of ours runs under `SET NAMES binary`, so text travels in the column's own character set, byte for byte, and no
//! conversion can lose a character or reject one.

pub mod acting;
pub mod dml;
pub mod document;
pub mod expression;
pub mod heartbeat;
pub mod inserts;
pub mod keyless;
pub mod leaves;
pub mod lexer;
pub mod lift;
pub mod literal;
pub mod prepared;
pub mod probe;
pub mod session;
pub mod state;
pub mod statement;

use crate::model::table::TableName;

/// A quoted name.
#[derive(Debug, Clone, Copy)]
pub struct Ident<'a>(pub &'a str);

impl Ident<'_> {
    pub fn write(self, out: &mut Vec<u8>) {
        out.push(b'`');
        for byte in self.0.bytes() {
            if byte == b'`' {
                out.push(b'`');
            }
            out.push(byte);
        }
        out.push(b'`');
    }
}

impl std::fmt::Display for Ident<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "`{}`", self.0.replace('`', "``"))
    }
}

/// `` `schema`.`table` ``
pub fn qualified(name: &TableName) -> String {
    format!("{}.{}", Ident(&name.schema), Ident(&name.table))
}

/// A string literal for the few statements that carry names and settings as values.
pub fn quoted(text: &str) -> String {
    let mut out = Vec::with_capacity(text.len() + 2);
    literal::write_quoted(&mut out, text.as_bytes());
    // Quoting adds ASCII only, so what was UTF-8 still is.
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_cannot_leave_their_quotes() {
        assert_eq!(qualified(&TableName::new("a`b", "c.d")), "`a``b`.`c.d`");
        assert_eq!(quoted("it's\\"), r"'it\'s\\'");
    }
}
