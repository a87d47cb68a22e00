//! One bucket.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// How long a debt lasts at most: what cannot be refused may take what is not there, and whoever can be refused pays for it.
const DEBT_MAX: Duration = Duration::from_secs(10);

/// So many a second, and so many at once after a rest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// Nanoseconds that one takes to come back.
    interval: u64,
    /// How many there are when the bucket is full.
    burst: u64,
}

impl Rate {
    /// At least one a second and one at once, at most a billion of each.
    pub const fn new(per_second: u32, burst: u32) -> Rate {
        assert!(per_second > 0 && burst > 0 && per_second <= 1_000_000_000);
        Rate {
            interval: 1_000_000_000 / per_second as u64,
            burst: burst as u64,
        }
    }

    /// Whether there is one at `now`, in a bucket that will be full at `full_at`.
    pub(crate) const fn has_one(self, full_at: u64, now: u64) -> bool {
        full_at.saturating_sub(now) <= (self.burst - 1) * self.interval
    }

    /// When the bucket will be full after so many are taken.
    pub(crate) fn take(self, full_at: u64, now: u64, count: u64) -> u64 {
        let latest = now + self.burst * self.interval + DEBT_MAX.as_nanos() as u64;
        let taken = self.interval.saturating_mul(count);
        full_at.max(now).saturating_add(taken).min(latest)
    }
}

/// Fills at a rate. It is full when made.
#[derive(Debug)]
pub struct Bucket {
    rate: Rate,
    made: Instant,
    /// When it will be full, in nanoseconds since it was made.
    full_at: AtomicU64,
}

impl Bucket {
    /// A full one.
    pub fn new(rate: Rate, now: Instant) -> Bucket {
        Bucket {
            rate,
            made: now,
            full_at: AtomicU64::new(0),
        }
    }

    fn nanos(&self, now: Instant) -> u64 {
        now.saturating_duration_since(self.made).as_nanos() as u64
    }

    /// Whether there is one.
    pub fn has_one(&self, now: Instant) -> bool {
        let full_at = self.full_at.load(Ordering::Relaxed);
        self.rate.has_one(full_at, self.nanos(now))
    }

    /// Takes one, if there is one.
    pub fn take(&self, now: Instant) -> bool {
        let now = self.nanos(now);
        let taken = |full_at| {
            let there = self.rate.has_one(full_at, now);
            there.then(|| self.rate.take(full_at, now, 1))
        };
        let order = Ordering::Relaxed;
        self.full_at.fetch_update(order, order, taken).is_ok()
    }

    /// Takes so many whether they are there or not. What is not there is a debt, of at most ten seconds.
    pub fn charge(&self, count: u64, now: Instant) {
        let now = self.nanos(now);
        let taken = |full_at| Some(self.rate.take(full_at, now, count));
        let order = Ordering::Relaxed;
        // It is never refused.
        let _ = self.full_at.fetch_update(order, order, taken);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(bucket: &Bucket, now: Instant) -> usize {
        (0..1000).take_while(|_| bucket.take(now)).count()
    }

    #[test]
    fn a_full_bucket_has_its_burst_and_fills_at_its_rate_up_to_that() {
        let start = Instant::now();
        let bucket = Bucket::new(Rate::new(10, 5), start);
        assert_eq!(taken(&bucket, start), 5);
        let at = |millis| start + Duration::from_millis(millis);
        assert_eq!(taken(&bucket, at(99)), 0);
        assert_eq!(taken(&bucket, at(100)), 1);
        assert_eq!(taken(&bucket, at(400)), 3);
        assert_eq!(taken(&bucket, at(60_000)), 5);
    }

    #[test]
    fn a_debt_is_paid_before_there_is_one_again() {
        let start = Instant::now();
        let bucket = Bucket::new(Rate::new(10, 5), start);
        bucket.charge(4, start);
        assert!(bucket.has_one(start));
        bucket.charge(11, start);
        let at = |millis| start + Duration::from_millis(millis);
        assert!(!bucket.has_one(start) && !bucket.has_one(at(1_099)));
        assert!(bucket.has_one(at(1_100)));
    }

    #[test]
    fn no_debt_lasts_longer_than_its_bound() {
        let start = Instant::now();
        let bucket = Bucket::new(Rate::new(1, 1), start);
        (0..3).for_each(|_| bucket.charge(u64::MAX, start));
        assert!(!bucket.has_one(start + DEBT_MAX));
        assert!(bucket.has_one(start + DEBT_MAX + Duration::from_secs(1)));
    }

    #[test]
    fn a_clock_read_before_another_thread_took_something_does_no_harm() {
        let start = Instant::now();
        let later = start + Duration::from_secs(1);
        let bucket = Bucket::new(Rate::new(1, 1), start);
        assert!(bucket.take(later));
        assert!(!bucket.take(start) && !bucket.take(later));
    }
}
