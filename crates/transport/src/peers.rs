//! Who is connected: at most one connection for each node.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use skep_protocol::NodeId;
use tokio::sync::Notify;

use crate::connection::Connection;
use crate::limits::PEERS_MAX;
use crate::node::Handler;

pub(crate) struct Peers {
    own: NodeId,
    handler: Arc<dyn Handler>,
    connected: Mutex<BTreeMap<NodeId, Arc<Connection>>>,
    ended: Notify,
}

impl Peers {
    pub fn new(own: NodeId, handler: Arc<dyn Handler>) -> Peers {
        Peers {
            own,
            handler,
            connected: Mutex::default(),
            ended: Notify::new(),
        }
    }

    fn connected(&self) -> MutexGuard<'_, BTreeMap<NodeId, Arc<Connection>>> {
        self.connected
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    pub fn get(&self, node: NodeId) -> Option<Arc<Connection>> {
        self.connected().get(&node).cloned()
    }

    pub fn nodes(&self) -> Vec<NodeId> {
        self.connected().keys().copied().collect()
    }

    /// The node that is connected and says that it is reached at that address.
    pub fn at(&self, address: &str) -> Option<NodeId> {
        let connected = self.connected();
        let mut all = connected.values().filter(|one| !one.is_closed());
        all.find(|one| one.peer.address == address)
            .map(|one| one.peer.node)
    }

    /// Waits until a node is not connected.
    pub async fn disconnected(&self, node: NodeId) {
        loop {
            // Registered before looking, so that no end is missed in between.
            let mut ended = std::pin::pin!(self.ended.notified());
            ended.as_mut().enable();
            if !self.connected().contains_key(&node) {
                return;
            }
            ended.await;
        }
    }

    /// Whether there is no place for a node that is not connected yet.
    pub fn is_full_for(&self, node: NodeId) -> bool {
        let connected = self.connected();
        connected.len() >= PEERS_MAX && !connected.contains_key(&node)
    }

    /// Whether a new connection would be preferred to the one that there is, if there is one.
    ///
    /// Both sides must come to the same: of two that were dialled from both sides at once, the lower node's stays. One that the
    /// same side dials again, or that another life of the node dials, replaces one that must be dead.
    pub fn wants(&self, new: &Connection) -> bool {
        self.connected()
            .get(&new.peer.node)
            .is_none_or(|old| self.is_preferred(new, old))
    }

    fn is_preferred(&self, new: &Connection, old: &Connection) -> bool {
        let lower = self.own.min(new.peer.node);
        old.is_closed()
            || old.peer.life != new.peer.life
            || old.dialled_by == new.dialled_by
            || new.dialled_by == lower
    }

    /// Takes a connection in, unless the one that there is is preferred.
    pub fn begin(&self, new: &Arc<Connection>) -> bool {
        let node = new.peer.node;
        let mut connected = self.connected();
        if let Some(old) = connected.get(&node) {
            if !self.is_preferred(new, old) {
                return false;
            }
            old.close();
            self.handler.disconnected(node);
        }
        connected.insert(node, Arc::clone(new));
        self.handler.connected(&new.peer);
        true
    }

    /// A connection has ended.
    pub fn end(&self, old: &Arc<Connection>) {
        let node = old.peer.node;
        let mut connected = self.connected();
        if connected
            .get(&node)
            .is_some_and(|one| Arc::ptr_eq(one, old))
        {
            connected.remove(&node);
            self.handler.disconnected(node);
            self.ended.notify_waiters();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hello::{GATEWAY_MIN, Identity, Shape};
    use crate::testkit::Nothing;

    #[test]
    fn when_as_many_nodes_are_connected_as_may_be_those_alone_may_connect_again() {
        let peers = Peers::new(NodeId(0), Arc::new(Nothing));
        let node = |number: usize| NodeId(GATEWAY_MIN.0 + number as u32);
        for number in 0..PEERS_MAX {
            let peer = Identity {
                node: node(number),
                life: 1,
                cluster: String::new(),
                incarnation: [0; 16],
                shape: Shape::default(),
                address: String::new(),
            };
            assert!(!peers.is_full_for(peer.node));
            let connection = Connection::new(peer.clone(), peer.node);
            assert!(peers.begin(&Arc::new(connection)));
        }
        assert!(peers.is_full_for(node(PEERS_MAX)));
        assert!(!peers.is_full_for(node(0)));
    }
}
