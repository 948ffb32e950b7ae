//! What may be asked of the demonstration.

use std::ffi::OsString;
use std::time::Duration;

use clap::Parser;

use crate::lab::Version;
use crate::shop::Sizes;

/// Moves a live shop between two real MySQL servers and proves that nothing was lost.
#[derive(Debug, Parser)]
#[command(name = "cargo demo --")]
pub struct Arguments {
    /// Keep writing for this long after the daemon's start; without it, until 30 s of streaming
    /// have been shown
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=86_400))]
    seconds: Option<u64>,
    /// Rows in the shop, in all tables together
    #[arg(long, value_name = "N", default_value_t = 1_000_000, value_parser = clap::value_parser!(u64).range(Sizes::LEAST..=100_000_000))]
    pub rows: u64,
    /// Transactions a second that the shop's writer commits
    #[arg(long, value_name = "N", default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub tps: u32,
    /// MySQL on both ends: 9.7, 8.0 or 5.7
    #[arg(long, value_name = "SERIES", default_value = "9.7", value_parser = version)]
    version: Version,
    /// MySQL of the source, if it is another one
    #[arg(long, value_name = "SERIES", value_parser = version)]
    from: Option<Version>,
    /// MySQL of the target, if it is another one
    #[arg(long, value_name = "SERIES", value_parser = version)]
    to: Option<Version>,
    /// Seed of the writer's decisions
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,
}

impl Arguments {
    /// Of the command line. A leading `--`, which `cargo demo` passes on if its alias ends in one, is
    /// nothing.
    pub fn of_process() -> Self {
        let mut given: Vec<OsString> = std::env::args_os().collect();
        if given.get(1).is_some_and(|first| first == "--") {
            given.remove(1);
        }
        Self::parse_from(given)
    }

    pub fn from(&self) -> Version {
        self.from.unwrap_or(self.version)
    }

    pub fn to(&self) -> Version {
        self.to.unwrap_or(self.version)
    }

    pub fn time(&self) -> Option<Duration> {
        self.seconds.map(Duration::from_secs)
    }
}

fn version(series: &str) -> Result<Version, String> {
    Version::ALL.into_iter().find(|version| version.series() == series).ok_or_else(|| "the lab has 5.7, 8.0 and 9.7".to_owned())
}
