//! Does it get along with others who read the same binlog?

use mysql_async::{BinlogStreamRequest, Conn};

use super::pair::{Pair, Route};
use crate::ferry::Ferry;
use crate::lab::{count, unique_id};

/// Many tools register as replicas and name no UUID. 5.7 and 8.0 then list them in a row that is too short.
async fn another_tool_on_the_binlog_is_no_obstacle(route: Route) {
    let pair = Pair::start(route).await;
    pair.source.exec("CREATE DATABASE shop; CREATE TABLE shop.t (id INT PRIMARY KEY); INSERT INTO shop.t VALUES (1)").await;
    let conn = Conn::new(pair.source.opts("root", "", None)).await.expect("the other tool connects");
    let request = BinlogStreamRequest::new(unique_id()).with_filename(b"binlog.000001".as_slice()).with_pos(4);
    let other = conn.get_binlog_stream(request).await.expect("the other tool reads");
    let mut ferry = Ferry::start(&pair.task(&["shop.*"]));
    ferry.wait_streaming().await;
    pair.source.exec("INSERT INTO shop.t VALUES (2)").await;
    ferry.wait_applied(&pair.source).await;
    assert_eq!(count(&pair.target, "shop", "t").await, 2);
    assert_eq!(ferry.terminate().await.0, 0);
    ferry.assert_clean_log();
    drop(other);
}

/// Each says so.
#[tokio::test(flavor = "multi_thread")]
async fn tasks_that_share_a_target_know_of_each_other() {
    let pair = Pair::start(Route::V80).await;
    pair.source
        .exec("CREATE DATABASE shop; CREATE TABLE shop.a (id INT PRIMARY KEY); CREATE TABLE shop.b (id INT PRIMARY KEY)")
        .await;
    let mut first = Ferry::start(&pair.task(&["shop.a"]));
    let alone = first.wait_streaming().await;
    assert_eq!(alone["neighbours"], serde_json::json!([]));
    let mut task = pair.task(&["shop.b"]);
    task.name = "another".to_owned();
    let mut second = Ferry::start(&task);
    let status = second.wait_streaming().await;
    assert_eq!(status["neighbours"], serde_json::json!(["voyage"]));
    assert_eq!(first.terminate().await.0, 0);
    first.restart();
    let status = first.wait_streaming().await;
    assert_eq!(status["neighbours"], serde_json::json!(["another"]));
    for ferry in [&mut first, &mut second] {
        assert_eq!(ferry.terminate().await.0, 0);
        ferry.assert_clean_log();
    }
}

on_routes! { another_tool_on_the_binlog_is_no_obstacle,
    mysql_97: Route::V97,
    mysql_80: Route::V80,
    mysql_57_without_gtid: Route::V57_TO_V80.without_gtid()
}
