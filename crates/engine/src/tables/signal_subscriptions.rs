//! What waits for signals: start events of the latest versions, and catch events of element instances; by signal name and key, and
//! by what they belong to.
//!
//! **Invariants**
//! - A subscription is in both tables or in neither.
//! - It belongs to its element instance, or to its process definition if it is of a start event.

use prost::Message;
use skep_protocol::Key;
use skep_protocol::values::SignalSubscription;
use skep_state::{KeyReader, Read, StateError, TableKey, Txn, Visit};

use super::{
    decode, delete as delete_value, insert as insert_value, prefix, put, read, scan_range,
};

#[derive(Clone, PartialEq, Message)]
struct Name {
    #[prost(string, tag = "1")]
    signal_name: String,
}

fn by_name(signal_name: &str, key: Key) -> TableKey {
    TableKey::new(prefix::SIGNAL_SUBSCRIPTIONS)
        .text(signal_name)
        .i64(key.0)
}

fn of_owner(owner: Key) -> TableKey {
    TableKey::new(prefix::SIGNAL_SUBSCRIPTIONS_BY_OWNER).i64(owner.0)
}

/// What a subscription belongs to.
fn owner(subscription: &SignalSubscription) -> Key {
    let instance = Key(subscription.catch_event_instance_key);
    match instance.is_some() {
        true => instance,
        false => Key(subscription.process_definition_key),
    }
}

/// Adds a subscription.
pub(crate) fn insert(txn: &mut dyn Txn, key: Key, subscription: &SignalSubscription) {
    insert_value(txn, &by_name(&subscription.signal_name, key), subscription);
    let name = Name {
        signal_name: subscription.signal_name.clone(),
    };
    insert_value(txn, &of_owner(owner(subscription)).i64(key.0), &name);
}

/// Changes what a subscription of an element instance says beside its signal.
pub(crate) fn update(txn: &mut dyn Txn, key: Key, subscription: &SignalSubscription) {
    put(txn, &by_name(&subscription.signal_name, key), subscription);
}

/// Forgets a subscription.
pub(crate) fn delete(txn: &mut dyn Txn, key: Key, subscription: &SignalSubscription) {
    delete_value(txn, &by_name(&subscription.signal_name, key));
    delete_value(txn, &of_owner(owner(subscription)).i64(key.0));
}

/// The subscriptions of an element instance or process definition, the oldest first.
pub(crate) fn of(
    state: &dyn Read,
    owner: Key,
) -> Result<Vec<(Key, SignalSubscription)>, StateError> {
    let keys = super::entries_with_prefix(state, &of_owner(owner), |fields| {
        fields.i64();
        Key(fields.i64())
    })?;
    let mut found = Vec::with_capacity(keys.len());
    for (key, name) in keys {
        let name: Name = name;
        if let Some(subscription) = read(state, &by_name(&name.signal_name, key))? {
            found.push((key, subscription));
        }
    }
    Ok(found)
}

/// The subscriptions to a signal with keys above `after`, at most `limit` of them, the oldest first.
pub(crate) fn to(
    state: &dyn Read,
    signal_name: &str,
    after: Key,
    limit: usize,
) -> Result<Vec<(Key, SignalSubscription)>, StateError> {
    let from = by_name(signal_name, Key(after.0 + 1));
    let end = TableKey::new(prefix::SIGNAL_SUBSCRIPTIONS)
        .text(signal_name)
        .end();
    let mut found = Vec::new();
    scan_range(state, from.as_bytes(), &end, |pair, value| {
        if found.len() == limit {
            return Ok(Visit::Stop);
        }
        let mut fields = KeyReader::new(pair);
        fields.text();
        found.push((Key(fields.i64()), decode(pair, value)?));
        Ok(Visit::Next)
    })?;
    Ok(found)
}
