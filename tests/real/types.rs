//! Does every value of every type arrive with all its bits, however it travels? The zoo's rows are copied, streamed, changed
//! while they are copied, and carried by a daemon that is killed and started again, between servers of all versions.

use std::collections::BTreeMap;

use super::pair::{Pair, Route};
use super::rows::{cells, quoted};
use super::zoo::{self, Column, DATABASE, SESSION, TABLE};
use crate::ferry::{Ferry, Task, rows_copied};
use crate::lab::Version;

const MODES: [Mode; 4] = [Mode::Copy, Mode::Stream, Mode::CopyWhileStream, Mode::Restart];

/// How the values travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    Copy,
    Stream,
    CopyWhileStream,
    Restart,
}

/// The zoo's rows stand this often in the table, so that its copy takes long enough for something to happen.
const HERDS: usize = 8;
/// Between the first ids of two herds; `zoo::changes` works on the first one.
const HERD: usize = 20_000;

/// A copy that takes some seconds.
const SLOWLY: &str = "[copy]\nconnections = 1\nchunk_rows = 10\n[throttle]\ncopy_rows_per_second = 15\n";

fn fill(database: &str, columns: &[&Column], herds: usize) -> String {
    let mut sql = format!("{SESSION}; USE {database}");
    for herd in 0..herds {
        for row in 0..zoo::rows_of(columns) {
            sql += "; ";
            sql += &zoo::insert(columns, row, herd * HERD + row);
        }
    }
    sql
}

/// Carries the zoo in this way; what ends up on the target is for the caller to look at.
async fn carry(pair: &Pair, mode: Mode, columns: &[&Column]) {
    let name = format!("{DATABASE} {mode:?}");
    let database = quoted(&name);
    let source = &pair.source;
    source.exec(format!("SET NAMES utf8mb4; CREATE DATABASE {database}; USE {database}; {}", zoo::create(columns))).await;
    let task = Task { name: format!("{mode:?}"), ..pair.task(&[&format!("{database}.*")]) };
    let changes = format!("{SESSION}; USE {database}; {}", zoo::changes(columns));
    let mut ferry;
    match mode {
        Mode::Copy => {
            source.exec(fill(&database, columns, 1)).await;
            source.exec(changes).await;
            ferry = Ferry::start(&task);
        }
        Mode::Stream => {
            ferry = Ferry::start(&task);
            ferry.wait_streaming().await;
            source.exec(fill(&database, columns, 1)).await;
            source.exec(changes).await;
        }
        Mode::CopyWhileStream | Mode::Restart => {
            source.exec(fill(&database, columns, HERDS)).await;
            ferry = Ferry::start(&task.with(SLOWLY));
            ferry.wait_until("some rows copied", |status| rows_copied(status) > 0).await;
            let kill = |ferry: &mut Ferry| {
                if mode == Mode::Restart {
                    ferry.restart()
                }
            };
            kill(&mut ferry);
            source.exec(changes).await;
            let status = ferry.wait_until("an answer", |_| true).await;
            assert_ne!(status["phase"], "stream", "the changes were to meet the copy");
            kill(&mut ferry);
            ferry.wait_streaming().await;
            source.exec(format!("{SESSION}; USE {database}; DELETE FROM {0} WHERE id % 3 = 0", quoted(TABLE))).await;
            kill(&mut ferry);
        }
    }
    ferry.wait_streaming().await;
    ferry.wait_applied(source).await;
    assert_eq!(ferry.terminate().await.0, 0);
    ferry.assert_clean_log();
}

/// A column's verdict for each mode: `=`, or `#` where a value differs.
type Verdicts = BTreeMap<String, String>;

async fn verdicts(route: Route) -> Verdicts {
    let columns = zoo::columns(route.source, route.target);
    // Servers that live in different time zones and have different ideas of text.
    let options = route.source_options().arg("--default-time-zone=+05:30").arg("--character-set-server=latin1");
    let pair = Pair::start_with(route, options, false).await;
    let mut verdicts = Verdicts::new();
    for mode in MODES {
        carry(&pair, mode, &columns).await;
        let database = format!("{DATABASE} {mode:?}");
        let (ours, theirs) = tokio::join!(cells(&pair.source, &database, TABLE), cells(&pair.target, &database, TABLE));
        assert_eq!(ours.len(), theirs.len(), "{route:?} {mode:?}: columns");
        for ((name, source), (_, target)) in ours.into_iter().zip(theirs) {
            assert!(source.len() >= 5, "{route:?} {mode:?}: too few rows to tell anything");
            verdicts.entry(name).or_default().push(if source == target { '=' } else { '#' });
        }
    }
    verdicts
}

