//! The cluster as this node knows it: its own replicas, and what the other nodes say of theirs.
//!
//! **Invariant**: of several replicas of a partition that say that they lead, only the one of the highest epoch counts as leader.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::{Duration, Instant};

use skep_gateway::{BrokerInfo, Health, JobsAvailable, Leader, PartitionInfo, Role, Topology};
use skep_protocol::node_message::{NodeStatus, ReplicaRole, ReplicaStatus};
use skep_protocol::{Epoch, NodeId, PartitionId};
use skep_transport::Shape;
use tokio::sync::{Notify, broadcast};

/// Announcements kept for a receiver that lags behind.
const ANNOUNCEMENTS: usize = 1024;

/// Zeebe's default port between gateways and brokers: Topology must show one. Nothing listens there.
const COMMAND_PORT: u16 = 26_501;

/// How long a node that was refused counts as being there; it comes again every second.
const STRANGER_MEMORY: Duration = Duration::from_secs(10);

/// Nodes that were refused of which it is known why: whoever is refused chooses the number that it comes with.
const STRANGERS_MAX: usize = 64;

/// The cluster as this node knows it.
pub struct ClusterView {
    own: NodeId,
    known: Mutex<Known>,
    topology: RwLock<Arc<Topology>>,
    /// Told at every change.
    pub changed: Notify,
    announcements: broadcast::Sender<JobsAvailable>,
    /// Nodes that were refused: why, and when for the last time.
    strangers: Mutex<BTreeMap<NodeId, (String, Instant)>>,
}

struct Known {
    shape: Shape,
    /// This node, if it is a broker.
    own: Option<NodeStatus>,
    peers: BTreeMap<NodeId, Peer>,
}

/// Another node that is connected.
#[derive(Default)]
struct Peer {
    /// Where it is reached.
    address: String,
    /// What it has said of itself.
    status: Option<NodeStatus>,
}

impl ClusterView {
    /// Of a broker that keeps those partitions.
    pub fn of_broker(
        own: NodeId,
        host: String,
        shape: Shape,
        partitions: impl IntoIterator<Item = PartitionId>,
    ) -> ClusterView {
        let follower = |partition| ReplicaStatus {
            partition,
            role: ReplicaRole::Follower,
            epoch: Epoch(0),
        };
        let status = NodeStatus {
            host,
            port: COMMAND_PORT,
            version: skep_gateway::GATEWAY_VERSION.to_owned(),
            replicas: partitions.into_iter().map(follower).collect(),
            addresses: Vec::new(),
            exporters: Vec::new(),
        };
        ClusterView::new(own, shape, Some(status))
    }

    /// Of a gateway, which learns everything from the brokers.
    pub fn of_gateway(own: NodeId) -> ClusterView {
        ClusterView::new(own, Shape::default(), None)
    }

    fn new(own: NodeId, shape: Shape, status: Option<NodeStatus>) -> ClusterView {
        let view = ClusterView {
            own,
            known: Mutex::new(Known {
                shape,
                own: status,
                peers: BTreeMap::new(),
            }),
            topology: RwLock::default(),
            changed: Notify::new(),
            announcements: broadcast::Sender::new(ANNOUNCEMENTS),
            strangers: Mutex::default(),
        };
        view.change(|_| {});
        view
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        // Every change leaves it whole.
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes what is known, and the topology with it: held meanwhile, so that the topology follows from all changes.
    fn change(&self, change: impl FnOnce(&mut Known)) {
        let mut known = self.known();
        change(&mut known);
        let new = Arc::new(known.topology(self.own));
        let mut topology = self
            .topology
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        let old = std::mem::replace(&mut *topology, Arc::clone(&new));
        drop(topology);
        drop(known);
        self.announce_new_leaders(&old, &new);
        self.changed.notify_waiters();
    }

    /// Of the jobs of a partition that another node begins to lead, or of which it is heard only now, nothing was announced here.
    fn announce_new_leaders(&self, old: &Topology, new: &Topology) {
        for partition in (1..=new.partition_count()).map(PartitionId) {
            let leader = new.leader(partition);
            let elsewhere = matches!(leader, Some(Leader::Known(node)) if node != self.own);
            if elsewhere && old.leader(partition) != leader {
                self.announce(JobsAvailable {
                    partition,
                    job_type: None,
                });
            }
        }
    }

    /// Tells the gateway of this node that there are jobs.
    pub fn announce(&self, jobs: JobsAvailable) {
        // Without a gateway nobody listens.
        let _ = self.announcements.send(jobs);
    }

    /// The announcements from now on.
    pub fn announcements(&self) -> broadcast::Receiver<JobsAvailable> {
        self.announcements.subscribe()
    }

    /// One of this node's replicas has changed.
    pub fn set_replica(&self, status: ReplicaStatus) {
        self.change(|known| {
            let replicas = known.own.iter_mut().flat_map(|own| &mut own.replicas);
            replicas
                .filter(|replica| replica.partition == status.partition)
                .for_each(|replica| *replica = status);
        });
    }

    /// A node is connected.
    pub fn connected(&self, node: NodeId, address: String, shape: Shape) {
        self.change(|known| {
            if known.shape == Shape::default() {
                known.shape = shape;
            }
            let peer = Peer {
                address,
                status: None,
            };
            known.peers.insert(node, peer);
        });
        self.strangers().remove(&node);
    }

    fn strangers(&self) -> MutexGuard<'_, BTreeMap<NodeId, (String, Instant)>> {
        // Every change leaves it whole.
        self.strangers
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// A node was refused.
    pub fn refused(&self, node: NodeId, reason: &str) {
        let mut strangers = self.recent_strangers();
        if strangers.len() < STRANGERS_MAX || strangers.contains_key(&node) {
            strangers.insert(node, (reason.to_owned(), Instant::now()));
        }
    }

    fn recent_strangers(&self) -> MutexGuard<'_, BTreeMap<NodeId, (String, Instant)>> {
        let mut strangers = self.strangers();
        strangers.retain(|_, (_, last)| last.elapsed() < STRANGER_MEMORY);
        strangers
    }

