//! Does a database that is written to all the time arrive whole? sysbench's `oltp_read_write`, 8
//! threads on 8 tables, runs from before the copy starts until after it has ended.

use std::time::Duration;

use super::pair::{Pair, Route};
use super::rows::assert_equal_checksums;
use super::scale;
use crate::ferry::{Ferry, end_of_binlog};
use crate::lab::{Load, POLL, Run, Sysbench};

pub const TABLES: [&str; 8] = ["sbtest1", "sbtest2", "sbtest3", "sbtest4", "sbtest5", "sbtest6", "sbtest7", "sbtest8"];

/// Longer than any test; each stops it when it has seen enough.
const ENDLESS: Duration = Duration::from_secs(24 * 3600);

/// sysbench on the database `shop`, whose tables it has filled; it is running and has written. `rate` is in transactions per
/// second, as many as possible if it is absent.
pub async fn sysbench(pair: &Pair, rate: Option<u32>) -> Run {
    let load =
        Load { threads: 8, tables: TABLES.len() as u32, table_size: scale::rows(), time: ENDLESS, rate, ..Load::default() };
    let sysbench = Sysbench::new(&pair.source, "shop", &load).await;
    sysbench.prepare().await;
    let before = end_of_binlog(&pair.source).await;
    let mut run = sysbench.start();
    while end_of_binlog(&pair.source).await == before {
        assert!(run.is_running(), "sysbench ended before it wrote");
        tokio::time::sleep(POLL).await;
    }
    run
}

/// Kills sysbench and waits until nothing of it is left; it must have run all the time.
pub async fn stop(mut run: Run, pair: &Pair) {
    assert!(run.is_running(), "sysbench ended before it was stopped");
    drop(run);
    pair.wait_gone("sysbench").await;
}

async fn a_database_under_load_arrives_whole(route: Route) {
    let pair = Pair::start(route).await;
    let run = sysbench(&pair, None).await;
    let mut ferry = Ferry::start(&pair.task(&["shop.*"]));
    let copied = ferry.wait_streaming().await;
    let streamed = |status: &serde_json::Value| status["stream"]["transactions"].as_u64();
    let enough = streamed(&copied).unwrap_or_default() + 500;
    ferry.wait_until("500 transactions after the copy", |status| streamed(status) >= Some(enough)).await;
    stop(run, &pair).await;
    ferry.wait_applied(&pair.source).await;
    assert_equal_checksums(&pair, "shop", &TABLES).await;
    assert_eq!(ferry.terminate().await.0, 0);
    ferry.assert_clean_log();
}

on_every_route! { a_database_under_load_arrives_whole }
