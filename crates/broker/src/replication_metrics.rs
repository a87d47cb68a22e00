//! Metrics of what members of consensus send to each other, under Zeebe's names.

use std::sync::atomic::{AtomicU64, Ordering};

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;
use skep_raft::SentTo;

use crate::partition::Partition;
use crate::partition_metrics::{GROUP, InGroup, register, store};
use crate::raft_metrics::Follower;
use crate::shown_histogram::ShownHistogram;

/// Metrics of all members of this node.
pub(crate) struct ReplicationMetrics {
    heartbeats: ShownHistogram<InGroup>,
    missed: Family<InGroup, Counter>,
    answered: ShownHistogram<Follower>,
    entries: Family<Follower, Counter>,
    kibibytes: Family<Follower, Counter<f64, AtomicU64>>,
    committed: Family<InGroup, Counter>,
}

impl ReplicationMetrics {
    /// Registers all of them.
    pub fn register(r: &mut Registry) -> ReplicationMetrics {
        ReplicationMetrics {
            heartbeats: ShownHistogram::register(
                r,
                "atomix_heartbeat_time_in_s_seconds",
                "Seconds between two signs of life of the leader, entries among them",
            ),
            missed: register(
                r,
                "atomix_heartbeat_miss_count",
                "Times that the leader was silent for so long that the member wanted to be elected",
            ),
            answered: ShownHistogram::register(
                r,
                "atomix_append_entries_latency_seconds",
                "Seconds from sending entries until the follower has answered that it has them",
            ),
            entries: register(
                r,
                "atomix_append_entries_rate",
                "Entries sent to the follower",
            ),
            kibibytes: register(
                r,
                "atomix_append_entries_data_rate",
                "KiB of entries sent to the follower",
            ),
            committed: register(
                r,
                "atomix_commit_entries_rate",
                "Entries of commands that were committed while the member led",
            ),
        }
    }

    /// As things stand.
    pub fn set<'a>(&self, partitions: impl Iterator<Item = &'a Partition>) {
        let (mut heartbeats, mut answered) = (Vec::new(), Vec::new());
        for one in partitions {
            let partition = one.id.0;
            let group = InGroup {
                partitionGroupName: GROUP,
                partition,
            };
            let committed = one.counters.batches.load(Ordering::Relaxed);
            store(&self.committed.get_or_create(&group), committed);
            let Some(raft) = one.raft.get() else {
                continue;
            };
            store(&self.missed.get_or_create(&group), raft.stats().missed());
            heartbeats.push((group, raft.stats().heartbeats()));
            for sent in raft.stats().sent() {
                let follower = Follower::of(partition, sent.member);
                self.count(&follower, &sent);
                answered.push((follower, sent.answered));
            }
        }
        self.heartbeats.set(heartbeats);
        self.answered.set(answered);
    }

    fn count(&self, follower: &Follower, sent: &SentTo) {
        store(&self.entries.get_or_create(follower), sent.entries);
        let kibibytes = self.kibibytes.get_or_create(follower);
        let bits = (sent.bytes as f64 / 1024.0).to_bits();
        kibibytes.inner().store(bits, Ordering::Relaxed);
    }
}
