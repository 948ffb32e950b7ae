//! Does it stop when it is told to, and go on from there?

use std::time::Duration;

use super::load::{self, TABLES};
use super::pair::{Pair, Route};
use super::rows::assert_equal_checksums;
use super::scale;
use crate::ferry::{Ferry, rows_copied};
use crate::lab::count;

/// What the contract promises for a graceful stop.
const IN_TIME: Duration = Duration::from_secs(10);

/// What "at once" means on a busy machine.
const AT_ONCE: Duration = Duration::from_secs(1);

/// A slow copy of small chunks, so that it is met while it goes on.
const SECTIONS: &str = "[copy]\nconnections = 2\nchunk_rows = 100\nchunk_bytes = \"64KiB\"\n\
    [throttle]\ncopy_rows_per_second = 10000\n";

async fn a_stop_under_load_takes_less_than_ten_seconds_and_loses_nothing(route: Route) {
    let pair = Pair::start(route).await;
    let run = load::sysbench(&pair, scale::rate()).await;
    let mut ferry = Ferry::start(&pair.task(&["shop.*"]).with(SECTIONS));
    let mut copied = 0;
    for signal in ["TERM", "INT"] {
        let status = ferry
            .wait_until("more rows copied", |status| {
                status["phase"] == "stream" || (status["phase"] == "copy" && rows_copied(status) > copied)
            })
            .await;
        assert_eq!(status["phase"], "copy", "the copy was over before SIG{signal}");
        copied = rows_copied(&status);
        assert_graceful("copying", signal, ferry.stop_by(signal).await);
        ferry.restart();
    }
    for signal in ["TERM", "INT"] {
        ferry.wait_streaming().await;
        let some = |status: &serde_json::Value| status["stream"]["transactions"].as_u64() >= Some(100);
        ferry.wait_until("100 transactions applied", some).await;
        assert_graceful("streaming", signal, ferry.stop_by(signal).await);
        ferry.restart();
    }
    ferry.wait_streaming().await;
    load::stop(run, &pair).await;
    ferry.wait_applied(&pair.source).await;
    assert_equal_checksums(&pair, "shop", &TABLES).await;
    assert_graceful("idle", "TERM", ferry.terminate().await);
    ferry.assert_clean_log();
}

fn assert_graceful(when: &str, signal: &str, (code, took): (i32, Duration)) {
    assert_eq!(code, 0, "SIG{signal} while {when}");
    assert!(took < IN_TIME, "SIG{signal} while {when} took {took:?}");
}

on_routes! { a_stop_under_load_takes_less_than_ten_seconds_and_loses_nothing,
    with_gtid: Route::V80,
    without_gtid: Route::V80.without_gtid()
}

/// A daemon with a change in hand and a target that does not answer: the batch that a graceful stop
/// waits for does not end.
async fn held_up(pair: &Pair) -> Ferry {
    pair.source.exec("CREATE DATABASE shop; CREATE TABLE shop.t (id INT PRIMARY KEY)").await;
    let mut ferry = Ferry::start(&pair.task(&["shop.*"]));
    ferry.wait_streaming().await;
    pair.target.suspend();
    pair.source.exec("INSERT INTO shop.t VALUES (1)").await;
    ferry.wait_until("the change is in hand", |status| status["backlog_transactions"].as_u64() > Some(0)).await;
    ferry
}

async fn goes_on(mut ferry: Ferry, pair: &Pair) {
    pair.target.resume();
    ferry.restart();
    ferry.wait_streaming().await;
    ferry.wait_applied(&pair.source).await;
    assert_eq!(count(&pair.target, "shop", "t").await, 1);
    assert_eq!(ferry.terminate().await.0, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_signal_ends_it_at_once() {
    let pair = Pair::start(Route::V80).await;
    let mut ferry = held_up(&pair).await;
    ferry.signal("TERM");
    // Another one, since two of the same may arrive as one; the lower number may arrive first.
    let (code, took) = ferry.stop_by("INT").await;
    assert!([128 + 15, 128 + 2].contains(&code), "{code}");
    assert!(took < AT_ONCE, "the second signal took {took:?}");
    goes_on(ferry, &pair).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_target_that_does_not_answer_cannot_hold_up_a_stop() {
    let pair = Pair::start(Route::V80).await;
    let mut ferry = held_up(&pair).await;
    let (_, took) = ferry.terminate().await;
    assert!(took < IN_TIME, "the stop took {took:?}");
    goes_on(ferry, &pair).await;
}
