//! Events in, whole transactions out; pure.
//!
//! The binlog is a sequence of event groups, each one transaction: an optional GTID event, then either a statement that commits by
//! itself (DDL), or BEGIN, row events under table maps, and an end (XID, COMMIT, ROLLBACK). An XA transaction is two groups: XA START,
//! rows, XA END, PREPARE; and its decision ([`super::hold`]).
//!
//! Invariants:
//! 1. Rows of selected tables are complete images that fit the target's description of the table, or the stream stops.
//! 2. A position is given out only with the end of a group.
//! 3. Every event is known to have no effect on selected tables, or is carried, or stops the stream.
//!    What a statement names is compared as the source compares names; one that cannot be read may be ours.
//! 4. A group is whole: a second one that begins before the first has ended, or a file that ends inside one, means that events
//!    are missing, and stops the stream. A statement inside a group (a temporary table, a savepoint) does not end it.

use std::collections::HashMap;
use std::sync::Arc;

use crate::fault::{Code, Fault};
use crate::model::change::{Change, Commit, Rows, StreamItem};
use crate::model::event::{Event, Framed, RowsEvent, RowsKind};
use crate::model::gtid::{Gtid, GtidSet};
use crate::model::image::{ImageError, Layout, RowImage};
use crate::model::partial;
use crate::model::position::{FilePosition, Position};
use crate::model::selection::{Selection, is_system_schema};
use crate::model::table::{Table, TableName};
use crate::model::xid::{Prepared, XaEnd, Xid};

use super::hold::Hold;
use crate::sql::lexer::{self, Query, Xa};

/// What a table id stands for until the next table map says otherwise.
#[derive(Debug)]
enum Mapped {
    /// `seen` is the layout without hidden columns, which some releases announce and then leave out of the rows.
    Ours {
        table: Arc<Table>,
        layout: Arc<Layout>,
        seen: Arc<Layout>,
    },
    Ignored,
}

impl Mapped {
    /// Whether it is what these, which have not changed, would come to again.
    fn is(&self, name: &TableName, layout: &Result<Arc<Layout>, ImageError>) -> bool {
        match (self, layout) {
            (Self::Ours { table, layout: known, .. }, Ok(layout)) => table.name == *name && Arc::ptr_eq(known, layout),
            _ => false,
        }
    }
}

/// Where in an event group we are.
#[derive(Debug)]
enum Group {
    Outside,
    /// After the GTID event, which an anonymous transaction has, too.
    Announced,
    /// After BEGIN; `ours` once a row of a selected table was seen.
    Inside {
        ours: bool,
    },
    /// After XA START: rows are held back.
    Xa {
        xid: Xid,
        rows: Vec<Rows>,
    },
}

impl Group {
    /// Whether what comes now belongs to a transaction that has begun.
    fn is_open(&self) -> bool {
        match self {
            Self::Outside | Self::Announced => false,
            Self::Inside { .. } | Self::Xa { .. } => true,
        }
    }

    fn has_ours(&self) -> bool {
        match self {
            Self::Outside | Self::Announced => false,
            Self::Inside { ours } => *ours,
            Self::Xa { rows, .. } => !rows.is_empty(),
        }
    }
}

/// Turns events into items, one stream's worth.
#[derive(Debug)]
pub struct Assembler {
    selection: Arc<Selection>,
    tables: Arc<HashMap<TableName, Arc<Table>>>,
    /// Statements name tables in any case: the source's `lower_case_table_names` is not 0.
    folds: bool,
    maps: HashMap<u64, Mapped>,
    position: Position,
    file: Arc<str>,
    /// The set holds every transaction before here. One that began empty never does: see `Facts::follows_gtids`.
    complete: bool,
    gtid: Option<Gtid>,
    at_micros: Option<u64>,
    group: Group,
    /// Where the group begins.
    begins: FilePosition,
    /// The end of the last event.
    read: u64,
    hold: Hold,
    notices: Vec<String>,
    /// Statements elsewhere were noticed.
    elsewhere: bool,
}

