//! What a replica needs from consensus. Implemented by the crate `raft`, and by the simulator.

use bytes::Bytes;
use skep_protocol::Index;

/// Agreement on the order of entries.
pub trait Consensus: Send {
    /// Proposes one entry; never blocks. What became of it shows only in later events.
    fn propose(&mut self, entry: Bytes);

    /// The state up to and including `index` is durable in this replica's store: the log up to there may be compacted.
    fn state_durable(&mut self, index: Index);
}

/// What consensus tells a replica, in order.
#[derive(Debug, Clone, PartialEq)]
pub enum ConsensusEvent {
    /// This node leads. Everything committed before will still arrive.
    BecameLeader {
        /// Raft's term.
        term: u64,
    },
    /// This node leads no more; what it proposed may or may not be committed later.
    LostLeadership {
        /// Raft's term.
        term: u64,
    },
    /// An entry is committed. Blank and membership entries come with empty bytes, so that the applied index advances.
    Committed {
        /// Its raft index.
        index: Index,
        /// Its raft term.
        term: u64,
        /// Its bytes.
        entry: Bytes,
    },
    /// A proposal was not taken into the log (no space, no leadership). Told before anything that was proposed later is
    /// committed.
    ProposalRefused {
        /// Why.
        reason: String,
    },
    /// This replica cannot go on: its log is corrupt or its disk failed.
    Failed {
        /// What happened, where, and what to do.
        message: String,
    },
}

/// Takes consensus events to the replica; must not block.
pub trait ConsensusEvents: Send + Sync {
    /// Hands over the next event.
    fn send(&self, event: ConsensusEvent);
}
