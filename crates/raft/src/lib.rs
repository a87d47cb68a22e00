//! The consensus of a partition: `skep_partition`'s trait on openraft, one group per partition.
//!
//! Owns: what openraft needs (log storage on `skep-log`, state machine, network), the bytes of entries (`docs/formats/raft-entry.md`)
//! and of what members ask each other (`docs/formats/raft-rpc.md`), when elections begin, when the log is compacted.
//!
//! Invariants:
//! - Every entry after the applied index given at open is handed over exactly once, in order.
//! - An entry is handed over only when it is committed, thus durable at a majority, and durable here: the store is never ahead of the
//!   log.
//! - The log is compacted only up to what the replica has reported as durable and every reader has released; for members that
//!   lack entries it is kept up to a bound.
//! - A proposal is committed, refused, or its leadership is lost, and the replica is told which of the three.
//! - openraft types do not leave this crate.
//! - On one thread with paused time everything follows from a seed (`runtime.rs`), so that the simulator can repeat it.
//!
//! - A member that may have forgotten what it has promised neither votes nor stands for election (`formation.rs`).
//!
//! Deliberately absent: how nodes are connected and content is moved ([`RaftPeers`]), and changes of members.

mod backlog;
mod begun;
mod codec;
mod compaction;
mod content;
mod formation;
mod handle;
mod incoming;
mod leadership;
mod log_store;
mod network;
mod node;
mod peers;
mod pipeline;
mod reader;
mod refusal;
mod rpc;
mod runtime;
mod state_machine;
mod stats;
mod steadiness;
#[cfg(feature = "testkit")]
pub mod testkit;
mod timing;
mod types;
mod watch;

pub use begun::BegunNote;
pub use content::{FetchedContent, Offer};
pub use handle::{MemberRole, RaftHandle, RaftMetrics, Rebalanced};
pub use leadership::LeaderSeen;
pub use node::{RaftError, RaftNode, RaftOptions};
pub use peers::{Alone, PeerError, RaftPeers};
pub use reader::LogReader;
pub use stats::{RaftStats, SentTo};
