//! Backups begun and not completed, or failed. A completed one is known by the backup store, not here.
//!
//! **Invariants**
//! - An entry is made with its checkpoint, in the same batch, so that a backup that was cut is always accounted for.
//! - In progress, it becomes completed (and vanishes) or failed. Failed is the end: the reason does not change.
//! - The failed ones kept are the newest [`crate::limits::FAILED_BACKUPS_MAX`].

use prost::Message;
use skep_protocol::{CheckpointId, Position};
use skep_state::{KeyReader, Read, StateError, TableKey, Txn, Visit};

use super::{decode, delete as delete_value, prefix, put, read, scan};

/// How far a backup has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BackupStatus {
    /// Its checkpoint is taken; the rest is under way.
    InProgress,
    /// It will never be completed.
    Failed {
        /// Why.
        reason: String,
    },
}

/// A backup that is not completed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Backup {
    /// Its id, which is that of its checkpoint.
    pub id: CheckpointId,
    /// When the checkpoint was taken, in epoch milliseconds.
    pub created_at: i64,
    /// Where the checkpoint is.
    pub position: Position,
    /// How far it has come.
    pub status: BackupStatus,
}

#[derive(Clone, PartialEq, Message)]
struct Stored {
    #[prost(sint64, tag = "1")]
    created_at: i64,
    #[prost(sint64, tag = "2")]
    position: i64,
    #[prost(bool, tag = "3")]
    failed: bool,
    #[prost(string, tag = "4")]
    failure_reason: String,
}

impl Stored {
    fn into_backup(self, id: CheckpointId) -> Backup {
        Backup {
            id,
            created_at: self.created_at,
            position: Position(self.position),
            status: match self.failed {
                true => BackupStatus::Failed {
                    reason: self.failure_reason,
                },
                false => BackupStatus::InProgress,
            },
        }
    }
}

fn key(id: CheckpointId) -> TableKey {
    TableKey::new(prefix::BACKUPS).i64(id.0)
}

/// One backup, if it is known and not completed.
pub fn get(state: &dyn Read, id: CheckpointId) -> Result<Option<Backup>, StateError> {
    let stored: Option<Stored> = read(state, &key(id))?;
    Ok(stored.map(|stored| stored.into_backup(id)))
}

/// All backups in progress or failed, the oldest first.
pub fn all(state: &dyn Read) -> Result<Vec<Backup>, StateError> {
    let mut found = Vec::new();
    scan(state, &TableKey::new(prefix::BACKUPS), |key, value| {
        let stored: Stored = decode(key, value)?;
        found.push(stored.into_backup(CheckpointId(KeyReader::new(key).i64())));
        Ok(Visit::Next)
    })?;
    Ok(found)
}

/// Sets a backup.
pub(crate) fn set(txn: &mut dyn Txn, backup: &Backup) {
    let (failed, failure_reason) = match &backup.status {
        BackupStatus::InProgress => (false, String::new()),
        BackupStatus::Failed { reason } => (true, reason.clone()),
    };
    let stored = Stored {
        created_at: backup.created_at,
        position: backup.position.0,
        failed,
        failure_reason,
    };
    put(txn, &key(backup.id), &stored);
}

/// Forgets a backup.
pub(crate) fn delete(txn: &mut dyn Txn, id: CheckpointId) {
    delete_value(txn, &key(id));
}
