//! The cluster manifest: written by whoever notices that the last partition is there.

use futures::{StreamExt, TryStreamExt, stream};
use skep_blob::{BlobErrorKind, BlobStore};

use crate::error::BackupError;
use crate::ids::{BackupId, PartitionId};
use crate::layout::BackupObject;
use crate::limits::MANIFEST_READS;
use crate::manifest::{ClusterManifest, PartitionManifest, PartitionSummary};
use crate::marker::is_deleted;
use crate::retry::RetryPolicy;
use crate::upload::backup_objects;

/// Write the cluster manifest if all partitions have theirs. None if some are missing; safe to call
/// at any time, by several nodes at once: all write the same bytes.
pub async fn complete_backup(
    store: &dyn BlobStore,
    backup: BackupId,
    retry: &RetryPolicy,
) -> Result<Option<ClusterManifest>, BackupError> {
    let objects = backup_objects(store, backup, retry).await?;
    if objects.contains(&BackupObject::Deleted) {
        return Err(BackupError::Deleted { backup });
    }
    if let Some((manifest, _)) = ClusterManifest::read(store, backup, retry).await? {
        return Ok(Some(manifest));
    }
    let Some(manifest) = gather(store, backup, &objects, retry).await? else {
        return Ok(None);
    };
    write(store, &manifest, retry).await?;
    Ok(Some(manifest))
}

/// The cluster manifest as it follows from the partitions' manifests, if all are there.
pub(crate) async fn gather(
    store: &dyn BlobStore,
    backup: BackupId,
    objects: &[BackupObject],
    retry: &RetryPolicy,
) -> Result<Option<ClusterManifest>, BackupError> {
    let partitions: Vec<PartitionId> = objects
        .iter()
        .filter_map(|object| match object {
            BackupObject::Manifest(partition) => Some(*partition),
            _ => None,
        })
        .collect();
    let Some(first) = partitions.first() else {
        return Ok(None);
    };
    let first = summary(store, backup, *first, retry).await?;
    if partitions.len() < first.identity.partition_count as usize {
        return Ok(None);
    }
    let summaries =
        stream::iter(partitions).map(|partition| summary(store, backup, partition, retry));
    let summaries: Vec<_> = summaries.buffered(MANIFEST_READS).try_collect().await?;
    let manifest = ClusterManifest::from_partitions(summaries)
        .map_err(|detail| BackupError::Inconsistent { backup, detail })?;
    Ok(Some(manifest))
}

async fn write(
    store: &dyn BlobStore,
    manifest: &ClusterManifest,
    retry: &RetryPolicy,
) -> Result<(), BackupError> {
    let backup = manifest.backup_id;
    let path = BackupObject::Cluster.path(backup);
    let bytes = manifest.encode();
    match retry
        .run(|| store.put_if_absent(&path, bytes.clone()))
        .await
    {
        // It exists: it follows from the partition manifests, which do not change, so it is the same.
        Ok(_) => {}
        Err(e) if e.kind() == BlobErrorKind::NotSupported => {
            retry.run(|| store.put(&path, bytes.clone())).await?
        }
        Err(e) => return Err(e.into()),
    }
    // A deletion puts its marker first and removes this manifest afterwards, so either it has removed what we wrote or
    // we see its marker now.
    if is_deleted(store, backup, retry).await? {
        let path = [path];
        retry.run(|| store.delete(&path)).await?;
        return Err(BackupError::Deleted { backup });
    }
    Ok(())
}

async fn summary(
    store: &dyn BlobStore,
    backup: BackupId,
    partition: PartitionId,
    retry: &RetryPolicy,
) -> Result<PartitionSummary, BackupError> {
    let read = PartitionManifest::read(store, backup, partition, retry).await?;
    // It was listed just now, so it is being deleted.
    let (manifest, bytes) = read.ok_or(BackupError::Deleted { backup })?;
    Ok(manifest.summary(&bytes))
}
