//! The management API's view of this node.

use std::sync::Arc;

use futures::future::{BoxFuture, join_all};
use skep_backup::{
    BackupError, BackupId, BackupStatus, CollectOptions, RetryPolicy, collect, delete_backup,
    list_backups, read_status,
};
use skep_blob::BlobRef;
use skep_config::ClusterConfig;
use skep_exporter::Phase;
use skep_gateway::{BrokerError, Brokers as _};
use skep_log::LogStore;
use skep_management::{
    CheckpointAnswer, ClusterBroker, ClusterPartition, ExportingChange, Health, KnownBackup, Node,
    PartitionReport, RequestError,
};
use skep_protocol::node_message::{NodeAnswer, NodeRequest};
use skep_protocol::{
    CheckpointIntent, Command, Intent, Key, PartitionId, Position, RecordValue, values,
};
use tokio::time::Instant;
use tracing::{info, warn};

use crate::clock::process_nonce;
use crate::exporters::Exporters;
use crate::metrics::Metrics;
use crate::now_ms;
use crate::partition::{Partition, Partitions};
use crate::router::{self, Router};

/// How long chunks that nothing refers to are kept: longer than any upload takes.
const COLLECT_GRACE: std::time::Duration = std::time::Duration::from_secs(12 * 60 * 60);

/// How long a leader is waited for: longer than an election takes.
const LEADER_PATIENCE: std::time::Duration = std::time::Duration::from_secs(5);

/// Pause before a partition without leader is asked again.
const LEADER_PAUSE: std::time::Duration = std::time::Duration::from_millis(10);

/// This node behind the management API.
pub struct ManagedNode {
    /// Its partitions.
    pub partitions: Arc<Partitions>,
    /// The way to the partitions' leaders.
    pub router: Arc<Router>,
    /// The backup store.
    pub store: Option<BlobRef>,
    /// Whether backups are switched on.
    pub backups_enabled: bool,
    /// Metrics.
    pub metrics: Arc<Metrics>,
    /// The exporters.
    pub exporters: Arc<Exporters>,
    /// The node's log.
    pub log: LogStore,
    /// This node's number.
    pub node_id: u32,
    /// The cluster as configured.
    pub cluster: ClusterConfig,
}

impl ManagedNode {
    fn store(&self) -> Result<&BlobRef, RequestError> {
        match &self.store {
            _ if !self.backups_enabled => Err(RequestError::Disabled),
            None => Err(RequestError::NoStore),
            Some(store) => Ok(store),
        }
    }

    /// Does something with the leader of a partition. While nobody leads it this is tried again, for a while: a new leader is
    /// usually found within seconds.
    async fn with_leader<T, F: Future<Output = Result<T, BrokerError>>>(
        &self,
        partition: u32,
        attempt: impl Fn() -> F,
        is_repeated: impl Fn(&BrokerError) -> bool,
    ) -> Result<T, RequestError> {
        self.store()?;
        let here = self.partitions.get(PartitionId(partition));
        let failed = || here.is_some_and(|here| here.failure().is_some());
        let patience = Instant::now() + LEADER_PATIENCE;
        loop {
            match attempt().await {
                Ok(done) => return Ok(done),
                Err(error) if !is_repeated(&error) => return Err(refused(partition, &error)),
                Err(_) if failed() && !self.partitions.is_led(PartitionId(partition)) => {
                    return Err(stopped(partition));
                }
                Err(error) if Instant::now() >= patience => {
                    return Err(refused(partition, &error));
                }
                Err(_) => tokio::time::sleep(LEADER_PAUSE).await,
            }
        }
    }

    async fn checkpoint(
        &self,
        partition: u32,
        id: BackupId,
    ) -> Result<CheckpointAnswer, RequestError> {
        let value = values::Checkpoint {
            checkpoint_id: id.0 as i64,
            checkpoint_position: Position::NONE.0,
            failure_reason: String::new(),
        };
        let command = Command::new(Key::NONE, CheckpointIntent::Create, value);
        let execute = || self.router.execute(PartitionId(partition), &command);
        match self.with_leader(partition, execute, has_no_leader).await? {
            Ok(event) => Ok(answer(&event)),
            Err(rejection) => Err(RequestError::Failed(rejection.to_string())),
        }
    }

    async fn latest(&self, partition: u32) -> Result<Option<u64>, RequestError> {
        let id = PartitionId(partition);
        let ask = || async move {
            match self
                .router
                .ask(id, NodeRequest::LatestCheckpoint(id))
                .await?
            {
                NodeAnswer::LatestCheckpoint(latest) => Ok(latest),
                answer => Err(router::unanswered_question(id, answer)),
            }
        };
        let latest = self.with_leader(partition, ask, is_leader_away).await?;
        Ok(u64::try_from(latest.0).ok())
    }

