//! Deployed decisions and decision requirements graphs: by key, and the latest by id.
//!
//! **Invariants**
//! - They never change and keep the keys that the deployment partition gave them, on every partition.
//! - A graph's own `resource` is empty: resources have a table of their own.
//! - Versions of an id are 1, 2, 3 …; the latest is the highest.
//! - A decision belongs to the graph that it came with.

use prost::Message;
use skep_protocol::{Key, values};
use skep_state::{Read, StateError, TableKey, Txn};

use super::{insert as insert_value, keys_with_prefix, prefix, put, read};

/// The latest version of an id.
#[derive(Clone, Copy, PartialEq, Eq, Message)]
pub(crate) struct LatestVersion {
    /// Number of the version, from 1.
    #[prost(int32, tag = "1")]
    pub version: i32,
    #[prost(int64, tag = "2")]
    key: i64,
}

impl LatestVersion {
    /// Key of that version.
    pub fn key(&self) -> Key {
        Key(self.key)
    }
}

fn decision_key(key: Key) -> TableKey {
    TableKey::new(prefix::DECISIONS).i64(key.0)
}

fn latest_decision_key(id: &str) -> TableKey {
    TableKey::new(prefix::LATEST_DECISIONS).text(id)
}

fn decision_version_key(id: &str, version: i32) -> TableKey {
    TableKey::new(prefix::DECISION_VERSIONS)
        .text(id)
        .i64(i64::from(version))
}

fn of_requirements_key(requirements: Key) -> TableKey {
    TableKey::new(prefix::DECISIONS_OF_REQUIREMENTS).i64(requirements.0)
}

fn requirements_key(key: Key) -> TableKey {
    TableKey::new(prefix::DECISION_REQUIREMENTS).i64(key.0)
}

fn latest_requirements_key(id: &str) -> TableKey {
    TableKey::new(prefix::LATEST_DECISION_REQUIREMENTS).text(id)
}

fn requirements_version_key(id: &str, version: i32) -> TableKey {
    TableKey::new(prefix::DECISION_REQUIREMENTS_VERSIONS)
        .text(id)
        .i64(i64::from(version))
}

/// A decision.
pub(crate) fn get(state: &dyn Read, key: Key) -> Result<Option<values::Decision>, StateError> {
    read(state, &decision_key(key))
}

/// The latest version of a decision id.
pub(crate) fn latest(state: &dyn Read, id: &str) -> Result<Option<LatestVersion>, StateError> {
    read(state, &latest_decision_key(id))
}

/// The decisions of a graph.
pub(crate) fn of_requirements(
    state: &dyn Read,
    requirements: Key,
) -> Result<Vec<values::Decision>, StateError> {
    let mut decisions = Vec::new();
    for key in keys_with_prefix(state, &of_requirements_key(requirements))? {
        let mut reader = skep_state::KeyReader::new(&key);
        reader.i64();
        decisions.extend(get(state, Key(reader.i64()))?);
    }
    Ok(decisions)
}

/// A graph, without its resource.
pub(crate) fn requirements(
    state: &dyn Read,
    key: Key,
) -> Result<Option<values::DecisionRequirements>, StateError> {
    read(state, &requirements_key(key))
}

/// The latest version of a graph's id.
pub(crate) fn latest_requirements(
    state: &dyn Read,
    id: &str,
) -> Result<Option<LatestVersion>, StateError> {
    read(state, &latest_requirements_key(id))
}

/// Adds a decision, which becomes the latest of its id if its version is the highest.
pub(crate) fn insert(txn: &mut dyn Txn, decision: &values::Decision) -> Result<(), StateError> {
    let version = LatestVersion {
        version: decision.version,
        key: decision.decision_key,
    };
    let id = &decision.decision_id;
    insert_value(txn, &decision_key(version.key()), decision);
    insert_value(txn, &decision_version_key(id, version.version), &version);
    let of_requirements = of_requirements_key(Key(decision.decision_requirements_key));
    txn.insert(
        of_requirements.i64(decision.decision_key).as_bytes(),
        Vec::new(),
    );
    if latest(txn, id)?.is_none_or(|latest| latest.version < version.version) {
        put(txn, &latest_decision_key(id), &version);
    }
    Ok(())
}

/// Adds a graph, which becomes the latest of its id if its version is the highest.
pub(crate) fn insert_requirements(
    txn: &mut dyn Txn,
    requirements: &values::DecisionRequirements,
) -> Result<(), StateError> {
    assert!(
        requirements.resource.is_empty(),
        "resources have a table of their own"
    );
    let version = LatestVersion {
        version: requirements.version,
        key: requirements.decision_requirements_key,
    };
    let id = &requirements.decision_requirements_id;
    insert_value(txn, &requirements_key(version.key()), requirements);
    insert_value(
        txn,
        &requirements_version_key(id, version.version),
        &version,
    );
    if latest_requirements(txn, id)?.is_none_or(|latest| latest.version < version.version) {
        put(txn, &latest_requirements_key(id), &version);
    }
    Ok(())
}
