//! Reading a backup back and checking everything without restoring it.
//!
//! Checked: the cluster manifest and that it refers to the partition manifests there are; each partition manifest's own
//! checksum, order and root hash; of every chunk (or of a sample) that the object is there, whole, has the hash that is its
//! name, decodes into ascending pairs, and agrees with what the manifest says about it.

use std::sync::Arc;

use futures::{StreamExt, stream};
use skep_blob::{BlobErrorKind, BlobRef};

use crate::background;
use crate::chunk::{ChunkError, PairRun, StoredChunk, StoredHeader, decode_pairs, decompress};
use crate::error::BackupError;
use crate::ids::{BackupId, PartitionId};
use crate::manifest::PartitionManifest;
use crate::retry::RetryPolicy;
use crate::status::read_backup;

/// Which chunks to read: part `part` (from 1) of `of`. Going through all parts, on successive days say, reads every chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sample {
    part: u64,
    of: u64,
}

impl Sample {
    /// All chunks.
    pub const ALL: Self = Self { part: 1, of: 1 };

    /// Part `part` of `of`; none unless `1 <= part <= of`.
    pub fn new(part: u64, of: u64) -> Option<Self> {
        (1..=of).contains(&part).then_some(Self { part, of })
    }

    fn takes(self, chunk: usize) -> bool {
        chunk as u64 % self.of == self.part - 1
    }
}

/// What is wrong with something.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DamageKind {
    /// The object is not there.
    #[error("missing")]
    Missing,
    /// Its bytes are not what they were.
    #[error("damaged: {0}")]
    Chunk(#[from] ChunkError),
    /// It is sound in itself but is not what the manifest describes.
    #[error("differs from the manifest: {0}")]
    Differs(&'static str),
}

/// One thing that is wrong, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    /// The partition.
    pub partition: PartitionId,
    /// Number of the chunk in its manifest, from 0.
    pub chunk: usize,
    /// The object.
    pub path: String,
    /// What is wrong.
    pub kind: DamageKind,
}

/// Outcome of a verification.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VerifyReport {
    /// Partitions whose manifests are sound.
    pub partitions: u64,
    /// Chunks read.
    pub chunks_checked: u64,
    /// Chunks left out by the sample.
    pub chunks_skipped: u64,
    /// Bytes of objects read.
    pub bytes_read: u64,
    /// Everything that is wrong, by partition and chunk.
    pub damages: Vec<Damage>,
}

impl VerifyReport {
    /// Whether nothing was found.
    pub fn is_sound(&self) -> bool {
        self.damages.is_empty()
    }
}

/// Verify a completed backup. Errors are about reading the store or about manifests; damaged chunks are in the report.
pub async fn verify_backup(
    store: &BlobRef,
    backup: BackupId,
    sample: Sample,
    parallelism: usize,
    retry: &RetryPolicy,
) -> Result<VerifyReport, BackupError> {
    assert!(
        parallelism > 0,
        "verification reads at least one chunk at a time"
    );
    let (_, partitions) = read_backup(store.as_ref(), backup, retry).await?;
    let mut report = VerifyReport::default();
    for manifest in &partitions {
        verify_partition(store, manifest, sample, parallelism, retry, &mut report).await?;
        report.partitions += 1;
    }
    Ok(report)
}

async fn verify_partition(
    store: &BlobRef,
    manifest: &PartitionManifest,
    sample: Sample,
    parallelism: usize,
    retry: &RetryPolicy,
    report: &mut VerifyReport,
) -> Result<(), BackupError> {
    let chosen = manifest
        .chunks
        .iter()
        .enumerate()
        .filter(|(number, _)| sample.takes(*number));
    let checks = stream::iter(chosen).map(|(number, chunk)| async move {
        let next = manifest
            .chunks
            .get(number + 1)
            .map(|next| next.info.first_key.clone());
        (number, chunk, fetch_chunk(store, chunk, next, retry).await)
    });
    let mut checks = std::pin::pin!(checks.buffered(parallelism));
    let mut checked = 0;
    while let Some((number, chunk, result)) = checks.next().await {
        checked += 1;
        let kind = match result {
            Ok(_) => {
                report.bytes_read += chunk.stored_bytes;
                continue;
            }
            Err(FetchError::Damage(kind)) => kind,
            Err(FetchError::Other(e)) => return Err(e),
        };
        let (partition, path) = (manifest.identity.partition, chunk.name().path());
        report.damages.push(Damage {
            partition,
            chunk: number,
            path,
            kind,
        });
    }
    report.chunks_checked += checked;
    report.chunks_skipped += manifest.chunks.len() as u64 - checked;
    Ok(())
}

/// A chunk cannot be had.
#[derive(Debug)]
pub(crate) enum FetchError {
    Damage(DamageKind),
    Other(BackupError),
}

impl From<ChunkError> for FetchError {
    fn from(e: ChunkError) -> Self {
        Self::Damage(e.into())
    }
}

/// Read a chunk and check all that is known of it; `next` is the first key of the following chunk.
pub(crate) async fn fetch_chunk(
    store: &BlobRef,
    chunk: &StoredChunk,
    next: Option<Vec<u8>>,
    retry: &RetryPolicy,
) -> Result<PairRun, FetchError> {
    let path = chunk.name().path();
    // One byte more than expected shows an object that is too long, and nothing makes us read more.
    let range = 0..chunk.stored_bytes + 1;
    let stored = match retry.run(|| store.get_range(&path, range.clone())).await {
        Ok(stored) => stored,
        Err(e) if e.kind() == BlobErrorKind::NotFound => {
            return Err(FetchError::Damage(DamageKind::Missing));
        }
        Err(e) => return Err(FetchError::Other(e.into())),
    };
    let chunk = Arc::new(chunk.clone());
    let check = move || check_chunk(&stored, &chunk, next.as_deref());
    background::run(check)
        .await
        .map_err(|e| FetchError::Other(e.into()))?
}

fn check_chunk(
    stored: &[u8],
    chunk: &StoredChunk,
    next: Option<&[u8]>,
) -> Result<PairRun, FetchError> {
    let differs = |what| Err(FetchError::Damage(DamageKind::Differs(what)));
    let header = StoredHeader::decode(stored)?;
    if u64::from(header.raw_bytes) != chunk.info.raw_bytes {
        return differs("length of the content");
    }
    if stored.len() as u64 != chunk.stored_bytes || header.stored_bytes() != chunk.stored_bytes {
        return differs("length of the object");
    }
    if header.payload_checksum != chunk.stored_checksum {
        return differs("checksum of the object");
    }
    let pairs = decode_pairs(decompress(stored, chunk.info.hash)?)?;
    if pairs.len() as u64 != chunk.info.pairs {
        return differs("number of pairs");
    }
    let (mut first, mut last) = (None, None);
    for (key, _) in pairs.iter() {
        first = first.or(Some(key));
        last = Some(key);
    }
    if first != Some(chunk.info.first_key.as_slice()) {
        return differs("first key");
    }
    if next.is_some_and(|next| last >= Some(next)) {
        return differs("it runs into the next chunk");
    }
    Ok(pairs)
}
