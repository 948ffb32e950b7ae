//! Does a daemon that is killed at any moment go on without losing or doubling a row? It is killed
//! half of the times while it copies and half while it streams, under load, and started again.
//!
//! Beside sysbench's tables there is one without a key, where a row that came twice would stay.

use std::time::Duration;

use rand::Rng;
use rand::rngs::StdRng;

use super::load::{self, TABLES};
use super::pair::{Pair, Route};
use super::rows::{assert_equal, assert_equal_checksums};
use super::scale;
use super::writers::Writers;
use crate::ferry::{Ferry, rows_copied};

/// Small chunks, so that there are many moments in the copy.
const SECTIONS: &str = "[copy]\nconnections = 2\nchunk_rows = 100\nchunk_bytes = \"64KiB\"\n";

const KEYLESS: &str = "CREATE TABLE shop.notes (kind INT, body VARCHAR(20), price DOUBLE, rate FLOAT, doc JSON)";

async fn a_killed_daemon_neither_loses_nor_doubles_a_row(route: Route) {
    let seed = scale::seed();
    let pair = Pair::start_with_locks(route).await;
    let run = load::sysbench(&pair, scale::rate()).await;
    pair.source.exec(KEYLESS).await;
    let mut random = scale::random(seed, u64::MAX);
    for _ in 0..200 {
        pair.source.exec(format!("USE shop; {}", insert(&mut random))).await;
    }
    let notes = Writers::start(&pair.source, "shop", 2, seed, |random| vec![note(random)]);

    let mut ferry = Ferry::start(&pair.task(&["shop.*"]).with(SECTIONS));
    let kills = scale::kills();
    let (mut in_copy, mut copied) = (0, 0);
    for _ in 0..kills.div_ceil(2) {
        let status = ferry
            .wait_until("more rows copied", |status| {
                status["phase"] == "stream" || (status["phase"] == "copy" && rows_copied(status) > copied)
            })
            .await;
        copied = rows_copied(&status);
        in_copy += u32::from(status["phase"] == "copy");
        kill_soon(&mut ferry, &mut random, Duration::from_millis(100)).await;
    }
    for _ in 0..kills / 2 {
        ferry.wait_streaming().await;
        kill_soon(&mut ferry, &mut random, Duration::from_millis(1500)).await;
    }
    println!("{kills} kills, {in_copy} of them in the copy");
    assert!(in_copy > 0, "the copy was over before the first kill");

    ferry.wait_streaming().await;
    assert!(notes.stop().await > 0);
    load::stop(run, &pair).await;
    ferry.wait_applied(&pair.source).await;
    assert_equal(&pair, "shop", &["notes"]).await;
    assert_equal_checksums(&pair, "shop", &TABLES).await;
    assert_eq!(ferry.terminate().await.0, 0);
    ferry.assert_clean_log();
}

/// Kills the daemon at a random moment and starts it again. This sleep waits for nothing: it *is*
/// the random moment.
async fn kill_soon(ferry: &mut Ferry, random: &mut StdRng, within: Duration) {
    tokio::time::sleep(random.random_range(Duration::ZERO..within)).await;
    ferry.restart();
}

/// One change to the table without a key. Few values, so that many rows are equal; few rows on
/// average, since each change looks at all of them.
fn note(random: &mut StdRng) -> String {
    let kind = random.random_range(0..20);
    let some = random.random_range(1..4);
    match random.random_range(0..10) {
        0..4 => insert(random),
        4 => format!("DELETE FROM notes WHERE kind = {kind} LIMIT {some}"),
        5 => format!("DELETE FROM notes WHERE kind = {kind} AND body = '{}'", body(random)),
        6 => format!("UPDATE notes SET body = '{}' WHERE kind = {kind} LIMIT {some}", body(random)),
        7 => format!("UPDATE notes SET price = price * 3, rate = rate / 3 WHERE kind = {kind} LIMIT {some}"),
        8 => format!("UPDATE notes SET kind = NULL WHERE kind = {kind} LIMIT 1"),
        _ => "DELETE FROM notes WHERE kind IS NULL LIMIT 2".to_owned(),
    }
}

fn insert(random: &mut StdRng) -> String {
    let kind = random.random_range(0..20);
    let (price, rate) = (random.random_range(0..4), random.random_range(0..3));
    let row = format!("({kind}, '{}', {price}e0 / 3, {rate}e0 / 7, '{{\"n\": [{rate}, 0.1]}}')", body(random));
    let rows = vec![row; random.random_range(1..4)];
    format!("INSERT INTO notes VALUES {}", rows.join(", "))
}

/// Some differ in case only, which the collation does not see.
fn body(random: &mut StdRng) -> &'static str {
    ["a", "A", "b ", "b", "", "ünï"][random.random_range(0..6)]
}

/// The routes of one test: the one that every change runs on, or all three.
fn routes(usual: Route, gtid: bool) -> Vec<Route> {
    if !scale::all_pairs() {
        return vec![usual];
    }
    [Route::V97, Route::V80, Route::V57_TO_V80].map(|route| Route { gtid, ..route }).to_vec()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_daemon_goes_on_exactly_by_gtid() {
    for route in routes(Route::V97, true) {
        println!("{route:?}");
        a_killed_daemon_neither_loses_nor_doubles_a_row(route).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_daemon_goes_on_exactly_by_file_position() {
    for route in routes(Route::V57_TO_V80.without_gtid(), false) {
        println!("{route:?}");
        a_killed_daemon_neither_loses_nor_doubles_a_row(route).await;
    }
}