/// A character that was none in UTF-8: the statement was sent in another character set.
const UNREADABLE: char = char::REPLACEMENT_CHARACTER;

/// Character by character, as the server does it: no character becomes two.
fn lower(name: &str) -> String {
    name.chars().filter_map(|c| c.to_lowercase().next()).collect()
}

impl Assembler {
    /// `position` is where the stream starts; GTIDs are added to its set unless that is empty.
    pub fn new(selection: Arc<Selection>, tables: Arc<HashMap<TableName, Arc<Table>>>, position: Position) -> Self {
        Self {
            selection,
            tables,
            folds: false,
            maps: HashMap::new(),
            file: Arc::from(position.file.file.as_str()),
            begins: position.file.clone(),
            read: position.file.offset,
            hold: Hold::default(),
            complete: !position.gtids.is_empty(),
            position,
            gtid: None,
            at_micros: None,
            group: Group::Outside,
            notices: Vec::new(),
            elsewhere: false,
        }
    }

    /// Tells it how the source compares names: its `lower_case_table_names`.
    pub fn with_names(mut self, lower_case_table_names: u64) -> Self {
        self.folds = lower_case_table_names != 0;
        self
    }

    /// Gives it what a former stream has held back.
    pub fn with_hold(mut self, hold: Hold) -> Self {
        self.hold = hold;
        self
    }

    /// Whether an XA transaction of this name is prepared and not decided.
    pub fn holds(&self, xid: &Xid) -> bool {
        self.hold.has(xid)
    }

    /// What it holds back.
    pub fn into_hold(self) -> Hold {
        self.hold
    }

    /// What was passed over although it concerns selected schemas (views, triggers …), once.
    pub fn take_notices(&mut self) -> Vec<String> {
        std::mem::take(&mut self.notices)
    }

    /// Takes one event; returns the item that it completes, if any.
    pub fn feed(&mut self, framed: Framed) -> Result<Option<StreamItem>, Fault> {
        let end = framed.end;
        let item = self.step(framed).map_err(|fault| fault.at(format!("{}:{end}", self.file)));
        self.read = end;
        item
    }

    fn step(&mut self, framed: Framed) -> Result<Option<StreamItem>, Fault> {
        let (end, timestamp, bytes) = (framed.end, framed.timestamp, framed.bytes);
        match framed.event {
            Event::Rotate(next) => {
                self.closed("the file ends")?;
                // Table ids are not carried over: the new file has maps of its own.
                self.maps.clear();
                self.file = Arc::from(next.file.as_str());
                self.position.file = next;
                // A true rotation, not the one that opens a connection: the checkpoint must not stay in a file that an idle
                // source may purge.
                if timestamp > 0 {
                    let at_micros = u64::from(timestamp) * 1_000_000;
                    return Ok(Some(StreamItem::Commit(Commit { position: self.position.clone(), at_micros })));
                }
            }
            Event::Begin { gtid, at_micros } => {
                let whole = self.closed("another one begins");
                self.gtid = gtid;
                self.at_micros = at_micros;
                self.group = Group::Announced;
                self.begins = self.here(self.read);
                whole?;
            }
            Event::TableMap { id, name, layout } => {
                if !self.maps.get(&id).is_some_and(|known| known.is(&name, &layout)) {
                    let mapped = self.map(name, layout)?;
                    self.maps.insert(id, mapped);
                }
            }
            Event::Rows(rows) => return self.rows(rows, end, bytes),
            Event::Query { schema, sql } => return self.query(&schema, &sql, end, timestamp),
            Event::Commit => return self.committed(end, timestamp).map(Some),
            Event::XaPrepare(last) => return self.prepared(last, end, timestamp).map(Some),
            Event::Heartbeat | Event::Nothing => {}
            Event::Unsupported(what) => return Err(Fault::new(Code::EventUnknown, what)),
        }
        Ok(None)
    }

