//! Values as long as a packet, and longer than the target's: see `target::long`.

use mysql_async::prelude::Queryable;
use rand::RngCore;

use super::{Pair, Route};
use crate::ferry::Ferry;
use crate::lab::{Options, Server};
use crate::real::scale;

const MIB: usize = 1024 * 1024;
/// Less than twice this, which is what a statement with 64 MiB of zero bytes is long.
const TARGET_PACKET: usize = 80 * MIB;

/// With logs that hold such a row.
fn roomy(options: Options, packet: usize) -> Options {
    let options = options.arg(format!("--max-allowed-packet={packet}"));
    let options = options.arg("--loose-innodb-log-file-size=1G").arg("--loose-innodb-redo-log-capacity=2G");
    Options { relaxed: true, ..options }
}

async fn pair_with_packets(route: Route, source: usize, target: usize) -> Pair {
    let mut pair = Pair::start_with(route, roomy(route.source_options(), source), false).await;
    let options = pair.target.options_mut();
    *options = roomy(options.clone(), target);
    pair.target.restart().await;
    pair.source
        .exec(
            "CREATE DATABASE big; CREATE TABLE big.t \
             (id INT PRIMARY KEY, b LONGBLOB, x LONGTEXT CHARACTER SET latin1, d JSON, k VARCHAR(9) DEFAULT 'x')",
        )
        .await;
    pair
}

/// Lengths and digests: the bytes as hexadecimal digits would not fit a packet. A document's text does not, either.
async fn assert_same(pair: &Pair, rows: usize) {
    let query = "SELECT id, LENGTH(b), SHA2(b, 256), LENGTH(x), SHA2(x, 256), JSON_LENGTH(d), SHA2(JSON_UNQUOTE(d->'$[0]'), 256), k \
                 FROM big.t ORDER BY id";
    type Digest = (i32, Option<u64>, Option<String>, Option<u64>, Option<String>, Option<u64>, Option<String>, Option<String>);
    let digests = async |server: &Server| -> Vec<Digest> { server.query_rows(query).await };
    let (source, target) = (digests(&pair.source).await, digests(&pair.target).await);
    assert_eq!(source, target);
    assert_eq!(source.len(), rows);
}

async fn values_of_64_mib_arrive(route: Route) {
    let pair = pair_with_packets(route, 512 * MIB, TARGET_PACKET).await;
    let seed = scale::seed();
    let mut noise = vec![0; 64 * MIB];
    scale::random(seed, 0).fill_bytes(&mut noise);
    let mut root = pair.source.root().await;
    root.query_drop(format!("INSERT INTO big.t (id, b) VALUES (1, REPEAT(x'00', {}))", 64 * MIB)).await.expect("a row of zeros");
    root.exec_drop("INSERT INTO big.t (id, b) VALUES (2, ?)", (noise,)).await.expect("a row of noise");
    let _ = root.disconnect().await;

    let mut ferry = Ferry::start(&pair.task(&["big.*"]));
    ferry.wait_streaming().await;
    assert_same(&pair, 2).await;
    println!("{} to {}: copy, VmHWM {} MiB", pair.source.release(), pair.target.release(), ferry.most_memory() / MIB as u64);

    let half = 50 * MIB;
    pair.source
        .exec(format!(
            "USE big; INSERT INTO t (id, b) VALUES (3, REPEAT(x'00', {})); INSERT INTO t (id, b) SELECT 4, b FROM t WHERE id = 2; \
             INSERT INTO t (id, x) VALUES (5, REPEAT(x'5C', {half})); INSERT INTO t (id, d) VALUES (6, JSON_ARRAY(REPEAT('\"', {}))); \
             UPDATE t SET b = REPEAT(x'27', {half}) WHERE id = 1; UPDATE t SET k = 'y' WHERE id = 2; DELETE FROM t WHERE id = 3; \
             UPDATE t SET id = 7 WHERE id = 4",
            64 * MIB,
            20 * MIB
        ))
        .await;
    ferry.wait_applied(&pair.source).await;
    assert_same(&pair, 5).await;
    println!("{} to {}: stream, VmHWM {} MiB", pair.source.release(), pair.target.release(), ferry.most_memory() / MIB as u64);
    assert_eq!(ferry.terminate().await.0, 0);
    ferry.assert_clean_log();
}

on_routes! { values_of_64_mib_arrive,
    mysql_97: Route::V97,
    mysql_57_to_80_without_gtid: Route::V57_TO_V80.without_gtid()
}

/// The target's packet is smaller than the source's: a row of several values goes through, one value that is longer does not, and
/// does once the operator has done what the message says.
async fn a_value_longer_than_the_targets_packet_stops_the_task(route: Route) {
    let pair = pair_with_packets(route, 64 * MIB, 4 * MIB).await;
    let three = 3 * MIB;
    let several = format!("REPEAT(x'00', {three}), REPEAT('''', {three}), JSON_ARRAY(REPEAT('x', {three}))");
    pair.source.exec(format!("INSERT INTO big.t (id, b, x, d) VALUES (1, {several})")).await;
    let mut ferry = Ferry::start(&pair.task(&["big.*"]));
    ferry.wait_streaming().await;
    assert!(ferry.log().contains("target.max_allowed_packet"), "the precheck compares the two");
    pair.source.exec(format!("INSERT INTO big.t (id, b, x, d) VALUES (2, {several})")).await;
    ferry.wait_applied(&pair.source).await;
    assert_same(&pair, 2).await;

    pair.source.exec(format!("INSERT INTO big.t (id, b) VALUES (3, REPEAT('a', {}))", 5 * MIB)).await;
    assert_too_large(&mut ferry).await;
    pair.target.exec(format!("SET GLOBAL max_allowed_packet = {}", 16 * MIB)).await;
    ferry.restart();
    ferry.wait_applied(&pair.source).await;
    assert_same(&pair, 3).await;
    assert_eq!(ferry.terminate().await.0, 0);

    // The same by copy.
    pair.target.exec(format!("DROP DATABASE big; SET GLOBAL max_allowed_packet = {}", 4 * MIB)).await;
    let mut task = pair.task(&["big.*"]);
    task.name = "again".to_owned();
    let mut ferry = Ferry::start(&task);
    assert_too_large(&mut ferry).await;
    pair.target.exec(format!("SET GLOBAL max_allowed_packet = {}", 16 * MIB)).await;
    ferry.restart();
    ferry.wait_streaming().await;
    assert_same(&pair, 3).await;
    assert_eq!(ferry.terminate().await.0, 0);
}

async fn assert_too_large(ferry: &mut Ferry) {
    assert_eq!(ferry.wait_end().await, 65);
    let said = ferry.last_words();
    for word in ["row-too-large", "big.t", &(5 * MIB).to_string(), "remedy: raise max_allowed_packet"] {
        assert!(said.contains(word), "no {word:?} in:\n{said}");
    }
}

on_routes! { a_value_longer_than_the_targets_packet_stops_the_task,
    mysql_97: Route::V97,
    mysql_57_to_80_without_gtid: Route::V57_TO_V80.without_gtid()
}
