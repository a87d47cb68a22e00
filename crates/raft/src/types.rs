//! openraft's types, chosen.

use std::fmt;

use bytes::Bytes;

openraft::declare_raft_types!(
    /// Standard Raft: at most one leader per term, so a log id is a term and an index.
    pub TypeConfig:
        D = Proposal,
        R = (),
        NodeId = u64,
        Node = (),
        LeaderId = openraft::impls::leader_id_std::LeaderId<u64, u64>,
);

/// The bytes of one proposal.
#[derive(Clone, PartialEq, Eq)]
pub struct Proposal(pub Bytes);

impl fmt::Debug for Proposal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes", self.0.len())
    }
}

impl fmt::Display for Proposal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

pub(crate) type LogId = openraft::type_config::alias::LogIdOf<TypeConfig>;
pub(crate) type Vote = openraft::type_config::alias::VoteOf<TypeConfig>;
pub(crate) type Entry = openraft::type_config::alias::EntryOf<TypeConfig>;
pub(crate) type Membership = openraft::Membership<u64, ()>;
pub(crate) type StoredMembership = openraft::type_config::alias::StoredMembershipOf<TypeConfig>;
pub(crate) type SnapshotMeta = openraft::type_config::alias::SnapshotMetaOf<TypeConfig>;
pub(crate) type Snapshot = openraft::type_config::alias::SnapshotOf<TypeConfig, ()>;

pub(crate) fn log_id(index: u64, term: u64) -> LogId {
    LogId::new_term_index(term, index)
}
