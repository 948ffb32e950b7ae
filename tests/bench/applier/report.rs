//! What the benchmark prints: a line for each workload, medians over its runs.

use crate::arguments::Arguments;
use crate::latency::{Delays, RATE};
use crate::numbers::{median, quotient, shown};
use crate::race::{Finish, Leg, WORKERS};
use crate::workload::Workload;

pub fn head(arguments: &Arguments) {
    println!(
        "{}, scale {}, {} run(s); a native replica with {WORKERS} workers against polarferry, full durability on both",
        arguments.common.version, arguments.common.scale, arguments.common.runs
    );
    println!(
        "{:10} {:>9} {:>9} {:>9} {:>9} {:>7} {:>9} {:>9} {:>9} {:>9} {:>7}  equal",
        "workload",
        "rows",
        "transact.",
        "native s",
        "ferry s",
        "ratio",
        "rows/s",
        "ferry CPU",
        "its mysqld",
        "nat. mysqld",
        "RSS MiB"
    );
}

pub fn line(workload: Workload, runs: &[Finish]) {
    let ours = |of: fn(&Leg) -> f64| median(runs.iter().filter_map(|run| run.ferry.as_ref().ok()).map(of).collect());
    let theirs = |of: fn(&Leg) -> f64| median(runs.iter().filter_map(|run| run.replica.as_ref()).map(of).collect());
    let time: fn(&Leg) -> f64 = |leg| leg.time.as_secs_f64();
    let server: fn(&Leg) -> f64 = |leg| leg.server_cpu.as_secs_f64();
    let rows = median(runs.iter().map(|run| run.volume.rows as f64).collect());
    let transactions = median(runs.iter().map(|run| run.volume.transactions as f64).collect());
    println!(
        "{:10} {:>9} {:>9} {:>9} {:>9} {:>7} {:>9} {:>9} {:>9} {:>9} {:>7}  {}",
        workload.name(),
        shown(rows, 0),
        shown(transactions, 0),
        shown(theirs(time), 2),
        shown(ours(time), 2),
        shown(quotient(theirs(time), ours(time)), 1),
        shown(quotient(rows, ours(time)), 0),
        shown(ours(|leg| leg.own_cpu.as_secs_f64()), 2),
        shown(ours(server), 2),
        shown(theirs(server), 2),
        shown(ours(|leg| leg.peak_mib), 0),
        if runs.iter().all(|run| run.equal) { "yes" } else { "NO" },
    );
    for run in runs {
        match &run.ferry {
            Ok(_) => println!("           {}", run.stages),
            Err(why) => println!("           refused: {why}"),
        }
    }
}

pub fn delays((replica, ours): &(Delays, Delays)) {
    let show = |delays: &Delays| {
        format!("p50 {:.1} ms, p99 {:.1} ms", delays.median.as_secs_f64() * 1e3, delays.p99.as_secs_f64() * 1e3)
    };
    println!("latency at {RATE} transactions a second: native {}; polarferry {}", show(replica), show(ours));
}
