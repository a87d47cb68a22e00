//! Taking the backup of one partition: first all chunks, then the manifest.
//!
//! Two steps, so that the caller can compare root hashes with other replicas in between: [`upload_chunks`] gives a
//! draft, [`publish`] writes the manifest. Both must end within the upload's deadline: the collector relies on it, and a
//! backup that is stuck must not hold the partition's frozen content for ever (Zeebe issue 10547).
//!
//! Dropping a future here leaves chunks without a manifest, which the collector removes, and a reader of the content
//! that stops at its next chunk.

use std::num::NonZeroU64;
use std::sync::Arc;
use std::time::Duration;

use futures::{StreamExt, TryStreamExt, stream};
use skep_blob::{BlobErrorKind, BlobRef, BlobStore, PutOutcome, list_sorted};
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::ChunkIndex;
use crate::background::Background;
use crate::base::Base;
use crate::cancel::Cancel;
use crate::content::{Content, Visit};
use crate::error::BackupError;
use crate::ids::BackupId;
use crate::layout::{BackupObject, backup_dir};
use crate::limits::{PARTITIONS_MAX, UPLOAD_DEADLINE_MAX};
use crate::manifest::{PartitionIdentity, PartitionManifest};
use crate::marker::{Started, is_deleted, mark_started};
use crate::pace::Pace;
use crate::plan::{PlanStats, PlannedChunk, plan_chunks, root_hash};
use crate::processors::Processors;
use crate::retry::RetryPolicy;
use crate::store_chunk::{ChunkStore, How, Kept, Known};

/// Chunks read but not yet taken by an upload; bounds memory.
const CHUNKS_AHEAD: usize = 2;

/// How to upload.
#[derive(Clone, Debug)]
pub struct UploadOptions {
    /// Chunks compressed and sent at once. Each takes up to 9 MiB of memory, and twice that where it is compared with an earlier one.
    pub parallelism: usize,
    /// Limit of the bandwidth.
    pub bytes_per_second: Option<NonZeroU64>,
    /// From begin to manifest; at most six hours.
    pub deadline: Duration,
    /// What all uploads of a node take of its processors, together.
    pub processors: Processors,
    /// zstd level.
    pub compression_level: i32,
    /// For each call to the store.
    pub retry: RetryPolicy,
}

impl Default for UploadOptions {
    fn default() -> Self {
        Self {
            parallelism: 4,
            bytes_per_second: None,
            deadline: Duration::from_secs(60 * 60),
            processors: Processors::half(),
            compression_level: 1,
            retry: RetryPolicy::default(),
        }
    }
}

/// What to upload.
#[derive(Clone)]
pub struct UploadRequest {
    /// What it is a backup of.
    pub identity: PartitionIdentity,
    /// The frozen content.
    pub content: Arc<dyn Content>,
    /// An earlier backup.
    pub base: Base,
    /// The partition's clock at the checkpoint, in milliseconds since 1970.
    pub checkpoint_time_ms: u64,
    /// The uploader's clock, in milliseconds since 1970.
    pub now_ms: Arc<dyn Fn() -> u64 + Send + Sync>,
    /// To stop early.
    pub cancel: Cancel,
}

/// What an upload has cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct UploadStats {
    /// What reading has cost.
    pub plan: PlanStats,
    /// Chunks sent to the store.
    pub chunks_uploaded: u64,
    /// Those of them that were sent as patches.
    pub patches_uploaded: u64,
    /// Their objects' bytes.
    pub bytes_uploaded: u64,
}

/// All chunks are stored; the manifest is not.
#[derive(Clone, Debug)]
pub struct UploadDraft {
    /// The manifest to be.
    pub manifest: PartitionManifest,
    /// What it has cost.
    pub stats: UploadStats,
    /// The store had this partition's backup already; `manifest` is what it has.
    pub already_published: bool,
    index: ChunkIndex,
    expires: Instant,
    limit: Duration,
}

impl UploadDraft {
    /// The index for the next backup.
    pub fn index(&self) -> ChunkIndex {
        self.index.clone()
    }
}

/// Store all chunks of the partition's content that are not stored yet.
pub async fn upload_chunks(
    store: &BlobRef,
    request: &UploadRequest,
    options: &UploadOptions,
) -> Result<UploadDraft, BackupError> {
    assert!(
        options.parallelism > 0,
        "uploads need at least one transfer at a time"
    );
    let limit = options.deadline.min(UPLOAD_DEADLINE_MAX);
    let expires = Instant::now() + limit;
    let upload = upload_within(store, request, options, expires, limit);
    within(upload, expires, limit, &request.cancel).await
}

