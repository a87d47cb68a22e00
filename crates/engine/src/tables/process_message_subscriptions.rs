//! Message subscriptions on the process instance's partition: (element instance, key).
//!
//! **Invariants**
//! - The key is the subscription's for its whole life, and known to the message's partition.
//! - Opening, open, closing, in this order; it is gone once the message's partition says so, or with the message that ends it.

use skep_protocol::{Key, values::ProcessMessageSubscription};
use skep_state::{KeyReader, Read, StateError, TableKey, Txn, Visit};

use super::{decode, delete as delete_value, prefix, put, read, scan};

/// The message's partition does not know of it yet.
pub(crate) const OPENING: u32 = 0;
/// The message's partition knows of it.
pub(crate) const OPEN: u32 = 1;
/// The message's partition does not know yet that it is over.
pub(crate) const CLOSING: u32 = 2;

fn of_element_instance(element_instance: Key) -> TableKey {
    TableKey::new(prefix::PROCESS_MESSAGE_SUBSCRIPTIONS).i64(element_instance.0)
}

/// A subscription.
pub(crate) fn get(
    state: &dyn Read,
    element_instance: Key,
    key: Key,
) -> Result<Option<ProcessMessageSubscription>, StateError> {
    read(state, &of_element_instance(element_instance).i64(key.0))
}

/// The subscriptions of an element instance, the oldest first.
pub(crate) fn of(
    state: &dyn Read,
    element_instance: Key,
) -> Result<Vec<(Key, ProcessMessageSubscription)>, StateError> {
    let mut found = Vec::new();
    scan(
        state,
        &of_element_instance(element_instance),
        |pair, value| {
            let mut fields = KeyReader::new(pair);
            let (_, key) = (fields.i64(), Key(fields.i64()));
            found.push((key, decode(pair, value)?));
            Ok(Visit::Next)
        },
    )?;
    Ok(found)
}

/// Sets a subscription.
pub(crate) fn set(txn: &mut dyn Txn, key: Key, subscription: &ProcessMessageSubscription) {
    put(
        txn,
        &of_element_instance(Key(subscription.element_instance_key)).i64(key.0),
        subscription,
    );
}

/// Forgets a subscription.
pub(crate) fn delete(txn: &mut dyn Txn, key: Key, subscription: &ProcessMessageSubscription) {
    delete_value(
        txn,
        &of_element_instance(Key(subscription.element_instance_key)).i64(key.0),
    );
}
