//! The workloads: what is in the tables.

use std::time::Duration;

use clap::ValueEnum;

use crate::lab::{Load, Server, Sysbench};

pub const DATABASE: &str = "bench";

/// Of wide rows in one statement.
const ROWS_AT_ONCE: u64 = 50_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Workload {
    /// 8 tables of 500,000 rows of sysbench's
    Sysbench,
    /// One table of 2,000,000 rows of 2 KiB, with TEXT and JSON
    Wide,
    /// The first, with 30 ms between the copier and its source
    Distant,
    /// The first, while an application makes 1,000 transactions a second
    Loaded,
}

/// What a workload holds.
#[derive(Clone, Copy, Debug)]
pub struct Volume {
    pub rows: u64,
    pub bytes: u64,
}

impl Workload {
    pub const ALL: [Self; 4] = [Self::Sysbench, Self::Wide, Self::Distant, Self::Loaded];

    pub fn name(self) -> String {
        self.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
    }

    pub fn is_under_load(self) -> bool {
        self == Self::Loaded
    }

    pub fn round_trip(self) -> Duration {
        if self == Self::Distant { Duration::from_millis(30) } else { Duration::ZERO }
    }

    pub fn tables(self) -> Vec<String> {
        match self {
            Self::Sysbench | Self::Distant | Self::Loaded => (1..=8).map(|number| format!("sbtest{number}")).collect(),
            Self::Wide => vec!["wide".to_owned()],
        }
    }

    /// Makes the tables and their rows.
    pub async fn fill(self, source: &Server, scale: f64) -> Volume {
        source.exec(format!("CREATE DATABASE {DATABASE} DEFAULT CHARACTER SET utf8mb4")).await;
        match self {
            Self::Sysbench | Self::Distant | Self::Loaded => sysbench(source, scale).await.prepare().await,
            Self::Wide => wide(source, (2_000_000.0 * scale) as u64).await,
        }
        let tables: Vec<String> = self.tables().into_iter().map(|table| format!("{DATABASE}.{table}")).collect();
        source.exec(format!("ANALYZE TABLE {}", tables.join(", "))).await;
        let mut rows = 0;
        for table in &tables {
            let counted: Vec<u64> = source.query_rows(format!("SELECT COUNT(*) FROM {table}")).await;
            rows += counted[0];
        }
        let bytes: Vec<u64> = source
            .query_rows(format!(
                "SELECT CAST(SUM(DATA_LENGTH) AS UNSIGNED) FROM information_schema.TABLES WHERE TABLE_SCHEMA='{DATABASE}'"
            ))
            .await;
        Volume { rows, bytes: bytes[0] }
    }
}

/// The tables, and the application of the workload that has one.
pub async fn sysbench(source: &Server, scale: f64) -> Sysbench {
    let load = Load {
        script: "oltp_write_only".to_owned(),
        threads: 8,
        tables: 8,
        table_size: (500_000.0 * scale) as u32,
        // It is ended when the copy is.
        time: Duration::from_secs(3600),
        rate: Some(1000),
        args: vec!["--mysql-ignore-errors=1213,1205,1062".to_owned()],
        ..Load::default()
    };
    Sysbench::new(source, DATABASE, &load).await
}

async fn wide(source: &Server, rows: u64) {
    let digits: Vec<String> = (0..10).map(|digit| format!("({digit})")).collect();
    source
        .exec(format!(
            "USE {DATABASE}; CREATE TABLE wide (id BIGINT PRIMARY KEY, customer INT NOT NULL, price DECIMAL(12,2) NOT NULL, \
             at DATETIME(3) NOT NULL, name VARCHAR(100) NOT NULL, note TEXT, doc JSON, KEY (customer)); \
             CREATE DATABASE digits; CREATE TABLE digits.d (n INT PRIMARY KEY); INSERT INTO digits.d VALUES {}",
            digits.join(",")
        ))
        .await;
    let number = "a.n + 10 * b.n + 100 * c.n + 1000 * d.n + 10000 * e.n";
    let mut from = 0;
    while from < rows {
        let most = ROWS_AT_ONCE.min(rows - from);
        source
            .exec(format!(
                "USE {DATABASE}; INSERT INTO wide SELECT {from} + i, i % 1000, i / 7, '2026-01-01' + INTERVAL {from} + i SECOND, \
                 CONCAT('customer ', SHA2(i, 224)), REPEAT(CONCAT(SHA2({from} + i, 256), ' '), 24), \
                 JSON_OBJECT('id', i, 'tags', JSON_ARRAY('red', 'green', i), 'price', i / 3e0, 'text', REPEAT(SHA2(i, 224), 8)) \
                 FROM (SELECT {number} AS i FROM digits.d a, digits.d b, digits.d c, digits.d d, digits.d e) numbers \
                 WHERE i < {most} ORDER BY i"
            ))
            .await;
        from += most;
    }
}