async fn within<T>(
    work: impl Future<Output = Result<T, BackupError>>,
    expires: Instant,
    limit: Duration,
    cancel: &Cancel,
) -> Result<T, BackupError> {
    tokio::select! {
        biased;
        () = cancel.cancelled() => Err(BackupError::Cancelled),
        result = tokio::time::timeout_at(expires, work) => {
            result.unwrap_or(Err(BackupError::Deadline { limit }))
        }
    }
}

async fn upload_within(
    store: &BlobRef,
    request: &UploadRequest,
    options: &UploadOptions,
    expires: Instant,
    limit: Duration,
) -> Result<UploadDraft, BackupError> {
    let (identity, retry) = (&request.identity, &options.retry);
    let created_at_ms = (request.now_ms)();
    let objects = backup_objects(store.as_ref(), identity.backup_id, retry).await?;
    if objects.contains(&BackupObject::Deleted) {
        return Err(BackupError::Deleted {
            backup: identity.backup_id,
        });
    }
    let existing = PartitionManifest::read(
        store.as_ref(),
        identity.backup_id,
        identity.partition,
        retry,
    )
    .await?;
    if let Some((manifest, _)) = existing {
        if !manifest.is_of_checkpoint(identity, Some(request.checkpoint_time_ms)) {
            return Err(BackupError::Taken {
                backup: identity.backup_id,
                partition: identity.partition,
                found: manifest.identity.checkpoint_position,
                ours: identity.checkpoint_position,
            });
        }
        return Ok(UploadDraft {
            index: ChunkIndex::of_stored(&manifest.chunks),
            manifest,
            stats: UploadStats::default(),
            already_published: true,
            expires,
            limit,
        });
    }
    let deadline_ms =
        created_at_ms.saturating_add(u64::try_from(limit.as_millis()).unwrap_or(u64::MAX));
    let started = Started {
        identity: identity.clone(),
        started_at_ms: created_at_ms,
        deadline_ms,
    };
    mark_started(store.as_ref(), &started, retry).await?;
    // Somebody has begun before us: what it has stored is worth looking for.
    let resumed = objects.contains(&BackupObject::Started(identity.partition));
    let chunk_store = chunk_store(store, request, options, resumed).await?;
    let (kept, stats) = store_all(chunk_store, request, options.parallelism).await?;
    let (chunks, entries): (Vec<_>, Vec<_>) = kept
        .into_iter()
        .map(|kept| (kept.chunk.clone(), (kept.chunk.info, kept.derived)))
        .unzip();
    let manifest = PartitionManifest {
        identity: identity.clone(),
        created_at_ms,
        completed_at_ms: (request.now_ms)().max(created_at_ms),
        checkpoint_time_ms: Some(request.checkpoint_time_ms),
        root_hash: root_hash(chunks.iter().map(|chunk| &chunk.info)),
        chunks,
    };
    Ok(UploadDraft {
        manifest,
        stats,
        already_published: false,
        index: ChunkIndex::with(entries),
        expires,
        limit,
    })
}

/// Finds what this backup can build on. `resumed`: somebody may have stored a part of it.
async fn chunk_store(
    store: &BlobRef,
    request: &UploadRequest,
    options: &UploadOptions,
    resumed: bool,
) -> Result<ChunkStore, BackupError> {
    let (identity, retry) = (&request.identity, &options.retry);
    let base = request.base.find(store.as_ref(), identity, retry).await?;
    let base_id = base.as_ref().map(|base| base.backup_id);
    let known = Known::read(store.as_ref(), identity, base_id, resumed, retry).await?;
    Ok(ChunkStore {
        store: Arc::clone(store),
        content: Arc::clone(&request.content),
        dirty: base.map(|base| base.dirty),
        known: Arc::new(known),
        pace: Arc::new(Pace::new(options.bytes_per_second)),
        retry: *retry,
        level: options.compression_level,
        processors: options.processors.clone(),
    })
}

