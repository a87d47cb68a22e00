//! Deployed process definitions: by key, latest by process id, by process id and version; and the resources they came in.
//!
//! **Invariants**
//! - Definitions and resources never change and keep the keys that the deployment partition gave them, on every partition.
//! - A resource is kept once per deployment, whatever the number of processes in it; the definition's own `resource` is empty.
//! - Versions of a process id are 1, 2, 3 …; the latest is the highest.

use prost::Message;
use skep_protocol::{Key, values};
use skep_state::{Read, StateError, TableKey, Txn};

use super::{insert as insert_value, prefix, put, read};

/// A version of a process id.
#[derive(Clone, Copy, PartialEq, Eq, Message)]
pub(crate) struct ProcessVersion {
    /// Number of the version, from 1.
    #[prost(int32, tag = "1")]
    pub version: i32,
    #[prost(int64, tag = "2")]
    definition_key: i64,
}

impl ProcessVersion {
    /// The definition's key.
    pub fn key(&self) -> Key {
        Key(self.definition_key)
    }
}

#[derive(Clone, PartialEq, Message)]
struct Resource {
    #[prost(bytes = "vec", tag = "1")]
    content: Vec<u8>,
}

fn by_key(key: Key) -> TableKey {
    TableKey::new(prefix::PROCESSES).i64(key.0)
}

fn latest_key(bpmn_process_id: &str) -> TableKey {
    TableKey::new(prefix::LATEST_PROCESSES).text(bpmn_process_id)
}

fn version_key(bpmn_process_id: &str, version: i32) -> TableKey {
    TableKey::new(prefix::PROCESS_VERSIONS)
        .text(bpmn_process_id)
        .i64(i64::from(version))
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
) -> Result<Option<ProcessVersion>, StateError> {
    read(state, &latest_key(bpmn_process_id))
}

/// A certain version of a process id.
pub(crate) fn version(
    state: &dyn Read,
    bpmn_process_id: &str,
    version: i32,
) -> Result<Option<ProcessVersion>, StateError> {
    read(state, &version_key(bpmn_process_id, version))
}

/// Adds a definition, which becomes the latest of its process id if its version is the highest.
pub(crate) fn insert(txn: &mut dyn Txn, definition: &values::Process) -> Result<(), StateError> {
    assert!(
        definition.resource.is_empty(),
        "resources have a table of their own"
    );
    let id = &definition.bpmn_process_id;
    let version = ProcessVersion {
        version: definition.version,
        definition_key: definition.process_definition_key,
    };
    insert_value(txn, &by_key(version.key()), definition);
    insert_value(txn, &version_key(id, version.version), &version);
    if latest(txn, id)?.is_none_or(|latest| latest.version < version.version) {
        put(txn, &latest_key(id), &version);
    }
    Ok(())
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

/// Keeps a resource of a deployment.
pub(crate) fn insert_resource(
    txn: &mut dyn Txn,
    deployment: Key,
    resource_name: &str,
    content: &[u8],
) {
    let resource = Resource {
        content: content.to_vec(),
    };
    insert_value(txn, &resource_key(deployment, resource_name), &resource);
}
