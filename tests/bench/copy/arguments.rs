//! What may be asked of the benchmark.

use clap::Parser;

use crate::numbers::Common;
use crate::tables::Workload;
use crate::ways::Way;

/// Copies the same tables by several ways, one after the other, and compares
#[derive(Debug, Parser)]
#[command(name = "cargo bench --bench copy --")]
pub struct Arguments {
    /// Which workloads, separated by commas; without it, all
    #[arg(long, value_name = "A,B", value_enum, value_delimiter = ',')]
    workload: Vec<Workload>,
    #[command(flatten)]
    pub common: Common,
    /// Which ways, separated by commas; without it, all
    #[arg(long, value_name = "A,B", value_enum, value_delimiter = ',')]
    way: Vec<Way>,
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
