//! The root hash of a content, without storing it: what replicas compare before a backup counts.

use std::sync::Arc;

use crate::ChunkIndex;
use crate::background::Background;
use crate::base::BaseBackup;
use crate::cancel::Cancel;
use crate::chunk::RootHash;
use crate::content::{Content, Visit};
use crate::error::BackupError;
use crate::plan::{plan_chunks, root_hash};
use crate::processors::Processors;

/// Reads what has changed since the base, or everything without one. Gives the root hash, and the index that a later reading may build on.
pub async fn hash_content(
    content: Arc<dyn Content>,
    base: Option<BaseBackup>,
    processors: &Processors,
    cancel: &Cancel,
) -> Result<(RootHash, ChunkIndex), BackupError> {
    let (processors, cancel) = (processors.clone(), cancel.clone());
    let reading = Background::begin(move || {
        let mut turn = Some(processors.take());
        let mut chunks = Vec::new();
        let dirty = base.map(|base| base.dirty);
        plan_chunks(content.as_ref(), dirty.as_deref(), &mut |planned| {
            chunks.push(planned.info);
            // Others have theirs between two chunks.
            turn = None;
            turn = Some(processors.take());
            match cancel.is_cancelled() {
                true => Visit::Stop,
                false => Visit::Continue,
            }
        })?;
        drop(turn);
        match cancel.is_cancelled() {
            true => Err(BackupError::Cancelled),
            false => Ok((root_hash(&chunks), ChunkIndex::new(chunks))),
        }
    });
    reading.wait().await?
}
