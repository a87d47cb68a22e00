//! Reading which chunks, or marks of chunks, there are.

use std::collections::BTreeMap;
use std::time::SystemTime;

use futures::StreamExt;
use skep_blob::{BlobError, BlobErrorKind, BlobStore};

use crate::layout::ChunkName;
use crate::retry::RetryPolicy;

/// An object as listed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Listed {
    pub(crate) modified: SystemTime,
    pub(crate) size: u64,
}

/// Objects by the chunk that they are about.
pub(crate) type Names = BTreeMap<ChunkName, Listed>;

/// All chunks or marks below `prefix`. Objects that are not ours are left out.
pub(crate) async fn list_names(
    store: &dyn BlobStore,
    prefix: &str,
    limit: usize,
    retry: &RetryPolicy,
) -> Result<Names, BlobError> {
    retry.run(|| list_once(store, prefix, limit)).await
}

async fn list_once(store: &dyn BlobStore, prefix: &str, limit: usize) -> Result<Names, BlobError> {
    let mut names = Names::new();
    let mut listing = store.list(prefix);
    while let Some(meta) = listing.next().await {
        let meta = meta?;
        if let Some(name) = ChunkName::parse(&meta.path) {
            names.insert(
                name,
                Listed {
                    modified: meta.modified,
                    size: meta.size,
                },
            );
        }
        if names.len() > limit {
            let detail = format!("there are more than {limit} objects below this prefix");
            return Err(BlobError::new(
                BlobErrorKind::Other,
                &store.location(),
                prefix,
                detail,
            ));
        }
    }
    Ok(names)
}
