//! Triggers queued in event scopes, by scope and key: accepted, not yet handled.

use skep_protocol::{Key, values};
use skep_state::{Read, StateError, TableKey, Txn};

use super::{delete as delete_value, insert, prefix};

fn key(scope: Key, key: Key) -> TableKey {
    TableKey::new(prefix::EVENT_TRIGGERS)
        .i64(scope.0)
        .i64(key.0)
}

/// Queues a trigger in its scope.
pub(crate) fn create(txn: &mut dyn Txn, trigger: Key, event: &values::ProcessEvent) {
    insert(txn, &key(Key(event.scope_key), trigger), event);
}

/// Forgets a trigger.
pub(crate) fn delete(txn: &mut dyn Txn, scope: Key, trigger: Key) {
    delete_value(txn, &key(scope, trigger));
}

/// The triggers queued in a scope, oldest first.
pub fn of_scope(
    state: &dyn Read,
    scope: Key,
) -> Result<Vec<(Key, values::ProcessEvent)>, StateError> {
    let scope = TableKey::new(prefix::EVENT_TRIGGERS).i64(scope.0);
    super::entries_with_prefix(state, &scope, |reader| {
        reader.i64();
        Key(reader.i64())
    })
}
