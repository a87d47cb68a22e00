//! Timers by element instance, and their due dates.
//!
//! **Invariant**: a timer is in both tables, unless its due date was forgotten because nothing can be done when it comes.

use skep_protocol::{Key, values};
use skep_state::{Read, StateError, TableKey, Txn};

use super::{delete as delete_value, insert, prefix, read};

fn by_owner(element_instance: Key, key: Key) -> TableKey {
    TableKey::new(prefix::TIMERS)
        .i64(element_instance.0)
        .i64(key.0)
}

fn due_key(timer: &values::Timer, key: Key) -> TableKey {
    TableKey::new(prefix::TIMER_DUE_DATES)
        .i64(timer.due_date)
        .i64(timer.element_instance_key)
        .i64(key.0)
}

/// The timer of that key, which belongs to that element instance.
pub fn get(
    state: &dyn Read,
    element_instance: Key,
    key: Key,
) -> Result<Option<values::Timer>, StateError> {
    read(state, &by_owner(element_instance, key))
}

/// Writes a new timer down.
pub(crate) fn create(txn: &mut dyn Txn, key: Key, timer: &values::Timer) {
    insert(txn, &by_owner(Key(timer.element_instance_key), key), timer);
    txn.insert(due_key(timer, key).as_bytes(), Vec::new());
}

/// Forgets a timer.
pub(crate) fn delete(txn: &mut dyn Txn, key: Key, timer: &values::Timer) {
    delete_value(txn, &by_owner(Key(timer.element_instance_key), key));
    forget_due_date(txn, key, timer);
}

/// Forgets when a timer is due, though it stays: nothing can be done about it when the time comes.
pub(crate) fn forget_due_date(txn: &mut dyn Txn, key: Key, timer: &values::Timer) {
    delete_value(txn, &due_key(timer, key));
}

/// All timers of an element instance.
pub fn of_element(
    state: &dyn Read,
    element_instance: Key,
) -> Result<Vec<(Key, values::Timer)>, StateError> {
    let owner = TableKey::new(prefix::TIMERS).i64(element_instance.0);
    super::entries_with_prefix(state, &owner, |reader| {
        reader.i64();
        Key(reader.i64())
    })
}

/// A timer's element instance and key.
pub(crate) type TimerName = (Key, Key);

/// Timers that are due, in order, as element instance and key; and when the next one is.
pub(crate) fn due(
    state: &dyn Read,
    now: i64,
    limit: usize,
) -> Result<(Vec<TimerName>, Option<i64>), StateError> {
    super::due_entries(state, prefix::TIMER_DUE_DATES, now, limit, |reader| {
        (Key(reader.i64()), Key(reader.i64()))
    })
}
