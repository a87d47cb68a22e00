//! What the gateway needs from the brokers.

use std::sync::Arc;

use futures::future::BoxFuture;
use skep_protocol::{Command, NodeId, PartitionId, ResponseResult};
use thiserror::Error;
use tokio::sync::broadcast;

/// The brokers as the gateway sees them.
pub trait Brokers: Send + Sync + 'static {
    /// Sends a command to the leader of a partition and waits for its answer: the event that came of it, or its rejection.
    ///
    /// One attempt. The gateway bounds the wait by dropping the future; a command that is on its way is then executed all
    /// the same, and its answer is dropped.
    fn execute<'a>(
        &'a self,
        partition: PartitionId,
        command: &'a Command,
    ) -> BoxFuture<'a, Result<ResponseResult, BrokerError>>;

    /// The cluster as known at present. Called for every request, so it must be cheap.
    fn topology(&self) -> Arc<Topology>;

    /// Announcements of jobs. A receiver that lags behind takes it that there may be jobs of every type.
    fn jobs_available(&self) -> broadcast::Receiver<JobsAvailable>;
}

/// A partition went from no activatable job of a type to some, or began to be led while it has some.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobsAvailable {
    /// The partition.
    pub partition: PartitionId,
    /// The job type; `None` if there may be jobs of any type.
    pub job_type: Option<String>,
}

/// Why a broker gave neither an event nor a rejection. One variant for each reaction of the gateway.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum BrokerError {
    /// The broker does not lead the partition, or lost it before the command had an effect. Not taken in: sent again.
    #[error(
        "Expected to handle the command on partition {partition}, but the broker is not its leader"
    )]
    PartitionLeaderMismatch {
        /// The partition.
        partition: PartitionId,
    },
    /// The leader is not known or not reachable. Not taken in: sent again.
    #[error("{message}")]
    Unavailable {
        /// What failed.
        message: String,
    },
    /// The connection broke while the answer was awaited. Perhaps taken in, so it is not sent again.
    #[error("{message}")]
    ConnectionLost {
        /// What failed.
        message: String,
    },
    /// The partition takes nothing in at present: too many requests, inbox or disk full.
    #[error("{message}")]
    ResourceExhausted {
        /// Of what there is too much or too little.
        message: String,
    },
    /// The answer did not come in the broker's own time.
    #[error("the broker did not answer in time")]
    Timeout,
    /// The broker can't take such a command, now or later.
    #[error("{message}")]
    MalformedRequest {
        /// What is wrong with it.
        message: String,
    },
    /// The process of the command does not exist.
    #[error("{message}")]
    ProcessNotFound {
        /// What was looked for.
        message: String,
    },
    /// Anything else that went wrong at the broker.
    #[error(
        "Unexpected error occurred between gateway and broker (code: {code}) (message: {message})"
    )]
    Internal {
        /// Kind of failure, upper-case.
        code: String,
        /// What went wrong.
        message: String,
    },
}

/// The cluster as known at present.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Topology {
    brokers: Vec<BrokerInfo>,
    cluster_size: u32,
    replication_factor: u32,
    leaders: Vec<Leader>,
}

/// What is known of a partition's leader.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Leader {
    /// This broker leads.
    Known(NodeId),
    /// Nobody is known to lead; that may change at any time.
    Unknown,
    /// Nobody leads, and all known replicas are switched off.
    Inactive,
}

/// One broker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BrokerInfo {
    /// Its number.
    pub node: NodeId,
    /// Where it takes commands.
    pub host: String,
    /// Where it takes commands.
    pub port: u16,
    /// The version that it claims towards clients.
    pub version: String,
    /// Its replicas.
    pub partitions: Vec<PartitionInfo>,
}

/// One replica of a partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PartitionInfo {
    /// The partition.
    pub partition: PartitionId,
    /// What the replica does; a replica without a role is left out.
    pub role: Role,
    /// How it is.
    pub health: Health,
}

/// What a replica does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// It takes commands.
    Leader,
    /// It follows.
    Follower,
    /// It is switched off.
    Inactive,
}

/// How a replica is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Health {
    /// It works.
    Healthy,
    /// It does not work at present, or nothing is known.
    Unhealthy,
    /// It will not work again without help.
    Dead,
}

impl Topology {
    /// A cluster of that many brokers and partitions, of which `brokers` are known. All zero while nothing is known.
    pub fn new(
        brokers: Vec<BrokerInfo>,
        cluster_size: u32,
        partition_count: u32,
        replication_factor: u32,
    ) -> Topology {
        let leaders = (1..=partition_count)
            .map(|partition| leader_of(&brokers, PartitionId(partition)))
            .collect();
        Topology {
            brokers,
            cluster_size,
            replication_factor,
            leaders,
        }
    }

    /// The brokers known.
    pub fn brokers(&self) -> &[BrokerInfo] {
        &self.brokers
    }

    /// How many brokers there should be.
    pub fn cluster_size(&self) -> u32 {
        self.cluster_size
    }

    /// How many partitions there are; 0 while nothing is known.
    pub fn partition_count(&self) -> u32 {
        self.leaders.len() as u32
    }

    /// How many replicas each partition should have.
    pub fn replication_factor(&self) -> u32 {
        self.replication_factor
    }

    /// Who leads a partition; `None` for one that does not exist.
    pub fn leader(&self, partition: PartitionId) -> Option<Leader> {
        let index = partition.0.checked_sub(1)?;
        self.leaders.get(index as usize).copied()
    }

    /// Whether somebody is known to lead a partition.
    pub fn has_leader(&self, partition: PartitionId) -> bool {
        matches!(self.leader(partition), Some(Leader::Known(_)))
    }
}

fn leader_of(brokers: &[BrokerInfo], partition: PartitionId) -> Leader {
    let mut all_inactive = true;
    let mut any = false;
    for broker in brokers {
        for replica in &broker.partitions {
            if replica.partition == partition {
                match replica.role {
                    Role::Leader => return Leader::Known(broker.node),
                    Role::Follower => all_inactive = false,
                    Role::Inactive => {}
                }
                any = true;
            }
        }
    }
    if any && all_inactive {
        Leader::Inactive
    } else {
        Leader::Unknown
    }
}
