//! Reads: chunk bounds and chunks. The server computes every bound, in its own collations; we only pass back what it gave us.
//!
//! Ranges are half-open at the low end, `(after, upto]`, so they tile the key space exactly. A row constructor comparison would
//! not be served from the index on 5.7, so composite bounds are spelled out, with the leading column repeated as a plain range
//! for the optimizer: `a >= 1 AND (a > 1 OR (a = 1 AND b > 2))`.

use super::dml::KeyCondition;
use super::{Ident, qualified};
use crate::model::table::{Column, ColumnKind, Key, Table};

/// The spelled literals of a key's columns, in key order.
pub type Bound = Vec<Vec<u8>>;

/// True when the server compares literals with every column of the key in the key's own order. ENUM, SET and BIT do not: they
/// sort by number and compare with strings by name.
pub fn can_range(table: &Table, key: &Key) -> bool {
    key.columns.iter().all(|index| {
        table.columns.get(*index).is_some_and(|column| {
            !matches!(
                column.kind,
                ColumnKind::Enum
                    | ColumnKind::Set
                    | ColumnKind::Bit
                    | ColumnKind::Json
                    | ColumnKind::Geometry
                    | ColumnKind::Vector
            )
        })
    })
}

fn key_names<'t>(table: &'t Table, key: &Key) -> Vec<Ident<'t>> {
    key.columns.iter().filter_map(|index| table.columns.get(*index)).map(|column| Ident(&column.name)).collect()
}

fn joined(names: &[Ident<'_>], suffix: &str) -> String {
    names.iter().map(|name| format!("{name}{suffix}")).collect::<Vec<_>>().join(",")
}

/// Appends "the key is beyond `bound`" (or, mirrored, "at or before it").
fn write_side(out: &mut Vec<u8>, names: &[Ident<'_>], bound: &Bound, beyond: bool) {
    let [name, names @ ..] = names else { return };
    let Some((value, rest)) = bound.split_first() else { return };
    let compare = |out: &mut Vec<u8>, operator: &str| {
        name.write(out);
        out.extend_from_slice(operator.as_bytes());
        out.extend_from_slice(value);
    };
    let (strict, inclusive) = if beyond { (" > ", " >= ") } else { (" < ", " <= ") };
    if names.is_empty() {
        // The last column decides: beyond excludes the bound itself, at-or-before includes it.
        return compare(out, if beyond { strict } else { inclusive });
    }
    compare(out, inclusive);
    out.extend_from_slice(b" AND (");
    compare(out, strict);
    out.extend_from_slice(b" OR (");
    compare(out, " = ");
    out.extend_from_slice(b" AND ");
    write_side(out, names, &rest.to_vec(), beyond);
    out.extend_from_slice(b"))");
}

fn write_range(out: &mut Vec<u8>, names: &[Ident<'_>], after: Option<&Bound>, upto: Option<&Bound>) {
    let mut joint: &[u8] = b" WHERE ";
    for (bound, beyond) in [(after, true), (upto, false)] {
        if let Some(bound) = bound {
            out.extend_from_slice(joint);
            write_side(out, names, bound, beyond);
            joint = b" AND ";
        }
    }
}

/// The key of the last row: no chunk needs to go beyond it, since later rows arrive by the stream.
pub fn last_key(table: &Table, key: &Key) -> Vec<u8> {
    let names = key_names(table, key);
    let (columns, order) = (joined(&names, ""), joined(&names, " DESC"));
    format!("SELECT {columns} FROM {} FORCE INDEX ({}) ORDER BY {order} LIMIT 1", qualified(&table.name), Ident(&key.name))
        .into_bytes()
}

/// The key of the row that is `rows` rows beyond `after` and not beyond `upto`: the end of the next chunk.
pub fn next_bound(table: &Table, key: &Key, after: Option<&Bound>, upto: &Bound, rows: u64) -> Vec<u8> {
    let names = key_names(table, key);
    let columns = joined(&names, "");
    let mut out = format!("SELECT {columns} FROM {} FORCE INDEX ({})", qualified(&table.name), Ident(&key.name)).into_bytes();
    write_range(&mut out, &names, after, Some(upto));
    out.extend_from_slice(format!(" ORDER BY {columns} LIMIT 1 OFFSET {}", rows.saturating_sub(1)).as_bytes());
    out
}

/// How a column is asked for, so that its value arrives exact.
fn selected(column: &Column) -> String {
    let name = Ident(&column.name);
    match column.kind {
        ColumnKind::Enum | ColumnKind::Set | ColumnKind::Bit => format!("CAST({name} AS UNSIGNED)"),
        _ => name.to_string(),
    }
}

/// Rows of a table: all of them, or those of a range of its key.
#[derive(Debug, Clone, Copy)]
pub struct Range<'r> {
    pub table: &'r Table,
    pub key: Option<&'r Key>,
    pub after: Option<&'r Bound>,
    pub upto: Option<&'r Bound>,
}

impl Range<'_> {
    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(format!(" FROM {}", qualified(&self.table.name)).as_bytes());
        if let Some(key) = self.key {
            if self.after.is_some() || self.upto.is_some() {
                out.extend_from_slice(format!(" FORCE INDEX ({})", Ident(&key.name)).as_bytes());
            }
            write_range(out, &key_names(self.table, key), self.after, self.upto);
        }
    }

    /// All rows, written columns only, and behind them what else is asked.
    pub fn rows(&self, questions: &[Vec<u8>]) -> Vec<u8> {
        let mut out = select_written(self.table);
        for question in questions {
            out.push(b',');
            out.extend_from_slice(question);
        }
        self.write(&mut out);
        out
    }

    /// Some columns alone, of all rows or of some.
    pub fn columns<'c>(&self, names: impl Iterator<Item = &'c str>, limit: Option<usize>) -> Vec<u8> {
        let names: Vec<String> = names.map(|name| Ident(name).to_string()).collect();
        let mut out = format!("SELECT {}", names.join(",")).into_bytes();
        self.write(&mut out);
        if let Some(limit) = limit {
            out.extend_from_slice(format!(" LIMIT {limit}").as_bytes());
        }
        out
    }
}

