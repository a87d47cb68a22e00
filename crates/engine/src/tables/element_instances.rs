//! Element instances by key, and the children of each.
//!
//! **Invariants**
//! - An element instance other than a process instance is a child of its flow scope, in both tables or in neither.
//! - `children` is the number of its entries in the table of children.
//! - `tokens` counts what is on its way inside it and has no element instance yet: activations that are scheduled, and tokens
//!   that wait at a join; of a compensation throw event, the handlers that it waits for. A scope without children and without tokens has nothing left to do.
//!
//! The element is kept by its id, since indexes are the compiler's affair.

use prost::Message;
use skep_protocol::Key;
use skep_protocol::values::BpmnElementType;
use skep_state::{KeyRange, KeyReader, Read, StateError, TableKey, Txn, Visit};

use super::{delete as delete_value, insert, prefix, put, read};

/// Where an element instance stands in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, prost::Enumeration)]
#[repr(i32)]
pub enum ElementState {
    /// It is there to hold variables, and its activation is scheduled: only a process instance.
    Created = 0,
    /// Its inputs, subscriptions and the like are being made ready.
    Activating = 1,
    /// It waits for its work to be done.
    Activated = 2,
    /// Its work is done, its outputs are not.
    Completing = 3,
    /// It is being ended.
    Terminating = 4,
}

impl ElementState {
    /// The name in texts for users.
    pub const fn name(self) -> &'static str {
        match self {
            ElementState::Created => "CREATED",
            ElementState::Activating => "ELEMENT_ACTIVATING",
            ElementState::Activated => "ELEMENT_ACTIVATED",
            ElementState::Completing => "ELEMENT_COMPLETING",
            ElementState::Terminating => "ELEMENT_TERMINATING",
        }
    }
}

/// An element instance as stored.
#[derive(Clone, PartialEq, Message)]
pub struct StoredElementInstance {
    /// Process definition.
    #[prost(sfixed64, tag = "1")]
    pub process_definition_key: i64,
    /// Process instance.
    #[prost(sfixed64, tag = "2")]
    pub process_instance_key: i64,
    /// Element id; of the process its process id.
    #[prost(string, tag = "3")]
    pub element_id: String,
    /// Kind, which tells a multi-instance body from what it repeats.
    #[prost(enumeration = "BpmnElementType", tag = "4")]
    pub element_type: i32,
    /// Scope that contains it; -1 at the root.
    #[prost(sfixed64, tag = "5")]
    pub flow_scope_key: i64,
    /// Calling process instance; -1 when there is none.
    #[prost(sint64, tag = "6")]
    pub parent_process_instance_key: i64,
    /// Calling element instance; -1 when there is none.
    #[prost(sint64, tag = "7")]
    pub parent_element_instance_key: i64,
    /// Where it stands.
    #[prost(enumeration = "ElementState", tag = "8")]
    pub state: i32,
    /// Element instances in it.
    #[prost(uint32, tag = "9")]
    pub children: u32,
    /// Tokens on their way in it.
    #[prost(uint32, tag = "10")]
    pub tokens: u32,
    /// Its job; 0 when it has none.
    #[prost(int64, tag = "11")]
    pub job_key: i64,
    /// Id of the event that interrupts it; empty when none does.
    #[prost(string, tag = "12")]
    pub interrupted_by: String,
    /// Whether it has variables of its own.
    #[prost(bool, tag = "14")]
    pub has_variables: bool,
    /// Whether triggers are queued in it.
    #[prost(bool, tag = "15")]
    pub has_triggers: bool,
    /// Whether somebody waits for its result.
    #[prost(bool, tag = "16")]
    pub has_awaited_result: bool,
    /// Process instance that it has called and that has not ended; 0 when there is none.
    #[prost(int64, tag = "17")]
    pub called_process_instance_key: i64,
    /// How many calls lie between its process instance and the one that nobody called.
    #[prost(uint32, tag = "18")]
    pub call_depth: u32,
    /// Whether its work is done, so that what is left in it is being terminated.
    #[prost(bool, tag = "19")]
    pub finishes_early: bool,
    /// Of a multi-instance activity: how far it has come.
    #[prost(message, optional, tag = "20")]
    pub repetition: Option<Repetition>,
    /// Execution listeners that have done their part of the step at hand.
    #[prost(uint32, tag = "21")]
    pub listeners_done: u32,
    /// Of a compensation handler: the subscription of what it undoes; 0 when it is none.
    #[prost(int64, tag = "22")]
    pub compensation_key: i64,
    /// Its user task, if the engine keeps that; 0 when it has none.
    #[prost(int64, tag = "30")]
    pub user_task_key: i64,
}

