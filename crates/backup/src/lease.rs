//! At most one collector at a time.
//!
//! *Announce, then look*: write an object of one's own, then list all; if there is another that has not expired, take
//! the own one back and give up. Of two that try at once, whoever lists later sees the other, so never do both go on
//! (both may give up). This needs no conditional put, and no two clocks are compared: ages are differences of
//! times that the *store* gave, and a holder measures its own validity from before its announcement.
//!
//! A holder that hangs may send a deletion after its validity only if the request had begun before; such
//! a request lingers for at most `REQUEST_LINGERS_MAX`, and others ignore the lease only after that as well.
//!
//! A holder that needs longer *renews*: it announces itself again, under the same name, while its lease is still valid. Others ignore
//! a lease long after its holder does, so there is no moment in which they might ignore this one, and nobody else can have collected
//! in between: what the holder has read of the store before stays as good as it was. The new validity is measured from before the
//! new announcement, too. One that has run out is never renewed: somebody else may have had the right since.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use bytes::Bytes;
use skep_blob::{BlobMeta, BlobStore, list_sorted};
use tokio::time::Instant;

use crate::error::BackupError;
use crate::layout::LEASES;
use crate::limits::{LEASE_EXPIRED, LEASE_VALID};
use crate::retry::RetryPolicy;

/// More attempts than ever collide.
const LEASES_MAX: usize = 10_000;

/// The right to collect.
#[derive(Debug)]
pub(crate) struct Lease {
    path: String,
    valid_until: Mutex<Instant>,
    /// The store's time when it was announced first.
    pub(crate) now: SystemTime,
}

impl Lease {
    /// `holder` names this attempt: node and a number never used before by this node.
    pub(crate) async fn acquire(
        store: &dyn BlobStore,
        holder: &str,
        retry: &RetryPolicy,
    ) -> Result<Self, BackupError> {
        let path = format!("{LEASES}/{holder}");
        let (valid_until, all) = announce(store, &path, retry).await?;
        let Some(ours) = all.iter().find(|meta| meta.path == path) else {
            // Somebody took it for expired, so this attempt has taken far too long.
            return Err(BackupError::CollectorBusy {
                holder: "unknown".to_owned(),
            });
        };
        let lease = Self {
            path: path.clone(),
            valid_until: Mutex::new(valid_until),
            now: ours.modified,
        };
        let (expired, live): (Vec<_>, Vec<_>) = all
            .iter()
            .filter(|meta| meta.path != path)
            .partition(|meta| is_expired(meta, lease.now));
        if let Some(other) = live.first() {
            lease.release(store, retry).await?;
            return Err(BackupError::CollectorBusy {
                holder: other.path.clone(),
            });
        }
        let expired: Vec<String> = expired.into_iter().map(|meta| meta.path.clone()).collect();
        retry.run(|| store.delete(&expired)).await?;
        Ok(lease)
    }

    /// Renews the lease if half of its validity is over. Whether a request that is begun now is covered.
    pub(crate) async fn keep(
        &self,
        store: &dyn BlobStore,
        retry: &RetryPolicy,
    ) -> Result<bool, BackupError> {
        let now = Instant::now();
        let valid_until = self.valid_until();
        if now >= valid_until || now + LEASE_VALID / 2 < valid_until {
            return Ok(self.is_valid());
        }
        let (renewed, all) = announce(store, &self.path, retry).await?;
        let ours = all.iter().find(|meta| meta.path == self.path);
        let alone = ours.is_some_and(|ours| {
            let mut others = all.iter().filter(|meta| meta.path != self.path);
            others.all(|other| is_expired(other, ours.modified))
        });
        // Whoever else is there will give up; to go on only when alone is on the safe side.
        *self.locked() = if alone { renewed } else { Instant::now() };
        Ok(self.is_valid())
    }

    fn locked(&self) -> MutexGuard<'_, Instant> {
        self.valid_until
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn valid_until(&self) -> Instant {
        *self.locked()
    }

    fn is_valid(&self) -> bool {
        Instant::now() < self.valid_until()
    }

