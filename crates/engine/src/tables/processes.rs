//! Deployed process definitions: by key, latest by process id, by process id and version, deployment or tag; and the resources of
//! all definitions.
//!
//! **Invariants**
//! - Definitions and resources keep the keys that the deployment partition gave them, on every partition, and never change until
//!   they are deleted.
//! - A definition that is being deleted is among no versions: nothing begins with it any more.
//! - A resource is kept once per deployment, whatever the number of processes in it; the definition's own `resource` is empty.

use prost::Message;
use skep_protocol::{Key, values};
use skep_state::{Read, StateError, TableKey, Txn};

use super::bindings::{Bindings, Origin};
use super::versions::{Version, Versions};
use super::{delete as delete_value, insert as insert_value, prefix, put, read};

/// Versions of process ids.
const VERSIONS: Versions = Versions::new(prefix::LATEST_PROCESSES, prefix::PROCESS_VERSIONS);

/// What process ids are bound by.
const BINDINGS: Bindings = Bindings {
    by_deployment: prefix::PROCESSES_BY_DEPLOYMENT,
    by_tag: prefix::PROCESSES_BY_TAG,
};

fn origin(definition: &values::Process) -> Origin<'_> {
    Origin {
        id: &definition.bpmn_process_id,
        version: definition.version,
        deployment: Key(definition.deployment_key),
        tag: &definition.version_tag,
    }
}

#[derive(Clone, PartialEq, Message)]
struct Resource {
    #[prost(bytes = "vec", tag = "1")]
    content: Vec<u8>,
    /// How many definitions have come in it and are still there.
    #[prost(uint32, tag = "2")]
    definitions: u32,
}

fn by_key(key: Key) -> TableKey {
    TableKey::new(prefix::PROCESSES).i64(key.0)
}

fn resource_key(deployment: Key, resource_name: &str) -> TableKey {
    TableKey::new(prefix::RESOURCES)
        .i64(deployment.0)
        .text(resource_name)
}

/// A definition, without its resource.
pub(crate) fn get(state: &dyn Read, key: Key) -> Result<Option<values::Process>, StateError> {
    read(state, &by_key(key))
}

/// The latest version of a process id.
pub(crate) fn latest(
    state: &dyn Read,
    bpmn_process_id: &str,
) -> Result<Option<Version>, StateError> {
    VERSIONS.latest(state, bpmn_process_id)
}

/// The number that the next version of a process id gets.
pub(crate) fn next_version(state: &dyn Read, bpmn_process_id: &str) -> Result<i32, StateError> {
    VERSIONS.next(state, bpmn_process_id)
}

/// A certain version of a process id.
pub(crate) fn version(
    state: &dyn Read,
    bpmn_process_id: &str,
    version: i32,
) -> Result<Option<Version>, StateError> {
    VERSIONS.get(state, bpmn_process_id, version)
}

/// The version of a process id that came with a deployment.
pub(crate) fn in_deployment(
    state: &dyn Read,
    bpmn_process_id: &str,
    deployment: Key,
) -> Result<Option<Key>, StateError> {
    BINDINGS.in_deployment(state, bpmn_process_id, deployment)
}

/// The latest version of a process id with a tag.
pub(crate) fn tagged(
    state: &dyn Read,
    bpmn_process_id: &str,
    tag: &str,
) -> Result<Option<Key>, StateError> {
    BINDINGS.tagged(state, bpmn_process_id, tag)
}

/// The highest version of a process id below a number.
pub(crate) fn version_below(
    state: &dyn Read,
    bpmn_process_id: &str,
    version: i32,
) -> Result<Option<Version>, StateError> {
    VERSIONS.below(state, bpmn_process_id, version)
}

/// Adds a definition, which becomes the latest of its process id if its version is the highest.
pub(crate) fn insert(txn: &mut dyn Txn, definition: &values::Process) -> Result<(), StateError> {
    assert!(
        definition.resource.is_empty(),
        "resources have a table of their own"
    );
    let key = Key(definition.process_definition_key);
    insert_value(txn, &by_key(key), definition);
    BINDINGS.insert(txn, &origin(definition), key);
    VERSIONS.insert(txn, &definition.bpmn_process_id, definition.version, key)
}

/// Takes a definition out of the versions of its process id, though it is still there. Tells whether it was the latest.
pub(crate) fn unlist(txn: &mut dyn Txn, definition: &values::Process) -> Result<bool, StateError> {
    BINDINGS.remove(txn, &origin(definition));
    VERSIONS.remove(txn, &definition.bpmn_process_id, definition.version)
}

/// Marks a definition that is to be deleted once its last instance has ended.
pub(crate) fn mark_deleting(txn: &mut dyn Txn, definition: &values::Process) {
    let deleting = values::Process {
        is_deleting: true,
        ..definition.clone()
    };
    put(
        txn,
        &by_key(Key(definition.process_definition_key)),
        &deleting,
    );
}

/// Forgets a definition.
pub(crate) fn delete(txn: &mut dyn Txn, key: Key) {
    delete_value(txn, &by_key(key));
}

/// The content of a resource of a deployment.
pub(crate) fn resource(
    state: &dyn Read,
    deployment: Key,
    resource_name: &str,
) -> Result<Option<Vec<u8>>, StateError> {
    let resource = read::<Resource>(state, &resource_key(deployment, resource_name))?;
    Ok(resource.map(|resource| resource.content))
}

/// Keeps a resource of a deployment, in which so many definitions have come.
pub(crate) fn insert_resource(
    txn: &mut dyn Txn,
    deployment: Key,
    resource_name: &str,
    content: &[u8],
    definitions: u32,
) {
    let resource = Resource {
        content: content.to_vec(),
        definitions,
    };
    insert_value(txn, &resource_key(deployment, resource_name), &resource);
}

/// A definition that came in a resource is deleted. Tells whether it was the last of them.
pub(crate) fn release_resource(
    txn: &mut dyn Txn,
    deployment: Key,
    resource_name: &str,
) -> Result<bool, StateError> {
    let key = resource_key(deployment, resource_name);
    let Some(mut resource) = read::<Resource>(txn, &key)? else {
        return Ok(true);
    };
    resource.definitions = resource.definitions.saturating_sub(1);
    put(txn, &key, &resource);
    Ok(resource.definitions == 0)
}

/// Forgets a resource.
pub(crate) fn delete_resource(txn: &mut dyn Txn, deployment: Key, resource_name: &str) {
    delete_value(txn, &resource_key(deployment, resource_name));
}
