//! Trying again what may work later, within a bound.
//!
//! Only for calls that may be repeated: reads, conditional puts whose `AlreadyExists` is looked into, puts of
//! content-addressed objects, deletions.

use std::time::Duration;

use skep_blob::BlobError;

/// How often and how long.
#[derive(Clone, Copy, Debug)]
pub struct RetryPolicy {
    /// Attempts in all, at least one.
    pub attempts_max: u32,
    /// Pause after the first failure; doubles each time.
    pub pause: Duration,
    /// Longest pause.
    pub pause_max: Duration,
    /// Seed of the jitter, so that nodes do not retry in step. Same seed, same pauses.
    pub seed: u64,
}

impl Default for RetryPolicy {
    /// Five attempts within about eight seconds. The S3 client has retried for longer before it reports anything.
    fn default() -> Self {
        Self {
            attempts_max: 5,
            pause: Duration::from_millis(500),
            pause_max: Duration::from_secs(10),
            seed: 0,
        }
    }
}

impl RetryPolicy {
    /// A single attempt.
    pub fn never() -> Self {
        Self {
            attempts_max: 1,
            ..Self::default()
        }
    }

    /// The last error if no attempt succeeds; the first one that is not transient.
    pub(crate) async fn run<T, F>(&self, mut call: impl FnMut() -> F) -> Result<T, BlobError>
    where
        F: Future<Output = Result<T, BlobError>>,
    {
        let mut attempt = 1;
        loop {
            match call().await {
                Err(e) if e.is_transient() && attempt < self.attempts_max => {
                    tokio::time::sleep(self.pause_after(attempt, e.path())).await;
                    attempt += 1;
                }
                result => return result,
            }
        }
    }

    /// Between half of the doubled pause and all of it, by hash of seed, path and attempt.
    fn pause_after(&self, attempt: u32, path: &str) -> Duration {
        let doubled = self
            .pause
            .saturating_mul(1 << (attempt - 1).min(16))
            .min(self.pause_max);
        let mut hasher = blake3::Hasher::new();
        hasher
            .update(&self.seed.to_le_bytes())
            .update(&attempt.to_le_bytes())
            .update(path.as_bytes());
        let [byte, ..] = *hasher.finalize().as_bytes();
        doubled / 2 + doubled.mul_f64(f64::from(byte) / 512.0)
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use skep_blob::BlobErrorKind;

    use super::*;

    async fn attempts(policy: RetryPolicy, kind: BlobErrorKind, failures: u32) -> (u32, bool) {
        let count = Cell::new(0);
        let result = policy.run(|| async {
            count.set(count.get() + 1);
            if count.get() <= failures {
                Err(BlobError::new(kind, "test", "path", ""))
            } else {
                Ok(())
            }
        });
        let succeeded = result.await.is_ok();
        (count.get(), succeeded)
    }

    #[tokio::test(start_paused = true)]
    async fn transient_failures_are_retried_up_to_the_limit_and_others_not_at_all() {
        let policy = RetryPolicy {
            attempts_max: 3,
            ..RetryPolicy::default()
        };
        assert_eq!(
            attempts(policy, BlobErrorKind::Unreachable, 2).await,
            (3, true)
        );
        assert_eq!(
            attempts(policy, BlobErrorKind::Unreachable, 3).await,
            (3, false)
        );
        assert_eq!(
            attempts(policy, BlobErrorKind::Unauthorized, 1).await,
            (1, false)
        );
        assert_eq!(
            attempts(RetryPolicy::never(), BlobErrorKind::Timeout, 1).await,
            (1, false)
        );
    }

    #[test]
    fn pauses_double_up_to_a_limit_and_differ_by_seed() {
        let policy = RetryPolicy::default();
        for attempt in 1..40 {
            let pause = policy.pause_after(attempt, "p");
            assert!(
                pause >= policy.pause / 2 && pause <= policy.pause_max,
                "{pause:?}"
            );
        }
        let other = RetryPolicy { seed: 1, ..policy };
        assert_ne!(policy.pause_after(1, "p"), other.pause_after(1, "p"));
    }
}
