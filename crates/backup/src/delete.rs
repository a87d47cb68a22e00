//! Deleting a backup. Its chunks are left to the collector.
//!
//! Order: the marker, the cluster manifest, everything else. From the marker on the backup does not exist for any
//! reader; a deletion that was interrupted is finished by the next one, or by the collector. The marker also keeps an
//! upload that is still running from bringing the backup back; the collector removes it once no such upload can exist.

use bytes::Bytes;
use skep_blob::BlobStore;

use crate::document;
use crate::error::BackupError;
use crate::ids::BackupId;
use crate::layout::BackupObject;
use crate::marker::{DELETED_FORMAT, Deleted};
use crate::retry::RetryPolicy;
use crate::upload::backup_objects;

/// Delete the backup in whatever state it is. One that does not exist counts as deleted.
pub async fn delete_backup(
    store: &dyn BlobStore,
    backup: BackupId,
    retry: &RetryPolicy,
) -> Result<(), BackupError> {
    let objects = backup_objects(store, backup, retry).await?;
    if objects.is_empty() {
        return Ok(());
    }
    let marker = BackupObject::Deleted.path(backup);
    if !objects.contains(&BackupObject::Deleted) {
        let bytes: Bytes = document::encode(DELETED_FORMAT, &Deleted { backup_id: backup });
        retry.run(|| store.put(&marker, bytes.clone())).await?;
    }
    delete_objects(store, backup, retry).await
}

/// Delete all but the marker. Lists again, as an upload may have added something before it could see the marker.
pub(crate) async fn delete_objects(
    store: &dyn BlobStore,
    backup: BackupId,
    retry: &RetryPolicy,
) -> Result<(), BackupError> {
    let cluster = [BackupObject::Cluster.path(backup)];
    retry.run(|| store.delete(&cluster)).await?;
    let objects = backup_objects(store, backup, retry).await?;
    let rest: Vec<String> = objects
        .into_iter()
        .filter(|object| *object != BackupObject::Deleted)
        .map(|object| object.path(backup))
        .collect();
    if !rest.is_empty() {
        retry.run(|| store.delete(&rest)).await?;
    }
    Ok(())
}
