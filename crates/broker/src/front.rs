//! The management API's view of a gateway that is no broker.

use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use skep_management::{Answered, Asked, GatewayNode, Health, RequestError};
use skep_protocol::node_message::{ManagementRequest, NodeAnswer, NodeRequest};
use skep_protocol::{NodeId, PartitionId};
use skep_transport::RequestError as AskError;

use crate::gateway_metrics::GatewayMetrics;
use crate::router::Router;
use crate::view::ClusterView;

/// A gateway behind the management API.
pub struct Front {
    /// The way to the brokers.
    pub router: Arc<Router>,
    /// Metrics.
    pub metrics: GatewayMetrics,
    /// How long a broker may take.
    pub patience: Duration,
}

/// It has started when it has found a broker, and is ready when some partition has a leader.
pub fn health(view: &ClusterView) -> Health {
    let topology = view.topology();
    let mut partitions = (1..=topology.partition_count()).map(PartitionId);
    Health {
        started: topology.partition_count() > 0,
        ready: partitions.any(|partition| topology.has_leader(partition)),
        alive: true,
    }
}

impl Front {
    /// Asks a broker, and another if that one cannot have done it or doing it again changes nothing.
    async fn ask(&self, asked: Asked) -> Result<Answered, RequestError> {
        let reads = matches!(asked.method.as_str(), "GET" | "HEAD");
        let request = NodeRequest::Manage(ManagementRequest {
            method: asked.method,
            target: asked.target,
            body: asked.body,
        });
        let request: bytes::Bytes = request.encode().into();
        for broker in self.router.nodes.brokers() {
            let nodes = &self.router.nodes;
            match nodes.ask(broker, request.clone(), self.patience).await {
                Err(error) if may_ask_another(reads, &error) => {}
                answer => return answered(broker, answer),
            }
        }
        Err(RequestError::NoLeader(
            "No broker is connected to this gateway; its log says what it finds at zeebe.gateway.cluster.initialContactPoints".to_owned(),
        ))
    }
}

/// A broker that was not reached has done nothing; one that was lost may have, which is no harm where the request only reads. One that
/// is silent has taken the time there is.
fn may_ask_another(reads: bool, error: &AskError) -> bool {
    match error {
        AskError::NotSent(_) => true,
        AskError::Lost(_) => reads,
        AskError::Timeout(_) | AskError::Refused { .. } => false,
    }
}

fn answered(
    broker: NodeId,
    answer: Result<bytes::Bytes, AskError>,
) -> Result<Answered, RequestError> {
    let answer = match answer {
        Ok(answer) => NodeAnswer::decode(&answer),
        Err(AskError::Timeout(_)) => {
            let text = format!("Broker {broker} did not answer in time");
            return Err(RequestError::Timeout(text));
        }
        Err(AskError::Refused { reason, .. }) => {
            let text = format!("Broker {broker} refused: {reason}");
            return Err(RequestError::Exhausted(text));
        }
        Err(error) => {
            let text = format!("{error}: what was asked may have been done");
            return Err(RequestError::Lost(text));
        }
    };
    match answer {
        Ok(NodeAnswer::Managed(status, body)) => Ok(Answered { status, body }),
        Ok(NodeAnswer::Refusal(_, reason)) => {
            let text = format!("Broker {broker} refused: {reason}");
            Err(RequestError::Failed(text))
        }
        Ok(_) => {
            let text = format!("Broker {broker} has answered another question");
            Err(RequestError::Failed(text))
        }
        Err(error) => {
            let text = format!("The answer of broker {broker} cannot be read: {error}");
            Err(RequestError::Failed(text))
        }
    }
}

impl GatewayNode for Front {
    fn health(&self) -> Health {
        health(&self.router.view)
    }

    fn problems(&self) -> Vec<String> {
        self.router.view.problems()
    }

    fn metrics(&self) -> String {
        let router = &self.router;
        self.metrics.render(&router.view.topology(), &router.stats)
    }

    fn relay(&self, asked: Asked) -> BoxFuture<'_, Result<Answered, RequestError>> {
        Box::pin(self.ask(asked))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_only_reads_is_asked_of_another_broker_when_one_is_lost() {
        let lost = AskError::Lost(NodeId(1));
        assert!(may_ask_another(true, &lost));
        assert!(!may_ask_another(false, &lost));
        let away = AskError::NotSent(skep_transport::SendError::NotConnected(NodeId(1)));
        assert!(may_ask_another(false, &away));
        assert!(!may_ask_another(true, &AskError::Timeout(NodeId(1))));
    }

    #[test]
    fn a_lost_broker_is_a_bad_gateway_and_not_a_failure_of_the_request() {
        let error = answered(NodeId(1), Err(AskError::Lost(NodeId(1)))).unwrap_err();
        assert_eq!(error.status(), 502);
        assert!(error.message().contains("may have been done"));
    }
}
