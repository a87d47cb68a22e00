//! Storing one chunk, whole or as a patch, or finding that it is stored already.
//!
//! A patch is made only against a chunk that the manifest of the base backup has whole, and only if every key is known in which
//! the two can differ: [`DirtyChunks`] has noted them, or the two are compared.
//!
//! [`Known`] is what an upload knows of the store: it is filled *after* the upload's time began to run and the condemned
//! chunks were listed, in this order; the argument in [`crate::collect`] rests on it.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use bytes::Bytes;
use skep_blob::{BlobErrorKind, BlobRef, BlobStore, PutOutcome};

use crate::background::run_in_turn;
use crate::base::differences;
use crate::chunk::{
    ChunkError, ChunkHash, ChunkInfo, EncodedChunk, PatchRef, STORED_HEADER_BYTES, Stored,
    StoredChunk, StoredHeader, StoredObject, compress, decode_pairs, encode_patch,
};
use crate::content::{Content, ContentError};
use crate::dirty::DirtyChunks;
use crate::error::BackupError;
use crate::fetch::fetch_whole;
use crate::ids::BackupId;
use crate::index::Derived;
use crate::keys::KeySet;
use crate::layout::{CHUNKS, ChunkName, MARKS};
use crate::limits::{CHUNK_OBJECTS_MAX, MARKS_MAX};
use crate::listing::list_names;
use crate::manifest::{PartitionIdentity, PartitionManifest};
use crate::pace::Pace;
use crate::plan::{PlannedChunk, PlannedContent, read_chunk, unnoted};
use crate::processors::Processors;
use crate::retry::RetryPolicy;

/// What an upload knows of the store.
#[derive(Debug, Default)]
pub(crate) struct Known {
    condemned: HashSet<ChunkName>,
    /// Chunks of the base backup, as they are stored.
    chunks: HashMap<ChunkHash, StoredChunk>,
    /// What the base backup needs that is stored whole.
    wholes: HashMap<ChunkHash, StoredObject>,
    listed: HashSet<ChunkName>,
}

impl Known {
    /// `base` is the backup that is likely to share chunks with this one. `list` looks for the chunks of uploads that
    /// have not become a backup, too.
    pub(crate) async fn read(
        store: &dyn BlobStore,
        identity: &PartitionIdentity,
        base: Option<BackupId>,
        list: bool,
        retry: &RetryPolicy,
    ) -> Result<Self, BackupError> {
        let mut known = Self {
            condemned: names(store, MARKS, MARKS_MAX, retry).await?,
            ..Self::default()
        };
        let manifest = match base {
            Some(base) => PartitionManifest::read(store, base, identity.partition, retry).await?,
            None => None,
        };
        if let Some((manifest, _)) = &manifest {
            known.take_in(&manifest.chunks);
        }
        if list || manifest.is_none() {
            known.listed = names(store, CHUNKS, CHUNK_OBJECTS_MAX, retry).await?;
        }
        Ok(known)
    }

    fn take_in(&mut self, chunks: &[StoredChunk]) {
        let condemned = &self.condemned;
        let usable = |object: &StoredObject| !condemned.contains(&object.name());
        let sound = chunks
            .iter()
            .filter(|chunk| chunk.objects().all(|object| usable(&object)));
        self.chunks = sound
            .map(|chunk| (chunk.info.hash, chunk.clone()))
            .collect();
        let wholes = chunks
            .iter()
            .map(|chunk| chunk.base().cloned().unwrap_or_else(|| chunk.object()));
        self.wholes = wholes
            .filter(usable)
            .map(|whole| (whole.hash, whole))
            .collect();
    }

    /// How the chunk can be used as it is stored.
    fn stored(&self, info: &ChunkInfo) -> Option<StoredChunk> {
        let as_it_was = self.chunks.get(&info.hash);
        let as_it_was = as_it_was.map(|chunk| (chunk.stored, chunk.patch.clone()));
        let whole = || {
            self.wholes
                .get(&info.hash)
                .map(|whole| (whole.stored, None))
        };
        let (stored, patch) = as_it_was.or_else(whole)?;
        Some(StoredChunk {
            info: info.clone(),
            stored,
            patch,
        })
    }

    /// The name under which the chunk may be used: the first that is not condemned.
    fn usable_name(&self, hash: ChunkHash) -> ChunkName {
        let names = (0..).map(|generation| ChunkName { hash, generation });
        let mut usable = names.filter(|name| !self.condemned.contains(name));
        usable.next().expect("fewer marks than generations")
    }
}

