//! Errors of everything but restore, one variant per reaction.

use std::time::Duration;

use skep_blob::BlobError;

use crate::background::BackgroundError;
use crate::chunk::{ChunkError, RootHash};
use crate::content::ContentError;
use crate::ids::{BackupId, PartitionId};

/// Why a backup could not be taken, read or deleted.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// The blob store failed, after retries where these make sense.
    #[error(transparent)]
    Store(#[from] BlobError),
    /// The partition's content cannot be read.
    #[error(transparent)]
    Content(#[from] ContentError),
    /// A chunk cannot be made or is damaged.
    #[error("chunk {path}: {source}")]
    Chunk {
        /// Its object.
        path: String,
        /// What is wrong with it.
        source: ChunkError,
    },
    /// A document in the store is not what it should be.
    #[error(
        "{path} is damaged: {detail}; take another backup, or restore the object from a copy of the store"
    )]
    Damaged {
        /// The object.
        path: String,
        /// What is wrong with it.
        detail: String,
    },
    /// A document was written by a newer version.
    #[error(
        "{path} has format version {found}, newer than {supported}; use the version that wrote it, or a newer one"
    )]
    TooNew {
        /// The object.
        path: String,
        /// Its version.
        found: u32,
        /// The newest version that can be read.
        supported: u32,
    },
    /// The upload did not end in time.
    #[error("the upload did not end within {}s; raise the limit, or look for what slows the store down", .limit.as_secs())]
    Deadline {
        /// The time it had.
        limit: Duration,
    },
    /// Somebody asked to stop.
    #[error("the backup was cancelled")]
    Cancelled,
    /// The backup was deleted before or during the upload.
    #[error("backup {backup} has been deleted; take one with a higher id")]
    Deleted {
        /// The backup.
        backup: BackupId,
    },
    /// The partition's backup exists already and is another one.
    #[error(
        "partition {partition} of backup {backup} exists with root hash {found} instead of {ours}: replicas differ, or \
         another cluster writes to the same place; compare cluster ids, and give each cluster its own base path"
    )]
    Conflict {
        /// The backup.
        backup: BackupId,
        /// The partition.
        partition: PartitionId,
        /// Root hash in the store.
        found: RootHash,
        /// Root hash of this replica.
        ours: RootHash,
    },
    /// The partition's backup exists already, of another checkpoint.
    #[error(
        "partition {partition} of backup {backup} exists already, of a checkpoint at position {found} instead of {ours}: this cluster before it was \
         restored, or another one that uses the same place, has stored it. Take backups with ids above all that are stored"
    )]
    Taken {
        /// The backup.
        backup: BackupId,
        /// The partition.
        partition: PartitionId,
        /// Where its checkpoint lies.
        found: u64,
        /// Where this one's does.
        ours: u64,
    },
    /// Partition manifests of one backup do not belong together.
    #[error("the partitions of backup {backup} do not belong together: {detail}")]
    Inconsistent {
        /// The backup.
        backup: BackupId,
        /// What differs.
        detail: String,
    },
    /// There is no such backup, or it is not complete.
    #[error("Could not find a completed backup with id {backup}.")]
    NotFound {
        /// The backup.
        backup: BackupId,
    },
    /// Another node collects.
    #[error("another collector is at work ({holder}); try again later")]
    CollectorBusy {
        /// Who holds the lease.
        holder: String,
    },
    /// A background thread died.
    #[error("a background task failed: {0}")]
    Task(#[from] BackgroundError),
}

impl BackupError {
    /// Whether the same may succeed later without anybody changing anything.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Store(e) => e.is_transient(),
            Self::Deadline { .. } | Self::CollectorBusy { .. } => true,
            _ => false,
        }
    }
}