    /// What the leader knows, or else a replica of this node. Does not wait for a leader: what is asked for is how things stand.
    async fn known(&self, partition: u32) -> Result<Vec<KnownBackup>, RequestError> {
        self.store()?;
        let id = PartitionId(partition);
        let asked = self.router.ask(id, NodeRequest::KnownBackups(id)).await;
        let known = match asked.map_err(|error| refused(partition, &error))? {
            NodeAnswer::KnownBackups(known) => known,
            other => {
                let error = router::unanswered_question(id, other);
                return Err(refused(partition, &error));
            }
        };
        let known = known.into_iter().map(|backup| KnownBackup {
            id: BackupId(backup.id.0.max(0) as u64),
            created_at_ms: backup.created_at.max(0) as u64,
            position: backup.position.0.max(0) as u64,
            failure: backup.failure,
        });
        Ok(known.collect())
    }
}

fn answer(event: &Command) -> CheckpointAnswer {
    let RecordValue::Checkpoint(value) = &event.value else {
        panic!("a checkpoint command is answered by a checkpoint event")
    };
    let created = event.intent == Intent::Checkpoint(CheckpointIntent::Created);
    CheckpointAnswer {
        created,
        latest: value.checkpoint_id.max(0) as u64,
    }
}

fn has_no_leader(error: &BrokerError) -> bool {
    matches!(
        error,
        BrokerError::PartitionLeaderMismatch { .. } | BrokerError::Unavailable { .. }
    )
}

/// Nobody leads, or who did went away before it answered what only reads.
fn is_leader_away(error: &BrokerError) -> bool {
    has_no_leader(error) || matches!(error, BrokerError::ConnectionLost { .. })
}

fn refused(partition: u32, error: &BrokerError) -> RequestError {
    match error {
        _ if has_no_leader(error) => RequestError::NoLeader(format!(
            "Partition {partition} has no leader at present. If that lasts, too few of the brokers that keep it are running and connected"
        )),
        BrokerError::ResourceExhausted { message } => {
            RequestError::Exhausted(format!("Partition {partition}: {message}"))
        }
        BrokerError::Timeout => RequestError::Timeout(error.to_string()),
        _ => RequestError::Failed(error.to_string()),
    }
}

fn failed(error: &BackupError) -> RequestError {
    RequestError::Failed(error.to_string())
}

fn stopped(partition: u32) -> RequestError {
    RequestError::NoLeader(format!(
        "Partition {partition} has stopped; /actuator/partitions says why"
    ))
}

impl Node for ManagedNode {
    fn partition_count(&self) -> u32 {
        self.partitions.count()
    }

