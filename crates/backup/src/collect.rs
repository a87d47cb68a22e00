//! Freeing chunks that no backup refers to, beside running uploads.
//!
//! # How
//! A run takes the lease, then
//! 1. finishes deletions that were interrupted,
//! 2. *sweeps*: of the chunks that were condemned at least a grace time ago, those that no manifest refers to now are
//!    deleted, and the others are pardoned (their mark is removed),
//! 3. *condemns*: puts a mark for every chunk that no manifest refers to and that is older than any upload.
//!
//! The mark of a deleted chunk stays for another grace time. An upload lists the marks when it begins and never uses a
//! condemned name: it stores the chunk anew under the next *generation* of its name.
//!
//! # Why no manifest ever refers to a deleted chunk
//! Let D be the longest upload (`UPLOAD_DEADLINE_MAX`, enforced by [`crate::upload_chunks`] and [`crate::publish`]), R the
//! longest time for which a request may linger in the network, G ≥ D + R the grace time.
//! - An upload that begins at *b* lists the marks after *b*, and its manifest appears before *b* + D + R, or never.
//! - It refers to a name *n* only if it saw no mark of *n* in that list, and *n* existed afterwards: it was put
//!   then, or was seen in a listing or conditional put, or a manifest read afterwards referred to it.
//! - Suppose *n* is deleted by a sweep that saw its mark, put at *m*, and read all manifests at *s* ≥ *m* + G. If the upload
//!   listed marks before *m*, then *b* < *m*, so its manifest appeared before *b* + D + R ≤ *m* + G ≤ *s*: the sweep has
//!   seen it and pardoned *n*. If it listed them after *m*, it saw the mark, for a mark is removed only by pardon (a
//!   manifest refers to *n*: it was not deleted) or G after the sweep had begun to delete.
//! - A sweep whose deletion is late because its process slept: a lease is relied on for `LEASE_VALID` and ignored by
//!   others only R later, and the name stays condemned until G after the sweep, when no such request lingers any more.
//! - A run that takes long renews its lease while that is valid, so from its first read to its last deletion it is the only one: no
//!   mark that it has listed is removed by anybody else. How long ago it has read the manifests does not matter then.
//!
//! All times are the store's; only durations are measured locally. `tests/collector_model.rs` checks the argument by
//! going through all interleavings of a small model, and shows that it finds the fault if one of the rules is dropped.
//!
//! A name stands for one object: a chunk that is stored whole, or a patch. A manifest with a patched chunk refers to two
//! names, that of the patch and that of its base, and to each the argument applies by itself: an upload makes a patch
//! only of a base that it might as well have used as a chunk.
//!
//! # What stops a run
//! A manifest that cannot be read: what it refers to is not known, so nothing is deleted until somebody has looked.

use std::collections::{BTreeMap, HashSet};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};
use skep_blob::BlobStore;

use crate::cancel::Cancel;
use crate::chunk::StoredChunk;
use crate::delete::delete_objects;
use crate::error::BackupError;
use crate::ids::{BackupId, PartitionId};
use crate::layout::{BackupObject, CHUNKS, ChunkName, MARKS};
use crate::lease::Lease;
use crate::limits::{CHUNK_OBJECTS_MAX, GRACE_MIN, MANIFEST_READS, MARKS_MAX, UPLOAD_DEADLINE_MAX};
use crate::listing::{Listed, Names, list_names};
use crate::manifest::PartitionManifest;
use crate::retry::RetryPolicy;
use crate::status::all_backups;

/// Objects deleted by one request. The lease is looked at before each.
const DELETE_BATCH: usize = 500;

/// Marks written at the same time.
const MARKS_AT_ONCE: usize = 16;

/// How to collect.
#[derive(Clone, Debug)]
pub struct CollectOptions {
    /// Names this run: node and a number that this node has never used before.
    pub holder: String,
    /// Between condemning and deleting; at least eight hours.
    pub grace: Duration,
    /// For each call to the store.
    pub retry: RetryPolicy,
    /// To stop early; what is left is done by the next run.
    pub cancel: Cancel,
}

