//! Replicas with the same applied index have the same state, whatever they have been through.

use skep_partition::Inspection;
use skep_protocol::PartitionId;

use crate::reference::{Reference, content_hash};
use crate::violation::{Check, Violation};

/// How much of a replica is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Depth {
    /// Its progress.
    Progress,
    /// Its whole content.
    Content,
}

/// Compares a replica with the reference.
pub fn check(
    partition: PartitionId,
    node: usize,
    seen: &Inspection<'_>,
    reference: &Reference,
    depth: Depth,
) -> Check {
    let index = seen.log_id.index;
    let Some((progress, hash)) = reference.after(index) else {
        return Err(Violation::new(
            "equal states",
            format!(
                "partition {partition} on node {node} has applied entry {index}, which is not committed"
            ),
        ));
    };
    // The progress of an untouched partition is not written down yet.
    if seen.bookkeeping != progress {
        return Err(Violation::new(
            "equal states",
            format!(
                "partition {partition} on node {node} stands at {:?} after entry {index}, expected {progress:?}",
                seen.bookkeeping
            ),
        ));
    }
    if depth == Depth::Content && content_hash(&seen.state)? != *hash {
        return Err(Violation::new(
            "equal states",
            format!(
                "partition {partition} on node {node} has another content after entry {index} than the log says"
            ),
        ));
    }
    Ok(())
}
