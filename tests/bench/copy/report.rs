//! What the benchmark prints: a block for each workload, a line for each way, medians over its runs.

use crate::arguments::Arguments;
use crate::contest::Leg;
use crate::numbers::{median, quotient, shown};
use crate::tables::{Volume, Workload};
use crate::ways::{THREADS, Way};

pub fn head(arguments: &Arguments) {
    println!(
        "{}, scale {}, {} run(s) of each way; {THREADS} threads each, full durability at the target",
        arguments.common.version, arguments.common.scale, arguments.common.runs
    );
}

pub fn workload(workload: Workload, volume: &Volume, results: &[(Way, Leg)]) {
    println!("\n{}: {} rows, {} MiB at the source", workload.name(), volume.rows, volume.bytes >> 20);
    println!(
        "{:11} {:>8} {:>9} {:>7} {:>10} {:>10} {:>7} {:>7} {:>6} {:>6}  equal",
        "way", "seconds", "rows/s", "MiB/s", "source CPU", "target CPU", "own CPU", "RSS MiB", "lag s", "of raw"
    );
    let time = |way: Way| {
        let legs = results.iter().filter(|(of, leg)| *of == way && leg.failure.is_none());
        median(legs.map(|(_, leg)| leg.time.as_secs_f64()).collect())
    };
    for way in Way::ALL {
        let legs: Vec<&Leg> = results.iter().filter(|(of, _)| *of == way).map(|(_, leg)| leg).collect();
        let of = |number: fn(&Leg) -> Option<f64>| {
            median(legs.iter().filter(|leg| leg.failure.is_none()).filter_map(|leg| number(leg)).collect())
        };
        if legs.is_empty() {
            continue;
        }
        println!(
            "{:11} {:>8} {:>9} {:>7} {:>10} {:>10} {:>7} {:>7} {:>6} {:>6}  {}",
            way.name(),
            shown(time(way), 1),
            shown(quotient(Some(volume.rows as f64), time(way)), 0),
            shown(quotient(Some((volume.bytes >> 20) as f64), time(way)), 0),
            shown(of(|leg| Some(leg.source_cpu.as_secs_f64())), 1),
            shown(of(|leg| Some(leg.target_cpu.as_secs_f64())), 1),
            shown(of(|leg| Some(leg.own_cpu?.as_secs_f64())), 1),
            shown(of(|leg| leg.peak_mib), 0),
            shown(of(|leg| leg.lag), 1),
            shown(quotient(time(Way::Raw), time(way)), 2),
            if legs.iter().all(|leg| leg.equal) { "yes" } else { "NO" },
        );
        for failure in legs.iter().filter_map(|leg| leg.failure.as_ref()) {
            println!("            failed: {failure}");
        }
    }
}
