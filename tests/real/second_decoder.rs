//! Does a second decoder, which shares no line with ours, read the same from the same binlog files?
//!
//! A server runs a workload of all types and shapes; then its files are read twice. Ours is the real path: the source's door,
//! the assembler, the row image. The other is `mysql_cdc`, which opens the files in the server's data directory. They must agree
//! on every event: its end, its time, its kind, its GTID, its table and columns, the number of rows, each NULL, each value.
//! What `mysql_cdc` cannot do is listed in one table, `known::KNOWN`, with a predicate for each line; a difference that no
//! line explains fails the test, and so does a line that explains nothing where it should.

mod known;
mod ours;
mod theirs;
mod values;
mod workload;

use mysql_cdc::events::binlog_event::BinlogEvent;
use mysql_cdc::events::row_events::mysql_value::MySqlValue;
use mysql_cdc::events::row_events::row_data::RowData;
use polarferry::model::change::{Change, Rows};
use polarferry::model::event::RowsKind;
use polarferry::model::image::RowImage;

use super::pair::Route;
use crate::lab::Server;
use known::{Difference, Tally};
use ours::{Ours, Read};
use theirs::{PAYLOAD, Theirs};

async fn both_decoders_agree(route: Route) {
    let mut server = Server::start(route.source, &workload::options(route)).await;
    let files = workload::run(&mut server).await;
    let ours = ours::read(&server, &files[0]).await;
    let theirs = theirs::read(&server, &files);
    let mut tally = Tally::default();
    let mut behind = ours.iter();
    for theirs in &theirs {
        let ours = behind.next().unwrap_or_else(|| panic!("only they have {}", theirs.place()));
        tally.events += 1;
        compare(ours, theirs, &mut tally);
        if theirs.kind == PAYLOAD {
            // What is inside is ours alone, up to the end of the transaction.
            let inside = behind.by_ref().take_while(|inner| !matches!(inner.event, Read::Commit)).count();
            assert!(inside > 2, "{}: no rows in a compressed transaction", ours.place());
        }
    }
    assert_eq!(behind.next().map(Ours::place), None, "only we have it");
    tally.print(route);
    tally.assert_complete(route);
}

fn compare(ours: &Ours, theirs: &Theirs, tally: &mut Tally) {
    let place = ours.place();
    assert_eq!(ours.timestamp, theirs.timestamp, "{place} against {}", theirs.place());
    match &ours.event {
        // The end of this one is where it leads to.
        Read::Rotate(..) => {}
        _ => assert_eq!(place, theirs.place(), "{:?} against type {}", ours.event, theirs.kind),
    }
    let event = match &theirs.event {
        Ok(event) => event,
        Err(error) => return tally.explain(&place, &Difference::Refused { ours, error }),
    };
    match (&ours.event, event) {
        (Read::Begin(Some(gtid)), BinlogEvent::MySqlGtidEvent(event)) => assert_eq!(*gtid, event.gtid.to_string(), "{place}"),
        (Read::Map { id, schema, table, columns, .. }, BinlogEvent::TableMapEvent(event)) => {
            assert_eq!((id, schema, table), (&event.table_id, &event.database_name, &event.table_name), "{place}");
            assert_eq!(*columns, event.column_types.len(), "{place}");
        }
        (Read::Query { schema, sql }, BinlogEvent::QueryEvent(event)) => {
            assert_eq!((schema, sql), (&event.database_name, &event.sql_statement), "{place}");
        }
        (Read::Rotate(file, offset), BinlogEvent::RotateEvent(event)) => {
            assert_eq!((file, *offset), (&event.binlog_filename, event.binlog_position), "{place}");
        }
        (Read::Commit, BinlogEvent::XidEvent(_)) => {}
        (
            Read::Nothing,
            BinlogEvent::FormatDescriptionEvent(_) | BinlogEvent::MySqlPrevGtidsEvent(_) | BinlogEvent::RowsQueryEvent(_),
        ) => {}
        (Read::Rows { id, kind, rows }, BinlogEvent::WriteRowsEvent(event)) => {
            assert_eq!((*id, *kind), (event.table_id, RowsKind::Insert), "{place}");
            let images = event.rows.iter().map(|row| (None, Some(row))).collect();
            compare_rows(&place, rows.as_ref(), event.columns_number, images, tally);
        }
        (Read::Rows { id, kind, rows }, BinlogEvent::UpdateRowsEvent(event)) => {
            assert_eq!((*id, *kind), (event.table_id, RowsKind::Update), "{place}");
            let images = event.rows.iter().map(|row| (Some(&row.before_update), Some(&row.after_update))).collect();
            compare_rows(&place, rows.as_ref(), event.columns_number, images, tally);
        }
        (Read::Rows { id, kind, rows }, BinlogEvent::DeleteRowsEvent(event)) => {
            assert_eq!((*id, *kind), (event.table_id, RowsKind::Delete), "{place}");
            let images = event.rows.iter().map(|row| (Some(row), None)).collect();
            compare_rows(&place, rows.as_ref(), event.columns_number, images, tally);
        }
        (_, BinlogEvent::UnknownEvent) => tally.explain(&place, &Difference::Unknown { ours, kind: theirs.kind }),
        (ours, theirs) => panic!("{place}: {ours:?} against {theirs:?}"),
    }
}

/// The images of a row before and after; `rows` are ours, if the table is one of the workload's own.
fn compare_rows(
    place: &str,
    rows: Option<&Rows>,
    columns: usize,
    theirs: Vec<(Option<&RowData>, Option<&RowData>)>,
    tally: &mut Tally,
) {
    let Some(rows) = rows else { return };
    assert_eq!(rows.table.columns.len(), columns, "{place}");
    assert_eq!(rows.changes.len(), theirs.len(), "{place}: rows of {}", rows.table.name);
    for (change, (before, after)) in rows.changes.iter().zip(theirs) {
        let (our_before, our_after) = match change {
            Change::Insert { after } => (None, Some(after)),
            Change::Delete { before } => (Some(before), None),
            Change::Update { before, after } => (Some(before), Some(after)),
        };
        for (ours, theirs) in [(our_before, before), (our_after, after)] {
            match (ours, theirs) {
                (Some(ours), Some(theirs)) => compare_images(place, rows, ours, &theirs.cells, tally),
                (None, None) => {}
                (ours, _) => panic!("{place}: only one has this image, ours: {}", ours.is_some()),
            }
        }
    }
}

fn compare_images(place: &str, rows: &Rows, ours: &RowImage, theirs: &[Option<MySqlValue>], tally: &mut Tally) {
    let columns = &rows.table.columns;
    assert_eq!(columns.len(), theirs.len(), "{place}");
    let mut walked = 0;
    ours.walk(columns, |index, value| {
        walked += 1;
        tally.cells += 1;
        let theirs = theirs[index].as_ref();
        if !values::same(value, theirs) {
            let place = format!("{place}, {}.{} {}", rows.table.name, columns[index].name, columns[index].type_text);
            tally.explain(&place, &Difference::Cell { ours: value, theirs });
        }
    })
    .unwrap_or_else(|error| panic!("{place}: {error}"));
    assert_eq!(walked, columns.len(), "{place}");
}

on_routes! { both_decoders_agree,
    mysql_97: Route::V97,
    mysql_97_without_gtid: Route::V97.without_gtid(),
    mysql_80: Route::V80,
    mysql_80_without_gtid: Route::V80.without_gtid(),
    mysql_57: Route::V57_TO_V80,
    mysql_57_without_gtid: Route::V57_TO_V80.without_gtid()
}
