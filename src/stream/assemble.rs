//! Events in, whole transactions out; pure.
//!
//! The binlog is a sequence of event groups, each one transaction: an optional GTID event, then either a statement that commits by
//! itself (DDL), or BEGIN, row events under table maps, and an end (XID, COMMIT, ROLLBACK).
//!
//! Invariants:
//! 1. Rows of selected tables are complete images that fit the target's description of the table, or the stream stops.
//! 2. A position is given out only with the end of a group.
//! 3. Every event is known to have no effect on selected tables, or is carried, or stops the stream.

use std::collections::HashMap;
use std::sync::Arc;

use crate::fault::{Code, Fault};
use crate::model::change::{Change, Commit, Rows, StreamItem};
use crate::model::event::{Event, Framed, RowsEvent, RowsKind};
use crate::model::gtid::Gtid;
use crate::model::image::{Layout, RowImage};
use crate::model::position::{FilePosition, Position};
use crate::model::selection::Selection;
use crate::model::table::{Table, TableName};

use crate::sql::lexer::{self, Query};

/// What a table id stands for until the next table map says otherwise.
#[derive(Debug)]
enum Mapped {
    Ours { table: Arc<Table>, layout: Arc<Layout> },
    Ignored,
}

/// Where in an event group we are.
#[derive(Debug, PartialEq, Eq)]
enum Group {
    Outside,
    /// After BEGIN; `ours` once a row of a selected table was seen.
    Inside {
        ours: bool,
    },
}

/// Turns events into items, one stream's worth.
#[derive(Debug)]
pub struct Assembler {
    selection: Arc<Selection>,
    tables: Arc<HashMap<TableName, Arc<Table>>>,
    maps: HashMap<u64, Mapped>,
    position: Position,
    file: Arc<str>,
    gtid: Option<Gtid>,
    at_micros: Option<u64>,
    group: Group,
    notices: Vec<String>,
}

impl Assembler {
    /// `position` is where the stream starts; GTIDs are added to its set.
    pub fn new(selection: Arc<Selection>, tables: Arc<HashMap<TableName, Arc<Table>>>, position: Position) -> Self {
        Self {
            selection,
            tables,
            maps: HashMap::new(),
            file: Arc::from(position.file.file.as_str()),
            position,
            gtid: None,
            at_micros: None,
            group: Group::Outside,
            notices: Vec::new(),
        }
    }

    /// What was passed over although it concerns selected schemas (views, triggers …), once.
    pub fn take_notices(&mut self) -> Vec<String> {
        std::mem::take(&mut self.notices)
    }

    /// Takes one event; returns the item that it completes, if any.
    pub fn feed(&mut self, framed: Framed) -> Result<Option<StreamItem>, Fault> {
        let end = framed.end;
        self.step(framed).map_err(|fault| fault.at(format!("{}:{end}", self.file)))
    }

    fn step(&mut self, framed: Framed) -> Result<Option<StreamItem>, Fault> {
        let (end, timestamp, bytes) = (framed.end, framed.timestamp, framed.bytes);
        match framed.event {
            Event::Rotate(next) => {
                // Table ids are not carried over: the new file has maps of its own.
                self.maps.clear();
                self.file = Arc::from(next.file.as_str());
                self.position.file = next;
                // A true rotation, not the one that opens a connection: the checkpoint must not stay in a file that an idle
                // source may purge.
                if timestamp > 0 && self.group == Group::Outside && self.gtid.is_none() {
                    let at_micros = u64::from(timestamp) * 1_000_000;
                    return Ok(Some(StreamItem::Commit(Commit { position: self.position.clone(), at_micros })));
                }
            }
            Event::Begin { gtid, at_micros } => {
                self.gtid = gtid;
                self.at_micros = at_micros;
            }
            Event::TableMap { id, name, layout } => {
                let mapped = self.map(name, layout)?;
                self.maps.insert(id, mapped);
            }
            Event::Rows(rows) => return self.rows(rows, end, bytes),
            Event::Query { schema, sql } => return self.query(&schema, &sql, end, timestamp),
            Event::Commit => return Ok(Some(self.commit(end, timestamp))),
            Event::Heartbeat | Event::Nothing => {}
            Event::Unsupported(what) => return Err(Fault::new(Code::EventUnknown, what)),
        }
        Ok(None)
    }

