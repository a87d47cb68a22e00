//! The way to the other nodes, and what comes from them.

use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use bytes::Bytes;
use futures::future::{BoxFuture, FutureExt};
use skep_gateway::JobsAvailable;
use skep_management::{Answered, Api, Asked};
use skep_partition::Event;
use skep_protocol::node_message::{
    self, ManagementRequest, NodeAnswer, NodeMessage, NodeRequest, NodeStatus,
};
use skep_protocol::{Envelope, Index, NodeId, PartitionId};
use skep_raft::{FetchedContent, Offer, PeerError, RaftPeers};
use skep_transport::{Channel, GATEWAY_MIN, Handler, Identity, RequestError, SendError, Transport};
use tokio::sync::{Notify, watch};
use tracing::{debug, warn};

use crate::exporters::Exporters;
use crate::local::LocalPartitions;
use crate::partition::Partition;
use crate::transfer::Transfers;
use crate::view::ClusterView;

/// Consensus.
const CONSENSUS: Channel = Channel::new(0);
/// Requests for the leader of a partition.
const REQUESTS: Channel = Channel::new(1);
/// Envelopes between partitions.
const ENVELOPES: Channel = Channel::new(2);
/// Status and jobs.
const NEWS: Channel = Channel::new(3);
/// Content of partitions for replicas that lack too much of the log.
const CONTENT: Channel = Channel::new(4);

/// How often a node says how it is although nothing has changed.
const STATUS_INTERVAL: Duration = Duration::from_secs(1);

/// The other nodes. Nobody can be reached until they are joined.
#[derive(Default)]
pub struct Nodes {
    transport: OnceLock<Transport>,
    /// Of a broker.
    transfers: OnceLock<Arc<Transfers>>,
    /// Whoever was connected has heard nothing yet.
    greet: Notify,
}

impl Nodes {
    /// From now on others can be reached.
    pub fn join(&self, transport: Transport) {
        if self.transport.set(transport).is_err() {
            unreachable!("a node joins its cluster once");
        }
    }

    /// From now on content can be moved to and from others.
    pub fn move_content(&self, transfers: Arc<Transfers>) {
        if self.transfers.set(transfers).is_err() {
            unreachable!("a broker starts once");
        }
    }

    /// Asks a node about content that it offers.
    pub async fn ask_content(
        &self,
        node: NodeId,
        question: Bytes,
        patience: Duration,
    ) -> Result<Bytes, RequestError> {
        match self.transport.get() {
            Some(transport) => transport.request(node, CONTENT, question, patience).await,
            None => Err(SendError::NotConnected(node).into()),
        }
    }

    /// Sends a request about a partition to the node that should lead it.
    pub async fn ask(
        &self,
        node: NodeId,
        request: Bytes,
        patience: Duration,
    ) -> Result<Bytes, RequestError> {
        match self.transport.get() {
            Some(transport) => transport.request(node, REQUESTS, request, patience).await,
            None => Err(SendError::NotConnected(node).into()),
        }
    }

    /// The brokers that are connected.
    pub fn brokers(&self) -> Vec<NodeId> {
        let connected = self.transport.get().map(Transport::connected);
        let mut brokers = connected.unwrap_or_default();
        brokers.retain(|node| *node < GATEWAY_MIN);
        brokers
    }

    /// Sends an envelope to the node that leads its target. One that does not arrive is sent again by its partition.
    pub fn send(&self, node: NodeId, target: PartitionId, envelope: Envelope) {
        let message = NodeMessage::Envelope { target, envelope };
        self.tell(node, ENVELOPES, message.encode().into());
    }

    /// Tells all nodes that there are jobs; whoever misses it looks now and then.
    pub fn announce(&self, partition: PartitionId, job_type: &str) {
        if self.transport.get().is_none() {
            return;
        }
        let job_type = job_type.to_owned();
        let message = NodeMessage::JobsAvailable {
            partition,
            job_type,
        };
        self.tell_all(&message);
    }

    fn tell_all(&self, message: &NodeMessage) {
        let message: Bytes = message.encode().into();
        let connected = self.transport.get().map(Transport::connected);
        for node in connected.unwrap_or_default() {
            self.tell(node, NEWS, message.clone());
        }
    }

    fn tell(&self, node: NodeId, channel: Channel, message: Bytes) {
        if let Some(transport) = self.transport.get()
            && let Err(error) = transport.tell(node, channel, message)
        {
            debug!(%error, "a message was not sent");
        }
    }

