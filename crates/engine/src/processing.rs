//! The evaluation of one command: its transaction, its outcome so far, its follow-up commands.
//!
//! Processors, elements and behaviours are functions over [`Processing`]. They change the state through the tables, and
//! write down each change as an event.

use std::collections::VecDeque;

use skep_protocol::{
    Command, Intent, Key, OperationReference, Position, Record, RecordType, RecordValue, Rejection,
    RequestId, Response,
};
use skep_state::{EVALUATION_BYTES_MAX, LimitExceeded, StateError, Txn};

use crate::banned::Banned;
use crate::definitions::Definitions;
use crate::instances::{ElementInstance, Instances};
use crate::tables::keys;
use crate::{Context, EngineConfig, Outcome};

/// Result of anything that reads the state: an error is a failed disk.
pub(crate) type Result<T> = std::result::Result<T, StateError>;

/// Records that there is room for from the start: a client's command with what follows from it writes about as many.
const USUAL_RECORDS: usize = 32;

/// Bytes of a record beside its value, roughly.
const RECORD_OVERHEAD: usize = 32;

/// A follow-up command, with the position of its record.
#[derive(Debug)]
pub(crate) struct FollowUp {
    pub command: Command,
    pub position: Position,
}

/// The evaluation under way.
pub(crate) struct Processing<'a> {
    /// State, read and written.
    pub txn: &'a mut dyn Txn,
    /// Partition and cluster.
    pub config: &'a EngineConfig,
    /// Time, seed, first position.
    pub context: Context,
    /// Compiled definitions.
    pub definitions: &'a mut Definitions,
    /// Instances whose commands are not processed.
    pub banned: &'a mut Banned,
    /// Element instances met so far.
    pub instances: Instances,
    /// How many keys the partition has given, once one was needed.
    keys_given: Option<u64>,
    /// The same before this evaluation.
    keys_given_before: u64,
    /// What has come of it so far.
    pub outcome: Outcome,
    /// Follow-up commands not yet evaluated.
    pub follow_ups: VecDeque<FollowUp>,
    /// Position of the command being evaluated.
    pub source: Position,
    /// What a client calls the operation that the command being evaluated is part of.
    pub operation_reference: OperationReference,
    /// Who waits for the answer to the command being evaluated.
    pub request: Option<RequestId>,
}

