//! Makes the shop and its first rows, as fast as the server can: the rows are computed where they
//! are stored (`fill.sql`), in slices of numbers that several connections share out among them.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use mysql_async::Conn;
use mysql_async::prelude::Queryable;
use tokio::task::JoinSet;

use super::{DATABASE, SCHEMA, Sizes, TABLES};
use crate::lab::{Failure, Server};

const STATEMENTS: &str = include_str!("fill.sql");

const CONNECTIONS: usize = 4;

/// Numbers per statement: enough to make the round trip cheap, few enough to share out evenly.
const SLICE: u64 = 10_000;

/// The rows are made once and are not what is measured, so their commits need not reach the disk one
/// by one. Afterwards the server is as durable as a source in production.
const RELAXED: &str = "SET GLOBAL innodb_flush_log_at_trx_commit = 2; SET GLOBAL sync_binlog = 0";
const DURABLE: &str = "SET GLOBAL innodb_flush_log_at_trx_commit = 1; SET GLOBAL sync_binlog = 1";

pub struct Filled {
    pub rows: u64,
    pub took: Duration,
}

/// Creates the shop on `server` and fills it.
pub async fn fill(server: &Server, sizes: Sizes) -> Result<Filled, Failure> {
    let began = Instant::now();
    let mut conn = connection(server).await?;
    conn.query_drop(RELAXED).await?;
    conn.query_drop(format!("CREATE DATABASE {DATABASE} CHARACTER SET utf8mb4; USE {DATABASE}")).await?;
    conn.query_drop(SCHEMA).await?;
    count_up(&mut conn, sizes.orders).await?;

    let statements = statements(sizes);
    let (last, first) = statements.split_last().ok_or_else(|| Failure::new("fill.sql holds no statement"))?;
    let mut rows = share_out(server, slices(first, sizes)).await?;
    let rest = sizes.rows.saturating_sub(rows).min(sizes.orders);
    rows += share_out(server, cut(last, rest)).await?;

    conn.query_drop("DROP DATABASE numbers").await?;
    // Fresh statistics, from which the daemon estimates the size of its work.
    conn.query_drop(format!("ANALYZE LOCAL TABLE {}", TABLES.join(", "))).await?;
    conn.query_drop(DURABLE).await?;
    conn.disconnect().await?;
    Ok(Filled { rows, took: began.elapsed() })
}

/// A connection of root, for which checks that the rows pass by construction are switched off.
async fn connection(server: &Server) -> Result<Conn, Failure> {
    let mut conn = Conn::new(server.opts("root", "", None)).await?;
    conn.query_drop(
        "SET time_zone = '+00:00', foreign_key_checks = 0, unique_checks = 0, \
         transaction_isolation = 'READ-COMMITTED'",
    )
    .await?;
    Ok(conn)
}

/// Makes `numbers.n`, which holds the numbers from 1 to `last` or a few more, by doubling.
async fn count_up(conn: &mut Conn, last: u64) -> Result<(), Failure> {
    conn.query_drop(
        "CREATE DATABASE numbers; CREATE TABLE numbers.n (n INT PRIMARY KEY) ENGINE=InnoDB; \
         INSERT INTO numbers.n VALUES (1)",
    )
    .await?;
    let mut reached = 1;
    while reached < last {
        conn.query_drop(format!("INSERT INTO numbers.n SELECT n + {reached} FROM numbers.n")).await?;
        reached *= 2;
    }
    Ok(())
}

/// The statements of `fill.sql` with the sizes put in; `:range` is still open.
fn statements(sizes: Sizes) -> Vec<String> {
    let filled = STATEMENTS
        .replace(":customers", &sizes.customers.to_string())
        .replace(":products", &sizes.products.to_string())
        .replace(":listed", &sizes.listed().to_string());
    filled.split(";\n").map(str::trim).filter(|statement| !statement.is_empty()).map(str::to_owned).collect()
}

/// All statements over all their numbers.
fn slices(statements: &[String], sizes: Sizes) -> Vec<String> {
    let numbers = [
        sizes.customers,
        sizes.customers,
        sizes.categories,
        sizes.products,
        sizes.products,
        sizes.products,
        sizes.orders,
        sizes.orders,
        sizes.orders,
        sizes.orders,
        sizes.reviews,
    ];
    debug_assert_eq!(numbers.len(), statements.len());
    statements.iter().zip(numbers).flat_map(|(statement, numbers)| cut(statement, numbers)).collect()
}

/// One statement over the numbers from 1 to `numbers`.
fn cut(statement: &str, numbers: u64) -> Vec<String> {
    (0..numbers.div_ceil(SLICE))
        .map(|slice| {
            let from = slice * SLICE + 1;
            let to = (from + SLICE).min(numbers + 1);
            statement.replace(":range", &format!("n >= {from} AND n < {to}"))
        })
        .collect()
}

/// Runs the statements on several connections, each of which takes the next one; returns the number
/// of rows that they made.
async fn share_out(server: &Server, statements: Vec<String>) -> Result<u64, Failure> {
    let (statements, next) = (Arc::new(statements), Arc::new(AtomicUsize::new(0)));
    let mut tasks = JoinSet::new();
    for _ in 0..CONNECTIONS {
        let mut conn = connection(server).await?;
        conn.query_drop(format!("USE {DATABASE}")).await?;
        let (statements, next) = (Arc::clone(&statements), Arc::clone(&next));
        tasks.spawn(async move {
            let mut rows = 0;
            while let Some(statement) = statements.get(next.fetch_add(1, Ordering::Relaxed)) {
                conn.query_drop(statement).await?;
                rows += conn.affected_rows();
            }
            conn.disconnect().await?;
            Ok::<u64, mysql_async::Error>(rows)
        });
    }
    let mut rows = 0;
    while let Some(made) = tasks.join_next().await {
        rows += made.map_err(|error| Failure::new(error.to_string()))??;
    }
    Ok(rows)
}