    fn learn(&self, addresses: &[String]) {
        if let Some(transport) = self.transport.get() {
            addresses.iter().for_each(|one| transport.learn(one));
        }
    }
}

/// The nodes as a partition's consensus needs them.
pub struct Members(pub Arc<Nodes>);

impl RaftPeers for Members {
    fn call(
        &self,
        group: u32,
        target: u64,
        request: Bytes,
        patience: Duration,
    ) -> BoxFuture<'static, Result<Bytes, PeerError>> {
        let (Some(transport), Ok(node)) = (self.0.transport.get(), u32::try_from(target)) else {
            return async { Err(PeerError::NotConnected) }.boxed();
        };
        let request = node_message::encode_raft(PartitionId(group), &request);
        // Queued here and not when the future is first polled: calls keep their order.
        let answer = transport.request(NodeId(node), CONSENSUS, request.into(), patience);
        answer.map(|answer| answer.map_err(peer_error)).boxed()
    }

    fn offer(&self, group: u32) -> BoxFuture<'static, Result<Offer, String>> {
        match self.0.transfers.get() {
            Some(transfers) => transfers.offer(group),
            None => async { Err("the node has just started".to_owned()) }.boxed(),
        }
    }

    fn fetch(
        &self,
        group: u32,
        from: u64,
        ticket: Bytes,
    ) -> BoxFuture<'static, Result<Box<dyn FetchedContent>, String>> {
        let (Some(transfers), Ok(node)) = (self.0.transfers.get(), u32::try_from(from)) else {
            return async { Err("the node has just started".to_owned()) }.boxed();
        };
        transfers.fetch(Arc::clone(&self.0), group, NodeId(node), ticket)
    }
}

fn peer_error(error: RequestError) -> PeerError {
    match error {
        RequestError::NotSent(SendError::NotConnected(_)) => PeerError::NotConnected,
        RequestError::NotSent(SendError::Full(_)) => PeerError::Busy,
        RequestError::NotSent(error @ SendError::TooLarge { .. }) => {
            PeerError::Refused(error.to_string())
        }
        RequestError::Lost(_) | RequestError::Timeout(_) => PeerError::NoAnswer,
        RequestError::Refused { reason, .. } => PeerError::Refused(reason),
    }
}

/// Says how this node is: regularly, at every change, and to whoever is new.
pub async fn tell_status(
    nodes: Arc<Nodes>,
    view: Arc<ClusterView>,
    exporters: Arc<Exporters>,
    mut stopped: watch::Receiver<bool>,
) {
    loop {
        // Registered before looking, so that no change is missed in between.
        let mut changed = std::pin::pin!(view.changed.notified());
        changed.as_mut().enable();
        if let Some(mut status) = view.own_status() {
            status.exporters = exporters.durable(|partition| view.leads(partition));
            nodes.tell_all(&NodeMessage::Status(status));
        }
        tokio::select! {
            () = changed => {}
            () = nodes.greet.notified() => {}
            () = tokio::time::sleep(STATUS_INTERVAL) => {}
            // An error means that the broker is gone.
            _ = stopped.wait_for(|stopped| *stopped) => return,
        }
    }
}

/// What is done with what comes from other nodes.
pub struct NodeHandler {
    /// The way back to them, which owns the connections and through them this.
    pub nodes: Weak<Nodes>,
    /// What is known of them.
    pub view: Arc<ClusterView>,
    /// This node's partitions.
    pub local: Arc<LocalPartitions>,
    /// This node's exporters, if it is a broker.
    pub exporters: Option<Arc<Exporters>>,
    /// This node's management API, if it is a broker; it owns the way to the other nodes.
    pub management: Weak<Api>,
    /// As other nodes are told.
    pub own: Identity,
    /// Told why, if this broker must not go on.
    pub misplaced: watch::Sender<Option<String>>,
}

impl NodeHandler {
    fn take(&self, from: NodeId, message: NodeMessage) {
        match message {
            NodeMessage::Envelope { target, envelope } => {
                if let Some(partition) = self.local.partitions.get(target) {
                    partition.inbox.push(Event::Envelope(envelope));
                }
            }
            NodeMessage::Status(status) => {
                if let Some(nodes) = self.nodes.upgrade() {
                    nodes.learn(&status.addresses);
                }
                for told in &status.exporters {
                    if let Some(exporters) = &self.exporters {
                        exporters.hear(told);
                    }
                }
                let status = NodeStatus {
                    exporters: Vec::new(),
                    ..status
                };
                self.view.heard(from, status);
            }
            NodeMessage::JobsAvailable {
                partition,
                job_type,
            } => self.view.announce(JobsAvailable {
                partition,
                job_type: Some(job_type),
            }),
        }
    }