impl<'a> Processing<'a> {
    /// The evaluation of nothing yet.
    pub fn new(
        txn: &'a mut dyn Txn,
        config: &'a EngineConfig,
        definitions: &'a mut Definitions,
        banned: &'a mut Banned,
        context: Context,
    ) -> Processing<'a> {
        Processing {
            txn,
            config,
            context,
            definitions,
            banned,
            instances: Instances::default(),
            keys_given: None,
            keys_given_before: 0,
            outcome: Outcome {
                records: Vec::with_capacity(USUAL_RECORDS),
                ..Outcome::default()
            },
            follow_ups: VecDeque::new(),
            source: Position::NONE,
            operation_reference: OperationReference::NONE,
            request: None,
        }
    }

    /// The time of the evaluation, in epoch milliseconds.
    pub fn now(&self) -> i64 {
        self.context.time
    }

    /// The element instance of that key.
    pub fn instance(&mut self, key: Key) -> Result<Option<ElementInstance>> {
        self.instances.get(self.txn, self.definitions, key)
    }

    /// The element instance of a key that the state refers to, so that it must be there.
    pub fn existing_instance(&mut self, key: Key) -> Result<ElementInstance> {
        let instance = self.instance(key)?;
        Ok(instance
            .unwrap_or_else(|| panic!("element instance {key} is referred to but does not exist")))
    }

    /// A new key.
    pub fn next_key(&mut self) -> Result<Key> {
        let given = match self.keys_given {
            Some(given) => given,
            None => {
                self.keys_given_before = keys::given(self.txn)?;
                self.keys_given_before
            }
        } + 1;
        self.keys_given = Some(given);
        Ok(Key::new(self.config.partition, given))
    }

    /// Whether this evaluation has given that key.
    pub fn is_new(&self, key: Key) -> bool {
        self.keys_given.is_some() && key.counter() > self.keys_given_before
    }

    /// Writes to the transaction what was kept in memory so far, and gives the outcome.
    pub fn finish(mut self) -> Outcome {
        self.instances.flush(self.txn);
        if let Some(given) = self.keys_given {
            keys::set_given(self.txn, given);
        }
        self.outcome
    }

    /// Bytes of what was written down so far, roughly.
    pub fn bytes(&self) -> usize {
        self.outcome.record_bytes + self.txn.written_bytes()
    }

    /// Appends a record and gives its position.
    pub fn record(
        &mut self,
        record_type: RecordType,
        key: Key,
        intent: Intent,
        value: RecordValue,
        rejection: Option<Rejection>,
    ) -> Position {
        let position = Position(self.context.first_position.0 + self.outcome.records.len() as i64);
        self.outcome.record_bytes += RECORD_OVERHEAD + value.encoded_len();
        if self.bytes() > EVALUATION_BYTES_MAX {
            LimitExceeded::Evaluation.end_evaluation();
        }
        self.outcome.records.push(Record {
            record_type,
            intent,
            key,
            source_position: self.source,
            operation_reference: self.operation_reference,
            rejection,
            value,
        });
        position
    }

    /// Writes down what has happened.
    pub fn event(
        &mut self,
        key: Key,
        intent: impl Into<Intent>,
        value: impl Into<RecordValue>,
    ) -> Position {
        let intent = intent.into();
        debug_assert!(intent.is_event(), "{} is not an event", intent.name());
        self.record(RecordType::Event, key, intent, value.into(), None)
    }

    /// Appends a command that is evaluated after this one, in the same transaction if there is room.
    pub fn follow_up(&mut self, command: Command) {
        let command = command.referred_to_as(self.operation_reference);
        let position = self.record(
            RecordType::Command,
            command.key,
            command.intent,
            command.value.clone(),
            None,
        );
        self.follow_ups.push_back(FollowUp { command, position });
    }

    /// Answers the request behind the command being evaluated, if there is one.
    pub fn respond(&mut self, key: Key, intent: impl Into<Intent>, value: impl Into<RecordValue>) {
        if let Some(request) = self.request {
            let event = Command::new(key, intent, value).referred_to_as(self.operation_reference);
            self.outcome.responses.push(Response {
                request,
                result: Ok(event),
            });
        }
    }

    /// Refuses a client's command that has been begun already: takes back all that it has done, and rejects it.
    ///
    /// # Panics
    /// If it is not the first of its evaluation, so that something else would be taken back as well.
    pub fn take_back(&mut self, command: &Command, rejection: Rejection) {
        let [first, ..] = &self.outcome.records[..] else {
            panic!("a command that is evaluated has its record")
        };
        assert!(
            self.source == self.context.first_position && first.record_type == RecordType::Command,
            "only a client's command can be taken back"
        );
        let record_bytes = RECORD_OVERHEAD + first.value.encoded_len();
        self.outcome.records.truncate(1);
        self.outcome = Outcome {
            records: std::mem::take(&mut self.outcome.records),
            record_bytes,
            ..Outcome::default()
        };
        self.txn.revert();
        self.instances = Instances::default();
        self.keys_given = None;
        self.follow_ups.clear();
        self.reject(command, rejection);
    }

    /// Refuses the command being evaluated: writes the rejection down and answers with it.
    pub fn reject(&mut self, command: &Command, rejection: Rejection) {
        self.record(
            RecordType::CommandRejection,
            command.key,
            command.intent,
            command.value.clone(),
            Some(rejection.clone()),
        );
        if let Some(request) = self.request {
            self.outcome.responses.push(Response {
                request,
                result: Err(rejection),
            });
        }
    }
}
