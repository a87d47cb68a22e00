//! Durations, counted in buckets whose bounds are fixed.
//!
//! Owns: a histogram that many threads count into, and counts of one thread that are added to it later.
//!
//! Invariants:
//! - Counting takes no lock and no memory: it adds to two numbers.
//! - A duration is in the first bucket whose bound it does not exceed, and in the last, which has none, if it exceeds all.
//!
//! Deliberately absent: clocks, and how a metric is called and shown.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Buckets of a histogram at most, that without a bound included.
const BUCKETS_MAX: usize = 16;

/// The upper bounds of buckets, in microseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds(&'static [u64]);

impl Bounds {
    /// At most fifteen, each greater than the one before.
    pub const fn of_micros(bounds: &'static [u64]) -> Bounds {
        assert!(bounds.len() < BUCKETS_MAX);
        let mut number = 1;
        while number < bounds.len() {
            assert!(bounds[number - 1] < bounds[number]);
            number += 1;
        }
        Bounds(bounds)
    }

    fn bucket(self, took: Duration) -> usize {
        let bounds = self.0.iter();
        bounds
            .take_while(|bound| took > Duration::from_micros(**bound))
            .count()
    }
}

/// To the nearest, so that the sum of many is right.
fn micros(took: Duration) -> u64 {
    u64::try_from((took.as_nanos() + 500) / 1_000).unwrap_or(u64::MAX)
}

/// What one thread has counted, to be added to a [`Histogram`] of the same bounds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counts {
    buckets: [u32; BUCKETS_MAX],
    micros: u64,
}

impl Counts {
    /// Something took so long.
    pub fn observe(&mut self, bounds: Bounds, took: Duration) {
        self.buckets[bounds.bucket(took)] += 1;
        self.micros = self.micros.saturating_add(micros(took));
    }
}

/// Counts from all threads.
#[derive(Debug)]
pub struct Histogram {
    bounds: Bounds,
    buckets: [AtomicU64; BUCKETS_MAX],
    micros: AtomicU64,
}

/// What a histogram has counted.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Seen {
    /// How many there were.
    pub count: u64,
    /// How long all of them took.
    pub seconds: f64,
    /// How many took at most so many seconds, and longer than those before.
    pub buckets: Vec<(f64, u64)>,
}

impl Histogram {
    /// Nothing counted yet.
    pub fn new(bounds: Bounds) -> Histogram {
        Histogram {
            bounds,
            buckets: Default::default(),
            micros: AtomicU64::new(0),
        }
    }

    /// Something took so long.
    pub fn observe(&self, took: Duration) {
        self.buckets[self.bounds.bucket(took)].fetch_add(1, Ordering::Relaxed);
        self.micros.fetch_add(micros(took), Ordering::Relaxed);
    }

    /// Adds what was counted with the same bounds.
    pub fn add(&self, counts: &Counts) {
        for (bucket, count) in self.buckets.iter().zip(counts.buckets) {
            if count > 0 {
                bucket.fetch_add(u64::from(count), Ordering::Relaxed);
            }
        }
        if counts.micros > 0 {
            self.micros.fetch_add(counts.micros, Ordering::Relaxed);
        }
    }

    /// What was counted.
    pub fn seen(&self) -> Seen {
        let bounds = self.bounds.0.iter().map(|bound| *bound as f64 / 1e6);
        let buckets: Vec<(f64, u64)> = bounds
            .chain([f64::INFINITY])
            .zip(&self.buckets)
            .map(|(bound, bucket)| (bound, bucket.load(Ordering::Relaxed)))
            .collect();
        Seen {
            count: buckets.iter().map(|(_, count)| count).sum(),
            seconds: self.micros.load(Ordering::Relaxed) as f64 / 1e6,
            buckets,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUNDS: Bounds = Bounds::of_micros(&[10, 1_000, 2_000_000]);

    fn counts(seen: &Seen) -> Vec<u64> {
        seen.buckets.iter().map(|(_, count)| *count).collect()
    }

    #[test]
    fn a_duration_is_in_the_first_bucket_that_it_does_not_exceed() {
        let histogram = Histogram::new(BOUNDS);
        let nanos = [
            0,
            10_000,
            10_001,
            1_000_000,
            1_500_000,
            2_000_000_000,
            5_000_000_000,
        ];
        for took in nanos.map(Duration::from_nanos) {
            histogram.observe(took);
        }
        let seen = histogram.seen();
        assert_eq!(counts(&seen), [2, 2, 2, 1]);
        assert_eq!((seen.count, seen.seconds), (7, 7.00252));
        let bounds: Vec<f64> = seen.buckets.iter().map(|(bound, _)| *bound).collect();
        assert_eq!(bounds, [0.00001, 0.001, 2.0, f64::INFINITY]);
    }

    #[test]
    fn what_was_counted_apart_is_added() {
        let (histogram, mut apart) = (Histogram::new(BOUNDS), Counts::default());
        histogram.observe(Duration::from_secs(1));
        for millis in [1, 3, 4_000] {
            apart.observe(BOUNDS, Duration::from_millis(millis));
        }
        histogram.add(&apart);
        let seen = histogram.seen();
        assert_eq!(counts(&seen), [0, 1, 2, 1]);
        assert_eq!((seen.count, seen.seconds), (4, 5.004));
    }
}