    /// Whether no partition has ever had a leader: its log holds nothing but who the members are, which is its first entry.
    fn has_no_history(&self) -> bool {
        let mut all = self.local.partitions.iter();
        let is_unused = |one: &Partition| {
            let log = one.raft.get().map(|raft| raft.metrics().last_index);
            log.is_some_and(|last| last.is_none_or(|last| last == Index(0)))
        };
        all.len() > 0 && all.all(is_unused)
    }

    /// Answers what a gateway was asked.
    fn manage(&self, request: ManagementRequest) -> BoxFuture<'static, Result<Bytes, String>> {
        let Some(api) = self.management.upgrade() else {
            return async move { Err("the node is no broker, or stops".to_owned()) }.boxed();
        };
        let asked = Asked {
            method: request.method,
            target: request.target,
            body: request.body,
        };
        async move {
            let Answered { status, body } = api.answer(asked).await;
            Ok(NodeAnswer::Managed(status, body).encode().into())
        }
        .boxed()
    }

    fn answer_raft(
        &self,
        from: NodeId,
        request: &Bytes,
    ) -> BoxFuture<'static, Result<Bytes, String>> {
        let (partition, payload) = match node_message::decode_raft(request) {
            Ok((partition, payload)) => (partition, request.slice_ref(payload)),
            Err(error) => return async move { Err(error.to_string()) }.boxed(),
        };
        if self.local.leaves() {
            return async move { Err("the node stops".to_owned()) }.boxed();
        }
        let replica = self.local.partitions.get(partition);
        let Some(raft) = replica.and_then(|replica| replica.raft.get()).cloned() else {
            return async move { Err(format!("partition {partition} does not run here")) }.boxed();
        };
        async move {
            let answer = raft.answer(u64::from(from.0), payload).await;
            answer.map_err(|error| error.to_string())
        }
        .boxed()
    }
}

impl Handler for NodeHandler {
    fn connected(&self, peer: &Identity) {
        self.view
            .connected(peer.node, peer.address.clone(), peer.shape);
        if let Some(nodes) = self.nodes.upgrade() {
            nodes.greet.notify_one();
        }
    }

    fn disconnected(&self, peer: NodeId) {
        self.view.disconnected(peer);
    }

    fn refused(&self, peer: &Identity, reason: &str) {
        self.view.refused(peer.node, reason);
        let own = &self.own;
        let is_of_this_cluster = peer.cluster == own.cluster && peer.shape == own.shape;
        let restored = |one: &Identity| one.incarnation != [0; 16];
        if is_of_this_cluster && restored(peer) && !restored(own) && self.has_no_history() {
            let text = format!(
                "this broker has no data and was not restored, and {reason}. Those without data would begin an empty cluster beside the restored one"
            );
            self.misplaced.send_replace(Some(text));
        }
    }

    fn message(&self, from: NodeId, _channel: Channel, payload: Bytes) {
        match NodeMessage::decode(&payload) {
            Ok(message) => self.take(from, message),
            Err(error) => warn!(node = from.0, %error, "a message of another node is not read"),
        }
    }

    fn request(
        &self,
        from: NodeId,
        channel: Channel,
        payload: Bytes,
    ) -> BoxFuture<'static, Result<Bytes, String>> {
        if channel == CONSENSUS {
            return self.answer_raft(from, &payload);
        }
        if channel == CONTENT {
            let nodes = self.nodes.upgrade();
            return match nodes.as_ref().and_then(|nodes| nodes.transfers.get()) {
                Some(transfers) => transfers.answer(payload),
                None => async { Err("no content is offered here".to_owned()) }.boxed(),
            };
        }
        let request = match NodeRequest::decode(&payload) {
            Ok(request) => request,
            Err(error) => return async move { Err(error.to_string()) }.boxed(),
        };
        if let NodeRequest::Manage(request) = request {
            return self.manage(request);
        }
        let local = Arc::clone(&self.local);
        async move { Ok(local.answer(request).await.encode().into()) }.boxed()
    }
}
