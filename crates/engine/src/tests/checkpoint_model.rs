//! Every way in which checkpoints, messages and their acknowledgements can pass one another, in small worlds.
//!
//! Partitions take checkpoints at any moment; a checkpoint also comes with any envelope whose sender has it, before the envelope
//! is taken in. An envelope that was sent can arrive at any time after, any number of times, or never: so the network is a set
//! that only grows. Whenever all partitions have the checkpoint, the cut is examined: no partition has taken in what another has
//! not sent (*orphan*), and after restoring the cut and sending again, everything that was sent is taken in exactly once
//! (otherwise it is *lost* or *doubled*).
//!
//! The harness is trusted because it finds two bugs put in on purpose.

use std::collections::{BTreeSet, HashSet};

use skep_protocol::{
    CheckpointId, CheckpointIntent, Command, Envelope, EnvelopeBody, Key, MessageIntent,
    PartitionId, Position, values,
};
use skep_state::{Read, TableKey, Txn};

use super::content::Content;
use super::evaluate::Evaluator;
use crate::behaviours::channel;
use crate::engine::Input;
use crate::tables::{channels, checkpoint};

const THE_CHECKPOINT: CheckpointId = CheckpointId(1);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Bug {
    None,
    AcknowledgementsCarryNoCheckpoint,
    CommandsCarryNoCheckpoint,
}

