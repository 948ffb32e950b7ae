//! The applier's benchmark: `cargo bench --bench applier -- [--workload a,b] [--scale 1.0] [--runs N] [--version 9.7]`.
//!
//! A native replica and polarferry apply the same binlog, on the same machine, in the same run. Absolute times do not travel
//! between machines; the ratio does.
//!
//! * *Equal start*: the replica replicates, and polarferry copies, the same first rows; both are stopped; the workload runs on the
//!   source alone. Then each applier in turn catches up, timed from its start (polarferry: of its process) until the end of the
//!   source's binlog is applied. Meanwhile the other one's server is frozen. Runs take turns in who goes first.
//! * *Equal terms*: both servers run with full durability (`sync_binlog=1`, `innodb_flush_log_at_trx_commit=1`), with their binlog on,
//!   and a buffer pool of 128 MiB. The replica has four parallel workers that keep the order of commits, and otherwise
//!   its version's defaults. polarferry runs with its own defaults. Only the source commits without waiting for the disk.
//! * *Distance*: the replica sits at its own storage and has no network there, so where polarferry's target is 30 ms away, the
//!   replica's source is: each has one long way.
//! * *Equal end*: CHECKSUM TABLE of every table on all three servers, and for tables without a key, how many rows occur how often.

#![allow(clippy::panic, clippy::print_stdout, reason = "a benchmark prints, and fails by a panic")]

#[path = "../../ferry/mod.rs"]
mod ferry;
#[path = "../../lab/mod.rs"]
mod lab;

#[path = "../delay.rs"]
mod delay;
#[path = "../numbers.rs"]
mod numbers;
#[path = "../usage.rs"]
mod usage;

mod arguments;
mod feed;
mod latency;
mod race;
mod report;
mod workload;

use std::process::ExitCode;

use arguments::Arguments;
use clap::Parser;
use workload::Workload;

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    report::head(&arguments);
    let mut all_equal = true;
    for workload in arguments.workloads() {
        if workload == Workload::Latency {
            report::delays(&latency::measure(arguments.common.version, arguments.common.scale).await);
            continue;
        }
        let mut runs = Vec::new();
        for run in 0..arguments.common.runs {
            let finish =
                race::race(arguments.common.version, workload, arguments.common.scale, arguments.alone, run % 2 == 0).await;
            all_equal &= finish.equal;
            runs.push(finish);
        }
        report::line(workload, &runs);
    }
    if all_equal { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
