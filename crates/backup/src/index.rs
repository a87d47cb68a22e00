//! The chunks of a backup, as the next one needs to know them.

use std::sync::Arc;

use crate::chunk::{ChunkHash, ChunkInfo, StoredChunk};
use crate::keys::KeySet;
use crate::limits::CHANGED_KEYS_MAX;

/// The chunks of a partition's content, in key order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ChunkIndex {
    chunks: Vec<ChunkInfo>,
    /// For each chunk, what a patch of it can be made against, as far as that is known.
    derived: Vec<Option<Derived>>,
}

/// A chunk that is stored whole, and keys: content that differs from it in no other key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Derived {
    pub(crate) base: ChunkHash,
    pub(crate) keys: Arc<KeySet>,
}

impl ChunkIndex {
    /// From chunks in key order, of which nothing more is known.
    pub fn new(chunks: Vec<ChunkInfo>) -> Self {
        Self::with(chunks.into_iter().map(|info| (info, None)))
    }

    /// The index of a manifest's chunks. By which keys a patched chunk differs from its base is in the patch, which is not
    /// read: when such a chunk changes, it is compared with its base.
    pub fn of_stored(chunks: &[StoredChunk]) -> Self {
        Self::with(chunks.iter().map(|chunk| {
            let derived = chunk.patch.is_none().then(|| Derived::whole(&chunk.info));
            (chunk.info.clone(), derived)
        }))
    }

    pub(crate) fn with(entries: impl IntoIterator<Item = (ChunkInfo, Option<Derived>)>) -> Self {
        let mut index = Self::default();
        let mut left = CHANGED_KEYS_MAX;
        for (info, derived) in entries {
            let last = index.chunks.last();
            assert!(
                last.is_none_or(|last: &ChunkInfo| last.first_key < info.first_key),
                "chunks of an index are not in key order"
            );
            let kept = derived.filter(|derived| derived.keys.bytes() <= left);
            left -= kept.as_ref().map_or(0, |derived| derived.keys.bytes());
            index.chunks.push(info);
            index.derived.push(kept);
        }
        index
    }

    /// The chunks.
    pub fn chunks(&self) -> &[ChunkInfo] {
        &self.chunks
    }

    pub(crate) fn derived(&self, slot: usize) -> Option<&Derived> {
        self.derived[slot].as_ref()
    }

    /// Ranges into which all keys fall; without a chunk there is one, too.
    pub(crate) fn slots(&self) -> usize {
        self.chunks.len().max(1)
    }

    /// The slot into whose range `key` falls. Slot 0 begins at the empty key, the last one has no end.
    pub(crate) fn slot_of(&self, key: &[u8]) -> usize {
        let after = self
            .chunks
            .partition_point(|chunk| chunk.first_key.as_slice() <= key);
        after.saturating_sub(1)
    }

    /// The slot that begins with a chunk at `first_key` and ends where the next one begins, or nowhere.
    pub(crate) fn slot_spanning(&self, first_key: &[u8], next: Option<&[u8]>) -> Option<usize> {
        let slot = self.slot_of(first_key);
        let chunk = self.chunks.get(slot)?;
        let end = self
            .chunks
            .get(slot + 1)
            .map(|next| next.first_key.as_slice());
        (chunk.first_key == first_key && end == next).then_some(slot)
    }

    /// Where the slot begins.
    pub(crate) fn begin(&self, slot: usize) -> &[u8] {
        match slot {
            0 => &[],
            slot => &self.chunks[slot].first_key,
        }
    }

    pub(crate) fn first_key(&self, slot: usize) -> Option<&[u8]> {
        self.chunks
            .get(slot)
            .map(|chunk| chunk.first_key.as_slice())
    }
}

impl Derived {
    /// The chunk itself is stored whole.
    pub(crate) fn whole(chunk: &ChunkInfo) -> Self {
        Self {
            base: chunk.hash,
            keys: Arc::default(),
        }
    }
}
