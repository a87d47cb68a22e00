//! The log store of a node: one stream of segment files shared by the consensus groups of all its
//! partitions, so that one sync serves them all.
//!
//! Owns: segment files, their format (`docs/formats/log.md`), group commit, recovery, compaction.
//!
//! Invariants:
//! - A callback reports success only after the sync that made its frames durable.
//! - Operations of one group become durable in the order in which they were asked for.
//! - After a crash a group holds exactly a prefix of what was asked of it, at least all that was
//!   acknowledged; nothing is invented.
//! - A failed sync is never retried: the store refuses everything until it is opened again, and what was
//!   not synced is written anew then before it counts.
//! - A full disk is waited for. Nothing is acknowledged meanwhile, nothing is lost, and
//!   [`LogStore::status`] says so, so that callers stop asking for more.
//!
//! Deliberately absent: what an entry means, terms and votes (they are in a group's meta blob),
//! replication, compression, async.

mod error;
mod files;
mod frame;
mod front;
mod group;
mod ledger;
mod options;
mod recovery;
mod segments;
mod store;
#[cfg(feature = "testkit")]
pub mod testkit;
mod writer;

pub use error::{Damage, LogError};
pub use files::{File, FileSystem, RealFiles};
pub use group::GroupLog;
pub use options::{Drive, LogOptions};
pub use recovery::{RecoveryReport, TornTail};
pub use store::{LogStats, LogStatus, LogStore, OnDurable, Pin};

/// One consensus group in the store; the number of its partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GroupId(pub u32);

impl std::fmt::Display for GroupId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.0)
    }
}