/// How far a multi-instance body has come, or which of its repetitions an element instance is.
#[derive(Clone, Copy, PartialEq, Eq, Message)]
pub struct Repetition {
    /// Of a repetition its number, from 1; of a body how many have begun.
    #[prost(uint32, tag = "1")]
    pub counter: u32,
    /// Repetitions in all.
    #[prost(uint32, tag = "2")]
    pub total: u32,
    /// Repetitions that have completed.
    #[prost(uint32, tag = "3")]
    pub completed: u32,
    /// Repetitions that were terminated.
    #[prost(uint32, tag = "4")]
    pub terminated: u32,
}

fn by_key(key: Key) -> TableKey {
    TableKey::new(prefix::ELEMENT_INSTANCES).i64(key.0)
}

fn child_key(parent: Key, child: Key) -> TableKey {
    TableKey::new(prefix::ELEMENT_INSTANCE_CHILDREN)
        .i64(parent.0)
        .i64(child.0)
}

/// The element instance of that key.
pub fn get(state: &dyn Read, key: Key) -> Result<Option<StoredElementInstance>, StateError> {
    read(state, &by_key(key))
}

fn by_definition(definition: i64, key: Key) -> TableKey {
    TableKey::new(prefix::PROCESS_INSTANCES_BY_DEFINITION)
        .i64(definition)
        .i64(key.0)
}

/// Whether there are instances of a process definition.
pub(crate) fn any_of(state: &dyn Read, definition: Key) -> Result<bool, StateError> {
    let prefix = TableKey::new(prefix::PROCESS_INSTANCES_BY_DEFINITION).i64(definition.0);
    let mut any = false;
    super::scan(state, &prefix, |_, _| {
        any = true;
        Ok(Visit::Stop)
    })?;
    Ok(any)
}

/// Writes a new element instance down, as a child of its flow scope.
pub(crate) fn create(txn: &mut dyn Txn, key: Key, instance: &StoredElementInstance) {
    insert(txn, &by_key(key), instance);
    if instance.flow_scope_key >= 0 {
        txn.insert(
            child_key(Key(instance.flow_scope_key), key).as_bytes(),
            Vec::new(),
        );
    } else {
        let by_definition = by_definition(instance.process_definition_key, key);
        txn.insert(by_definition.as_bytes(), Vec::new());
    }
}

/// Writes down how an element instance has changed, which was of that definition.
pub(crate) fn update(
    txn: &mut dyn Txn,
    key: Key,
    instance: &StoredElementInstance,
    definition: Key,
) {
    put(txn, &by_key(key), instance);
    if instance.flow_scope_key < 0 && instance.process_definition_key != definition.0 {
        delete_value(txn, &by_definition(definition.0, key));
        let by_definition = by_definition(instance.process_definition_key, key);
        txn.insert(by_definition.as_bytes(), Vec::new());
    }
}

/// Forgets an element instance.
pub(crate) fn delete(txn: &mut dyn Txn, key: Key, flow_scope_key: Key, definition: Key) {
    delete_value(txn, &by_key(key));
    if flow_scope_key.is_some() {
        delete_value(txn, &child_key(flow_scope_key, key));
    } else {
        delete_value(txn, &by_definition(definition.0, key));
    }
}

/// The children with keys above `after`, in the order of their creation, at most `limit` of them.
pub fn children(
    state: &dyn Read,
    parent: Key,
    after: Key,
    limit: usize,
) -> Result<Vec<Key>, StateError> {
    let from = child_key(parent, Key(after.0 + 1));
    let to = TableKey::new(prefix::ELEMENT_INSTANCE_CHILDREN)
        .i64(parent.0)
        .end();
    let mut found = Vec::new();
    if limit == 0 {
        return Ok(found);
    }
    state.scan(
        KeyRange {
            from: from.as_bytes(),
            to: Some(&to),
        },
        &mut |key, _| {
            let mut reader = KeyReader::new(key);
            reader.i64();
            found.push(Key(reader.i64()));
            if found.len() < limit {
                Visit::Next
            } else {
                Visit::Stop
            }
        },
    )?;
    Ok(found)
}
