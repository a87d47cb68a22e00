//! Distribution of commands: what is done on one partition is done on others as well.
//!
//! Channels see to it that each of them gets the command once and in order. What is here writes down how far it has come: the
//! partition that distributes it knows which have yet to acknowledge it, until none is left.
//!
//! **Invariant**: a distribution's key is the command's, and says by its partition where it is to be acknowledged.

use skep_protocol::values::CommandDistribution;
use skep_protocol::{Command, CommandDistributionIntent, Key, PartitionId, RecordValue, Rejection};

use crate::behaviours::{channel, deployments};
use crate::processing::{Processing, Result};
use crate::tables::{distributions, processes};

/// All partitions but this one.
pub(crate) fn others(p: &Processing) -> Vec<PartitionId> {
    (1..=p.config.partition_count)
        .map(PartitionId)
        .filter(|partition| *partition != p.config.partition)
        .collect()
}

/// The partition that gave a key, which is one of ours.
pub(crate) fn partition_of(key: Key) -> PartitionId {
    PartitionId(u32::try_from(key.partition()).expect("the key was given by one of our partitions"))
}

/// Has other partitions evaluate a command.
pub(crate) fn distribute(
    p: &mut Processing,
    command: &Command,
    targets: &[PartitionId],
) -> Result<()> {
    if targets.is_empty() {
        return Ok(());
    }
    let (key, intent) = (command.key, command.intent);
    let started = CommandDistribution::new(p.config.partition, intent);
    let started = started.with_value(&without_content(&command.value));
    p.event(key, CommandDistributionIntent::Started, started);
    distributions::begin(p.txn, key, targets);
    for &target in targets {
        let distributing = CommandDistribution::new(target, intent);
        p.event(key, CommandDistributionIntent::Distributing, distributing);
        channel::send(p, target, command.clone())?;
    }
    Ok(())
}

/// A deployment's resources are in the records of what came of them.
fn without_content(value: &RecordValue) -> RecordValue {
    let mut value = value.clone();
    if let RecordValue::Deployment(deployment) = &mut value {
        deployments::clear_content(deployment);
    }
    value
}

/// A command that was distributed to this partition has been evaluated: tells so where it came from.
pub(crate) fn acknowledge(p: &mut Processing, command: &Command) -> Result<()> {
    let done = CommandDistribution::new(p.config.partition, command.intent);
    let intent = CommandDistributionIntent::Acknowledge;
    let acknowledge = Command::new(command.key, intent, done);
    channel::send(p, partition_of(command.key), acknowledge)
}

/// A partition has evaluated a command that was distributed to it.
pub(crate) fn acknowledged(
    p: &mut Processing,
    command: &Command,
    done: &CommandDistribution,
) -> Result<()> {
    let (key, partition) = (command.key, PartitionId(done.partition_id));
    if !distributions::pending(p.txn, key)?.contains(&partition) {
        let reason = format!(
            "Expected to find pending distribution with key {key} for partition {partition}, but no pending distribution was found."
        );
        p.reject(command, Rejection::not_found(reason));
        return Ok(());
    }
    let finished = distributions::acknowledged(p.txn, key, partition)?;
    p.event(key, CommandDistributionIntent::Acknowledged, done.clone());
    let Some(released) = finished else {
        return Ok(());
    };
    for resource_name in released {
        processes::delete_resource(p.txn, key, &resource_name);
    }
    let mut finished = done.clone();
    finished.partition_id = p.config.partition.0;
    p.event(key, CommandDistributionIntent::Finished, finished);
    Ok(())
}
