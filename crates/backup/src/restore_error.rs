//! Why a restore failed: one variant per cause, each with an exit code of its own.
//!
//! The codes are part of the interface (`docs/restore-exit-codes.md`); scripts and operators of Kubernetes rely on them.

use std::path::PathBuf;

use skep_blob::{BlobError, BlobErrorKind};

use crate::error::BackupError;
use crate::fetch::DamageKind;
use crate::ids::{BackupId, PartitionId};

/// Why a restore failed, and what to do.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    /// Unknown id.
    #[error(
        "Could not find a completed backup with id {backup}. List the backups and choose a completed one"
    )]
    NotFound {
        /// The backup asked for.
        backup: BackupId,
    },
    /// Some partitions are missing.
    #[error(
        "backup {backup} is incomplete: it lacks partitions [{}]; choose another one", joined(.missing)
    )]
    Incomplete {
        /// The backup asked for.
        backup: BackupId,
        /// The partitions without a manifest.
        missing: Vec<PartitionId>,
    },
    /// Still being taken.
    #[error("backup {backup} is still in progress; wait until it is completed")]
    InProgress {
        /// The backup asked for.
        backup: BackupId,
    },
    /// Failed.
    #[error("backup {backup} has failed: {reason}; choose another one")]
    Failed {
        /// The backup asked for.
        backup: BackupId,
        /// As recorded.
        reason: String,
    },
    /// Other number of partitions.
    #[error(
        "Backup is not valid: Expected backup to have {expected} partitions, but has {found}. Set partitionsCount to {found}"
    )]
    PartitionCount {
        /// As configured.
        expected: u32,
        /// In the backup.
        found: u32,
    },
    /// The state is newer than this broker.
    #[error(
        "the backup has state version {found}, this broker reads up to {supported}; restore with broker version \
         {broker_version} or newer"
    )]
    StateTooNew {
        /// In the backup.
        found: u32,
        /// Of this broker.
        supported: u32,
        /// The version that has taken the backup.
        broker_version: String,
    },
    /// The backup's format is newer than this broker.
    #[error(
        "{path} has format version {found}, this broker reads up to {supported}; restore with a newer version"
    )]
    FormatTooNew {
        /// The object.
        path: String,
        /// Its version.
        found: u32,
        /// The newest that can be read.
        supported: u32,
    },
    /// A manifest is damaged or missing.
    #[error(
        "{path} is damaged: {detail}; restore the object from a copy of the store, or choose another backup"
    )]
    ManifestDamaged {
        /// The object.
        path: String,
        /// What is wrong.
        detail: String,
    },
    /// A chunk is damaged or missing.
    #[error(
        "chunk {path} of partition {partition} is {kind}; restore the object from a copy of the store, or choose another \
         backup ('backup verify' tells which are sound)"
    )]
    ChunkDamaged {
        /// The partition.
        partition: PartitionId,
        /// The object.
        path: String,
        /// What is wrong.
        kind: DamageKind,
    },
    /// The store refuses us.
    #[error(transparent)]
    Unauthorized(BlobError),
    /// The store cannot be reached or does not answer.
    #[error(transparent)]
    Unreachable(BlobError),
    /// The store failed otherwise.
    #[error(transparent)]
    Store(BlobError),
    /// There is something in the data directory.
    #[error(
        "data directory {} is not empty (it contains '{entry}'); nothing was changed. Restore into an empty or absent \
         directory", .path.display()
    )]
    DirectoryNotEmpty {
        /// The directory.
        path: PathBuf,
        /// One of its entries.
        entry: String,
    },
    /// The data directory is a file.
    #[error("data directory {} is not a directory", .path.display())]
    NotADirectory {
        /// The path.
        path: PathBuf,
    },
    /// Another backup was restored here.
    #[error(
        "data directory {} was already restored from backup {found}, not from {wanted}; nothing was changed. To restore \
         {wanted}, empty the directory on every broker first", .path.display()
    )]
    RestoredFromAnother {
        /// The directory.
        path: PathBuf,
        /// According to its marker.
        found: BackupId,
        /// Asked for.
        wanted: BackupId,
    },
    /// The data directory was restored from the same backup, with another nonce.
    #[error(
        "data directory {} was already restored from backup {backup}, with another nonce; nothing was changed. To restore it once more, empty the \
         directory on every broker first", .path.display()
    )]
    RestoredOtherwise {
        /// The directory.
        path: PathBuf,
        /// According to its marker.
        backup: BackupId,
    },
    /// The marker in the data directory cannot be read.
    #[error("restore marker {} is damaged: {detail}; empty the directory and restore again", .path.display())]
    MarkerDamaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        detail: String,
    },
    /// The disk.
    #[error("{action} {}: {source}", .path.display())]
    Disk {
        /// What was tried.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// The system's words.
        source: std::io::Error,
    },
    /// The store of the partition refuses the pairs.
    #[error("write partition {partition}: {detail}")]
    Sink {
        /// The partition.
        partition: PartitionId,
        /// The sink's words.
        detail: String,
    },
    /// Another restore fills the data directory.
    #[error(
        "another restore is at work in data directory {}; nothing was changed. Wait until it has ended, or stop it", .path.display()
    )]
    AtWork {
        /// The directory.
        path: PathBuf,
    },
    /// Somebody asked to stop.
    #[error("the restore was cancelled; the data directory is as it was")]
    Cancelled,
    /// A fault of ours.
    #[error("{0}")]
    Internal(String),
}

fn joined(partitions: &[PartitionId]) -> String {
    let numbers: Vec<_> = partitions.iter().map(ToString::to_string).collect();
    numbers.join(", ")
}

impl RestoreError {
    /// The process's exit code.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Internal(_) => 1,
            Self::NotFound { .. } => 10,
            Self::Incomplete { .. } => 11,
            Self::InProgress { .. } => 12,
            Self::Failed { .. } => 13,
            Self::PartitionCount { .. } => 14,
            Self::StateTooNew { .. } => 15,
            Self::FormatTooNew { .. } => 16,
            Self::ManifestDamaged { .. } => 20,
            Self::ChunkDamaged { .. } => 21,
            Self::Unauthorized(_) => 30,
            Self::Unreachable(_) => 31,
            Self::Store(_) => 32,
            Self::DirectoryNotEmpty { .. } => 40,
            Self::NotADirectory { .. } => 41,
            Self::RestoredFromAnother { .. } | Self::RestoredOtherwise { .. } => 42,
            Self::MarkerDamaged { .. } => 43,
            Self::Disk { .. } => 44,
            Self::Sink { .. } => 45,
            Self::AtWork { .. } => 46,
            Self::Cancelled => 50,
        }
    }
}

impl From<BlobError> for RestoreError {
    fn from(e: BlobError) -> Self {
        match e.kind() {
            BlobErrorKind::Unauthorized => Self::Unauthorized(e),
            BlobErrorKind::Unreachable | BlobErrorKind::Timeout => Self::Unreachable(e),
            _ => Self::Store(e),
        }
    }
}

impl From<BackupError> for RestoreError {
    fn from(e: BackupError) -> Self {
        match e {
            BackupError::Store(e) => e.into(),
            BackupError::Damaged { path, detail } => Self::ManifestDamaged { path, detail },
            BackupError::TooNew {
                path,
                found,
                supported,
            } => Self::FormatTooNew {
                path,
                found,
                supported,
            },
            BackupError::NotFound { backup } | BackupError::Deleted { backup } => {
                Self::NotFound { backup }
            }
            BackupError::Cancelled => Self::Cancelled,
            other => Self::Internal(other.to_string()),
        }
    }
}
