//! Immutable objects in a store that outlives the cluster: S3, a directory, or memory.
//!
//! Owns the narrow interface [`BlobStore`] that backup is written against, its implementations, the typed
//! errors, and the probe that finds out at start what a store can do. Nothing here knows what a backup is.
//!
//! # Invariants
//! - A `put` is atomic: a reader sees the whole object or none, also after a crash in the middle.
//! - When a `put` has returned, the object survives a power failure (as far as the store promises it).
//! - `put_if_absent` lets exactly one of several concurrent callers create the object. After an attempt
//!   whose answer was lost, a caller may be told `AlreadyExists` about its *own* object; callers compare.
//! - A listing started after a write or delete has returned reflects it (S3 gives this since 2020).
//! - No error text holds a credential, a signature or a presigned address.
//!
//! # Deliberately absent
//! Multipart uploads (objects here are a few MiB), copy, rename, metadata, and retries by our own hand:
//! the S3 client retries within `api_call_timeout`, and the caller decides about anything longer.

mod connect;
mod error;
mod local;
mod memory;
mod path;
mod probe;
mod s3;
mod s3_client;
#[cfg(feature = "testkit")]
pub mod testkit;

use std::fmt::Debug;
use std::ops::Range;
use std::sync::Arc;
use std::time::SystemTime;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::{BoxStream, StreamExt};

pub use error::{BlobError, BlobErrorKind};
pub use local::LocalBlobStore;
pub use memory::MemoryBlobStore;
pub use path::{BasePath, InvalidPath};
pub use probe::{Capabilities, probe};
pub use s3::{Credentials, S3BlobStore, S3Config, S3ConfigError};

/// Result of every call of this crate.
pub type Result<T> = std::result::Result<T, BlobError>;

/// A shared store.
pub type BlobRef = Arc<dyn BlobStore>;

/// What a store says about an object without reading it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlobMeta {
    /// Path relative to the store's base path.
    pub path: String,
    /// Length in bytes.
    pub size: u64,
    /// When the object was written, by the *store's* clock. All times of one store are comparable.
    pub modified: SystemTime,
}

/// Identity of one version of an object, as far as the store has such a thing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Version(pub(crate) String);

/// Answer of [`BlobStore::put_if_absent`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PutOutcome {
    /// The object is ours now.
    Created,
    /// Somebody has written it before (perhaps an attempt of our own whose answer was lost).
    AlreadyExists,
}

/// Whole objects addressed by a relative path of `[A-Za-z0-9._-]` segments joined with `/`.
///
/// Dropping a future leaves a write either done or not done, never in part.
#[async_trait]
pub trait BlobStore: Debug + Send + Sync + 'static {
    /// Where this store is, for texts: scheme, bucket or directory, base path. Never a credential.
    fn location(&self) -> String;

    /// The whole object.
    async fn get(&self, path: &str) -> Result<Bytes>;

    /// The bytes of `range`, cut at the object's end: none where it ends before that, or is empty.
    async fn get_range(&self, path: &str, range: Range<u64>) -> Result<Bytes>;

    /// Size and time of the object.
    async fn head(&self, path: &str) -> Result<BlobMeta>;

    /// Write the object, replacing what was there.
    async fn put(&self, path: &str, bytes: Bytes) -> Result<()>;

    /// Write the object unless there is one. `NotSupported` where the store cannot do that atomically.
    async fn put_if_absent(&self, path: &str, bytes: Bytes) -> Result<PutOutcome>;

    /// The object together with its version, to be given to [`BlobStore::put_if_match`].
    async fn get_versioned(&self, path: &str) -> Result<(Bytes, Version)>;

    /// Replace the object if it still has this version, else `Changed`.
    async fn put_if_match(&self, path: &str, bytes: Bytes, version: &Version) -> Result<()>;

    /// All objects below the directory `prefix` (whole segments; empty for everything), in no order,
    /// page by page as they are consumed: the number of objects is not limited by memory.
    fn list(&self, prefix: &str) -> BoxStream<'static, Result<BlobMeta>>;

    /// Delete the objects; those that do not exist count as deleted.
    async fn delete(&self, paths: &[String]) -> Result<()>;
}

/// Collect a listing, sorted by path, or fail when it has more than `limit` objects.
pub async fn list_sorted(
    store: &dyn BlobStore,
    prefix: &str,
    limit: usize,
) -> Result<Vec<BlobMeta>> {
    let mut found = Vec::new();
    let mut listing = store.list(prefix);
    while let Some(meta) = listing.next().await {
        if found.len() == limit {
            let detail = format!("more than {limit} objects below this prefix");
            return Err(BlobError::new(
                BlobErrorKind::Other,
                &store.location(),
                prefix,
                detail,
            ));
        }
        found.push(meta?);
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(found)
}
