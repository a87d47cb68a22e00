//! CHECKPOINT: the consistent cut, and what becomes of its backup.

use skep_protocol::{
    CheckpointId, CheckpointIntent, Command, Intent, Position, RecordValue, Rejection, values,
};

use crate::limits;
use crate::processing::{Processing, Result};
use crate::tables::backups::{self, Backup, BackupStatus};
use crate::tables::checkpoint::{self, Checkpoint};

/// Evaluates a CHECKPOINT command.
pub(crate) fn process(p: &mut Processing, command: &Command) -> Result<()> {
    let RecordValue::Checkpoint(value) = &command.value else {
        unreachable!("a CHECKPOINT command carries a checkpoint");
    };
    match command.intent {
        Intent::Checkpoint(CheckpointIntent::Create) => {
            create(p, command, CheckpointId(value.checkpoint_id))
        }
        Intent::Checkpoint(CheckpointIntent::ConfirmBackup) => confirm(p, command, value),
        Intent::Checkpoint(CheckpointIntent::FailBackup) => fail(p, command, value),
        intent => unreachable!("{} is no command about a checkpoint", intent.name()),
    }
}

/// Cuts, unless there is this cut or a later one. The event that tells of the cut is the last record before it: all that comes
/// later is not part of the backup.
fn create(p: &mut Processing, command: &Command, id: CheckpointId) -> Result<()> {
    let latest = checkpoint::latest(p.txn)?;
    if id <= latest.id {
        answer(p, command, CheckpointIntent::Ignored, latest);
        return Ok(());
    }
    let position = Position(p.context.first_position.0 + p.outcome.records.len() as i64);
    let created = Checkpoint { id, position };
    checkpoint::set(p.txn, created);
    let backup = Backup {
        id,
        created_at: p.now(),
        position,
        status: BackupStatus::InProgress,
    };
    backups::set(p.txn, &backup);
    let written = answer(p, command, CheckpointIntent::Created, created);
    assert_eq!(
        written, position,
        "the checkpoint is at the event that tells of it"
    );
    assert_eq!(
        p.outcome.checkpoint.replace(id),
        None,
        "an evaluation creates one checkpoint at most"
    );
    Ok(())
}

fn answer(
    p: &mut Processing,
    command: &Command,
    intent: CheckpointIntent,
    checkpoint: Checkpoint,
) -> Position {
    let value = values::Checkpoint {
        checkpoint_id: checkpoint.id.0,
        checkpoint_position: checkpoint.position.0,
        failure_reason: String::new(),
    };
    p.respond(command.key, intent, value.clone());
    p.event(command.key, intent, value)
}

fn confirm(p: &mut Processing, command: &Command, value: &values::Checkpoint) -> Result<()> {
    match in_progress(p, value)? {
        Ok(backup) => {
            backups::delete(p.txn, backup.id);
            conclude(p, command, CheckpointIntent::ConfirmedBackup, &backup, "");
        }
        Err(rejection) => p.reject(command, rejection),
    }
    Ok(())
}

fn fail(p: &mut Processing, command: &Command, value: &values::Checkpoint) -> Result<()> {
    match in_progress(p, value)? {
        Ok(mut backup) => {
            let reason: String = value
                .failure_reason
                .chars()
                .take(limits::ERROR_MESSAGE_CHARS_MAX)
                .collect();
            backup.status = BackupStatus::Failed {
                reason: reason.clone(),
            };
            backups::set(p.txn, &backup);
            forget_old_failures(p)?;
            conclude(p, command, CheckpointIntent::FailedBackup, &backup, &reason);
        }
        Err(rejection) => p.reject(command, rejection),
    }
    Ok(())
}

/// The backup, if its end is still open. What comes too late, or a second time, changes nothing.
fn in_progress(
    p: &Processing,
    value: &values::Checkpoint,
) -> Result<std::result::Result<Backup, Rejection>> {
    let id = CheckpointId(value.checkpoint_id);
    Ok(match backups::get(p.txn, id)? {
        Some(backup) if backup.status == BackupStatus::InProgress => Ok(backup),
        Some(_) => Err(Rejection::invalid_state(format!(
            "Expected to conclude backup '{id}', but it has failed before"
        ))),
        None => Err(Rejection::not_found(format!(
            "Expected to conclude backup '{id}', but no such backup is in progress"
        ))),
    })
}

fn conclude(
    p: &mut Processing,
    command: &Command,
    intent: CheckpointIntent,
    backup: &Backup,
    reason: &str,
) {
    let value = values::Checkpoint {
        checkpoint_id: backup.id.0,
        checkpoint_position: backup.position.0,
        failure_reason: reason.to_owned(),
    };
    p.event(command.key, intent, value.clone());
    p.respond(command.key, intent, value);
}

fn forget_old_failures(p: &mut Processing) -> Result<()> {
    let mut failed = backups::all(p.txn)?;
    failed.retain(|backup| backup.status != BackupStatus::InProgress);
    let surplus = failed.len().saturating_sub(limits::FAILED_BACKUPS_MAX);
    for backup in &failed[..surplus] {
        backups::delete(p.txn, backup.id);
    }
    Ok(())
}
