//! All randomness of a run comes from one seed.

/// SplitMix64: small, fast, and the same everywhere.
#[derive(Debug, Clone)]
pub struct Random {
    state: u64,
}

impl Random {
    /// The sequence of a seed.
    pub const fn new(seed: u64) -> Random {
        Random { state: seed }
    }

    /// The next number.
    pub const fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number from 0 to `end`, without `end`.
    pub const fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    /// A number of milliseconds within both bounds.
    pub const fn between(&mut self, least: i64, most: i64) -> i64 {
        least + self.below((most - least + 1) as u64) as i64
    }

    /// Happens so many times in a thousand.
    pub const fn chance(&mut self, per_mille: u64) -> bool {
        self.below(1000) < per_mille
    }

    /// One of several.
    pub const fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len() as u64) as usize]
    }

    /// A waiting time of that mean, at least 1 ms: many short ones, few long ones.
    pub fn wait(&mut self, mean_ms: i64) -> i64 {
        let unit = (self.next() >> 11) as f64 / (1u64 << 53) as f64;
        ((-(1.0 - unit).ln()) * mean_ms as f64) as i64 + 1
    }
}
