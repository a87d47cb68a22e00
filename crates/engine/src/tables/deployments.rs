//! Deployments that not all partitions have acknowledged. Only on the deployment partition.

use prost::Message;
use skep_protocol::{Key, PartitionId};
use skep_state::{Read, StateError, TableKey, Txn};

use super::{delete as delete_value, prefix, put, read};

#[derive(Clone, PartialEq, Message)]
struct Pending {
    #[prost(uint32, repeated, tag = "1")]
    partitions: Vec<u32>,
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

/// Sets the partitions that have yet to acknowledge a deployment.
pub(crate) fn set_pending(txn: &mut dyn Txn, deployment: Key, partitions: &[PartitionId]) {
    if partitions.is_empty() {
        delete_value(txn, &key(deployment));
    } else {
        let partitions = partitions.iter().map(|partition| partition.0).collect();
        put(txn, &key(deployment), &Pending { partitions });
    }
}
