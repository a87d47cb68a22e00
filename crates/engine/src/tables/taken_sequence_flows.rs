//! How often each incoming sequence flow of a join was taken and not yet consumed, by flow scope, gateway and flow.
//!
//! **Invariant**: a count is above zero; without an entry it is zero.

use prost::Message;
use skep_protocol::Key;
use skep_state::{Read, StateError, TableKey, Txn};

use super::{delete as delete_value, insert, prefix, put, read};

#[derive(Clone, Copy, PartialEq, Message)]
struct Count {
    #[prost(uint32, tag = "1")]
    taken: u32,
}

fn key(flow_scope: Key, gateway: &str, flow: &str) -> TableKey {
    TableKey::new(prefix::TAKEN_SEQUENCE_FLOWS)
        .i64(flow_scope.0)
        .text(gateway)
        .text(flow)
}

/// How often a flow was taken.
pub fn taken(
    state: &dyn Read,
    flow_scope: Key,
    gateway: &str,
    flow: &str,
) -> Result<u32, StateError> {
    let count: Option<Count> = read(state, &key(flow_scope, gateway, flow))?;
    Ok(count.map_or(0, |count| count.taken))
}

/// Tokens that wait in a scope: the gateway, the flow, and how often it was taken.
pub(crate) fn of_scope(
    state: &dyn Read,
    flow_scope: Key,
) -> Result<Vec<(String, String, u32)>, StateError> {
    let scope = TableKey::new(prefix::TAKEN_SEQUENCE_FLOWS).i64(flow_scope.0);
    let entries = super::entries_with_prefix(state, &scope, |reader| {
        reader.i64();
        (reader.text(), reader.text())
    })?;
    let entries = entries.into_iter();
    Ok(entries
        .map(|((gateway, flow), count): (_, Count)| (gateway, flow, count.taken))
        .collect())
}

/// A flow was taken once more.
pub(crate) fn take(
    txn: &mut dyn Txn,
    flow_scope: Key,
    gateway: &str,
    flow: &str,
) -> Result<(), StateError> {
    let key = key(flow_scope, gateway, flow);
    match taken(txn, flow_scope, gateway, flow)? {
        0 => insert(txn, &key, &Count { taken: 1 }),
        taken => put(txn, &key, &Count { taken: taken + 1 }),
    }
    Ok(())
}

/// The join consumes one token of a flow.
pub(crate) fn consume(
    txn: &mut dyn Txn,
    flow_scope: Key,
    gateway: &str,
    flow: &str,
) -> Result<(), StateError> {
    let key = key(flow_scope, gateway, flow);
    match taken(txn, flow_scope, gateway, flow)? {
        0 => panic!("flow {flow} was not taken"),
        1 => delete_value(txn, &key),
        taken => put(txn, &key, &Count { taken: taken - 1 }),
    }
    Ok(())
}

/// Forgets the tokens that wait in a scope.
pub(crate) fn delete_scope(txn: &mut dyn Txn, flow_scope: Key) -> Result<(), StateError> {
    for key in super::keys_with_prefix(
        txn,
        &TableKey::new(prefix::TAKEN_SEQUENCE_FLOWS).i64(flow_scope.0),
    )? {
        txn.delete(&key);
    }
    Ok(())
}
