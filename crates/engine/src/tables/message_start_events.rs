//! Message start events of the latest versions, and the instances that they started for a correlation key.
//!
//! **Invariants**
//! - A start event is in two places: by message name and by process definition.
//! - At most one active instance per process id and correlation key; the empty key never counts.

use prost::Message;
use skep_protocol::{Key, values::MessageStartEventSubscription};
use skep_state::{KeyReader, Read, StateError, TableKey, Txn, Visit};

use super::{decode, delete as delete_value, insert as insert_value, prefix, read, scan};

#[derive(Clone, PartialEq, Message)]
struct Stored {
    #[prost(int64, tag = "1")]
    key: i64,
    #[prost(message, optional, tag = "2")]
    subscription: Option<MessageStartEventSubscription>,
}

#[derive(Clone, PartialEq, Message)]
struct Present {}

#[derive(Clone, PartialEq, Message)]
struct StartedInstance {
    #[prost(int64, tag = "1")]
    process_instance_key: i64,
}

#[derive(Clone, PartialEq, Message)]
struct StartedBy {
    #[prost(string, tag = "1")]
    bpmn_process_id: String,
    #[prost(string, tag = "2")]
    correlation_key: String,
}

fn by_name(message_name: &str, definition: i64, start_event: &str) -> TableKey {
    TableKey::new(prefix::MESSAGE_START_EVENTS)
        .text(message_name)
        .i64(definition)
        .text(start_event)
}

fn of_definition(definition: i64) -> TableKey {
    TableKey::new(prefix::MESSAGE_START_EVENTS_BY_PROCESS).i64(definition)
}

fn started(bpmn_process_id: &str, correlation_key: &str) -> TableKey {
    TableKey::new(prefix::MESSAGE_STARTED_INSTANCES)
        .text(bpmn_process_id)
        .text(correlation_key)
}

fn started_by(process_instance: Key) -> TableKey {
    TableKey::new(prefix::MESSAGE_STARTED_BY_INSTANCE).i64(process_instance.0)
}

fn unpack(key: &[u8], value: &[u8]) -> Result<(Key, MessageStartEventSubscription), StateError> {
    let stored: Stored = decode(key, value)?;
    Ok((Key(stored.key), stored.subscription.unwrap_or_default()))
}

/// Adds a start event.
pub(crate) fn insert(txn: &mut dyn Txn, key: Key, subscription: &MessageStartEventSubscription) {
    let (name, definition) = (
        &subscription.message_name,
        subscription.process_definition_key,
    );
    let stored = Stored {
        key: key.0,
        subscription: Some(subscription.clone()),
    };
    insert_value(
        txn,
        &by_name(name, definition, &subscription.start_event_id),
        &stored,
    );
    insert_value(
        txn,
        &of_definition(definition)
            .text(name)
            .text(&subscription.start_event_id),
        &Present {},
    );
}

/// Forgets a start event.
pub(crate) fn delete(txn: &mut dyn Txn, subscription: &MessageStartEventSubscription) {
    let (name, definition) = (
        &subscription.message_name,
        subscription.process_definition_key,
    );
    delete_value(
        txn,
        &by_name(name, definition, &subscription.start_event_id),
    );
    delete_value(
        txn,
        &of_definition(definition)
            .text(name)
            .text(&subscription.start_event_id),
    );
}

/// The start events that wait for messages of a name, the oldest definition first.
pub(crate) fn of_name(
    state: &dyn Read,
    message_name: &str,
) -> Result<Vec<(Key, MessageStartEventSubscription)>, StateError> {
    let mut found = Vec::new();
    scan(
        state,
        &TableKey::new(prefix::MESSAGE_START_EVENTS).text(message_name),
        |key, value| {
            found.push(unpack(key, value)?);
            Ok(Visit::Next)
        },
    )?;
    Ok(found)
}

/// The start events of a process definition.
pub(crate) fn of_process(
    state: &dyn Read,
    definition: Key,
) -> Result<Vec<(Key, MessageStartEventSubscription)>, StateError> {
    let mut names = Vec::new();
    scan(state, &of_definition(definition.0), |key, _| {
        let mut fields = KeyReader::new(key);
        fields.i64();
        names.push((fields.text(), fields.text()));
        Ok(Visit::Next)
    })?;
    let mut found = Vec::new();
    for (name, start_event) in names {
        let key = by_name(&name, definition.0, &start_event);
        if let Some(value) = state.get(key.as_bytes())? {
            found.push(unpack(key.as_bytes(), &value)?);
        }
    }
    Ok(found)
}

/// Whether an instance of a process, started for a correlation key, is active.
pub(crate) fn is_started(
    state: &dyn Read,
    bpmn_process_id: &str,
    correlation_key: &str,
) -> Result<bool, StateError> {
    let instance: Option<StartedInstance> =
        read(state, &started(bpmn_process_id, correlation_key))?;
    Ok(instance.is_some())
}

/// An instance of a process has been started for a correlation key.
pub(crate) fn set_started(
    txn: &mut dyn Txn,
    bpmn_process_id: &str,
    correlation_key: &str,
    process_instance: Key,
) {
    let instance = StartedInstance {
        process_instance_key: process_instance.0,
    };
    insert_value(txn, &started(bpmn_process_id, correlation_key), &instance);
    let by = StartedBy {
        bpmn_process_id: bpmn_process_id.to_owned(),
        correlation_key: correlation_key.to_owned(),
    };
    insert_value(txn, &started_by(process_instance), &by);
}

/// The correlation key that an active instance was started for.
pub(crate) fn started_for(
    state: &dyn Read,
    process_instance: Key,
) -> Result<Option<String>, StateError> {
    let by: Option<StartedBy> = read(state, &started_by(process_instance))?;
    Ok(by.map(|by| by.correlation_key))
}

/// An instance has ended. Gives the process id and the correlation key that are free again, if it had been started for one.
pub(crate) fn set_ended(
    txn: &mut dyn Txn,
    process_instance: Key,
) -> Result<Option<(String, String)>, StateError> {
    let Some(by) = read::<StartedBy>(txn, &started_by(process_instance))? else {
        return Ok(None);
    };
    delete_value(txn, &started_by(process_instance));
    delete_value(txn, &started(&by.bpmn_process_id, &by.correlation_key));
    Ok(Some((by.bpmn_process_id, by.correlation_key)))
}
