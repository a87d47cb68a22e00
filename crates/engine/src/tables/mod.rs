//! State tables, one file each: key, value, invariants.
//!
//! A table is one byte of prefix; values are protobuf messages. Numbers below 10 belong to the partition, which keeps its own
//! bookkeeping beside the engine's in the same key space.

pub mod awaited_results;
pub mod backups;
pub mod banned;
pub(crate) mod bindings;
pub(crate) mod channels;
pub mod checkpoint;
pub(crate) mod compensation_subscriptions;
pub mod continuations;
pub(crate) mod decisions;
pub(crate) mod distributions;
pub mod element_instances;
pub mod event_triggers;
pub(crate) mod forms;
pub mod incidents;
pub mod jobs;
pub mod keys;
pub(crate) mod message_start_events;
pub(crate) mod message_subscriptions;
pub(crate) mod messages;
pub(crate) mod process_message_subscriptions;
pub(crate) mod processes;
pub(crate) mod signal_subscriptions;
pub mod taken_sequence_flows;
pub mod timers;
pub mod user_tasks;
pub mod variables;
pub(crate) mod versions;

use prost::Message;
use skep_protocol::names::NAME_BYTES_MAX;
use skep_state::{KeyRange, KeyReader, Read, StateError, TableKey, Txn, Visit};

// The longest keys hold three names, each ended by two bytes, between a prefix and a number.
const _: () = assert!(1 + 3 * (NAME_BYTES_MAX + 2) + 8 <= skep_state::KEY_BYTES_MAX);

/// Prefix bytes. Never reuse one: data directories and backups hold them.
pub mod prefix {
    /// The counter of keys.
    pub const KEYS: u8 = 10;
    /// Element instances by key.
    pub const ELEMENT_INSTANCES: u8 = 11;
    /// Children of an element instance: (parent, child).
    pub const ELEMENT_INSTANCE_CHILDREN: u8 = 12;
    /// Tokens waiting at joins: (flow scope, gateway, incoming flow).
    pub const TAKEN_SEQUENCE_FLOWS: u8 = 13;
    /// Variables: (scope, name).
    pub const VARIABLES: u8 = 14;
    /// Jobs by key.
    pub const JOBS: u8 = 15;
    /// Activatable jobs: (type, key).
    pub const ACTIVATABLE_JOBS: u8 = 16;
    /// Deadlines of activated jobs: (deadline, key).
    pub const JOB_DEADLINES: u8 = 17;
    /// Back-offs of failed jobs: (time, key).
    pub const JOB_BACK_OFFS: u8 = 18;
    /// Incidents by key.
    pub const INCIDENTS: u8 = 19;
    /// Incident of an element instance or job.
    pub const INCIDENT_BY_OWNER: u8 = 20;
    /// Timers by (element instance, key).
    pub const TIMERS: u8 = 21;
    /// Due dates of timers: (due date, element instance, key).
    pub const TIMER_DUE_DATES: u8 = 22;
    /// Triggers queued in event scopes: (scope, key).
    pub const EVENT_TRIGGERS: u8 = 23;
    /// Banned process instances.
    pub const BANNED_INSTANCES: u8 = 24;
    /// Requests that wait for a process instance's result.
    pub const AWAITED_RESULTS: u8 = 25;
    /// Follow-up commands that found no room in their evaluation: (number).
    pub const CONTINUATIONS: u8 = 26;

    /// Completed activities that can be compensated.
    pub const COMPENSATION_SUBSCRIPTIONS: u8 = 27;
    /// Completed activities that can be compensated: (scope, key).
    pub const COMPENSATION_SUBSCRIPTIONS_BY_SCOPE: u8 = 28;
    /// Process instances of a definition: (definition, process instance).
    pub const PROCESS_INSTANCES_BY_DEFINITION: u8 = 36;
    /// User tasks kept by the engine, by key.
    pub const USER_TASKS: u8 = 35;

