//! Reading rows from the source, spelled as they will be written.

use std::iter;

use bytes::Bytes;
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
use crate::sql::inserts::is_line;
use crate::sql::probe::{Bound, Range};
use crate::sql::{dml, literal};

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

/// How a row was spelled.
#[derive(Debug, Default)]
struct Manner {
    /// One of its documents is open: it is no row.
    open: bool,
    /// A document is an expression.
    expression: bool,
    blanks: usize,
}

/// Appends a row whose columns are the table's written ones in order; `judge` says what the text of each JSON document is. With `lines` the
/// text of a document is spelled as that of any other column.
fn spell(out: &mut Vec<u8>, table: &Table, row: &Row, lines: bool, judge: Judge<'_>) -> Result<Manner, Fault> {
    let mut manner = Manner::default();
    for (at, (_, column)) in table.written().enumerate() {
        let value = cell(table, row, at, column)?;
        if at > 0 {
            out.push(b',');
        }
        let binary;
        let value = match value {
            Value::JsonText(text) => match judge(at, text).map_err(|error| carries(table, column, &error))? {
                Exact::Text if lines => Value::Bytes(text),
                Exact::Text => value,
                Exact::Binary(bytes) => {
                    manner.expression = true;
                    binary = bytes;
                    Value::Json(&binary)
                }
                // Not the end of it: the other documents of the row are judged, too.
                Exact::Open => {
                    manner.open = true;
                    continue;
                }
            },
            other => other,
        };
        dml::write_cell(out, column, value).map_err(|error| carries(table, column, &error))?;
        manner.blanks += usize::from(dml::is_blank(column, value));
    }
    Ok(manner)
}

fn cell<'r>(table: &Table, row: &'r Row, at: usize, column: &Column) -> Result<Value<'r>, Fault> {
    row.as_ref(at).and_then(|cell| decode::value(cell, column)).ok_or_else(|| unreadable(table, column))
}

/// The spelled row key of a row whose columns are the table's written ones in order; empty without one.
pub(super) fn key(table: &Table, row: &Row) -> Result<Vec<u8>, Fault> {
    let mut out = Vec::new();
    append_key(&mut out, table, row)?;
    Ok(out)
}

fn append_key(out: &mut Vec<u8>, table: &Table, row: &Row) -> Result<(), Fault> {
    let key = table.key_columns().unwrap_or(&[]);
    let mut values = [Value::Null; 16];
    for (at, (index, column)) in table.written().enumerate() {
        if let Some(slot) = key.iter().position(|key| *key == index).and_then(|part| values.get_mut(part)) {
            *slot = cell(table, row, at, column)?;
        }
    }
    spell_key(out, table, key, values.get(..key.len()).unwrap_or(&[]))
}

