//! Can two daemons write for one task? The second takes over, the first notices at its next write.

use super::load::{self, TABLES};
use super::pair::{Pair, Route};
use super::rows::assert_equal_checksums;
use super::scale;
use crate::ferry::Ferry;
use crate::lab::unique_id;

const FENCED: i32 = 77;

async fn a_second_daemon_on_the_same_task_fences_the_first(route: Route) {
    let pair = Pair::start(route).await;
    let run = load::sysbench(&pair, scale::rate()).await;
    let mut task = pair.task(&["shop.*"]);
    let mut first = Ferry::start(&task);
    first.wait_streaming().await;

    // Another machine: the same task, another replica.
    task.server_id = unique_id();
    let mut second = Ferry::start(&task);
    assert_eq!(first.wait_end().await, FENCED);
    let said = first.last_words();
    assert!(said.contains("fenced") && said.contains("remedy: "), "{said}");

    second.wait_streaming().await;
    load::stop(run, &pair).await;
    second.wait_applied(&pair.source).await;
    assert_equal_checksums(&pair, "shop", &TABLES).await;
    assert_eq!(second.terminate().await.0, 0);
    second.assert_clean_log();
}

on_routes! { a_second_daemon_on_the_same_task_fences_the_first,
    with_gtid: Route::V97,
    without_gtid: Route::V57_TO_V80.without_gtid()
}

/// The first is still copying: its chunks are fenced as its batches are.
#[tokio::test(flavor = "multi_thread")]
async fn a_second_daemon_fences_a_copy_and_goes_on_with_it() {
    let pair = Pair::start(Route::V80).await;
    let run = load::sysbench(&pair, scale::rate()).await;
    let sections = "[copy]\nchunk_rows = 100\nchunk_bytes = \"64KiB\"\n[throttle]\ncopy_rows_per_second = 5000\n";
    let mut task = pair.task(&["shop.*"]).with(sections);
    let mut first = Ferry::start(&task);
    let status = first.wait_until("rows copied", |status| crate::ferry::rows_copied(status) > 0).await;
    assert_eq!(status["phase"], "copy");
    task.server_id = unique_id();
    let mut second = Ferry::start(&task);
    assert_eq!(first.wait_end().await, FENCED);
    second.wait_streaming().await;
    load::stop(run, &pair).await;
    second.wait_applied(&pair.source).await;
    assert_equal_checksums(&pair, "shop", &TABLES).await;
    assert_eq!(second.terminate().await.0, 0);
    second.assert_clean_log();
}
