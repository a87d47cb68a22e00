//! Message subscriptions on the message's partition.
//!
//! **Invariants**
//! - A subscription is in the table of waiting ones unless a message is on its way to it, so that looking for one costs
//!   nothing for those that are busy.
//! - Each is found by the key that it has on the process instance's side.
//! - Its variables are those of the message on its way; they are not kept here.

use prost::Message;
use skep_protocol::{Key, values::MessageSubscription};
use skep_state::{KeyReader, Read, StateError, TableKey, Txn, Visit};

use super::{delete as delete_value, insert as insert_value, prefix, put, read, scan_range};

#[derive(Clone, PartialEq, Message)]
struct KeyOnly {
    #[prost(int64, tag = "1")]
    key: i64,
}

#[derive(Clone, PartialEq, Message)]
struct Present {}

fn by_key(key: Key) -> TableKey {
    TableKey::new(prefix::MESSAGE_SUBSCRIPTIONS).i64(key.0)
}

fn by_process_key(process_subscription_key: i64) -> TableKey {
    TableKey::new(prefix::MESSAGE_SUBSCRIPTIONS_BY_PROCESS_KEY).i64(process_subscription_key)
}

fn waiting_prefix(name: &str, correlation_key: &str) -> TableKey {
    TableKey::new(prefix::WAITING_MESSAGE_SUBSCRIPTIONS)
        .text(name)
        .text(correlation_key)
}

fn waiting_key(key: Key, subscription: &MessageSubscription) -> TableKey {
    waiting_prefix(&subscription.message_name, &subscription.correlation_key)
        .text(&subscription.bpmn_process_id)
        .i64(key.0)
}

/// A subscription.
pub(crate) fn get(state: &dyn Read, key: Key) -> Result<Option<MessageSubscription>, StateError> {
    read(state, &by_key(key))
}

/// The subscription of that key on the process instance's side.
pub(crate) fn of_process_key(
    state: &dyn Read,
    process_subscription_key: i64,
) -> Result<Option<(Key, MessageSubscription)>, StateError> {
    let Some(KeyOnly { key }) = read(state, &by_process_key(process_subscription_key))? else {
        return Ok(None);
    };
    Ok(get(state, Key(key))?.map(|subscription| (Key(key), subscription)))
}

/// Adds a subscription that waits.
pub(crate) fn insert(txn: &mut dyn Txn, key: Key, subscription: &MessageSubscription) {
    assert!(!subscription.correlating, "a new subscription waits");
    insert_value(txn, &by_key(key), subscription);
    insert_value(
        txn,
        &by_process_key(subscription.process_subscription_key),
        &KeyOnly { key: key.0 },
    );
    insert_value(txn, &waiting_key(key, subscription), &Present {});
}

/// A message is on its way to the subscription, or it waits again.
pub(crate) fn set_correlating(
    txn: &mut dyn Txn,
    key: Key,
    subscription: &mut MessageSubscription,
    message: Option<Key>,
) {
    subscription.correlating = message.is_some();
    subscription.message_key = message.unwrap_or(Key::NONE).0;
    put(txn, &by_key(key), subscription);
    match message {
        Some(_) => delete_value(txn, &waiting_key(key, subscription)),
        None => put(txn, &waiting_key(key, subscription), &Present {}),
    }
}

/// Changes a subscription, but not whether it waits.
pub(crate) fn replace(
    txn: &mut dyn Txn,
    key: Key,
    before: &MessageSubscription,
    after: &MessageSubscription,
) {
    assert_eq!(before.correlating, after.correlating, "it waits as before");
    put(txn, &by_key(key), after);
    if !before.correlating {
        delete_value(txn, &waiting_key(key, before));
        put(txn, &waiting_key(key, after), &Present {});
    }
}

/// Forgets a subscription.
pub(crate) fn delete(txn: &mut dyn Txn, key: Key, subscription: &MessageSubscription) {
    delete_value(txn, &by_key(key));
    delete_value(txn, &by_process_key(subscription.process_subscription_key));
    delete_value(txn, &waiting_key(key, subscription));
}

/// Of each process that waits for a message of that name and correlation key, the subscription that waits longest.
pub(crate) fn waiting(
    state: &dyn Read,
    name: &str,
    correlation_key: &str,
) -> Result<Vec<Key>, StateError> {
    let prefix = waiting_prefix(name, correlation_key);
    let end = prefix.end();
    let mut from = prefix.as_bytes().to_vec();
    let mut found = Vec::new();
    while let Some((process_id, key)) = first(state, &prefix, &from, &end)? {
        found.push(key);
        from = prefix.clone().text(&process_id).end();
    }
    Ok(found)
}

/// The subscription of one process that waits longest for a message of that name and correlation key.
pub(crate) fn waiting_of(
    state: &dyn Read,
    name: &str,
    correlation_key: &str,
    bpmn_process_id: &str,
) -> Result<Option<Key>, StateError> {
    let prefix = waiting_prefix(name, correlation_key);
    let of_process = prefix.clone().text(bpmn_process_id);
    let found = first(state, &prefix, of_process.as_bytes(), &of_process.end())?;
    Ok(found.map(|(_, key)| key))
}

fn first(
    state: &dyn Read,
    prefix: &TableKey,
    from: &[u8],
    to: &[u8],
) -> Result<Option<(String, Key)>, StateError> {
    let mut found = None;
    scan_range(state, from, to, |pair, _| {
        // A reader skips the table byte: begin at the last byte of the prefix in its place.
        let mut fields = KeyReader::new(&pair[prefix.as_bytes().len() - 1..]);
        found = Some((fields.text(), Key(fields.i64())));
        Ok(Visit::Stop)
    })?;
    Ok(found)
}
