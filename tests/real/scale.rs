//! How much a run does: little by default, much in the campaign. See `real.rs`.

use std::env;
use std::fmt::Display;
use std::str::FromStr;

use rand::SeedableRng;
use rand::rngs::StdRng;

fn number<T: FromStr<Err: Display>>(variable: &str) -> Option<T> {
    let text = env::var(variable).ok()?;
    let number = text.parse();
    Some(number.unwrap_or_else(|error| panic!("{variable}={text}: {error}")))
}

/// Rows of each sysbench table.
pub fn rows() -> u32 {
    number("POLARFERRY_TEST_ROWS").unwrap_or(5_000)
}

/// Transactions a second of a sysbench that is only there so that something happens: as many as leave the
/// rest of a small machine its share, or as many as it can.
pub fn rate() -> Option<u32> {
    number::<u32>("POLARFERRY_TEST_ROWS").is_none().then_some(150)
}

/// Whether the servers may lose their last commits in a power cut. A campaign runs as production does.
pub fn relaxed() -> bool {
    number::<u32>("POLARFERRY_TEST_ROWS").is_none()
}

/// How often a daemon is killed; at least once while it copies and once while it streams.
pub fn kills() -> u32 {
    number("POLARFERRY_TEST_KILLS").unwrap_or(4).max(2)
}

/// Whether all pairs of servers are wanted where fewer do for a change to the code.
pub fn all_pairs() -> bool {
    number("POLARFERRY_TEST_ALL") == Some(1)
}

/// Whether a binlog file of more than 4 GiB is wanted.
pub fn far() -> bool {
    number("POLARFERRY_TEST_FAR") == Some(1)
}

/// The seed of a test, which it prints: a test that failed runs again the same way, as far as the
/// machine's own timing allows.
pub fn seed() -> u64 {
    let seed = number("POLARFERRY_TEST_SEED").unwrap_or_else(rand::random);
    println!("POLARFERRY_TEST_SEED={seed}");
    seed
}

/// Number `stream` of the random sequences that belong to a seed.
pub fn random(seed: u64, stream: u64) -> StdRng {
    StdRng::seed_from_u64(seed.wrapping_add(stream.wrapping_mul(0x9E37_79B9_7F4A_7C15)))
}
