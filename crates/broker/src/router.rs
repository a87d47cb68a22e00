//! The way to the leader of a partition, wherever it is.

use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use skep_gateway::{BrokerError, Brokers, JobsAvailable, Topology};
use skep_partition::Event;
use skep_protocol::node_message::{self, NodeAnswer, NodeRefusal, NodeRequest};
use skep_protocol::{Command, Envelope, NodeId, PartitionId, ResponseResult};
use skep_transport::RequestError;
use tokio::sync::broadcast;

use crate::local::LocalPartitions;
use crate::nodes::Nodes;
use crate::request_stats::RequestStats;
use crate::view::ClusterView;

/// An answer may take as long as its client waits, who ends the wait; longer than this nobody does.
const PATIENCE: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// What is not executed is answered at once, or after a leadership has moved.
const ASK_PATIENCE: Duration = Duration::from_secs(5);

/// Finds the leader of a partition and brings requests there.
pub struct Router {
    /// This node.
    pub own: NodeId,
    /// Who leads what.
    pub view: Arc<ClusterView>,
    /// The partitions of this node.
    pub local: Arc<LocalPartitions>,
    /// The way to the others.
    pub nodes: Arc<Nodes>,
    /// What has become of what this node's gateway has sent.
    pub stats: RequestStats,
}

impl Router {
    /// The other node that leads a partition, unless this one does, or may for all that is known.
    fn elsewhere(&self, partition: PartitionId) -> Result<Option<NodeId>, BrokerError> {
        let here = self.local.partitions.get(partition);
        if here.is_some_and(|here| here.leads()) {
            return Ok(None);
        }
        match self.view.leader(partition) {
            Some(node) if node != self.own => Ok(Some(node)),
            _ if here.is_some() => Ok(None),
            _ => Err(BrokerError::Unavailable {
                message: format!("the leader of partition {partition} is not known"),
            }),
        }
    }

    /// Brings an envelope to the leader of its target, if one is known: a lost one is sent again.
    pub fn send(&self, target: PartitionId, envelope: Envelope) {
        let here = self.local.partitions.get(target);
        match self.elsewhere(target) {
            Ok(Some(node)) => self.nodes.send(node, target, envelope),
            // If it does not lead yet, it may when this arrives.
            _ => {
                if let Some(here) = here {
                    here.inbox.push(Event::Envelope(envelope));
                }
            }
        }
    }

    /// Tells all gateways that a partition of this node has jobs.
    pub fn announce_jobs(&self, partition: PartitionId, job_type: &str) {
        self.view.announce(JobsAvailable {
            partition,
            job_type: Some(job_type.to_owned()),
        });
        self.nodes.announce(partition, job_type);
    }

    async fn execute(
        &self,
        partition: PartitionId,
        command: &Command,
    ) -> Result<ResponseResult, BrokerError> {
        let Some(node) = self.elsewhere(partition)? else {
            return self.local.execute(partition, command.clone()).await;
        };
        let request = node_message::encode_execute(partition, command);
        match self.ask_node(node, request, PATIENCE).await? {
            NodeAnswer::Event(event) => Ok(Ok(event)),
            NodeAnswer::Rejection(rejection) => Ok(Err(rejection)),
            other => Err(unanswered_question(partition, other)),
        }
    }

    /// Asks the leader of a partition.
    pub async fn ask(
        &self,
        partition: PartitionId,
        request: NodeRequest,
    ) -> Result<NodeAnswer, BrokerError> {
        match self.elsewhere(partition)? {
            Some(node) => {
                let request = request.encode();
                self.ask_node(node, request, ASK_PATIENCE).await
            }
            None => Ok(self.local.answer(request).await),
        }
    }

    async fn ask_node(
        &self,
        node: NodeId,
        request: Vec<u8>,
        patience: Duration,
    ) -> Result<NodeAnswer, BrokerError> {
        let answer = self.nodes.ask(node, request.into(), patience).await;
        let answer = answer.map_err(unanswered)?;
        NodeAnswer::decode(&answer).map_err(|error| BrokerError::Internal {
            code: "INVALID_RESPONSE".to_owned(),
            message: format!("the answer of node {node} cannot be read: {error}"),
        })
    }
}

/// Why a question has not been answered.
pub fn unanswered_question(partition: PartitionId, answer: NodeAnswer) -> BrokerError {
    match answer {
        NodeAnswer::Refusal(refusal, message) => refused(partition, refusal, message),
        _ => BrokerError::Internal {
            code: "INVALID_RESPONSE".to_owned(),
            message: format!("the leader of partition {partition} has answered another question"),
        },
    }
}

fn refused(partition: PartitionId, refusal: NodeRefusal, message: String) -> BrokerError {
    match refusal {
        NodeRefusal::NotLeader => BrokerError::PartitionLeaderMismatch { partition },
        NodeRefusal::Exhausted => BrokerError::ResourceExhausted { message },
        NodeRefusal::Lost => BrokerError::ConnectionLost { message },
        NodeRefusal::Failed => BrokerError::Internal {
            code: "INTERNAL_ERROR".to_owned(),
            message,
        },
    }
}

fn unanswered(error: RequestError) -> BrokerError {
    let message = error.to_string();
    match error {
        RequestError::NotSent(_) => BrokerError::Unavailable { message },
        RequestError::Lost(_) => BrokerError::ConnectionLost { message },
        RequestError::Timeout(_) => BrokerError::Timeout,
        // Of requests that both sides can read only too many are refused.
        RequestError::Refused { .. } => BrokerError::ResourceExhausted { message },
    }
}

impl Brokers for Router {
    fn execute<'a>(
        &'a self,
        partition: PartitionId,
        command: &'a Command,
    ) -> BoxFuture<'a, Result<ResponseResult, BrokerError>> {
        let on_its_way = self.stats.begin(partition, command.intent);
        Box::pin(async move {
            let result = Router::execute(self, partition, command).await;
            on_its_way.end(&result);
            result
        })
    }

    fn topology(&self) -> Arc<Topology> {
        self.view.topology()
    }

    fn jobs_available(&self) -> broadcast::Receiver<JobsAvailable> {
        self.view.announcements()
    }
}
