//! What is backed up, stored and restored is the partition's content at its checkpoint, pair by pair.

use bytes::Bytes;
use skep_backup::{Content, ContentError, RootHash, Visit, plan_chunks, root_hash};
use skep_protocol::{CheckpointId, PartitionId};

use crate::reference::Cut;
use crate::violation::{Check, Violation};

/// Pairs as a content to be backed up.
#[derive(Debug, Clone)]
pub struct Pairs(pub std::sync::Arc<Vec<(Bytes, Bytes)>>);

impl Content for Pairs {
    fn scan(
        &self,
        from: &[u8],
        visit: &mut dyn FnMut(&[u8], &[u8]) -> Visit,
    ) -> Result<(), ContentError> {
        let begin = self.0.partition_point(|(key, _)| key.as_ref() < from);
        for (key, value) in &self.0[begin..] {
            if visit(key, value) == Visit::Stop {
                break;
            }
        }
        Ok(())
    }
}

/// Compares pairs with the content at a checkpoint.
pub fn check(
    what: &str,
    partition: PartitionId,
    id: CheckpointId,
    found: &[(Bytes, Bytes)],
    cut: &Cut,
) -> Check {
    if found == cut.pairs.as_slice() {
        return Ok(());
    }
    let differs = found
        .iter()
        .zip(cut.pairs.iter())
        .position(|(found, expected)| found != expected);
    Err(Violation::new(
        "restored",
        format!(
            "{what} of partition {partition} at checkpoint {id} has {} pairs, expected {}; the first that differs is {differs:?}",
            found.len(),
            cut.pairs.len()
        ),
    ))
}

/// Compares a manifest's root hash with that of the content at a checkpoint.
pub fn check_root(partition: PartitionId, id: CheckpointId, found: RootHash, cut: &Cut) -> Check {
    let mut chunks = Vec::new();
    plan_chunks(&Pairs(cut.pairs.clone()), None, &mut |chunk| {
        chunks.push(chunk.info);
        Visit::Continue
    })
    .map_err(|error| Violation::new("restored", error.to_string()))?;
    if root_hash(&chunks) == found {
        return Ok(());
    }
    Err(Violation::new(
        "restored",
        format!(
            "the manifest of partition {partition} at checkpoint {id} has another root hash than the content"
        ),
    ))
}