/// Plan on a blocking thread and store what comes out of it, in order, several at once.
async fn store_all(
    chunk_store: ChunkStore,
    request: &UploadRequest,
    parallelism: usize,
) -> Result<(Vec<Kept>, UploadStats), BackupError> {
    let (sender, receiver) = mpsc::channel::<PlannedChunk>(CHUNKS_AHEAD);
    let content = Arc::clone(&request.content);
    let dirty = chunk_store.dirty.clone();
    let cancel = request.cancel.clone();
    let processors = chunk_store.processors.clone();
    let planner = Background::begin(move || {
        let mut turn = Some(processors.take());
        plan_chunks(content.as_ref(), dirty.as_deref(), &mut |planned| {
            // Others have theirs between two chunks, and while nobody takes this one.
            turn = None;
            // The receiver is gone when the upload has failed or was dropped.
            let taken = !cancel.is_cancelled() && sender.blocking_send(planned).is_ok();
            turn = Some(processors.take());
            if taken { Visit::Continue } else { Visit::Stop }
        })
    });
    let planned = stream::unfold(receiver, |mut receiver| async move {
        receiver.recv().await.map(|planned| (planned, receiver))
    });
    let stored: Result<Vec<_>, _> = planned
        .map(|planned| chunk_store.clone().store(planned))
        .buffered(parallelism)
        .try_collect()
        .await;
    // The stream is gone, so the planner ends at its next chunk at the latest.
    let plan = planner.wait().await?;
    let (stored, plan) = (stored?, plan?);
    if request.cancel.is_cancelled() {
        return Err(BackupError::Cancelled);
    }
    assert_eq!(
        stored.len() as u64,
        plan.chunks_read + plan.chunks_unchanged,
        "chunks planned and stored"
    );
    let mut stats = UploadStats {
        plan,
        ..UploadStats::default()
    };
    for kept in stored.iter().filter(|kept| kept.how == How::Uploaded) {
        stats.chunks_uploaded += 1;
        stats.patches_uploaded += u64::from(kept.chunk.patch.is_some());
        stats.bytes_uploaded += kept.chunk.stored.stored_bytes;
    }
    Ok((stored, stats))
}

/// Make the partition's backup exist. If the same backup exists already, that one is returned.
pub async fn publish(
    store: &BlobRef,
    draft: UploadDraft,
    options: &UploadOptions,
    cancel: &Cancel,
) -> Result<PartitionManifest, BackupError> {
    if draft.already_published {
        return Ok(draft.manifest);
    }
    let (expires, limit) = (draft.expires, draft.limit);
    within(
        publish_within(store.as_ref(), draft.manifest, &options.retry),
        expires,
        limit,
        cancel,
    )
    .await
}

async fn publish_within(
    store: &dyn BlobStore,
    manifest: PartitionManifest,
    retry: &RetryPolicy,
) -> Result<PartitionManifest, BackupError> {
    let (backup, partition) = (manifest.identity.backup_id, manifest.identity.partition);
    if is_deleted(store, backup, retry).await? {
        return Err(BackupError::Deleted { backup });
    }
    let path = BackupObject::Manifest(partition).path(backup);
    let bytes = manifest.encode();
    match retry
        .run(|| store.put_if_absent(&path, bytes.clone()))
        .await
    {
        Ok(PutOutcome::Created) => return Ok(manifest),
        Ok(PutOutcome::AlreadyExists) => {}
        // Without conditional puts two uploaders may overwrite each other here. Both manifests are then complete, and
        // as replicas agree on the content they say the same.
        Err(e) if e.kind() == BlobErrorKind::NotSupported => {
            if PartitionManifest::read(store, backup, partition, retry)
                .await?
                .is_none()
            {
                retry.run(|| store.put(&path, bytes.clone())).await?;
                return Ok(manifest);
            }
        }
        Err(e) => return Err(e.into()),
    }
    let existing = PartitionManifest::read(store, backup, partition, retry).await?;
    let (existing, _) = existing.ok_or(BackupError::Deleted { backup })?;
    let same = existing.root_hash == manifest.root_hash
        && existing.is_of_checkpoint(&manifest.identity, manifest.checkpoint_time_ms);
    if same {
        return Ok(existing);
    }
    Err(BackupError::Conflict {
        backup,
        partition,
        found: existing.root_hash,
        ours: manifest.root_hash,
    })
}

/// What there is of a backup.
pub(crate) async fn backup_objects(
    store: &dyn BlobStore,
    backup: BackupId,
    retry: &RetryPolicy,
) -> Result<Vec<BackupObject>, BackupError> {
    let objects_max = PARTITIONS_MAX as usize * 3 + 2;
    let dir = backup_dir(backup);
    let found = retry.run(|| list_sorted(store, &dir, objects_max)).await?;
    let parsed = found
        .iter()
        .filter_map(|meta| BackupObject::parse(&meta.path));
    Ok(parsed
        .filter(|(id, _)| *id == backup)
        .map(|(_, object)| object)
        .collect())
}
