//! What was written since a backup, so that no more than that is read and sent again.
//!
//! [`DirtyChunks`] notes every key written since a backup's checkpoint, by the chunk into whose range it falls. Whether a
//! chunk ends where it did depends on its own pairs and on the first pair of the next chunk (see [`crate::chunk`]), so a
//! chunk is *clean* if none of its keys was written and the first key of the next chunk was not written either.
//! Everything else is read again; of a chunk that still has the same range, the noted keys are all that can have
//! changed, so that it can be stored as a patch of what it was.
//!
//! Notes are bounded. Beyond the bound of a chunk, *any* key of it may have been written: it is read and, if it has changed,
//! stored whole. Beyond the bound of all, or after a restart, any key of any chunk may have been written, though perhaps few: a chunk
//! that has changed is compared with what it was in the earlier backup, and stored as a patch where little differs.
//!
//! Writes go on while the backup of a checkpoint is still being planned, when its index is not known yet. They are
//! noted against the older index (or against an empty one), in a second `DirtyChunks`, and carried over with
//! [`DirtyChunks::rebase`].

use std::sync::Arc;

use crate::index::{ChunkIndex, Derived};
use crate::keys::{ChangedKeys, KeySet, union};
use crate::limits::{CHANGED_KEYS_MAX, CHUNK_CHANGED_KEYS_MAX};

/// Keys written since the backup with an index.
#[derive(Clone, Debug)]
pub struct DirtyChunks {
    index: Arc<ChunkIndex>,
    /// By slot.
    changed: Vec<ChangedKeys>,
    /// The slot's first key was written, so that the slot before may end elsewhere.
    head: Vec<bool>,
    /// What all sets together may take, and what of that is left.
    max: usize,
    left: usize,
}

impl DirtyChunks {
    /// Nothing has been written since the backup with this index.
    pub fn clean(index: Arc<ChunkIndex>) -> Self {
        Self::filled(index, &ChangedKeys::none())
    }

    /// Anything may have been written: after a restart, when the notes are lost.
    pub fn all(index: Arc<ChunkIndex>) -> Self {
        Self::filled(index, &ChangedKeys::Unknown)
    }

    fn filled(index: Arc<ChunkIndex>, changed: &ChangedKeys) -> Self {
        let slots = index.slots();
        Self {
            index,
            changed: vec![changed.clone(); slots],
            head: vec![*changed == ChangedKeys::Unknown; slots],
            max: CHANGED_KEYS_MAX,
            left: CHANGED_KEYS_MAX,
        }
    }

    /// Take no more than this many bytes for the keys that are written from now on.
    #[must_use]
    pub fn bounded(mut self, bytes: usize) -> Self {
        self.max = bytes.min(CHANGED_KEYS_MAX);
        self.left = self.max;
        self
    }

    /// The index that the notes refer to.
    pub fn index(&self) -> &Arc<ChunkIndex> {
        &self.index
    }

    /// `key` was put or deleted.
    pub fn mark(&mut self, key: &[u8]) {
        self.mark_in(self.index.slot_of(key), key);
    }