    fn create_checkpoint(
        &self,
        partition: u32,
        id: BackupId,
    ) -> BoxFuture<'_, Result<CheckpointAnswer, RequestError>> {
        Box::pin(self.checkpoint(partition, id))
    }

    fn latest_checkpoint(
        &self,
        partition: u32,
    ) -> BoxFuture<'_, Result<Option<u64>, RequestError>> {
        Box::pin(self.latest(partition))
    }

    fn known_backups(
        &self,
        partition: u32,
    ) -> BoxFuture<'_, Result<Vec<KnownBackup>, RequestError>> {
        Box::pin(self.known(partition))
    }

    fn stored_backup(&self, id: BackupId) -> BoxFuture<'_, Result<BackupStatus, RequestError>> {
        Box::pin(async move {
            let store = self.store()?;
            read_status(
                &**store,
                id,
                self.partitions.count(),
                now_ms(),
                &RetryPolicy::never(),
            )
            .await
            .map_err(|error| failed(&error))
        })
    }

    fn stored_backups(&self) -> BoxFuture<'_, Result<Vec<BackupStatus>, RequestError>> {
        Box::pin(async move {
            let store = self.store()?;
            list_backups(
                &**store,
                self.partitions.count(),
                now_ms(),
                &RetryPolicy::never(),
            )
            .await
            .map_err(|error| failed(&error))
        })
    }

    fn delete_backup(&self, id: BackupId) -> BoxFuture<'_, Result<(), RequestError>> {
        Box::pin(async move {
            let store = self.store()?;
            delete_backup(&**store, id, &RetryPolicy::default())
                .await
                .map_err(|error| failed(&error))?;
            tokio::spawn(collect_unused(store.clone(), self.node_id));
            Ok(())
        })
    }

    fn health(&self) -> Health {
        let partitions = &self.partitions;
        let mut all = partitions.iter();
        Health {
            started: partitions.iter().all(|one| partitions.is_settled(one)),
            ready: partitions.iter().all(|one| partitions.is_ready(one)),
            alive: all.len() == 0 || all.any(|one| one.failure().is_none()),
        }
    }

    fn problems(&self) -> Vec<String> {
        self.router.view.problems()
    }

    fn partitions(&self) -> BoxFuture<'_, Vec<(u32, PartitionReport)>> {
        Box::pin(async move {
            join_all(self.partitions.iter().map(|partition| async move {
                (partition.id.0, report(partition, &self.exporters).await)
            }))
            .await
        })
    }

    fn cluster(&self) -> Vec<ClusterBroker> {
        let of = |node: u32| {
            let kept = (1..=self.partitions.count()).filter_map(|id| {
                let replicas = self.cluster.distribution.replicas(id);
                let place = replicas.iter().position(|replica| *replica == node)?;
                Some(ClusterPartition {
                    id,
                    state: "ACTIVE",
                    priority: (replicas.len() - place) as u32,
                })
            });
            ClusterBroker {
                id: node,
                state: "ACTIVE",
                partitions: kept.collect(),
            }
        };
        (0..self.cluster.size).map(of).collect()
    }

    fn rebalance(&self) -> BoxFuture<'_, Result<(), RequestError>> {
        Box::pin(async move {
            let all = (1..=self.partitions.count()).map(|partition| async move {
                let id = PartitionId(partition);
                match self.router.ask(id, NodeRequest::Rebalance(id)).await {
                    Ok(NodeAnswer::Done) => Ok(()),
                    Ok(answer) => Err(router::unanswered_question(id, answer)),
                    Err(error) => Err(error),
                }
                .map_err(|error| refused(partition, &error))
            });
            join_all(all).await.into_iter().collect()
        })
    }

    fn change_exporting(&self, change: ExportingChange) -> Result<(), String> {
        let phase = match change {
            ExportingChange::Pause => Phase::Paused,
            ExportingChange::SoftPause => Phase::SoftPaused,
            ExportingChange::Resume => Phase::Exporting,
        };
        let changed = self.exporters.set_phase(phase);
        changed.map_err(|error| format!("write that exporting is {}: {error}", phase.name()))
    }

    fn metrics(&self) -> String {
        self.metrics
            .render(&self.router, &self.log.stats(), &self.exporters)
    }
}

async fn report(partition: &Partition, exporters: &Exporters) -> PartitionReport {
    let seen = partition
        .inspect(|replica| {
            (
                replica.bookkeeping.position,
                replica.bookkeeping.epoch,
                replica.waiting,
                replica.unflushed_bytes,
            )
        })
        .await;
    let failure = partition.failure();
    let exporting = exporters.of(partition.id);
    PartitionReport {
        role: match (&failure, partition.leads()) {
            (Some(_), _) => "INACTIVE",
            (None, true) => "LEADER",
            (None, false) => "FOLLOWER",
        },
        processed_position: seen.map(|(position, ..)| position),
        stream_processor_phase: match (&failure, partition.leads()) {
            (Some(_), _) => "FAILED",
            (None, true) => "PROCESSING",
            (None, false) => "REPLAY",
        },
        epoch: seen.map(|(_, epoch, ..)| epoch),
        waiting: seen.map_or(0, |(_, _, waiting, _)| waiting),
        unflushed_bytes: seen.map_or(0, |(.., bytes)| bytes),
        exporter_phase: match exporting.exported {
            Some(_) => exporters.phase().name(),
            None => "CLOSED",
        },
        exported_position: exporting.exported.map(|position| position.0),
        exporter_failure: exporting.failure,
        failure,
    }
}

/// Frees chunks that no backup refers to any more.
pub async fn collect_unused(store: BlobRef, node_id: u32) {
    let options = CollectOptions {
        holder: format!("node-{node_id}-{:016x}-{}", process_nonce(), now_ms()),
        grace: COLLECT_GRACE,
        retry: RetryPolicy::default(),
        cancel: skep_backup::Cancel::new(),
    };
    match collect(&*store, &options).await {
        Ok(report) if report.interrupted => warn!(
            deleted = report.deleted,
            "unused chunks were not all collected: it took too long, or another broker began to; the next run does the rest"
        ),
        Ok(report) => info!(
            condemned = report.condemned,
            deleted = report.deleted,
            bytes = report.bytes_deleted,
            "collected unused chunks"
        ),
        Err(error) => warn!(%error, "unused chunks were not collected; the next run does it"),
    }
}
