//! Why a replica stops.

use skep_protocol::DecodeError;
use skep_state::StateError;
use thiserror::Error;

/// A replica never goes on in a state that it does not understand: each of these stops it.
#[derive(Debug, Clone, PartialEq, Error)]
pub enum ReplicaError {
    /// The state cannot be read or written.
    #[error(transparent)]
    State(#[from] StateError),
    /// A committed log entry cannot be read.
    #[error(
        "log entry {index}: {source}. The entry passed its checksum, so a newer version wrote it: start that version"
    )]
    Entry {
        /// Its raft index.
        index: u64,
        /// Why.
        source: DecodeError,
    },
    /// Consensus gave up.
    #[error("{0}")]
    Consensus(String),
    /// Something that can never be is: our code is wrong, or the disk lies.
    #[error(
        "an invariant is broken: {0}. Keep the data directory for the developers, and restore the partition from a backup"
    )]
    Invariant(String),
    /// The state was written by a newer version.
    #[error(
        "the partition's state has version {found}, this version knows up to {known}: start the newer version"
    )]
    StateVersion {
        /// The version of the state.
        found: u32,
        /// The highest version known here.
        known: u32,
    },
}