pub(super) fn spell_key(out: &mut Vec<u8>, table: &Table, key: &[usize], values: &[Value<'_>]) -> Result<(), Fault> {
    if key.is_empty() {
        return Ok(());
    }
    dml::write_key(out, table, key, values)
        .map_err(|error| Fault::new(Code::ValueUnsupported, format!("{}: {error}", table.name)))
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

/// How rows are to be handed over.
#[derive(Debug, Clone, Copy)]
pub struct Form {
    /// In pieces of about so many bytes.
    pub piece: usize,
    /// See [`dml::Shapes::documents_as_lines`].
    pub documents_as_lines: bool,
}

/// Reads the rows of a range in the binary protocol and hands them over in pieces. The last piece, which may
/// be empty, is marked. The receiver sets the pace: no more than one piece waits.
///
/// Rows whose documents the query did not say everything about come last, read again by key ([`later`]). A row that was deleted since is
/// then left out, and one that was changed is the newer version: as if it had been read only now.
pub async fn read(
    conn: &mut Conn,
    range: &Range<'_>,
    documents: &mut Documents,
    form: Form,
    out: &tokio::sync::mpsc::Sender<Piece>,
) -> Result<(), Fault> {
    let table = range.table;
    let place = |error: &mysql_async::Error| diagnose(Side::Source, error).at(&table.name);
    if documents.any() && !documents.sampled {
        learn(conn, range, documents, Some(SAMPLE)).await?;
    }
    let written = table.written().count();
    let (mut pieces, mut open) = (Pieces::new(form, out), Vec::new());
    let mut stream =
        conn.exec_stream::<Row, _, _>(range.rows(&documents.questions()), ()).await.map_err(|error| place(&error))?;
    while let Some(row) = stream.next().await {
        let row = row.map_err(|error| place(&error))?;
        let mut bytes = 0;
        let whole = pieces.append(table, &row, &mut |at, document| {
            let column = documents.position(at).ok_or(BadJson)?;
            let Some(Wire::Bytes(answer)) = row.as_ref(written + column) else { return Err(BadJson) };
            let exact = documents.judge(column, document, answer)?;
            if exact == Exact::Open {
                documents.learn(column, document)?;
            }
            bytes += document.len();
            Ok(exact)
        })?;
        if !whole {
            open.push(Unread { key: key(table, &row)?, bytes });
        } else if !pieces.hand_on().await {
            return Ok(());
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
    piece: Piece,
    lines: Vec<u8>,
    pub form: Form,
    out: &'o tokio::sync::mpsc::Sender<Piece>,
}

impl<'o> Pieces<'o> {
    fn new(form: Form, out: &'o tokio::sync::mpsc::Sender<Piece>) -> Self {
        Self { piece: Piece::default(), lines: Vec::new(), form, out }
    }

    /// Appends a row; false when one of its documents is open.
    pub fn append(&mut self, table: &Table, row: &Row, judge: Judge<'_>) -> Result<bool, Fault> {
        self.append_spelled(|out, lines| spell(out, table, row, lines, &mut *judge), |keys| append_key(keys, table, row))
    }

    /// The same for who spells: the row's values, as a line or as a statement's, and its key.
    fn append_spelled(
        &mut self,
        mut values: impl FnMut(&mut Vec<u8>, bool) -> Result<Manner, Fault>,
        key: impl FnOnce(&mut Vec<u8>) -> Result<(), Fault>,
    ) -> Result<bool, Fault> {
        if self.piece.ends.is_empty() {
            // Not grown by doubling, which would hold up to twice as much. What is not written to takes no memory.
            self.lines.reserve(self.form.piece.saturating_add(SLACK).min(MOST_RESERVED));
        }
        let start = self.lines.len();
        let mut manner = values(&mut self.lines, self.form.documents_as_lines)?;
        let is_line = !manner.expression && is_line(self.lines.len() - start, manner.blanks);
        if self.form.documents_as_lines && !is_line && !manner.open {
            self.lines.truncate(start);
            manner = values(&mut self.lines, false)?;
        }
        if manner.open {
            self.lines.truncate(start);
            return Ok(false);
        }
        let line = self.lines.len();
        self.lines.push(b'\n');
        key(&mut self.piece.keys)?;
        self.piece.ends.push(End { line, key: self.piece.keys.len(), blanks: manner.blanks, is_line });
        self.piece.all_lines &= is_line;
        Ok(true)
    }

    /// Hands a full piece on. False when the receiver has failed; it says why.
    pub async fn hand_on(&mut self) -> bool {
        self.lines.len() < self.form.piece || self.send(false).await
    }

    async fn send(&mut self, last: bool) -> bool {
        let lines = std::mem::take(&mut self.lines).into();
        let piece = Piece { lines, last, ..std::mem::take(&mut self.piece) };
        self.out.send(piece).await.is_ok()
    }

    async fn end(mut self) {
        self.send(true).await;
    }
}

/// Room for the row that ends a piece.
const SLACK: usize = 64 * 1024;
const MOST_RESERVED: usize = 64 * 1024 * 1024;

/// Some rows of a read, in order.
#[derive(Debug)]
pub struct Piece {
    /// The written columns of each row as literals, separated by commas: one row a line.
    pub lines: Bytes,
    keys: Vec<u8>,
    ends: Vec<End>,
    /// Every row is as a LOAD DATA takes it.
    pub all_lines: bool,
    pub last: bool,
}

impl Default for Piece {
    fn default() -> Self {
        Self { lines: Bytes::new(), keys: Vec::new(), ends: Vec::new(), all_lines: true, last: false }
    }
}

/// Where a row ends, in the lines without its line feed, and in the keys.
#[derive(Debug, Clone, Copy)]
struct End {
    line: usize,
    key: usize,
    blanks: usize,
    is_line: bool,
}

/// A row as literals.
#[derive(Debug, Clone, Copy)]
pub struct SpelledRow<'p> {
    pub values: &'p [u8],
    /// Empty without a row key.
    pub key: &'p [u8],
    /// ENUM cells with the error value among them: see [`crate::sql::statement::Statement`].
    pub blanks: usize,
    /// Spelled as a LOAD DATA takes it; else as a statement does. It is the same where there are no documents.
    pub is_line: bool,
}

impl Piece {
    pub fn count(&self) -> usize {
        self.ends.len()
    }

    pub fn rows(&self) -> impl Iterator<Item = SpelledRow<'_>> {
        let starts = iter::once((0, 0)).chain(self.ends.iter().map(|end| (end.line + 1, end.key)));
        starts.zip(&self.ends).map(|((line, key), end)| SpelledRow {
            values: self.lines.get(line..end.line).unwrap_or(&[]),
            key: self.keys.get(key..end.key).unwrap_or(&[]),
            blanks: end.blanks,
            is_line: end.is_line,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spelled(pieces: &mut Pieces<'_>, as_line: &str, as_value: &str, manner: Manner) -> bool {
        let spell = |out: &mut Vec<u8>, lines: bool| {
            out.extend_from_slice(if lines { as_line } else { as_value }.as_bytes());
            Ok(Manner { ..manner })
        };
        let key = |keys: &mut Vec<u8>| {
            keys.extend_from_slice(as_value.split(',').next().unwrap_or_default().as_bytes());
            Ok(())
        };
        pieces.append_spelled(spell, key).expect("it is spelled")
    }

    #[tokio::test]
    async fn rows_keep_their_places_whatever_was_spelled_between_them() {
        let (sender, mut pieces) = tokio::sync::mpsc::channel(2);
        let mut out = Pieces::new(Form { piece: 1000, documents_as_lines: true }, &sender);
        assert!(spelled(&mut out, "1,'a\nb'", "1,_utf8mb4'a\nb'", Manner::default()));
        assert!(!spelled(&mut out, "2,'half", "2,_utf8mb4'half", Manner { open: true, ..Manner::default() }));
        assert!(spelled(&mut out, "30,", "30,CAST(1.5 AS JSON)", Manner { expression: true, ..Manner::default() }));
        assert!(spelled(&mut out, "4,0", "4,0", Manner { blanks: 1, ..Manner::default() }));
        assert!(spelled(&mut out, "5,NULL", "5,NULL", Manner::default()));
        out.end().await;
        let piece = pieces.recv().await.expect("a piece");
        assert!(piece.last && !piece.all_lines && piece.count() == 4);
        let rows: Vec<(&[u8], &[u8], usize, bool)> =
            piece.rows().map(|row| (row.values, row.key, row.blanks, row.is_line)).collect();
        assert_eq!(
            rows,
            [
                (&b"1,'a\nb'"[..], &b"1"[..], 0, true),
                (&b"30,CAST(1.5 AS JSON)"[..], &b"30"[..], 0, false),
                (&b"4,0"[..], &b"4"[..], 1, false),
                (&b"5,NULL"[..], &b"5"[..], 0, true),
            ]
        );
    }

    #[tokio::test]
    async fn a_full_piece_is_handed_on_and_the_next_begins_empty() {
        let (sender, mut pieces) = tokio::sync::mpsc::channel(2);
        let mut out = Pieces::new(Form { piece: 6, documents_as_lines: false }, &sender);
        for text in ["1,1", "2,2", "3,3"] {
            assert!(spelled(&mut out, text, text, Manner::default()) && out.hand_on().await);
        }
        out.end().await;
        let (first, last) = (pieces.recv().await.expect("a piece"), pieces.recv().await.expect("another"));
        assert_eq!((&first.lines[..], first.count(), first.last), (&b"1,1\n2,2\n"[..], 2, false));
        assert_eq!((&last.lines[..], last.rows().next().map(|row| row.key), last.last), (&b"3,3\n"[..], Some(&b"3"[..]), true));
        assert!(first.all_lines && last.all_lines);
    }
}
