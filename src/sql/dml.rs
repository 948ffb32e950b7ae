//! Row-writing statements. The heads and tails are spelled once per table version ([`Shapes`]); what is paid per row is only its
//! values.
//!
//! No `REPLACE` where it could delete another row than the one with the same key (see [`inserts`]). An upsert is `INSERT … ON DUPLICATE
//! KEY UPDATE` with `VALUES()`, which every version from 5.7 on understands (the row alias that replaces it needs 8.0.19, more
//! than PolarDB promises). Its count tells what happened: 1 for an inserted row, 2 for a changed one, 0 for an equal one.

use std::sync::Arc;

use super::literal::{self, Unwritable};
use super::statement::{Expect, Statement};
use super::{Ident, inserts, keyless, qualified};
use crate::model::image::{ImageError, RowImage};
use crate::model::table::{Column, ColumnKind, Key, Table};
use crate::model::value::Value;

/// Statements of rows grow to about this. Larger ones save nothing that can be measured, smaller ones cost round trips.
pub const STATEMENT_BYTES: usize = 1024 * 1024;

/// Keys in one `IN` list: enough that the statement's own cost vanishes, few enough for every server's range optimizer.
pub const KEYS_PER_STATEMENT: usize = 2_000;

/// Keys of a statement whose rows are read ahead: so few that their pages are still in a small memory when it comes.
pub(super) const KEYS_AHEAD: usize = 500;
/// Keys of one question.
const KEYS_PER_READ: usize = 32;

