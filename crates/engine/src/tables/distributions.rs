//! Commands that not all partitions have acknowledged which they were distributed to. Only on the partition that distributes them.

use prost::Message;
use skep_protocol::{Key, PartitionId};
use skep_state::{Read, StateError, TableKey, Txn};

use super::{delete as delete_value, insert, prefix, put, read};

#[derive(Clone, PartialEq, Message)]
struct Pending {
    #[prost(uint32, repeated, tag = "1")]
    partitions: Vec<u32>,
    /// Of a deployment: resources that nothing needs any more but the deployment on its way.
    #[prost(string, repeated, tag = "2")]
    released: Vec<String>,
}

fn key(distribution: Key) -> TableKey {
    TableKey::new(prefix::PENDING_DISTRIBUTIONS).i64(distribution.0)
}

/// Partitions that have yet to acknowledge a command; empty if there is none, or no such distribution.
pub(crate) fn pending(state: &dyn Read, distribution: Key) -> Result<Vec<PartitionId>, StateError> {
    let stored: Option<Pending> = read(state, &key(distribution))?;
    let partitions = stored.map(|stored| stored.partitions).unwrap_or_default();
    Ok(partitions.into_iter().map(PartitionId).collect())
}

/// Writes a new distribution down, with the partitions that have yet to acknowledge it.
pub(crate) fn begin(txn: &mut dyn Txn, distribution: Key, partitions: &[PartitionId]) {
    let pending = Pending {
        partitions: partitions.iter().map(|partition| partition.0).collect(),
        released: Vec::new(),
    };
    insert(txn, &key(distribution), &pending);
}

/// A partition has acknowledged a command. If it was the last, gives the resources that were only kept for this.
pub(crate) fn acknowledged(
    txn: &mut dyn Txn,
    distribution: Key,
    partition: PartitionId,
) -> Result<Option<Vec<String>>, StateError> {
    let key = key(distribution);
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
