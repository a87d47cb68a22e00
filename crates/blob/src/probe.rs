//! Find out at start whether the store can be used and what it can do, instead of at the first backup.

use bytes::Bytes;
use futures::StreamExt;

use crate::{BlobError, BlobErrorKind, BlobStore, PutOutcome, Result};

/// What the probe has seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capabilities {
    /// A second `put_if_absent` of the same path was answered `AlreadyExists`.
    pub conditional_put: bool,
}

/// Write, write again conditionally, read, list and delete an object at `probe/{nonce}`.
///
/// `nonce` keeps concurrent probes apart. Every error says which step failed and what to change. If a
/// step fails, the probe object may be left behind; it is small and below its own prefix.
pub async fn probe(store: &dyn BlobStore, nonce: &str) -> Result<Capabilities> {
    let path = format!("probe/{nonce}");
    let content = Bytes::from(format!("skep probe {nonce}\n"));
    let conditional_put = probe_put(store, &path, &content).await?;
    let read = store.get(&path).await.map_err(|e| {
        e.explained("writing works but reading does not: allow reading objects (s3:GetObject)")
    })?;
    if read != content {
        let detail =
            "the object read back differs from the one written: another writer, or a broken store";
        return Err(BlobError::new(
            BlobErrorKind::Other,
            &store.location(),
            &path,
            detail,
        ));
    }
    probe_list(store, &path).await?;
    store
        .delete(std::slice::from_ref(&path))
        .await
        .map_err(|e| {
            e.explained("deleting does not work: allow deleting objects (s3:DeleteObject)")
        })?;
    Ok(Capabilities { conditional_put })
}

/// Whether conditional puts work; the object exists afterwards either way.
async fn probe_put(store: &dyn BlobStore, path: &str, content: &Bytes) -> Result<bool> {
    let advice = "the bucket or directory must exist and be writable (s3:PutObject)";
    match store.put_if_absent(path, content.clone()).await {
        // A store that ignores the condition creates the object twice.
        Ok(_) => match store.put_if_absent(path, content.clone()).await {
            Ok(outcome) => Ok(outcome == PutOutcome::AlreadyExists),
            Err(e) => Err(e.explained(advice)),
        },
        Err(e) if e.kind() == BlobErrorKind::NotSupported => {
            store
                .put(path, content.clone())
                .await
                .map_err(|e| e.explained(advice))?;
            Ok(false)
        }
        Err(e) => Err(e.explained(advice)),
    }
}

async fn probe_list(store: &dyn BlobStore, path: &str) -> Result<()> {
    let mut listing = store.list("probe");
    while let Some(meta) = listing.next().await {
        let meta =
            meta.map_err(|e| e.explained("listing does not work: allow it (s3:ListBucket)"))?;
        if meta.path == path {
            return Ok(());
        }
    }
    let detail =
        "the object just written is missing from the listing: the store must list consistently";
    Err(BlobError::new(
        BlobErrorKind::Other,
        &store.location(),
        path,
        detail,
    ))
}
