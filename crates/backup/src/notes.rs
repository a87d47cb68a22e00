//! What was written since which backup: the notes that a partition keeps beside its write-back.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::base::BaseBackup;
use crate::dirty::DirtyChunks;
use crate::ids::BackupId;
use crate::index::ChunkIndex;

/// Keys written to one partition's store since its last backup, and since the checkpoints that are being uploaded.
///
/// **Invariant**: whatever was written after a backup's checkpoint is dirty in the notes that refer to it. Where that cannot
/// be known, everything is.
#[derive(Debug)]
pub struct WriteNotes {
    bytes_max: usize,
    /// Where the content was when keys were last written.
    written_at: Vec<u8>,
    /// The last completed backup, and what was written since its checkpoint.
    base: Option<(BackupId, DirtyChunks)>,
    /// Checkpoints being uploaded, and what was written since each, in terms of the base (or of nothing, if there is none).
    since: BTreeMap<BackupId, DirtyChunks>,
}

impl WriteNotes {
    /// None yet. Each set of notes takes up to `bytes_max` bytes for its keys; there are as many sets as backups under way, and
    /// one more.
    pub const fn new(bytes_max: usize) -> WriteNotes {
        WriteNotes {
            bytes_max,
            written_at: Vec::new(),
            base: None,
            since: BTreeMap::new(),
        }
    }

    /// Keys are written, in order, which brings the content to `at`.
    pub fn written<'a>(&mut self, at: &[u8], keys: impl Iterator<Item = &'a [u8]> + Clone) {
        at.clone_into(&mut self.written_at);
        let base = self.base.iter_mut().map(|(_, dirty)| dirty);
        for dirty in base.chain(self.since.values_mut()) {
            dirty.mark_sorted(keys.clone());
        }
    }

    /// The upload of the content at `at` begins. Gives what it may build on.
    pub fn begin(&mut self, backup: BackupId, at: &[u8]) -> Option<BaseBackup> {
        // What was written between this backup and a later one is not noted.
        let base = self.base.as_ref().filter(|(base, _)| *base < backup);
        let base = base.map(|(backup_id, dirty)| BaseBackup {
            backup_id: *backup_id,
            dirty: Arc::new(dirty.clone()),
        });
        if self.since.contains_key(&backup) {
            return base;
        }
        // Without a base all keys are noted as they are, in terms of an index without chunks.
        let index = self
            .base
            .as_ref()
            .map(|(_, dirty)| Arc::clone(dirty.index()));
        let index = index.unwrap_or_default();
        // An upload may begin later than its checkpoint, as with one that a former leader made.
        let since = if self.written_at == at {
            DirtyChunks::clean(index).bounded(self.bytes_max)
        } else {
            DirtyChunks::all(index)
        };
        self.since.insert(backup, since);
        base
    }

    /// A backup is complete: it is the base from now on, unless a later one is.
    pub fn completed(&mut self, backup: BackupId, index: ChunkIndex) {
        if self.base.as_ref().is_some_and(|(base, _)| *base >= backup) {
            return;
        }
        let index = Arc::new(index);
        let dirty = match self.since.remove(&backup) {
            Some(since) => since.rebase(index),
            // Another backup was complete first, in whose terms nothing was noted.
            None => DirtyChunks::all(index),
        };
        // Notes of other uploads refer to the former base.
        self.since.clear();
        self.base = Some((backup, dirty));
    }

    /// An upload has ended, well or not.
    pub fn ended(&mut self, backup: BackupId) {
        self.since.remove(&backup);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]

    use crate::chunk::{ChunkHash, ChunkInfo};

    use super::*;

    /// An index of chunks that begin at these keys.
    fn index(first_keys: &[&str]) -> ChunkIndex {
        let info = |key: &&str| ChunkInfo {
            first_key: key.as_bytes().to_vec(),
            hash: ChunkHash::of(b""),
            raw_bytes: 1,
            pairs: 1,
        };
        ChunkIndex::new(first_keys.iter().map(info).collect())
    }

    fn dirty(notes: &WriteNotes) -> Vec<usize> {
        let (_, dirty) = notes.base.as_ref().unwrap();
        let slots = 0..dirty.index().chunks().len();
        slots.filter(|slot| dirty.is_dirty(*slot)).collect()
    }

    fn write(notes: &mut WriteNotes, at: &str, keys: &[&[u8]]) {
        notes.written(at.as_bytes(), keys.iter().copied());
    }

    #[test]
    fn what_is_written_during_the_first_backup_is_all_that_the_second_reads() {
        let mut notes = WriteNotes::new(1_000);
        write(&mut notes, "1", &[b"a"]);
        assert!(notes.begin(BackupId(1), b"1").is_none());
        write(&mut notes, "2", &[b"d", b"e"]);
        notes.completed(BackupId(1), index(&["a", "c", "m"]));
        assert_eq!(dirty(&notes), [1]);
    }

    #[test]
    fn too_many_keys_during_the_first_backup_make_everything_be_read_again() {
        let mut notes = WriteNotes::new(100);
        notes.begin(BackupId(1), b"");
        write(&mut notes, "1", &[&[b'd'; 100]]);
        notes.completed(BackupId(1), index(&["a", "c", "m"]));
        assert_eq!(dirty(&notes), [0, 1, 2]);
    }

    #[test]
    fn after_a_checkpoint_whose_upload_begins_late_everything_is_read_again() {
        let mut notes = WriteNotes::new(1_000);
        notes.begin(BackupId(1), b"");
        notes.completed(BackupId(1), index(&["a", "m"]));
        write(&mut notes, "2", &[b"n"]);
        let base = notes.begin(BackupId(2), b"1").unwrap();
        assert_eq!(base.dirty.dirty_count(), 1, "of the base all is known");
        notes.completed(BackupId(2), index(&["a", "m"]));
        assert_eq!(dirty(&notes), [0, 1]);
    }

    #[test]
    fn a_backup_does_not_build_on_a_later_one_nor_replace_it() {
        let mut notes = WriteNotes::new(1_000);
        notes.begin(BackupId(1), b"");
        write(&mut notes, "1", &[b"b"]);
        notes.begin(BackupId(2), b"1");
        notes.completed(BackupId(2), index(&["a", "m"]));
        write(&mut notes, "2", &[b"n"]);
        assert!(notes.begin(BackupId(1), b"").is_none());
        notes.completed(BackupId(1), index(&["a", "c", "m"]));
        assert_eq!(dirty(&notes), [1]);
        assert_eq!(
            notes.begin(BackupId(3), b"2").unwrap().backup_id,
            BackupId(2)
        );
    }

    #[test]
    fn an_upload_that_failed_leaves_the_base_as_it_was() {
        let mut notes = WriteNotes::new(1_000);
        notes.begin(BackupId(1), b"");
        notes.completed(BackupId(1), index(&["a", "m"]));
        notes.begin(BackupId(2), b"");
        write(&mut notes, "1", &[b"n"]);
        notes.ended(BackupId(2));
        assert_eq!(dirty(&notes), [1]);
        assert!(notes.since.is_empty());
    }
}
