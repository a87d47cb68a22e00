//! The on-disk store under a partition's overlay: a log-structured merge tree fed with sorted runs.
//!
//! Owns: a partition's store directory and its format (`docs/formats/store.md`), durability and atomicity of a write-back,
//! snapshots, compaction, finding and naming damage, loading a whole store at once, and the threads that write back.
//!
//! The engine is the `lsm-tree` crate without a log and without memtables: every write-back is one sorted run, written,
//! synced and then made part of the tree by the atomic replacement of one small file. Why this engine: `docs/store.md`.
//!
//! **Invariants**
//! - [`PartitionStore`] holds exactly the writes that have returned, or one more: the one under way when the node stopped.
//! - The meta of a write is one more pair of its run, so it can't be older or newer than the content.
//! - Every byte read from disk is covered by a checksum, checked before it is used. A store that has found damage refuses
//!   everything from then on; other partitions are not concerned.
//! - A write that the disk refuses leaves the store as it was, and takes no space.
//!
//! **Absent on purpose**: what keys and values mean, Raft, async, repair (what is damaged is restored from a backup).

mod archive;
mod blocks;
mod bulk;
mod directory;
mod ends;
mod engine;
mod error;
mod manifest;
mod marker;
mod options;
mod replacement;
mod run;
mod snapshot;
mod store;
mod write_back;

pub use bulk::BulkLoad;
pub use error::StoreError;
pub use options::{SharedCache, StoreOptions};
pub use replacement::Replacement;
pub use store::{PartitionStore, StoreStats};
pub use write_back::{Closed, Compact, Done, WriteBack};
