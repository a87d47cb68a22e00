//! The partitions of this node as those see them who ask: its own gateway, its management API, other nodes.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures::future::join_all;
use skep_engine::tables::{backups, checkpoint};
use skep_gateway::BrokerError;
use skep_partition::Refusal;
use skep_protocol::node_message::{NodeAnswer, NodeRefusal, NodeRequest, UnfinishedBackup};
use skep_protocol::{CheckpointId, Command, PartitionId, ResponseResult};
use skep_raft::Rebalanced;
use skep_state::StateError;
use tracing::info;

use crate::backup_parts;
use crate::partition::{Partition, Partitions};
use crate::requests::Requests;

/// How long another replica may take to take the leadership over.
const HAND_OVER_PATIENCE: Duration = Duration::from_secs(3);

/// The partitions of this node, and who waits for them.
pub struct LocalPartitions {
    /// The partitions.
    pub partitions: Arc<Partitions>,
    /// Who waits for answers.
    pub requests: Arc<Requests>,
    leaves: AtomicBool,
}

impl LocalPartitions {
    /// Over those partitions.
    pub fn new(partitions: Partitions) -> LocalPartitions {
        LocalPartitions {
            partitions: Arc::new(partitions),
            requests: Arc::new(Requests::new()),
            leaves: AtomicBool::new(false),
        }
    }

    /// Whether the replicas are about to stop, so that what is asked of their consensus comes too late.
    pub fn leaves(&self) -> bool {
        self.leaves.load(Ordering::Relaxed)
    }

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
        let submitted = target.inbox.submit(command, Some(waiting.id));
        target.counters.submitted(submitted.as_ref().copied());
        submitted.map_err(|refusal| refused(partition, &refusal))?;
        match (&mut waiting.answer).await {
            Ok(Ok(result)) => Ok(result),
            Ok(Err(refusal)) => Err(refused(partition, &refusal)),
            Err(_) => Err(BrokerError::ConnectionLost {
                message: format!("partition {partition} stopped before it answered"),
            }),
        }
    }

    /// Gives the leadership of all partitions to other replicas, before a planned stop.
    pub async fn hand_over(&self) {
        let all = self.partitions.iter().map(|partition| async move {
            let Some(raft) = partition.raft.get() else {
                return;
            };
            if let Err(error) = raft.hand_over(HAND_OVER_PATIENCE).await {
                info!(partition = partition.id.0, %error, "the leadership was not handed over; the others elect a leader");
            }
        });
        join_all(all).await;
        self.leaves.store(true, Ordering::Relaxed);
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
                // A log that takes nothing takes no beginning of a leadership either.
                Some(target) if target.inbox.is_disk_full() => {
                    of_execution(Err(refused(partition, &Refusal::DiskFull)))
                }
                _ => not_leader(partition),
            },
            NodeRequest::Rebalance(partition) => match self.partitions.get(partition) {
                Some(target) if target.leads() => rebalance(target).await,
                _ => not_leader(partition),
            },
            // Any replica knows them, even where nobody leads.
            NodeRequest::KnownBackups(partition) => match self.partitions.get(partition) {
                Some(target) => known_backups(target).await,
                None => not_leader(partition),
            },
            NodeRequest::Backup {
                partition,
                checkpoint,
                step,
            } => match self.partitions.get(partition) {
                Some(target) => backup_parts::answer(target, checkpoint, step).await,
                None => not_leader(partition),
            },
            NodeRequest::Manage(_) => {
                let reason = "that is asked of a node, not of its partitions".to_owned();
                NodeAnswer::Refusal(NodeRefusal::Failed, reason)
            }
        }
    }
}

async fn latest_checkpoint(target: &Partition) -> NodeAnswer {
    let found = target.inspect(|replica| checkpoint::latest(&replica.state));
    looked(target, found.await, |latest| {
        NodeAnswer::LatestCheckpoint(latest.id)
    })
}

async fn rebalance(target: &Partition) -> NodeAnswer {
    let Some(raft) = target.raft.get() else {
        return stopped(target.id);
    };
    let reason = match raft.rebalance(HAND_OVER_PATIENCE).await {
        Ok(Rebalanced::Moved | Rebalanced::NotNeeded) => return NodeAnswer::Done,
        Ok(Rebalanced::NotPossible(reason)) => reason,
        Err(error) => error.to_string(),
    };
    let partition = target.id;
    let text = format!("The leadership of partition {partition} stays where it is: {reason}");
    NodeAnswer::Refusal(NodeRefusal::Failed, text)
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
        Refusal::WriteRate => BrokerError::ResourceExhausted {
            message: format!(
                "Partition {partition} has written as much as it may (zeebe.broker.flowControl.write.limit); try again later"
            ),
        },
        Refusal::DiskFull => BrokerError::ResourceExhausted {
            message: format!(
                "Cannot accept requests for partition {partition}. Broker is out of disk space"
            ),
        },
    }
}
