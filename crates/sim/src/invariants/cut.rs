//! A checkpoint is a consistent cut: over all partitions, no message is in it without having been sent, and none is lost.

use std::collections::BTreeMap;

use skep_engine::tables::prefix;
use skep_protocol::{CheckpointId, PartitionId};
use skep_state::TableKey;

use super::channels::{self, Channel};
use crate::reference::Cut;
use crate::violation::{Check, Violation};

fn channel(cut: &Cut, other: PartitionId) -> Check<Channel> {
    let key = TableKey::new(prefix::CHANNELS).u32(other.0);
    let found = cut
        .pairs
        .binary_search_by(|(candidate, _)| candidate.as_ref().cmp(key.as_bytes()));
    found.map_or(Ok(Channel::default()), |at| {
        channels::decode(&cut.pairs[at].1)
    })
}

/// Checks the cuts of all partitions at one checkpoint.
pub fn check(id: CheckpointId, cuts: &BTreeMap<PartitionId, &Cut>) -> Check {
    for (&sender, sender_cut) in cuts {
        for (&receiver, receiver_cut) in cuts {
            if sender == receiver {
                continue;
            }
            let sent = channel(sender_cut, receiver)?;
            let taken = channel(receiver_cut, sender)?.taken;
            if taken > sent.sent {
                return Err(Violation::new(
                    "cut",
                    format!(
                        "checkpoint {id} has an orphan: partition {receiver} has taken command {taken} of partition {sender} in, which has sent {}",
                        sent.sent
                    ),
                ));
            }
            if sent.acknowledged > taken {
                return Err(Violation::new(
                    "cut",
                    format!(
                        "checkpoint {id} loses a message: partition {sender} has forgotten command {} for partition {receiver}, which has taken {taken} in",
                        sent.acknowledged
                    ),
                ));
            }
        }
    }
    Ok(())
}
