//! The documents that make a backup exist. Described in `docs/formats/manifest.md`.
//!
//! Invariant: a manifest that was read is consistent in itself (root hash, order of chunks, place in the store).

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use skep_blob::BlobStore;

use crate::chunk::{RootHash, StoredChunk};
use crate::document::{self, DocumentError, Format};
use crate::error::BackupError;
use crate::ids::{BackupId, PartitionId};
use crate::layout::BackupObject;
use crate::limits::PARTITIONS_MAX;
use crate::plan::root_hash;
use crate::retry::RetryPolicy;

pub(crate) const PARTITION_FORMAT: Format = Format {
    name: "skep-partition-manifest",
    version: 1,
};
pub(crate) const CLUSTER_FORMAT: Format = Format {
    name: "skep-cluster-manifest",
    version: 1,
};

/// What a partition's backup is a backup of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartitionIdentity {
    /// The cluster; two clusters must not share a place in a store.
    pub cluster_id: String,
    /// The backup, equal to the checkpoint id.
    pub backup_id: BackupId,
    /// The partition.
    pub partition: PartitionId,
    /// Partitions of the cluster.
    pub partition_count: u32,
    /// Version of tables and values; a broker with an older one cannot restore this.
    pub state_version: u32,
    /// Version of the broker that has uploaded.
    pub broker_version: String,
    /// The broker that has uploaded.
    pub node_id: u32,
    /// Position of the checkpoint.
    pub checkpoint_position: u64,
    /// Epoch of the partition's leader at the checkpoint; a restored partition starts above.
    pub epoch: u64,
    /// As Zeebe shows it: `{index}-{term}-{processed position}-{exported position}`.
    pub snapshot_id: Option<String>,
}

impl PartitionIdentity {
    /// Whether both are of one checkpoint: replicas agree on that, and two lives of a cluster, before and after a restore, do not.
    pub(crate) fn is_of_checkpoint(&self, other: &PartitionIdentity) -> bool {
        let checkpoint = |of: &PartitionIdentity| {
            let partition = (of.partition, of.partition_count);
            (of.backup_id, partition, of.checkpoint_position, of.epoch)
        };
        self.cluster_id == other.cluster_id && checkpoint(self) == checkpoint(other)
    }
}

/// One partition's backup.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartitionManifest {
    /// What it is a backup of.
    #[serde(flatten)]
    pub identity: PartitionIdentity,
    /// When the upload began, in milliseconds since 1970.
    pub created_at_ms: u64,
    /// When the last chunk was stored.
    pub completed_at_ms: u64,
    /// The partition's clock at the checkpoint. Manifests of versions that took the uploader's for it have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checkpoint_time_ms: Option<u64>,
    /// Hash over all chunks.
    pub root_hash: RootHash,
    /// The chunks, in key order.
    pub chunks: Vec<StoredChunk>,
}

/// What the cluster manifest says about a partition.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartitionSummary {
    /// What it is a backup of.
    #[serde(flatten)]
    pub identity: PartitionIdentity,
    /// See [`PartitionManifest`].
    pub created_at_ms: u64,
    /// See [`PartitionManifest`].
    pub completed_at_ms: u64,
    /// See [`PartitionManifest`].
    pub root_hash: RootHash,
    /// BLAKE3 of the partition manifest's bytes, in hexadecimal.
    pub manifest_checksum: String,
    /// Number of chunks.
    pub chunks: u64,
    /// Length of their canonical encodings.
    pub raw_bytes: u64,
    /// Length of the objects that it takes to read them.
    pub stored_bytes: u64,
}

/// A complete backup of all partitions. Follows from the partition manifests alone, so that whoever writes it writes
/// the same bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClusterManifest {
    /// The cluster.
    pub cluster_id: String,
    /// The backup.
    pub backup_id: BackupId,
    /// Partitions of the cluster, all of which are listed.
    pub partition_count: u32,
    /// The earliest of the partitions'.
    pub created_at_ms: u64,
    /// The latest of the partitions'.
    pub completed_at_ms: u64,
    /// In order of their numbers, from 1.
    pub partitions: Vec<PartitionSummary>,
}

impl PartitionManifest {
    /// Where the clock of the partition stands when it is restored: timers that are due until then are due at once.
    pub fn restored_time_ms(&self) -> u64 {
        self.checkpoint_time_ms.unwrap_or(self.created_at_ms)
    }

    /// Whether it is of one checkpoint with another. Two lives of a cluster may have the same ids and positions, but not times.
    pub(crate) fn is_of_checkpoint(
        &self,
        identity: &PartitionIdentity,
        time_ms: Option<u64>,
    ) -> bool {
        let times = self.checkpoint_time_ms.zip(time_ms);
        self.identity.is_of_checkpoint(identity) && times.is_none_or(|(one, other)| one == other)
    }

