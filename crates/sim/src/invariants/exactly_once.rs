//! No command is applied twice: neither a client's nor another partition's, and the latter in the order in which they were sent. A
//! client's command that was refused as not executed is not applied at all: the client may have sent it again.

use std::collections::{BTreeMap, BTreeSet};

use skep_engine::{Input, Outcome};
use skep_protocol::{EnvelopeBody, PartitionId, RequestId};
use skep_state::Read;

use super::channels;
use crate::violation::{Check, Violation};

/// What a partition has applied so far.
#[derive(Debug, Default)]
pub struct Seen {
    requests: BTreeSet<RequestId>,
    /// Those of which clients were told that they have not been and will not be.
    refused: BTreeSet<RequestId>,
    taken: BTreeMap<PartitionId, u64>,
}

impl Seen {
    /// Begins with a state, in which commands of other partitions may have been taken in.
    pub fn begin(state: &dyn Read, partition_count: u32) -> Check<Seen> {
        let mut seen = Seen::default();
        for source in (1..=partition_count).map(PartitionId) {
            seen.taken
                .insert(source, channels::channel(state, source)?.taken);
        }
        Ok(seen)
    }

    /// A client is told that its command has not been executed and will not be.
    pub fn refuse(&mut self, partition: PartitionId, request: RequestId) -> Check {
        self.refused.insert(request);
        self.check_refused(partition, request)
    }

    fn check_refused(&self, partition: PartitionId, request: RequestId) -> Check {
        if !self.refused.contains(&request) || !self.requests.contains(&request) {
            return Ok(());
        }
        Err(Violation::new(
            "exactly once",
            format!(
                "partition {partition} has applied request {}, which was refused as not executed",
                request.request
            ),
        ))
    }

    /// Checks an input of an applied batch.
    pub fn check(&mut self, partition: PartitionId, input: &Input, outcome: &Outcome) -> Check {
        match input {
            Input::Client {
                request: Some(request),
                ..
            } if !self.requests.insert(*request) => Err(Violation::new(
                "exactly once",
                format!(
                    "partition {partition} has applied request {} twice",
                    request.request
                ),
            )),
            Input::Client {
                request: Some(request),
                ..
            } => self.check_refused(partition, *request),
            Input::Envelope(envelope) => {
                let EnvelopeBody::Command { number, .. } = envelope.body else {
                    return Ok(());
                };
                let taken = self.taken.entry(envelope.source).or_default();
                if outcome.records.is_empty() {
                    return Ok(());
                }
                if number != *taken + 1 {
                    return Err(Violation::new(
                        "exactly once",
                        format!(
                            "partition {partition} has taken command {number} of partition {} in after command {taken}",
                            envelope.source
                        ),
                    ));
                }
                *taken = number;
                Ok(())
            }
            _ => Ok(()),
        }
    }
}
