//! The partitions of this node as the rest of it sees them.

use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use skep_partition::{Event, Inbox, Inspection, Role};
use skep_protocol::node_message::{ReplicaRole, ReplicaStatus};
use skep_protocol::{Epoch, PartitionId};
use skep_raft::RaftHandle;
use tokio::sync::oneshot;

use crate::backup_parts::BackupParts;
use crate::counters::Counters;
use crate::view::ClusterView;

/// One partition's replica on this node.
pub struct Partition {
    /// Its number.
    pub id: PartitionId,
    /// The way in.
    pub inbox: Inbox,
    /// Its member of the partition's consensus, once it has started.
    pub raft: OnceLock<RaftHandle>,
    /// Its parts in backups, once it has started, if backups can be taken.
    pub backups: OnceLock<Arc<BackupParts>>,
    leads: AtomicBool,
    failure: Mutex<Option<String>>,
    /// Latest checkpoint, for metrics; -1 before the first.
    pub checkpoint_id: AtomicI64,
    /// Its position.
    pub checkpoint_position: AtomicI64,
    /// Milliseconds from its last election until it processed commands; -1 if it was never elected.
    pub transition_ms: AtomicI64,
    /// What has happened since this node started, for metrics.
    pub counters: Counters,
}

impl Partition {
    /// A replica that does not lead yet.
    pub fn new(id: PartitionId, inbox: Inbox) -> Partition {
        Partition {
            id,
            inbox,
            raft: OnceLock::new(),
            backups: OnceLock::new(),
            leads: AtomicBool::new(false),
            failure: Mutex::new(None),
            checkpoint_id: AtomicI64::new(-1),
            checkpoint_position: AtomicI64::new(-1),
            transition_ms: AtomicI64::new(-1),
            counters: Counters::default(),
        }
    }

    /// Whether it processes commands.
    pub fn leads(&self) -> bool {
        self.leads.load(Ordering::Acquire)
    }

    /// Why it cannot go on, if it cannot.
    pub fn failure(&self) -> Option<String> {
        self.failure
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Looks at the replica between two of its batches.
    pub async fn inspect<T: Send + 'static>(
        &self,
        look: impl FnOnce(&Inspection<'_>) -> T + Send + 'static,
    ) -> Option<T> {
        let (sender, answer) = oneshot::channel();
        self.inbox.push(Event::Inspect(Box::new(move |inspection| {
            // Whoever asked may have gone away.
            let _ = sender.send(look(inspection));
        })));
        answer.await.ok()
    }
}

/// All partitions of this node.
pub struct Partitions {
    view: Arc<ClusterView>,
    /// How many the cluster has.
    count: u32,
    /// In order of their numbers.
    all: Vec<Partition>,
}

impl Partitions {
    /// The partitions of a node in order of their numbers, out of so many of the cluster.
    pub fn new(view: Arc<ClusterView>, count: u32, all: Vec<Partition>) -> Partitions {
        assert!(all.is_sorted_by_key(|partition| partition.id));
        Partitions { view, count, all }
    }

    /// One of them.
    pub fn get(&self, id: PartitionId) -> Option<&Partition> {
        let index = self.all.binary_search_by_key(&id, |partition| partition.id);
        index.ok().map(|index| &self.all[index])
    }

    /// All of them.
    pub fn iter(&self) -> std::slice::Iter<'_, Partition> {
        self.all.iter()
    }

    /// How many the cluster has.
    pub fn count(&self) -> u32 {
        self.count
    }

    /// A replica has changed its role.
    pub fn set_role(&self, id: PartitionId, role: Role, epoch: Epoch) {
        if let Some(partition) = self.get(id) {
            let leads = role == Role::Leader;
            partition.leads.store(leads, Ordering::Release);
            let role = match role {
                Role::Leader => ReplicaRole::Leader,
                Role::Follower => ReplicaRole::Follower,
            };
            self.announce(id, role, epoch);
        }
    }

    /// A replica cannot go on.
    pub fn set_failed(&self, id: PartitionId, reason: String) {
        if let Some(partition) = self.get(id) {
            *partition
                .failure
                .lock()
                .unwrap_or_else(PoisonError::into_inner) = Some(reason);
            partition.leads.store(false, Ordering::Release);
            self.announce(id, ReplicaRole::Inactive, Epoch(0));
        }
    }

    fn announce(&self, partition: PartitionId, role: ReplicaRole, epoch: Epoch) {
        self.view.set_replica(ReplicaStatus {
            partition,
            role,
            epoch,
        });
    }

    /// Whether a replica has failed, leads, or follows a leader.
    pub fn is_settled(&self, partition: &Partition) -> bool {
        partition.leads() || partition.failure().is_some() || self.is_led(partition.id)
    }

    /// Whether a replica leads, or follows a leader and can stand in for it.
    pub fn is_ready(&self, partition: &Partition) -> bool {
        let votes = |raft: &RaftHandle| !raft.is_newcomer();
        partition.failure().is_none()
            && self.is_settled(partition)
            && partition.raft.get().is_some_and(votes)
    }

    /// Whether it is known who leads a partition.
    pub fn is_led(&self, partition: PartitionId) -> bool {
        self.view.leader(partition).is_some()
    }

    /// Waits until each replica has found its role, or has failed.
    pub async fn settled(&self) {
        let all_are = || self.iter().all(|partition| self.is_settled(partition));
        self.view.until(all_are).await;
    }
}
