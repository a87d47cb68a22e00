//! From a backup in the store to sorted pairs on this node.
//!
//! Chunks are read several at a time and handed over in key order, each after its hash was checked. The sink writes on a
//! blocking thread, behind a short queue: a slow disk slows reading down, memory does not grow. Nor does it with the number of
//! partitions restored at once: they share a bound of the chunks that are being read or wait for their sink.

use std::sync::Arc;

use futures::{StreamExt, stream};
use skep_blob::{BlobRef, BlobStore};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

use crate::cancel::Cancel;
use crate::chunk::PairRun;
use crate::document;
use crate::fetch::{FetchError, fetch_chunk};
use crate::ids::{BackupId, PartitionId};
use crate::limits::RESTORED_CHUNKS_MAX;
use crate::manifest::{ClusterManifest, PartitionManifest};
use crate::restore_error::RestoreError;
use crate::retry::RetryPolicy;
use crate::status::{BackupState, BackupStatus, read_backup, read_status};

/// Chunks checked but not yet taken by the sink.
const CHUNKS_AHEAD: usize = 2;

/// Takes a partition's content. Blocking.
pub trait RestoreSink: Send + 'static {
    /// Pairs in ascending key order, all above those of earlier calls.
    fn write(&mut self, pairs: &PairRun) -> Result<(), SinkError>;

    /// Everything was written: make it durable.
    fn finish(&mut self) -> Result<(), SinkError>;
}

/// The sink cannot take the content.
#[derive(Debug, thiserror::Error)]
#[error("{detail}")]
pub struct SinkError {
    /// What failed.
    pub detail: String,
}

/// Told how far a restore is.
pub trait Progress: Send + Sync {
    /// Once per partition, before its first chunk.
    fn begin(&self, partition: PartitionId, chunks: u64, bytes: u64);
    /// So much more has been handed to the sink; bytes of canonical encodings.
    fn advance(&self, partition: PartitionId, chunks: u64, bytes: u64);
}

/// How to restore.
#[derive(Clone, Debug)]
pub struct RestoreOptions {
    /// Chunks of a partition read at once. Each takes up to 13 MiB of memory, twice that if it is patched.
    pub parallelism: usize,
    /// Chunks that all partitions whose restore was given these options, or clones of them, have in memory at once.
    pub chunks: Arc<Semaphore>,
    /// For each call to the store.
    pub retry: RetryPolicy,
    /// To stop early.
    pub cancel: Cancel,
}

impl Default for RestoreOptions {
    fn default() -> Self {
        Self {
            parallelism: 8,
            chunks: Arc::new(Semaphore::new(RESTORED_CHUNKS_MAX)),
            retry: RetryPolicy::default(),
            cancel: Cancel::new(),
        }
    }
}

/// A backup that was found fit to be restored.
#[derive(Clone, Debug)]
pub struct RestorableBackup {
    /// The set.
    pub cluster: ClusterManifest,
    /// Its partitions, from 1.
    pub partitions: Vec<PartitionManifest>,
    /// BLAKE3 of the cluster manifest's bytes: names exactly this backup.
    pub checksum: String,
}

impl RestorableBackup {
    /// The manifest of a partition.
    pub fn partition(&self, partition: PartitionId) -> Option<&PartitionManifest> {
        self.partitions
            .iter()
            .find(|manifest| manifest.identity.partition == partition)
    }
}

/// Find the backup and check that it suits this cluster, or say why not. Reads manifests only.
pub async fn find_restorable(
    store: &dyn BlobStore,
    backup: BackupId,
    partition_count: u32,
    state_version_max: u32,
    now_ms: u64,
    retry: &RetryPolicy,
) -> Result<RestorableBackup, RestoreError> {
    let status = read_status(store, backup, 0, now_ms, retry).await?;
    let missing = || {
        let missing = status
            .details
            .iter()
            .filter(|detail| detail.state == BackupState::DoesNotExist);
        missing.map(|detail| detail.partition).collect()
    };
    // All partitions may be there without a cluster manifest, if whoever wrote the last one died; it is made up for here.
    match status.state {
        BackupState::DoesNotExist => return Err(RestoreError::NotFound { backup }),
        BackupState::Incomplete => {
            return Err(RestoreError::Incomplete {
                backup,
                missing: missing(),
            });
        }
        BackupState::InProgress => return Err(RestoreError::InProgress { backup }),
        BackupState::Failed => {
            return Err(RestoreError::Failed {
                backup,
                reason: status.failure_reason.unwrap_or_default(),
            });
        }
        BackupState::Completed => {}
    }
    if ClusterManifest::read(store, backup, retry).await?.is_none()
        && crate::complete_backup(store, backup, retry)
            .await?
            .is_none()
    {
        let missing = lacking(store, &status, retry).await?;
        return Err(RestoreError::Incomplete { backup, missing });
    }
    let (cluster, partitions) = read_backup(store, backup, retry).await?;
    if cluster.partition_count != partition_count {
        return Err(RestoreError::PartitionCount {
            expected: partition_count,
            found: cluster.partition_count,
        });
    }
    let newest = partitions
        .iter()
        .max_by_key(|manifest| manifest.identity.state_version);
    if let Some(newest) =
        newest.filter(|manifest| manifest.identity.state_version > state_version_max)
    {
        return Err(RestoreError::StateTooNew {
            found: newest.identity.state_version,
            supported: state_version_max,
            broker_version: newest.identity.broker_version.clone(),
        });
    }
    let checksum = document::checksum(&cluster.encode());
    Ok(RestorableBackup {
        cluster,
        partitions,
        checksum,
    })
}

