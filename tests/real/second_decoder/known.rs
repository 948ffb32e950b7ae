//! The one table of what `mysql_cdc` 0.2.1 cannot do. Each line explains some differences and no others.
//!
//! Not in it, because files do not show it: no TLS, and no packets of 16 MiB or more on the wire.

use mysql_cdc::errors::Error;
use mysql_cdc::events::row_events::mysql_value::MySqlValue;
use polarferry::model::change::Change;
use polarferry::model::table::{Column, ColumnKind};
use polarferry::model::value::{Clock, Date, Value};

use super::ours::{Ours, Read};
use super::theirs::PAYLOAD;
use super::values::same_but_for_micros;
use super::workload;
use crate::lab::Version;
use crate::real::pair::Route;
use polarferry::model::event::RowsKind;

/// In what the two differ.
pub enum Difference<'a> {
    /// They cannot read an event that we read.
    Refused { ours: &'a Ours, error: &'a Error },
    /// They pass over an event, here by the number of its type.
    Unknown { ours: &'a Ours, kind: u8 },
    /// They read a cell otherwise.
    Cell { ours: Value<'a>, theirs: Option<&'a MySqlValue> },
}

use Difference::{Cell, Refused, Unknown};

pub struct Known {
    what: &'static str,
    explains: fn(&Difference<'_>) -> bool,
    /// Whether a route's workload shows it.
    shows: fn(Route) -> bool,
}

const ALWAYS: fn(Route) -> bool = |_| true;

pub const KNOWN: &[Known] = &[
    Known {
        what: "DATETIME, TIMESTAMP and TIME are cut to milliseconds",
        explains: |difference| match difference {
            Cell { ours: ours @ (Value::DateTime { clock, .. } | Value::Time { clock, .. }), theirs } => {
                clock.micros % 1000 != 0 && same_but_for_micros(*ours, *theirs)
            }
            _ => false,
        },
        shows: ALWAYS,
    },
    Known {
        what: "the zero TIMESTAMP is 1970",
        explains: |difference| {
            let zero = |date: &Date, clock: &Clock| *date == Date::default() && *clock == Clock::default();
            matches!(difference, Cell { ours: Value::DateTime { date, clock, .. }, theirs: Some(MySqlValue::Timestamp(0)) } if zero(date, clock))
        },
        shows: ALWAYS,
    },
    Known {
        what: "the zero YEAR is 1900",
        explains: |difference| matches!(difference, Cell { ours: Value::UInt(0), theirs: Some(MySqlValue::Year(1900)) }),
        shows: ALWAYS,
    },
    Known {
        what: "JSON is left in its binary form",
        explains: |difference| match difference {
            Cell { ours: Value::Json(ours), theirs: Some(MySqlValue::Blob(theirs)) } => ours == theirs,
            _ => false,
        },
        shows: ALWAYS,
    },
    Known {
        what: "negative TIMEs are refused",
        explains: |difference| {
            let negative = |_: &Column, value: Value<'_>| matches!(value, Value::Time { negative: true, .. });
            refused_with(difference, "Parsing negative TIME") && has_cell(difference, negative)
        },
        shows: ALWAYS,
    },
    Known {
        what: "CHAR, VARCHAR, BINARY and VARBINARY that are not UTF-8 are refused",
        explains: |difference| {
            let other = |column: &Column, value: Value<'_>| match value {
                Value::Bytes(bytes) | Value::Padded(bytes, _) => is_string(column) && std::str::from_utf8(bytes).is_err(),
                _ => false,
            };
            matches!(difference, Refused { error: Error::FromUtf8Error(_), .. }) && has_cell(difference, other)
        },
        shows: ALWAYS,
    },
    Known {
        what: "GTID events of sources without GTIDs are unknown",
        explains: |difference| {
            matches!(difference, Unknown { ours: Ours { event: Read::Begin(None), .. }, kind: ANONYMOUS_GTID })
        },
        shows: |route| !route.gtid,
    },
    Known {
        what: "tables with a VECTOR column are refused",
        explains: |difference| {
            let map = matches!(difference, Refused { ours: Ours { event: Read::Map { described: Some(table), .. }, .. }, .. }
                if table.columns.iter().any(|column| column.kind == ColumnKind::Vector));
            map && refused_with(difference, "Unknown column type 242")
        },
        shows: |route| route.source == Version::V97,
    },
    Known {
        what: "rows of tables with a VECTOR column are refused",
        explains: |difference| {
            let vector = |column: &Column, _: Value<'_>| column.kind == ColumnKind::Vector;
            refused_with(difference, "No preceding TableMapEvent") && has_cell(difference, vector)
        },
        shows: |route| route.source == Version::V97,
    },
    Known {
        what: "compressed transactions are unknown",
        explains: |difference| matches!(difference, Unknown { ours: Ours { event: Read::Nothing, .. }, kind: PAYLOAD }),
        shows: workload::compresses,
    },
    Known {
        what: "partial JSON updates are unknown",
        explains: |difference| {
            let partial = |event: &Read| matches!(event, Read::Rows { kind: RowsKind::PartialUpdate, .. });
            matches!(difference, Unknown { ours, kind: PARTIAL_UPDATE } if partial(&ours.event))
        },
        shows: workload::updates_partially,
    },
    Known {
        what: "the ends of prepared XA transactions are unknown",
        explains: |difference| matches!(difference, Unknown { ours: Ours { event: Read::XaPrepare, .. }, kind: XA_PREPARE }),
        shows: ALWAYS,
    },
    Known {
        what: "STOP events are unknown",
        explains: |difference| matches!(difference, Unknown { ours: Ours { event: Read::Nothing, .. }, kind: STOP }),
        shows: ALWAYS,
    },
];