    /// Process definitions by key.
    pub const PROCESSES: u8 = 40;
    /// Latest version of a process id.
    pub const LATEST_PROCESSES: u8 = 41;
    /// Key of (process id, version).
    pub const PROCESS_VERSIONS: u8 = 42;
    /// Messages by key.
    pub const MESSAGES: u8 = 43;
    /// Messages by (name, correlation key, key).
    pub const MESSAGES_BY_NAME: u8 = 44;
    /// Ids of buffered messages: (name, correlation key, id).
    pub const MESSAGE_IDS: u8 = 45;
    /// Deadlines of buffered messages: (deadline, key).
    pub const MESSAGE_DEADLINES: u8 = 46;
    /// Processes that a message went to: (message, process id).
    pub const CORRELATED_MESSAGES: u8 = 47;
    /// Message subscriptions, message's side, by key.
    pub const MESSAGE_SUBSCRIPTIONS: u8 = 48;
    /// Message subscriptions that wait for a message: (name, correlation key, process id, key).
    pub const WAITING_MESSAGE_SUBSCRIPTIONS: u8 = 49;
    /// Message subscriptions by their key on the process instance's side.
    pub const MESSAGE_SUBSCRIPTIONS_BY_PROCESS_KEY: u8 = 50;
    /// Message subscriptions, process instance's side, by (element instance, key).
    pub const PROCESS_MESSAGE_SUBSCRIPTIONS: u8 = 51;
    /// Message start events of the latest versions: (message name, process definition, start event).
    pub const MESSAGE_START_EVENTS: u8 = 52;
    /// Active instances started by message: (process id, correlation key).
    pub const MESSAGE_STARTED_INSTANCES: u8 = 53;
    /// Correlation key of an instance started by message.
    pub const MESSAGE_STARTED_BY_INSTANCE: u8 = 54;
    /// Distributed commands not yet acknowledged by all partitions.
    pub const PENDING_DISTRIBUTIONS: u8 = 55;
    /// Resources of deployments: (deployment, resource name).
    pub const RESOURCES: u8 = 56;
    /// Message start events by (process definition, message name, start event).
    pub const MESSAGE_START_EVENTS_BY_PROCESS: u8 = 57;

    /// Subscriptions to signals: (signal name, key).
    pub const SIGNAL_SUBSCRIPTIONS: u8 = 58;
    /// Subscriptions to signals by (element instance or process definition, key).
    pub const SIGNAL_SUBSCRIPTIONS_BY_OWNER: u8 = 59;

    /// Processes by (process id, deployment).
    pub const PROCESSES_BY_DEPLOYMENT: u8 = 60;
    /// Processes by (process id, version tag, version from the last).
    pub const PROCESSES_BY_TAG: u8 = 61;
    /// Decisions by (decision id, deployment).
    pub const DECISIONS_BY_DEPLOYMENT: u8 = 62;
    /// Decisions by (decision id, version tag, version from the last).
    pub const DECISIONS_BY_TAG: u8 = 63;
    /// Forms by (form id, deployment).
    pub const FORMS_BY_DEPLOYMENT: u8 = 64;
    /// Forms by (form id, version tag, version from the last).
    pub const FORMS_BY_TAG: u8 = 65;

    /// Decisions by key.
    pub const DECISIONS: u8 = 66;
    /// Latest version of a decision id.
    pub const LATEST_DECISIONS: u8 = 67;
    /// Key of (decision id, version).
    pub const DECISION_VERSIONS: u8 = 68;
    /// Decisions of a decision requirements graph: (graph, decision).
    pub const DECISIONS_OF_REQUIREMENTS: u8 = 69;
    /// Decision requirements graphs by key.
    pub const DECISION_REQUIREMENTS: u8 = 70;
    /// Latest version of a decision requirements graph's id.
    pub const LATEST_DECISION_REQUIREMENTS: u8 = 71;
    /// Key of (decision requirements graph's id, version).
    pub const DECISION_REQUIREMENTS_VERSIONS: u8 = 72;

    /// Forms by key.
    pub const FORMS: u8 = 73;
    /// Latest version of a form id.
    pub const LATEST_FORMS: u8 = 74;
    /// Key of (form id, version).
    pub const FORM_VERSIONS: u8 = 75;

    /// Numbers of the channels to and from other partitions.
    pub const CHANNELS: u8 = 80;
    /// Commands sent but not acknowledged: (target, number).
    pub const OUTBOX: u8 = 81;
    /// The latest checkpoint.
    pub const CHECKPOINT: u8 = 82;
    /// Backups begun and not completed, or failed: (checkpoint id).
    pub const BACKUPS: u8 = 83;
}

