//! The embedded gateway's way to the partitions of this process.

use std::sync::Arc;

use futures::future::BoxFuture;
use skep_gateway::{BrokerError, Brokers, JobsAvailable, Topology};
use skep_partition::Refusal;
use skep_protocol::{Command, PartitionId, ResponseResult};
use tokio::sync::broadcast;

use crate::partition::Partitions;
use crate::requests::Requests;

/// Announcements kept for a receiver that lags behind.
const ANNOUNCEMENTS: usize = 1024;

/// The partitions of this process as the gateway sees them.
pub struct LocalBrokers {
    partitions: Arc<Partitions>,
    requests: Arc<Requests>,
    announcements: broadcast::Sender<JobsAvailable>,
}

impl LocalBrokers {
    /// Over those partitions.
    pub fn new(
        partitions: Arc<Partitions>,
        requests: Arc<Requests>,
        announcements: broadcast::Sender<JobsAvailable>,
    ) -> LocalBrokers {
        LocalBrokers {
            partitions,
            requests,
            announcements,
        }
    }

    /// The channel of announcements.
    pub fn announcements() -> broadcast::Sender<JobsAvailable> {
        broadcast::Sender::new(ANNOUNCEMENTS)
    }
}

impl Brokers for LocalBrokers {
    fn execute<'a>(
        &'a self,
        partition: PartitionId,
        command: &'a Command,
    ) -> BoxFuture<'a, Result<ResponseResult, BrokerError>> {
        Box::pin(async move {
            let Some(target) = self.partitions.get(partition) else {
                return Err(BrokerError::PartitionLeaderMismatch { partition });
            };
            let mut waiting = self.requests.begin(partition);
            target
                .inbox
                .submit(command.clone(), Some(waiting.id))
                .map_err(|refusal| refused(partition, &refusal, Taken::No))?;
            match (&mut waiting.answer).await {
                Ok(Ok(result)) => Ok(result),
                Ok(Err(refusal)) => Err(refused(partition, &refusal, Taken::Perhaps)),
                Err(_) => Err(BrokerError::ConnectionLost {
                    message: format!("partition {partition} stopped before it answered"),
                }),
            }
        })
    }

    fn topology(&self) -> Arc<Topology> {
        self.partitions.topology()
    }

    fn jobs_available(&self) -> broadcast::Receiver<JobsAvailable> {
        self.announcements.subscribe()
    }
}

/// Whether a refused command may have been taken into the log.
enum Taken {
    No,
    Perhaps,
}

fn refused(partition: PartitionId, refusal: &Refusal, taken: Taken) -> BrokerError {
    match (refusal, taken) {
        (Refusal::NotLeader, Taken::No) => BrokerError::PartitionLeaderMismatch { partition },
        (Refusal::NotLeader, Taken::Perhaps) => BrokerError::ConnectionLost {
            message: format!(
                "partition {partition} lost its leader before the command was committed; it may or may not have been executed"
            ),
        },
        (Refusal::Busy, _) => BrokerError::ResourceExhausted {
            message: "Reached maximum capacity of requests handled".to_owned(),
        },
        (Refusal::DiskFull, _) => BrokerError::ResourceExhausted {
            message: format!(
                "Cannot accept requests for partition {partition}. Broker is out of disk space"
            ),
        },
    }
}