/// The partitions of which the store has nothing at all: how many there should be, the others know.
async fn lacking(
    store: &dyn BlobStore,
    status: &BackupStatus,
    retry: &RetryPolicy,
) -> Result<Vec<PartitionId>, RestoreError> {
    let there: Vec<_> = status.details.iter().map(|one| one.partition).collect();
    let Some(one) = there.first() else {
        return Ok(Vec::new());
    };
    let manifest = PartitionManifest::read(store, status.backup_id, *one, retry).await?;
    let count = manifest.map_or(0, |(manifest, _)| manifest.identity.partition_count);
    let all = (1..=count).map(PartitionId);
    Ok(all.filter(|partition| !there.contains(partition)).collect())
}

/// What the sink is to write, and its share of the chunks in memory until it has.
type Fetched = (PairRun, Option<OwnedSemaphorePermit>);

/// Hand the content of a partition to the sink.
pub async fn restore_partition(
    store: &BlobRef,
    manifest: &PartitionManifest,
    sink: Box<dyn RestoreSink>,
    progress: &dyn Progress,
    options: &RestoreOptions,
) -> Result<(), RestoreError> {
    assert!(
        options.parallelism > 0,
        "a restore reads at least one chunk at a time"
    );
    let partition = manifest.identity.partition;
    let bytes = manifest
        .chunks
        .iter()
        .map(|chunk| chunk.info.raw_bytes)
        .sum();
    progress.begin(partition, manifest.chunks.len() as u64, bytes);
    let (sender, receiver) = mpsc::channel(CHUNKS_AHEAD);
    let writer = tokio::task::spawn_blocking(move || write_all(sink, receiver));
    let fed = tokio::select! {
        biased;
        () = options.cancel.cancelled() => Err(RestoreError::Cancelled),
        fed = feed(store, manifest, &sender, progress, options) => fed,
    };
    // Only a sink that was told that this is all may finish.
    if fed.is_ok() {
        let _ = sender.send((PairRun::end(), None)).await;
    }
    drop(sender);
    let written = writer
        .await
        .map_err(|e| RestoreError::Internal(e.to_string()))?;
    let written = written.map_err(|e| RestoreError::Sink {
        partition,
        detail: e.detail,
    });
    // If the sink failed, feeding stopped for that reason.
    match (written, fed) {
        (Err(e), Ok(()) | Err(RestoreError::Internal(_))) => Err(e),
        (_, fed) => fed,
    }
}

async fn feed(
    store: &BlobRef,
    manifest: &PartitionManifest,
    sender: &mpsc::Sender<Fetched>,
    progress: &dyn Progress,
    options: &RestoreOptions,
) -> Result<(), RestoreError> {
    let chunks = &manifest.chunks;
    // One after the other, so that a chunk never has to wait for a later one of its partition, which waits for its turn at the sink.
    let shares = stream::iter(chunks.iter().enumerate()).then(|numbered| async move {
        let share = Arc::clone(&options.chunks).acquire_owned().await;
        (numbered, share.expect("the semaphore is never closed"))
    });
    let fetches = shares.map(|((number, chunk), share)| async move {
        let next = chunks
            .get(number + 1)
            .map(|next| next.info.first_key.clone());
        let fetched = fetch_chunk(store, chunk, next, &options.retry).await;
        (chunk, share, fetched)
    });
    let mut fetches = std::pin::pin!(fetches.buffered(options.parallelism));
    while let Some((chunk, share, fetched)) = fetches.next().await {
        let pairs = match fetched {
            Ok(pairs) => pairs,
            Err(FetchError::Other(e)) => return Err(e.into()),
            Err(FetchError::Damage { path, kind }) => {
                return Err(RestoreError::ChunkDamaged {
                    partition: manifest.identity.partition,
                    path,
                    kind,
                });
            }
        };
        if sender.send((pairs, Some(share))).await.is_err() {
            return Err(RestoreError::Internal("the sink stopped".to_owned()));
        }
        progress.advance(manifest.identity.partition, 1, chunk.info.raw_bytes);
    }
    Ok(())
}

/// An empty run marks the end; without it the content is not complete and the sink does not finish.
fn write_all(
    mut sink: Box<dyn RestoreSink>,
    mut receiver: mpsc::Receiver<Fetched>,
) -> Result<(), SinkError> {
    while let Some((pairs, _share)) = receiver.blocking_recv() {
        if pairs.is_empty() {
            return sink.finish();
        }
        sink.write(&pairs)?;
    }
    Ok(())
}
