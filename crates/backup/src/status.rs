//! What there is, told from the store alone.
//!
//! States and their aggregation are Zeebe's (backup.md 3.2). A partition is COMPLETED by its manifest, FAILED by its
//! marker or by an upload whose deadline has passed without either, IN_PROGRESS by an upload that has begun.

use std::collections::BTreeMap;

use futures::{StreamExt, TryStreamExt, stream};
use skep_blob::{BlobStore, list_sorted};

use crate::complete::gather;
use crate::error::BackupError;
use crate::ids::{BackupId, PartitionId};
use crate::layout::{BACKUPS, BackupObject};
use crate::limits::{BACKUP_OBJECTS_MAX, MANIFEST_READS};
use crate::manifest::{ClusterManifest, PartitionManifest, PartitionSummary};
use crate::marker::{is_deleted, read_failed, read_started};
use crate::retry::RetryPolicy;
use crate::upload::backup_objects;

/// State of a backup or of a partition's part; the latter is never `Incomplete`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum BackupState {
    /// Nothing there.
    DoesNotExist,
    /// Some partitions have begun, others have not.
    Incomplete,
    /// It will not be completed by itself.
    Failed,
    /// Somebody is at it.
    InProgress,
    /// Everything is there.
    Completed,
}

impl BackupState {
    /// As in the management API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::DoesNotExist => "DOES_NOT_EXIST",
            Self::Incomplete => "INCOMPLETE",
            Self::Failed => "FAILED",
            Self::InProgress => "IN_PROGRESS",
            Self::Completed => "COMPLETED",
        }
    }
}

/// A partition's part of a backup. Unknown fields are absent, as in the management API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartitionStatus {
    /// The partition.
    pub partition: PartitionId,
    /// Its state.
    pub state: BackupState,
    /// If failed.
    pub failure_reason: Option<String>,
    /// When the upload began, in milliseconds since 1970.
    pub created_at_ms: Option<u64>,
    /// When the state was reached.
    pub last_updated_at_ms: Option<u64>,
    /// Zeebe's snapshot id.
    pub snapshot_id: Option<String>,
    /// Position of the checkpoint.
    pub checkpoint_position: Option<u64>,
    /// Who uploads or has uploaded.
    pub broker_id: Option<u32>,
    /// Its version.
    pub broker_version: Option<String>,
}

/// A backup.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BackupStatus {
    /// Its id.
    pub backup_id: BackupId,
    /// Over all partitions.
    pub state: BackupState,
    /// If failed: the reasons of all partitions.
    pub failure_reason: Option<String>,
    /// Every partition of the cluster, in order.
    pub details: Vec<PartitionStatus>,
}

impl PartitionStatus {
    /// A status of which nothing but the state is known.
    pub fn new(partition: PartitionId, state: BackupState) -> Self {
        Self {
            partition,
            state,
            failure_reason: None,
            created_at_ms: None,
            last_updated_at_ms: None,
            snapshot_id: None,
            checkpoint_position: None,
            broker_id: None,
            broker_version: None,
        }
    }

    fn completed(summary: &PartitionSummary) -> Self {
        let identity = &summary.identity;
        Self {
            created_at_ms: Some(summary.created_at_ms),
            last_updated_at_ms: Some(summary.completed_at_ms),
            snapshot_id: identity.snapshot_id.clone(),
            checkpoint_position: Some(identity.checkpoint_position),
            broker_id: Some(identity.node_id),
            broker_version: Some(identity.broker_version.clone()),
            ..Self::new(identity.partition, BackupState::Completed)
        }
    }
}

impl BackupStatus {
    /// The status of a backup from those of its partitions.
    pub fn aggregate(backup_id: BackupId, details: Vec<PartitionStatus>) -> Self {
        let any = |state| details.iter().any(|detail| detail.state == state);
        let (missing, begun) = (
            any(BackupState::DoesNotExist),
            any(BackupState::InProgress) || any(BackupState::Completed),
        );
        let state = match () {
            () if any(BackupState::Failed) => BackupState::Failed,
            () if begun && missing => BackupState::Incomplete,
            () if any(BackupState::InProgress) => BackupState::InProgress,
            () if missing || details.is_empty() => BackupState::DoesNotExist,
            () => BackupState::Completed,
        };
        let reason = |detail: &PartitionStatus| {
            let reason = detail.failure_reason.as_deref().unwrap_or("Unknown reason");
            format!(
                "Backup on partition {} failed due to {reason}. ",
                detail.partition
            )
        };
        let failed = details
            .iter()
            .filter(|detail| detail.state == BackupState::Failed);
        let reasons: String = failed.map(reason).collect();
        let failure_reason = (state == BackupState::Failed).then_some(reasons);
        Self {
            backup_id,
            state,
            failure_reason,
            details,
        }
    }
}

