//! Reading rows from the source, spelled as they will be written.

use futures_util::StreamExt;
use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Row, Value as Wire};

use super::documents::{Documents, Exact};
use super::{decode, later};
use crate::conn::diagnose;
use crate::fault::{Code, Fault, Side};
use crate::model::json::BadJson;
use crate::model::table::{Column, Key, Table};
use crate::model::value::Value;
use crate::sql::probe::{Bound, Range};
use crate::sql::{dml, literal};

/// A row as literals: its written columns, separated by commas, and its row key.
#[derive(Debug, Default, Clone)]
pub struct SpelledRow {
    pub values: Vec<u8>,
    pub key: Vec<u8>,
    /// ENUM cells with the error value among them: see [`crate::sql::statement::Statement`].
    pub blanks: usize,
}

/// Rows whose documents are looked at before the first question.
const SAMPLE: usize = 100;

/// The error names types, never values.
fn carries(table: &Table, column: &Column, error: &dyn std::fmt::Display) -> Fault {
    Fault::new(Code::ValueUnsupported, format!("{}: column {}: {error}", table.name, column.name))
}

fn unreadable(table: &Table, column: &Column) -> Fault {
    let detail =
        format!("{}: column {} ({}) holds a value that cannot be carried exactly", table.name, column.name, column.type_text);
    Fault::new(Code::ValueUnsupported, detail)
}

/// Says what the JSON text of the column at a place among the written ones is.
pub(super) type Judge<'j> = &'j mut dyn FnMut(usize, &[u8]) -> Result<Exact, BadJson>;

/// A row whose columns are the table's written ones in order; `judge` says what the text of each JSON document is. Returns none when a
/// document is open.
pub(super) fn spell(table: &Table, row: &Row, judge: Judge<'_>) -> Result<Option<SpelledRow>, Fault> {
    let mut spelled = SpelledRow { values: Vec::with_capacity(128), key: key(table, row)?, blanks: 0 };
    let mut open = false;
    for (at, (_, column)) in table.written().enumerate() {
        let value = cell(table, row, at, column)?;
        if at > 0 {
            spelled.values.push(b',');
        }
        let binary;
        let value = match value {
            Value::JsonText(text) => match judge(at, text).map_err(|error| carries(table, column, &error))? {
                Exact::Text => value,
                Exact::Binary(bytes) => {
                    binary = bytes;
                    Value::Json(&binary)
                }
                // Not the end of it: the other documents of the row are judged, too.
                Exact::Open => {
                    open = true;
                    continue;
                }
            },
            other => other,
        };
        dml::write_cell(&mut spelled.values, column, value).map_err(|error| carries(table, column, &error))?;
        spelled.blanks += usize::from(dml::is_blank(column, value));
    }
    Ok((!open).then_some(spelled))
}

fn cell<'r>(table: &Table, row: &'r Row, at: usize, column: &Column) -> Result<Value<'r>, Fault> {
    row.as_ref(at).and_then(|cell| decode::value(cell, column)).ok_or_else(|| unreadable(table, column))
}

/// The spelled row key of a row whose columns are the table's written ones in order; empty without one.
pub(super) fn key(table: &Table, row: &Row) -> Result<Vec<u8>, Fault> {
    let key = table.key_columns().unwrap_or(&[]);
    let mut values = [Value::Null; 16];
    for (at, (index, column)) in table.written().enumerate() {
        if let Some(slot) = key.iter().position(|key| *key == index).and_then(|part| values.get_mut(part)) {
            *slot = cell(table, row, at, column)?;
        }
    }
    spell_key(table, key, values.get(..key.len()).unwrap_or(&[]))
}

