//! Buffered messages, and the processes that each of them went to.
//!
//! **Invariants**
//! - A buffered message is in four places: by key, by name and correlation key, by deadline, and by id if it has one.
//! - A message goes to one instance per process id: its marks say to which. They end with the message.
//! - A message past its deadline may still be here, but is never correlated.

use prost::Message as _;
use skep_protocol::{Key, values::Message};
use skep_state::{KeyReader, Read, StateError, TableKey, Txn, Visit};

use super::{decode, delete as delete_value, insert as insert_value, prefix, put, read, scan};

/// A value that says nothing but that it is there, or how long.
#[derive(Clone, PartialEq, prost::Message)]
struct Deadline {
    #[prost(sint64, tag = "1")]
    deadline: i64,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Present {}

fn by_key(key: Key) -> TableKey {
    TableKey::new(prefix::MESSAGES).i64(key.0)
}

fn by_name(name: &str, correlation_key: &str) -> TableKey {
    TableKey::new(prefix::MESSAGES_BY_NAME)
        .text(name)
        .text(correlation_key)
}

fn by_id(message: &Message) -> TableKey {
    TableKey::new(prefix::MESSAGE_IDS)
        .text(&message.name)
        .text(&message.correlation_key)
        .text(&message.message_id)
}

fn by_deadline(deadline: i64, key: Key) -> TableKey {
    TableKey::new(prefix::MESSAGE_DEADLINES)
        .i64(deadline)
        .i64(key.0)
}

fn correlated(key: Key) -> TableKey {
    TableKey::new(prefix::CORRELATED_MESSAGES).i64(key.0)
}

/// A buffered message.
pub(crate) fn get(state: &dyn Read, key: Key) -> Result<Option<Message>, StateError> {
    read(state, &by_key(key))
}

/// Whether a message of the same name, correlation key and id is buffered.
pub(crate) fn is_duplicate(state: &dyn Read, message: &Message) -> Result<bool, StateError> {
    Ok(!message.message_id.is_empty() && state.get(by_id(message).as_bytes())?.is_some())
}

/// Buffers a message.
pub(crate) fn insert(txn: &mut dyn Txn, key: Key, message: &Message) {
    insert_value(txn, &by_key(key), message);
    let deadline = Deadline {
        deadline: message.deadline,
    };
    insert_value(
        txn,
        &by_name(&message.name, &message.correlation_key).i64(key.0),
        &deadline,
    );
    insert_value(txn, &by_deadline(message.deadline, key), &Present {});
    if !message.message_id.is_empty() {
        put(txn, &by_id(message), &Present {});
    }
}

/// Forgets a message and where it went.
pub(crate) fn delete(txn: &mut dyn Txn, key: Key, message: &Message) -> Result<(), StateError> {
    delete_value(txn, &by_key(key));
    delete_value(
        txn,
        &by_name(&message.name, &message.correlation_key).i64(key.0),
    );
    delete_value(txn, &by_deadline(message.deadline, key));
    if !message.message_id.is_empty() {
        delete_value(txn, &by_id(message));
    }
    let mut marks = Vec::new();
    scan(txn, &correlated(key), |mark, _| {
        marks.push(mark.to_vec());
        Ok(Visit::Next)
    })?;
    for mark in marks {
        txn.delete(&mark);
    }
    Ok(())
}

/// The oldest buffered message of a name and correlation key that is not expired and did not go to a process yet.
pub(crate) fn oldest_for(
    state: &dyn Read,
    now: i64,
    name: &str,
    correlation_key: &str,
    bpmn_process_id: &str,
) -> Result<Option<(Key, Message)>, StateError> {
    let mut found = None;
    let prefix = by_name(name, correlation_key);
    scan(state, &prefix, |pair, value| {
        let key = Key(KeyReader::new(&pair[prefix.as_bytes().len() - 1..]).i64());
        let Deadline { deadline } = decode(pair, value)?;
        if deadline <= now || is_correlated(state, key, bpmn_process_id)? {
            return Ok(Visit::Next);
        }
        found = Some(key);
        Ok(Visit::Stop)
    })?;
    let Some(key) = found else {
        return Ok(None);
    };
    let message = get(state, key)?.expect("what is found by name is found by key");
    Ok(Some((key, message)))
}

/// Messages past their deadline, at most `limit` of them, and the first deadline that is not past.
pub(crate) fn expired(
    state: &dyn Read,
    now: i64,
    limit: usize,
) -> Result<(Vec<Key>, Option<i64>), StateError> {
    let (mut keys, mut next) = (Vec::new(), None);
    scan(
        state,
        &TableKey::new(prefix::MESSAGE_DEADLINES),
        |key, _| {
            let mut fields = KeyReader::new(key);
            let (deadline, message) = (fields.i64(), Key(fields.i64()));
            if deadline > now || keys.len() == limit {
                next = Some(deadline);
                return Ok(Visit::Stop);
            }
            keys.push(message);
            Ok(Visit::Next)
        },
    )?;
    Ok((keys, next))
}

/// Whether a message went to an instance of a process.
pub(crate) fn is_correlated(
    state: &dyn Read,
    key: Key,
    bpmn_process_id: &str,
) -> Result<bool, StateError> {
    Ok(state
        .get(correlated(key).text(bpmn_process_id).as_bytes())?
        .is_some())
}

/// Writes down that a buffered message goes to an instance of a process. A message that is not buffered goes nowhere again.
pub(crate) fn mark_correlated(
    txn: &mut dyn Txn,
    key: Key,
    bpmn_process_id: &str,
) -> Result<(), StateError> {
    if get(txn, key)?.is_some() {
        txn.put(
            correlated(key).text(bpmn_process_id).as_bytes(),
            Present {}.encode_to_vec(),
        );
    }
    Ok(())
}

/// The instance did not take the message: another one may.
pub(crate) fn unmark_correlated(txn: &mut dyn Txn, key: Key, bpmn_process_id: &str) {
    delete_value(txn, &correlated(key).text(bpmn_process_id));
}
