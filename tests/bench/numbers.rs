//! What both benchmarks are asked and how they print numbers.

use crate::lab::Version;

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

pub fn scale(text: &str) -> Result<f64, String> {
    let scale: f64 = text.parse().map_err(|_| "is no number".to_owned())?;
    if (0.001..=100.0).contains(&scale) { Ok(scale) } else { Err("must lie between 0.001 and 100".to_owned()) }
}

pub fn version(series: &str) -> Result<Version, String> {
    let known = [Version::V97, Version::V80];
    known.into_iter().find(|version| version.series() == series).ok_or_else(|| "the benchmark knows 9.7 and 8.0".to_owned())
}
