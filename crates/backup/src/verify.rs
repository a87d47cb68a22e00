//! Reading a backup back and checking everything without restoring it.
//!
//! Checked: the cluster manifest and that it refers to the partition manifests there are; each partition manifest's own
//! checksum, order and root hash; of every chunk (or of a sample) that what it is stored in (its object, or its patch and the
//! base of that) is there, whole, has the hash that is its name, decodes into ascending pairs, and agrees with what the
//! manifest says about it.

use futures::{StreamExt, stream};
use skep_blob::BlobRef;

use crate::chunk::StoredChunk;
use crate::error::BackupError;
use crate::fetch::{DamageKind, FetchError, fetch_chunk};
use crate::ids::{BackupId, PartitionId};
use crate::manifest::PartitionManifest;
use crate::restore::Progress;
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

    /// The manifest's chunks that belong to it, with their numbers.
    fn of(self, manifest: &PartitionManifest) -> impl Iterator<Item = (usize, &StoredChunk)> {
        let chunks = manifest.chunks.iter().enumerate();
        chunks.filter(move |(number, _)| self.takes(*number))
    }
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
    progress: &dyn Progress,
    parallelism: usize,
    retry: &RetryPolicy,
) -> Result<VerifyReport, BackupError> {
    assert!(
        parallelism > 0,
        "verification reads at least one chunk at a time"
    );
    let (_, partitions) = read_backup(store.as_ref(), backup, retry).await?;
    // All at first, so that it is known how much there is to do.
    for manifest in &partitions {
        let chosen = sample.of(manifest);
        let sizes = chosen.map(|(_, chunk)| chunk.info.raw_bytes);
        let (chunks, bytes) = sizes.fold((0, 0), |(n, sum), bytes| (n + 1, sum + bytes));
        progress.begin(manifest.identity.partition, chunks, bytes);
    }
    let reads = Reads {
        store,
        sample,
        progress,
        parallelism,
        retry,
    };
    let mut report = VerifyReport::default();
    for manifest in &partitions {
        reads.verify(manifest, &mut report).await?;
        report.partitions += 1;
    }
    Ok(report)
}

/// How chunks are read.
struct Reads<'a> {
    store: &'a BlobRef,
    sample: Sample,
    progress: &'a dyn Progress,
    parallelism: usize,
    retry: &'a RetryPolicy,
}

impl Reads<'_> {
    async fn verify(
        &self,
        manifest: &PartitionManifest,
        report: &mut VerifyReport,
    ) -> Result<(), BackupError> {
        let partition = manifest.identity.partition;
        let checks = stream::iter(self.sample.of(manifest)).map(|(number, chunk)| async move {
            let next = manifest
                .chunks
                .get(number + 1)
                .map(|next| next.info.first_key.clone());
            (
                number,
                chunk,
                fetch_chunk(self.store, chunk, next, self.retry).await,
            )
        });
        let mut checks = std::pin::pin!(checks.buffered(self.parallelism));
        let mut checked = 0;
        while let Some((number, chunk, result)) = checks.next().await {
            checked += 1;
            self.progress.advance(partition, 1, chunk.info.raw_bytes);
            match result {
                Ok(_) => {
                    report.bytes_read += chunk.stored_bytes();
                }
                Err(FetchError::Damage { path, kind }) => report.damages.push(Damage {
                    partition,
                    chunk: number,
                    path,
                    kind,
                }),
                Err(FetchError::Other(e)) => return Err(e),
            }
        }
        report.chunks_checked += checked;
        report.chunks_skipped += manifest.chunks.len() as u64 - checked;
        Ok(())
    }
}
