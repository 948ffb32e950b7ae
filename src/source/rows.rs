//! Reading rows from the source, spelled as they will be written.

use futures_util::StreamExt;
use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Row};

use super::decode;
use crate::conn::diagnose;
use crate::fault::{Code, Fault, Side};
use crate::model::table::{Column, Key, Table};
use crate::model::value::Value;
use crate::sql::probe::Bound;
use crate::sql::{dml, literal};

/// A row as literals: its written columns, separated by commas, and its row key.
#[derive(Debug, Default, Clone)]
pub struct SpelledRow {
    pub values: Vec<u8>,
    pub key: Vec<u8>,
    /// ENUM cells with the error value among them: see [`crate::sql::statement::Statement`].
    pub blanks: usize,
}

fn unreadable(table: &Table, column: &Column) -> Fault {
    let detail =
        format!("{}: column {} ({}) holds a value that cannot be carried exactly", table.name, column.name, column.type_text);
    Fault::new(Code::ValueUnsupported, detail)
}

/// A row of a chunk query, whose columns are the table's written ones in order.
fn spell(table: &Table, row: &Row) -> Result<SpelledRow, Fault> {
    let mut spelled = SpelledRow { values: Vec::with_capacity(128), ..SpelledRow::default() };
    let key = table.key_columns().unwrap_or(&[]);
    let mut key_values = [Value::Null; 16];
    for (at, (index, column)) in table.written().enumerate() {
        let cell = row.as_ref(at).ok_or_else(|| unreadable(table, column))?;
        let value = decode::value(cell, column).ok_or_else(|| unreadable(table, column))?;
        if at > 0 {
            spelled.values.push(b',');
        }
        literal::write(&mut spelled.values, value).map_err(|_| unreadable(table, column))?;
        spelled.blanks += usize::from(dml::is_blank(column, value));
        if let Some(part) = key.iter().position(|key| *key == index)
            && let Some(slot) = key_values.get_mut(part)
        {
            *slot = value;
        }
    }
    if !key.is_empty() {
        dml::write_key(&mut spelled.key, table, key, key_values.get(..key.len()).unwrap_or(&[]))
            .map_err(|error| Fault::new(Code::ValueUnsupported, format!("{}: {error}", table.name)))?;
    }
    Ok(spelled)
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

/// Reads the rows of `query` in the binary protocol and hands them over in pieces of about `piece` bytes. The last piece, which may
/// be empty, is marked. The receiver sets the pace: no more than one piece waits.
pub async fn read(
    conn: &mut Conn,
    table: &Table,
    query: Vec<u8>,
    piece: usize,
    out: &tokio::sync::mpsc::Sender<Piece>,
) -> Result<(), Fault> {
    let place = |error: &mysql_async::Error| diagnose(Side::Source, error).at(&table.name);
    let mut stream = conn.exec_stream::<Row, _, _>(query, ()).await.map_err(|error| place(&error))?;
    let (mut rows, mut bytes) = (Vec::new(), 0);
    while let Some(row) = stream.next().await {
        let spelled = spell(table, &row.map_err(|error| place(&error))?)?;
        bytes += spelled.values.len();
        rows.push(spelled);
        if bytes >= piece {
            let piece = Piece { rows: std::mem::take(&mut rows), bytes: std::mem::take(&mut bytes), last: false };
            if out.send(piece).await.is_err() {
                // The receiver has failed and says why.
                return Ok(());
            }
        }
    }
    let _ = out.send(Piece { rows, bytes, last: true }).await;
    Ok(())
}

/// Some rows of a read, in order.
#[derive(Debug)]
pub struct Piece {
    pub rows: Vec<SpelledRow>,
    pub bytes: usize,
    pub last: bool,
}
