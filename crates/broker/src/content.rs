//! A replica's frozen content, as what cuts it into chunks reads it.

use std::sync::Arc;

use skep_backup::{Content, ContentError};
use skep_partition::BOOKKEEPING_PREFIXES;
use skep_state::{KeyRange, Snapshot};

/// What a replica has at one log entry.
pub struct SnapshotContent {
    pairs: Arc<dyn Snapshot>,
    with_bookkeeping: bool,
}

impl SnapshotContent {
    /// All of it: whoever is given it is to be at the same log entry.
    pub fn whole(pairs: Arc<dyn Snapshot>) -> SnapshotContent {
        SnapshotContent {
            pairs,
            with_bookkeeping: true,
        }
    }

    /// Without the replica's bookkeeping, for which a backup's manifest stands.
    pub fn of_backup(pairs: Arc<dyn Snapshot>) -> SnapshotContent {
        SnapshotContent {
            pairs,
            with_bookkeeping: false,
        }
    }
}

/// Whether the key is one of the replica's bookkeeping.
pub fn is_bookkeeping(key: &[u8]) -> bool {
    key.first()
        .is_some_and(|prefix| BOOKKEEPING_PREFIXES.contains(prefix))
}

impl Content for SnapshotContent {
    fn scan(
        &self,
        from: &[u8],
        visit: &mut dyn FnMut(&[u8], &[u8]) -> skep_backup::Visit,
    ) -> Result<(), ContentError> {
        let range = KeyRange { from, to: None };
        let scanned = self.pairs.scan(range, &mut |key, value| {
            if !self.with_bookkeeping && is_bookkeeping(key) {
                return skep_state::Visit::Next;
            }
            match visit(key, value) {
                skep_backup::Visit::Continue => skep_state::Visit::Next,
                skep_backup::Visit::Stop => skep_state::Visit::Stop,
            }
        });
        scanned.map_err(|error| ContentError {
            detail: error.to_string(),
        })
    }
}
