//! Deployments that not all partitions have acknowledged. Only on the deployment partition.

use prost::Message;
use skep_protocol::{Key, PartitionId};
use skep_state::{Read, StateError, TableKey, Txn};

use super::{delete as delete_value, insert, prefix, put, read};

#[derive(Clone, PartialEq, Message)]
struct Pending {
    #[prost(uint32, repeated, tag = "1")]
    partitions: Vec<u32>,
    /// Resources that nothing needs any more but the deployment on its way.
    #[prost(string, repeated, tag = "2")]
    released: Vec<String>,
}

fn key(deployment: Key) -> TableKey {
    TableKey::new(prefix::PENDING_DEPLOYMENTS).i64(deployment.0)
}

/// Partitions that have yet to acknowledge a deployment; empty if there is none, or no such deployment.
pub(crate) fn pending(state: &dyn Read, deployment: Key) -> Result<Vec<PartitionId>, StateError> {
    let stored: Option<Pending> = read(state, &key(deployment))?;
    let partitions = stored.map(|stored| stored.partitions).unwrap_or_default();
    Ok(partitions.into_iter().map(PartitionId).collect())
}

/// Writes a new deployment down, with the partitions that have yet to acknowledge it.
pub(crate) fn begin(txn: &mut dyn Txn, deployment: Key, partitions: &[PartitionId]) {
    let pending = Pending {
        partitions: partitions.iter().map(|partition| partition.0).collect(),
        released: Vec::new(),
    };
    insert(txn, &key(deployment), &pending);
}

/// A partition has acknowledged a deployment. If it was the last, gives the resources that were only kept for this.
pub(crate) fn acknowledged(
    txn: &mut dyn Txn,
    deployment: Key,
    partition: PartitionId,
) -> Result<Option<Vec<String>>, StateError> {
    let key = key(deployment);
    let mut pending: Pending = read(txn, &key)?.unwrap_or_default();
    pending.partitions.retain(|other| *other != partition.0);
    if pending.partitions.is_empty() {
        delete_value(txn, &key);
        return Ok(Some(pending.released));
    }
    put(txn, &key, &pending);
    Ok(None)
}

/// Has a resource kept until all partitions have acknowledged its deployment. Tells whether there is one to wait for.
pub(crate) fn keep_until_acknowledged(
    txn: &mut dyn Txn,
    deployment: Key,
    resource_name: &str,
) -> Result<bool, StateError> {
    let key = key(deployment);
    let Some(mut pending) = read::<Pending>(txn, &key)? else {
        return Ok(false);
    };
    pending.released.push(resource_name.to_owned());
    put(txn, &key, &pending);
    Ok(true)
}
