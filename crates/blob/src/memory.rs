//! A store in memory, for tests and simulation.
//!
//! Time is a counter that a test moves by hand ([`MemoryBlobStore::advance`]), so that everything which depends on the
//! store's clock is deterministic.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::{self, BoxStream, StreamExt};

use crate::{BlobError, BlobErrorKind, BlobMeta, BlobStore, PutOutcome, Result, Version, path};

#[derive(Clone, Debug)]
struct Stored {
    bytes: Bytes,
    modified: SystemTime,
    version: u64,
}

#[derive(Debug)]
struct Inner {
    objects: BTreeMap<String, Stored>,
    now: SystemTime,
    writes: u64,
}

/// Objects in an ordered map.
#[derive(Debug)]
pub struct MemoryBlobStore {
    inner: Mutex<Inner>,
}

impl Default for MemoryBlobStore {
    fn default() -> Self {
        let inner = Inner {
            objects: BTreeMap::new(),
            now: SystemTime::UNIX_EPOCH,
            writes: 0,
        };
        Self {
            inner: Mutex::new(inner),
        }
    }
}

impl MemoryBlobStore {
    /// An empty store at the beginning of its time.
    pub fn new() -> Self {
        Self::default()
    }

    /// Let the store's clock go on.
    pub fn advance(&self, by: Duration) {
        self.lock().now += by;
    }

    /// All paths, sorted.
    pub fn paths(&self) -> Vec<String> {
        self.lock().objects.keys().cloned().collect()
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // Every critical section leaves the map whole, so a panic of another test thread does no harm.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn stored(&self, path: &str) -> Result<Stored> {
        path::check(&self.location(), path)?;
        self.lock()
            .objects
            .get(path)
            .cloned()
            .ok_or_else(|| self.error(BlobErrorKind::NotFound, path))
    }

    fn error(&self, kind: BlobErrorKind, path: &str) -> BlobError {
        BlobError::new(kind, &self.location(), path, "")
    }
}

impl Inner {
    fn write(&mut self, path: &str, bytes: Bytes) {
        self.writes += 1;
        let stored = Stored {
            bytes,
            modified: self.now,
            version: self.writes,
        };
        self.objects.insert(path.to_owned(), stored);
    }
}

#[async_trait]
impl BlobStore for MemoryBlobStore {
    fn location(&self) -> String {
        "memory".to_owned()
    }

    async fn get(&self, path: &str) -> Result<Bytes> {
        Ok(self.stored(path)?.bytes)
    }

    async fn get_range(&self, path: &str, range: Range<u64>) -> Result<Bytes> {
        Ok(clamp(&self.stored(path)?.bytes, range))
    }

    async fn head(&self, path: &str) -> Result<BlobMeta> {
        let stored = self.stored(path)?;
        Ok(meta(path, &stored))
    }

    async fn put(&self, path: &str, bytes: Bytes) -> Result<()> {
        path::check(&self.location(), path)?;
        self.lock().write(path, bytes);
        Ok(())
    }

    async fn put_if_absent(&self, path: &str, bytes: Bytes) -> Result<PutOutcome> {
        path::check(&self.location(), path)?;
        let mut inner = self.lock();
        if inner.objects.contains_key(path) {
            return Ok(PutOutcome::AlreadyExists);
        }
        inner.write(path, bytes);
        Ok(PutOutcome::Created)
    }

    async fn get_versioned(&self, path: &str) -> Result<(Bytes, Version)> {
        let stored = self.stored(path)?;
        Ok((stored.bytes, Version(stored.version.to_string())))
    }

    async fn put_if_match(&self, path: &str, bytes: Bytes, version: &Version) -> Result<()> {
        path::check(&self.location(), path)?;
        let mut inner = self.lock();
        match inner.objects.get(path) {
            Some(stored) if stored.version.to_string() == version.0 => {
                inner.write(path, bytes);
                Ok(())
            }
            _ => Err(self.error(BlobErrorKind::Changed, path)),
        }
    }

    fn list(&self, prefix: &str) -> BoxStream<'static, Result<BlobMeta>> {
        let below = |path: &str| {
            prefix.is_empty()
                || path
                    .strip_prefix(prefix)
                    .is_some_and(|rest| rest.starts_with('/'))
        };
        let inner = self.lock();
        let found = inner.objects.iter().filter(|(path, _)| below(path));
        let metas: Vec<_> = found.map(|(path, stored)| Ok(meta(path, stored))).collect();
        stream::iter(metas).boxed()
    }

    async fn delete(&self, paths: &[String]) -> Result<()> {
        let mut inner = self.lock();
        for path in paths {
            inner.objects.remove(path);
        }
        Ok(())
    }
}

fn meta(path: &str, stored: &Stored) -> BlobMeta {
    BlobMeta {
        path: path.to_owned(),
        size: stored.bytes.len() as u64,
        modified: stored.modified,
    }
}

/// The part of `bytes` that `range` covers.
fn clamp(bytes: &Bytes, range: Range<u64>) -> Bytes {
    let len = bytes.len() as u64;
    let (start, end) = (range.start.min(len), range.end.min(len));
    // Both are at most `len`, which came from a usize.
    bytes.slice(start as usize..end.max(start) as usize)
}
