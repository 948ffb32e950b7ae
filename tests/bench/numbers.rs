//! What both benchmarks are asked and how they print numbers.

use clap::Args;

use crate::lab::Version;

#[derive(Debug, Args)]
pub struct Common {
    /// Multiplies the rows and the transactions of every workload
    #[arg(long, value_name = "N", default_value_t = 1.0, value_parser = scale)]
    pub scale: f64,
    /// Runs; medians are printed
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=99))]
    pub runs: u32,
    /// MySQL on every server: 9.7 or 8.0
    #[arg(long, value_name = "SERIES", default_value = "9.7", value_parser = version)]
    pub version: Version,
    /// Cargo says this to every benchmark
    #[arg(long, hide = true)]
    bench: bool,
}

pub fn median(mut numbers: Vec<f64>) -> Option<f64> {
    numbers.sort_unstable_by(f64::total_cmp);
    let (low, high) = (numbers.get(numbers.len().checked_sub(1)? / 2)?, numbers.get(numbers.len() / 2)?);
    Some((low + high) / 2.0)
}

pub fn shown(number: Option<f64>, digits: usize) -> String {
    number.map_or_else(|| "-".to_owned(), |number| format!("{number:.digits$}"))
}

pub fn quotient(above: Option<f64>, below: Option<f64>) -> Option<f64> {
    Some(above? / below?)
}

fn scale(text: &str) -> Result<f64, String> {
    let scale: f64 = text.parse().map_err(|_| "is no number".to_owned())?;
    if (0.001..=100.0).contains(&scale) { Ok(scale) } else { Err("must lie between 0.001 and 100".to_owned()) }
}

fn version(series: &str) -> Result<Version, String> {
    let known = [Version::V97, Version::V80];
    known.into_iter().find(|version| version.series() == series).ok_or_else(|| "the benchmark knows 9.7 and 8.0".to_owned())
}
