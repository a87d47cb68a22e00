//! The partitions of this node as those see them who ask: its own gateway, its management API, other nodes.

use std::sync::Arc;

use skep_engine::tables::{backups, checkpoint};
use skep_gateway::BrokerError;
use skep_partition::Refusal;
use skep_protocol::node_message::{NodeAnswer, NodeRefusal, NodeRequest, UnfinishedBackup};
use skep_protocol::{CheckpointId, Command, PartitionId, ResponseResult};
use skep_state::StateError;

use crate::partition::{Partition, Partitions};
use crate::requests::Requests;

/// The partitions of this node, and who waits for them.
pub struct LocalPartitions {
    /// The partitions.
    pub partitions: Arc<Partitions>,
    /// Who waits for answers.
    pub requests: Arc<Requests>,
}

impl LocalPartitions {
    /// Executes a command, if the partition is led here.
    pub async fn execute(
        &self,
        partition: PartitionId,
        command: Command,
    ) -> Result<ResponseResult, BrokerError> {
        let Some(target) = self.partitions.get(partition) else {
            return Err(BrokerError::PartitionLeaderMismatch { partition });
        };
        let mut waiting = self.requests.begin(partition);
        target
            .inbox
            .submit(command, Some(waiting.id))
            .map_err(|refusal| refused(partition, &refusal))?;
        match (&mut waiting.answer).await {
            Ok(Ok(result)) => Ok(result),
            Ok(Err(refusal)) => Err(refused(partition, &refusal)),
            Err(_) => Err(BrokerError::ConnectionLost {
                message: format!("partition {partition} stopped before it answered"),
            }),
        }
    }

    /// Answers a request of another node, or of this one.
    pub async fn answer(&self, request: NodeRequest) -> NodeAnswer {
        match request {
            NodeRequest::Execute { partition, command } => {
                of_execution(self.execute(partition, command).await)
            }
            NodeRequest::LatestCheckpoint(partition) => match self.partitions.get(partition) {
                Some(target) if target.leads() => latest_checkpoint(target).await,
                Some(target) if target.failure().is_some() => stopped(partition),
                _ => not_leader(partition),
            },
            // Any replica knows them, even where nobody leads.
            NodeRequest::KnownBackups(partition) => match self.partitions.get(partition) {
                Some(target) => known_backups(target).await,
                None => not_leader(partition),
            },
        }
    }
}

async fn latest_checkpoint(target: &Partition) -> NodeAnswer {
    let found = target.inspect(|replica| checkpoint::latest(&replica.state));
    looked(target, found.await, |latest| {
        NodeAnswer::LatestCheckpoint(latest.id)
    })
}

async fn known_backups(target: &Partition) -> NodeAnswer {
    let found = target.inspect(|replica| backups::all(&replica.state));
    looked(target, found.await, |all| {
        let unfinished = all.into_iter().map(|backup| UnfinishedBackup {
            id: CheckpointId(backup.id.0),
            created_at: backup.created_at,
            position: backup.position,
            failure: match backup.status {
                backups::BackupStatus::InProgress => None,
                backups::BackupStatus::Failed { reason } => Some(reason),
            },
        });
        NodeAnswer::KnownBackups(unfinished.collect())
    })
}

fn looked<T>(
    target: &Partition,
    found: Option<Result<T, StateError>>,
    answer: impl FnOnce(T) -> NodeAnswer,
) -> NodeAnswer {
    match found {
        Some(Ok(found)) => answer(found),
        Some(Err(error)) => NodeAnswer::Refusal(NodeRefusal::Failed, error.to_string()),
        None => stopped(target.id),
    }
}

fn stopped(partition: PartitionId) -> NodeAnswer {
    let reason =
        format!("Partition {partition} has stopped; /actuator/partitions of its node says why");
    NodeAnswer::Refusal(NodeRefusal::Failed, reason)
}

fn not_leader(partition: PartitionId) -> NodeAnswer {
    let reason = format!("Partition {partition} has no leader at present");
    NodeAnswer::Refusal(NodeRefusal::NotLeader, reason)
}

/// What another node is told of an execution.
fn of_execution(result: Result<ResponseResult, BrokerError>) -> NodeAnswer {
    let error = match result {
        Ok(Ok(event)) => return NodeAnswer::Event(event),
        Ok(Err(rejection)) => return NodeAnswer::Rejection(rejection),
        Err(error) => error,
    };
    let refusal = match &error {
        BrokerError::PartitionLeaderMismatch { .. } => NodeRefusal::NotLeader,
        BrokerError::ResourceExhausted { .. } => NodeRefusal::Exhausted,
        BrokerError::ConnectionLost { .. } => NodeRefusal::Lost,
        _ => NodeRefusal::Failed,
    };
    NodeAnswer::Refusal(refusal, error.to_string())
}

fn refused(partition: PartitionId, refusal: &Refusal) -> BrokerError {
    match refusal {
        Refusal::NotLeader => BrokerError::PartitionLeaderMismatch { partition },
        Refusal::LeaderLost => BrokerError::ConnectionLost {
            message: format!(
                "partition {partition} lost its leader before the command was committed; it may or may not have been executed"
            ),
        },
        Refusal::Busy => BrokerError::ResourceExhausted {
            message: "Reached maximum capacity of requests handled".to_owned(),
        },
        Refusal::DiskFull => BrokerError::ResourceExhausted {
            message: format!(
                "Cannot accept requests for partition {partition}. Broker is out of disk space"
            ),
        },
    }
}