fn select_written(table: &Table) -> Vec<u8> {
    let columns = table.written().map(|(_, column)| selected(column)).collect::<Vec<_>>().join(",");
    format!("SELECT {columns}").into_bytes()
}

fn write_keys<'k>(out: &mut Vec<u8>, table: &Table, key: &[usize], keys: impl Iterator<Item = &'k [u8]>) {
    let condition = KeyCondition::new(table, key);
    out.extend_from_slice(format!(" FROM {} WHERE {}", qualified(&table.name), condition.before).as_bytes());
    for (at, key) in keys.enumerate() {
        if at > 0 {
            out.extend_from_slice(condition.separator.as_bytes());
        }
        out.extend_from_slice(key);
    }
    out.extend_from_slice(condition.after.as_bytes());
}

/// The rows with these keys, written columns only.
pub fn rows_by_key<'k>(table: &Table, key: &[usize], keys: impl Iterator<Item = &'k [u8]>) -> Vec<u8> {
    let mut out = select_written(table);
    write_keys(&mut out, table, key, keys);
    out
}

/// An answer for each of the rows with these keys, behind the columns of the key.
pub fn answers_by_key<'k>(table: &Table, key: &[usize], question: &[u8], keys: impl Iterator<Item = &'k [u8]>) -> Vec<u8> {
    let columns: Vec<String> = key.iter().filter_map(|index| table.columns.get(*index)).map(selected).collect();
    let mut out = format!("SELECT {},", columns.join(",")).into_bytes();
    out.extend_from_slice(question);
    write_keys(&mut out, table, key, keys);
    out
}

/// One row by its key literal; in a SERIALIZABLE transaction it returns when no other transaction holds the row.
pub fn one_row(table: &Table, key: &Key, key_literal: &[u8]) -> Vec<u8> {
    let condition = KeyCondition::new(table, &key.columns);
    let mut out = format!("SELECT 1 FROM {} WHERE {}", qualified(&table.name), condition.before).into_bytes();
    out.extend_from_slice(key_literal);
    out.extend_from_slice(condition.after.as_bytes());
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::table::RowKey;
    use crate::model::table::tests::{column, table};

    fn text(bytes: Vec<u8>) -> String {
        String::from_utf8(bytes).expect("ASCII")
    }

    fn three() -> (Table, Key) {
        let integer = ColumnKind::Integer { unsigned: false };
        let table = table("t", vec![column("a", integer), column("b", integer), column("c", ColumnKind::Enum)], &[0, 1]);
        let RowKey::Key(key) = table.row_key.clone() else { panic!() };
        (table, key)
    }

    #[test]
    fn composite_bounds_are_spelled_for_the_index() {
        let (table, key) = three();
        let bound = vec![b"1".to_vec(), b"2".to_vec()];
        assert_eq!(
            text(Range { table: &table, key: Some(&key), after: Some(&bound), upto: Some(&bound) }.rows(&[])),
            "SELECT `a`,`b`,CAST(`c` AS UNSIGNED) FROM `shop`.`t` FORCE INDEX (`PRIMARY`) WHERE `a` >= 1 AND (`a` > 1 OR (`a` = 1 \
             AND `b` > 2)) AND `a` <= 1 AND (`a` < 1 OR (`a` = 1 AND `b` <= 2))"
        );
    }

    #[test]
    fn answers_come_with_the_key() {
        let (table, key) = three();
        assert_eq!(
            text(answers_by_key(&table, &key.columns, b"1", [&b"(1,2)"[..], b"(3,4)"].into_iter())),
            "SELECT `a`,`b`,1 FROM `shop`.`t` WHERE (`a`,`b`) IN ((1,2),(3,4))"
        );
        let all = Range { table: &table, key: None, after: None, upto: None };
        assert_eq!(text(all.columns(["c"].into_iter(), Some(9))), "SELECT `c` FROM `shop`.`t` LIMIT 9");
        assert!(text(all.rows(&[b"x".to_vec()])).starts_with("SELECT `a`,`b`,CAST(`c` AS UNSIGNED),x FROM"));
    }

    #[test]
    fn bounds_come_from_the_server_in_key_order() {
        let (table, key) = three();
        let bound = vec![b"1".to_vec(), b"2".to_vec()];
        assert!(text(last_key(&table, &key)).ends_with("ORDER BY `a` DESC,`b` DESC LIMIT 1"));
        assert!(text(next_bound(&table, &key, None, &bound, 10)).ends_with("ORDER BY `a`,`b` LIMIT 1 OFFSET 9"));
    }

    #[test]
    fn keys_that_compare_by_name_are_not_ranged() {
        let (table, mut key) = three();
        assert!(can_range(&table, &key));
        key.columns.push(2);
        assert!(!can_range(&table, &key));
    }
}
