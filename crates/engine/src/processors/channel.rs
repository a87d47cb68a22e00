//! What comes from other partitions: commands, each taken in once and in order, and acknowledgements of ours.

use skep_protocol::{Command, Envelope, EnvelopeBody, PartitionId};

use crate::processing::{Processing, Result};
use crate::tables::channels;

/// What came of an envelope.
#[derive(Debug, Clone, PartialEq)]
#[expect(
    clippy::large_enum_variant,
    reason = "taken apart where it is returned"
)]
pub(crate) enum Received {
    /// A command that has to be evaluated in this transaction, in which it counts as taken in. A command that cannot be
    /// evaluated is rejected, and taken in nevertheless: otherwise it would block all that come after it.
    Command(Command),
    /// Nothing is left to do.
    Nothing,
}

/// Takes an envelope in. The partition has taken the sender's checkpoint, if that was higher, before.
pub(crate) fn receive(p: &mut Processing, envelope: &Envelope) -> Result<Received> {
    let source = envelope.source;
    if source == p.config.partition || !(1..=p.config.partition_count).contains(&source.0) {
        return Ok(Received::Nothing);
    }
    match &envelope.body {
        EnvelopeBody::Command { number, command } => take(p, source, *number, command),
        EnvelopeBody::Acknowledgement { number } => acknowledged(p, source, *number),
    }
}

/// Takes the next command in; any other is ignored. Whatever it was, the sender learns how far we are: if it was old, an
/// acknowledgement was lost, and if it is too new, the sender will send the ones before it again.
fn take(
    p: &mut Processing,
    source: PartitionId,
    number: u64,
    command: &Command,
) -> Result<Received> {
    let mut channel = channels::get(p.txn, source)?;
    let is_next = number == channel.taken + 1;
    if is_next {
        channel.taken = number;
        channels::set(p.txn, source, &channel);
    }
    p.outcome.acknowledgements.push((source, channel.taken));
    Ok(if is_next {
        Received::Command(command.clone())
    } else {
        Received::Nothing
    })
}

/// Forgets what is acknowledged. Old acknowledgements are repetitions. One of a number that was never sent can only be damage or
/// a node of the past; acting on it would lose commands that are still to be sent.
fn acknowledged(p: &mut Processing, source: PartitionId, number: u64) -> Result<Received> {
    let mut channel = channels::get(p.txn, source)?;
    if number > channel.acknowledged && number <= channel.sent {
        for forgotten in channel.acknowledged + 1..=number {
            channels::forget(p.txn, source, forgotten);
        }
        channel.acknowledged = number;
        channels::set(p.txn, source, &channel);
    }
    Ok(Received::Nothing)
}