    fn map(&self, name: TableName, layout: Result<Arc<Layout>, crate::model::image::ImageError>) -> Result<Mapped, Fault> {
        if !self.selection.includes(&name.schema, &name.table) {
            return Ok(Mapped::Ignored);
        }
        let Some(table) = self.tables.get(&name) else {
            let detail = format!("{name} is selected, but was not there when the task began");
            return Err(Fault::new(Code::SchemaMismatch, detail));
        };
        let layout = layout.map_err(|error| Fault::new(Code::EventUnknown, format!("{name}: {error}")))?;
        layout.fits(table).map_err(|error| Fault::new(Code::SchemaMismatch, format!("{name}: {error}")))?;
        Ok(Mapped::Ours { table: Arc::clone(table), layout })
    }

    fn rows(&mut self, event: RowsEvent, end: u64, bytes: usize) -> Result<Option<StreamItem>, Fault> {
        let (table, layout) = match self.maps.get(&event.table_id) {
            Some(Mapped::Ours { table, layout }) => (Arc::clone(table), Arc::clone(layout)),
            Some(Mapped::Ignored) => return Ok(None),
            None => return Err(Fault::new(Code::EventDamaged, format!("rows of the unannounced table id {}", event.table_id))),
        };
        if !event.full {
            return Err(Fault::new(Code::PartialImage, format!("a change to {} leaves columns out", table.name)));
        }
        self.group = Group::Inside { ours: true };
        let changes =
            split(&event, &layout).map_err(|error| Fault::new(Code::EventDamaged, format!("{}: {error}", table.name)))?;
        Ok(Some(StreamItem::Rows(Rows { table, changes, bytes, at: FilePosition { file: self.file.to_string(), offset: end } })))
    }

    fn query(&mut self, schema: &str, sql: &str, end: u64, timestamp: u32) -> Result<Option<StreamItem>, Fault> {
        let ours = self.group == Group::Inside { ours: true };
        match lexer::classify(sql, schema) {
            Query::Begin => self.group = Group::Inside { ours: false },
            Query::Commit => return Ok(Some(self.commit(end, timestamp))),
            Query::Savepoint => {}
            Query::Rollback | Query::RollbackTo | Query::Xa if ours => {
                let detail =
                    "rows of selected tables in an XA transaction, or in one that was rolled back after non-transactional writes";
                return Err(Fault::new(Code::TransactionUnsupported, detail));
            }
            Query::RollbackTo => {}
            Query::Rollback | Query::Xa => return Ok(Some(self.commit(end, timestamp))),
            Query::TableDdl { verb, tables } => {
                if let Some(name) = tables.iter().find(|name| self.selection.includes(&name.schema, &name.table)) {
                    return Err(Fault::new(Code::DdlOnSelected, format!("{verb} on {name}")));
                }
                return Ok(Some(self.commit(end, timestamp)));
            }
            Query::DropSchema(schema) => {
                if self.tables.keys().any(|name| name.schema == schema) {
                    return Err(Fault::new(Code::DdlOnSelected, format!("DROP DATABASE {schema}")));
                }
                return Ok(Some(self.commit(end, timestamp)));
            }
            Query::OtherDdl(kind) => {
                if self.tables.keys().any(|name| name.schema == schema) {
                    self.notices.push(format!("a change to a {kind} in {schema} was not carried to the target"));
                }
                return Ok(Some(self.commit(end, timestamp)));
            }
            Query::Irrelevant => return Ok(Some(self.commit(end, timestamp))),
            Query::Dml { verb, schemas } => {
                if let Some(schema) = schemas.iter().find(|schema| self.tables.keys().any(|name| name.schema == **schema)) {
                    let detail = format!("{verb} in statement format, in reach of the schema {schema}");
                    return Err(Fault::new(Code::StatementEvent, detail));
                }
            }
            Query::Unknown => {
                let verb: String = sql.chars().take_while(|c| c.is_ascii_alphanumeric()).take(32).collect();
                return Err(Fault::new(
                    Code::EventUnknown,
                    format!("a statement that begins with {verb:?} in schema {schema:?}"),
                ));
            }
        }
        Ok(None)
    }

