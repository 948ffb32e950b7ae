//! How much a campaign does; see `differential.rs`.

use std::env;
use std::fmt::{self, Display};
use std::str::FromStr;
use std::time::Duration;

use crate::lab::Version;

fn number<T: FromStr<Err: Display>>(variable: &str) -> Option<T> {
    let text = env::var(variable).ok()?;
    let number = text.parse();
    Some(number.unwrap_or_else(|error| panic!("{variable}={text}: {error}")))
}

/// From which version to which.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Route {
    pub source: Version,
    pub target: Version,
}

impl Route {
    pub const V97: Self = Self { source: Version::V97, target: Version::V97 };
    const V80: Self = Self { source: Version::V80, target: Version::V80 };
    /// Aurora 2 to PolarDB 8.0.
    const V57_TO_V80: Self = Self { source: Version::V57, target: Version::V80 };
    const ALL: [Self; 3] = [Self::V97, Self::V80, Self::V57_TO_V80];
}

impl Display for Route {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}-{}", self.source.series(), self.target.series())
    }
}

/// The routes that are wanted.
pub fn routes() -> Vec<Route> {
    let Ok(name) = env::var("POLARFERRY_FUZZ_ROUTE") else { return Route::ALL.to_vec() };
    let found = Route::ALL.into_iter().find(|route| route.to_string() == name);
    vec![found.unwrap_or_else(|| panic!("POLARFERRY_FUZZ_ROUTE={name}: one of {}", Route::ALL.map(|r| r.to_string()).join(", ")))]
}

/// How long the writers of one seed write.
pub fn span() -> Duration {
    Duration::from_secs(number("POLARFERRY_FUZZ_SECONDS").unwrap_or(15))
}

/// The seeds of each route: those after `POLARFERRY_FUZZ_SEED`, itself the first.
pub fn seeds() -> Vec<u64> {
    let first = number("POLARFERRY_FUZZ_SEED").unwrap_or_else(|| u64::from(rand::random::<u32>()));
    let count = number("POLARFERRY_FUZZ_SEEDS").unwrap_or(1);
    (0..count).map(|at| first.wrapping_add(at)).collect()
}

/// How many seeds run at the same time.
pub fn jobs() -> usize {
    number("POLARFERRY_FUZZ_JOBS").unwrap_or(1).max(1)
}

/// Whether the target logs every statement; the log is kept with the rest of a failure's evidence.
pub fn trace() -> bool {
    number("POLARFERRY_FUZZ_TRACE") == Some(1)
}
