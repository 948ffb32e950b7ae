//! What may be asked of the benchmark.

use clap::Parser;

use crate::numbers::Common;
use crate::workload::Workload;

/// Lets a native replica and polarferry apply the same binlog, one after the other, and compares.
#[derive(Debug, Parser)]
#[command(name = "cargo bench --bench applier --")]
pub struct Arguments {
    /// Which workloads, by letter or name, separated by commas; without it, all
    #[arg(long, value_name = "A,B", value_enum, value_delimiter = ',')]
    workload: Vec<Workload>,
    #[command(flatten)]
    pub common: Common,
    /// polarferry alone, to look where its time goes
    #[arg(long)]
    pub alone: bool,
}

impl Arguments {
    pub fn workloads(&self) -> Vec<Workload> {
        if self.workload.is_empty() { Workload::ALL.to_vec() } else { self.workload.clone() }
    }
}
