//! What a process has used of the machine, as the kernel counts it.

use std::fs;
use std::time::Duration;

/// USER_HZ, in which `/proc/PID/stat` counts, is 100 on every Linux that Rust runs on.
const TICK: Duration = Duration::from_millis(10);

/// User and system time since the process began.
pub fn cpu(process: Option<u32>) -> Duration {
    let Some(stat) = process.and_then(|id| fs::read_to_string(format!("/proc/{id}/stat")).ok()) else { return Duration::ZERO };
    // The second field is the program's name, in parentheses, and may hold anything.
    let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace();
    let ticks: u32 = fields.skip(11).take(2).filter_map(|field| field.parse::<u32>().ok()).sum();
    TICK * ticks
}

/// The most memory that the process has had in use at once, in MiB.
pub fn peak_mib(process: Option<u32>) -> f64 {
    let status = process.and_then(|id| fs::read_to_string(format!("/proc/{id}/status")).ok()).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or_default();
    let kib: f64 = line.split_whitespace().next().and_then(|number| number.parse().ok()).unwrap_or_default();
    kib / 1024.0
}