/// Why a row cannot be written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RowError {
    #[error(transparent)]
    Image(#[from] ImageError),
    #[error(transparent)]
    Literal(#[from] Unwritable),
}

/// The parts of a table's statements that do not change from row to row.
#[derive(Debug)]
pub struct Shapes {
    pub(super) insert: Vec<u8>,
    pub(super) overwrite: Vec<u8>,
    pub(super) keep: Vec<u8>,
    /// The statements that take rows as lines, where the table's types allow it: new ones, and ones that may be there.
    pub(super) load: Option<Vec<u8>>,
    pub(super) load_over: Option<Vec<u8>>,
    /// The same, for new rows with documents, of which a line holds the text: as they are read, not as the stream has them.
    pub(super) load_documents: Option<Vec<u8>>,
    /// From so many rows on they are used: never, where the target does not take them.
    pub(super) many: usize,
    /// By the row key; of no use without one.
    pub delete: Delete,
    /// By each secondary unique key, in the table's order.
    pub evict: Vec<Delete>,
    pub(super) name: String,
    pub(super) table: Arc<str>,
    /// What tells rows apart in a table without a key.
    pub(super) digest: Option<String>,
    /// Whether the table has JSON columns.
    pub has_documents: bool,
}

impl Shapes {
    /// `loads`: from so many rows on LOAD DATA LOCAL is worth it; `None` where the target does not take it.
    pub fn new(table: &Table, loads: Option<usize>) -> Self {
        let name = qualified(&table.name);
        let columns: Vec<Ident<'_>> = table.written().map(|(_, column)| Ident(&column.name)).collect();
        let list =
            |separator: &str, spell: &dyn Fn(&Ident<'_>) -> String| columns.iter().map(spell).collect::<Vec<_>>().join(separator);
        let shown: Arc<str> = Arc::from(table.name.to_string());
        let delete = |key: &[usize]| {
            let condition = KeyCondition::new(table, key);
            let head = format!("DELETE FROM {name} WHERE {}", condition.before).into_bytes();
            let count = format!("SELECT COUNT(*) FROM {name} WHERE {}", condition.before).into_bytes();
            Delete { head, count, condition, table: Arc::clone(&shown) }
        };
        let inserts::Loads { new, over, documents } = inserts::loads(table, &name);
        let first = columns.first().map_or_else(String::new, ToString::to_string);
        Self {
            insert: format!("INSERT INTO {name} ({}) VALUES ", list(",", &|column| column.to_string())).into_bytes(),
            overwrite: format!(" ON DUPLICATE KEY UPDATE {}", list(",", &|column| format!("{column}=VALUES({column})")))
                .into_bytes(),
            keep: format!(" ON DUPLICATE KEY UPDATE {first}={name}.{first}").into_bytes(),
            load: new,
            load_over: over,
            load_documents: documents,
            many: loads.unwrap_or(usize::MAX),
            delete: delete(table.key_columns().unwrap_or(&[])),
            evict: table.secondary_uniques.iter().map(|key| delete(&key.columns)).collect(),
            digest: if table.key_columns().is_none() { keyless::digest_expression(table) } else { None },
            table: shown,
            name,
            has_documents: table.columns.iter().any(|column| column.kind == ColumnKind::Json),
        }
    }

    /// Whether rows that are read are to be spelled as lines, which differ from the values of a statement where there are documents.
    pub fn documents_as_lines(&self) -> bool {
        self.many != usize::MAX && self.load_documents.is_some()
    }

    /// The table, for messages.
    pub fn shown(&self) -> Arc<str> {
        Arc::clone(&self.table)
    }
}

/// How a list of spelled keys becomes a condition: `k IN (1,2)`, `(a,b) IN ((1,2),(3,4))`, or, when a part of a composite key is an
/// ENUM, SET or BIT, `(a=1 AND b=2) OR (…)`: inside a row constructor the server compares those by name, not by number.
#[derive(Debug, Clone)]
pub struct KeyCondition {
    pub before: String,
    pub separator: &'static str,
    pub after: &'static str,
}

impl KeyCondition {
    pub fn new(table: &Table, key: &[usize]) -> Self {
        if by_parts(table, key) {
            return Self { before: String::new(), separator: " OR ", after: "" };
        }
        let names: Vec<String> =
            key.iter().filter_map(|index| table.columns.get(*index)).map(|column| Ident(&column.name).to_string()).collect();
        let tuple = if let [single] = names.as_slice() { single.clone() } else { format!("({})", names.join(",")) };
        Self { before: format!("{tuple} IN ("), separator: ",", after: ")" }
    }
}

fn by_parts(table: &Table, key: &[usize]) -> bool {
    let kinds = key.iter().filter_map(|index| table.columns.get(*index)).map(|column| column.kind);
    key.len() > 1 && kinds.into_iter().any(|kind| matches!(kind, ColumnKind::Enum | ColumnKind::Set | ColumnKind::Bit))
}

/// How many of these keys, spelled by [`write_key`], stand in the table: `shape` is [`Shapes::delete`]. At most
/// [`KEYS_PER_STATEMENT`] of them.
pub fn count_keys(shape: &Delete, keys: &[&[u8]]) -> Vec<u8> {
    let mut text = shape.count.clone();
    for (at, key) in keys.iter().enumerate() {
        if at > 0 {
            text.extend_from_slice(shape.condition.separator.as_bytes());
        }
        text.extend_from_slice(key);
    }
    text.extend_from_slice(shape.condition.after.as_bytes());
    text
}

/// [`Statement::reads`] for these keys.
pub(super) fn reads(shape: &Delete, keys: impl Iterator<Item = impl AsRef<[u8]>>) -> Vec<Vec<u8>> {
    let keys: Vec<_> = keys.collect();
    let count = |some: &[_]| count_keys(shape, &some.iter().map(AsRef::as_ref).collect::<Vec<&[u8]>>());
    keys.chunks(KEYS_PER_READ).map(count).collect()
}

/// A DELETE by keys, but for the keys.
#[derive(Debug)]
pub struct Delete {
    head: Vec<u8>,
    /// The head of the question how many of them there are.
    count: Vec<u8>,
    condition: KeyCondition,
    table: Arc<str>,
}

/// Deletes by key: `shape` is [`Shapes::delete`] or one of [`Shapes::evict`], `keys` are spelled by [`write_key`]; with `ahead`, there
/// are questions for who reads ahead.
pub fn deletes<'k>(shape: &Delete, keys: impl Iterator<Item = &'k [u8]>, strict: bool, ahead: bool, out: &mut Vec<Statement>) {
    let (mut text, mut taken) = (Vec::new(), Vec::new());
    let most = if ahead { KEYS_AHEAD } else { KEYS_PER_STATEMENT };
    let mut close = |text: &mut Vec<u8>, taken: &mut Vec<&[u8]>| {
        text.extend_from_slice(shape.condition.after.as_bytes());
        let expect = if strict { Expect::Exactly(taken.len() as u64) } else { Expect::Any };
        let reads = if ahead { reads(shape, taken.iter()) } else { Vec::new() };
        out.push(Statement { reads, ..Statement::new(Arc::clone(&shape.table), std::mem::take(text), expect) });
        taken.clear();
    };
    for key in keys {
        if !taken.is_empty() && (text.len() + key.len() > STATEMENT_BYTES || taken.len() >= most) {
            close(&mut text, &mut taken);
        }
        text.extend_from_slice(if taken.is_empty() { &shape.head } else { shape.condition.separator.as_bytes() });
        text.extend_from_slice(key);
        taken.push(key);
    }
    if !taken.is_empty() {
        close(&mut text, &mut taken);
    }
}

/// Appends a column's value. A server keeps the sign of a zero, but not where it rounds what it is given: in FLOAT(M,D) and
/// DOUBLE(M,D) a minus zero can stand (left there by an expression over such a column), and no statement of ours writes it.
pub fn write_cell(out: &mut Vec<u8>, column: &Column, value: Value<'_>) -> Result<(), Unwritable> {
    if is_minus_zero(value) && column.type_text.contains('(') {
        return Err(Unwritable::MinusZero);
    }
    literal::write(out, value)
}

pub(super) fn is_minus_zero(value: Value<'_>) -> bool {
    match value {
        Value::Float(number) => number == 0.0 && number.is_sign_negative(),
        Value::Double(number) => number == 0.0 && number.is_sign_negative(),
        _ => false,
    }
}

/// Whether a cell is a blank: see [`Statement`].
pub fn is_blank(column: &Column, value: Value<'_>) -> bool {
    column.kind == ColumnKind::Enum && value == Value::UInt(0)
}

/// Appends a row's written values, separated by commas; returns the number of blanks among them.
pub fn write_row(out: &mut Vec<u8>, table: &Table, row: &RowImage) -> Result<usize, RowError> {
    let mut result = Ok(());
    let mut first = true;
    let mut blanks = 0;
    row.walk(&table.columns, |index, value| {
        let Some(column) = table.columns.get(index).filter(|column| !column.generated && result.is_ok()) else { return };
        if !first {
            out.push(b',');
        }
        first = false;
        blanks += usize::from(is_blank(column, value));
        result = write_cell(out, column, value);
    })?;
    result?;
    Ok(blanks)
}

/// A key's values as [`KeyCondition`] wants them: `1`, `(1,'a')` or ``(`e`=1 AND `b`=2)``. Equal stored values give equal bytes.
pub fn write_key(out: &mut Vec<u8>, table: &Table, key: &[usize], values: &[Value<'_>]) -> Result<(), Unwritable> {
    let by_parts = by_parts(table, key);
    if values.len() > 1 {
        out.push(b'(');
    }
    for (at, (index, value)) in key.iter().zip(values).enumerate() {
        if at > 0 {
            out.extend_from_slice(if by_parts { b" AND " } else { b"," });
        }
        if let Some(column) = table.columns.get(*index).filter(|_| by_parts) {
            Ident(&column.name).write(out);
            out.push(b'=');
        }
        let kind = table.columns.get(*index).map(|column| column.kind);
        let value = match value {
            // A SET compares as a signed number: with its 64th member it is negative, and equals no unsigned one.
            Value::UInt(bits) if kind == Some(ColumnKind::Set) => Value::Int(bits.cast_signed()),
            value => *value,
        };
        literal::write(out, value)?;
    }
    if values.len() > 1 {
        out.push(b')');
    }
    Ok(())
}

/// The row key of a row image.
pub fn key_of(table: &Table, key: &[usize], row: &RowImage) -> Result<Vec<u8>, RowError> {
    Ok(spell_key(table, key, row, false)?.unwrap_or_default())
}

fn spell_key(table: &Table, key: &[usize], row: &RowImage, skip_null: bool) -> Result<Option<Vec<u8>>, RowError> {
    let values = row.pick(&table.columns, key)?;
    let values = values.get(..key.len()).unwrap_or(&[]);
    if skip_null && values.contains(&Value::Null) {
        return Ok(None);
    }
    let mut out = Vec::with_capacity(24);
    write_key(&mut out, table, key, values)?;
    Ok(Some(out))
}

/// The values of a secondary unique key, as they stand in an `IN` list; `None` when a part is NULL, which collides with nothing.
pub fn unique_of(table: &Table, key: &Key, row: &RowImage) -> Result<Option<Vec<u8>>, RowError> {
    spell_key(table, &key.columns, row, true)
}

#[cfg(test)]
pub(super) mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::model::image::{Layout, Wire};
    use crate::model::table::tests::{column, table};

    pub fn shop() -> Table {
        let mut table = table(
            "t",
            vec![
                column("id", ColumnKind::Integer { unsigned: false }),
                column("na`me", ColumnKind::Text),
                column("twice", ColumnKind::Integer { unsigned: false }),
            ],
            &[0],
        );
        table.columns[2].generated = true;
        table
    }

    pub fn row(id: u8, name: &[u8]) -> RowImage {
        let layout =
            Arc::new(Layout::new(vec![Wire::Integer { bytes: 1 }, Wire::String { length_bytes: 1 }, Wire::Integer { bytes: 1 }]));
        let mut bytes = vec![0, id, name.len() as u8];
        bytes.extend_from_slice(name);
        bytes.push(id * 2);
        let end = bytes.len();
        RowImage::new(bytes.into(), 0, end, layout)
    }

    pub fn texts(statements: Vec<Statement>) -> Vec<String> {
        statements.into_iter().map(|statement| String::from_utf8(statement.text).expect("ASCII")).collect()
    }

    #[test]
    fn deletes_go_by_key_and_composite_keys_are_tuples() {
        let mut table = shop();
        let mut out = Vec::new();
        let key = key_of(&table, &[0], &row(7, b"x")).expect("a key");
        deletes(&Shapes::new(&table, None).delete, [key.as_slice()].into_iter(), true, false, &mut out);
        table.row_key = crate::model::table::RowKey::Key(Key { name: "PRIMARY".into(), columns: vec![1, 0] });
        let key = key_of(&table, &[1, 0], &row(7, b"x")).expect("a key");
        deletes(&Shapes::new(&table, None).delete, [key.as_slice(), key.as_slice()].into_iter(), true, false, &mut out);
        assert_eq!(
            texts(out),
            ["DELETE FROM `shop`.`t` WHERE `id` IN (7)", "DELETE FROM `shop`.`t` WHERE (`na``me`,`id`) IN (('x',7),('x',7))"]
        );
    }

    #[test]
    fn the_64th_member_of_a_set_makes_its_key_negative() {
        let table = table("t", vec![column("s", ColumnKind::Set), column("b", ColumnKind::Bit)], &[0, 1]);
        let mut key = Vec::new();
        write_key(&mut key, &table, &[0, 1], &[Value::UInt(u64::MAX - 1), Value::UInt(u64::MAX)]).expect("a key");
        assert_eq!(String::from_utf8(key).expect("ASCII"), "(`s`=-2 AND `b`=18446744073709551615)");
        let mut key = Vec::new();
        write_key(&mut key, &table, &[0], &[Value::UInt(5)]).expect("a key");
        assert_eq!(key, b"5");
    }
}
