//! What is sent again is what was sent first; and the numbers of channels as they stand in a state.

use prost::Message;
use skep_engine::tables::prefix;
use skep_protocol::{Envelope, EnvelopeBody, PartitionId};
use skep_state::{Read, TableKey};

use crate::reference::{Reference, pair_hash};
use crate::violation::{Check, Violation};

/// How far a channel has come, in both directions; the engine's own value.
#[derive(Clone, Copy, PartialEq, Eq, Message)]
pub struct Channel {
    /// Number of the command sent last.
    #[prost(uint64, tag = "1")]
    pub sent: u64,
    /// The other partition has taken in all commands up to this number.
    #[prost(uint64, tag = "2")]
    pub acknowledged: u64,
    /// Number of the other partition's command taken in last.
    #[prost(uint64, tag = "3")]
    pub taken: u64,
}

/// The channel to another partition.
pub fn channel(state: &dyn Read, other: PartitionId) -> Check<Channel> {
    let key = TableKey::new(prefix::CHANNELS).u32(other.0);
    let value = state
        .get(key.as_bytes())
        .map_err(|error| Violation::new("state", error.to_string()))?;
    value.map_or(Ok(Channel::default()), |value| decode(&value))
}

/// Decodes the value of a channel.
pub fn decode(value: &[u8]) -> Check<Channel> {
    Channel::decode(value).map_err(|error| Violation::new("state", format!("a channel: {error}")))
}

/// Checks what a replica sends to another partition.
pub fn check(reference: &Reference, target: PartitionId, envelope: &Envelope) -> Check {
    let EnvelopeBody::Command { number, command } = &envelope.body else {
        return Ok(());
    };
    let Some(expected) = reference.sent.get(&(target, *number)) else {
        return Ok(());
    };
    let mut bytes = Vec::new();
    command.encode(&mut bytes);
    if pair_hash(&[], &bytes) == *expected {
        return Ok(());
    }
    Err(Violation::new(
        "channels",
        format!(
            "partition {} sends command {number} for partition {target}, but it is not what was sent under that number: {command:?}",
            envelope.source
        ),
    ))
}