    pub(crate) async fn release(
        &self,
        store: &dyn BlobStore,
        retry: &RetryPolicy,
    ) -> Result<(), BackupError> {
        let path = std::slice::from_ref(&self.path);
        Ok(retry.run(|| store.delete(path)).await?)
    }
}

/// Writes the lease and lists all there are then. The first is how long its holder may rely on it.
async fn announce(
    store: &dyn BlobStore,
    path: &str,
    retry: &RetryPolicy,
) -> Result<(Instant, Vec<BlobMeta>), BackupError> {
    let valid_until = Instant::now() + LEASE_VALID;
    let bytes = Bytes::from(format!("{path}\n"));
    retry.run(|| store.put(path, bytes.clone())).await?;
    let all = retry.run(|| list_sorted(store, LEASES, LEASES_MAX)).await?;
    Ok((valid_until, all))
}

fn is_expired(lease: &BlobMeta, now: SystemTime) -> bool {
    now.duration_since(lease.modified).unwrap_or_default() > LEASE_EXPIRED
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use skep_blob::MemoryBlobStore;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_second_collector_waits_until_the_first_has_released_or_expired() {
        let (store, retry) = (MemoryBlobStore::new(), RetryPolicy::never());
        let first = Lease::acquire(&store, "a", &retry).await.unwrap();
        let busy = Lease::acquire(&store, "b", &retry).await;
        assert!(matches!(busy, Err(BackupError::CollectorBusy { .. })));
        assert_eq!(
            store.paths(),
            ["gc/lease/a"],
            "the loser takes its announcement back"
        );
        first.release(&store, &retry).await.unwrap();
        Lease::acquire(&store, "c", &retry).await.unwrap();
        store.advance(LEASE_EXPIRED);
        assert!(Lease::acquire(&store, "d", &retry).await.is_err());
        store.advance(Duration::from_secs(1));
        Lease::acquire(&store, "e", &retry).await.unwrap();
        assert_eq!(store.paths(), ["gc/lease/e"]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_holder_stops_relying_on_its_lease_long_before_others_ignore_it() {
        let store = MemoryBlobStore::new();
        let lease = Lease::acquire(&store, "a", &RetryPolicy::never())
            .await
            .unwrap();
        assert!(lease.is_valid());
        tokio::time::advance(LEASE_VALID).await;
        assert!(!lease.is_valid());
    }

    #[tokio::test(start_paused = true)]
    async fn a_lease_that_is_kept_stays_valid_and_others_wait_for_it() {
        let (store, retry) = (MemoryBlobStore::new(), RetryPolicy::never());
        let lease = Lease::acquire(&store, "a", &retry).await.unwrap();
        for _ in 0..20 {
            let passes = LEASE_VALID * 2 / 3;
            tokio::time::advance(passes).await;
            store.advance(passes);
            assert!(lease.keep(&store, &retry).await.unwrap());
            let busy = Lease::acquire(&store, "b", &retry).await;
            assert!(matches!(busy, Err(BackupError::CollectorBusy { .. })));
        }
        lease.release(&store, &retry).await.unwrap();
        assert!(store.paths().is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn a_lease_that_has_run_out_or_that_somebody_else_has_too_is_not_renewed() {
        let (store, retry) = (MemoryBlobStore::new(), RetryPolicy::never());
        let late = Lease::acquire(&store, "a", &retry).await.unwrap();
        tokio::time::advance(LEASE_VALID).await;
        assert!(!late.keep(&store, &retry).await.unwrap());
        late.release(&store, &retry).await.unwrap();

        let shared = Lease::acquire(&store, "b", &retry).await.unwrap();
        let other = format!("{LEASES}/c");
        store.put(&other, Bytes::new()).await.unwrap();
        tokio::time::advance(LEASE_VALID / 2).await;
        assert!(!shared.keep(&store, &retry).await.unwrap());
        store.delete(&[other]).await.unwrap();
        assert!(!shared.keep(&store, &retry).await.unwrap());
    }
}
