//! Taking rows out of a table that has no key, in a number of scans that does not grow with the number of rows.
//!
//! # The digest
//!
//! Rows are told apart by a SHA-256 over all that they store: every written column in order, bytes behind their length, numbers and
//! times as text that ends with a comma, FLOAT and DOUBLE as their bits, NULL as `~`. TEXTs, BLOBs and the like go in as their own
//! SHA-256, for a row of them may be longer than the target's packet, to which CONCAT is bound. That is injective, so two rows with one digest
//! are equal to the last bit (up to collisions of SHA-256, of which none is known), where `<=>` would hold `-0e0` and `0e0`, or 'a' and
//! 'A', for equal. We compute it from the row image ([`digest_of`]), the server from the row ([`digest_expression`]). If the two ever
//! disagreed on how a value is spelled, no row would be found, and the task would stop at the shortage.
//!
//! JSON has no spelling that tells all documents apart (a date inside one prints like a string), so tables with JSON columns are
//! left with one statement for each distinct row ([`delete_some`]), which wants documents to be equal for the server and to have the
//! same text. What passes for one then are numbers of other types, DECIMAL and DOUBLE, that have the same digits.
//!
//! # Why it is right
//!
//! Let `k` be how many copies of a row shall go, and `m` how many stand. [`Removal::count`] asks for every `m` at once; `m < k` is
//! drift. [`Removal::statements`] then deletes *all* copies of all rows, which must affect the sum of the `m`, and inserts `m - k`
//! copies of each again. What is left is exactly the multiset without the `k` copies, however the copies lie in the table: a
//! `LIMIT` over several distinct rows could take two of one and none of the other and answer with the same count. Both run inside
//! the batch's transaction, and nobody but us writes the table; if somebody does, the sum says so.

use std::collections::HashMap;
use std::sync::Arc;

use sha2::{Digest as _, Sha256};

use super::dml::{RowError, Shapes, is_minus_zero};
use super::inserts::{Collision, Inserts};
use super::literal;
use super::statement::{Expect, Statement};
use super::{Ident, literal::Unwritable};
use crate::model::change::KeyBytes;
use crate::model::image::RowImage;
use crate::model::table::{Column, ColumnKind, Table};
use crate::model::value::Value;

/// Distinct rows of one removal: 67 bytes each in the lists of two statements.
pub const ROWS_PER_REMOVAL: usize = 10_000;

/// A digest as the server spells it: 64 hexadecimal digits.
pub type Digest = String;

/// One distinct row.
#[derive(Debug, Clone)]
pub struct Copies {
    pub digest: Digest,
    /// Its values as an INSERT has them.
    pub values: KeyBytes,
    /// See [`Statement`].
    pub blanks: usize,
    /// How many of it go.
    pub count: u64,
}

/// Rows of one table to take out together.
#[derive(Debug)]
pub struct Removal {
    shapes: Arc<Shapes>,
    rows: Vec<Copies>,
    /// `` `n` IN (1,2) AND ``, or nothing: what spares the server the digest of most rows.
    narrow: Vec<u8>,
    limit: usize,
}

/// Fewer copies stand than shall go: the number of rows missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0} rows that the source removed are not there")]
pub struct Shortage(pub u64);

fn written(table: &Table, index: usize) -> Option<&Column> {
    table.columns.get(index).filter(|column| !column.generated)
}

/// Whether a value of the column may be longer than the 65,535 bytes in which all others of a row have their place.
fn is_long(column: &Column) -> bool {
    match column.kind {
        ColumnKind::Geometry | ColumnKind::Vector => true,
        ColumnKind::Text | ColumnKind::Binary => !column.type_text.contains("char") && !column.type_text.contains("binary"),
        ColumnKind::Integer { .. }
        | ColumnKind::Float
        | ColumnKind::Double
        | ColumnKind::Decimal
        | ColumnKind::Bit
        | ColumnKind::Year
        | ColumnKind::Date
        | ColumnKind::Time { .. }
        | ColumnKind::DateTime { .. }
        | ColumnKind::Timestamp { .. }
        | ColumnKind::FixedBinary { .. }
        | ColumnKind::Enum
        | ColumnKind::Set
        | ColumnKind::Json => false,
    }
}

