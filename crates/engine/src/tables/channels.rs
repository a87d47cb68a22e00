//! The channels to and from other partitions, and what was sent over them but not acknowledged.
//!
//! **Invariants**
//! - `acknowledged <= sent`, and the outbox holds exactly the numbers `acknowledged + 1 ..= sent` of a target.
//! - No number ever goes back.

use prost::Message;
use skep_protocol::wire::Reader;
use skep_protocol::{Command, PartitionId};
use skep_state::{KeyReader, Read, StateError, TableKey, Txn, Visit};

use super::{decode, delete, insert, prefix, put, read, scan};

/// How far a channel has come, in both directions.
#[derive(Clone, Copy, PartialEq, Eq, Message)]
pub(crate) struct Channel {
    /// Number of the command sent last; 0 before the first.
    #[prost(uint64, tag = "1")]
    pub sent: u64,
    /// The other partition has taken in all commands up to this number.
    #[prost(uint64, tag = "2")]
    pub acknowledged: u64,
    /// Number of the other partition's command taken in last; 0 before the first.
    #[prost(uint64, tag = "3")]
    pub taken: u64,
}

#[derive(Clone, PartialEq, Message)]
struct Unacknowledged {
    #[prost(bytes = "vec", tag = "1")]
    command: Vec<u8>,
}

fn channel_key(partition: PartitionId) -> TableKey {
    TableKey::new(prefix::CHANNELS).u32(partition.0)
}

fn outbox_key(target: PartitionId, number: u64) -> TableKey {
    TableKey::new(prefix::OUTBOX).u32(target.0).u64(number)
}

/// The channel to a partition, new if nothing was ever exchanged.
pub(crate) fn get(state: &dyn Read, partition: PartitionId) -> Result<Channel, StateError> {
    Ok(read(state, &channel_key(partition))?.unwrap_or_default())
}

/// Writes down how far a channel has come.
pub(crate) fn set(txn: &mut dyn Txn, partition: PartitionId, channel: &Channel) {
    assert!(
        channel.acknowledged <= channel.sent,
        "{channel:?} to partition {partition} is ahead of itself"
    );
    put(txn, &channel_key(partition), channel);
}

/// Partitions that have not acknowledged everything sent to them.
pub(crate) fn unacknowledged(state: &dyn Read) -> Result<Vec<PartitionId>, StateError> {
    let mut found = Vec::new();
    scan(state, &TableKey::new(prefix::CHANNELS), |key, value| {
        let channel: Channel = decode(key, value)?;
        if channel.acknowledged < channel.sent {
            found.push(PartitionId(KeyReader::new(key).u32()));
        }
        Ok(Visit::Next)
    })?;
    Ok(found)
}

/// Keeps a command until it is acknowledged.
pub(crate) fn keep(txn: &mut dyn Txn, target: PartitionId, number: u64, command: &Command) {
    let mut bytes = Vec::with_capacity(command.value.encoded_len() + 16);
    command.encode(&mut bytes);
    insert(
        txn,
        &outbox_key(target, number),
        &Unacknowledged { command: bytes },
    );
}

/// A command that was sent and not acknowledged.
pub(crate) fn kept(
    state: &dyn Read,
    target: PartitionId,
    number: u64,
) -> Result<Command, StateError> {
    let key = outbox_key(target, number);
    let corrupt = |reason: String| {
        StateError::Corrupt {
        place: format!("command {number} for partition {target} in the outbox"),
        reason,
        mend: "Restore the partition from a backup, or remove this replica's data so that it is fetched again".to_owned(),
    }
    };
    let kept: Unacknowledged =
        read(state, &key)?.ok_or_else(|| corrupt("it is missing".to_owned()))?;
    Command::decode(&mut Reader::new(&kept.command)).map_err(|error| corrupt(error.to_string()))
}

/// Forgets a command that was acknowledged.
pub(crate) fn forget(txn: &mut dyn Txn, target: PartitionId, number: u64) {
    delete(txn, &outbox_key(target, number));
}
