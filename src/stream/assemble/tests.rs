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
    Event::Rows(RowsEvent { table_id: 1, kind: RowsKind::Insert, columns: full.then_some(1), data: Arc::from([0, 9, 0, 8]) })
}

const TINY: Wire = Wire::Integer { bytes: 1 };

fn code(result: Result<Option<StreamItem>, Fault>) -> Option<Code> {
    result.err().map(|fault| fault.code)
}

#[test]
fn a_gtid_counts_only_when_its_transaction_has_ended() {
    let gtid = Gtid { origin: Origin { uuid: [1; 16], tag: String::new() }, number: 5 };
    let mut stream = assembler();
    let begun_without = stream.feed(framed(Event::Begin { gtid: Some(gtid.clone()), at_micros: None }, 5));
    assert!(matches!(begun_without, Ok(None)));
    let Ok(Some(StreamItem::Commit(commit))) = stream.feed(framed(Event::Commit, 6)) else { panic!("no commit") };
    assert!(commit.position.gtids.is_empty(), "a set that is not complete would ask for all that is missing");
    stream.position.gtids.insert(&Gtid { number: 4, ..gtid.clone() });
    stream.complete = true;
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
    assert_eq!(code(stream.feed(framed(query("BEGIN"), 4))), None);
    assert_eq!(code(stream.feed(framed(insert(true), 5))), Some(Code::EventDamaged), "no table map came before");
    assert_eq!(code(stream.feed(framed(map("t", TINY), 6))), None);
    assert_eq!(code(stream.feed(framed(insert(false), 7))), Some(Code::PartialImage));
    let cut = Event::Rows(RowsEvent { table_id: 1, kind: RowsKind::Update, columns: Some(1), data: Arc::from([0, 9]) });
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
    assert!(stream.take_notices().is_empty(), "the cloud's own schemas are nobody's concern");
    for at in [91, 92] {
        let statement = Event::Query { schema: "other".into(), sql: "INSERT INTO t VALUES (1)".into() };
        assert!(matches!(stream.feed(framed(statement, at)), Ok(None)));
    }
    assert_eq!(stream.take_notices().len(), 1, "a trigger there may write to ours: said once");
}

#[test]
fn names_in_another_case_are_ours_when_the_source_says_so() {
    for sql in ["TRUNCATE SHOP.T", "ALTER TABLE Shop.`T` ADD x INT", "DROP DATABASE Shop", "INSERT INTO SHOP.t VALUES (1)"] {
        let named = || framed(Event::Query { schema: "other".into(), sql: sql.into() }, 9);
        assert_eq!(code(assembler().with_names(0).feed(named())), None, "{sql}: another schema");
        let found = code(assembler().with_names(1).feed(named()));
        assert!(matches!(found, Some(Code::DdlOnSelected | Code::StatementEvent)), "{sql}: {found:?}");
    }
    assert_eq!(lower("ΟΔΟΣ İ"), "οδοσ i", "as many characters as before");
}

#[test]
fn a_name_that_is_not_in_utf8_may_be_ours() {
    let mut stream = assembler();
    stream.selection = Arc::new(Selection { include: vec!["shop.t".parse().expect("a glob")], exclude: Vec::new() });
    for sql in ["DROP TABLE gr\u{FFFD}sse", "TRUNCATE `sh\u{FFFD}p`.t"] {
        assert_eq!(code(stream.feed(framed(query(sql), 9))), Some(Code::EventUnknown), "{sql}");
    }
    for sql in ["DROP TABLE other.gr\u{FFFD}sse", "ALTER TABLE other.t COMMENT 'gr\u{FFFD}n'"] {
        assert_eq!(code(stream.feed(framed(query(sql), 9))), None, "{sql}");
    }
}

fn xid(name: u8) -> Xid {
    Xid { gtrid: vec![name], bqual: Vec::new(), format: 1 }
}

/// Feeds a group that ends with the event; the last item.
fn feed_group(stream: &mut Assembler, name: u8, one_phase: bool, from: u64) -> Option<StreamItem> {
    let words = |verb: &str| query(&format!("XA {verb} {}", xid(name)));
    let begin = Event::Begin { gtid: None, at_micros: Some(1) };
    let last = Event::XaPrepare(XaEnd { xid: xid(name), one_phase });
    let events = [begin, words("START"), map("t", TINY), insert(true), words("END"), last];
    let mut item = None;
    for (event, end) in events.into_iter().zip(from..) {
        assert!(item.is_none(), "rows came out before their transaction was decided");
        item = stream.feed(framed(event, end)).expect("an XA group");
    }
    item
}

