//! What was answered with success stays: it is in the state of every later leader, until its end is on record.

use std::collections::BTreeMap;

use skep_engine::tables::{element_instances, incidents, jobs, prefix};
use skep_protocol::values::BpmnElementType;
use skep_protocol::{
    Batch, CheckpointId, Command, IncidentIntent, Intent, JobIntent, Key, MessageIntent,
    PartitionId, Position, ProcessInstanceCreationIntent, ProcessInstanceIntent, RecordType,
    RecordValue, Response,
};
use skep_state::{Read, TableKey};

use crate::reference::Answer;
use crate::violation::{Check, Violation};

/// What must be in a state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Expected {
    /// A process instance, by its key.
    Instance,
    /// A buffered message.
    Message,
    /// No job of that key, since it was completed.
    JobGone,
    /// No incident of that key, since it was resolved.
    IncidentGone,
}

/// A success that a client knows of.
#[derive(Debug, Clone, Copy)]
struct Answered {
    expected: Expected,
    at: i64,
    index: u64,
    position: Position,
}

/// Successes of a partition.
#[derive(Debug, Default)]
pub struct History {
    known: BTreeMap<Key, Answered>,
    /// Instances and messages that have ended, with the position up to which that was on record.
    ended: BTreeMap<Key, i64>,
    /// How many successes were answered.
    pub answered: u64,
}

/// How many completed jobs and resolved incidents are remembered.
const GONE_MAX: usize = 2_000;

impl History {
    /// An answer leaves: its command must be in a committed batch, with this outcome. Remembers a success.
    pub fn answer(
        &mut self,
        partition: PartitionId,
        response: &Response,
        expected: Option<Answer>,
        now: i64,
    ) -> Check {
        let request = response.request.request;
        let Some(answer) = expected else {
            return Err(Violation::new(
                "answered",
                format!(
                    "partition {partition} answers request {request}, but its command is in no committed batch, or was answered before"
                ),
            ));
        };
        if answer.result != response.result {
            return Err(Violation::new(
                "answered",
                format!(
                    "partition {partition} answers request {request} with {:?}, but the log says {:?}",
                    response.result, answer.result
                ),
            ));
        }
        if let Ok(event) = &response.result {
            self.learn(event, &answer, now);
        }
        Ok(())
    }

    fn learn(&mut self, event: &Command, answer: &Answer, now: i64) {
        let (key, expected) = match (event.intent, &event.value) {
            (
                Intent::ProcessInstanceCreation(ProcessInstanceCreationIntent::Created),
                RecordValue::ProcessInstanceCreation(created),
            ) => (Key(created.process_instance_key), Expected::Instance),
            (Intent::Message(MessageIntent::Published), RecordValue::Message(message))
                if message.time_to_live > 0 =>
            {
                (event.key, Expected::Message)
            }
            (Intent::Job(JobIntent::Completed), _) => (event.key, Expected::JobGone),
            (Intent::Incident(IncidentIntent::Resolved), _) => (event.key, Expected::IncidentGone),
            _ => return,
        };
        self.answered += 1;
        let answered = Answered {
            expected,
            at: now,
            index: answer.index,
            position: answer.position,
        };
        self.known.insert(key, answered);
        if self.known.len() > 2 * GONE_MAX {
            self.forget();
        }
    }

    /// Forgets what has ended long ago.
    fn forget(&mut self) {
        let ended = std::mem::take(&mut self.ended);
        self.known.retain(|key, _| !ended.contains_key(key));
        let mut gone = self
            .known
            .values()
            .filter(|answered| is_gone(answered.expected))
            .count();
        self.known.retain(|_, answered| {
            let forget = is_gone(answered.expected) && gone > GONE_MAX;
            gone -= usize::from(forget);
            !forget
        });
    }

    /// A batch is committed: what it ends need not be there any more.
    pub fn record(&mut self, batch: &Batch) {
        for (number, record) in batch.records.iter().enumerate() {
            if record.record_type != RecordType::Event {
                continue;
            }
            let ends = match (record.intent, &record.value) {
                (
                    Intent::ProcessInstance(
                        ProcessInstanceIntent::ElementCompleted
                        | ProcessInstanceIntent::ElementTerminated,
                    ),
                    RecordValue::ProcessInstance(value),
                ) => value.element_type() == BpmnElementType::Process,
                (Intent::Message(MessageIntent::Expired), _) => true,
                _ => false,
            };
            if ends {
                let position = batch.header.first_position.0 + number as i64;
                self.ended.insert(record.key, position);
            }
        }
    }

    /// Checks the state of a leader that has applied the log up to an entry and stands at a position. A leader that has fallen
    /// behind is not later than what was answered since.
    pub fn check_leader(
        &self,
        partition: PartitionId,
        state: &dyn Read,
        index: u64,
        at: Position,
    ) -> Check {
        let before = |answered: &Answered| answered.index <= index;
        for (key, answered) in self.known.iter().filter(|(_, answered)| before(answered)) {
            self.check_one(partition, state, at, *key, answered)?;
        }
        Ok(())
    }

    /// What consensus holds as committed has shrunk to an entry: whatever was answered from later ones is lost.
    pub fn check_lost(&self, partition: PartitionId, last: u64) -> Check {
        let lost = self
            .known
            .iter()
            .find(|(_, answered)| answered.index > last);
        match lost {
            None => Ok(()),
            Some((key, answered)) => Err(Violation::new(
                "answered",
                format!(
                    "partition {partition}: a success about key {key} was answered from entry {}, but after a crash the log ends at entry {last}",
                    answered.index
                ),
            )),
        }
    }

    fn check_one(
        &self,
        partition: PartitionId,
        state: &dyn Read,
        at: Position,
        key: Key,
        answered: &Answered,
    ) -> Check {
        let failed = |error: skep_state::StateError| Violation::new("state", error.to_string());
        let ended = self
            .ended
            .get(&key)
            .is_some_and(|position| *position <= at.0);
        let holds = match answered.expected {
            Expected::Instance => {
                ended
                    || element_instances::get(state, key)
                        .map_err(failed)?
                        .is_some()
            }
            Expected::Message => {
                let stored = TableKey::new(prefix::MESSAGES).i64(key.0);
                ended || state.get(stored.as_bytes()).map_err(failed)?.is_some()
            }
            Expected::JobGone => jobs::get(state, key).map_err(failed)?.is_none(),
            Expected::IncidentGone => incidents::get(state, key).map_err(failed)?.is_none(),
        };
        if holds {
            return Ok(());
        }
        Err(Violation::new(
            "answered",
            format!(
                "partition {partition}: a success about key {key} was answered at position {}, but the leader at position {at} knows nothing of it ({:?})",
                answered.position, answered.expected
            ),
        ))
    }

    /// Whatever was answered before a backup was asked for is in its checkpoint.
    pub fn check_cut(
        &self,
        partition: PartitionId,
        id: CheckpointId,
        asked_at: i64,
        position: Position,
    ) -> Check {
        let missing = self
            .known
            .iter()
            .find(|(_, answered)| answered.at < asked_at && answered.position > position);
        match missing {
            None => Ok(()),
            Some((key, answered)) => Err(Violation::new(
                "answered",
                format!(
                    "partition {partition}: a success about key {key} at position {} was answered before backup {id} was asked for, but its checkpoint is at {position}",
                    answered.position
                ),
            )),
        }
    }
}

const fn is_gone(expected: Expected) -> bool {
    matches!(expected, Expected::JobGone | Expected::IncidentGone)
}
