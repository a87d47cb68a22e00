//! The engine as its partition sees it.

use skep_protocol::{Command, Envelope, PartitionId, RequestId};
use skep_state::{Read, StateError, Txn};

use crate::{Context, EngineConfig, Outcome};

/// What is evaluated.
#[derive(Debug, Clone, PartialEq)]
pub enum Input {
    /// A client's command.
    Client {
        /// The command.
        command: Command,
        /// Who waits for the answer.
        request: Option<RequestId>,
    },
    /// A command that the partition feeds itself: something is due.
    Internal(Command),
    /// Something from another partition, or from this partition to itself.
    Envelope(Envelope),
}

/// What is due in a partition.
#[derive(Debug, Default, Clone, PartialEq)]
pub struct Due {
    /// Commands to feed to the engine now.
    pub commands: Vec<Command>,
    /// When to look again, in epoch milliseconds; `None` if nothing waits for a time.
    pub next: Option<i64>,
}