/// What a run has done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CollectReport {
    /// Chunks newly condemned.
    pub condemned: u64,
    /// Condemned chunks that a manifest refers to after all.
    pub pardoned: u64,
    /// Chunks deleted.
    pub deleted: u64,
    /// Their bytes.
    pub bytes_deleted: u64,
    /// Marks of chunks deleted long ago that were removed.
    pub marks_removed: u64,
    /// It stopped early, by request or because its lease ran out.
    pub interrupted: bool,
}

/// Free what no backup refers to. Run it now and then, on one node or on all.
pub async fn collect(
    store: &dyn BlobStore,
    options: &CollectOptions,
) -> Result<CollectReport, BackupError> {
    let lease = Lease::acquire(store, &options.holder, &options.retry).await?;
    let run = Run {
        store,
        options,
        lease: &lease,
        grace: options.grace.max(GRACE_MIN),
    };
    let result = run.collect().await;
    // After an error the lease expires by itself if it cannot be released.
    let released = lease.release(store, &options.retry).await;
    let report = result?;
    released.map(|()| report)
}

struct Run<'a> {
    store: &'a dyn BlobStore,
    options: &'a CollectOptions,
    lease: &'a Lease,
    grace: Duration,
}

impl Run<'_> {
    async fn collect(&self) -> Result<CollectReport, BackupError> {
        // The order of these reads matters: marks, then manifests.
        let marks = self.list(MARKS, MARKS_MAX).await?;
        let backups = all_backups(self.store, &self.options.retry).await?;
        let mut report = CollectReport::default();
        let Some(referenced) = self.referenced(&backups).await? else {
            report.interrupted = true;
            return Ok(report);
        };
        let chunks = self.list(CHUNKS, CHUNK_OBJECTS_MAX).await?;
        self.finish_deletions(&backups).await?;
        let sweep = Sweep::decide(&marks, &referenced, &chunks, self.lease.now, self.grace);
        report.interrupted |= !self
            .delete_chunks(&sweep.delete, &chunks, &mut report)
            .await?;
        report.pardoned = self
            .delete_marks(&sweep.pardon, &mut report.interrupted)
            .await?;
        report.marks_removed = self
            .delete_marks(&sweep.forget, &mut report.interrupted)
            .await?;
        let left = MARKS_MAX.saturating_sub(marks.len());
        let unreferenced = chunks.iter().filter(|(name, chunk)| {
            !referenced.contains(name)
                && !marks.contains_key(name)
                && self.age(chunk) > UPLOAD_DEADLINE_MAX
        });
        let condemned: Vec<ChunkName> = unreferenced.take(left).map(|(name, _)| *name).collect();
        for batch in condemned.chunks(DELETE_BATCH) {
            if !self.may_go_on().await? {
                report.interrupted = true;
                break;
            }
            self.put_marks(batch).await?;
            report.condemned += batch.len() as u64;
        }
        Ok(report)
    }

    /// Looked at before each step of a long run, so that the lease is renewed in time.
    async fn may_go_on(&self) -> Result<bool, BackupError> {
        let valid = self.lease.keep(self.store, &self.options.retry).await?;
        Ok(valid && !self.options.cancel.is_cancelled())
    }

    fn age(&self, object: &Listed) -> Duration {
        self.lease
            .now
            .duration_since(object.modified)
            .unwrap_or_default()
    }

    async fn list(&self, prefix: &str, limit: usize) -> Result<Names, BackupError> {
        Ok(list_names(self.store, prefix, limit, &self.options.retry).await?)
    }

    /// The chunks of all manifests there are, those of backups being deleted included. None if interrupted.
    async fn referenced(
        &self,
        backups: &BTreeMap<BackupId, Vec<BackupObject>>,
    ) -> Result<Option<HashSet<ChunkName>>, BackupError> {
        let manifests = backups.iter().flat_map(|(backup, objects)| {
            let partitions = objects.iter().filter_map(|object| match object {
                BackupObject::Manifest(partition) => Some(*partition),
                _ => None,
            });
            partitions.map(|partition| (*backup, partition))
        });
        let reads: Vec<_> = manifests
            .map(|(backup, partition)| self.chunks_of(backup, partition))
            .collect();
        let mut reads = stream::iter(reads).buffer_unordered(MANIFEST_READS);
        let mut referenced = HashSet::new();
        while let Some(names) = reads.try_next().await? {
            referenced.extend(names);
            if !self.may_go_on().await? {
                return Ok(None);
            }
        }
        Ok(Some(referenced))
    }

    /// What a manifest refers to: nothing if it was deleted since it was listed.
    async fn chunks_of(
        &self,
        backup: BackupId,
        partition: PartitionId,
    ) -> Result<Vec<ChunkName>, BackupError> {
        let retry = &self.options.retry;
        let read = PartitionManifest::read(self.store, backup, partition, retry).await?;
        let chunks = read.map_or_else(Vec::new, |(manifest, _)| manifest.chunks);
        let objects = chunks.iter().flat_map(StoredChunk::objects);
        Ok(objects.map(|object| object.name()).collect())
    }

    async fn finish_deletions(
        &self,
        backups: &BTreeMap<BackupId, Vec<BackupObject>>,
    ) -> Result<(), BackupError> {
        let retry = &self.options.retry;
        for (backup, _) in backups
            .iter()
            .filter(|(_, objects)| objects.contains(&BackupObject::Deleted))
        {
            delete_objects(self.store, *backup, retry).await?;
            let path = BackupObject::Deleted.path(*backup);
            let meta = retry.run(|| self.store.head(&path)).await?;
            let age = self
                .lease
                .now
                .duration_since(meta.modified)
                .unwrap_or_default();
            if age > self.grace {
                let path = [path];
                retry.run(|| self.store.delete(&path)).await?;
            }
        }
        Ok(())
    }

    async fn put_marks(&self, names: &[ChunkName]) -> Result<(), BackupError> {
        let put = |name: &ChunkName| {
            let path = name.mark_path();
            async move {
                let bytes = Bytes::from_static(b"condemned\n");
                self.options
                    .retry
                    .run(|| self.store.put(&path, bytes.clone()))
                    .await
            }
        };
        let puts: Vec<_> = names.iter().map(put).collect();
        Ok(stream::iter(puts)
            .buffer_unordered(MARKS_AT_ONCE)
            .try_collect()
            .await?)
    }

    /// False if interrupted.
    async fn delete_chunks(
        &self,
        names: &[ChunkName],
        chunks: &Names,
        report: &mut CollectReport,
    ) -> Result<bool, BackupError> {
        for batch in names.chunks(DELETE_BATCH) {
            // Renewed, so that the name stays condemned for a grace time after the deletion.
            self.put_marks(batch).await?;
            if !self.may_go_on().await? {
                return Ok(false);
            }
            let paths: Vec<String> = batch.iter().map(|name| name.path()).collect();
            self.options.retry.run(|| self.store.delete(&paths)).await?;
            report.deleted += batch.len() as u64;
            report.bytes_deleted += batch
                .iter()
                .map(|name| chunks.get(name).map_or(0, |c| c.size))
                .sum::<u64>();
        }
        Ok(true)
    }

    async fn delete_marks(
        &self,
        names: &[ChunkName],
        interrupted: &mut bool,
    ) -> Result<u64, BackupError> {
        let mut removed = 0;
        for batch in names.chunks(DELETE_BATCH) {
            if !self.may_go_on().await? {
                *interrupted = true;
                break;
            }
            let paths: Vec<String> = batch.iter().map(|name| name.mark_path()).collect();
            self.options.retry.run(|| self.store.delete(&paths)).await?;
            removed += batch.len() as u64;
        }
        Ok(removed)
    }
}

/// What to do with condemned chunks.
#[derive(Debug, Default)]
struct Sweep {
    delete: Vec<ChunkName>,
    pardon: Vec<ChunkName>,
    forget: Vec<ChunkName>,
}

impl Sweep {
    fn decide(
        marks: &Names,
        referenced: &HashSet<ChunkName>,
        chunks: &Names,
        now: SystemTime,
        grace: Duration,
    ) -> Self {
        let mut sweep = Self::default();
        let age = |mark: &Listed| now.duration_since(mark.modified).unwrap_or_default();
        for (name, _) in marks.iter().filter(|(_, mark)| age(mark) >= grace) {
            match (referenced.contains(name), chunks.contains_key(name)) {
                (true, _) => sweep.pardon.push(*name),
                (false, true) => sweep.delete.push(*name),
                // The sweep that deleted it renewed the mark first, so that was a grace time ago.
                (false, false) => sweep.forget.push(*name),
            }
        }
        sweep
    }
}
