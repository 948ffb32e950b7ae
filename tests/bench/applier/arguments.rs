//! What may be asked of the benchmark.

use clap::Parser;

use crate::lab::Version;
use crate::numbers::{scale, version};
use crate::workload::Workload;

/// Lets a native replica and polarferry apply the same binlog, one after the other, and compares.
#[derive(Debug, Parser)]
#[command(name = "cargo bench --bench applier --")]
pub struct Arguments {
    /// Which workloads, by letter or name, separated by commas; without it, all
    #[arg(long, value_name = "A,B", value_enum, value_delimiter = ',')]
    workload: Vec<Workload>,
    /// Multiplies the rows and the transactions of every workload
    #[arg(long, value_name = "N", default_value_t = 1.0, value_parser = scale)]
    pub scale: f64,
    /// Runs of each workload, each on servers of its own; medians are printed
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=99))]
    pub runs: u32,
    /// MySQL on all three servers: 9.7 or 8.0
    #[arg(long, value_name = "SERIES", default_value = "9.7", value_parser = version)]
    pub version: Version,
    /// polarferry alone, to look where its time goes
    #[arg(long)]
    pub alone: bool,
    /// Cargo says this to every benchmark
    #[arg(long, hide = true)]
    bench: bool,
}

impl Arguments {
    pub fn workloads(&self) -> Vec<Workload> {
        if self.workload.is_empty() { Workload::ALL.to_vec() } else { self.workload.clone() }
    }
}