    /// No group may be open here; if one is, it is given up.
    fn closed(&mut self, why: &str) -> Result<(), Fault> {
        match std::mem::replace(&mut self.group, Group::Outside) {
            Group::Outside => Ok(()),
            Group::Announced | Group::Inside { .. } | Group::Xa { .. } => {
                Err(Fault::new(Code::EventDamaged, format!("{why} inside a transaction: events are missing")))
            }
        }
    }

    fn here(&self, offset: u64) -> FilePosition {
        FilePosition { file: self.file.to_string(), offset }
    }

    fn map(&self, name: TableName, layout: Result<Arc<Layout>, ImageError>) -> Result<Mapped, Fault> {
        if !self.selection.includes(&name.schema, &name.table) {
            return Ok(Mapped::Ignored);
        }
        let Some(table) = self.tables.get(&name) else {
            let detail = format!("{name} is selected, but was not there when the task began");
            return Err(Fault::new(Code::SchemaMismatch, detail));
        };
        let layout = layout.map_err(|error| Fault::new(Code::EventUnknown, format!("{name}: {error}")))?;
        layout.fits(table).map_err(|error| Fault::new(Code::SchemaMismatch, format!("{name}: {error}")))?;
        let known = table.columns.len();
        let seen = if layout.len() == known { Arc::clone(&layout) } else { Arc::new(layout.first(known)) };
        Ok(Mapped::Ours { table: Arc::clone(table), layout, seen })
    }

    fn rows(&mut self, event: RowsEvent, end: u64, bytes: usize) -> Result<Option<StreamItem>, Fault> {
        let (table, layout, seen) = match self.maps.get(&event.table_id) {
            Some(Mapped::Ours { table, layout, seen }) => (Arc::clone(table), Arc::clone(layout), Arc::clone(seen)),
            Some(Mapped::Ignored) => return Ok(None),
            None => return Err(Fault::new(Code::EventDamaged, format!("rows of the unannounced table id {}", event.table_id))),
        };
        let layout = match event.columns {
            Some(columns) if columns == layout.len() => layout,
            Some(columns) if columns == seen.len() => seen,
            Some(_) | None => {
                return Err(Fault::new(Code::PartialImage, format!("a change to {} leaves columns out", table.name)));
            }
        };
        let changes =
            split(&event, &layout).map_err(|error| Fault::new(Code::EventDamaged, format!("{}: {error}", table.name)))?;
        let rows = Rows { table, changes, bytes, keys_act: event.keys_act, at: self.here(end) };
        match &mut self.group {
            Group::Xa { rows: group, .. } => {
                self.hold.add(group, rows)?;
                Ok(None)
            }
            Group::Inside { ours } => {
                *ours = true;
                Ok(Some(StreamItem::Rows(rows)))
            }
            Group::Outside | Group::Announced => {
                Err(Fault::new(Code::EventDamaged, format!("a change to {} outside of a transaction", rows.table.name)))
            }
        }
    }

