//! The workloads: what is in the tables before, and what happens to them. Everything but sysbench's own is the same in each run.

mod shapes;

use std::time::Duration;

use clap::ValueEnum;

use crate::feed;
use crate::lab::{Load, Server, Sysbench};

pub const DATABASE: &str = "bench";

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Workload {
    /// sysbench oltp_write_only: 60,000 transactions on 8 × 20,000 rows
    #[value(alias = "a")]
    Sysbench,
    /// 100 rows updated 200,000 times, each time in a transaction of its own
    #[value(alias = "b")]
    Hot,
    /// 500,000 rows inserted in transactions of four
    #[value(alias = "c")]
    Insert,
    /// Secondary unique values that move on and are exchanged
    #[value(alias = "d")]
    Unique,
    /// A composite key of strings under a collation that ignores case
    #[value(alias = "e")]
    Strings,
    /// Rows of 60 columns of mixed types
    #[value(alias = "f")]
    Wide,
    /// One transaction that inserts 2,000,000 rows
    #[value(alias = "g")]
    Huge,
    /// 1,000,000 rows without any key: inserts, updates, 100,000 deletes
    #[value(alias = "h")]
    Keyless,
    /// Foreign keys with ON DELETE CASCADE and ON UPDATE CASCADE
    #[value(alias = "i")]
    Cascade,
    /// Updates all over 4 GiB of rows behind a buffer pool of 64 MiB
    #[value(alias = "j")]
    Cold,
    /// The same as the first, with 30 ms between polarferry and its target, and between the replica and its source
    #[value(alias = "k")]
    Distant,
    /// The time from a commit on the source until the target shows it, at 300 transactions a second
    #[value(alias = "l")]
    Latency,
}

/// What a workload came to.
#[derive(Clone, Copy, Debug, Default)]
pub struct Volume {
    pub transactions: u64,
    /// Row changes in the binlog.
    pub rows: u64,
}

impl Volume {
    fn of(transactions: u64, rows_each: u64) -> Self {
        Self { transactions, rows: transactions * rows_each }
    }
}

impl Workload {
    pub const ALL: [Self; 12] = [
        Self::Sysbench,
        Self::Hot,
        Self::Insert,
        Self::Unique,
        Self::Strings,
        Self::Wide,
        Self::Huge,
        Self::Keyless,
        Self::Cascade,
        Self::Cold,
        Self::Distant,
        Self::Latency,
    ];

    pub fn name(self) -> String {
        self.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
    }

    /// Half of a round trip lies on each way.
    pub fn round_trip(self) -> Duration {
        if self == Self::Distant { Duration::from_millis(30) } else { Duration::ZERO }
    }

