//! The key-value interface of a partition's state: reading, transactions, the layered overlay over a store, table keys.
//!
//! From the top down, a read sees: the command's own writes ([`Transaction`]), writes of batches proposed but not applied
//! yet, the active layer of applied writes, frozen layers on their way to the store, the [`Store`].
//!
//! **Invariants**
//! - A write is in exactly one of: pending, a layer, the store (or in the store and in a layer that repeats it).
//! - [`Op::Insert`] is used only for keys that exist nowhere below; a key inserted and deleted in one layer leaves no trace.
//! - A [`View`] never changes: it is the content at exactly one batch, whatever is written later.
//!
//! **Absent on purpose**: the store's engine, Raft, BPMN, threads, clocks.

mod error;
mod key;
mod layer;
#[cfg(any(test, feature = "testkit"))]
mod memory;
mod merge;
mod overlay;
mod store;
mod transaction;

pub use error::StateError;
pub use key::{KeyReader, TableKey, prefix_end};
pub use layer::{Layer, Op};
#[cfg(any(test, feature = "testkit"))]
pub use memory::MemoryStore;
pub use overlay::{Applied, FlushTicket, Overlay, View};
pub use store::{LocalMeta, Snapshot, Store, StoreWrites};
pub use transaction::{EVALUATION_BYTES_MAX, KEY_BYTES_MAX, LimitExceeded, Transaction, Txn};

use bytes::Bytes;

/// Whether a scan goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Visit {
    /// On to the next pair.
    Next,
    /// That was enough.
    Stop,
}

/// Half-open range of keys.
#[derive(Debug, Clone, Copy)]
pub struct KeyRange<'a> {
    /// First key of the range.
    pub from: &'a [u8],
    /// First key after the range; `None` for no end.
    pub to: Option<&'a [u8]>,
}

impl<'a> KeyRange<'a> {
    /// Everything.
    pub const ALL: KeyRange<'static> = KeyRange {
        from: &[],
        to: None,
    };

    /// Whether `key` lies before the end of the range.
    pub fn ends_after(&self, key: &[u8]) -> bool {
        self.to.is_none_or(|to| key < to)
    }
}

/// Called for every pair of a scan, in key order.
pub type Visitor<'a> = dyn FnMut(&[u8], &[u8]) -> Visit + 'a;

/// Ordered content that can be read.
pub trait Read {
    /// The value of a key.
    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, StateError>;

    /// Visits the pairs of a range in key order until told to stop.
    fn scan(&self, range: KeyRange<'_>, visit: &mut Visitor<'_>) -> Result<(), StateError>;
}
