//! Metrics of consensus, with Zeebe's names and labels where the meaning is the same. Read from consensus whenever they are asked for.

use std::sync::atomic::{AtomicU64, Ordering};

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use skep_protocol::Index;

use crate::partition::Partition;
use crate::partition_metrics::{GROUP, InGroup, OfPartition, register};

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
#[allow(non_snake_case, reason = "as Zeebe spells it")]
pub(crate) struct Follower {
    partitionGroupName: &'static str,
    partition: u32,
    follower: u64,
}

impl Follower {
    /// A follower's replica of a partition.
    pub fn of(partition: u32, follower: u64) -> Follower {
        Follower {
            partitionGroupName: GROUP,
            partition,
            follower,
        }
    }
}

/// Metrics of all members of this node.
pub(crate) struct RaftMetrics {
    appended: Family<InGroup, Gauge>,
    committed: Family<InGroup, Gauge>,
    not_committed: Family<InGroup, Gauge>,
    not_replicated: Family<Follower, Gauge>,
    term: Family<OfPartition, Gauge>,
    given_way: Family<OfPartition, Gauge>,
    transition: Family<OfPartition, Gauge<f64, AtomicU64>>,
}

impl RaftMetrics {
    /// Registers all of them.
    pub fn register(r: &mut Registry) -> RaftMetrics {
        RaftMetrics {
            appended: register(
                r,
                "atomix_partition_raft_append_index",
                "Index of the last entry of the log",
            ),
            committed: register(
                r,
                "atomix_partition_raft_commit_index",
                "Index of the last entry that is known to be committed",
            ),
            not_committed: register(
                r,
                "atomix_non_committed_entries",
                "Entries of the leader that are not committed",
            ),
            not_replicated: register(
                r,
                "atomix_non_replicated_entries",
                "Entries of the leader that a follower is not known to have",
            ),
            term: register(r, "skep_raft_term", "Term that the member is in"),
            given_way: register(
                r,
                "skep_raft_given_way",
                "How often the member has led and let others lead, as it was not followed steadily",
            ),
            transition: register(
                r,
                "zeebe_leader_transition_latency_seconds",
                "Seconds from the last election of this replica until it processed commands",
            ),
        }
    }

    /// Forgets who followed whom: that changes.
    pub fn clear(&self) {
        self.not_committed.clear();
        self.not_replicated.clear();
    }

    /// As things stand in a partition.
    pub fn set(&self, one: &Partition) {
        let Some(raft) = one.raft.get() else {
            return;
        };
        let now = raft.metrics();
        let partition = one.id.0;
        let group = InGroup {
            partitionGroupName: GROUP,
            partition,
        };
        let index = |index: Option<Index>| index.map_or(0, |index| index.0 as i64);
        let (last, committed) = (index(now.last_index), index(now.committed));
        self.appended.get_or_create(&group).set(last);
        self.committed.get_or_create(&group).set(committed);
        let label = OfPartition { partition };
        self.term.get_or_create(&label).set(now.term as i64);
        let given_way = self.given_way.get_or_create(&label);
        given_way.set(raft.stats().given_way() as i64);
        let transition = one.transition_ms.load(Ordering::Relaxed);
        if transition >= 0 {
            let seconds = transition as f64 / 1_000.0;
            self.transition.get_or_create(&label).set(seconds);
        }
        if !one.leads() {
            return;
        }
        let lacks = |has: i64| (last - has).max(0);
        self.not_committed
            .get_or_create(&group)
            .set(lacks(committed));
        for (follower, matched) in now.matched {
            let label = Follower::of(partition, follower);
            let lacked = lacks(index(matched));
            self.not_replicated.get_or_create(&label).set(lacked);
        }
    }
}
