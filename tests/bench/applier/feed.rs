//! Fills a source quickly: several connections, many transactions in each packet.

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Error};

use crate::lab::Server;

/// Transaction number `n` of a workload is run by connection `n % CONNECTIONS`, after all smaller ones of that connection: rows
/// that only such transactions touch are never fought over.
pub const CONNECTIONS: u64 = 4;

/// Bytes of one packet of statements, about.
const PACKET: usize = 64 * 1024;

/// Rows of one INSERT that fills a table.
pub const ROWS_PER_INSERT: u64 = 500;

/// Runs transactions 0 to `count`. Each is one statement, or several between BEGIN and COMMIT.
pub async fn transactions(source: &Server, count: u64, text: impl Fn(u64) -> String + Clone + Send + 'static) {
    let mut clients = Vec::new();
    for first in 0..CONNECTIONS {
        let (mut conn, text) = (source.root().await, text.clone());
        clients.push(tokio::spawn(async move {
            let session = "USE bench; SET NAMES utf8mb4; SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED";
            conn.query_drop(session).await.expect("a session");
            let mut packet = String::new();
            for number in (first..count).step_by(CONNECTIONS as usize) {
                packet += &text(number);
                packet.push(';');
                if packet.len() >= PACKET || number + CONNECTIONS >= count {
                    run(&mut conn, std::mem::take(&mut packet)).await;
                }
            }
            let _ = conn.disconnect().await;
        }));
    }
    for client in clients {
        client.await.expect("the client ends by itself");
    }
}

/// Unique values may deadlock. What was done before that is done again with the rest: only transactions that may be run twice change
/// such values.
async fn run(conn: &mut Conn, packet: String) {
    loop {
        match conn.query_drop(packet.as_str()).await {
            Err(Error::Server(refusal)) if refusal.code == 1213 => {}
            outcome => return outcome.expect("the workload's transactions pass"),
        }
    }
}

/// Inserts rows 0 to `count`; `row` spells one, with its parentheses.
pub async fn rows(source: &Server, table: &'static str, count: u64, row: impl Fn(u64) -> String + Clone + Send + 'static) {
    transactions(source, count.div_ceil(ROWS_PER_INSERT), move |number| {
        let rows: Vec<String> = (number * ROWS_PER_INSERT..count.min((number + 1) * ROWS_PER_INSERT)).map(&row).collect();
        format!("INSERT INTO {table} VALUES {}", rows.join(","))
    })
    .await;
}

/// A number that looks like chance and is the same in each run (splitmix64).
pub fn chance(number: u64) -> u64 {
    let mut mixed = number.wrapping_mul(0x9E37_79B9_7F4A_7C15).wrapping_add(0x9E37_79B9_7F4A_7C15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    mixed ^ (mixed >> 31)
}
