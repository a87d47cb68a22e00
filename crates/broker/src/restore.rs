//! Rebuilding a data directory from a backup.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use futures::future::join_all;
use prost::Message as _;
use skep_backup::chunk::PairRun;
use skep_backup::{
    BackupId, Cancel, Incarnation, PartitionId, PartitionManifest, Progress, RestorableBackup,
    RestoreError, RestoreMarker, RestoreOptions, RestoreSink, RestoreTarget, RetryPolicy,
    SinkError, find_restorable, is_to_be_filled, restore_partition,
};
use skep_blob::BlobRef;
use skep_config::BrokerConfig;
use skep_engine::tables::checkpoint;
use skep_partition::{Bookkeeping, LocalPosition};
use skep_protocol::{CheckpointId, Position};
use skep_store::{BulkLoad, PartitionStore, StoreOptions};

use crate::data_dir::partition_directory;
use crate::now_ms;

/// How a restore ended well.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Restored {
    /// The data directory was rebuilt.
    Done,
    /// It had been rebuilt from this backup before; nothing was touched.
    Already {
        /// A broker has run on it since.
        has_run: bool,
    },
    /// It could be rebuilt; nothing was touched.
    WouldDo {
        /// Partitions.
        partitions: u32,
        /// Chunks to be read.
        chunks: u64,
        /// Bytes to be read.
        stored_bytes: u64,
    },
}

/// Rebuilds the data directory from backup `id`, or says what would be done. Brokers restored with another `nonce` do not join this one. A failure, and `cancel`, leave the directory as it was.
pub async fn restore(
    config: &BrokerConfig,
    store: &BlobRef,
    (id, nonce): (BackupId, &str),
    dry_run: bool,
    progress: Arc<dyn Progress>,
    cancel: Cancel,
) -> Result<Restored, RestoreError> {
    let directory = &config.data.directory;
    // Looked at first: a second run over a successful one needs no store, and a full directory no download.
    if !is_to_be_filled(directory, id, nonce)? {
        return Ok(Restored::Already {
            has_run: has_run(directory),
        });
    }
    let mut backup = find(config, store, id).await?;
    backup
        .partitions
        .retain(|manifest| is_kept(config, manifest.identity.partition));
    if dry_run {
        let all = backup.cluster.partitions.iter();
        let kept = all.filter(|partition| is_kept(config, partition.identity.partition));
        return Ok(Restored::WouldDo {
            partitions: kept.clone().count() as u32,
            chunks: kept.clone().map(|partition| partition.chunks).sum(),
            stored_bytes: kept.map(|partition| partition.stored_bytes).sum(),
        });
    }
    let Some(target) = RestoreTarget::begin(directory, id, nonce)? else {
        return Ok(Restored::Already { has_run: false });
    };
    match fill(&backup, store, target.staging(), &progress, &cancel).await {
        Ok(()) => {
            target.commit(&marker(&backup, id, nonce))?;
            Ok(Restored::Done)
        }
        Err(error) => {
            target.abort()?;
            Err(error)
        }
    }
}

/// Whether this broker keeps a partition of the backup. One that is alone keeps all, whatever their number is configured to be.
fn is_kept(config: &BrokerConfig, partition: PartitionId) -> bool {
    let cluster = &config.cluster;
    cluster.size == 1 || cluster.distribution.keeps(config.node_id, partition.0)
}

async fn find(
    config: &BrokerConfig,
    store: &BlobRef,
    id: BackupId,
) -> Result<RestorableBackup, RestoreError> {
    let partition_count = config.partitions_count;
    let retry = RetryPolicy::default();
    let found = find_restorable(
        &**store,
        id,
        partition_count,
        Bookkeeping::VERSION,
        now_ms(),
        &retry,
    )
    .await;
    match found {
        Err(RestoreError::PartitionCount { found, .. })
            if !config.backup.validate_config && config.cluster.size == 1 =>
        {
            tracing::warn!(
                configured = partition_count,
                found,
                "the backup has another partition count; set partitionsCount to it before starting the broker"
            );
            find_restorable(&**store, id, found, Bookkeeping::VERSION, now_ms(), &retry).await
        }
        found => found,
    }
}

/// Restores all partitions at once below `staging`. When one fails the others are asked to stop, and are waited for: whoever
/// empties the directory afterwards must not meet a sink that still writes.
async fn fill(
    backup: &RestorableBackup,
    store: &BlobRef,
    staging: &Path,
    progress: &Arc<dyn Progress>,
    cancel: &Cancel,
) -> Result<(), RestoreError> {
    let options = RestoreOptions {
        cancel: cancel.clone(),
        ..RestoreOptions::default()
    };
    let restored = join_all(backup.partitions.iter().map(|manifest| async {
        let restored = match StoreSink::begin(staging, manifest) {
            Ok(sink) => {
                restore_partition(store, manifest, Box::new(sink), &**progress, &options).await
            }
            Err(error) => Err(error),
        };
        if restored.is_err() {
            options.cancel.cancel();
        }
        restored
    }))
    .await;
    let mut failures: Vec<RestoreError> = restored.into_iter().filter_map(Result::err).collect();
    // The cause, rather than those that stopped because of it.
    failures.sort_by_key(|failure| matches!(failure, RestoreError::Cancelled));
    failures.into_iter().next().map_or(Ok(()), Err)
}

/// Whether a broker has begun to write its log in a directory.
fn has_run(directory: &Path) -> bool {
    directory.join("log").exists()
}

fn marker(backup: &RestorableBackup, id: BackupId, nonce: &str) -> RestoreMarker {
    RestoreMarker {
        backup_id: id,
        cluster_id: backup.cluster.cluster_id.clone(),
        incarnation: Incarnation::derive(id, &backup.checksum, nonce),
        nonce: nonce.to_owned(),
        partition_count: backup.cluster.partition_count,
        partitions: backup
            .partitions
            .iter()
            .map(|manifest| manifest.identity.partition)
            .collect(),
        restored_at_ms: now_ms(),
    }
}

