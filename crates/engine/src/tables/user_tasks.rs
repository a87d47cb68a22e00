//! User tasks that the engine keeps, by key: each from its creation to its completion or cancellation.

use skep_protocol::{Key, values};
use skep_state::{Read, StateError, TableKey, Txn};

use super::{delete as delete_value, insert, prefix, put, read};

fn by_key(key: Key) -> TableKey {
    TableKey::new(prefix::USER_TASKS).i64(key.0)
}

/// The user task of that key.
pub fn get(state: &dyn Read, key: Key) -> Result<Option<values::UserTask>, StateError> {
    read(state, &by_key(key))
}

/// Writes a new user task down.
pub(crate) fn create(txn: &mut dyn Txn, key: Key, task: &values::UserTask) {
    insert(txn, &by_key(key), task);
}

/// Writes down how a user task has changed.
pub(crate) fn update(txn: &mut dyn Txn, key: Key, task: &values::UserTask) {
    put(txn, &by_key(key), task);
}

/// Forgets a user task.
pub(crate) fn delete(txn: &mut dyn Txn, key: Key) {
    delete_value(txn, &by_key(key));
}
