//! Message start events: which there are, and the instances that they start.
//!
//! **Invariants**
//! - Each partition has the message start events of the latest version of each process, and starts instances for the messages
//!   that it keeps.
//! - Of one process id, at most one instance that was started for a non-empty correlation key is active. While it is, messages
//!   of that key wait in the buffer; its end starts the next one.

use std::sync::Arc;

use skep_bpmn::model::{self, Trigger};
use skep_feel::Environment;
use skep_protocol::{Key, MessageStartEventSubscriptionIntent as Intent, values};

use crate::behaviours::{instances, start_names};
use crate::definitions::Definition;
use crate::processing::{Processing, Result};
use crate::tables::{message_start_events as start_events, messages, processes};

/// The message start events of a process, with the name that each waits for, or why it has none.
pub(crate) fn message_names<'a>(
    process: &'a model::Process,
    environment: &Environment,
) -> Vec<(&'a model::Element, std::result::Result<String, String>)> {
    let starts = process
        .scope()
        .start_events
        .iter()
        .map(|&index| process.element(index));
    starts
        .filter_map(|start| match start.trigger() {
            Some(Trigger::Message(message)) => Some((
                start,
                start_names::constant("message name", &message.name, environment),
            )),
            _ => None,
        })
        .collect()
}

/// A new version of a process is the latest: its message start events take the place of those of the version before.
pub(crate) fn definition_deployed(p: &mut Processing, definition: Key) -> Result<()> {
    let Some(definition) = p.definitions.process(p.txn, definition)? else {
        return Ok(());
    };
    if let Some(before) = processes::version_below(p.txn, &definition.id, definition.version)? {
        close(p, before.key())?;
    }
    let environment = Environment::at_epoch_millis(p.now(), p.context.seed);
    for (start, name) in message_names(&definition, &environment) {
        // It was evaluated when it was deployed; one that depends on the clock may still fail here, and then waits for nothing.
        let Ok(message_name) = name else {
            continue;
        };
        let key = p.next_key()?;
        let subscription = subscription(&definition, start, message_name);
        start_events::insert(p.txn, key, &subscription);
        p.event(key, Intent::Created, subscription);
    }
    Ok(())
}

/// Closes the message start events of a process definition.
pub(crate) fn close(p: &mut Processing, definition: Key) -> Result<()> {
    for (key, subscription) in start_events::of_process(p.txn, definition)? {
        start_events::delete(p.txn, &subscription);
        p.event(key, Intent::Deleted, subscription);
    }
    Ok(())
}

fn subscription(
    definition: &Definition,
    start: &model::Element,
    message_name: String,
) -> values::MessageStartEventSubscription {
    values::MessageStartEventSubscription {
        process_definition_key: definition.key.0,
        bpmn_process_id: definition.id.to_string(),
        start_event_id: start.id.to_string(),
        message_name,
        process_instance_key: Key::NONE.0,
        correlation_key: String::new(),
        message_key: Key::NONE.0,
        variables: String::new(),
    }
}

/// The start events that a new message starts instances at. `taken` are the processes that it went to an instance of.
pub(crate) fn matching(
    p: &Processing,
    message: &values::Message,
    taken: &[String],
) -> Result<Vec<(Key, values::MessageStartEventSubscription)>> {
    let mut found: Vec<(Key, values::MessageStartEventSubscription)> = Vec::new();
    for (key, subscription) in start_events::of_name(p.txn, &message.name)? {
        let id = &subscription.bpmn_process_id;
        let again =
            taken.contains(id) || found.iter().any(|(_, other)| other.bpmn_process_id == *id);
        if !again && is_free(p, id, &message.correlation_key)? {
            found.push((key, subscription));
        }
    }
    Ok(found)
}

fn is_free(p: &Processing, bpmn_process_id: &str, correlation_key: &str) -> Result<bool> {
    Ok(correlation_key.is_empty()
        || !start_events::is_started(p.txn, bpmn_process_id, correlation_key)?)
}

/// Starts an instance at a message start event.
pub(crate) fn start(
    p: &mut Processing,
    key: Key,
    mut subscription: values::MessageStartEventSubscription,
    message_key: Key,
    message: &values::Message,
) -> Result<()> {
    let definition_key = Key(subscription.process_definition_key);
    let definition: Arc<Definition> = p
        .definitions
        .process(p.txn, definition_key)?
        .expect("start events belong to deployed definitions");
    let start = definition
        .element_by_id(&subscription.start_event_id)
        .expect("a start event is an element of its definition")
        .index;
    messages::mark_correlated(p.txn, message_key, &subscription.bpmn_process_id)?;
    let instance = instances::create(
        p,
        &definition,
        instances::Start::Event(start),
        &message.variables,
    )?;
    if !message.correlation_key.is_empty() {
        start_events::set_started(
            p.txn,
            &subscription.bpmn_process_id,
            &message.correlation_key,
            instance,
        );
    }
    subscription.process_instance_key = instance.0;
    subscription
        .correlation_key
        .clone_from(&message.correlation_key);
    subscription.message_key = message_key.0;
    subscription.variables.clone_from(&message.variables);
    p.event(key, Intent::Correlated, subscription);
    Ok(())
}

/// A process instance has ended. If it had been started by a message for a correlation key, the oldest message that waited for its
/// end starts the next one, of the latest version.
pub(crate) fn instance_ended(p: &mut Processing, process_instance: Key) -> Result<()> {
    match start_events::set_ended(p.txn, process_instance)? {
        Some((bpmn_process_id, correlation_key)) => {
            start_next(p, &bpmn_process_id, &correlation_key)
        }
        None => Ok(()),
    }
}

/// A process instance has become one of another process. The correlation key that it was started for is taken there now, and free
/// where it was.
pub(crate) fn instance_migrated(
    p: &mut Processing,
    process_instance: Key,
    bpmn_process_id: &str,
) -> Result<()> {
    let Some((before, correlation_key)) = start_events::set_ended(p.txn, process_instance)? else {
        return Ok(());
    };
    if !start_events::is_started(p.txn, bpmn_process_id, &correlation_key)? {
        start_events::set_started(p.txn, bpmn_process_id, &correlation_key, process_instance);
    }
    start_next(p, &before, &correlation_key)
}

/// The oldest message that waited for a correlation key to be free starts an instance.
fn start_next(p: &mut Processing, bpmn_process_id: &str, correlation_key: &str) -> Result<()> {
    let Some(latest) = processes::latest(p.txn, bpmn_process_id)? else {
        return Ok(());
    };
    let mut next = None;
    for (key, subscription) in start_events::of_process(p.txn, latest.key())? {
        let name = &subscription.message_name;
        let oldest = messages::oldest_for(p.txn, p.now(), name, correlation_key, bpmn_process_id)?;
        if let Some((message_key, message)) = oldest
            && next
                .as_ref()
                .is_none_or(|(_, _, best, _)| message_key < *best)
        {
            next = Some((key, subscription, message_key, message));
        }
    }
    match next {
        Some((key, subscription, message_key, message)) => {
            start(p, key, subscription, message_key, &message)
        }
        None => Ok(()),
    }
}