/// The digest of the row that stands, as an expression; `None` for a table whose rows it cannot tell apart.
pub fn digest_expression(table: &Table) -> Option<String> {
    let part = |column: &Column| {
        let name = Ident(&column.name);
        Some(match column.kind {
            ColumnKind::Json => return None,
            ColumnKind::Text | ColumnKind::Binary | ColumnKind::Geometry | ColumnKind::Vector if is_long(column) => {
                format!("IFNULL(SHA2(CAST({name} AS BINARY),256),'~'),','")
            }
            ColumnKind::Text => format!("IFNULL(CONCAT(LENGTH({name}),':',CAST({name} AS BINARY)),'~')"),
            ColumnKind::Binary | ColumnKind::FixedBinary { .. } | ColumnKind::Geometry | ColumnKind::Vector => {
                format!("IFNULL(CONCAT(LENGTH({name}),':',{name}),'~')")
            }
            // The bits of the number, inside those of a point.
            ColumnKind::Float | ColumnKind::Double => format!("IFNULL(HEX(POINT({name},0)),'~'),','"),
            // `+0`: ZEROFILL pads the text, and not the number.
            ColumnKind::Integer { .. } | ColumnKind::Decimal | ColumnKind::Bit | ColumnKind::Year => {
                format!("IFNULL(CONCAT({name}+0),'~'),','")
            }
            ColumnKind::Enum | ColumnKind::Set => format!("IFNULL(CONCAT(CAST({name} AS UNSIGNED)),'~'),','"),
            ColumnKind::Date | ColumnKind::Time { .. } | ColumnKind::DateTime { .. } | ColumnKind::Timestamp { .. } => {
                format!("IFNULL(CAST({name} AS CHAR),'~'),','")
            }
        })
    };
    let parts: Option<Vec<String>> = table.written().map(|(_, column)| part(column)).collect();
    Some(format!("SHA2(CONCAT({}),256)", parts?.join(",")))
}

/// What the server's [`digest_expression`] gives for this row.
pub fn digest_of(table: &Table, row: &RowImage) -> Result<Digest, RowError> {
    let mut text = Vec::with_capacity(row.bytes().len() * 2);
    let mut result = Ok(());
    row.walk(&table.columns, |index, value| {
        if let Some(column) = written(table, index).filter(|_| result.is_ok()) {
            result = write_part(&mut text, column, value);
        }
    })?;
    result?;
    Ok(sha2(&text))
}

pub(super) fn sha2(bytes: &[u8]) -> Digest {
    let hash = Sha256::digest(bytes);
    hash.iter().flat_map(|byte| [byte >> 4, byte & 15]).filter_map(|digit| char::from_digit(u32::from(digit), 16)).collect()
}

fn write_part(out: &mut Vec<u8>, column: &Column, value: Value<'_>) -> Result<(), Unwritable> {
    let sized = |out: &mut Vec<u8>, bytes: &[u8], length: usize| {
        out.extend_from_slice(format!("{length}:").as_bytes());
        out.extend_from_slice(bytes);
        out.resize(out.len() + length.saturating_sub(bytes.len()), 0);
    };
    let bits = |out: &mut Vec<u8>, number: f64| {
        // Reference system, byte order, type, x, y.
        out.extend_from_slice(b"000000000101000000");
        for byte in number.to_le_bytes() {
            out.extend_from_slice(format!("{byte:02X}").as_bytes());
        }
        out.extend_from_slice(b"0000000000000000,");
    };
    match value {
        Value::Bytes(bytes) if is_long(column) => {
            out.extend_from_slice(sha2(bytes).as_bytes());
            out.push(b',');
        }
        Value::Bytes(bytes) => sized(out, bytes, bytes.len()),
        Value::Padded(bytes, length) => sized(out, bytes, length as usize),
        Value::Float(number) => bits(out, f64::from(number)),
        Value::Double(number) => bits(out, number),
        Value::Null => {
            let bytes = matches!(column.kind, ColumnKind::Text | ColumnKind::Binary | ColumnKind::FixedBinary { .. });
            out.extend_from_slice(if bytes && !is_long(column) { b"~" } else { b"~," });
        }
        Value::Int(_)
        | Value::UInt(_)
        | Value::Decimal(_)
        | Value::Date(_)
        | Value::Time { .. }
        | Value::DateTime { .. }
        | Value::Json(_)
        | Value::JsonText(_) => {
            let start = out.len();
            literal::write(out, value)?;
            // A temporal literal is its text in quotes.
            if out.get(start) == Some(&b'\'') {
                out.remove(start);
                out.pop();
            }
            out.push(b',');
        }
    }
    Ok(())
}

