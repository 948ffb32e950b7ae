//! Does a source that no longer has what comes next stop the task, instead of letting it go on after a gap?

use super::pair::{Pair, Route};
use crate::ferry::{Ferry, end_of_binlog};
use crate::lab::Version;

async fn streaming(pair: &Pair) -> Ferry {
    pair.source.exec("CREATE DATABASE shop; CREATE TABLE shop.t (id INT PRIMARY KEY); INSERT INTO shop.t VALUES (1)").await;
    pair.source.exec("FLUSH BINARY LOGS; FLUSH BINARY LOGS").await;
    let mut ferry = Ferry::start(&pair.task(&["shop.*"]));
    ferry.wait_streaming().await;
    pair.source.exec("INSERT INTO shop.t VALUES (2)").await;
    ferry.wait_applied(&pair.source).await;
    ferry
}

async fn assert_lost(pair: &Pair, ferry: &mut Ferry, codes: &[&str]) {
    for _ in 0..2 {
        ferry.restart();
        assert_eq!(ferry.wait_end().await, 65);
        let said = ferry.last_words();
        assert!(codes.iter().any(|code| said.contains(code)) && said.contains("remedy: "), "{said}");
        assert_eq!(pair.target.query_rows::<i32>("SELECT id FROM shop.t").await, [1, 2]);
    }
}

async fn purged_files_are_a_lost_stream(route: Route) {
    let pair = Pair::start(route).await;
    let mut ferry = streaming(&pair).await;
    assert_eq!(ferry.terminate().await.0, 0);
    pair.source.exec("INSERT INTO shop.t VALUES (3); FLUSH BINARY LOGS; INSERT INTO shop.t VALUES (4)").await;
    let (last, _) = end_of_binlog(&pair.source).await;
    pair.source.exec(format!("PURGE BINARY LOGS TO '{last}'")).await;
    assert_lost(&pair, &mut ferry, &["stream-lost"]).await;
}

on_routes! { purged_files_are_a_lost_stream,
    mysql_97: Route::V97,
    mysql_57_without_gtid: Route::V57_TO_V80.without_gtid()
}

async fn a_binlog_that_was_reset_is_a_lost_stream(route: Route) {
    let pair = Pair::start(route).await;
    let mut ferry = streaming(&pair).await;
    assert_eq!(ferry.terminate().await.0, 0);
    let reset = match route.source {
        Version::V97 => "RESET BINARY LOGS AND GTIDS",
        Version::V57 | Version::V80 => "RESET MASTER",
    };
    pair.source.exec(format!("{reset}; INSERT INTO shop.t VALUES (3)")).await;
    let codes = &["stream-lost", "source-changed"];
    assert_lost(&pair, &mut ferry, codes).await;
    // The new history counts further than the old one: its numbers are those of transactions that were applied.
    let more: String = (10..60).map(|id| format!("INSERT INTO shop.t VALUES ({id}); ")).collect();
    pair.source.exec(more).await;
    assert_lost(&pair, &mut ferry, codes).await;
}

on_routes! { a_binlog_that_was_reset_is_a_lost_stream,
    mysql_97: Route::V97,
    mysql_57_without_gtid: Route::V57_TO_V80.without_gtid()
}
