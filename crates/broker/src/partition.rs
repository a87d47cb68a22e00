//! The partitions of this node as the rest of it sees them.

use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Mutex, PoisonError, RwLock};

use skep_gateway::{BrokerInfo, Health, PartitionInfo, Topology};
use skep_partition::{Event, Inbox, Inspection, Role};
use skep_protocol::{NodeId, PartitionId};
use std::sync::Arc;
use tokio::sync::{Notify, oneshot};

/// One partition's replica on this node.
pub struct Partition {
    /// Its number.
    pub id: PartitionId,
    /// The way in.
    pub inbox: Inbox,
    leads: AtomicBool,
    failure: Mutex<Option<String>>,
    /// Latest checkpoint, for metrics; -1 before the first.
    pub checkpoint_id: AtomicI64,
    /// Its position.
    pub checkpoint_position: AtomicI64,
}

impl Partition {
    /// A replica that does not lead yet.
    pub fn new(id: PartitionId, inbox: Inbox) -> Partition {
        Partition {
            id,
            inbox,
            leads: AtomicBool::new(false),
            failure: Mutex::new(None),
            checkpoint_id: AtomicI64::new(-1),
            checkpoint_position: AtomicI64::new(-1),
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

    fn role(&self) -> skep_gateway::Role {
        match (self.failure(), self.leads()) {
            (Some(_), _) => skep_gateway::Role::Inactive,
            (None, true) => skep_gateway::Role::Leader,
            (None, false) => skep_gateway::Role::Follower,
        }
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

/// All partitions of this node, and the topology that follows from them.
pub struct Partitions {
    node: NodeId,
    host: String,
    all: Vec<Partition>,
    topology: RwLock<Arc<Topology>>,
    changed: Notify,
}

/// Zeebe's default port between gateways and brokers: Topology must show one. Nothing listens there in a single broker.
const COMMAND_PORT: u16 = 26501;

impl Partitions {
    /// The partitions of a node, in order of their numbers.
    pub fn new(node: NodeId, host: String, all: Vec<Partition>) -> Partitions {
        let partitions = Partitions {
            node,
            host,
            all,
            topology: RwLock::default(),
            changed: Notify::new(),
        };
        partitions.refresh_topology();
        partitions
    }

    /// One of them.
    pub fn get(&self, id: PartitionId) -> Option<&Partition> {
        self.all.get((id.0 as usize).checked_sub(1)?)
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Partition> {
        self.all.iter()
    }

    /// How many there are.
    pub fn count(&self) -> u32 {
        self.all.len() as u32
    }

    /// A replica has changed its role.
    pub fn set_role(&self, id: PartitionId, role: Role) {
        if let Some(partition) = self.get(id) {
            partition
                .leads
                .store(role == Role::Leader, Ordering::Release);
            self.refresh_topology();
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
            self.refresh_topology();
        }
    }

    /// Waits until each replica has found its role, or has failed.
    pub async fn settled(&self) {
        loop {
            // Registered before looking, so that no change is missed in between.
            let mut changed = std::pin::pin!(self.changed.notified());
            changed.as_mut().enable();
            if self
                .iter()
                .all(|partition| partition.leads() || partition.failure().is_some())
            {
                return;
            }
            changed.await;
        }
    }

    /// The cluster as known at present.
    pub fn topology(&self) -> Arc<Topology> {
        self.topology
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn refresh_topology(&self) {
        // Held while looking: of two replicas that change at once, the later one to write must have seen the other's change.
        let mut topology = self
            .topology
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        let partitions = self.all.iter().map(|partition| {
            let health = if partition.failure().is_some() {
                Health::Dead
            } else if partition.leads() {
                Health::Healthy
            } else {
                Health::Unhealthy
            };
            PartitionInfo {
                partition: partition.id,
                role: partition.role(),
                health,
            }
        });
        let broker = BrokerInfo {
            node: self.node,
            host: self.host.clone(),
            port: COMMAND_PORT,
            version: skep_gateway::GATEWAY_VERSION.to_owned(),
            partitions: partitions.collect(),
        };
        *topology = Arc::new(Topology::new(vec![broker], 1, self.count(), 1));
        drop(topology);
        self.changed.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;

    use skep_partition::inbox;

    use super::*;

    #[test]
    fn replicas_that_become_leaders_at_the_same_time_are_all_seen_as_leaders() {
        const PARTITIONS: u32 = 64;
        for _ in 0..300 {
            let all = (1..=PARTITIONS).map(|id| Partition::new(PartitionId(id), inbox().0));
            let partitions = Partitions::new(NodeId(0), "here".to_owned(), all.collect());
            let together = Barrier::new(PARTITIONS as usize);
            std::thread::scope(|scope| {
                for partition in partitions.iter() {
                    let (partitions, together) = (&partitions, &together);
                    scope.spawn(move || {
                        together.wait();
                        partitions.set_role(partition.id, Role::Leader);
                    });
                }
            });
            let topology = partitions.topology();
            for id in (1..=PARTITIONS).map(PartitionId) {
                assert!(topology.has_leader(id), "{topology:?}");
            }
        }
    }
}
