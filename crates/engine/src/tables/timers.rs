//! Timers by their owner, and their due dates. The owner is an element instance, or for a start event the process definition.
//!
//! **Invariant**: a timer is in both tables, unless its due date was forgotten because nothing can be done when it comes.

use skep_protocol::{Key, values};
use skep_state::{Read, StateError, TableKey, Txn};

use super::{delete as delete_value, insert, prefix, read};

/// Whose timer it is.
pub(crate) fn owner(timer: &values::Timer) -> Key {
    match Key(timer.element_instance_key) {
        Key::NONE => Key(timer.process_definition_key),
        element_instance => element_instance,
    }
}

fn by_owner(owner: Key, key: Key) -> TableKey {
    TableKey::new(prefix::TIMERS).i64(owner.0).i64(key.0)
}

fn due_key(timer: &values::Timer, key: Key) -> TableKey {
    TableKey::new(prefix::TIMER_DUE_DATES)
        .i64(timer.due_date)
        .i64(owner(timer).0)
        .i64(key.0)
}

/// The timer of that key and owner.
pub fn get(state: &dyn Read, owner: Key, key: Key) -> Result<Option<values::Timer>, StateError> {
    read(state, &by_owner(owner, key))
}

/// Writes a new timer down.
pub(crate) fn create(txn: &mut dyn Txn, key: Key, timer: &values::Timer) {
    insert(txn, &by_owner(owner(timer), key), timer);
    txn.insert(due_key(timer, key).as_bytes(), Vec::new());
}

/// Forgets a timer.
pub(crate) fn delete(txn: &mut dyn Txn, key: Key, timer: &values::Timer) {
    delete_value(txn, &by_owner(owner(timer), key));
    forget_due_date(txn, key, timer);
}

/// Forgets when a timer is due, though it stays: nothing can be done about it when the time comes.
pub(crate) fn forget_due_date(txn: &mut dyn Txn, key: Key, timer: &values::Timer) {
    delete_value(txn, &due_key(timer, key));
}

/// All timers of an owner.
pub fn of_owner(state: &dyn Read, owner: Key) -> Result<Vec<(Key, values::Timer)>, StateError> {
    let owner = TableKey::new(prefix::TIMERS).i64(owner.0);
    super::entries_with_prefix(state, &owner, |reader| {
        reader.i64();
        Key(reader.i64())
    })
}

/// A timer's owner and key.
pub(crate) type TimerName = (Key, Key);

/// Timers that are due, in order, as owner and key; and when the next one is.
pub(crate) fn due(
    state: &dyn Read,
    now: i64,
    limit: usize,
) -> Result<(Vec<TimerName>, Option<i64>), StateError> {
    super::due_entries(state, prefix::TIMER_DUE_DATES, now, limit, |reader| {
        (Key(reader.i64()), Key(reader.i64()))
    })
}
