//! Rows whose documents hold leaves that the chunk's query did not ask about: read again, by key, some at a time.
//!
//! A document and the types of its leaves must be of one row version. So each slice of rows is read in a snapshot of its own, and the
//! questions about it are asked in the same snapshot: one for the rows whose documents have the same leaves, or several for a document
//! of very many leaves. The snapshot lasts for a slice, not for the copy: the source's old row versions are not held up.

use std::collections::{BTreeMap, HashMap};

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Row, Value as Wire};

use super::documents;
use super::rows::{Pieces, Unread, key, spell_key};
use super::{decode, run};
use crate::conn::diagnose;
use crate::fault::{Code, Fault, Side};
use crate::model::json::BadJson;
use crate::model::table::{ColumnKind, Table};
use crate::model::value::Value;
use crate::sql::{leaves, probe};

/// Rows of a slice.
const ROWS: usize = 500;
/// A question grows to about this: below the smallest `max_allowed_packet` in use (4 MiB, the default of 5.7).
const QUESTION_BYTES: usize = 1024 * 1024;

/// The leaves that a group of rows has in common, in one column.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Shape {
    /// The column's place among the written ones.
    at: usize,
    paths: Vec<Vec<u8>>,
}

/// Reads these rows again and hands them on.
pub(super) async fn read(conn: &mut Conn, table: &Table, open: &[Unread], pieces: &mut Pieces<'_>) -> Result<(), Fault> {
    let mut rest = open;
    while !rest.is_empty() {
        let mut bytes = 0;
        let fits = |row: &&Unread| {
            bytes += row.bytes;
            bytes <= pieces.form.piece
        };
        let count = rest.iter().take(ROWS).take_while(fits).count().max(1);
        let (slice, after) = rest.split_at(count);
        rest = after;
        run(conn, "START TRANSACTION WITH CONSISTENT SNAPSHOT").await?;
        if !read_slice(conn, table, slice, pieces).await? {
            return Ok(());
        }
        run(conn, "COMMIT").await?;
    }
    Ok(())
}

/// False when the receiver has failed.
async fn read_slice(conn: &mut Conn, table: &Table, slice: &[Unread], pieces: &mut Pieces<'_>) -> Result<bool, Fault> {
    let place = |error: &mysql_async::Error| diagnose(Side::Source, error).at(&table.name);
    let key_columns = table.key_columns().unwrap_or(&[]);
    let query = probe::rows_by_key(table, key_columns, slice.iter().map(|row| row.key.as_slice()));
    let rows: Vec<Row> = conn.exec(query, ()).await.map_err(|error| place(&error))?;
    let mut keys = Vec::with_capacity(rows.len());
    let mut groups: BTreeMap<Shape, Vec<usize>> = BTreeMap::new();
    for (number, row) in rows.iter().enumerate() {
        keys.push(key(table, row)?);
        for (at, _) in table.written().enumerate().filter(|(_, (_, column))| column.kind == ColumnKind::Json) {
            if let Some(Wire::Bytes(document)) = row.as_ref(at) {
                let paths = documents::paths(document)
                    .map_err(|error| Fault::new(Code::ValueUnsupported, format!("{}: {error}", table.name)))?;
                groups.entry(Shape { at, paths }).or_default().push(number);
            }
        }
    }
    let mut types: HashMap<(usize, usize), Types> = HashMap::new();
    for (shape, members) in groups {
        let asked: Vec<&[u8]> = members.iter().filter_map(|number| keys.get(*number)).map(Vec::as_slice).collect();
        let mut answers = ask(conn, table, &shape, &asked).await?;
        let index: std::sync::Arc<HashMap<Vec<u8>, usize>> =
            shape.paths.into_iter().enumerate().map(|(number, path)| (path, number)).collect::<HashMap<_, _>>().into();
        for number in members {
            let names = keys.get(number).and_then(|key| answers.remove(key)).unwrap_or_default();
            types.insert((number, shape.at), Types { index: std::sync::Arc::clone(&index), names });
        }
    }
    for (number, row) in rows.iter().enumerate() {
        let whole = pieces.append(table, row, &mut |at, document| {
            let types = types.get(&(number, at)).ok_or(BadJson)?;
            documents::exact(document, |path| types.of(path))
        })?;
        if !whole {
            // The same snapshot has the document and its leaves.
            let detail = format!("{}: the source does not name the types of a document", table.name);
            return Err(Fault::new(Code::Internal, detail));
        }
        if !pieces.hand_on().await {
            return Ok(false);
        }
    }
    Ok(true)
}

/// The types of one document's leaves.
struct Types {
    index: std::sync::Arc<HashMap<Vec<u8>, usize>>,
    names: Vec<Vec<u8>>,
}

impl Types {
    fn of(&self, path: &[u8]) -> Option<&[u8]> {
        self.names.get(*self.index.get(path)?).map(Vec::as_slice)
    }
}

/// The types at the shape's paths, in their order, for each row by its key.
async fn ask(conn: &mut Conn, table: &Table, shape: &Shape, keys: &[&[u8]]) -> Result<HashMap<Vec<u8>, Vec<Vec<u8>>>, Fault> {
    let place = |error: &mysql_async::Error| diagnose(Side::Source, error).at(&table.name);
    let odd = || Fault::new(Code::Internal, format!("{}: the source answers otherwise than asked", table.name));
    let key_columns = table.key_columns().unwrap_or(&[]);
    let column = table.written().nth(shape.at).map(|(_, column)| column.name.as_str()).ok_or_else(odd)?;
    let mut answers: HashMap<Vec<u8>, Vec<Vec<u8>>> = HashMap::new();
    let mut rest = shape.paths.as_slice();
    while !rest.is_empty() {
        let mut bytes = 0;
        let fits = |path: &&Vec<u8>| {
            bytes += leaves::size(column, path);
            bytes <= QUESTION_BYTES
        };
        let count = rest.iter().take_while(fits).count().max(1);
        let (paths, after) = rest.split_at(count);
        rest = after;
        let question = leaves::types(column, paths);
        let query = probe::answers_by_key(table, key_columns, &question, keys.iter().copied());
        let rows: Vec<Row> = conn.exec(query, ()).await.map_err(|error| place(&error))?;
        for row in rows {
            let mut values = [Value::Null; 16];
            for (at, column) in key_columns.iter().filter_map(|index| table.columns.get(*index)).enumerate() {
                let value = row.as_ref(at).and_then(|cell| decode::value(cell, column)).ok_or_else(odd)?;
                *values.get_mut(at).ok_or_else(odd)? = value;
            }
            let mut key = Vec::new();
            spell_key(&mut key, table, key_columns, values.get(..key_columns.len()).unwrap_or(&[]))?;
            let Some(Wire::Bytes(answer)) = row.as_ref(key_columns.len()) else { return Err(odd()) };
            answers.entry(key).or_default().extend(answer.split(|byte| *byte == b',').map(<[u8]>::to_vec));
        }
    }
    Ok(answers)
}
