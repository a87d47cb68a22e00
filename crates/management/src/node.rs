//! What the management API needs from the node that it runs on.

use futures::future::BoxFuture;
use serde::Serialize;
use skep_backup::{BackupId, BackupStatus};

/// The node behind the API.
pub trait Node: Send + Sync + 'static {
    /// How many partitions the cluster has.
    fn partition_count(&self) -> u32;

    /// Asks the leader of a partition for a checkpoint.
    fn create_checkpoint(
        &self,
        partition: u32,
        id: BackupId,
    ) -> BoxFuture<'_, Result<CheckpointAnswer, RequestError>>;

    /// Id of the latest checkpoint of a partition; `None` before the first.
    fn latest_checkpoint(&self, partition: u32)
    -> BoxFuture<'_, Result<Option<u64>, RequestError>>;

    /// Backups that are in progress or have failed, as the partition's state knows them.
    fn known_backups(
        &self,
        partition: u32,
    ) -> BoxFuture<'_, Result<Vec<KnownBackup>, RequestError>>;

    /// Status of one backup, from the store alone.
    fn stored_backup(&self, id: BackupId) -> BoxFuture<'_, Result<BackupStatus, RequestError>>;

    /// All backups of the store, by ascending id.
    fn stored_backups(&self) -> BoxFuture<'_, Result<Vec<BackupStatus>, RequestError>>;

    /// Deletes a backup.
    fn delete_backup(&self, id: BackupId) -> BoxFuture<'_, Result<(), RequestError>>;

    /// How the node is.
    fn health(&self) -> Health;

    /// What somebody should look at, in words: nodes that were refused because they, or this one, do not belong here.
    fn problems(&self) -> Vec<String>;

    /// How its replicas are.
    fn partitions(&self) -> BoxFuture<'_, Vec<(u32, PartitionReport)>>;

    /// Which brokers should keep which partitions.
    fn cluster(&self) -> Vec<ClusterBroker>;

    /// Gives the leadership of each partition to the broker that should have it.
    fn rebalance(&self) -> BoxFuture<'_, Result<(), RequestError>>;

    /// Pauses exporting or lets it go on, for all partitions and over restarts. May write to the disk; an
    /// error says in words for the operator what went wrong.
    fn change_exporting(&self, change: ExportingChange) -> Result<(), String>;

    /// Metrics in Prometheus' text form.
    fn metrics(&self) -> String;
}

/// A broker of the cluster, in the words of Zeebe's `/actuator/cluster`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ClusterBroker {
    /// Its number.
    pub id: u32,
    /// ACTIVE: it is a member, whether it runs or not.
    pub state: &'static str,
    /// What it keeps.
    pub partitions: Vec<ClusterPartition>,
}

/// A replica that a broker should keep.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ClusterPartition {
    /// The partition.
    pub id: u32,
    /// ACTIVE: it is a member.
    pub state: &'static str,
    /// The replica of the highest priority should lead.
    pub priority: u32,
}

/// What becomes of exporting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExportingChange {
    /// Nothing is exported.
    Pause,
    /// Records are exported, but the log keeps them, to be exported again.
    SoftPause,
    /// It goes on.
    Resume,
}

/// A partition's answer to the wish for a checkpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CheckpointAnswer {
    /// Whether it was created; else the id was not higher than the latest.
    pub created: bool,
    /// The latest checkpoint, after this.
    pub latest: u64,
}

/// A backup that a partition's state knows as not completed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownBackup {
    /// Its id.
    pub id: BackupId,
    /// When its checkpoint was taken, in milliseconds since 1970.
    pub created_at_ms: u64,
    /// Position of the checkpoint.
    pub position: u64,
    /// Why it failed; `None` while it is in progress.
    pub failure: Option<String>,
}

/// Why a request cannot be served; each has its HTTP status.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RequestError {
    /// Backups are switched off.
    Disabled,
    /// There is no place for backups.
    NoStore,
    /// Nobody leads the partition.
    NoLeader(String),
    /// The node that was asked went away before it answered: it may have done what it was asked.
    Lost(String),
    /// The partition takes nothing in at present.
    Exhausted(String),
    /// No answer in time.
    Timeout(String),
    /// The backup store or something else failed.
    Failed(String),
}

/// How a node is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Health {
    /// Everything has started.
    pub started: bool,
    /// It takes requests.
    pub ready: bool,
    /// No part of it has failed for good.
    pub alive: bool,
}

/// How a replica is, in the words of Zeebe's `/actuator/partitions`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PartitionReport {
    /// LEADER or FOLLOWER; INACTIVE when it has stopped.
    pub role: &'static str,
    /// Position of the last record.
    pub processed_position: Option<i64>,
    /// PROCESSING, REPLAY or FAILED.
    pub stream_processor_phase: &'static str,
    /// Current leadership.
    pub epoch: Option<u64>,
    /// Commands that wait.
    pub waiting: usize,
    /// Memory of writes that are not in the store yet.
    pub unflushed_bytes: usize,
    /// EXPORTING, PAUSED or SOFT_PAUSED; CLOSED if there is no exporter.
    pub exporter_phase: &'static str,
    /// Position up to which every exporter has exported for good; `None` if there is no exporter.
    pub exported_position: Option<i64>,
    /// What holds exporters up.
    pub exporter_failure: Option<String>,
    /// Why it has stopped.
    pub failure: Option<String>,
}
