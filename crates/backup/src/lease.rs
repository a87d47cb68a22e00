//! At most one collector at a time.
//!
//! *Announce, then look*: write an object of one's own, then list all; if there is another that has not expired, take
//! the own one back and give up. Of two that try at once, whoever lists later sees the other, so never do both go on
//! (both may give up). This needs no conditional put, and no two clocks are compared: ages are differences of
//! times that the *store* gave, and a holder measures its own validity from before its announcement.
//!
//! A holder that hangs may send a deletion after its validity only if the request had begun before; such
//! a request lingers for at most `REQUEST_LINGERS_MAX`, and others ignore the lease only after that as well.

use std::time::SystemTime;

use bytes::Bytes;
use skep_blob::{BlobStore, list_sorted};
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
    valid_until: Instant,
    /// The store's time when it was announced.
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
        let valid_until = Instant::now() + LEASE_VALID;
        let bytes = Bytes::from(format!("{holder}\n"));
        retry.run(|| store.put(&path, bytes.clone())).await?;
        let all = retry.run(|| list_sorted(store, LEASES, LEASES_MAX)).await?;
        let Some(ours) = all.iter().find(|meta| meta.path == path) else {
            // Somebody took it for expired, so this attempt has taken far too long.
            return Err(BackupError::CollectorBusy {
                holder: "unknown".to_owned(),
            });
        };
        let lease = Self {
            path: path.clone(),
            valid_until,
            now: ours.modified,
        };
        let age = |meta: &skep_blob::BlobMeta| {
            lease.now.duration_since(meta.modified).unwrap_or_default()
        };
        let (expired, live): (Vec<_>, Vec<_>) = all
            .iter()
            .filter(|meta| meta.path != path)
            .partition(|meta| age(meta) > LEASE_EXPIRED);
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

    /// Whether a request that is begun now is covered.
    pub(crate) fn is_valid(&self) -> bool {
        Instant::now() < self.valid_until
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
}