const STOP: u8 = 3;
const ANONYMOUS_GTID: u8 = 34;
const XA_PREPARE: u8 = 38;
const PARTIAL_UPDATE: u8 = 39;

fn refused_with(difference: &Difference<'_>, text: &str) -> bool {
    matches!(difference, Refused { error: Error::String(said), .. } if said.contains(text))
}

/// Whether a row of ours in an event has such a cell.
fn has_cell(difference: &Difference<'_>, is: impl Fn(&Column, Value<'_>) -> bool) -> bool {
    let Refused { ours: Ours { event: Read::Rows { rows: Some(rows), .. }, .. }, .. } = difference else { return false };
    let columns = &rows.table.columns;
    let images = rows.changes.iter().flat_map(|change| match change {
        Change::Insert { after: one } | Change::Delete { before: one } => vec![one],
        Change::Update { before, after } => vec![before, after],
    });
    let mut found = false;
    for image in images {
        image.walk(columns, |index, value| found |= is(&columns[index], value)).expect("an image that was walked before");
    }
    found
}

/// Types that are not BLOBs in the binlog.
fn is_string(column: &Column) -> bool {
    ["char", "varchar", "binary", "varbinary"]
        .iter()
        .any(|name| column.type_text.strip_prefix(name).is_some_and(|rest| rest.starts_with('(')))
}

/// How much was compared, and how often each line was seen.
#[derive(Default)]
pub struct Tally {
    pub events: usize,
    pub cells: usize,
    seen: [usize; KNOWN.len()],
}

impl Tally {
    /// # Panics
    /// When no line of the table explains the difference.
    pub fn explain(&mut self, place: &str, difference: &Difference<'_>) {
        let line = KNOWN.iter().position(|known| (known.explains)(difference));
        let line = line.unwrap_or_else(|| match difference {
            Refused { ours, error } => panic!("{place}: they refuse {:?}: {error:?}", ours.event),
            Unknown { ours, kind } => panic!("{place}: they do not know type {kind}, for us {:?}", ours.event),
            Cell { ours, theirs } => panic!("{place}: {ours:?} against {theirs:?}"),
        });
        self.seen[line] += 1;
    }

    pub fn print(&self, route: Route) {
        println!("{} with gtid_mode {}: {} events, {} cells", route.source, route.gtid, self.events, self.cells);
        for (known, seen) in KNOWN.iter().zip(self.seen) {
            println!("{seen:>8}  {}", known.what);
        }
    }

    /// # Panics
    /// When little was compared, or a line of the table was seen where it cannot be, or was not seen where it must.
    pub fn assert_complete(&self, route: Route) {
        assert!(self.events > 2000 && self.cells > 5000, "{} events, {} cells", self.events, self.cells);
        for (known, seen) in KNOWN.iter().zip(self.seen) {
            assert_eq!(seen > 0, (known.shows)(route), "{}: seen {seen} times", known.what);
        }
    }
}
