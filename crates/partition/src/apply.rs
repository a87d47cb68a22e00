//! Applying committed entries: the epoch fence, and the effects of what this replica proposed itself.

use skep_engine::tables::checkpoint;
use skep_protocol::{BatchHeader, CheckpointId, Envelope, EnvelopeBody, LogEntry, WriteOp};
use skep_state::Op;
use tracing::debug;

use crate::leader::{InFlight, Leadership};
use crate::replica::Replica;
use crate::{Consensus, Effects, LocalPosition, ReplicaError};

impl<C: Consensus, E: Effects> Replica<C, E> {
    /// Applies one committed entry.
    pub(crate) fn apply(
        &mut self,
        log_id: LocalPosition,
        entry: &[u8],
    ) -> Result<(), ReplicaError> {
        // The very first entry has index 0, as has a store that has seen none.
        assert!(
            log_id.index > self.local.index || self.local == LocalPosition::default(),
            "entry {} is delivered after entry {}",
            log_id.index,
            self.local.index
        );
        self.local = log_id;
        if entry.is_empty() {
            return Ok(());
        }
        self.log_bytes_since_rotation += entry.len();
        let unreadable = |source| ReplicaError::Entry {
            index: log_id.index,
            source,
        };
        match LogEntry::decode_header(entry).map_err(unreadable)? {
            None => match LogEntry::decode(entry).map_err(unreadable)? {
                LogEntry::Epoch(epoch) => self.begin_epoch(epoch),
                LogEntry::Batch(_) => unreachable!("an entry without a batch header is no batch"),
            },
            Some(header) if self.is_fenced(&header) => {
                debug!(
                    epoch = header.epoch.0,
                    sequence = header.sequence.0,
                    "a batch of a former leadership is fenced"
                );
                Ok(())
            }
            Some(header) => self.apply_batch(log_id, &header, entry),
        }
    }

    /// Whether a batch was evaluated on a state other than the one it would be applied to.
    fn is_fenced(&self, header: &BatchHeader) -> bool {
        #[cfg(feature = "testkit")]
        if self.testkit.faults.fence_off {
            return false;
        }
        header.epoch != self.applied.epoch() || header.sequence != self.applied.sequence().next()
    }

    fn apply_batch(
        &mut self,
        log_id: LocalPosition,
        header: &BatchHeader,
        entry: &[u8],
    ) -> Result<(), ReplicaError> {
        let own = self.take_in_flight(header);
        let records = match own {
            Some(_) => {
                self.overlay.apply_pending();
                None
            }
            None => Some(self.apply_foreign(log_id, entry)?),
        };
        let last = match (&own, records) {
            (Some((_, last_position)), _) => *last_position,
            (None, records) => header.first_position.0 + records.unwrap_or(0) as i64 - 1,
        };
        self.applied.sequence = header.sequence.0;
        self.applied.epoch = header.epoch.0;
        self.applied.position = last;
        self.applied.time = header.time;
        self.applied.apply(&mut self.overlay);
        if header.checkpoint != CheckpointId::NONE {
            self.freeze(header.checkpoint)?;
        }
        self.drop_ended_views()?;
        match own {
            Some((batch, _)) => self.take_effect(batch),
            None => Ok(()),
        }
    }

    /// The batch in flight that this header is of, with the position of its last record.
    fn take_in_flight(&mut self, header: &BatchHeader) -> Option<(InFlight, i64)> {
        let Leadership::Leading(leading) = &mut self.leadership else {
            return None;
        };
        if leading.epoch != header.epoch || leading.in_flight.front()?.sequence != header.sequence {
            return None;
        }
        let batch = leading.in_flight.pop_front()?;
        let last = batch.last_position.0;
        Some((batch, last))
    }

    /// Applies a batch that another leader, or this replica in a former life, has evaluated; gives its number of records.
    fn apply_foreign(
        &mut self,
        log_id: LocalPosition,
        entry: &[u8],
    ) -> Result<usize, ReplicaError> {
        let entry = LogEntry::decode(entry).map_err(|source| ReplicaError::Entry {
            index: log_id.index,
            source,
        })?;
        let LogEntry::Batch(batch) = entry else {
            unreachable!("only batches have a batch header")
        };
        self.overlay.apply(
            batch
                .writes
                .into_iter()
                .map(|(key, op)| (key, into_layer(op))),
        );
        Ok(batch.records.len())
    }

    /// The batch is applied: its answers and messages may leave.
    pub(crate) fn take_effect(&mut self, batch: InFlight) -> Result<(), ReplicaError> {
        self.measures.committed(batch.proposed.elapsed());
        self.effects.applied(&batch.tally);
        for response in batch.responses {
            self.effects.respond(response);
        }
        if !batch.sends.is_empty() || !batch.acknowledgements.is_empty() {
            let checkpoint_id = self.applied_checkpoint()?;
            for send in batch.sends {
                self.resend.sent(send.target, self.now);
                let body = EnvelopeBody::Command {
                    number: send.number,
                    command: send.command,
                };
                self.effects.send(
                    send.target,
                    Envelope {
                        source: self.config.partition,
                        checkpoint_id,
                        body,
                    },
                );
            }
            for (target, number) in batch.acknowledgements {
                let checkpoint_id = self.acknowledgement_tag(checkpoint_id);
                let body = EnvelopeBody::Acknowledgement { number };
                self.effects.send(
                    target,
                    Envelope {
                        source: self.config.partition,
                        checkpoint_id,
                        body,
                    },
                );
            }
        }
        for job_type in &batch.jobs_available {
            self.effects.jobs_available(job_type);
        }
        if batch.checkpoint != CheckpointId::NONE {
            self.begin_upload(batch.checkpoint);
        }
        Ok(())
    }

    /// An acknowledgement without the sender's checkpoint would lose the message over a cut.
    fn acknowledgement_tag(&self, checkpoint_id: CheckpointId) -> CheckpointId {
        #[cfg(feature = "testkit")]
        if self.testkit.faults.untagged_acknowledgement {
            return CheckpointId::NONE;
        }
        checkpoint_id
    }

    /// Id of the latest applied checkpoint.
    pub(crate) fn applied_checkpoint(&self) -> Result<CheckpointId, ReplicaError> {
        Ok(checkpoint::latest(&self.overlay.applied())?.id)
    }
}

fn into_layer(op: WriteOp) -> Op {
    match op {
        WriteOp::Insert(value) => Op::Insert(value),
        WriteOp::Put(value) => Op::Put(value),
        WriteOp::Delete => Op::Delete,
    }
}