const ROUTES: [(&str, Route); 7] = [
    ("5.7-5.7", Route::between(Version::V57, Version::V57)),
    ("5.7-8.0", Route::V57_TO_V80.without_gtid()),
    ("5.7-9.7", Route::between(Version::V57, Version::V97)),
    ("8.0-8.0", Route::V80),
    ("8.0-9.7", Route::between(Version::V80, Version::V97).without_gtid()),
    ("9.7-8.0", Route::between(Version::V97, Version::V80)),
    ("9.7-9.7", Route::V97),
];

/// Prints the table of types and ways to travel, and demands that every cell is equal.
#[tokio::test(flavor = "multi_thread")]
async fn every_value_of_every_type_arrives_however_it_travels() {
    let mut table: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (at, (_, route)) in ROUTES.into_iter().enumerate() {
        for (column, modes) in verdicts(route).await {
            let line = table.entry(column).or_insert_with(|| vec!["    ".to_owned(); ROUTES.len()]);
            line[at] = modes;
        }
    }
    let heads: Vec<&str> = ROUTES.iter().map(|(name, _)| *name).collect();
    println!("each route: copied, streamed, changed while copied, killed and resumed\n{:34}{}", "", heads.join(" "));
    for (column, modes) in &table {
        println!("{column:34.34}{}", modes.iter().map(|modes| format!("{modes:8}")).collect::<String>());
    }
    let wrong: Vec<&String> = table.iter().filter(|(_, modes)| modes.iter().any(|m| m.contains('#'))).map(|(c, _)| c).collect();
    assert!(wrong.is_empty(), "columns that differ: {wrong:?}");
}

/// SQL values inside a document have no JSON text of their own.
const DOCUMENT: &str = "JSON_OBJECT('time', CAST('-12:34:56.789' AS TIME(3)), 'date', CAST('2024-02-29' AS DATE), \
    'datetime', CAST('2024-02-29 01:02:03.000004' AS DATETIME(6)), 'decimal', CAST(1.50 AS DECIMAL(10,2)), \
    'double', 1.5e0, 'whole', 1.0e0, 'integer', 7)";

/// The type of each member, and each document as text, in which 5.7 writes the DOUBLE 1.0 as 1.
const KINDS: &str = "SELECT CONCAT_WS(' ', id, JSON_TYPE(d->'$.time'), JSON_TYPE(d->'$.date'), JSON_TYPE(d->'$.datetime'), \
    JSON_TYPE(d->'$.decimal'), JSON_TYPE(d->'$.double'), JSON_TYPE(d->'$.whole'), \
    JSON_TYPE(d->'$.integer'), JSON_REMOVE(d, '$.whole')) FROM shop.t ORDER BY id";

async fn sql_values_in_streamed_documents_keep_their_types(route: Route) {
    let pair = Pair::start(route).await;
    pair.source.exec("CREATE DATABASE shop; CREATE TABLE shop.t (id INT PRIMARY KEY, d JSON)").await;
    let mut ferry = Ferry::start(&pair.task(&["shop.*"]));
    ferry.wait_streaming().await;
    pair.source
        .exec(format!(
            "INSERT INTO shop.t VALUES (1, {DOCUMENT}), (2, {DOCUMENT}), (3, '[]'); \
             UPDATE shop.t SET d = JSON_SET(d, '$.more', 1) WHERE id = 2; UPDATE shop.t SET d = {DOCUMENT} WHERE id = 3"
        ))
        .await;
    ferry.wait_applied(&pair.source).await;
    let source: Vec<String> = pair.source.query_rows(KINDS).await;
    let target: Vec<String> = pair.target.query_rows(KINDS).await;
    assert_eq!(source, target);
    assert_eq!(source.len(), 3);
    assert_eq!(ferry.terminate().await.0, 0);
    ferry.assert_clean_log();
}

on_routes! { sql_values_in_streamed_documents_keep_their_types,
    mysql_97: Route::V97,
    mysql_80: Route::V80,
    mysql_57_to_80_without_gtid: Route::V57_TO_V80.without_gtid()
}
