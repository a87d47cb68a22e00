//! Sending commands to other partitions: each is taken in exactly once, in the order in which they were sent.
//!
//! One mechanism stands behind everything that partitions tell one another, so that no protocol above it has retries,
//! time-outs or duplicate detection of its own.
//!
//! - The commands from one partition to another are numbered from 1. [`send`] writes a command to the outbox in the state, in
//!   the transaction of whatever caused it, and hands it to the outcome so that it is sent as soon as that is applied.
//! - The receiver takes in the next number only ([`crate::processors::channel`]), in one transaction with what the command does,
//!   and acknowledges the number that it took in last, again and again if need be. Acknowledgements are cumulative.
//! - The sender forgets what is acknowledged, and sends the rest again from time to time and after every change of leaders:
//!   [`targets_with_undelivered`], [`undelivered`].
//!
//! Envelopes may therefore be lost, doubled, delayed and reordered as they like. Since outbox and numbers are part of the state,
//! a checkpoint cuts through a channel cleanly: the test `checkpoint_model` tries every order of things.
//!
//! The outbox has no limit of its own. Each command in it was caused by something in the state that has one, and a partition
//! that cannot be reached for long is a fault to be mended, not a reason to lose what it is owed.

use skep_protocol::{Command, OperationReference, PartitionId, RecordValue};
use skep_state::{Read, StateError};

use crate::behaviours::deployments;
use crate::outcome::Send;
use crate::processing::{Processing, Result};
use crate::tables::channels;

/// Has a command evaluated by a partition; by this one as a follow-up. As in Zeebe, a client's reference does not leave the
/// partition that it came to.
pub(crate) fn send(p: &mut Processing, target: PartitionId, command: Command) -> Result<()> {
    assert!(
        (1..=p.config.partition_count).contains(&target.0),
        "partition {target} is none of {}",
        p.config.partition_count
    );
    if target == p.config.partition {
        p.follow_up(command);
        return Ok(());
    }
    let command = command.referred_to_as(OperationReference::NONE);
    let mut channel = channels::get(p.txn, target)?;
    channel.sent += 1;
    channels::set(p.txn, target, &channel);
    channels::keep(p.txn, target, channel.sent, &without_content(&command));
    p.outcome.sends.push(Send {
        target,
        number: channel.sent,
        command,
    });
    Ok(())
}

/// Partitions that have not acknowledged everything sent to them.
pub fn targets_with_undelivered(
    state: &dyn Read,
) -> std::result::Result<Vec<PartitionId>, StateError> {
    channels::unacknowledged(state)
}

/// The oldest commands that `target` has not acknowledged, in order, at most `limit` of them.
pub fn undelivered(
    state: &dyn Read,
    target: PartitionId,
    limit: usize,
) -> std::result::Result<Vec<Send>, StateError> {
    let channel = channels::get(state, target)?;
    let numbers = channel.acknowledged + 1..=channel.sent;
    numbers
        .take(limit)
        .map(|number| {
            let command = with_content(state, channels::kept(state, target, number)?)?;
            Ok(Send {
                target,
                number,
                command,
            })
        })
        .collect()
}

/// A deployment's resources are in the state once already, so that the outbox, with an entry for each partition, does not
/// repeat them.
fn without_content(command: &Command) -> Command {
    let mut command = command.clone();
    if let RecordValue::Deployment(deployment) = &mut command.value {
        deployments::clear_content(deployment);
    }
    command
}

fn with_content(state: &dyn Read, mut command: Command) -> Result<Command> {
    if let RecordValue::Deployment(deployment) = &mut command.value {
        deployments::fill_content(state, command.key, deployment)?;
    }
    Ok(command)
}