async fn names(
    store: &dyn BlobStore,
    prefix: &str,
    limit: usize,
    retry: &RetryPolicy,
) -> Result<HashSet<ChunkName>, BackupError> {
    Ok(list_names(store, prefix, limit, retry)
        .await?
        .into_keys()
        .collect())
}

impl Stored {
    fn new(name: ChunkName, header: StoredHeader) -> Self {
        Self {
            generation: name.generation,
            stored_bytes: header.stored_bytes(),
            stored_checksum: header.payload_checksum,
        }
    }
}

/// How a chunk came to be stored, for figures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum How {
    Reused,
    Uploaded,
}

/// A chunk that is stored.
#[derive(Debug)]
pub(crate) struct Kept {
    pub(crate) chunk: StoredChunk,
    pub(crate) how: How,
    /// For the index.
    pub(crate) derived: Option<Derived>,
}

impl Kept {
    fn new(chunk: StoredChunk, how: How, derived: Option<Derived>) -> Self {
        let derived = match chunk.base() {
            None => Some(Derived::whole(&chunk.info)),
            Some(base) => derived.filter(|derived| derived.base == base.hash),
        };
        Self {
            chunk,
            how,
            derived,
        }
    }
}

/// An object to be put, and what is in it.
struct Packed {
    hash: ChunkHash,
    raw_bytes: u64,
    patch: Option<PatchRef>,
    bytes: Bytes,
    header: StoredHeader,
}

/// What the uploads of one partition's chunks share.
#[derive(Clone)]
pub(crate) struct ChunkStore {
    pub(crate) store: BlobRef,
    pub(crate) content: Arc<dyn Content>,
    pub(crate) dirty: Option<Arc<DirtyChunks>>,
    pub(crate) known: Arc<Known>,
    pub(crate) pace: Arc<Pace>,
    pub(crate) retry: RetryPolicy,
    pub(crate) level: i32,
    pub(crate) processors: Processors,
}

impl ChunkStore {
    /// Have the chunk stored under names that will not be deleted before the upload's time is over.
    pub(crate) async fn store(self, planned: PlannedChunk) -> Result<Kept, BackupError> {
        let PlannedChunk {
            info,
            content,
            slot,
        } = planned;
        let notes = self.dirty.as_deref().zip(slot);
        let derived = notes.and_then(|(dirty, slot)| dirty.derived(slot));
        if let Some(chunk) = self.known.stored(&info) {
            return Ok(Kept::new(chunk, How::Reused, derived));
        }
        let name = self.known.usable_name(info.hash);
        if self.known.listed.contains(&name)
            && let Some(header) = self.sound_header(name, info.raw_bytes).await?
        {
            let stored = Stored::new(name, header);
            let chunk = StoredChunk {
                info,
                stored,
                patch: None,
            };
            return Ok(Kept::new(chunk, How::Reused, derived));
        }
        let encoding = match content {
            PlannedContent::Read(encoding) => encoding,
            PlannedContent::Unchanged => self.read_again(info.clone()).await?,
        };
        let chunk = EncodedChunk { info, encoding };
        let derived = match derived {
            None => self.compare(notes, &chunk).await,
            noted => noted,
        };
        let base = self.base_of(&chunk.info, derived.as_ref())?;
        let (level, info) = (self.level, chunk.info.clone());
        let packed = run_in_turn(&self.processors, move || pack(&chunk, base, level)).await?;
        let packed = packed.map_err(|source| chunk_error(name, source))?;
        let patch = packed.patch.clone();
        let (stored, how) = self.put(packed).await?;
        let chunk = StoredChunk {
            info,
            stored,
            patch,
        };
        Ok(Kept::new(chunk, how, derived))
    }

    /// The chunk against what it was in the base backup. `None` where that is of no use, cannot be had, or differs too much: the
    /// chunk is stored whole then.
    async fn compare(
        &self,
        notes: Option<(&DirtyChunks, usize)>,
        chunk: &EncodedChunk,
    ) -> Option<Derived> {
        let (dirty, slot) = notes.filter(|(dirty, slot)| dirty.is_worth_comparing(*slot))?;
        let before = &dirty.index().chunks()[slot];
        let stored = self.known.chunks.get(&before.hash)?;
        let base = stored.base().map_or(before.hash, |base| base.hash);
        let whole = self.known.wholes.get(&base)?;
        let whole = fetch_whole(&self.store, whole, &self.processors, &self.retry)
            .await
            .ok()?;
        let encoding = chunk.encoding.clone();
        let compared = run_in_turn(&self.processors, move || {
            let now = decode_pairs(encoding).ok()?;
            differences(&whole, &now)
        });
        let keys = Arc::new(compared.await.ok()??);
        Some(Derived { base, keys })
    }

