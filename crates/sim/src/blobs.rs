//! A blob store with a planted bug: it acknowledges chunks before it has them, so that manifests are stored first.

use std::ops::Range;
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use skep_blob::{BlobMeta, BlobRef, BlobStore, PutOutcome, Result, Version};

/// Where chunks are.
const CHUNKS: &str = "chunks/";

/// Holds chunks back until it is told to store them.
#[derive(Debug)]
pub struct LateChunks {
    inner: BlobRef,
    held: Mutex<Vec<(String, Bytes)>>,
}

impl LateChunks {
    /// Wraps `inner`.
    pub const fn new(inner: BlobRef) -> LateChunks {
        LateChunks {
            inner,
            held: Mutex::new(Vec::new()),
        }
    }

    fn held(&self) -> MutexGuard<'_, Vec<(String, Bytes)>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Stores what was held back.
    pub async fn store_held(&self) -> Result<()> {
        let held = std::mem::take(&mut *self.held());
        for (path, bytes) in held {
            self.inner.put(&path, bytes).await?;
        }
        Ok(())
    }

    fn holds_back(&self, path: &str, bytes: &Bytes) -> bool {
        let chunk = path.starts_with(CHUNKS);
        if chunk {
            self.held().push((path.to_owned(), bytes.clone()));
        }
        chunk
    }
}

#[async_trait]
impl BlobStore for LateChunks {
    fn location(&self) -> String {
        self.inner.location()
    }

    async fn get(&self, path: &str) -> Result<Bytes> {
        self.inner.get(path).await
    }

    async fn get_range(&self, path: &str, range: Range<u64>) -> Result<Bytes> {
        self.inner.get_range(path, range).await
    }

    async fn head(&self, path: &str) -> Result<BlobMeta> {
        self.inner.head(path).await
    }

    async fn put(&self, path: &str, bytes: Bytes) -> Result<()> {
        if self.holds_back(path, &bytes) {
            return Ok(());
        }
        self.inner.put(path, bytes).await
    }

    async fn put_if_absent(&self, path: &str, bytes: Bytes) -> Result<PutOutcome> {
        if self.inner.head(path).await.is_err() && self.holds_back(path, &bytes) {
            return Ok(PutOutcome::Created);
        }
        self.inner.put_if_absent(path, bytes).await
    }

    async fn get_versioned(&self, path: &str) -> Result<(Bytes, Version)> {
        self.inner.get_versioned(path).await
    }

    async fn put_if_match(&self, path: &str, bytes: Bytes, version: &Version) -> Result<()> {
        self.inner.put_if_match(path, bytes, version).await
    }

    fn list(&self, prefix: &str) -> BoxStream<'static, Result<BlobMeta>> {
        self.inner.list(prefix)
    }

    async fn delete(&self, paths: &[String]) -> Result<()> {
        self.inner.delete(paths).await
    }
}
