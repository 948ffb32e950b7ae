//! The copy's benchmark: `cargo bench --bench copy -- [--workload a,b] [--scale 1.0] [--runs N] [--version 9.7] [--way raw,polarferry]`.
//!
//! The same tables go from the same source to the same empty target, by one way after the other, on the same machine, in the same run:
//!
//! * *raw*: `SELECT … INTO OUTFILE` of every table, four at a time, then `LOAD DATA INFILE` of every file, four at a time. Nothing crosses
//!   a network. A table that is alone is exported in four parts, so that four sessions have work.
//! * *mysqldump*: `mysqldump --single-transaction | mysql`.
//! * *mydumper*: mydumper and then myloader, with four threads each and chunks of 200,000 rows.
//! * *polarferry*: from the start of its process, with its own defaults, until every table is copied. It streams meanwhile, and
//!   goes on to.
//!
//! All of them create the tables, too. *Equal terms*: the target has full durability and its binlog on; the source only reads, so its own
//! durability does not count; a buffer pool of 1 GiB on both. *Distance*: where the source is 30 ms away, it is for all but the raw way.
//! *Equal end*: CHECKSUM TABLE of every table on both servers. *Under load*: an application makes 1,000 transactions a second at the source
//! all the while; only polarferry copies a source that changes and is equal in the end.

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
mod contest;
mod report;
mod tables;
mod ways;

use std::process::ExitCode;

use arguments::Arguments;
use clap::Parser;
use contest::Contest;
use ways::Way;

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    report::head(&arguments);
    let mut all_equal = true;
    for workload in arguments.workloads() {
        arguments.ways(workload, 0).into_iter().for_each(Way::fetch);
        let contest = Contest::start(arguments.common.version, workload, arguments.common.scale).await;
        let mut results = Vec::new();
        for run in 0..arguments.common.runs {
            for way in arguments.ways(workload, run) {
                let leg = contest.run(way).await;
                all_equal &= leg.equal;
                results.push((way, leg));
            }
        }
        report::workload(workload, &contest.volume, &results);
    }
    if all_equal { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
