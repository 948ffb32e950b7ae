//! What is left when a retry window runs out? The shortest window is a minute, so this takes one.

use std::time::{Duration, Instant};

use super::pair::{Pair, Route};
use super::rows::assert_equal;
use super::scale;
use super::writers::Writers;
use crate::ferry::{Ferry, PATIENCE};
use crate::lab::POLL;
use rand::Rng;
use rand::rngs::StdRng;

const WINDOW: Duration = Duration::from_secs(60);

fn step(random: &mut StdRng) -> Vec<String> {
    vec![format!("INSERT INTO t VALUES ({}, 1) ON DUPLICATE KEY UPDATE n = n + 1", random.random_range(0..1000))]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_window_that_runs_out_ends_with_75_and_nothing_is_lost() {
    let pair = Pair::start(Route::V80).await;
    pair.source.exec("CREATE DATABASE shop; CREATE TABLE shop.t (id INT PRIMARY KEY, n INT)").await;
    let mut ferry = Ferry::start(&pair.task(&["shop.*"]).with("[retry]\nother_window = \"1m\"\n"));
    ferry.wait_streaming().await;
    let writers = Writers::start(&pair.source, "shop", 2, scale::seed(), step);
    ferry.wait_until("changes applied", |status| status["stream"]["transactions"].as_u64() > Some(20)).await;

    let began = Instant::now();
    pair.target.exec("SET GLOBAL super_read_only = ON").await;
    let retrying = ferry.wait_until("a retry", |status| status["retries"]["last"]["side"] == "target").await;
    let retry = &retrying["retries"]["last"];
    assert_eq!(
        (&retry["class"], retry["cause"].as_str().map(|cause| cause.starts_with("target-read-only"))),
        (&"other".into(), Some(true))
    );
    let left = retry["window_ends_at"].as_f64().zip(retrying["updated_at"].as_f64()).map(|(end, now)| end - now);
    assert!(left.is_some_and(|left| (50.0..=60.0).contains(&left)), "{retry}");
    let mut code = None;
    while code.is_none() {
        assert!(began.elapsed() < WINDOW + PATIENCE, "it does not give up");
        tokio::time::sleep(POLL).await;
        code = ferry.ended();
    }
    let took = began.elapsed();
    println!("given up after {took:.1?}");
    assert_eq!(code, Some(75));
    assert!(took >= WINDOW && took < WINDOW + Duration::from_secs(20), "{took:?}");
    let words = ferry.last_words();
    assert!(words.contains("target-read-only") && words.contains("remedy: point [target] at the primary endpoint"), "{words}");

    pair.target.exec("SET GLOBAL super_read_only = OFF; SET GLOBAL read_only = OFF").await;
    ferry.restart();
    ferry.wait_streaming().await;
    assert!(writers.stop().await > 0);
    ferry.wait_applied(&pair.source).await;
    assert_equal(&pair, "shop", &["t"]).await;
    assert_eq!(ferry.terminate().await.0, 0);
}
