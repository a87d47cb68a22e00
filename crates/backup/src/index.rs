//! Which chunks of the previous backup still hold, without reading anything.
//!
//! [`ChunkIndex`] is the list of chunks of a backup. [`DirtyChunks`] notes, for every key written since that backup's
//! checkpoint, into which chunk it falls. Whether a chunk ends where it did depends on its own pairs and on the first
//! pair of the next chunk (see [`crate::chunk`]), so a chunk is *clean* if none of its keys was
//! written and the first key of the next chunk was not written either. Everything else is read again.
//!
//! Writes go on while the backup of a checkpoint is still being planned, when its index is not known yet. They are
//! noted against the older index, in a second `DirtyChunks`, and carried over with [`DirtyChunks::rebase`].

use std::sync::Arc;

use crate::chunk::{ChunkInfo, StoredChunk};

/// The chunks of a partition's content, in key order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ChunkIndex {
    chunks: Vec<ChunkInfo>,
}

impl ChunkIndex {
    /// From chunks in key order.
    pub fn new(chunks: Vec<ChunkInfo>) -> Self {
        let ascending = chunks
            .windows(2)
            .all(|pair| pair[0].first_key < pair[1].first_key);
        assert!(ascending, "chunks of an index are not in key order");
        Self { chunks }
    }

    /// The index of a manifest's chunks.
    pub fn of_stored(chunks: &[StoredChunk]) -> Self {
        Self::new(chunks.iter().map(|chunk| chunk.info.clone()).collect())
    }

    /// The chunks.
    pub fn chunks(&self) -> &[ChunkInfo] {
        &self.chunks
    }

    /// The slot into whose range `key` falls. Slot 0 begins at the empty key, the last one has no end.
    fn slot_of(&self, key: &[u8]) -> Option<usize> {
        let after = self
            .chunks
            .partition_point(|chunk| chunk.first_key.as_slice() <= key);
        if self.chunks.is_empty() {
            None
        } else {
            Some(after.saturating_sub(1))
        }
    }

    pub(crate) fn first_key(&self, slot: usize) -> &[u8] {
        &self.chunks[slot].first_key
    }
}

/// Slots of an index whose content may have changed.
#[derive(Clone, Debug)]
pub struct DirtyChunks {
    index: Arc<ChunkIndex>,
    /// Some key in the slot's range was written.
    touched: Vec<bool>,
    /// The slot's first key was written, so that the slot before may end elsewhere.
    head: Vec<bool>,
}

impl DirtyChunks {
    /// Nothing has been written since the backup with this index.
    pub fn clean(index: Arc<ChunkIndex>) -> Self {
        let slots = index.chunks.len();
        Self {
            index,
            touched: vec![false; slots],
            head: vec![false; slots],
        }
    }

    /// Anything may have been written: after a restart, when the notes are lost.
    pub fn all(index: Arc<ChunkIndex>) -> Self {
        let slots = index.chunks.len();
        Self {
            index,
            touched: vec![true; slots],
            head: vec![true; slots],
        }
    }

    /// The index that the notes refer to.
    pub fn index(&self) -> &Arc<ChunkIndex> {
        &self.index
    }

    /// `key` was put or deleted.
    pub fn mark(&mut self, key: &[u8]) {
        if let Some(slot) = self.index.slot_of(key) {
            self.mark_in(slot, key);
        }
    }

