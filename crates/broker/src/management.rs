//! The management API's view of this node.

use std::sync::Arc;

use futures::future::{BoxFuture, join_all};
use skep_backup::{
    BackupError, BackupId, BackupStatus, CollectOptions, RetryPolicy, collect, delete_backup,
    list_backups, read_status,
};
use skep_blob::BlobRef;
use skep_engine::tables::{backups, checkpoint};
use skep_exporter::Phase;
use skep_log::LogStore;
use skep_management::{
    CheckpointAnswer, ExportingChange, Health, KnownBackup, Node, PartitionReport, RequestError,
};
use skep_partition::Refusal;
use skep_protocol::{
    CheckpointIntent, Command, Intent, Key, PartitionId, Position, RecordValue, values,
};
use tracing::{info, warn};

use crate::clock::process_nonce;
use crate::exporters::Exporters;
use crate::metrics::Metrics;
use crate::now_ms;
use crate::partition::{Partition, Partitions};
use crate::requests::Requests;

/// How long chunks that nothing refers to are kept: longer than any upload takes.
const COLLECT_GRACE: std::time::Duration = std::time::Duration::from_secs(12 * 60 * 60);

/// Pause before a partition without leader is asked again.
const LEADER_PAUSE: std::time::Duration = std::time::Duration::from_millis(10);

/// This node behind the management API.
pub struct ManagedNode {
    /// Its partitions.
    pub partitions: Arc<Partitions>,
    /// Who waits for answers.
    pub requests: Arc<Requests>,
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
}

impl ManagedNode {
    fn store(&self) -> Result<&BlobRef, RequestError> {
        match &self.store {
            _ if !self.backups_enabled => Err(RequestError::Disabled),
            None => Err(RequestError::NoStore),
            Some(store) => Ok(store),
        }
    }

    fn partition(&self, partition: u32) -> Result<&Partition, RequestError> {
        self.store()?;
        let found = self.partitions.get(PartitionId(partition));
        found.ok_or_else(|| {
            RequestError::NoLeader(format!("There is no partition {partition} on this broker"))
        })
    }

    /// Asks until somebody leads the partition; the API's own time-out bounds that.
    async fn checkpoint(
        &self,
        partition: u32,
        id: BackupId,
    ) -> Result<CheckpointAnswer, RequestError> {
        let target = self.partition(partition)?;
        loop {
            match self.try_checkpoint(target, id).await {
                Err(RequestError::NoLeader(_)) if target.failure().is_none() => {
                    tokio::time::sleep(LEADER_PAUSE).await
                }
                result => return result,
            }
        }
    }

    async fn try_checkpoint(
        &self,
        target: &Partition,
        id: BackupId,
    ) -> Result<CheckpointAnswer, RequestError> {
        let partition = target.id.0;
        let value = values::Checkpoint {
            checkpoint_id: id.0 as i64,
            checkpoint_position: Position::NONE.0,
            failure_reason: String::new(),
        };
        let command = Command::new(Key::NONE, CheckpointIntent::Create, value);
        let mut waiting = self.requests.begin(target.id);
        target
            .inbox
            .submit(command, Some(waiting.id))
            .map_err(|refusal| refused(partition, &refusal))?;
        match (&mut waiting.answer).await {
            Ok(Ok(Ok(event))) => Ok(answer(&event)),
            Ok(Ok(Err(rejection))) => Err(RequestError::Failed(rejection.to_string())),
            Ok(Err(refusal)) => Err(refused(partition, &refusal)),
            Err(_) => Err(stopped(partition)),
        }
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

fn refused(partition: u32, refusal: &Refusal) -> RequestError {
    match refusal {
        Refusal::NotLeader => {
            RequestError::NoLeader(format!("Partition {partition} has no leader at present"))
        }
        Refusal::Busy => RequestError::Exhausted(format!(
            "Partition {partition} has reached its maximum capacity of requests"
        )),
        Refusal::DiskFull => RequestError::Exhausted(format!(
            "Cannot accept requests for partition {partition}. Broker is out of disk space"
        )),
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
        Box::pin(async move {
            let target = self.partition(partition)?;
            let found = target
                .inspect(|replica| checkpoint::latest(&replica.state))
                .await
                .ok_or_else(|| stopped(partition))?;
            let latest = found.map_err(|error| RequestError::Failed(error.to_string()))?;
            Ok(u64::try_from(latest.id.0).ok())
        })
    }

    fn known_backups(
        &self,
        partition: u32,
    ) -> BoxFuture<'_, Result<Vec<KnownBackup>, RequestError>> {
        Box::pin(async move {
            let target = self.partition(partition)?;
            let found = target
                .inspect(|replica| backups::all(&replica.state))
                .await
                .ok_or_else(|| stopped(partition))?;
            let all = found.map_err(|error| RequestError::Failed(error.to_string()))?;
            let known = all.into_iter().map(|backup| KnownBackup {
                id: BackupId(backup.id.0.max(0) as u64),
                created_at_ms: backup.created_at.max(0) as u64,
                position: backup.position.0.max(0) as u64,
                failure: match backup.status {
                    backups::BackupStatus::InProgress => None,
                    backups::BackupStatus::Failed { reason } => Some(reason),
                },
            });
            Ok(known.collect())
        })
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
        let failed = self
            .partitions
            .iter()
            .filter(|partition| partition.failure().is_some())
            .count();
        let leading = self
            .partitions
            .iter()
            .filter(|partition| partition.leads())
            .count();
        let all = self.partitions.count() as usize;
        Health {
            started: leading + failed == all,
            ready: leading == all,
            alive: failed < all,
        }
    }

    fn partitions(&self) -> BoxFuture<'_, Vec<(u32, PartitionReport)>> {
        Box::pin(async move {
            join_all(self.partitions.iter().map(|partition| async move {
                (partition.id.0, report(partition, &self.exporters).await)
            }))
            .await
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
            .render(&self.partitions, &self.log.stats(), &self.exporters)
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
        Ok(report) => info!(
            condemned = report.condemned,
            deleted = report.deleted,
            bytes = report.bytes_deleted,
            "collected unused chunks"
        ),
        Err(error) => warn!(%error, "unused chunks were not collected; the next run does it"),
    }
}
