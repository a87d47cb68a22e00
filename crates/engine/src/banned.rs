//! Banned process instances: taken out of processing after an unexpected failure, their state left as it is.
//!
//! - A client's command about a banned instance is refused, and says so.
//! - A command that the partition feeds itself does nothing, and what was due is not due again.
//! - A message is given back, so that another instance of the process may have it.
//! - Jobs of a banned instance are handed out no more.

use std::collections::BTreeSet;

use skep_protocol::{
    Command, ErrorIntent, Intent, Key, MessageSubscriptionIntent, PartitionId, Position,
    ProcessInstanceIntent, ProcessMessageSubscriptionIntent, RecordValue, Rejection, values,
};
use skep_state::Read;

use crate::behaviours::{channel, messages};
use crate::processing::{Processing, Result};
use crate::tables::{banned, element_instances, jobs, timers};

/// Keys of the banned instances. They are few, asked for with every command, and so kept in memory.
#[derive(Debug, Default)]
pub(crate) struct Banned {
    known: Option<BTreeSet<Key>>,
}

impl Banned {
    /// Whether a process instance is banned.
    pub fn contains(&mut self, state: &dyn Read, process_instance: Key) -> Result<bool> {
        if self.known.is_none() {
            self.known = Some(banned::all(state)?);
        }
        Ok(self
            .known
            .as_ref()
            .is_some_and(|known| known.contains(&process_instance)))
    }

    fn add(&mut self, process_instance: Key) {
        if let Some(known) = &mut self.known {
            known.insert(process_instance);
        }
    }
}

/// The process instance that a command speaks of by itself. A client's command about a job, an incident or a variable names
/// none; its processor finds out, and asks [`refuses`].
pub(crate) fn process_instance_of(command: &Command) -> Option<Key> {
    let key = match &command.value {
        RecordValue::ProcessInstance(_)
            if command.intent == Intent::ProcessInstance(ProcessInstanceIntent::Cancel) =>
        {
            command.key.0
        }
        RecordValue::ProcessInstance(value) => value.process_instance_key,
        RecordValue::ProcessInstanceBatch(value) => value.process_instance_key,
        RecordValue::Timer(value) => value.process_instance_key,
        RecordValue::Job(value) => value.process_instance_key,
        RecordValue::ProcessMessageSubscription(value) => value.process_instance_key,
        _ => return None,
    };
    (key > 0).then_some(Key(key))
}

/// Whether a command is one of a banned instance.
pub(crate) fn is_of_banned(p: &mut Processing, command: &Command) -> Result<bool> {
    match process_instance_of(command) {
        Some(instance) => p.banned.contains(p.txn, instance),
        None => Ok(false),
    }
}

/// Whether an instance exists and may be banned: the key of one that is only being created will be given again.
pub(crate) fn can_be_banned(p: &mut Processing, process_instance: Key) -> Result<bool> {
    Ok(!p.banned.contains(p.txn, process_instance)?
        && element_instances::get(p.txn, process_instance)?.is_some())
}

/// Bans an instance, and writes down why.
pub(crate) fn ban(
    p: &mut Processing,
    process_instance: Key,
    position: Position,
    reason: &str,
) -> Result<()> {
    banned::ban(p.txn, process_instance);
    p.banned.add(process_instance);
    write_error(p, process_instance, position, reason)
}

/// ERROR CREATED for a failure, of an instance or of none.
pub(crate) fn write_error(
    p: &mut Processing,
    process_instance: Key,
    position: Position,
    reason: &str,
) -> Result<()> {
    let error = values::Error {
        exception_message: reason.to_owned(),
        stacktrace: String::new(),
        error_event_position: position.0,
        process_instance_key: process_instance.0,
    };
    let key = p.next_key()?;
    p.event(key, ErrorIntent::Created, error);
    Ok(())
}

/// Refuses a client's command if it is about a banned instance, and tells whether it did.
pub(crate) fn refuses(
    p: &mut Processing,
    command: &Command,
    process_instance: i64,
) -> Result<bool> {
    let is_banned = p.banned.contains(p.txn, Key(process_instance))?;
    if is_banned {
        let reason = format!(
            "The process instance '{process_instance}' is banned after an unexpected failure: its commands are not processed"
        );
        p.reject(command, Rejection::invalid_state(reason));
    }
    Ok(is_banned)
}

/// What is left to do about a command of a banned instance.
pub(crate) fn skip(p: &mut Processing, command: &Command) -> Result<()> {
    forget_due(p, command);
    give_message_back(p, command)?;
    if p.request.is_some()
        && let Some(instance) = process_instance_of(command)
    {
        refuses(p, command, instance.0)?;
    }
    Ok(())
}

/// Takes what a command was due for out of the queue of its time.
pub(crate) fn forget_due(p: &mut Processing, command: &Command) {
    match &command.value {
        RecordValue::Timer(timer) => timers::forget_due_date(p.txn, command.key, timer),
        RecordValue::Job(job) => jobs::forget_time(p.txn, command.key, job),
        _ => {}
    }
}

/// The message's side waits for an answer, and would keep the message from every other instance of the process.
pub(crate) fn give_message_back(p: &mut Processing, command: &Command) -> Result<()> {
    let RecordValue::ProcessMessageSubscription(value) = &command.value else {
        return Ok(());
    };
    if command.intent
        != Intent::ProcessMessageSubscription(ProcessMessageSubscriptionIntent::Correlate)
    {
        return Ok(());
    }
    let reject = messages::to_message_side(command.key, value, MessageSubscriptionIntent::Reject);
    channel::send(p, PartitionId(value.subscription_partition), reject)
}