#[derive(Debug, PartialEq, Eq)]
enum Violation {
    Orphan,
    Lost,
    Doubled,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Carried {
    Command(u64),
    Acknowledgement(u64),
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct InFlight {
    source: u32,
    target: u32,
    checkpoint: i64,
    carried: Carried,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Node {
    content: Content,
    cut: Option<Content>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Moment {
    nodes: Vec<Node>,
    network: BTreeSet<InFlight>,
    /// Which of the model's messages have been sent.
    sent: Vec<bool>,
}

struct Model {
    evaluators: Vec<Evaluator>,
    /// Sources and targets of the messages, each sent once at any time.
    messages: Vec<(u32, u32)>,
    bug: Bug,
}

fn command(number: u64) -> Command {
    Command::new(
        Key(number as i64),
        MessageIntent::Expire,
        values::Message::default(),
    )
}

/// How often a command was taken in: counted in the state, so that it is cut with everything else.
fn counter(source: u32, number: u64) -> TableKey {
    TableKey::new(250).u32(source).u64(number)
}

fn times_taken(content: &Content, source: u32, number: u64) -> u8 {
    content
        .get(counter(source, number).as_bytes())
        .unwrap()
        .map_or(0, |value| value[0])
}

fn checkpoint_of(content: &Content) -> CheckpointId {
    checkpoint::latest(content).unwrap().id
}

impl Model {
    fn new(partition_count: u32, messages: &[(u32, u32)], bug: Bug) -> Model {
        Model {
            evaluators: (1..=partition_count)
                .map(|id| Evaluator::new(id, partition_count))
                .collect(),
            messages: messages.to_vec(),
            bug,
        }
    }

    /// Explores all that can happen; gives the number of different moments, or what goes wrong.
    fn explore(&mut self) -> Result<usize, Violation> {
        let node = Node {
            content: Content::default(),
            cut: None,
        };
        let first = Moment {
            nodes: vec![node; self.evaluators.len()],
            network: BTreeSet::new(),
            sent: vec![false; self.messages.len()],
        };
        let mut seen = HashSet::from([first.clone()]);
        let mut open = vec![first];
        let mut examined = HashSet::new();
        while let Some(moment) = open.pop() {
            for next in self.successors(&moment) {
                let cuts: Option<Vec<Content>> =
                    next.nodes.iter().map(|node| node.cut.clone()).collect();
                if let Some(cuts) = cuts
                    && !examined.contains(&cuts)
                {
                    self.examine(&cuts)?;
                    examined.insert(cuts);
                }
                if seen.insert(next.clone()) {
                    open.push(next);
                }
            }
        }
        assert!(examined.len() > 1, "the model takes cuts");
        Ok(seen.len())
    }

    fn successors(&mut self, moment: &Moment) -> Vec<Moment> {
        let mut next = Vec::new();
        for index in 0..self.messages.len() {
            if !moment.sent[index] {
                let mut then = moment.clone();
                then.sent[index] = true;
                let (source, target) = self.messages[index];
                self.send(&mut then, source, target);
                next.push(then);
            }
        }
        for id in 1..=self.evaluators.len() as u32 {
            let mut then = moment.clone();
            self.take_checkpoint(&mut then, id, THE_CHECKPOINT);
            next.push(then);
            let mut then = moment.clone();
            self.resend(&mut then, id);
            next.push(then);
        }
        for envelope in &moment.network {
            let mut then = moment.clone();
            self.deliver(&mut then, envelope);
            next.push(then);
        }
        next.retain(|then| then != moment);
        next
    }

    fn post(&self, moment: &mut Moment, source: u32, target: u32, carried: Carried) {
        let checkpoint = match (self.bug, &carried) {
            (Bug::AcknowledgementsCarryNoCheckpoint, Carried::Acknowledgement(_))
            | (Bug::CommandsCarryNoCheckpoint, Carried::Command(_)) => CheckpointId::NONE,
            _ => checkpoint_of(&moment.nodes[source as usize - 1].content),
        };
        moment.network.insert(InFlight {
            source,
            target,
            checkpoint: checkpoint.0,
            carried,
        });
    }

    fn send(&mut self, moment: &mut Moment, source: u32, target: u32) {
        let content = &mut moment.nodes[source as usize - 1].content;
        let number = channels::get(content, PartitionId(target)).unwrap().sent + 1;
        let mut p = self.evaluators[source as usize - 1].begin(content, 0, Position(1));
        channel::send(&mut p, PartitionId(target), command(number)).unwrap();
        assert_eq!(p.outcome.sends[0].number, number);
        self.post(moment, source, target, Carried::Command(number));
    }

    fn resend(&mut self, moment: &mut Moment, source: u32) {
        let content = moment.nodes[source as usize - 1].content.clone();
        for target in channel::targets_with_undelivered(&content).unwrap() {
            for send in channel::undelivered(&content, target, 10).unwrap() {
                self.post(moment, source, target.0, Carried::Command(send.number));
            }
        }
    }

    fn take_checkpoint(&mut self, moment: &mut Moment, id: u32, checkpoint: CheckpointId) {
        let node = &mut moment.nodes[id as usize - 1];
        if checkpoint <= checkpoint_of(&node.content) {
            return;
        }
        let value = values::Checkpoint {
            checkpoint_id: checkpoint.0,
            ..Default::default()
        };
        let create = Command::new(Key::NONE, CheckpointIntent::Create, value);
        let outcome = self.evaluators[id as usize - 1].evaluate(
            &mut node.content,
            0,
            Position(1),
            Input::Internal(create),
        );
        assert_eq!(outcome.checkpoint, Some(checkpoint));
        node.cut = Some(node.content.clone());
    }

    fn deliver(&mut self, moment: &mut Moment, in_flight: &InFlight) {
        let InFlight {
            source,
            target,
            checkpoint,
            ref carried,
        } = *in_flight;
        self.take_checkpoint(moment, target, CheckpointId(checkpoint));
        let body = match *carried {
            Carried::Command(number) => EnvelopeBody::Command {
                number,
                command: command(number),
            },
            Carried::Acknowledgement(number) => EnvelopeBody::Acknowledgement { number },
        };
        let envelope = Envelope {
            source: PartitionId(source),
            checkpoint_id: CheckpointId(checkpoint),
            body,
        };
        let content = &mut moment.nodes[target as usize - 1].content;
        let outcome = self.evaluators[target as usize - 1].evaluate(
            content,
            0,
            Position(1),
            Input::Envelope(envelope),
        );
        if let (Carried::Command(number), false) = (carried, outcome.records.is_empty()) {
            let times = times_taken(content, source, *number) + 1;
            content.put(counter(source, *number).as_bytes(), vec![times]);
        }
        for (to, number) in outcome.acknowledgements {
            self.post(moment, target, to.0, Carried::Acknowledgement(number));
        }
    }

    fn examine(&mut self, cuts: &[Content]) -> Result<(), Violation> {
        let pairs: BTreeSet<(u32, u32)> = self.messages.iter().copied().collect();
        for &(source, target) in &pairs {
            let sent = channels::get(&cuts[source as usize - 1], PartitionId(target))
                .unwrap()
                .sent;
            let taken = channels::get(&cuts[target as usize - 1], PartitionId(source))
                .unwrap()
                .taken;
            if taken > sent {
                return Err(Violation::Orphan);
            }
        }
        let restored = self.restore(cuts);
        for &(source, target) in &pairs {
            let sent = channels::get(&cuts[source as usize - 1], PartitionId(target))
                .unwrap()
                .sent;
            for number in 1..=sent {
                match times_taken(&restored.nodes[target as usize - 1].content, source, number) {
                    0 => return Err(Violation::Lost),
                    1 => {}
                    _ => return Err(Violation::Doubled),
                }
            }
        }
        Ok(())
    }

    /// A cluster that begins with the cut and an empty network, and runs until everything is acknowledged or nothing changes.
    fn restore(&mut self, cuts: &[Content]) -> Moment {
        let nodes = cuts
            .iter()
            .map(|cut| Node {
                content: cut.clone(),
                cut: None,
            })
            .collect();
        let mut moment = Moment {
            nodes,
            network: BTreeSet::new(),
            sent: Vec::new(),
        };
        loop {
            let before = moment.clone();
            for id in 1..=self.evaluators.len() as u32 {
                self.resend(&mut moment, id);
            }
            for envelope in moment.network.clone() {
                self.deliver(&mut moment, &envelope);
            }
            if moment == before {
                return moment;
            }
        }
    }
}

/// Small worlds: partitions, and the messages between them.
const WORLDS: [(u32, &[(u32, u32)]); 4] = [
    (2, &[(1, 2)]),
    (2, &[(1, 2), (1, 2)]),
    (2, &[(1, 2), (2, 1)]),
    (3, &[(1, 2), (2, 3)]),
];

#[test]
fn every_cut_is_consistent_and_loses_nothing() {
    for (partition_count, messages) in WORLDS {
        let moments = Model::new(partition_count, messages, Bug::None).explore();
        let moments = moments.unwrap_or_else(|violation| panic!("{violation:?} with {messages:?}"));
        assert!(moments > 20, "only {moments} moments with {messages:?}");
    }
}

#[test]
fn acknowledgements_without_a_checkpoint_id_lose_messages() {
    for (partition_count, messages) in WORLDS {
        let found = Model::new(
            partition_count,
            messages,
            Bug::AcknowledgementsCarryNoCheckpoint,
        )
        .explore();
        assert_eq!(found, Err(Violation::Lost), "{messages:?}");
    }
}

#[test]
fn commands_without_a_checkpoint_id_become_orphans() {
    for (partition_count, messages) in WORLDS {
        let found = Model::new(partition_count, messages, Bug::CommandsCarryNoCheckpoint).explore();
        assert_eq!(found, Err(Violation::Orphan), "{messages:?}");
    }
}