    /// Why nodes were refused lately: they, or this one, do not belong here.
    pub fn problems(&self) -> Vec<String> {
        let strangers = self.recent_strangers();
        let reasons = strangers.values().map(|(reason, _)| reason.clone());
        reasons.collect()
    }

    /// A node is not connected any more: what it said may not hold.
    pub fn disconnected(&self, node: NodeId) {
        self.change(|known| {
            known.peers.remove(&node);
        });
    }

    /// A node says how it is.
    pub fn heard(&self, node: NodeId, status: NodeStatus) {
        // Most of what is heard is what was heard before.
        let is_news = match self.known().peers.get(&node) {
            Some(peer) => peer.status.as_ref() != Some(&status),
            None => false,
        };
        if is_news {
            self.change(|known| {
                if let Some(peer) = known.peers.get_mut(&node) {
                    peer.status = Some(status);
                }
            });
        }
    }

    /// What this node says of itself.
    pub fn own_status(&self) -> Option<NodeStatus> {
        let known = self.known();
        let addresses = known.peers.values().map(|peer| &peer.address);
        let addresses = addresses.filter(|address| !address.is_empty());
        Some(NodeStatus {
            addresses: addresses.cloned().collect(),
            ..known.own.clone()?
        })
    }

    /// The topology that follows.
    pub fn topology(&self) -> Arc<Topology> {
        self.topology
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// The node that leads a partition, if one is known.
    pub fn leader(&self, partition: PartitionId) -> Option<NodeId> {
        match self.topology().leader(partition) {
            Some(Leader::Known(node)) => Some(node),
            _ => None,
        }
    }

    /// Whether this node leads a partition.
    pub fn leads(&self, partition: PartitionId) -> bool {
        self.leader(partition) == Some(self.own)
    }

    /// Waits until `holds`, looking at every change.
    pub async fn until(&self, holds: impl Fn() -> bool) {
        loop {
            // Registered before looking, so that no change is missed in between.
            let mut changed = std::pin::pin!(self.changed.notified());
            changed.as_mut().enable();
            if holds() {
                return;
            }
            changed.await;
        }
    }
}

impl Known {
    fn topology(&self, own: NodeId) -> Topology {
        let own = self.own.as_ref().map(|status| (own, status));
        let peers = self
            .peers
            .iter()
            .filter_map(|(node, peer)| Some((*node, peer.status.as_ref()?)));
        let mut nodes: Vec<(NodeId, &NodeStatus)> = own.into_iter().chain(peers).collect();
        nodes.sort_by_key(|(node, _)| *node);
        let leaders = leaders(&nodes);
        let brokers = nodes
            .iter()
            .map(|(node, status)| broker(*node, status, &leaders));
        Topology::new(
            brokers.collect(),
            self.shape.cluster_size,
            self.shape.partitions,
            self.shape.replication_factor,
        )
    }
}

/// Who leads what.
fn leaders(nodes: &[(NodeId, &NodeStatus)]) -> BTreeMap<PartitionId, NodeId> {
    let mut leaders: BTreeMap<PartitionId, (Epoch, NodeId)> = BTreeMap::new();
    for (node, status) in nodes {
        for replica in &status.replicas {
            if replica.role == ReplicaRole::Leader {
                let one = (replica.epoch, *node);
                let best = leaders.entry(replica.partition).or_insert(one);
                *best = (*best).max(one);
            }
        }
    }
    leaders
        .into_iter()
        .map(|(partition, (_, node))| (partition, node))
        .collect()
}

fn broker(
    node: NodeId,
    status: &NodeStatus,
    leaders: &BTreeMap<PartitionId, NodeId>,
) -> BrokerInfo {
    let partitions = status.replicas.iter().map(|replica| {
        let leader = leaders.get(&replica.partition);
        let (role, health) = match replica.role {
            ReplicaRole::Inactive => (Role::Inactive, Health::Dead),
            _ if leader == Some(&node) => (Role::Leader, Health::Healthy),
            _ if leader.is_some() => (Role::Follower, Health::Healthy),
            _ => (Role::Follower, Health::Unhealthy),
        };
        PartitionInfo {
            partition: replica.partition,
            role,
            health,
        }
    });
    BrokerInfo {
        node,
        host: status.host.clone(),
        port: status.port,
        version: status.version.clone(),
        partitions: partitions.collect(),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;

    use super::*;

    fn shape(partitions: u32) -> Shape {
        Shape {
            cluster_size: 3,
            partitions,
            replication_factor: 3,
        }
    }

    fn view(partitions: u32) -> ClusterView {
        let ids = (1..=partitions).map(PartitionId);
        ClusterView::of_broker(NodeId(0), "here".to_owned(), shape(partitions), ids)
    }

    fn replica(partition: u32, role: ReplicaRole, epoch: u64) -> ReplicaStatus {
        ReplicaStatus {
            partition: PartitionId(partition),
            role,
            epoch: Epoch(epoch),
        }
    }

    fn says(view: &ClusterView, node: u32, replicas: Vec<ReplicaStatus>) {
        let status = NodeStatus {
            replicas,
            ..NodeStatus::default()
        };
        view.heard(NodeId(node), status);
    }

    #[test]
    fn replicas_that_become_leaders_at_the_same_time_are_all_seen_as_leaders() {
        const PARTITIONS: u32 = 64;
        for _ in 0..300 {
            let view = view(PARTITIONS);
            let together = Barrier::new(PARTITIONS as usize);
            std::thread::scope(|scope| {
                for partition in 1..=PARTITIONS {
                    let (view, together) = (&view, &together);
                    scope.spawn(move || {
                        together.wait();
                        view.set_replica(replica(partition, ReplicaRole::Leader, 1));
                    });
                }
            });
            let topology = view.topology();
            for id in (1..=PARTITIONS).map(PartitionId) {
                assert!(topology.has_leader(id), "{topology:?}");
            }
        }
    }

    #[test]
    fn of_two_that_say_that_they_lead_the_later_epoch_counts() {
        let view = view(1);
        view.set_replica(replica(1, ReplicaRole::Leader, 3));
        assert_eq!(view.leader(PartitionId(1)), Some(NodeId(0)));
        view.connected(NodeId(1), "one:1".to_owned(), shape(1));
        let mut news = view.announcements();
        says(&view, 1, vec![replica(1, ReplicaRole::Leader, 4)]);
        assert_eq!(view.leader(PartitionId(1)), Some(NodeId(1)));
        let roles: Vec<Role> = view
            .topology()
            .brokers()
            .iter()
            .map(|broker| broker.partitions[0].role)
            .collect();
        assert_eq!(roles, [Role::Follower, Role::Leader]);
        let heard = news.try_recv().map(|jobs| jobs.job_type);
        assert_eq!(heard, Ok(None), "a new leader may have jobs of any type");
    }

    #[test]
    fn what_a_node_said_counts_until_it_is_gone() {
        let view = view(2);
        says(&view, 1, vec![replica(1, ReplicaRole::Leader, 1)]);
        assert_eq!(view.leader(PartitionId(1)), None, "it is not connected");
        view.connected(NodeId(1), "one:1".to_owned(), shape(2));
        says(&view, 1, vec![replica(1, ReplicaRole::Leader, 1)]);
        assert_eq!(view.leader(PartitionId(1)), Some(NodeId(1)));
        assert_eq!(view.own_status().map(|own| own.addresses.len()), Some(1));
        view.disconnected(NodeId(1));
        assert_eq!(view.leader(PartitionId(1)), None);
        assert_eq!(view.topology().brokers().len(), 1);
    }

    #[test]
    fn of_nodes_that_were_refused_no_more_are_remembered_than_may_be() {
        let view = view(1);
        for number in 0..10_000 {
            view.refused(NodeId(number), "it is of another cluster");
        }
        assert_eq!(view.problems().len(), STRANGERS_MAX);
        view.refused(NodeId(0), "it was not restored");
        assert_eq!(view.problems()[0], "it was not restored");
        view.connected(NodeId(0), "zero:1".to_owned(), shape(1));
        assert_eq!(view.problems().len(), STRANGERS_MAX - 1);
    }
}