/// The integer column that tells most of these rows apart, with their values, when none of them is NULL there.
fn narrow(table: &Table, images: &[&RowImage]) -> Result<Vec<u8>, RowError> {
    let mut seen: Vec<Option<Vec<Value<'_>>>> = vec![Some(Vec::new()); table.columns.len()];
    for image in images {
        image.walk(&table.columns, |index, value| {
            let integer = written(table, index).is_some_and(|column| matches!(column.kind, ColumnKind::Integer { .. }));
            match (seen.get_mut(index), value) {
                (Some(Some(values)), Value::Int(_) | Value::UInt(_)) if integer => values.push(value),
                (Some(column), _) => *column = None,
                (None, _) => {}
            }
        })?;
    }
    let mut best: Option<(usize, HashMap<Vec<u8>, ()>)> = None;
    for (index, values) in seen.into_iter().enumerate() {
        let mut distinct = HashMap::new();
        for value in values.into_iter().flatten() {
            let mut text = Vec::with_capacity(12);
            literal::write(&mut text, value)?;
            distinct.insert(text, ());
        }
        if !distinct.is_empty() && best.as_ref().is_none_or(|(_, most)| most.len() < distinct.len()) {
            best = Some((index, distinct));
        }
    }
    let mut out = Vec::new();
    if let Some((column, values)) = best.and_then(|(index, values)| Some((table.columns.get(index)?, values))) {
        let mut values: Vec<Vec<u8>> = values.into_keys().collect();
        values.sort_unstable();
        let values: Vec<&[u8]> = values.iter().map(Vec::as_slice).collect();
        write_one_of(&mut out, Ident(&column.name), &values);
        out.extend_from_slice(b" AND ");
    }
    Ok(out)
}

impl Removal {
    /// `rows` are distinct, at most [`ROWS_PER_REMOVAL`], each with its image. Statements grow to about `limit` bytes.
    pub fn new(shapes: &Arc<Shapes>, table: &Table, rows: &[(Copies, &RowImage)], limit: usize) -> Result<Self, RowError> {
        let images: Vec<&RowImage> = rows.iter().map(|(_, image)| *image).collect();
        let narrow = narrow(table, &images)?;
        Ok(Self { shapes: Arc::clone(shapes), rows: rows.iter().map(|(copies, _)| copies.clone()).collect(), narrow, limit })
    }

    /// For messages.
    pub fn table(&self) -> &str {
        &self.shapes.table
    }

    fn write_condition(&self, out: &mut Vec<u8>, digest: &str) {
        out.extend_from_slice(b" WHERE ");
        out.extend_from_slice(&self.narrow);
        out.extend_from_slice(digest.as_bytes());
        for (at, row) in self.rows.iter().enumerate() {
            out.extend_from_slice(if at == 0 { b" IN ('" } else { b"','" });
            out.extend_from_slice(row.digest.as_bytes());
        }
        out.extend_from_slice(b"')");
    }

    /// How many copies of each row stand: digest and number.
    pub fn count(&self) -> Vec<u8> {
        let digest = self.shapes.digest.as_deref().unwrap_or_default();
        let mut text = format!("SELECT {digest},COUNT(*) FROM {}", self.shapes.name).into_bytes();
        self.write_condition(&mut text, digest);
        text.extend_from_slice(b" GROUP BY 1");
        text
    }

    /// What takes the rows out of a table in which this many copies of each stand.
    pub fn statements(&self, standing: &HashMap<Vec<u8>, u64>) -> Result<Vec<Statement>, Shortage> {
        let (mut all, mut missing) = (0, 0);
        let mut again = Inserts::new(&self.shapes, Collision::Refuse, Some(1), self.limit);
        for row in &self.rows {
            let stand = standing.get(row.digest.as_bytes()).copied().unwrap_or(0);
            all += stand;
            missing += row.count.saturating_sub(stand);
            for _ in row.count..stand {
                again.push(&row.values, row.blanks);
            }
        }
        if missing > 0 {
            return Err(Shortage(missing));
        }
        let mut text = format!("DELETE FROM {}", self.shapes.name).into_bytes();
        self.write_condition(&mut text, self.shapes.digest.as_deref().unwrap_or_default());
        let mut statements = vec![Statement::new(Arc::clone(&self.shapes.table), text, Expect::Exactly(all))];
        statements.extend(again.finish());
        Ok(statements)
    }
}

/// Appends a condition that holds for the rows that equal `row`.
fn write_is(out: &mut Vec<u8>, shapes: &Shapes, table: &Table, row: &RowImage) -> Result<(), RowError> {
    write_equals(out, table, row)?;
    if let Some(digest) = &shapes.digest {
        out.extend_from_slice(format!(" AND {digest}='{}'", digest_of(table, row)?).as_bytes());
    }
    Ok(())
}