    /// What a patch that makes the chunk can be made against, and the keys in which they may differ.
    fn base_of(
        &self,
        info: &ChunkInfo,
        derived: Option<&Derived>,
    ) -> Result<Option<(StoredObject, Arc<KeySet>)>, ContentError> {
        let Some(derived) = derived else {
            return Ok(None);
        };
        // A patch that changes nothing would make a backup that cannot be restored.
        if derived.keys.is_empty() && derived.base != info.hash {
            return Err(unnoted(info));
        }
        let base = self.known.wholes.get(&derived.base);
        Ok(base.map(|base| (base.clone(), Arc::clone(&derived.keys))))
    }

    async fn read_again(&self, info: ChunkInfo) -> Result<Bytes, BackupError> {
        let content = Arc::clone(&self.content);
        let read = move || read_chunk(content.as_ref(), &info);
        Ok(run_in_turn(&self.processors, read).await??)
    }

    async fn put(&self, packed: Packed) -> Result<(Stored, How), BackupError> {
        let name = self.known.usable_name(packed.hash);
        let path = name.path();
        let bytes = packed.bytes;
        self.pace.pass(bytes.len() as u64).await;
        match self
            .retry
            .run(|| self.store.put_if_absent(&path, bytes.clone()))
            .await
        {
            Ok(PutOutcome::Created) => {}
            Ok(PutOutcome::AlreadyExists) => {
                if let Some(header) = self.sound_header(name, packed.raw_bytes).await? {
                    return Ok((Stored::new(name, header), How::Reused));
                }
                self.overwrite(&path, &bytes).await?;
            }
            // Whoever else writes under this name writes the same content.
            Err(e) if e.kind() == BlobErrorKind::NotSupported => {
                self.overwrite(&path, &bytes).await?
            }
            Err(e) => return Err(e.into()),
        }
        Ok((Stored::new(name, packed.header), How::Uploaded))
    }

    async fn overwrite(&self, path: &str, stored: &Bytes) -> Result<(), BackupError> {
        Ok(self
            .retry
            .run(|| self.store.put(path, stored.clone()))
            .await?)
    }

    /// The header of an object that somebody else has stored, if the object looks whole. A store that does not write
    /// atomically may hold a part of one, which is then written anew.
    async fn sound_header(
        &self,
        name: ChunkName,
        raw_bytes: u64,
    ) -> Result<Option<StoredHeader>, BackupError> {
        let path = name.path();
        let meta = match self.retry.run(|| self.store.head(&path)).await {
            Err(e) if e.kind() == BlobErrorKind::NotFound => return Ok(None),
            meta => meta?,
        };
        let head = 0..STORED_HEADER_BYTES as u64;
        let bytes = self
            .retry
            .run(|| self.store.get_range(&path, head.clone()))
            .await?;
        let header = StoredHeader::decode(&bytes).ok();
        Ok(header.filter(|h| h.stored_bytes() == meta.size && u64::from(h.raw_bytes) == raw_bytes))
    }
}

/// Compress the chunk, or the patch that makes it if that is worth it.
fn pack(
    chunk: &EncodedChunk,
    base: Option<(StoredObject, Arc<KeySet>)>,
    level: i32,
) -> Result<Packed, ChunkError> {
    let patch = match base {
        Some((base, keys)) => {
            encode_patch(base.hash, chunk, keys.iter())?.map(|encoding| (encoding, base))
        }
        None => None,
    };
    let (encoding, patch) = match patch {
        Some((encoding, base)) => {
            let patch = PatchRef {
                hash: ChunkHash::of(&encoding),
                raw_bytes: encoding.len() as u64,
                base,
            };
            (encoding, Some(patch))
        }
        None => (chunk.encoding.clone(), None),
    };
    let (bytes, header) = compress(&encoding, level)?;
    Ok(Packed {
        hash: patch.as_ref().map_or(chunk.info.hash, |patch| patch.hash),
        raw_bytes: encoding.len() as u64,
        patch,
        bytes,
        header,
    })
}

fn chunk_error(name: ChunkName, source: ChunkError) -> BackupError {
    BackupError::Chunk {
        path: name.path(),
        source,
    }
}
