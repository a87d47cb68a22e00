//! What the overlay needs from the store on disk.

use std::sync::Arc;

use bytes::Bytes;

use crate::{Read, StateError};

/// Sorted writes for the store: each key once, in key order, with its value or `None` where it is deleted.
pub type StoreWrites<'a> = dyn Iterator<Item = (&'a [u8], Option<&'a [u8]>)> + 'a;

/// What only this replica knows of its state (applied raft log id and the like): kept beside the content, never part of it.
pub type LocalMeta = Bytes;

/// Content that does not change any more.
pub trait Snapshot: Read + Send + Sync {}

impl<T: Read + Send + Sync> Snapshot for T {}

/// The lowest tier of a partition's state.
pub trait Store: Read + Send + Sync {
    /// Writes all of it and `meta` atomically, and returns when it is durable.
    fn write(&self, writes: &mut StoreWrites<'_>, meta: &LocalMeta) -> Result<(), StateError>;

    /// The meta of the last write; `None` in a new store.
    fn meta(&self) -> Result<Option<LocalMeta>, StateError>;

    /// The content as it is now, whatever is written later. Takes no time that depends on the content's size.
    fn snapshot(&self) -> Result<Arc<dyn Snapshot>, StateError>;
}
