//! One status out of what the store says and what the partitions' states know.
//!
//! The store knows what is complete; a partition's state knows what has begun, and what has failed while the store could not be
//! reached.

use std::collections::BTreeMap;
use std::time::Duration;

use futures::future::join_all;
use skep_backup::{BackupId, BackupState, BackupStatus, PartitionId, PartitionStatus};
use tokio::time::timeout;

use crate::{KnownBackup, Node, RequestError};

/// What the partitions of this node know, by backup and partition. A partition that cannot be asked knows nothing.
pub(crate) async fn known(node: &dyn Node) -> BTreeMap<BackupId, BTreeMap<u32, KnownBackup>> {
    let partitions: Vec<u32> = (1..=node.partition_count()).collect();
    let answers = join_all(
        partitions
            .iter()
            .map(|partition| node.known_backups(*partition)),
    )
    .await;
    let mut by_backup: BTreeMap<BackupId, BTreeMap<u32, KnownBackup>> = BTreeMap::new();
    for (partition, backups) in partitions.into_iter().zip(answers) {
        for backup in backups.unwrap_or_default() {
            by_backup
                .entry(backup.id)
                .or_default()
                .insert(partition, backup);
        }
    }
    by_backup
}

/// Status of one backup. A store that cannot be reached, or does not answer within `patience`, is often why a backup has failed or
/// is still in progress: then the partitions' word, if they know the backup, is worth more than an error.
pub(crate) async fn of(
    node: &dyn Node,
    id: BackupId,
    patience: Duration,
) -> Result<BackupStatus, RequestError> {
    let known = known(node).await.remove(&id).unwrap_or_default();
    if known.is_empty() {
        return node.stored_backup(id).await;
    }
    match timeout(patience, node.stored_backup(id)).await {
        Ok(Ok(stored)) => Ok(merge(stored, &known)),
        Err(_) | Ok(Err(RequestError::Failed(_))) => {
            Ok(merge(nothing_stored(id, node.partition_count()), &known))
        }
        Ok(Err(error)) => Err(error),
    }
}

/// Status of all backups, by ascending id.
pub(crate) async fn all(node: &dyn Node) -> Result<Vec<BackupStatus>, RequestError> {
    let mut known = known(node).await;
    let stored = node.stored_backups().await?;
    let mut all: Vec<BackupStatus> = stored
        .into_iter()
        .map(|status| {
            let known = known.remove(&status.backup_id).unwrap_or_default();
            merge(status, &known)
        })
        .collect();
    all.extend(
        known
            .iter()
            .map(|(id, known)| merge(nothing_stored(*id, node.partition_count()), known)),
    );
    all.sort_by_key(|status| status.backup_id);
    Ok(all)
}

/// The store's status with what the partitions know in addition.
pub fn merge(stored: BackupStatus, known: &BTreeMap<u32, KnownBackup>) -> BackupStatus {
    let id = stored.backup_id;
    let details = stored
        .details
        .into_iter()
        .map(|detail| match known.get(&detail.partition.0) {
            Some(known) => merge_partition(detail, known),
            None => detail,
        })
        .collect();
    BackupStatus::aggregate(id, details)
}

fn merge_partition(mut detail: PartitionStatus, known: &KnownBackup) -> PartitionStatus {
    match (detail.state, &known.failure) {
        (BackupState::Completed | BackupState::Failed, _) => {}
        (_, Some(reason)) => {
            detail.state = BackupState::Failed;
            detail.failure_reason = Some(reason.clone());
            detail.created_at_ms = Some(known.created_at_ms);
            detail.last_updated_at_ms = detail.last_updated_at_ms.or(Some(known.created_at_ms));
        }
        (BackupState::DoesNotExist, None) => {
            detail.state = BackupState::InProgress;
            detail.created_at_ms = Some(known.created_at_ms);
            detail.last_updated_at_ms = Some(known.created_at_ms);
            detail.checkpoint_position = Some(known.position);
        }
        (_, None) => {}
    }
    detail
}

fn nothing_stored(id: BackupId, partition_count: u32) -> BackupStatus {
    let details = (1..=partition_count)
        .map(|partition| PartitionStatus::new(PartitionId(partition), BackupState::DoesNotExist))
        .collect();
    BackupStatus::aggregate(id, details)
}
