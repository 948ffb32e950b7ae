//! Does an idle source move when it has a heartbeat, and is it only a position on the target?

use super::pair::{Pair, Route};
use crate::ferry::{Ferry, USER, applied};
use crate::lab::count;

const SECTION: &str = "CREATE DATABASE shop; CREATE TABLE shop.t (id INT PRIMARY KEY); INSERT INTO shop.t VALUES (1)";

async fn moves(ferry: &mut Ferry) {
    for _ in 0..2 {
        let before = applied(&ferry.status().await);
        ferry.wait_until("the position moves by itself", |status| applied(status) > before).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idle_source_moves_and_a_target_gets_no_row() {
    let pair = Pair::start(Route::V80).await;
    pair.source.exec(SECTION).await;
    let mut task = pair.task(&["*.*"]);
    // The last key of the section [source].
    task.source.tls += "\nheartbeat = true";
    let mut refused = Ferry::start(&task);
    assert_eq!(refused.wait_end().await, 78, "the account may not write");
    assert!(refused.last_words().contains("the heartbeat on the source"), "{}", refused.last_words());

    pair.source.exec(format!("GRANT CREATE, INSERT, UPDATE ON polarferry.* TO '{USER}'@'%'")).await;
    let mut ferry = Ferry::start(&task);
    ferry.wait_streaming().await;
    moves(&mut ferry).await;
    assert_eq!(count(&pair.source, "polarferry", "heartbeat").await, 1);
    let there: Vec<String> = pair
        .target
        .query_rows(
            "SELECT TABLE_NAME FROM information_schema.TABLES WHERE TABLE_SCHEMA = 'polarferry' AND TABLE_NAME = 'heartbeat'",
        )
        .await;
    assert!(there.is_empty(), "the heartbeat's table is on the target");

    // Before a cutover the source takes no writes: that ends nothing.
    pair.source.exec("SET GLOBAL read_only = ON").await;
    let before = applied(&ferry.wait_applied(&pair.source).await);
    let status =
        ferry.wait_until("it stands still", |status| status["source"]["position"]["pos"] == status["applied"]["pos"]).await;
    assert!(status["retries"]["last"].is_null() && applied(&status) >= before, "{status}");
    pair.source.exec("SET GLOBAL read_only = OFF").await;
    moves(&mut ferry).await;
    assert_eq!(ferry.terminate().await.0, 0);
    ferry.assert_clean_log();
}