/// How many rows equal `row`, in a scan of its own.
pub fn count_some(shapes: &Shapes, table: &Table, row: &RowImage) -> Result<Vec<u8>, RowError> {
    let mut text = format!("SELECT COUNT(*) FROM {} WHERE ", shapes.name).into_bytes();
    write_is(&mut text, shapes, table, row)?;
    Ok(text)
}

/// Removes `count` of the rows that equal `row`, in a scan of its own that ends at the last of them.
pub fn delete_some(shapes: &Shapes, table: &Table, row: &RowImage, count: u64) -> Result<Statement, RowError> {
    let mut text = format!("DELETE FROM {} WHERE ", shapes.name).into_bytes();
    write_is(&mut text, shapes, table, row)?;
    text.extend_from_slice(format!(" LIMIT {count}").as_bytes());
    Ok(Statement::new(Arc::clone(&shapes.table), text, Expect::Exactly(count)))
}

/// A condition that an index can serve. One value stands there twice: as an equality the optimizer would put it in the column's place
/// in the rest of the condition, where `18446744073709551615+0` is out of range and a constant's text need not be the column's.
fn write_one_of(out: &mut Vec<u8>, name: Ident<'_>, values: &[&[u8]]) {
    out.extend_from_slice(format!("{name} IN (").as_bytes());
    out.extend_from_slice(&values.join(&b","[..]));
    if let [single] = values {
        out.push(b',');
        out.extend_from_slice(single);
    }
    out.push(b')');
}

/// A condition that is cheap to refuse: most rows differ in the first column.
fn write_equals(out: &mut Vec<u8>, table: &Table, row: &RowImage) -> Result<(), RowError> {
    let mut result = Ok(());
    let mut first = true;
    row.walk(&table.columns, |index, value| {
        let Some(column) = written(table, index).filter(|_| result.is_ok()) else { return };
        if !first {
            out.extend_from_slice(b" AND ");
        }
        first = false;
        let name = Ident(&column.name);
        if let Value::Float(0.0) | Value::Double(0.0) = value {
            // Zero equals minus zero; their texts differ. No comparison of the bare column with a constant here: the optimizer would
            // put the constant in the column's place, and the text would no longer be that of the row.
            let sign = if is_minus_zero(value) { "LIKE" } else { "NOT LIKE" };
            out.extend_from_slice(format!("ABS({name}) = 0 AND {name} {sign} '-%'").as_bytes());
            return;
        }
        if column.kind == ColumnKind::Json && value != Value::Null {
            result = write_equals_document(out, name, value);
            return;
        }
        let kind = match column.kind {
            // Collations hold 'a' and 'A' equal; bytes do not.
            ColumnKind::Text
            | ColumnKind::Binary
            | ColumnKind::FixedBinary { .. }
            | ColumnKind::Geometry
            | ColumnKind::Vector => "BINARY",
            ColumnKind::Enum | ColumnKind::Set => "UNSIGNED",
            ColumnKind::Integer { .. }
            | ColumnKind::Float
            | ColumnKind::Double
            | ColumnKind::Decimal
            | ColumnKind::Bit
            | ColumnKind::Year
            | ColumnKind::Date
            | ColumnKind::Time { .. }
            | ColumnKind::DateTime { .. }
            | ColumnKind::Timestamp { .. }
            | ColumnKind::Json => "",
        };
        if value == Value::Null {
            out.extend_from_slice(format!("{name} IS NULL").as_bytes());
        } else if kind.is_empty() {
            let mut constant = Vec::with_capacity(32);
            result = literal::write(&mut constant, value);
            write_one_of(out, name, &[&constant]);
        } else {
            out.extend_from_slice(format!("CAST({name} AS {kind}) <=> ").as_bytes());
            result = literal::write(out, value);
        }
    })?;
    Ok(result?)
}

/// Equal for the server, which holds 1 and 1.0 equal, and of the same text, which is also that of a string with a date's text. The
/// first is hidden from the optimizer, which could put the constant in the column's place in the second.
fn write_equals_document(out: &mut Vec<u8>, name: Ident<'_>, document: Value<'_>) -> Result<(), Unwritable> {
    let mut constant = b"CAST(".to_vec();
    literal::write(&mut constant, document)?;
    constant.extend_from_slice(b" AS JSON)");
    out.extend_from_slice(format!("IF({name} <=> ").as_bytes());
    out.extend_from_slice(&constant);
    out.extend_from_slice(format!(",1,0)=1 AND CAST({name} AS BINARY) <=> CAST(").as_bytes());
    out.extend_from_slice(&constant);
    out.extend_from_slice(b" AS BINARY)");
    Ok(())
}

#[cfg(test)]
mod tests;
