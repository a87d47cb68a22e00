//! Activities that have completed and can be compensated: by key, and by the scope that they completed in.
//!
//! **Invariants**
//! - A subscription is in both tables or in neither.
//! - That of a scope stands for what can be compensated in it, which is kept under the scope's key though the scope is gone.

use skep_protocol::Key;
use skep_protocol::values::CompensationSubscription;
use skep_state::{KeyReader, Read, StateError, TableKey, Txn, Visit};

use super::{delete as delete_value, insert as insert_value, prefix, put, read, scan};

fn by_key(key: Key) -> TableKey {
    TableKey::new(prefix::COMPENSATION_SUBSCRIPTIONS).i64(key.0)
}

fn in_scope(scope: Key) -> TableKey {
    TableKey::new(prefix::COMPENSATION_SUBSCRIPTIONS_BY_SCOPE).i64(scope.0)
}

/// The subscription of that key.
pub(crate) fn get(
    state: &dyn Read,
    key: Key,
) -> Result<Option<CompensationSubscription>, StateError> {
    read(state, &by_key(key))
}

/// Adds a subscription.
pub(crate) fn insert(txn: &mut dyn Txn, key: Key, subscription: &CompensationSubscription) {
    let scope = Key(subscription.compensable_activity_scope_key);
    insert_value(txn, &by_key(key), subscription);
    txn.insert(in_scope(scope).i64(key.0).as_bytes(), Vec::new());
}

/// Changes a subscription.
pub(crate) fn update(txn: &mut dyn Txn, key: Key, subscription: &CompensationSubscription) {
    put(txn, &by_key(key), subscription);
}

/// Forgets a subscription.
pub(crate) fn delete(txn: &mut dyn Txn, key: Key, subscription: &CompensationSubscription) {
    let scope = Key(subscription.compensable_activity_scope_key);
    delete_value(txn, &by_key(key));
    delete_value(txn, &in_scope(scope).i64(key.0));
}

/// Whether something in a scope can be compensated.
pub(crate) fn is_any_in(state: &dyn Read, scope: Key) -> Result<bool, StateError> {
    let mut found = false;
    scan(state, &in_scope(scope), |_, _| {
        found = true;
        Ok(Visit::Stop)
    })?;
    Ok(found)
}

/// The subscriptions in a scope, the oldest first.
pub(crate) fn of_scope(state: &dyn Read, scope: Key) -> Result<Vec<Key>, StateError> {
    let mut found = Vec::new();
    scan(state, &in_scope(scope), |pair, _| {
        let mut fields = KeyReader::new(pair);
        fields.i64();
        found.push(Key(fields.i64()));
        Ok(Visit::Next)
    })?;
    Ok(found)
}
