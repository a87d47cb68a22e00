//! Frozen views of checkpoints, and what becomes of their backups.

use prost::Message as _;
use skep_engine::tables::backups::{self, BackupStatus};
use skep_engine::tables::checkpoint;
use skep_protocol::{
    CheckpointId, CheckpointIntent, Command, Epoch, Key, PartitionId, Position, values,
};
use skep_state::{LocalMeta, View};
use tracing::{info, warn};

use crate::limits::FROZEN_VIEWS_MAX;
use crate::replica::Replica;
use crate::{Consensus, Effects, LocalPosition, ReplicaError};

/// A partition's content at exactly one checkpoint.
#[derive(Clone)]
pub struct FrozenBackup {
    /// The partition.
    pub partition: PartitionId,
    /// Id of the checkpoint and of its backup.
    pub checkpoint_id: CheckpointId,
    /// Where the checkpoint lies.
    pub position: Position,
    /// The leadership that created it.
    pub epoch: Epoch,
    /// The partition's clock at the checkpoint, in epoch milliseconds.
    pub time: i64,
    /// The log id that ends in the checkpoint.
    pub log_id: LocalPosition,
    /// Version of the tables.
    pub state_version: u32,
    /// The content.
    pub view: View,
}

impl FrozenBackup {
    /// The meta of the layer that was frozen for it: as long as no other follows, nothing was written since.
    pub fn written_at(&self) -> LocalMeta {
        self.log_id.encode_to_vec().into()
    }
}

impl std::fmt::Debug for FrozenBackup {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "FrozenBackup({} of partition {} at {})",
            self.checkpoint_id, self.partition, self.position
        )
    }
}

impl<C: Consensus, E: Effects> Replica<C, E> {
    /// The batch that was just applied ends in a checkpoint: freezes the content.
    pub(crate) fn freeze(&mut self, checkpoint_id: CheckpointId) -> Result<(), ReplicaError> {
        if self.held_back.is_on() {
            assert!(!self.is_leading(), "a leader has the views of its backups");
            // The content that comes is that of a later moment. A backup does without this replica's view.
            return Ok(());
        }
        self.rotate();
        let backup = FrozenBackup {
            partition: self.config.partition,
            checkpoint_id,
            position: self.applied.position(),
            epoch: self.applied.epoch(),
            time: self.applied.time,
            log_id: self.local,
            state_version: self.applied.state_version,
            view: self.overlay.view()?,
        };
        let recorded = checkpoint::latest(&self.overlay.applied())?;
        assert_eq!(
            (recorded.id, recorded.position),
            (checkpoint_id, backup.position),
            "a checkpoint is the last record of its batch"
        );
        if self.frozen.len() == FROZEN_VIEWS_MAX {
            let oldest = self.frozen.remove(0);
            warn!(
                backup = oldest.checkpoint_id.0,
                "gave up the oldest of {FROZEN_VIEWS_MAX} frozen checkpoints for backup {checkpoint_id}"
            );
            self.effects.give_up_backup(oldest.checkpoint_id);
            if self.is_leading() {
                self.given_up.push(oldest.checkpoint_id);
            }
        }
        self.frozen.push(backup);
        Ok(())
    }

    /// Drops the views of backups that are completed or failed, whoever led: this replica will not have to go on with them.
    pub(crate) fn drop_ended_views(&mut self) -> Result<(), ReplicaError> {
        let mut ended = Vec::new();
        for backup in &self.frozen {
            let known = backups::get(&self.overlay.applied(), backup.checkpoint_id)?;
            if known.is_none_or(|known| known.status != BackupStatus::InProgress) {
                ended.push(backup.checkpoint_id);
            }
        }
        self.frozen
            .retain(|backup| !ended.contains(&backup.checkpoint_id));
        Ok(())
    }

    /// Begins the upload of a frozen checkpoint, as leader.
    pub(crate) fn begin_upload(&mut self, checkpoint_id: CheckpointId) {
        if let Some(backup) = self
            .frozen
            .iter()
            .find(|backup| backup.checkpoint_id == checkpoint_id)
        {
            self.effects.back_up(backup.clone());
        }
    }

    /// A new leader goes on with the backups whose content it has, and fails the others.
    pub(crate) fn take_over_backups(&mut self) -> Result<(), ReplicaError> {
        for entry in backups::all(&self.overlay.applied())? {
            if entry.status != BackupStatus::InProgress {
                continue;
            }
            let id = entry.id;
            if self.frozen.iter().any(|backup| backup.checkpoint_id == id) {
                info!(
                    backup = id.0,
                    "go on with the backup of the former leadership"
                );
                self.begin_upload(id);
            } else {
                self.fail_backup(id, "The broker restarted or the leader changed during the backup, and the content of its checkpoint is gone. Take a new backup");
            }
        }
        Ok(())
    }

    /// An upload has ended.
    pub(crate) fn backup_ended(&mut self, checkpoint_id: CheckpointId, result: Result<(), String>) {
        if !self.is_leading() {
            // Whoever leads next goes on with it. The view is dropped when the partition's state says that the backup has ended.
            return;
        }
        match result {
            Ok(()) => self.feed(checkpoint_command(
                CheckpointIntent::ConfirmBackup,
                checkpoint_id,
                String::new(),
            )),
            Err(reason) => self.fail_backup(checkpoint_id, &reason),
        }
    }

    /// Fails those backups whose view was given up while this replica led.
    pub(crate) fn fail_given_up(&mut self) {
        for id in std::mem::take(&mut self.given_up) {
            let reason = format!(
                "It was given up for a newer backup: no more than {FROZEN_VIEWS_MAX} may be under way at once"
            );
            self.fail_backup(id, &reason);
        }
    }

    fn fail_backup(&mut self, checkpoint_id: CheckpointId, reason: &str) {
        self.feed(checkpoint_command(
            CheckpointIntent::FailBackup,
            checkpoint_id,
            reason.to_owned(),
        ));
    }
}

/// A command about a checkpoint.
pub(crate) fn checkpoint_command(
    intent: CheckpointIntent,
    checkpoint_id: CheckpointId,
    failure_reason: String,
) -> Command {
    let value = values::Checkpoint {
        checkpoint_id: checkpoint_id.0,
        checkpoint_position: Position::NONE.0,
        failure_reason,
    };
    Command::new(Key::NONE, intent, value)
}