    /// How the two servers that apply run, beyond what every server of the benchmark is told.
    pub fn appliers_argument(self) -> Option<&'static str> {
        (self == Self::Cold).then_some("--innodb-buffer-pool-size=64M")
    }

    pub fn tables(self) -> Vec<&'static str> {
        match self {
            Self::Sysbench | Self::Distant => {
                vec!["sbtest1", "sbtest2", "sbtest3", "sbtest4", "sbtest5", "sbtest6", "sbtest7", "sbtest8"]
            }
            Self::Hot => vec!["hot"],
            Self::Insert => vec!["orders"],
            Self::Unique => vec!["codes"],
            Self::Strings => vec!["names"],
            Self::Wide => vec!["wide"],
            Self::Huge => vec!["huge", "numbers"],
            Self::Keyless => vec!["log"],
            Self::Cascade => vec!["parents", "children"],
            Self::Cold => vec!["cold"],
            Self::Latency => vec!["beats"],
        }
    }

    /// Makes the tables and their first rows.
    pub async fn fill(self, source: &Server, scale: f64) {
        let scaled = |count| scaled(count, scale);
        source.exec(format!("CREATE DATABASE {DATABASE} DEFAULT CHARACTER SET utf8mb4")).await;
        if let Some(create) = shapes::create(self) {
            source.exec(format!("USE {DATABASE}; {create}")).await;
        }
        match self {
            Self::Sysbench | Self::Distant => sysbench(source, 0, scale).await.prepare().await,
            Self::Hot => feed::rows(source, "hot", shapes::HOT_ROWS, shapes::hot_row).await,
            Self::Insert | Self::Latency => {}
            Self::Unique => feed::rows(source, "codes", scaled(shapes::CODES), shapes::code_row).await,
            Self::Strings => feed::rows(source, "names", scaled(shapes::NAMES), shapes::name_row).await,
            Self::Wide => feed::rows(source, "wide", scaled(shapes::WIDE_ROWS), shapes::wide_row).await,
            Self::Huge => feed::rows(source, "numbers", 2000, |number| format!("({number})")).await,
            Self::Keyless => feed::rows(source, "log", scaled(1_000_000), shapes::log_row).await,
            Self::Cascade => {
                feed::rows(source, "parents", scaled(shapes::PARENTS), |id| format!("({id},{id})")).await;
                feed::rows(source, "children", scaled(shapes::PARENTS) * shapes::CHILDREN, shapes::child_row).await;
            }
            Self::Cold => feed::rows(source, "cold", scaled(shapes::COLD_ROWS), shapes::cold_row).await,
        }
    }

    /// Lets happen what both appliers are to apply.
    pub async fn change(self, source: &Server, scale: f64) -> Volume {
        let scaled = |count| scaled(count, scale);
        match self {
            Self::Sysbench | Self::Distant => {
                let report = sysbench(source, scaled(60_000), scale).await.run().await;
                Volume::of(report.transactions, 4)
            }
            Self::Hot => {
                feed::transactions(source, scaled(200_000), shapes::hot_update).await;
                Volume::of(scaled(200_000), 1)
            }
            Self::Insert => {
                feed::transactions(source, scaled(125_000), shapes::order).await;
                Volume::of(scaled(125_000), 4)
            }
            Self::Unique => {
                let codes = scaled(shapes::CODES);
                feed::transactions(source, scaled(30_000), move |number| shapes::exchange(number, codes)).await;
                Volume::of(scaled(30_000), 3)
            }
            Self::Strings => {
                let names = scaled(shapes::NAMES);
                feed::transactions(source, scaled(30_000), move |number| shapes::rename(number, names)).await;
                Volume::of(scaled(30_000), 3)
            }
            Self::Wide => {
                let rows = scaled(shapes::WIDE_ROWS);
                feed::transactions(source, scaled(20_000), move |number| shapes::widen(number, rows)).await;
                Volume::of(scaled(20_000), 3)
            }
            Self::Huge => {
                let thousands = scaled(2000).min(2000);
                source.exec(shapes::huge(thousands)).await;
                Volume::of(1, thousands * 1000)
            }
            Self::Keyless => {
                feed::transactions(source, scaled(2000), shapes::log_more).await;
                source.exec(shapes::LOG_UPDATE).await;
                source.exec(shapes::LOG_DELETE).await;
                let rows = scaled(1_000_000);
                Volume { transactions: scaled(2000) + 2, rows: scaled(2000) * 10 + rows / 100 + rows / 10 }
            }
            Self::Cascade => {
                let parents = scaled(shapes::PARENTS);
                feed::transactions(source, scaled(5000), move |number| shapes::family(number, parents)).await;
                Volume { transactions: scaled(5000) * 2, rows: scaled(5000) * 4 * (1 + shapes::CHILDREN) }
            }
            Self::Cold => {
                let rows = scaled(shapes::COLD_ROWS);
                feed::transactions(source, scaled(50_000), move |number| shapes::thaw(number, rows)).await;
                Volume::of(scaled(50_000), 2)
            }
            Self::Latency => Volume::default(),
        }
    }
}

fn scaled(count: u64, scale: f64) -> u64 {
    // Whole multiples of the connections, so that each has its share of the rows.
    ((count as f64 * scale) as u64 / feed::CONNECTIONS).max(1) * feed::CONNECTIONS
}

async fn sysbench(source: &Server, events: u64, scale: f64) -> Sysbench {
    let load = Load {
        script: "oltp_write_only".to_owned(),
        threads: 8,
        tables: 8,
        table_size: scaled(20_000, scale) as u32,
        time: Duration::from_secs(1800),
        events,
        args: vec!["--mysql-ignore-errors=1213,1205".to_owned()],
        ..Load::default()
    };
    Sysbench::new(source, DATABASE, &load).await
}