    fn query(&mut self, schema: &str, sql: &str, end: u64, timestamp: u32) -> Result<Option<StreamItem>, Fault> {
        match lexer::classify(sql, schema) {
            Query::Begin if self.group.is_open() => return Err(Fault::new(Code::EventDamaged, "BEGIN inside a transaction")),
            Query::Begin => self.group = Group::Inside { ours: false },
            Query::Commit => return self.committed(end, timestamp).map(Some),
            Query::Savepoint => {}
            Query::Rollback | Query::RollbackTo if self.group.has_ours() => {
                let detail = "rows of selected tables in a transaction that was rolled back after non-transactional writes";
                return Err(Fault::new(Code::TransactionUnsupported, detail));
            }
            Query::RollbackTo => {}
            Query::Rollback => return Ok(Some(self.end(end, timestamp))),
            Query::Xa(verb, xid) => return self.xa(verb, xid, end, timestamp),
            Query::TableDdl { verb, tables } => {
                tables.iter().try_for_each(|name| self.spared(verb, name))?;
                return Ok(self.alone(end, timestamp));
            }
            Query::CreateAndFill(name) => {
                self.spared("CREATE TABLE", &name)?;
                self.group = Group::Inside { ours: false };
            }
            Query::DropSchema(schema) => {
                if self.reaches(&schema) {
                    return Err(Fault::new(Code::DdlOnSelected, format!("DROP DATABASE {schema}")));
                }
                return Ok(self.alone(end, timestamp));
            }
            Query::OtherDdl(kind) => {
                if self.reaches(schema) {
                    self.notices.push(format!("a change to a {kind} in {schema} was not carried to the target"));
                }
                return Ok(self.alone(end, timestamp));
            }
            Query::Irrelevant => return Ok(self.alone(end, timestamp)),
            Query::Dml { verb, schemas } => {
                if let Some(schema) = schemas.iter().find(|schema| self.reaches(schema)) {
                    let detail = format!("{verb} in statement format, in reach of the schema {schema}");
                    return Err(Fault::new(Code::StatementEvent, detail));
                }
                self.notice_elsewhere(&verb, &schemas);
                if matches!(self.group, Group::Announced) {
                    return Ok(self.alone(end, timestamp));
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

    /// Whether the schema is, or may be, one of ours.
    fn reaches(&self, schema: &str) -> bool {
        let same = |ours: &str| ours == schema || (self.folds && lower(ours) == lower(schema));
        schema.contains(UNREADABLE) || self.tables.keys().any(|name| same(&name.schema))
    }

    /// The table that a definition names is none of ours.
    fn spared(&self, verb: &str, name: &TableName) -> Result<(), Fault> {
        let selected = |schema: &str, table: &str| self.selection.includes(schema, table);
        let ours = selected(&name.schema, &name.table) || (self.folds && selected(&lower(&name.schema), &lower(&name.table)));
        if ours || (self.folds && self.tables.keys().any(|table| lower(&table.to_string()) == lower(&name.to_string()))) {
            return Err(Fault::new(Code::DdlOnSelected, format!("{verb} on {name}")));
        }
        if name.table.contains(UNREADABLE) && self.reaches(&name.schema) || name.schema.contains(UNREADABLE) {
            let detail = format!("{verb} on {name}, a name that is not in UTF-8, in reach of selected tables");
            return Err(Fault::new(Code::EventUnknown, detail));
        }
        Ok(())
    }

    /// Says once that statements elsewhere may do more than they say. What the cloud does in its own schemas stays there.
    fn notice_elsewhere(&mut self, verb: &str, schemas: &[String]) {
        let elsewhere = schemas.iter().find(|schema| !schema.is_empty() && !is_system_schema(schema));
        if let Some(schema) = elsewhere.filter(|_| !std::mem::replace(&mut self.elsewhere, true)) {
            self.notices.push(format!(
                "{verb} in statement format in the schema {schema}: what triggers, views and routines there write to selected tables \
                 in this way is not carried; set binlog_format=ROW for every session"
            ));
        }
    }

    /// A statement that is a transaction by itself, unless it stands inside another one.
    fn alone(&mut self, end: u64, timestamp: u32) -> Option<StreamItem> {
        (!self.group.is_open()).then(|| self.end(end, timestamp))
    }

    /// An XA transaction ends by its own events: with this one, its rows would be dropped.
    fn committed(&mut self, end: u64, timestamp: u32) -> Result<StreamItem, Fault> {
        match &self.group {
            Group::Xa { xid, .. } => Err(Fault::new(Code::EventDamaged, format!("COMMIT inside the XA transaction {xid}"))),
            Group::Outside | Group::Announced | Group::Inside { .. } => Ok(self.end(end, timestamp)),
        }
    }

    fn end(&mut self, end: u64, timestamp: u32) -> StreamItem {
        StreamItem::Commit(self.commit(end, timestamp))
    }

    fn commit(&mut self, end: u64, timestamp: u32) -> Commit {
        self.group = Group::Outside;
        self.position.file.offset = end;
        if let Some(gtid) = self.gtid.take().filter(|_| self.complete) {
            self.position.gtids.insert(&gtid);
        }
        let at_micros = self.at_micros.take().unwrap_or(u64::from(timestamp) * 1_000_000);
        Commit { position: self.position.clone(), at_micros }
    }
}

/// XA transactions: see [`super::hold`].
impl Assembler {
    fn xa(&mut self, verb: Xa, xid: Xid, end: u64, timestamp: u32) -> Result<Option<StreamItem>, Fault> {
        match (verb, &self.group) {
            (Xa::Start, Group::Outside | Group::Announced) => self.group = Group::Xa { xid, rows: Vec::new() },
            (Xa::End, Group::Xa { xid: open, .. }) if *open == xid => {}
            (Xa::Commit, Group::Outside | Group::Announced) => {
                let Some(rows) = self.hold.decide(&xid) else {
                    let detail = format!("XA COMMIT of {xid}, which was prepared before the task began");
                    return Err(Fault::new(Code::TransactionUnsupported, detail));
                };
                let rows = Hold::moved(rows, &self.here(end));
                let commit = self.commit(end, timestamp);
                return Ok(Some(StreamItem::Decided { prepared: Some(xid), rows, commit }));
            }
            (Xa::Rollback, Group::Outside | Group::Announced) => {
                let held = self.hold.decide(&xid).is_some();
                let commit = self.commit(end, timestamp);
                return Ok(Some(match held {
                    true => StreamItem::Decided { prepared: Some(xid), rows: Vec::new(), commit },
                    // Prepared before the task began: none of its rows was ever seen by anybody.
                    false => StreamItem::Commit(commit),
                }));
            }
            (Xa::Rollback, Group::Xa { xid: open, rows }) if *open == xid && rows.is_empty() => {
                return Ok(Some(self.end(end, timestamp)));
            }
            (Xa::Start | Xa::End | Xa::Commit | Xa::Rollback, _) => {
                return Err(Fault::new(Code::TransactionUnsupported, format!("XA {verb:?} of {xid} where it cannot stand")));
            }
        }
        Ok(None)
    }

    fn prepared(&mut self, last: XaEnd, end: u64, timestamp: u32) -> Result<StreamItem, Fault> {
        let rows = match std::mem::replace(&mut self.group, Group::Outside) {
            Group::Xa { xid, rows } if xid == last.xid => rows,
            Group::Outside | Group::Announced | Group::Inside { .. } | Group::Xa { .. } => {
                return Err(Fault::new(
                    Code::EventDamaged,
                    format!("the end of the XA transaction {} without its start", last.xid),
                ));
            }
        };
        if last.one_phase {
            self.hold.release(&rows);
            let rows = Hold::moved(rows, &self.here(end));
            return Ok(StreamItem::Decided { prepared: None, rows, commit: self.commit(end, timestamp) });
        }
        let mut gtids = GtidSet::default();
        if let Some(gtid) = &self.gtid {
            gtids.insert(gtid);
        }
        let replaces = self.hold.prepare(last.xid.clone(), rows);
        let prepared = Prepared { xid: last.xid, gtids, begins: self.begins.clone(), replaces };
        Ok(StreamItem::Prepared(prepared, self.commit(end, timestamp)))
    }
}

/// Cuts an event's rows into images; every byte is accounted for.
fn split(event: &RowsEvent, layout: &Arc<Layout>) -> Result<Vec<Change>, crate::model::image::ImageError> {
    let mut at = 0;
    let next = |at: &mut usize| {
        let start = *at;
        *at += layout.measure(event.data.get(start..).unwrap_or(&[]))?;
        Ok(RowImage::new(Arc::clone(&event.data), start, *at, Arc::clone(layout)))
    };
    let mut changes = Vec::new();
    while at < event.data.len() {
        let image = next(&mut at)?;
        changes.push(match event.kind {
            RowsKind::Insert => Change::Insert { after: image },
            RowsKind::Delete => Change::Delete { before: image },
            RowsKind::Update => Change::Update { before: image, after: next(&mut at)? },
            RowsKind::PartialUpdate => {
                let (after, end) = partial::complete(layout, &image, &event.data, at)?;
                at = end;
                Change::Update { before: image, after }
            }
        });
    }
    Ok(changes)
}

#[cfg(test)]
mod tests;