    fn commit(&mut self, end: u64, timestamp: u32) -> StreamItem {
        self.group = Group::Outside;
        self.position.file.offset = end;
        if let Some(gtid) = self.gtid.take() {
            self.position.gtids.insert(&gtid);
        }
        let at_micros = self.at_micros.take().unwrap_or(u64::from(timestamp) * 1_000_000);
        StreamItem::Commit(Commit { position: self.position.clone(), at_micros })
    }
}

/// Cuts an event's rows into images; every byte is accounted for.
fn split(event: &RowsEvent, layout: &Arc<Layout>) -> Result<Vec<Change>, crate::model::image::ImageError> {
    let mut at = 0;
    let mut next = || {
        let start = at;
        at += layout.measure(event.data.get(start..).unwrap_or(&[]))?;
        Ok((at < event.data.len(), RowImage::new(Arc::clone(&event.data), start, at, Arc::clone(layout))))
    };
    let mut changes = Vec::new();
    let mut more = !event.data.is_empty();
    while more {
        let image;
        (more, image) = next()?;
        changes.push(match event.kind {
            RowsKind::Insert => Change::Insert { after: image },
            RowsKind::Delete => Change::Delete { before: image },
            RowsKind::Update => {
                let after;
                (more, after) = next()?;
                Change::Update { before: image, after }
            }
        });
    }
    Ok(changes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::gtid::Origin;
    use crate::model::image::Wire;
    use crate::model::table::ColumnKind;
    use crate::model::table::tests::{column, table};

    fn assembler() -> Assembler {
        let table = table("t", vec![column("id", ColumnKind::Integer { unsigned: false })], &[0]);
        let tables = HashMap::from([(table.name.clone(), Arc::new(table))]);
        let selection = Selection { include: vec!["shop.*".parse().expect("a glob")], exclude: Vec::new() };
        let start = Position { file: FilePosition { file: "b.000001".into(), offset: 4 }, ..Position::default() };
        Assembler::new(Arc::new(selection), Arc::new(tables), start)
    }

    fn framed(event: Event, end: u64) -> Framed {
        Framed { event, end, timestamp: 7, bytes: 50 }
    }

    fn query(sql: &str) -> Event {
        Event::Query { schema: "shop".into(), sql: sql.into() }
    }

    fn map(name: &str, wire: Wire) -> Event {
        let layout = Ok(Arc::new(Layout::new(vec![wire])));
        Event::TableMap { id: 1, name: TableName::new("shop", name), layout }
    }

    fn insert(full: bool) -> Event {
        Event::Rows(RowsEvent { table_id: 1, kind: RowsKind::Insert, full, data: Arc::from([0, 9, 0, 8]) })
    }

    const TINY: Wire = Wire::Integer { bytes: 1 };

    fn code(result: Result<Option<StreamItem>, Fault>) -> Option<Code> {
        result.err().map(|fault| fault.code)
    }

    #[test]
    fn a_gtid_counts_only_when_its_transaction_has_ended() {
        let mut stream = assembler();
        let gtid = Gtid { origin: Origin { uuid: [1; 16], tag: String::new() }, number: 5 };
        let begin = Event::Begin { gtid: Some(gtid.clone()), at_micros: Some(99) };
        for (event, end) in [(begin, 10), (query("BEGIN"), 20), (map("t", TINY), 30)] {
            assert!(matches!(stream.feed(framed(event, end)), Ok(None)));
        }
        let Ok(Some(StreamItem::Rows(rows))) = stream.feed(framed(insert(true), 40)) else { panic!("no rows") };
        assert_eq!(rows.changes.len(), 2);
        assert!(!stream.position.gtids.contains(&gtid));
        let Ok(Some(StreamItem::Commit(commit))) = stream.feed(framed(Event::Commit, 50)) else { panic!("no commit") };
        assert!(commit.position.gtids.contains(&gtid));
        assert_eq!((commit.position.file.offset, commit.at_micros), (50, 99));
    }

    #[test]
    fn a_rotation_moves_the_checkpoint_and_the_one_that_opens_a_connection_does_not() {
        let mut stream = assembler();
        let next = FilePosition { file: "b.000002".into(), offset: 4 };
        let opening = Framed { timestamp: 0, ..framed(Event::Rotate(next.clone()), 4) };
        assert!(matches!(stream.feed(opening), Ok(None)));
        let Ok(Some(StreamItem::Commit(commit))) = stream.feed(framed(Event::Rotate(next.clone()), 4)) else { panic!() };
        assert_eq!(commit.position.file, next);
    }

    #[test]
    fn what_is_not_carried_stops_with_its_place() {
        for (event, expected) in [
            (query("ALTER TABLE t ADD x INT"), Code::DdlOnSelected),
            (query("TRUNCATE t"), Code::DdlOnSelected),
            (query("DROP DATABASE shop"), Code::DdlOnSelected),
            (query("INSERT INTO t VALUES (1)"), Code::StatementEvent),
            (query("FROBNICATE"), Code::EventUnknown),
            (Event::Unsupported("event type 99".into()), Code::EventUnknown),
            (map("t", Wire::Double), Code::SchemaMismatch),
            (map("created_later", TINY), Code::SchemaMismatch),
        ] {
            let result = assembler().feed(framed(event, 77));
            assert!(result.as_ref().is_err_and(|fault| fault.detail.contains("b.000001:77")), "{result:?}");
            assert_eq!(code(result), Some(expected));
        }
    }

    #[test]
    fn partial_images_and_damage_stop() {
        let mut stream = assembler();
        assert_eq!(code(stream.feed(framed(insert(true), 5))), Some(Code::EventDamaged), "no table map came before");
        assert_eq!(code(stream.feed(framed(map("t", TINY), 6))), None);
        assert_eq!(code(stream.feed(framed(insert(false), 7))), Some(Code::PartialImage));
        let cut = Event::Rows(RowsEvent { table_id: 1, kind: RowsKind::Update, full: true, data: Arc::from([0, 9]) });
        assert_eq!(code(stream.feed(framed(cut, 8))), Some(Code::EventDamaged));
    }

    #[test]
    fn what_concerns_others_only_moves_the_position() {
        let mut stream = assembler();
        for sql in ["CREATE TABLE other.t (id INT)", "CREATE USER u", "DROP DATABASE other", "CREATE VIEW v AS SELECT 1"] {
            let item = stream.feed(framed(query(sql), 88));
            assert!(matches!(item, Ok(Some(StreamItem::Commit(_)))), "{sql}: {item:?}");
        }
        assert_eq!(stream.take_notices().len(), 1, "only the view was in a selected schema");
        let elsewhere = Event::Query { schema: "mysql".into(), sql: "DELETE FROM rds_heartbeat".into() };
        assert!(matches!(stream.feed(framed(elsewhere, 90)), Ok(None)));
    }

    #[test]
    fn rows_of_ours_in_an_xa_transaction_stop() {
        let mut stream = assembler();
        for event in [query("XA START X'61',X'',1"), map("t", TINY), insert(true)] {
            assert_eq!(code(stream.feed(framed(event, 9))), None);
        }
        assert_eq!(code(stream.feed(framed(query("XA END X'61',X'',1"), 10))), Some(Code::TransactionUnsupported));
    }
}
