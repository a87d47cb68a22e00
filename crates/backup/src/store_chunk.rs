//! Storing one chunk, or finding that it is stored already.
//!
//! [`Known`] is what an upload knows of the store: it is filled *after* the upload's time began to run and the condemned
//! chunks were listed, in this order; the argument in [`crate::collect`] rests on it.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use bytes::Bytes;
use skep_blob::{BlobErrorKind, BlobRef, BlobStore, PutOutcome};

use crate::background;
use crate::chunk::{
    ChunkError, ChunkHash, ChunkInfo, STORED_HEADER_BYTES, StoredChunk, StoredHeader, compress,
};
use crate::content::Content;
use crate::error::BackupError;
use crate::ids::BackupId;
use crate::layout::{CHUNKS, ChunkName, MARKS};
use crate::limits::{CHUNK_OBJECTS_MAX, MARKS_MAX};
use crate::listing::list_names;
use crate::manifest::{PartitionIdentity, PartitionManifest};
use crate::pace::Pace;
use crate::plan::{PlannedChunk, PlannedContent, read_chunk};
use crate::retry::RetryPolicy;

/// What an upload knows of the store.
#[derive(Debug, Default)]
pub(crate) struct Known {
    condemned: HashSet<ChunkName>,
    base: HashMap<ChunkHash, StoredChunk>,
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
            let condemned = &known.condemned;
            let usable = manifest
                .chunks
                .iter()
                .filter(|chunk| !condemned.contains(&chunk.name()));
            known.base = usable
                .map(|chunk| (chunk.info.hash, chunk.clone()))
                .collect();
        }
        if list || manifest.is_none() {
            known.listed = names(store, CHUNKS, CHUNK_OBJECTS_MAX, retry).await?;
        }
        Ok(known)
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

impl StoredChunk {
    pub(crate) fn name(&self) -> ChunkName {
        ChunkName {
            hash: self.info.hash,
            generation: self.generation,
        }
    }

    fn new(info: ChunkInfo, name: ChunkName, header: StoredHeader) -> Self {
        let (stored_bytes, stored_checksum) = (header.stored_bytes(), header.payload_checksum);
        Self {
            info,
            generation: name.generation,
            stored_bytes,
            stored_checksum,
        }
    }
}

/// How a chunk came to be stored, for figures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stored {
    Reused,
    Uploaded,
}

/// What the uploads of one partition's chunks share.
#[derive(Clone)]
pub(crate) struct ChunkStore {
    pub(crate) store: BlobRef,
    pub(crate) content: Arc<dyn Content>,
    pub(crate) known: Arc<Known>,
    pub(crate) pace: Arc<Pace>,
    pub(crate) retry: RetryPolicy,
    pub(crate) level: i32,
}

impl ChunkStore {
    /// Have the chunk stored under a name that will not be deleted before the upload's time is over.
    pub(crate) async fn store(
        self,
        planned: PlannedChunk,
    ) -> Result<(StoredChunk, Stored), BackupError> {
        let PlannedChunk { info, content } = planned;
        if let Some(chunk) = self.known.base.get(&info.hash) {
            return Ok((
                StoredChunk {
                    info,
                    ..chunk.clone()
                },
                Stored::Reused,
            ));
        }
        let name = self.known.usable_name(info.hash);
        if self.known.listed.contains(&name)
            && let Some(header) = self.sound_header(name, &info).await?
        {
            return Ok((StoredChunk::new(info, name, header), Stored::Reused));
        }
        let encoding = match content {
            PlannedContent::Read(encoding) => encoding,
            PlannedContent::Unchanged => self.read_again(info.clone()).await?,
        };
        let level = self.level;
        let compressed = background::run(move || compress(&encoding, level)).await?;
        let (stored, header) = compressed.map_err(|source| chunk_error(name, source))?;
        self.put(info, name, stored, header).await
    }

    async fn read_again(&self, info: ChunkInfo) -> Result<Bytes, BackupError> {
        let content = Arc::clone(&self.content);
        Ok(background::run(move || read_chunk(content.as_ref(), &info)).await??)
    }

    async fn put(
        &self,
        info: ChunkInfo,
        name: ChunkName,
        stored: Bytes,
        header: StoredHeader,
    ) -> Result<(StoredChunk, Stored), BackupError> {
        let path = name.path();
        self.pace.pass(stored.len() as u64).await;
        match self
            .retry
            .run(|| self.store.put_if_absent(&path, stored.clone()))
            .await
        {
            Ok(PutOutcome::Created) => {}
            Ok(PutOutcome::AlreadyExists) => {
                if let Some(header) = self.sound_header(name, &info).await? {
                    return Ok((StoredChunk::new(info, name, header), Stored::Reused));
                }
                self.overwrite(&path, &stored).await?;
            }
            // Whoever else writes under this name writes the same content.
            Err(e) if e.kind() == BlobErrorKind::NotSupported => {
                self.overwrite(&path, &stored).await?
            }
            Err(e) => return Err(e.into()),
        }
        Ok((StoredChunk::new(info, name, header), Stored::Uploaded))
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
        info: &ChunkInfo,
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
        Ok(header
            .filter(|h| h.stored_bytes() == meta.size && u64::from(h.raw_bytes) == info.raw_bytes))
    }
}

pub(crate) fn chunk_error(name: ChunkName, source: ChunkError) -> BackupError {
    BackupError::Chunk {
        path: name.path(),
        source,
    }
}
