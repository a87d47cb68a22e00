//! Partitions with a network between them that loses, doubles and reorders, by a seed.

use std::collections::VecDeque;

use skep_protocol::{
    CheckpointId, Command, Envelope, EnvelopeBody, Intent, Key, PartitionId, Position, Record,
    RecordType, RequestId, Response,
};

use super::content::Content;
use super::evaluate::Evaluator;
use crate::behaviours::channel;
use crate::engine::Input;
use crate::{Outcome, limits};

pub struct Partition {
    pub content: Content,
    pub records: Vec<Record>,
    evaluator: Evaluator,
}

pub struct World {
    pub partitions: Vec<Partition>,
    pub time: i64,
    pub responses: Vec<Response>,
    network: VecDeque<(PartitionId, Envelope)>,
    random: u64,
    requests: u64,
    /// Of 100 envelopes, how many get lost, and how many come twice.
    pub lost: u64,
    pub doubled: u64,
}

impl World {
    pub fn new(partition_count: u32, seed: u64) -> World {
        let partition = |id| Partition {
            content: Content::default(),
            records: Vec::new(),
            evaluator: Evaluator::new(id, partition_count),
        };
        World {
            partitions: (1..=partition_count).map(partition).collect(),
            time: 1_700_000_000_000,
            responses: Vec::new(),
            network: VecDeque::new(),
            random: seed.wrapping_mul(2) | 1,
            requests: 0,
            lost: 0,
            doubled: 0,
        }
    }

    /// A world whose network behaves badly.
    pub fn faulty(partition_count: u32, seed: u64) -> World {
        World {
            lost: 30,
            doubled: 30,
            ..World::new(partition_count, seed)
        }
    }

    fn random(&mut self, below: u64) -> u64 {
        self.random = self
            .random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.random >> 33) % below
    }

    pub fn partition(&self, id: u32) -> &Partition {
        &self.partitions[id as usize - 1]
    }

    pub fn content(&self, id: u32) -> &Content {
        &self.partition(id).content
    }

    pub fn evaluate(&mut self, id: u32, input: Input) -> Outcome {
        let partition = &mut self.partitions[id as usize - 1];
        let first = Position(partition.records.len() as i64 + 1);
        let outcome = partition
            .evaluator
            .evaluate(&mut partition.content, self.time, first, input);
        partition.records.extend(outcome.records.iter().cloned());
        self.responses.extend(outcome.responses.iter().cloned());
        for send in &outcome.sends {
            let body = EnvelopeBody::Command {
                number: send.number,
                command: send.command.clone(),
            };
            self.post(id, send.target, body);
        }
        for (target, number) in &outcome.acknowledgements {
            self.post(
                id,
                *target,
                EnvelopeBody::Acknowledgement { number: *number },
            );
        }
        outcome
    }

    fn post(&mut self, source: u32, target: PartitionId, body: EnvelopeBody) {
        let envelope = Envelope {
            source: PartitionId(source),
            checkpoint_id: CheckpointId::NONE,
            body,
        };
        if self.random(100) < self.lost {
            return;
        }
        if self.random(100) < self.doubled {
            self.network.push_back((target, envelope.clone()));
        }
        self.network.push_back((target, envelope));
    }

    /// A client's command, with its answer.
    pub fn client(
        &mut self,
        id: u32,
        command: Command,
    ) -> Result<Command, skep_protocol::Rejection> {
        self.requests += 1;
        let request = RequestId {
            gateway: 1,
            request: self.requests,
        };
        self.evaluate(
            id,
            Input::Client {
                command,
                request: Some(request),
            },
        );
        let answer = self
            .responses
            .pop()
            .expect("a client's command is answered");
        assert_eq!(answer.request, request);
        answer.result
    }

    /// A command from another partition, as that one would number it.
    pub fn from(&mut self, source: u32, target: u32, number: u64, command: Command) -> Outcome {
        let body = EnvelopeBody::Command { number, command };
        let envelope = Envelope {
            source: PartitionId(source),
            checkpoint_id: CheckpointId::NONE,
            body,
        };
        self.evaluate(target, Input::Envelope(envelope))
    }

    /// Delivers in any order, evaluates what is due, and sends again what was not acknowledged, until nothing is left to do.
    pub fn settle(&mut self) {
        for _ in 0..10_000 {
            if self.network.is_empty() && !self.evaluate_due() && !self.resend() {
                return;
            }
            self.deliver(1);
        }
        panic!("the partitions do not come to rest");
    }

    fn evaluate_due(&mut self) -> bool {
        let mut found = false;
        for id in 1..=self.partitions.len() as u32 {
            let partition = self.partition(id);
            for command in partition
                .evaluator
                .due(&partition.content, self.time)
                .commands
            {
                found = true;
                self.evaluate(id, Input::Internal(command));
            }
        }
        found
    }

    /// Delivers some of what is on its way, in any order.
    pub fn deliver(&mut self, count: usize) {
        for _ in 0..count.min(self.network.len()) {
            let at = self.random(self.network.len() as u64) as usize;
            let (target, envelope) = self.network.remove(at).unwrap();
            self.evaluate(target.0, Input::Envelope(envelope));
        }
    }

    fn resend(&mut self) -> bool {
        let mut found = false;
        for id in 1..=self.partitions.len() as u32 {
            for target in channel::targets_with_undelivered(self.content(id)).unwrap() {
                found = true;
                for send in
                    channel::undelivered(self.content(id), target, limits::RESEND_MAX).unwrap()
                {
                    let body = EnvelopeBody::Command {
                        number: send.number,
                        command: send.command,
                    };
                    self.post(id, target, body);
                }
            }
        }
        found
    }
}

impl Partition {
    /// The events of that intent, in order.
    pub fn events(&self, intent: impl Into<Intent>) -> Vec<&Record> {
        let intent = intent.into();
        self.records
            .iter()
            .filter(|record| record.intent == intent && record.record_type == RecordType::Event)
            .collect()
    }

    pub fn keys(&self, intent: impl Into<Intent>) -> Vec<Key> {
        self.events(intent)
            .iter()
            .map(|record| record.key)
            .collect()
    }
}

/// What an outcome has written, in short: `-` rejections, `>` commands, events bare.
pub fn trail(outcome: &Outcome) -> Vec<String> {
    outcome
        .records
        .iter()
        .map(|record| {
            let sign = match record.record_type {
                RecordType::Event => "",
                RecordType::Command => ">",
                RecordType::CommandRejection => "-",
            };
            format!(
                "{sign}{} {}",
                record.intent.value_type().name(),
                record.intent.name()
            )
        })
        .collect()
}
