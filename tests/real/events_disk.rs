//! Is a binlog file that was damaged on the source's disk noticed? The source itself does not verify what it sends. And what of an
//! event that a later version may bring?

use std::fs;
use std::path::PathBuf;

use super::pair::{Pair, Route};
use super::rows::assert_equal;
use crate::ferry::{Ferry, end_of_binlog};

const DATA: i32 = 65;
const ROWS_QUERY: u8 = 29;
const TABLE_MAP: u8 = 19;
const HEARTBEAT: u8 = 27;
const INSERTED: u8 = 30;
const UPDATED: u8 = 31;

/// A closed binlog file, and where its events begin.
struct File {
    path: PathBuf,
    bytes: Vec<u8>,
}

impl File {
    fn read(path: PathBuf) -> Self {
        let bytes = fs::read(&path).expect("a binlog file");
        Self { path, bytes }
    }

    /// The last event of a type, header and all.
    fn last(&self, kind: u8) -> usize {
        let (mut at, mut found) = (4, None);
        while at + 19 <= self.bytes.len() {
            found = if self.bytes[at + 4] == kind { Some(at) } else { found };
            at += u32::from_le_bytes(self.bytes[at + 9..at + 13].try_into().expect("four bytes")) as usize;
        }
        found.unwrap_or_else(|| panic!("no event of type {kind} in {:?}", self.path))
    }

    /// The file with one byte changed.
    fn write(&self, at: usize, value: u8) {
        let mut bytes = self.bytes.clone();
        bytes[at] = value;
        fs::write(&self.path, bytes).expect("the file is changed");
    }

    fn restore(&self) {
        fs::write(&self.path, &self.bytes).expect("the file is restored");
    }
}

/// A task that has stopped gracefully, and the file with what came after.
async fn stopped(pair: &Pair, writes: &str) -> (Ferry, File) {
    pair.source
        .exec("CREATE DATABASE shop; CREATE TABLE shop.t (id INT PRIMARY KEY, s VARCHAR(50)); INSERT INTO shop.t VALUES (1, 'a')")
        .await;
    let mut ferry = Ferry::start(&pair.task(&["shop.*"]));
    ferry.wait_streaming().await;
    pair.source.exec("FLUSH BINARY LOGS").await;
    ferry.wait_applied(&pair.source).await;
    assert_eq!(ferry.terminate().await.0, 0);
    let (file, _) = end_of_binlog(&pair.source).await;
    pair.source.exec(format!("{writes}; FLUSH BINARY LOGS")).await;
    (ferry, File::read(pair.source.data().join(file)))
}

async fn assert_stops(ferry: &mut Ferry, code: &str, what: &str) {
    ferry.restart();
    assert_eq!(ferry.wait_end().await, DATA, "{what}");
    let said = ferry.last_words();
    assert!(said.contains(code) && said.contains("binlog.") && said.contains("remedy: "), "{what}: {said}");
}

async fn a_damaged_file_stops_the_stream_where_the_damage_is(route: Route) {
    let pair = Pair::start(route).await;
    let writes = "INSERT INTO shop.t VALUES (2, 'inserted'); UPDATE shop.t SET s = 'updated' WHERE id = 1";
    let (mut ferry, file) = stopped(&pair, writes).await;
    let (inserted, updated, map) = (file.last(INSERTED), file.last(UPDATED), file.last(TABLE_MAP));
    for (what, at, value) in [
        ("a row", inserted + 35, file.bytes[inserted + 35] ^ 1),
        ("the name of a table", map + 30, file.bytes[map + 30] ^ 4),
        ("the length of a name", map + 27, 0xff),
        ("a type that changes rows into one that does not", updated + 4, HEARTBEAT),
        ("a flag that says that there is no place", updated + 17, file.bytes[updated + 17] ^ 0x20),
    ] {
        file.write(at, value);
        assert_stops(&mut ferry, "event-damaged", what).await;
        let rows: Vec<(i32, String)> = pair.target.query_rows("SELECT * FROM shop.t WHERE id = 1").await;
        assert_eq!(rows, [(1, "a".to_owned())], "{what}");
    }
    file.restore();
    ferry.restart();
    ferry.wait_applied(&pair.source).await;
    assert_equal(&pair, "shop", &["t"]).await;
    assert_eq!(ferry.terminate().await.0, 0);
}

on_routes! { a_damaged_file_stops_the_stream_where_the_damage_is,
    mysql_97: Route::V97,
    mysql_57_without_gtid: Route::V57_TO_V80.without_gtid()
}

/// Without checksums, so that a changed type is all that there is.
async fn an_unknown_event_stops_the_stream_unless_it_may_be_ignored(route: Route) {
    let pair = Pair::start_with(route, route.source_options().arg("--binlog-checksum=NONE"), false).await;
    let writes = "SET SESSION binlog_rows_query_log_events = ON; INSERT INTO shop.t VALUES (2, 'b'), (3, 'c')";
    let (mut ferry, file) = stopped(&pair, writes).await;
    file.write(file.last(INSERTED) + 4, 99);
    assert_stops(&mut ferry, "event-unknown", "rows of an unknown kind").await;
    assert_eq!(pair.target.query_rows::<i32>("SELECT id FROM shop.t").await, [1]);
    // The source says of this one that it may be ignored.
    file.write(file.last(ROWS_QUERY) + 4, 99);
    ferry.restart();
    ferry.wait_applied(&pair.source).await;
    assert_equal(&pair, "shop", &["t"]).await;
    assert_eq!(ferry.terminate().await.0, 0);
}

on_routes! { an_unknown_event_stops_the_stream_unless_it_may_be_ignored,
    mysql_97: Route::V97,
    mysql_57_without_gtid: Route::V57_TO_V80.without_gtid()
}

/// After a crash the source lacks the end of a file that we have read, and gives the numbers of what it has lost to what comes then.
async fn a_file_that_has_lost_its_end_stops_the_task(route: Route) {
    let pair = Pair::start(route).await;
    let (mut ferry, _) = stopped(&pair, "DO 0").await;
    ferry.restart();
    pair.source.exec("INSERT INTO shop.t VALUES (2, 'read')").await;
    ferry.wait_applied(&pair.source).await;
    assert_eq!(ferry.terminate().await.0, 0);
    let (open, applied) = end_of_binlog(&pair.source).await;
    pair.source.exec("FLUSH BINARY LOGS; INSERT INTO shop.t VALUES (3, 'after the crash')").await;
    let open = pair.source.data().join(open);
    fs::OpenOptions::new().write(true).open(&open).and_then(|file| file.set_len(applied - 1)).expect("the file is cut");
    assert_stops(&mut ferry, "source-changed", "a file that became shorter").await;
    assert_eq!(pair.target.query_rows::<i32>("SELECT COUNT(*) FROM shop.t").await, [2]);
}

on_routes! { a_file_that_has_lost_its_end_stops_the_task,
    mysql_97: Route::V97,
    mysql_57_without_gtid: Route::V57_TO_V80.without_gtid()
}
