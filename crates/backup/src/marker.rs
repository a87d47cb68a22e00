//! Small documents that say what happens to a backup, so that its status can be told without any leader.
//!
//! They are hints for people: a backup exists by its manifests alone, and no decision about chunks depends on them.

use serde::{Deserialize, Serialize};
use skep_blob::{BlobError, BlobStore};

use crate::document::{self, Format};
use crate::ids::{BackupId, PartitionId};
use crate::layout::BackupObject;
use crate::manifest::PartitionIdentity;
use crate::retry::RetryPolicy;

pub(crate) const STARTED_FORMAT: Format = Format {
    name: "skep-backup-started",
    version: 1,
};
pub(crate) const FAILED_FORMAT: Format = Format {
    name: "skep-backup-failed",
    version: 1,
};
pub(crate) const DELETED_FORMAT: Format = Format {
    name: "skep-backup-deleted",
    version: 1,
};

/// Somebody has begun to upload.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Started {
    #[serde(flatten)]
    pub(crate) identity: PartitionIdentity,
    pub(crate) started_at_ms: u64,
    /// After this the uploader has given up, even if it could not say so.
    pub(crate) deadline_ms: u64,
}

/// The upload has failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Failed {
    pub(crate) reason: String,
    pub(crate) node_id: u32,
    pub(crate) broker_version: String,
    pub(crate) failed_at_ms: u64,
}

/// The backup was deleted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Deleted {
    pub(crate) backup_id: BackupId,
}

pub(crate) async fn mark_started(
    store: &dyn BlobStore,
    started: &Started,
    retry: &RetryPolicy,
) -> Result<(), BlobError> {
    let (backup, partition) = (started.identity.backup_id, started.identity.partition);
    let (path, failed) = (
        BackupObject::Started(partition).path(backup),
        BackupObject::Failed(partition).path(backup),
    );
    let bytes = document::encode(STARTED_FORMAT, started);
    retry.run(|| store.put(&path, bytes.clone())).await?;
    // A new attempt, perhaps of another node, makes an earlier failure history.
    let failed = [failed];
    retry.run(|| store.delete(&failed)).await
}

/// Note that the backup of this partition has failed and why. Does not touch a backup that is complete.
pub async fn mark_failed(
    store: &dyn BlobStore,
    identity: &PartitionIdentity,
    reason: &str,
    now_ms: u64,
    retry: &RetryPolicy,
) -> Result<(), BlobError> {
    let failed = Failed {
        reason: reason.to_owned(),
        node_id: identity.node_id,
        broker_version: identity.broker_version.clone(),
        failed_at_ms: now_ms,
    };
    let path = BackupObject::Failed(identity.partition).path(identity.backup_id);
    let bytes = document::encode(FAILED_FORMAT, &failed);
    retry.run(|| store.put(&path, bytes.clone())).await
}

pub(crate) async fn is_deleted(
    store: &dyn BlobStore,
    backup: BackupId,
    retry: &RetryPolicy,
) -> Result<bool, BlobError> {
    document::exists(store, &BackupObject::Deleted.path(backup), retry).await
}

pub(crate) async fn read_started(
    store: &dyn BlobStore,
    backup: BackupId,
    partition: PartitionId,
    retry: &RetryPolicy,
) -> Result<Option<Started>, crate::BackupError> {
    let path = BackupObject::Started(partition).path(backup);
    Ok(document::read(store, &path, STARTED_FORMAT, retry)
        .await?
        .map(|(started, _)| started))
}

pub(crate) async fn read_failed(
    store: &dyn BlobStore,
    backup: BackupId,
    partition: PartitionId,
    retry: &RetryPolicy,
) -> Result<Option<Failed>, crate::BackupError> {
    let path = BackupObject::Failed(partition).path(backup);
    Ok(document::read(store, &path, FAILED_FORMAT, retry)
        .await?
        .map(|(failed, _)| failed))
}