/// Reads and decodes a value.
pub(crate) fn read<V: Message + Default>(
    state: &dyn Read,
    key: &TableKey,
) -> Result<Option<V>, StateError> {
    match state.get(key.as_bytes())? {
        Some(bytes) => decode(key.as_bytes(), &bytes).map(Some),
        None => Ok(None),
    }
}

/// Decodes a value that was read under `key`.
pub(crate) fn decode<V: Message + Default>(key: &[u8], bytes: &[u8]) -> Result<V, StateError> {
    V::decode(bytes).map_err(|error| corrupt(key, error))
}

/// What was read under `key` is not what was written.
pub(crate) fn corrupt(key: &[u8], error: impl ToString) -> StateError {
    StateError::Corrupt {
        place: format!("the state's value under key {key:02x?}"),
        reason: error.to_string(),
        mend: "Restore the partition from a backup, or remove this replica's data so that it is fetched again".to_owned(),
    }
}

/// All keys under a prefix.
pub(crate) fn keys_with_prefix(
    state: &dyn Read,
    prefix: &TableKey,
) -> Result<Vec<Vec<u8>>, StateError> {
    let mut found = Vec::new();
    scan(state, prefix, |key, _| {
        found.push(key.to_vec());
        Ok(Visit::Next)
    })?;
    Ok(found)
}

/// All values under a prefix, with what `name` reads from their keys.
pub(crate) fn entries_with_prefix<N, V: Message + Default>(
    state: &dyn Read,
    prefix: &TableKey,
    mut name: impl FnMut(&mut KeyReader<'_>) -> N,
) -> Result<Vec<(N, V)>, StateError> {
    let mut found = Vec::new();
    scan(state, prefix, |key, value| {
        found.push((name(&mut KeyReader::new(key)), decode(key, value)?));
        Ok(Visit::Next)
    })?;
    Ok(found)
}

/// What is due in a table whose keys begin with a time: at most `limit` entries up to `now`, and the time of the next one.
pub(crate) fn due_entries<N>(
    state: &dyn Read,
    table: u8,
    now: i64,
    limit: usize,
    mut name: impl FnMut(&mut KeyReader<'_>) -> N,
) -> Result<(Vec<N>, Option<i64>), StateError> {
    let (mut found, mut next) = (Vec::new(), None);
    scan(state, &TableKey::new(table), |key, _| {
        let mut reader = KeyReader::new(key);
        let time = reader.i64();
        if time > now || found.len() == limit {
            next = Some(time);
            return Ok(Visit::Stop);
        }
        found.push(name(&mut reader));
        Ok(Visit::Next)
    })?;
    Ok((found, next))
}

/// Visits the pairs under a prefix in key order, until told to stop or until something fails.
pub(crate) fn scan(
    state: &dyn Read,
    prefix: &TableKey,
    visit: impl FnMut(&[u8], &[u8]) -> Result<Visit, StateError>,
) -> Result<(), StateError> {
    scan_range(state, prefix.as_bytes(), &prefix.end(), visit)
}

/// Visits the pairs of a range in key order, until told to stop or until something fails.
pub(crate) fn scan_range(
    state: &dyn Read,
    from: &[u8],
    to: &[u8],
    mut visit: impl FnMut(&[u8], &[u8]) -> Result<Visit, StateError>,
) -> Result<(), StateError> {
    let mut failed = None;
    state.scan(KeyRange { from, to: Some(to) }, &mut |key, value| {
        visit(key, value).unwrap_or_else(|error| {
            failed = Some(error);
            Visit::Stop
        })
    })?;
    failed.map_or(Ok(()), Err)
}

/// Creates a value under a key that does not exist.
pub(crate) fn insert(txn: &mut dyn Txn, key: &TableKey, value: &impl Message) {
    txn.insert(key.as_bytes(), value.encode_to_vec());
}

/// Sets a value.
pub(crate) fn put(txn: &mut dyn Txn, key: &TableKey, value: &impl Message) {
    txn.put(key.as_bytes(), value.encode_to_vec());
}

/// Deletes a value.
pub(crate) fn delete(txn: &mut dyn Txn, key: &TableKey) {
    txn.delete(key.as_bytes());
}
