//! The consensus of a partition: `skep_partition`'s trait on openraft, one group per partition.
//!
//! Owns: what openraft needs (log storage on `skep-log`, state machine, network), the bytes of
//! entries (`docs/formats/raft-entry.md`), when the log is compacted.
//!
//! Invariants:
//! - Every entry after the applied index given at open is handed over exactly once, in order.
//! - An entry is handed over only when it is committed, thus durable.
//! - The log is compacted only up to what the replica has reported as durable and every reader has released.
//! - openraft types do not leave this crate.
//!
//! Deliberately absent: waiting for the replica (handing over never blocks), snapshots with
//! content, and talking to other nodes: a group has one voter for now.

mod codec;
mod log_store;
mod network;
mod node;
mod reader;
mod state_machine;
mod types;

pub use node::{RaftError, RaftMetrics, RaftNode, RaftOptions};
pub use reader::LogReader;
