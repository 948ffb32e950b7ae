//! Where every decision comes from: one seed, and a sequence of its own for each who decides, so that what one of them does never
//! shifts what another one draws.

use std::ops::RangeInclusive;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

pub struct Dice(StdRng);

impl Dice {
    /// Number `stream` of the sequences that belong to `seed`.
    pub fn new(seed: u64, stream: u64) -> Self {
        Self(StdRng::seed_from_u64(seed.wrapping_add(stream.wrapping_mul(0x9E37_79B9_7F4A_7C15))))
    }

    pub fn between(&mut self, range: RangeInclusive<u64>) -> u64 {
        self.0.random_range(range)
    }

    /// An index of something that has `length` of them.
    pub fn below(&mut self, length: usize) -> usize {
        self.0.random_range(0..length)
    }

    pub fn chance(&mut self, percent: u32) -> bool {
        self.0.random_range(0..100) < percent
    }

    pub fn pick<'t, T>(&mut self, these: &'t [T]) -> &'t T {
        &these[self.below(these.len())]
    }

    /// Each of these with a chance of one half, in their order; at least one.
    pub fn some(&mut self, these: &[usize]) -> Vec<usize> {
        let mut some: Vec<usize> = these.iter().copied().filter(|_| self.chance(50)).collect();
        if some.is_empty() && !these.is_empty() {
            some.push(*self.pick(these));
        }
        some
    }

    /// The same things in another order.
    pub fn shuffle<T>(&mut self, these: &mut [T]) {
        for last in (1..these.len()).rev() {
            these.swap(last, self.below(last + 1));
        }
    }

    pub fn digits(&mut self, count: usize) -> String {
        (0..count).map(|_| char::from(b'0' + self.below(10) as u8)).collect()
    }
}