    /// All `keys` were put or deleted. They ascend, as a write-back has them: keys of one slot cost one comparison.
    pub fn mark_sorted<'a>(&mut self, keys: impl IntoIterator<Item = &'a [u8]>) {
        let index = Arc::clone(&self.index);
        let mut slot = 0;
        for key in keys {
            let stays = index.first_key(slot + 1).is_none_or(|next| key < next);
            if !stays || key < index.begin(slot) {
                slot = index.slot_of(key);
            }
            self.mark_in(slot, key);
        }
    }

    fn mark_in(&mut self, slot: usize, key: &[u8]) {
        // Without an index there is nothing to make patches of: only the bound of all notes counts.
        let of_chunk = !self.index.chunks().is_empty();
        let max = of_chunk.then_some(CHUNK_CHANGED_KEYS_MAX);
        self.changed[slot].insert(key, max, &mut self.left);
        self.head[slot] |= self.index.first_key(slot) == Some(key);
    }

    /// Whether the chunk must be read again.
    pub fn is_dirty(&self, slot: usize) -> bool {
        !self.changed[slot].is_none() || self.head.get(slot + 1).is_some_and(|head| *head)
    }

    /// How many chunks must be read again.
    pub fn dirty_count(&self) -> usize {
        let slots = 0..self.index.chunks().len();
        slots.filter(|slot| self.is_dirty(*slot)).count()
    }

    /// What the content of the slot now can be told from, if enough is known and has been noted.
    pub(crate) fn derived(&self, slot: usize) -> Option<Derived> {
        let before = self.index.derived(slot)?;
        let since: &Arc<KeySet> = self.changed[slot].known()?;
        Some(Derived {
            base: before.base,
            keys: union(&before.keys, since)?,
        })
    }

    /// Whether it is not known, but may be found out, that a chunk which has changed differs from what it was in few keys only.
    pub(crate) fn is_worth_comparing(&self, slot: usize) -> bool {
        match &self.changed[slot] {
            ChangedKeys::Known(_) => self.index.derived(slot).is_none(),
            ChangedKeys::Unknown => true,
            ChangedKeys::Many => false,
        }
    }

    /// The same notes against the index of a later backup. `self` must hold what was written after its checkpoint.
    pub fn rebase(&self, index: Arc<ChunkIndex>) -> Self {
        let mut rebased = Self::clean(index).bounded(self.max);
        for (slot, changed) in self.changed.iter().enumerate() {
            match changed {
                ChangedKeys::Known(keys) => rebased.mark_sorted(keys.iter()),
                unknown @ (ChangedKeys::Unknown | ChangedKeys::Many) => {
                    let until = self.index.first_key(slot + 1);
                    // Slot 0 begins before any key, so any first key in it may have been written.
                    let with_first = slot == 0 || self.head[slot];
                    let begin = self.index.begin(slot);
                    rebased.forget_range(begin, until, with_first, unknown);
                }
            }
        }
        rebased
    }

    /// Any key in `from..until` may have been written, `from` itself only if `with_from`.
    fn forget_range(
        &mut self,
        from: &[u8],
        until: Option<&[u8]>,
        with_from: bool,
        unknown: &ChangedKeys,
    ) {
        for slot in self.index.slot_of(from)..self.index.slots() {
            let begin = self.index.begin(slot);
            if begin > from && until.is_some_and(|until| begin >= until) {
                break;
            }
            self.changed[slot].forget(unknown.clone(), &mut self.left);
            let first = self.index.first_key(slot).unwrap_or_default();
            let in_range = first > from && until.is_none_or(|until| first < until);
            self.head[slot] |= in_range || (first == from && with_from);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chunk::{ChunkHash, ChunkInfo};

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
        (0..notes.index.chunks().len())
            .filter(|slot| notes.is_dirty(*slot))
            .collect()
    }

    fn forgotten(keys: &[&str], slots: &[usize]) -> DirtyChunks {
        let mut notes = DirtyChunks::clean(index(keys));
        for slot in slots {
            notes.changed[*slot] = ChangedKeys::Unknown;
        }
        notes
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
        for chunks in [&["d", "h", "m", "q"][..], &[]] {
            for mask in 0..1 << keys.len() {
                let chosen = keys.iter().enumerate().filter(|(n, _)| mask >> n & 1 == 1);
                let chosen: Vec<&[u8]> = chosen.map(|(_, key)| key.as_bytes()).collect();
                let mut one = DirtyChunks::clean(index(chunks));
                let mut all = one.clone();
                chosen.iter().for_each(|key| one.mark(key));
                all.mark_sorted(chosen);
                assert_eq!((one.changed, one.head), (all.changed, all.head));
            }
        }
    }

    #[test]
    fn rebasing_keeps_every_key_that_was_written_and_dirties_no_more() {
        let new = index(&["b", "g", "k", "m", "t"]);
        for old in [index(&["c", "g", "m", "s"]), index(&[])] {
            for key in ["a", "c", "f", "g", "h", "k", "l", "m", "n", "s", "t", "z"] {
                let mut on_old = DirtyChunks::clean(Arc::clone(&old));
                let mut on_new = DirtyChunks::clean(Arc::clone(&new));
                on_old.mark(key.as_bytes());
                on_new.mark(key.as_bytes());
                let rebased = on_old.rebase(Arc::clone(&new));
                assert_eq!(
                    (rebased.changed, rebased.head),
                    (on_new.changed, on_new.head),
                    "{key}"
                );
            }
        }
    }

    #[test]
    fn rebasing_a_slot_of_which_nothing_is_known_dirties_all_that_its_range_touches() {
        let new = || index(&["b", "g", "k", "m", "t"]);
        // Range of the slot forgotten: from "g" to "m", "g" itself was not written; then everything before "g".
        let cases: [(&[usize], &[usize]); 4] =
            [(&[1], &[1, 2]), (&[0], &[0]), (&[3], &[3, 4]), (&[2], &[3])];
        for (slots, expected) in cases {
            let rebased = forgotten(&["c", "g", "m", "s"], slots).rebase(new());
            assert_eq!(dirty(&rebased), expected, "{slots:?}");
            assert!(expected.iter().all(|slot| rebased.derived(*slot).is_none()));
        }
        let all = DirtyChunks::all(index(&["c", "g"])).rebase(new());
        assert_eq!(all.dirty_count(), 5);
        assert_eq!(DirtyChunks::all(index(&[])).rebase(new()).dirty_count(), 5);
    }

    #[test]
    fn notes_beyond_their_bound_are_forgotten_and_the_chunk_is_dirty() {
        let mut notes = DirtyChunks::clean(index(&["d", "h"])).bounded(200);
        for n in 0..10u8 {
            notes.mark(&[b'z', n]);
        }
        notes.mark(b"d");
        assert_eq!(notes.changed[1], ChangedKeys::Unknown);
        assert!(notes.changed[0].known().is_some(), "there is room again");
        assert_eq!(dirty(&notes), [0, 1]);
    }
}
