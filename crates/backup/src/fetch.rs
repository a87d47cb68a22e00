//! Reading one chunk, and checking all that is known of it: its objects are there and whole, have the hashes that are
//! their names, decode, make up the content whose hash the manifest has, and agree with everything else that it says.

use bytes::Bytes;
use skep_blob::{BlobErrorKind, BlobRef};

use crate::background;
use crate::chunk::{
    ChunkError, ChunkInfo, PairRun, Patch, PatchRef, StoredChunk, StoredHeader, StoredObject,
    decode_pairs, decompress,
};
use crate::error::BackupError;
use crate::layout::ChunkName;
use crate::processors::Processors;
use crate::retry::RetryPolicy;

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

/// A chunk cannot be had.
#[derive(Debug)]
pub(crate) enum FetchError {
    /// What is wrong with which object.
    Damage {
        path: String,
        kind: DamageKind,
    },
    Other(BackupError),
}

impl StoredObject {
    pub(crate) fn name(&self) -> ChunkName {
        ChunkName {
            hash: self.hash,
            generation: self.stored.generation,
        }
    }

    fn damaged(&self, kind: DamageKind) -> FetchError {
        let path = self.name().path();
        FetchError::Damage { path, kind }
    }
}

/// Read a chunk and check it; `next` is the first key of the following chunk.
pub(crate) async fn fetch_chunk(
    store: &BlobRef,
    chunk: &StoredChunk,
    next: Option<Vec<u8>>,
    retry: &RetryPolicy,
) -> Result<PairRun, FetchError> {
    let object = fetch_object(store, chunk.object(), retry);
    let base = async {
        match chunk.base() {
            Some(base) => fetch_object(store, base.clone(), retry).await.map(Some),
            None => Ok(None),
        }
    };
    let (object, base) = futures::try_join!(object, base)?;
    let chunk = chunk.clone();
    let check = move || check_chunk(&object, base.as_deref(), &chunk, next.as_deref());
    background::run(check)
        .await
        .map_err(|e| FetchError::Other(e.into()))?
}

/// Read an object that is a whole chunk, and check that it is, for an upload.
pub(crate) async fn fetch_whole(
    store: &BlobRef,
    object: &StoredObject,
    processors: &Processors,
    retry: &RetryPolicy,
) -> Result<PairRun, FetchError> {
    let stored = fetch_object(store, object.clone(), retry).await?;
    let object = object.clone();
    let check = move || {
        let pairs = check_object(&stored, &object).and_then(|raw| Ok(decode_pairs(raw)?));
        pairs.map_err(|kind| object.damaged(kind))
    };
    background::run_in_turn(processors, check)
        .await
        .map_err(|e| FetchError::Other(e.into()))?
}

/// An object's bytes, as they are.
async fn fetch_object(
    store: &BlobRef,
    object: StoredObject,
    retry: &RetryPolicy,
) -> Result<Bytes, FetchError> {
    let path = object.name().path();
    // One byte more than expected shows an object that is too long, and nothing makes us read more.
    let range = 0..object.stored.stored_bytes.saturating_add(1);
    match retry.run(|| store.get_range(&path, range.clone())).await {
        Ok(stored) => Ok(stored),
        Err(e) if e.kind() == BlobErrorKind::NotFound => {
            let kind = DamageKind::Missing;
            Err(FetchError::Damage { path, kind })
        }
        Err(e) => Err(FetchError::Other(e.into())),
    }
}

/// The pairs of a chunk, from its object and the one that this is a patch of.
fn check_chunk(
    stored: &[u8],
    base: Option<&[u8]>,
    chunk: &StoredChunk,
    next: Option<&[u8]>,
) -> Result<PairRun, FetchError> {
    let object = chunk.object();
    let in_object = |kind| object.damaged(kind);
    let raw = check_object(stored, &object).map_err(in_object)?;
    let content = match chunk.patch.as_ref().zip(base) {
        None => raw,
        Some((patch, base)) => {
            let base = check_object(base, &patch.base).map_err(|kind| patch.base.damaged(kind))?;
            patched(&raw, base, patch, &chunk.info).map_err(in_object)?
        }
    };
    let pairs = decode_pairs(content).map_err(|e| in_object(e.into()))?;
    check_pairs(&pairs, &chunk.info, next).map_err(in_object)?;
    Ok(pairs)
}

fn check_object(stored: &[u8], object: &StoredObject) -> Result<Bytes, DamageKind> {
    let header = StoredHeader::decode(stored)?;
    let expected = &object.stored;
    if u64::from(header.raw_bytes) != object.raw_bytes {
        return Err(DamageKind::Differs("length of the content"));
    }
    if stored.len() as u64 != expected.stored_bytes
        || header.stored_bytes() != expected.stored_bytes
    {
        return Err(DamageKind::Differs("length of the object"));
    }
    if header.payload_checksum != expected.stored_checksum {
        return Err(DamageKind::Differs("checksum of the object"));
    }
    Ok(decompress(stored, object.hash)?)
}

fn patched(
    raw: &Bytes,
    base: Bytes,
    expected: &PatchRef,
    info: &ChunkInfo,
) -> Result<Bytes, DamageKind> {
    let patch = Patch::decode(raw)?;
    if patch.base != expected.base.hash {
        return Err(DamageKind::Differs("what the patch is made for"));
    }
    if patch.result != info.hash {
        return Err(DamageKind::Differs("what comes out of the patch"));
    }
    Ok(patch.apply(&decode_pairs(base)?, info)?)
}

fn check_pairs(pairs: &PairRun, chunk: &ChunkInfo, next: Option<&[u8]>) -> Result<(), DamageKind> {
    if pairs.len() as u64 != chunk.pairs {
        return Err(DamageKind::Differs("number of pairs"));
    }
    let (first, last) = pairs.ends();
    if first != Some(chunk.first_key.as_slice()) {
        return Err(DamageKind::Differs("first key"));
    }
    if next.is_some_and(|next| last >= Some(next)) {
        return Err(DamageKind::Differs("it runs into the next chunk"));
    }
    Ok(())
}
