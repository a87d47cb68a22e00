//! Whose evaluation is under way: whoever survives a failure asks here what caused it.

use std::hash::Hasher;

use rustc_hash::FxHasher;
use skep_protocol::{Command, EnvelopeBody, Intent, Key, RecordValue};
use skep_state::Read;

use crate::Input;
use crate::banned::process_instance_of;
use crate::processing::{Processing, Result};
use crate::tables::{element_instances, incidents, jobs, user_tasks};

/// An evaluation: the command that it began with, and the process instance that it has come to.
///
/// The same command evaluated again is the same subject, in another process as well.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Subject {
    /// What the first command asks for.
    pub intent: Intent,
    /// Whom the first command is about.
    pub key: Key,
    /// Hash of what the first command says, if it is about nothing that exists (a creation, a deployment); else 0.
    pub content: u64,
    /// The process instance of the command being evaluated, or of the one before it; [`Key::NONE`] if there was none yet. One that
    /// only this evaluation creates does not count: its key will be given again, to another.
    pub process_instance: Key,
    /// Whether a failure now would be one of the process instance, and not of what a client has asked for.
    bans: bool,
}

/// Told whose evaluation begins, before it does.
pub trait Watch {
    /// Everything from now on until the next call is an evaluation of this.
    fn begins(&mut self, subject: &Subject);
}

/// Nobody needs to know.
#[derive(Debug)]
pub(crate) struct Unwatched;

impl Watch for Unwatched {
    fn begins(&mut self, _: &Subject) {}
}

impl Subject {
    /// What was found written down.
    pub const fn noted(intent: Intent, key: Key, content: u64, process_instance: Key) -> Subject {
        Subject {
            intent,
            key,
            content,
            process_instance,
            bans: true,
        }
    }

    /// What the evaluation of an input begins with; `None` if there is no command in it.
    pub fn of_input(input: &Input) -> Option<Subject> {
        match input {
            Input::Client { command, .. } => Some(Subject::of_first(command, true)),
            Input::Internal(command) => Some(Subject::of_first(command, false)),
            Input::Envelope(envelope) => match &envelope.body {
                EnvelopeBody::Command { command, .. } => Some(Subject::of_first(command, false)),
                EnvelopeBody::Acknowledgement { .. } => None,
            },
            Input::Ban { .. } => None,
        }
    }

    /// Whether it is the same evaluation. How far it had come may differ.
    pub fn is_same(&self, other: &Subject) -> bool {
        (self.intent, self.key, self.content) == (other.intent, other.key, other.content)
    }

    pub(crate) fn of_first(command: &Command, is_clients: bool) -> Subject {
        let key = match &command.value {
            RecordValue::VariableDocument(document) => Key(document.scope_key),
            _ => command.key,
        };
        Subject {
            intent: command.intent,
            key,
            content: match key.is_some() {
                true => 0,
                false => hash(&command.value),
            },
            process_instance: process_instance_of(command).unwrap_or(Key::NONE),
            bans: !is_clients && is_step(command),
        }
    }

    pub(crate) fn of_follow_up(self, command: &Command, p: &Processing) -> Subject {
        match process_instance_of(command) {
            Some(process_instance) if p.is_new(process_instance) => Subject {
                process_instance: Key::NONE,
                bans: false,
                ..self
            },
            Some(process_instance) => Subject {
                process_instance,
                bans: true,
                ..self
            },
            None => Subject {
                bans: false,
                ..self
            },
        }
    }

    /// The instance that is to blame for a panic.
    pub(crate) fn culprit(self) -> Option<Key> {
        (self.bans && self.process_instance.is_some()).then_some(self.process_instance)
    }

    /// The instance that is to blame for a panic in a command that is not a client's.
    pub(crate) fn culprit_of_own(command: &Command) -> Option<Key> {
        Subject::of_first(command, false).culprit()
    }

    /// The process instance to ban if the evaluation has killed its process: the one that it had come to, or the one that its
    /// command is about. `None` if the evaluation was of no instance that exists.
    ///
    /// # Errors
    /// If the state cannot be read.
    pub fn owner(&self, state: &dyn Read) -> Result<Option<Key>> {
        let instance = match self.intent {
            _ if self.process_instance.is_some() => Some(self.process_instance.0),
            Intent::Job(_) => jobs::get(state, self.key)?.map(|job| job.job.process_instance_key),
            Intent::Incident(_) => {
                incidents::get(state, self.key)?.map(|incident| incident.process_instance_key)
            }
            Intent::UserTask(_) => {
                user_tasks::get(state, self.key)?.map(|task| task.process_instance_key)
            }
            Intent::VariableDocument(_) => {
                element_instances::get(state, self.key)?.map(|scope| scope.process_instance_key)
            }
            _ => None,
        };
        let Some(instance) = instance.map(Key) else {
            return Ok(None);
        };
        let exists = element_instances::get(state, instance)?.is_some();
        Ok(exists.then_some(instance))
    }
}

/// The same in every process that runs the same version.
fn hash(value: &RecordValue) -> u64 {
    let mut bytes = Vec::with_capacity(value.encoded_len());
    value.encode(&mut bytes);
    let mut hasher = FxHasher::default();
    hasher.write(&bytes);
    hasher.finish()
}

/// A job's time-out or back-off is not a step of its instance.
fn is_step(command: &Command) -> bool {
    !matches!(command.value, RecordValue::Job(_))
}
