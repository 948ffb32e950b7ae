//! Does a task without GTIDs go on from a place beyond the 4 GiB that the protocol's start can name? Such places are rare: a file
//! only grows beyond its limit of 1 GiB by one transaction that does not end. It takes 10 GB of disk and some minutes, so it is a
//! part of the campaign: `POLARFERRY_TEST_FAR=1`.

use super::pair::{Pair, Route};
use super::rows::assert_equal;
use super::scale;
use crate::ferry::{Ferry, end_of_binlog};

/// The last event of a closed file names the next one: header, offset, `binlog.000001`, checksum.
const ROTATE: u64 = 19 + 8 + 13 + 4;

#[tokio::test(flavor = "multi_thread")]
async fn a_place_beyond_4_gib_is_found_again() {
    if !scale::far() {
        println!("only the small part: POLARFERRY_TEST_FAR is not 1");
    }
    let pair = Pair::start(Route::V80.without_gtid()).await;
    pair.source
        .exec(
            "CREATE DATABASE shop; CREATE TABLE shop.t (id INT PRIMARY KEY); INSERT INTO shop.t VALUES (1); \
             CREATE DATABASE other; CREATE TABLE other.t (b LONGBLOB) ENGINE = BLACKHOLE",
        )
        .await;
    let mut ferry = Ferry::start(&pair.task(&["shop.*"]));
    ferry.wait_streaming().await;
    // Applied twice, it would be drift.
    pair.source.exec("INSERT INTO shop.t VALUES (2)").await;
    ferry.wait_applied(&pair.source).await;
    assert_eq!(ferry.terminate().await.0, 0);

    let (file, _) = end_of_binlog(&pair.source).await;
    let rows = if scale::far() { 90 } else { 1 };
    let large = "SELECT REPEAT('x', 50000000) FROM information_schema.columns";
    pair.source.exec(format!("INSERT INTO other.t {large} LIMIT {rows}; FLUSH BINARY LOGS; INSERT INTO shop.t VALUES (3)")).await;
    let length = std::fs::metadata(pair.source.data().join(&file)).expect("the file").len();
    assert!(!scale::far() || length > u64::from(u32::MAX) + ROTATE, "{length}");

    let place = length - ROTATE;
    for (place, found) in [(place + 1, false), (place, true)] {
        pair.target.exec(format!("UPDATE polarferry.checkpoint SET file = '{file}', position = {place}")).await;
        ferry.restart();
        if found {
            ferry.wait_applied(&pair.source).await;
        } else {
            assert_eq!(ferry.wait_end().await, 65, "{}", ferry.last_words());
        }
    }
    assert_equal(&pair, "shop", &["t"]).await;
    assert_eq!(ferry.terminate().await.0, 0);
}