/// Status of one backup. `partition_count` is the cluster's; where the backup says otherwise, the greater number is shown.
/// A damaged manifest is an error.
pub async fn read_status(
    store: &dyn BlobStore,
    backup: BackupId,
    partition_count: u32,
    now_ms: u64,
    retry: &RetryPolicy,
) -> Result<BackupStatus, BackupError> {
    let objects = backup_objects(store, backup, retry).await?;
    status_of(store, backup, &objects, partition_count, now_ms, retry).await
}

/// All backups, by ascending id. One with a damaged manifest is shown as failed, so that it does not hide the others.
pub async fn list_backups(
    store: &dyn BlobStore,
    partition_count: u32,
    now_ms: u64,
    retry: &RetryPolicy,
) -> Result<Vec<BackupStatus>, BackupError> {
    let backups = all_backups(store, retry).await?;
    let statuses = stream::iter(backups).map(|(backup, objects)| async move {
        match status_of(store, backup, &objects, partition_count, now_ms, retry).await {
            Err(e @ (BackupError::Damaged { .. } | BackupError::TooNew { .. })) => {
                Ok(unreadable(backup, &objects, partition_count, &e))
            }
            status => status,
        }
    });
    let statuses: Vec<BackupStatus> = statuses.buffered(MANIFEST_READS).try_collect().await?;
    Ok(statuses
        .into_iter()
        .filter(|status| status.state != BackupState::DoesNotExist)
        .collect())
}

/// The objects of every backup.
pub(crate) async fn all_backups(
    store: &dyn BlobStore,
    retry: &RetryPolicy,
) -> Result<BTreeMap<BackupId, Vec<BackupObject>>, BackupError> {
    let found = retry
        .run(|| list_sorted(store, BACKUPS, BACKUP_OBJECTS_MAX))
        .await?;
    let mut backups = BTreeMap::<_, Vec<_>>::new();
    for (backup, object) in found
        .iter()
        .filter_map(|meta| BackupObject::parse(&meta.path))
    {
        backups.entry(backup).or_default().push(object);
    }
    Ok(backups)
}

/// The manifests of a completed backup. The cluster's is made up, not written, where all partitions have theirs and whoever
/// wrote the last one has not come to it: the backup counts as completed by then.
pub async fn read_backup(
    store: &dyn BlobStore,
    backup: BackupId,
    retry: &RetryPolicy,
) -> Result<(ClusterManifest, Vec<PartitionManifest>), BackupError> {
    let objects = backup_objects(store, backup, retry).await?;
    let cluster = match ClusterManifest::read(store, backup, retry).await? {
        Some((cluster, _)) => Some(cluster),
        None => gather(store, backup, &objects, retry).await?,
    };
    // A deletion puts its marker first and removes the cluster manifest next, perhaps since the listing.
    let Some(cluster) = cluster.filter(|_| !objects.contains(&BackupObject::Deleted)) else {
        return Err(BackupError::NotFound { backup });
    };
    if !objects.contains(&BackupObject::Cluster) && is_deleted(store, backup, retry).await? {
        return Err(BackupError::NotFound { backup });
    }
    let partitions = stream::iter(cluster.partitions.clone()).map(|summary| async move {
        let partition = summary.identity.partition;
        let path = BackupObject::Manifest(partition).path(backup);
        let damaged = |detail: &str| BackupError::Damaged {
            path,
            detail: detail.to_owned(),
        };
        match PartitionManifest::read(store, backup, partition, retry).await? {
            None => Err(damaged(
                "the cluster manifest refers to it, but it is missing",
            )),
            Some((manifest, bytes)) if manifest.summary(&bytes) == summary => Ok(manifest),
            Some(_) => Err(damaged(
                "it is another one than the cluster manifest refers to",
            )),
        }
    });
    let partitions = partitions.buffered(MANIFEST_READS).try_collect().await?;
    Ok((cluster, partitions))
}