/// Writes a partition's content into a new store, and the bookkeeping that the manifest stands for in between.
struct StoreSink {
    load: Option<BulkLoad>,
    /// Pairs of the manifest, by key.
    bookkeeping: BTreeMap<Vec<u8>, Vec<u8>>,
}

impl StoreSink {
    fn begin(staging: &Path, manifest: &PartitionManifest) -> Result<StoreSink, RestoreError> {
        let identity = &manifest.identity;
        let directory = partition_directory(staging, identity.partition.0);
        let sink_error = |detail: String| RestoreError::Sink {
            partition: identity.partition,
            detail,
        };
        std::fs::create_dir_all(&directory).map_err(|error| sink_error(error.to_string()))?;
        let load = PartitionStore::bulk_load(&directory, &StoreOptions::default())
            .map_err(|error| sink_error(error.to_string()))?;
        let position = Position(identity.checkpoint_position as i64);
        let progress = Bookkeeping {
            epoch: identity.epoch,
            sequence: 0,
            position: position.0,
            time: manifest.restored_time_ms() as i64,
            state_version: identity.state_version,
        };
        let latest = checkpoint::Checkpoint {
            id: CheckpointId(identity.backup_id.0 as i64),
            position,
        };
        Ok(StoreSink {
            load: Some(load),
            bookkeeping: BTreeMap::from([progress.to_pair(), latest.to_pair()]),
        })
    }

    /// Writes those pairs of the manifest that come before `key`.
    fn write_bookkeeping(&mut self, key: Option<&[u8]>) -> Result<(), SinkError> {
        while let Some(entry) = self.bookkeeping.first_entry() {
            if key.is_some_and(|key| entry.key().as_slice() >= key) {
                break;
            }
            let (key, value) = entry.remove_entry();
            self.write_pairs(&mut std::iter::once((key.as_slice(), value.as_slice())))?;
        }
        Ok(())
    }

    fn write_pairs<'a>(
        &mut self,
        pairs: &mut dyn Iterator<Item = (&'a [u8], &'a [u8])>,
    ) -> Result<(), SinkError> {
        let load = self.load.as_mut().ok_or_else(|| SinkError {
            detail: "the store is finished already".to_owned(),
        })?;
        load.write_sorted(pairs).map_err(|error| SinkError {
            detail: error.to_string(),
        })
    }
}

impl RestoreSink for StoreSink {
    fn write(&mut self, pairs: &PairRun) -> Result<(), SinkError> {
        let mut pending: Vec<(&[u8], &[u8])> = Vec::with_capacity(pairs.len());
        for (key, value) in pairs.iter() {
            if self
                .bookkeeping
                .first_key_value()
                .is_some_and(|(first, _)| first.as_slice() < key)
            {
                self.write_pairs(&mut pending.drain(..))?;
                self.write_bookkeeping(Some(key))?;
            }
            pending.push((key, value));
        }
        self.write_pairs(&mut pending.drain(..))
    }

    fn finish(&mut self) -> Result<(), SinkError> {
        self.write_bookkeeping(None)?;
        let load = self.load.take().ok_or_else(|| SinkError {
            detail: "the store is finished already".to_owned(),
        })?;
        load.finish(&LocalPosition::RESTORED.encode_to_vec().into())
            .map_err(|error| SinkError {
                detail: error.to_string(),
            })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]

    use skep_backup::{
        Base, Content, ContentError, PartitionIdentity, UploadOptions, UploadRequest, Visit,
        publish, upload_chunks,
    };
    use skep_blob::MemoryBlobStore;

    use super::*;

    struct Nothing;

    impl Content for Nothing {
        fn scan(
            &self,
            _: &[u8],
            _: &mut dyn FnMut(&[u8], &[u8]) -> Visit,
        ) -> Result<(), ContentError> {
            Ok(())
        }
    }

    #[tokio::test]
    async fn the_clock_of_a_restored_partition_stands_where_it_stood_at_the_checkpoint() {
        const TIME: u64 = 1_700_000_000_000;
        const DAY: u64 = 24 * 60 * 60 * 1_000;
        let store: BlobRef = Arc::new(MemoryBlobStore::new());
        let request = UploadRequest {
            identity: PartitionIdentity {
                cluster_id: "test".to_owned(),
                backup_id: BackupId(7),
                partition: PartitionId(1),
                partition_count: 1,
                state_version: Bookkeeping::VERSION,
                broker_version: "test".to_owned(),
                node_id: 0,
                checkpoint_position: 9,
                epoch: 3,
                snapshot_id: None,
            },
            content: Arc::new(Nothing),
            base: Base::None,
            checkpoint_time_ms: TIME,
            // The uploader's clock is wrong.
            now_ms: Arc::new(|| TIME + DAY),
            cancel: Cancel::new(),
        };
        let options = UploadOptions::default();
        let draft = upload_chunks(&store, &request, &options).await.unwrap();
        publish(&store, draft, &options, &request.cancel)
            .await
            .unwrap();

        let retry = RetryPolicy::never();
        let version = Bookkeeping::VERSION;
        let found = find_restorable(&*store, BackupId(7), 1, version, TIME, &retry).await;
        let directory = tempfile::tempdir().unwrap();
        let sink = StoreSink::begin(directory.path(), &found.unwrap().partitions[0]).unwrap();
        let (key, _) = Bookkeeping::default().to_pair();
        let restored = Bookkeeping::decode(sink.bookkeeping[&key].as_slice()).unwrap();
        assert_eq!(restored.time, TIME as i64);
    }
}