pub(super) fn spell_key(table: &Table, key: &[usize], values: &[Value<'_>]) -> Result<Vec<u8>, Fault> {
    let mut out = Vec::new();
    if !key.is_empty() {
        dml::write_key(&mut out, table, key, values)
            .map_err(|error| Fault::new(Code::ValueUnsupported, format!("{}: {error}", table.name)))?;
    }
    Ok(out)
}

/// The key that a bound query returns, or `None` when there is no such row.
pub async fn bound(conn: &mut Conn, table: &Table, key: &Key, query: Vec<u8>) -> Result<Option<Bound>, Fault> {
    let row: Option<Row> = conn.exec_first(query, ()).await.map_err(|error| diagnose(Side::Source, &error).at(&table.name))?;
    let Some(row) = row else { return Ok(None) };
    let mut bound = Vec::with_capacity(key.columns.len());
    for (at, column) in key.columns.iter().filter_map(|index| table.columns.get(*index)).enumerate() {
        let value = row.as_ref(at).and_then(|cell| decode::value(cell, column)).ok_or_else(|| unreadable(table, column))?;
        let mut text = Vec::new();
        literal::write(&mut text, value).map_err(|_| unreadable(table, column))?;
        bound.push(text);
    }
    Ok(Some(bound))
}

/// Reads the rows of a range in the binary protocol and hands them over in pieces of about `piece` bytes. The last piece, which may
/// be empty, is marked. The receiver sets the pace: no more than one piece waits.
///
/// Rows whose documents the query did not say everything about come last, read again by key ([`later`]). A row that was deleted since is
/// then left out, and one that was changed is the newer version: as if it had been read only now.
pub async fn read(
    conn: &mut Conn,
    range: &Range<'_>,
    documents: &mut Documents,
    piece: usize,
    out: &tokio::sync::mpsc::Sender<Piece>,
) -> Result<(), Fault> {
    let table = range.table;
    let place = |error: &mysql_async::Error| diagnose(Side::Source, error).at(&table.name);
    if documents.any() && !documents.sampled {
        learn(conn, range, documents, Some(SAMPLE)).await?;
    }
    let written = table.written().count();
    let (mut pieces, mut open) = (Pieces { rows: Vec::new(), bytes: 0, size: piece, out }, Vec::new());
    let mut stream =
        conn.exec_stream::<Row, _, _>(range.rows(&documents.questions()), ()).await.map_err(|error| place(&error))?;
    while let Some(row) = stream.next().await {
        let row = row.map_err(|error| place(&error))?;
        let mut bytes = 0;
        let spelled = spell(table, &row, &mut |at, document| {
            let column = documents.position(at).ok_or(BadJson)?;
            let Some(Wire::Bytes(answer)) = row.as_ref(written + column) else { return Err(BadJson) };
            let exact = documents.judge(column, document, answer)?;
            if exact == Exact::Open {
                documents.learn(column, document)?;
            }
            bytes += document.len();
            Ok(exact)
        })?;
        match spelled {
            Some(row) => {
                if !pieces.push(row).await {
                    return Ok(());
                }
            }
            None => open.push(Unread { key: key(table, &row)?, bytes }),
        }
    }
    drop(stream);
    later::read(conn, table, &open, &mut pieces).await?;
    pieces.end().await;
    Ok(())
}

/// Looks at documents of a range and remembers their paths: of some rows, or of all. Returns false when there is no room for them.
pub async fn learn(conn: &mut Conn, range: &Range<'_>, documents: &mut Documents, limit: Option<usize>) -> Result<bool, Fault> {
    let table = range.table;
    let place = |error: &mysql_async::Error| diagnose(Side::Source, error).at(&table.name);
    let query = range.columns(documents.names(), limit);
    let mut stream = conn.exec_stream::<Row, _, _>(query, ()).await.map_err(|error| place(&error))?;
    let mut all = true;
    while let Some(row) = stream.next().await {
        let row = row.map_err(|error| place(&error))?;
        for column in 0..row.len() {
            if let Some(Wire::Bytes(document)) = row.as_ref(column) {
                all &= documents
                    .learn(column, document)
                    .map_err(|error| Fault::new(Code::ValueUnsupported, format!("{}: {error}", table.name)))?;
            }
        }
    }
    documents.sampled = true;
    Ok(all)
}

/// A row that must be read again.
#[derive(Debug)]
pub(super) struct Unread {
    pub key: Vec<u8>,
    /// About how large its documents are.
    pub bytes: usize,
}

/// Rows on their way out.
pub(super) struct Pieces<'o> {
    rows: Vec<SpelledRow>,
    bytes: usize,
    /// A piece is complete when it has this many bytes.
    pub size: usize,
    out: &'o tokio::sync::mpsc::Sender<Piece>,
}

impl Pieces<'_> {
    /// False when the receiver has failed; it says why.
    pub async fn push(&mut self, row: SpelledRow) -> bool {
        self.bytes += row.values.len();
        self.rows.push(row);
        self.bytes < self.size || self.send(false).await
    }

    async fn send(&mut self, last: bool) -> bool {
        let piece = Piece { rows: std::mem::take(&mut self.rows), bytes: std::mem::take(&mut self.bytes), last };
        self.out.send(piece).await.is_ok()
    }

    async fn end(mut self) {
        self.send(true).await;
    }
}

/// Some rows of a read, in order.
#[derive(Debug)]
pub struct Piece {
    pub rows: Vec<SpelledRow>,
    pub bytes: usize,
    pub last: bool,
}
