//! What a replica needs from consensus. Implemented by the crate `raft`, and by the simulator.

use bytes::Bytes;
use skep_protocol::Index;

/// Agreement on the order of entries.
pub trait Consensus: Send {
    /// Proposes one entry; never blocks. What became of it shows only in later events.
    fn propose(&mut self, entry: Bytes);

    /// The state up to and including `index` is durable in this replica's store: the log up to there may be compacted.
    fn state_durable(&mut self, index: Index);

    /// The replica has taken in that many more bytes of committed entries: more may be handed over.
    fn taken(&mut self, bytes: usize) {
        let _ = bytes;
    }
}

/// Why a proposal was not taken into the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unproposed {
    /// This node does not lead, or cannot tell whether it still does.
    NotLeader,
    /// There is no space for the log.
    DiskFull,
    /// It is too large, or too much is on its way.
    TooMuch,
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
    /// The store has been given another replica's content, which ends with this entry; entries after it follow.
    Replaced {
        /// Raft index.
        index: Index,
        /// Raft term.
        term: u64,
    },
    /// A proposal was not taken into the log. Told before anything that was proposed later is committed, and before this node
    /// leads in another term.
    ProposalRefused {
        /// Why.
        why: Unproposed,
        /// The same in words.
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