    pub(crate) fn encode(&self) -> Bytes {
        document::encode(PARTITION_FORMAT, self)
    }

    fn check(&self, backup: BackupId, partition: PartitionId) -> Result<(), String> {
        let identity = &self.identity;
        if (identity.backup_id, identity.partition) != (backup, partition) {
            return Err(format!(
                "it is of backup {}, partition {}",
                identity.backup_id, identity.partition
            ));
        }
        if !(1..=identity.partition_count).contains(&partition.0)
            || identity.partition_count > PARTITIONS_MAX
        {
            return Err(format!(
                "partition {partition} of {}",
                identity.partition_count
            ));
        }
        if !self
            .chunks
            .windows(2)
            .all(|pair| pair[0].info.first_key < pair[1].info.first_key)
        {
            return Err("its chunks are not in key order".to_owned());
        }
        if root_hash(self.chunks.iter().map(|chunk| &chunk.info)) != self.root_hash {
            return Err("its root hash does not match its chunks".to_owned());
        }
        Ok(())
    }

    pub(crate) async fn read(
        store: &dyn BlobStore,
        backup: BackupId,
        partition: PartitionId,
        retry: &RetryPolicy,
    ) -> Result<Option<(Self, Bytes)>, BackupError> {
        let path = BackupObject::Manifest(partition).path(backup);
        let read = document::read::<Self>(store, &path, PARTITION_FORMAT, retry).await?;
        if let Some((manifest, _)) = &read {
            manifest
                .check(backup, partition)
                .map_err(|detail| DocumentError::Damaged(detail).at(&path))?;
        }
        Ok(read)
    }

    /// The summary, given the manifest's bytes.
    pub(crate) fn summary(&self, bytes: &[u8]) -> PartitionSummary {
        PartitionSummary {
            identity: self.identity.clone(),
            created_at_ms: self.created_at_ms,
            completed_at_ms: self.completed_at_ms,
            root_hash: self.root_hash,
            manifest_checksum: document::checksum(bytes),
            chunks: self.chunks.len() as u64,
            raw_bytes: self.chunks.iter().map(|chunk| chunk.info.raw_bytes).sum(),
            stored_bytes: self.chunks.iter().map(StoredChunk::stored_bytes).sum(),
        }
    }
}

impl ClusterManifest {
    /// From the summaries of all partitions; what is wrong if they do not belong together.
    pub(crate) fn from_partitions(partitions: Vec<PartitionSummary>) -> Result<Self, String> {
        let first = partitions.first().ok_or("there is no partition")?;
        let (created, completed) = (
            partitions.iter().map(|p| p.created_at_ms).min(),
            partitions.iter().map(|p| p.completed_at_ms).max(),
        );
        let manifest = Self {
            cluster_id: first.identity.cluster_id.clone(),
            backup_id: first.identity.backup_id,
            partition_count: first.identity.partition_count,
            created_at_ms: created.unwrap_or_default(),
            completed_at_ms: completed.unwrap_or_default(),
            partitions,
        };
        manifest.check(manifest.backup_id).map(|()| manifest)
    }

    pub(crate) fn encode(&self) -> Bytes {
        document::encode(CLUSTER_FORMAT, self)
    }

    pub(crate) async fn read(
        store: &dyn BlobStore,
        backup: BackupId,
        retry: &RetryPolicy,
    ) -> Result<Option<(Self, Bytes)>, BackupError> {
        let path = BackupObject::Cluster.path(backup);
        let read = document::read::<Self>(store, &path, CLUSTER_FORMAT, retry).await?;
        if let Some((manifest, _)) = &read {
            manifest
                .check(backup)
                .map_err(|detail| DocumentError::Damaged(detail).at(&path))?;
        }
        Ok(read)
    }

    fn check(&self, backup: BackupId) -> Result<(), String> {
        if self.backup_id != backup {
            return Err(format!("it is of backup {}", self.backup_id));
        }
        if self.partitions.len() != self.partition_count as usize
            || self.partition_count > PARTITIONS_MAX
        {
            return Err(format!(
                "it has {} partitions instead of {}",
                self.partitions.len(),
                self.partition_count
            ));
        }
        for (number, partition) in (1..).zip(&self.partitions) {
            let identity = &partition.identity;
            let same = identity.cluster_id == self.cluster_id
                && identity.backup_id == self.backup_id
                && identity.partition_count == self.partition_count;
            if identity.partition.0 != number || !same {
                return Err(format!(
                    "partition {} is of backup {} of cluster '{}' with {} partitions, others of backup {} of cluster '{}' with {}",
                    identity.partition,
                    identity.backup_id,
                    identity.cluster_id,
                    identity.partition_count,
                    self.backup_id,
                    self.cluster_id,
                    self.partition_count
                ));
            }
        }
        Ok(())
    }
}
