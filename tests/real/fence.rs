//! Can two daemons write for one task? The second takes over, the first notices at its next write.

use super::load::{self, TABLES};
use super::pair::{Pair, Route};
use super::rows::assert_equal_checksums;
use super::scale;
use crate::ferry::{Ferry, PASSWORD_AT_TARGET, USER};
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

/// The source ends the first one's stream when a replica of the same number comes; that is no mistake in the configuration.
#[tokio::test(flavor = "multi_thread")]
async fn a_second_daemon_with_the_same_configuration_fences_the_first_too() {
    let pair = Pair::start(Route::V80).await;
    pair.source.exec("CREATE DATABASE shop; CREATE TABLE shop.t (id INT PRIMARY KEY)").await;
    let task = pair.task(&["shop.*"]);
    let mut first = Ferry::start(&task);
    first.wait_streaming().await;
    let mut second = Ferry::start(&task);
    assert_eq!(first.wait_end().await, FENCED, "{}", first.last_words());
    second.wait_streaming().await;
    pair.source.exec("INSERT INTO shop.t VALUES (1)").await;
    second.wait_applied(&pair.source).await;
    assert_eq!(second.terminate().await.0, 0);
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

/// Both find no checkpoint; the one that comes second must not take it for a row that the target refuses.
#[tokio::test(flavor = "multi_thread")]
async fn of_two_daemons_that_begin_a_task_at_once_one_is_fenced() {
    use polarferry::conn::{Endpoint, Purpose, Tls, TlsMode};
    use polarferry::{checkpoint::Checkpoint, fault::Code, model::phase::Phase, model::position::Position, target};
    let pair = Pair::start(Route::V80).await;
    let endpoint = Endpoint {
        host: "127.0.0.1".to_owned(),
        port: pair.target.port(),
        user: USER.to_owned(),
        password: PASSWORD_AT_TARGET.into(),
        tls: Tls { mode: TlsMode::Disabled, ca: None },
    };
    let mut conn = target::connect(&endpoint, Purpose::Catalog).await.expect("a session");
    target::state::create(&mut conn).await.expect("our tables");
    let checkpoint = Checkpoint {
        epoch: 1,
        sequence: 0,
        phase: Phase::Copy,
        source_uuid: "u".to_owned(),
        position: Position::default(),
        committed_at_micros: 0,
    };
    assert_eq!(target::state::begin(&mut conn, "voyage", &checkpoint, &[]).await, Ok(()));
    let second = target::state::begin(&mut conn, "voyage", &checkpoint, &[]).await;
    assert_eq!(second.map_err(|fault| fault.code), Err(Code::Fenced));
}
