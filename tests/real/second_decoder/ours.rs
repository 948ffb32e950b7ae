//! What our decoder reads: the door, the assembler, the row image, as the daemon uses them.

use std::collections::HashMap;
use std::sync::Arc;

use polarferry::conn::{Endpoint, Purpose, Tls, TlsMode};
use polarferry::fault::Side;
use polarferry::model::change::{Rows, StreamItem};
use polarferry::model::event::{Event, Framed, RowsKind};
use polarferry::model::position::{FilePosition, Position};
use polarferry::model::selection::Selection;
use polarferry::model::table::{Table, TableName};
use polarferry::source::binlog::{self, Start};
use polarferry::source::{self, catalog};
use polarferry::stream::assemble::Assembler;

use super::workload::DATABASE;
use crate::ferry::{PASSWORD_AT_SOURCE, USER};
use crate::lab::{Server, source_account, unique_id};

/// The first event of every file.
const FILE_START: u64 = 4;

#[derive(Debug)]
pub struct Ours {
    pub file: String,
    pub end: u64,
    pub timestamp: u32,
    pub event: Read,
}

/// `rows` and `table` are there for the tables of the workload.
#[derive(Debug)]
pub enum Read {
    Begin(Option<String>),
    Map { id: u64, schema: String, table: String, columns: usize, described: Option<Arc<Table>> },
    Rows { id: u64, kind: RowsKind, rows: Option<Rows> },
    Query { schema: String, sql: String },
    Commit,
    XaPrepare,
    Rotate(String, u64),
    Nothing,
    Unsupported,
}

impl Ours {
    pub fn place(&self) -> String {
        format!("{}:{}", self.file, self.end)
    }
}

/// Everything from the start of `file` to the end of the binlog.
pub async fn read(server: &Server, file: &str) -> Vec<Ours> {
    source_account(server, USER, PASSWORD_AT_SOURCE, false).await;
    let endpoint = Endpoint {
        host: "127.0.0.1".to_owned(),
        port: server.port(),
        user: USER.to_owned(),
        password: PASSWORD_AT_SOURCE.into(),
        tls: Tls { mode: TlsMode::Disabled, ca: None },
    };
    let tables = describe(&endpoint).await;
    let glob = format!("{DATABASE}.*").parse().expect("a glob");
    let selection = Arc::new(Selection { include: vec![glob], exclude: Vec::new() });
    let from = FilePosition { file: file.to_owned(), offset: FILE_START };
    let mut assembler = Assembler::new(selection, Arc::clone(&tables), Position { file: from.clone(), ..Position::default() });
    let uuid: Vec<String> = server.query_rows("SELECT @@server_uuid").await;
    let mut reader =
        binlog::open(&endpoint, &uuid[0], unique_id(), &Start::FileOnce(from), &Arc::default()).await.expect("a binlog stream");
    let (mut events, mut file) = (Vec::new(), file.to_owned());
    while let Some(framed) = reader.next().await.expect("an event") {
        let (end, timestamp) = (framed.end, framed.timestamp);
        let mut event = plain(&framed, &tables);
        let item = assembler.feed(framed);
        match (&mut event, item) {
            (Read::Rows { rows, .. }, Ok(Some(StreamItem::Rows(found)))) => *rows = Some(found),
            (Read::Unsupported, Err(_)) => {}
            // Rows of such a transaction come out with its decision.
            (_, Ok(Some(StreamItem::Prepared(..) | StreamItem::Decided { .. }))) => {}
            (_, Ok(Some(StreamItem::Commit(commit)))) => {
                let expected = match &event {
                    Read::Rotate(next, offset) => (next, *offset),
                    _ => (&file, end),
                };
                assert_eq!((&commit.position.file.file, commit.position.file.offset), expected);
            }
            (_, Ok(None)) => {}
            (event, item) => panic!("{file}:{end}: {event:?} gives {item:?}"),
        }
        let next = match &event {
            Read::Rotate(next, _) => Some(next.clone()),
            _ => None,
        };
        // A connection, and each file on it, opens with a rotation that is in no file.
        if !(next.is_some() && timestamp == 0) {
            events.push(Ours { file: file.clone(), end, timestamp, event });
        }
        file = next.unwrap_or(file);
    }
    reader.close().await;
    events
}

async fn describe(endpoint: &Endpoint) -> Arc<HashMap<TableName, Arc<Table>>> {
    let mut conn = source::connect(endpoint, Purpose::Catalog).await.expect("a session");
    let described = catalog::describe(Side::Source, &mut conn, DATABASE).await.expect("the tables");
    Arc::new(described.into_iter().map(|(name, table)| (name, Arc::new(table.expect("a table that is carried")))).collect())
}

/// The event without what only the assembler knows.
fn plain(framed: &Framed, tables: &HashMap<TableName, Arc<Table>>) -> Read {
    match &framed.event {
        Event::Rotate(next) => Read::Rotate(next.file.clone(), next.offset),
        Event::Begin { gtid, .. } => Read::Begin(gtid.as_ref().map(|gtid| {
            assert_eq!(gtid.origin.tag, "");
            let digits: String = gtid.origin.uuid.iter().map(|byte| format!("{byte:02x}")).collect();
            let parts = [&digits[..8], &digits[8..12], &digits[12..16], &digits[16..20], &digits[20..]];
            format!("{}:{}", parts.join("-"), gtid.number)
        })),
        Event::TableMap { id, name, layout } => Read::Map {
            id: *id,
            schema: name.schema.clone(),
            table: name.table.clone(),
            columns: layout.as_ref().expect("a layout").len(),
            described: tables.get(name).cloned(),
        },
        Event::Rows(rows) => Read::Rows { id: rows.table_id, kind: rows.kind, rows: None },
        Event::Query { schema, sql } => Read::Query { schema: schema.clone(), sql: sql.clone() },
        Event::Commit => Read::Commit,
        Event::XaPrepare(_) => Read::XaPrepare,
        Event::Heartbeat | Event::Nothing => Read::Nothing,
        Event::Unsupported(_) => Read::Unsupported,
    }
}