#[test]
fn rows_of_a_prepared_transaction_come_at_the_place_of_its_commit() {
    let mut stream = assembler();
    stream.feed(framed(Event::Nothing, 9)).expect("an event");
    let Some(StreamItem::Prepared(prepared, commit)) = feed_group(&mut stream, b'a', false, 10) else { panic!("not prepared") };
    assert_eq!((prepared.xid, prepared.begins.offset, commit.position.file.offset), (xid(b'a'), 9, 15));
    assert!(matches!(feed_group(&mut stream, b'b', false, 20), Some(StreamItem::Prepared(..))));
    let decide = |verb: &str, name| query(&format!("XA {verb} {}", xid(name)));
    let item = stream.feed(framed(decide("COMMIT", b'a'), 30));
    let Ok(Some(StreamItem::Decided { prepared: Some(name), rows, commit })) = item else { panic!("{item:?}") };
    assert_eq!((name, rows.len(), rows[0].at.offset, commit.position.file.offset), (xid(b'a'), 1, 30, 30));
    let item = stream.feed(framed(decide("ROLLBACK", b'b'), 31));
    assert!(matches!(&item, Ok(Some(StreamItem::Decided { rows, .. })) if rows.is_empty()), "{item:?}");
}

#[test]
fn a_transaction_in_one_phase_is_like_any_other() {
    let item = feed_group(&mut assembler(), b'a', true, 10);
    let Some(StreamItem::Decided { prepared: None, rows, .. }) = item else { panic!("{item:?}") };
    assert_eq!((rows.len(), rows[0].at.offset), (1, 15));
}

#[test]
fn the_commit_of_what_is_not_held_stops_and_its_rollback_changes_nothing() {
    let commit = query("XA COMMIT X'61',X'',1");
    assert_eq!(code(assembler().feed(framed(commit, 9))), Some(Code::TransactionUnsupported));
    let rollback = query("XA ROLLBACK X'61',X'',1");
    assert!(matches!(assembler().feed(framed(rollback, 9)), Ok(Some(StreamItem::Commit(_)))));
}

#[test]
fn a_prepared_transaction_that_is_too_large_stops() {
    let mut stream = assembler();
    for event in [query("XA START X'61',X'',1"), map("t", TINY)] {
        assert_eq!(code(stream.feed(framed(event, 9))), None);
    }
    let large = |bytes| Framed { bytes, ..framed(insert(true), 10) };
    assert_eq!(code(stream.feed(large(super::super::hold::LIMIT / 2))), None);
    assert_eq!(code(stream.feed(large(super::super::hold::LIMIT / 2))), Some(Code::TransactionUnsupported));
}

#[test]
fn a_group_that_loses_its_end_stops_the_stream() {
    let begin = || Event::Begin { gtid: None, at_micros: None };
    let rotate = Event::Rotate(FilePosition { file: "b.000002".into(), offset: 4 });
    for (missing, next) in [(vec![begin(), query("BEGIN")], begin()), (vec![begin()], begin()), (vec![query("BEGIN")], rotate)] {
        let mut stream = assembler();
        for event in missing {
            assert_eq!(code(stream.feed(framed(event, 9))), None);
        }
        assert_eq!(code(stream.feed(framed(next, 10))), Some(Code::EventDamaged));
    }
    let mut stream = assembler();
    assert_eq!(code(stream.feed(framed(map("t", TINY), 9))), None);
    assert_eq!(code(stream.feed(framed(insert(true), 10))), Some(Code::EventDamaged), "rows before BEGIN");
}

#[test]
fn a_statement_inside_a_transaction_does_not_end_it() {
    let mut stream = assembler();
    let create = query("CREATE TABLE other.`t` (`id` int) START TRANSACTION");
    for event in [query("BEGIN"), query("DROP TEMPORARY TABLE IF EXISTS `x`"), query("SAVEPOINT `s`")] {
        assert!(matches!(stream.feed(framed(event, 9)), Ok(None)));
    }
    assert!(matches!(stream.feed(framed(Event::Commit, 10)), Ok(Some(StreamItem::Commit(_)))));
    assert!(matches!(stream.feed(framed(create, 11)), Ok(None)), "its rows follow");
    assert!(matches!(stream.feed(framed(Event::Commit, 12)), Ok(Some(StreamItem::Commit(_)))));
}
