//! What may be asked of the benchmark.

use clap::Parser;

use crate::lab::Version;
use crate::numbers::{scale, version};
use crate::tables::Workload;
use crate::ways::Way;

/// Copies the same tables by several ways, one after the other, and compares
#[derive(Debug, Parser)]
#[command(name = "cargo bench --bench copy --")]
pub struct Arguments {
    /// Which workloads, separated by commas; without it, all
    #[arg(long, value_name = "A,B", value_enum, value_delimiter = ',')]
    workload: Vec<Workload>,
    /// Multiplies the rows of every workload
    #[arg(long, value_name = "N", default_value_t = 1.0, value_parser = scale)]
    pub scale: f64,
    /// Runs of each way; medians are printed
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=99))]
    pub runs: u32,
    /// MySQL on both servers: 9.7 or 8.0
    #[arg(long, value_name = "SERIES", default_value = "9.7", value_parser = version)]
    pub version: Version,
    /// Which ways, separated by commas; without it, all
    #[arg(long, value_name = "A,B", value_enum, value_delimiter = ',')]
    way: Vec<Way>,
    /// Cargo says this to every benchmark
    #[arg(long, hide = true)]
    bench: bool,
}

impl Arguments {
    pub fn workloads(&self) -> Vec<Workload> {
        if self.workload.is_empty() { Workload::ALL.to_vec() } else { self.workload.clone() }
    }

    /// Runs take turns in who goes first.
    pub fn ways(&self, workload: Workload, run: u32) -> Vec<Way> {
        let mut ways: Vec<Way> = if self.way.is_empty() { Way::ALL.to_vec() } else { self.way.clone() };
        ways.retain(|way| *way == Way::Polarferry || !workload.is_under_load());
        if !run.is_multiple_of(2) {
            ways.reverse();
        }
        ways
    }
}
