//! One evaluation, with the processors that these tests are about.

use std::collections::VecDeque;

use skep_protocol::{Command, PartitionId, Position, RecordType, RecordValue};

use super::content::Content;
use crate::definitions::Definitions;
use crate::engine::Input;
use crate::processing::Processing;
use crate::processors::{self, channel::Received};
use crate::{Context, EngineConfig, Outcome};

pub struct Evaluator {
    pub config: EngineConfig,
    pub definitions: Definitions,
}

impl Evaluator {
    pub fn new(partition: u32, partition_count: u32) -> Evaluator {
        Evaluator {
            config: EngineConfig {
                partition: PartitionId(partition),
                partition_count,
            },
            definitions: Definitions::default(),
        }
    }

    pub fn begin<'a>(
        &'a mut self,
        content: &'a mut Content,
        time: i64,
        first: Position,
    ) -> Processing<'a> {
        Processing {
            txn: content,
            config: &self.config,
            context: Context {
                time,
                seed: 1,
                first_position: first,
            },
            definitions: &mut self.definitions,
            instances: Default::default(),
            outcome: Outcome::default(),
            follow_ups: VecDeque::new(),
            source: Position::NONE,
            request: None,
        }
    }

    pub fn evaluate(
        &mut self,
        content: &mut Content,
        time: i64,
        first: Position,
        input: Input,
    ) -> Outcome {
        let mut p = self.begin(content, time, first);
        let command = match input {
            Input::Client { command, request } => {
                p.request = request;
                command
            }
            Input::Internal(command) => command,
            Input::Envelope(envelope) => {
                match processors::channel::receive(&mut p, &envelope).unwrap() {
                    Received::Command(command) => command,
                    Received::Nothing => return p.outcome,
                }
            }
        };
        p.source = p.record(
            RecordType::Command,
            command.key,
            command.intent,
            command.value.clone(),
            None,
        );
        dispatch(&mut p, &command);
        p.request = None;
        while let Some(follow_up) = p.follow_ups.pop_front() {
            p.source = follow_up.position;
            dispatch(&mut p, &follow_up.command);
        }
        p.outcome
    }
}

fn dispatch(p: &mut Processing, command: &Command) {
    match &command.value {
        RecordValue::Checkpoint(_) => processors::checkpoint::process(p, command),
        RecordValue::Deployment(_) | RecordValue::DeploymentDistribution(_) => {
            processors::deployment::process(p, command)
        }
        RecordValue::Message(_) | RecordValue::MessageBatch(_) => {
            processors::message::process(p, command)
        }
        RecordValue::MessageSubscription(_) => {
            processors::message_subscription::process(p, command)
        }
        RecordValue::ProcessMessageSubscription(_) => {
            processors::process_message_subscription::process(p, command)
        }
        other => panic!("{} is not for these tests", other.value_type().name()),
    }
    .unwrap();
}