async fn status_of(
    store: &dyn BlobStore,
    backup: BackupId,
    objects: &[BackupObject],
    partition_count: u32,
    now_ms: u64,
    retry: &RetryPolicy,
) -> Result<BackupStatus, BackupError> {
    let objects = if objects.contains(&BackupObject::Deleted) {
        &[]
    } else {
        objects
    };
    if objects.contains(&BackupObject::Cluster)
        && let Some((cluster, _)) = ClusterManifest::read(store, backup, retry).await?
    {
        let details = cluster.partitions.iter().map(PartitionStatus::completed);
        let missing = (cluster.partition_count + 1..=partition_count)
            .map(|number| PartitionStatus::new(PartitionId(number), BackupState::DoesNotExist));
        return Ok(BackupStatus::aggregate(
            backup,
            details.chain(missing).collect(),
        ));
    }
    let highest = objects
        .iter()
        .filter_map(|object| object.partition())
        .map(|p| p.0)
        .max();
    let partitions = stream::iter(1..=highest.unwrap_or(0).max(partition_count))
        .map(|number| partition_status(store, backup, objects, PartitionId(number), now_ms, retry));
    let details = partitions.buffered(MANIFEST_READS).try_collect().await?;
    Ok(BackupStatus::aggregate(backup, details))
}

async fn partition_status(
    store: &dyn BlobStore,
    backup: BackupId,
    objects: &[BackupObject],
    partition: PartitionId,
    now_ms: u64,
    retry: &RetryPolicy,
) -> Result<PartitionStatus, BackupError> {
    let has = |object| objects.contains(&object);
    if has(BackupObject::Manifest(partition))
        && let Some((manifest, bytes)) =
            PartitionManifest::read(store, backup, partition, retry).await?
    {
        return Ok(PartitionStatus::completed(&manifest.summary(&bytes)));
    }
    let started = if has(BackupObject::Started(partition)) {
        read_started(store, backup, partition, retry).await?
    } else {
        None
    };
    let created_at_ms = started.as_ref().map(|started| started.started_at_ms);
    if has(BackupObject::Failed(partition))
        && let Some(failed) = read_failed(store, backup, partition, retry).await?
    {
        return Ok(PartitionStatus {
            failure_reason: Some(failed.reason),
            created_at_ms,
            last_updated_at_ms: Some(failed.failed_at_ms),
            ..PartitionStatus::new(partition, BackupState::Failed)
        });
    }
    let Some(started) = started else {
        return Ok(PartitionStatus::new(partition, BackupState::DoesNotExist));
    };
    if now_ms > started.deadline_ms {
        let reason = format!(
            "the upload by broker {} did not end by its deadline",
            started.identity.node_id
        );
        return Ok(PartitionStatus {
            failure_reason: Some(reason),
            created_at_ms,
            last_updated_at_ms: Some(started.deadline_ms),
            ..PartitionStatus::new(partition, BackupState::Failed)
        });
    }
    Ok(PartitionStatus {
        created_at_ms,
        last_updated_at_ms: created_at_ms,
        snapshot_id: started.identity.snapshot_id,
        checkpoint_position: Some(started.identity.checkpoint_position),
        broker_id: Some(started.identity.node_id),
        broker_version: Some(started.identity.broker_version),
        ..PartitionStatus::new(partition, BackupState::InProgress)
    })
}

fn unreadable(
    backup: BackupId,
    objects: &[BackupObject],
    partition_count: u32,
    e: &BackupError,
) -> BackupStatus {
    let highest = objects
        .iter()
        .filter_map(|object| object.partition())
        .map(|p| p.0)
        .max();
    let details = (1..=highest.unwrap_or(0).max(partition_count)).map(|number| PartitionStatus {
        failure_reason: Some(e.to_string()),
        ..PartitionStatus::new(PartitionId(number), BackupState::Failed)
    });
    BackupStatus {
        state: BackupState::Failed,
        failure_reason: Some(e.to_string()),
        ..BackupStatus::aggregate(backup, details.collect())
    }
}
