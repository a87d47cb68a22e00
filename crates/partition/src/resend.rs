//! Sending again what other partitions have not acknowledged.

use std::collections::BTreeMap;

use skep_protocol::{Envelope, EnvelopeBody, PartitionId};

use crate::limits::RESEND_MS;
use crate::replica::Replica;
use crate::{Consensus, Effects, ReplicaError};

/// When something was last sent to each target that may not have acknowledged everything.
#[derive(Debug, Default)]
pub(crate) struct Resend {
    sent_at: BTreeMap<PartitionId, i64>,
}

impl Resend {
    /// Something was sent; the wait for the acknowledgement begins, unless it has begun.
    pub fn sent(&mut self, target: PartitionId, now: i64) {
        self.sent_at.entry(target).or_insert(now);
    }

    /// When the next target is overdue.
    pub fn overdue_at(&self) -> Option<i64> {
        self.sent_at.values().min().map(|at| at + RESEND_MS)
    }
}

impl<C: Consensus, E: Effects> Replica<C, E> {
    /// A new leader does not know what its predecessor has sent: it sends everything.
    pub(crate) fn resend_all(&mut self) -> Result<(), ReplicaError> {
        self.resend = Resend::default();
        for target in skep_engine::targets_with_undelivered(&self.overlay.applied())? {
            self.resend_to(target)?;
        }
        Ok(())
    }

    /// Sends again to the targets that are overdue.
    pub(crate) fn resend_overdue(&mut self) -> Result<(), ReplicaError> {
        let now = self.now;
        let overdue: Vec<PartitionId> = self
            .resend
            .sent_at
            .iter()
            .filter(|(_, at)| now - **at >= RESEND_MS)
            .map(|(target, _)| *target)
            .collect();
        for target in overdue {
            self.resend.sent_at.remove(&target);
            self.resend_to(target)?;
        }
        Ok(())
    }

    fn resend_to(&mut self, target: PartitionId) -> Result<(), ReplicaError> {
        let checkpoint_id = self.applied_checkpoint()?;
        let undelivered = skep_engine::undelivered(
            &self.overlay.applied(),
            target,
            skep_engine::limits::RESEND_MAX,
        )?;
        for send in undelivered {
            self.resend.sent(target, self.now);
            let body = EnvelopeBody::Command {
                number: send.number,
                command: send.command,
            };
            self.effects.send(
                target,
                Envelope {
                    source: self.config.partition,
                    checkpoint_id,
                    body,
                },
            );
        }
        Ok(())
    }
}