    /// All `keys` were put or deleted. They ascend, as a write-back has them: keys of one slot cost one comparison.
    pub fn mark_sorted<'a>(&mut self, keys: impl IntoIterator<Item = &'a [u8]>) {
        let Some(last_slot) = self.index.chunks.len().checked_sub(1) else {
            return;
        };
        let index = Arc::clone(&self.index);
        let mut slot = 0;
        for key in keys {
            let stays = slot == last_slot || key < index.first_key(slot + 1);
            if !stays || (slot > 0 && key < index.first_key(slot)) {
                slot = index.slot_of(key).unwrap_or(0);
            }
            self.mark_in(slot, key);
        }
    }

    fn mark_in(&mut self, slot: usize, key: &[u8]) {
        self.touched[slot] = true;
        self.head[slot] |= self.index.first_key(slot) == key;
    }

    /// Whether the chunk must be read again.
    pub fn is_dirty(&self, slot: usize) -> bool {
        self.touched[slot] || self.head.get(slot + 1).is_some_and(|head| *head)
    }

    /// How many chunks must be read again.
    pub fn dirty_count(&self) -> usize {
        (0..self.touched.len())
            .filter(|slot| self.is_dirty(*slot))
            .count()
    }

    /// The same notes against the index of a later backup: whatever lies in the range of a touched slot counts as written.
    /// `self` must hold what was written after the later backup's checkpoint.
    pub fn rebase(&self, index: Arc<ChunkIndex>) -> Self {
        if self.index.chunks.is_empty() {
            // Nothing could be noted against an empty index.
            return Self::all(index);
        }
        let mut rebased = Self::clean(index);
        for slot in (0..self.touched.len()).filter(|slot| self.touched[*slot]) {
            let from = if slot == 0 {
                &[][..]
            } else {
                self.index.first_key(slot)
            };
            let until = self
                .index
                .chunks
                .get(slot + 1)
                .map(|next| next.first_key.as_slice());
            rebased.mark_range(from, until, self.head[slot]);
        }
        rebased
    }

    /// Keys in `from..until` may have been written, `from` itself only if `with_from`.
    fn mark_range(&mut self, from: &[u8], until: Option<&[u8]>, with_from: bool) {
        let Some(first) = self.index.slot_of(from) else {
            return;
        };
        for slot in first..self.index.chunks.len() {
            let key = self.index.first_key(slot);
            if slot > first && until.is_some_and(|until| key >= until) {
                break;
            }
            self.touched[slot] = true;
            let in_range = key > from && until.is_none_or(|until| key < until);
            self.head[slot] |= in_range || (key == from && with_from);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chunk::ChunkHash;

    fn index(keys: &[&str]) -> Arc<ChunkIndex> {
        let hash = ChunkHash::of(b"");
        let info = |key: &&str| ChunkInfo {
            first_key: key.as_bytes().to_vec(),
            hash,
            raw_bytes: 1,
            pairs: 1,
        };
        Arc::new(ChunkIndex::new(keys.iter().map(info).collect()))
    }

    fn dirty(notes: &DirtyChunks) -> Vec<usize> {
        (0..notes.index.chunks.len())
            .filter(|slot| notes.is_dirty(*slot))
            .collect()
    }

    #[test]
    fn a_write_dirties_its_chunk_and_a_write_of_a_first_key_the_one_before_too() {
        let cases: [(&str, &[usize]); 6] = [
            ("a", &[0]),
            ("d", &[0]),
            ("dd", &[0]),
            ("h", &[0, 1]),
            ("hh", &[1]),
            ("zz", &[2]),
        ];
        for (key, expected) in cases {
            let mut notes = DirtyChunks::clean(index(&["d", "h", "m"]));
            notes.mark(key.as_bytes());
            assert_eq!(dirty(&notes), expected, "{key}");
        }
    }

    #[test]
    fn marking_sorted_keys_equals_marking_them_singly() {
        let keys = ["", "a", "d", "e", "h", "i", "i2", "m", "q", "z"];
        for mask in 0..1 << keys.len() {
            let chosen = keys.iter().enumerate().filter(|(n, _)| mask >> n & 1 == 1);
            let chosen: Vec<&[u8]> = chosen.map(|(_, key)| key.as_bytes()).collect();
            let (mut one, mut all) = (
                DirtyChunks::clean(index(&["d", "h", "m", "q"])),
                DirtyChunks::clean(index(&["d", "h", "m", "q"])),
            );
            chosen.iter().for_each(|key| one.mark(key));
            all.mark_sorted(chosen);
            assert_eq!((one.touched, one.head), (all.touched, all.head));
        }
    }

    #[test]
    fn rebasing_keeps_every_key_that_was_written() {
        let (old, new) = (
            index(&["c", "g", "m", "s"]),
            index(&["b", "g", "k", "m", "t"]),
        );
        for key in ["a", "c", "f", "g", "h", "k", "l", "m", "n", "s", "t", "z"] {
            let (mut on_old, mut on_new) = (
                DirtyChunks::clean(Arc::clone(&old)),
                DirtyChunks::clean(Arc::clone(&new)),
            );
            on_old.mark(key.as_bytes());
            on_new.mark(key.as_bytes());
            let rebased = on_old.rebase(Arc::clone(&new));
            let covered = dirty(&on_new).iter().all(|slot| rebased.is_dirty(*slot));
            assert!(
                covered,
                "{key}: {:?} must cover {:?}",
                dirty(&rebased),
                dirty(&on_new)
            );
        }
    }

    #[test]
    fn rebasing_onto_equal_chunks_dirties_no_more_than_before() {
        let same = index(&["c", "g", "m", "s"]);
        for key in ["a", "c", "f", "g", "h", "m", "s", "z"] {
            let mut notes = DirtyChunks::clean(Arc::clone(&same));
            notes.mark(key.as_bytes());
            assert_eq!(
                dirty(&notes.rebase(Arc::clone(&same))),
                dirty(&notes),
                "{key}"
            );
        }
    }
}
