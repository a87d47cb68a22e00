//! Deployed decisions and decision requirements graphs: by key, and the latest by id; decisions also by deployment and tag.
//!
//! **Invariants**
//! - They keep the keys that the deployment partition gave them, on every partition, and never change until they are deleted.
//! - A graph's own `resource` is empty: resources have a table of their own.
//! - A decision belongs to the graph that it came with.

use skep_protocol::{Key, values};
use skep_state::{Read, StateError, TableKey, Txn};

use super::bindings::{Bindings, Origin};
use super::versions::{Version, Versions};
use super::{delete as delete_value, insert as insert_value, keys_with_prefix, prefix, read};

/// Versions of decision ids.
const DECISIONS: Versions = Versions::new(prefix::LATEST_DECISIONS, prefix::DECISION_VERSIONS);

/// Versions of the ids of graphs.
const GRAPHS: Versions = Versions::new(
    prefix::LATEST_DECISION_REQUIREMENTS,
    prefix::DECISION_REQUIREMENTS_VERSIONS,
);

/// What decision ids are bound by.
const BINDINGS: Bindings = Bindings {
    by_deployment: prefix::DECISIONS_BY_DEPLOYMENT,
    by_tag: prefix::DECISIONS_BY_TAG,
};

fn origin(decision: &values::Decision) -> Origin<'_> {
    Origin {
        id: &decision.decision_id,
        version: decision.version,
        deployment: Key(decision.deployment_key),
        tag: &decision.version_tag,
    }
}

fn decision_key(key: Key) -> TableKey {
    TableKey::new(prefix::DECISIONS).i64(key.0)
}

fn of_requirements_key(requirements: Key) -> TableKey {
    TableKey::new(prefix::DECISIONS_OF_REQUIREMENTS).i64(requirements.0)
}

fn requirements_key(key: Key) -> TableKey {
    TableKey::new(prefix::DECISION_REQUIREMENTS).i64(key.0)
}

/// A decision.
pub(crate) fn get(state: &dyn Read, key: Key) -> Result<Option<values::Decision>, StateError> {
    read(state, &decision_key(key))
}

/// The latest version of a decision id.
pub(crate) fn latest(state: &dyn Read, id: &str) -> Result<Option<Version>, StateError> {
    DECISIONS.latest(state, id)
}

/// The version of a decision id that came with a deployment.
pub(crate) fn in_deployment(
    state: &dyn Read,
    id: &str,
    deployment: Key,
) -> Result<Option<Key>, StateError> {
    BINDINGS.in_deployment(state, id, deployment)
}

/// The latest version of a decision id with a tag.
pub(crate) fn tagged(state: &dyn Read, id: &str, tag: &str) -> Result<Option<Key>, StateError> {
    BINDINGS.tagged(state, id, tag)
}

/// The number that the next version of a decision id gets.
pub(crate) fn next_version(state: &dyn Read, id: &str) -> Result<i32, StateError> {
    DECISIONS.next(state, id)
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
) -> Result<Option<Version>, StateError> {
    GRAPHS.latest(state, id)
}

/// The number that the next version of a graph's id gets.
pub(crate) fn next_requirements_version(state: &dyn Read, id: &str) -> Result<i32, StateError> {
    GRAPHS.next(state, id)
}

/// Adds a decision, which becomes the latest of its id if its version is the highest.
pub(crate) fn insert(txn: &mut dyn Txn, decision: &values::Decision) -> Result<(), StateError> {
    let key = Key(decision.decision_key);
    insert_value(txn, &decision_key(key), decision);
    let of_requirements = of_requirements_key(Key(decision.decision_requirements_key));
    txn.insert(of_requirements.i64(key.0).as_bytes(), Vec::new());
    BINDINGS.insert(txn, &origin(decision), key);
    DECISIONS.insert(txn, &decision.decision_id, decision.version, key)
}

/// Forgets a decision.
pub(crate) fn delete(txn: &mut dyn Txn, decision: &values::Decision) -> Result<(), StateError> {
    let key = Key(decision.decision_key);
    delete_value(txn, &decision_key(key));
    let of_requirements = of_requirements_key(Key(decision.decision_requirements_key));
    delete_value(txn, &of_requirements.i64(key.0));
    BINDINGS.remove(txn, &origin(decision));
    DECISIONS.remove(txn, &decision.decision_id, decision.version)?;
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
    let key = Key(requirements.decision_requirements_key);
    insert_value(txn, &requirements_key(key), requirements);
    let id = &requirements.decision_requirements_id;
    GRAPHS.insert(txn, id, requirements.version, key)
}

/// Forgets a graph.
pub(crate) fn delete_requirements(
    txn: &mut dyn Txn,
    requirements: &values::DecisionRequirements,
) -> Result<(), StateError> {
    let key = Key(requirements.decision_requirements_key);
    delete_value(txn, &requirements_key(key));
    let id = &requirements.decision_requirements_id;
    GRAPHS.remove(txn, id, requirements.version)?;
    Ok(())
}
