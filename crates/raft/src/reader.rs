//! Reading a group's entries beside consensus, and keeping them in the log until they have been read.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use openraft::EntryPayload;
use skep_protocol::Index;

use crate::log_store::LogStore;

/// Reads the entries of one member's log. What it has not released is not compacted, whether it lives or not.
pub struct LogReader {
    store: LogStore,
    released: Arc<AtomicU64>,
}

impl LogReader {
    /// A reader, and where to look up what it has released: entries before that index.
    pub(crate) fn new(store: LogStore) -> (Self, Arc<AtomicU64>) {
        let released = Arc::new(AtomicU64::new(0));
        let reader = Self {
            store,
            released: Arc::clone(&released),
        };
        (reader, released)
    }

    /// Index of the first entry that is kept.
    pub fn first(&self) -> std::io::Result<Index> {
        self.store.first_index().map(Index)
    }

    /// Index after the last entry, committed or not.
    pub fn end(&self) -> std::io::Result<Index> {
        self.store.next_index().map(Index)
    }

    /// Entries from `from` up to and without `to`, up to about `bytes_max` bytes but at least one, if there is one.
    /// What consensus wrote for itself has no bytes. Only what is committed may be asked for: the rest may change.
    pub fn read(
        &self,
        from: Index,
        to: Index,
        bytes_max: usize,
    ) -> std::io::Result<Vec<(Index, Bytes)>> {
        let entries = self.store.read(from.0, to.0, bytes_max)?;
        let content = |payload| match payload {
            EntryPayload::Normal(crate::types::Proposal(bytes)) => bytes,
            EntryPayload::Blank | EntryPayload::Membership(_) => Bytes::new(),
        };
        Ok(entries
            .into_iter()
            .map(|entry| (Index(entry.log_id.index), content(entry.payload)))
            .collect())
    }

    /// Entries before `index` may go.
    pub fn release(&self, index: Index) {
        self.released.fetch_max(index.0, Ordering::Release);
    }
}
