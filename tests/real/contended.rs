//! Somebody else holds rows of the target: a batch that loses a deadlock, or waits for a lock in vain, is written again as a whole.

use std::time::{Duration, Instant};

use mysql_async::Conn;
use mysql_async::prelude::Queryable;

use super::pair::{Pair, Route};
use super::rows::assert_equal;
use crate::ferry::{Ferry, PATIENCE};
use crate::lab::Server;

/// The server renews what it shows of its transactions only when nobody has looked for a tenth of a second.
const LOOK: Duration = Duration::from_millis(200);

/// Waits until a transaction on the server waits for a lock.
async fn wait_for_a_lock(server: &Server) {
    let deadline = Instant::now() + PATIENCE;
    let waiting = "SELECT COUNT(*) FROM information_schema.INNODB_TRX WHERE trx_state = 'LOCK WAIT'";
    while server.query_rows::<u64>(waiting).await != [1] {
        assert!(Instant::now() < deadline, "nobody waits for a lock");
        tokio::time::sleep(LOOK).await;
    }
}

async fn hold(target: &Server, id: u32) -> Conn {
    let mut holder = target.root().await;
    holder.query_drop(format!("BEGIN; SELECT * FROM shop.t WHERE id = {id} FOR UPDATE")).await.expect("a lock");
    holder
}

async fn a_batch_is_written_again_as_a_whole(route: Route) {
    let pair = Pair::start(route).await;
    pair.source
        .exec(
            "CREATE DATABASE shop; CREATE TABLE shop.t (id INT PRIMARY KEY, n INT); INSERT INTO shop.t VALUES (1,0),(2,0),(3,0)",
        )
        .await;
    let mut ferry = Ferry::start(&pair.task(&["shop.*"]));
    ferry.wait_streaming().await;
    let retries = |status: &serde_json::Value| status["retries"]["target"].as_u64();
    let change = "USE shop; BEGIN; UPDATE t SET n = n + 1 WHERE id = 1; UPDATE t SET n = n + 1 WHERE id = 2; \
                  INSERT INTO t SELECT MAX(id) + 1, 0 FROM t; COMMIT";

    // The lighter of two transactions in a deadlock is rolled back: the other one has written much more.
    pair.target.exec("CREATE DATABASE other; CREATE TABLE other.heavy (id INT PRIMARY KEY)").await;
    let rows: Vec<String> = (0..2000).map(|id| format!("({id})")).collect();
    let mut holder = hold(&pair.target, 2).await;
    holder.query_drop(format!("INSERT INTO other.heavy VALUES {}", rows.join(","))).await.expect("rows");
    pair.source.exec(change).await;
    wait_for_a_lock(&pair.target).await;
    holder.query_drop("SELECT * FROM shop.t WHERE id = 1 FOR UPDATE").await.expect("the other one has lost");
    ferry.wait_until("a retry", |status| retries(status) == Some(1)).await;
    holder.query_drop("ROLLBACK").await.expect("an end");
    ferry.wait_applied(&pair.source).await;
    assert_equal(&pair, "shop", &["t"]).await;

    // Longer than a session of ours waits for a lock.
    let mut holder = hold(&pair.target, 2).await;
    pair.source.exec(change).await;
    ferry.wait_until("another retry", |status| retries(status) >= Some(2)).await;
    holder.query_drop("ROLLBACK").await.expect("an end");
    ferry.wait_applied(&pair.source).await;
    assert_equal(&pair, "shop", &["t"]).await;
    assert_eq!(ferry.terminate().await.0, 0);
    ferry.assert_clean_log();
}

on_routes! { a_batch_is_written_again_as_a_whole,
    mysql_97: Route::V97,
    mysql_57_to_80_without_gtid: Route::V57_TO_V80.without_gtid()
}
