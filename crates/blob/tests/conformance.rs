//! What every store promises, checked on each; on an S3 server too where the environment names one.
//!
//! `SKEP_TEST_S3_ENDPOINT` and `SKEP_TEST_S3_BUCKET` with credentials in the usual AWS variables.
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;
use skep_blob::*;

async fn conforms(store: BlobRef, many: u32) {
    let kind = |result: Result<Bytes>| result.map_or_else(|e| Some(e.kind()), |_| None);
    assert_eq!(kind(store.get("a/x").await), Some(BlobErrorKind::NotFound));
    assert_eq!(
        store.head("a/x").await.unwrap_err().kind(),
        BlobErrorKind::NotFound
    );
    store.put("a/x", "one".into()).await.unwrap();
    store.put("a/x", "second".into()).await.unwrap();
    assert_eq!(store.get("a/x").await.unwrap(), "second");
    assert_eq!(store.get_range("a/x", 1..4).await.unwrap(), "eco");
    assert_eq!(store.get_range("a/x", 0..100).await.unwrap(), "second");
    assert_eq!(store.get_range("a/x", 2..2).await.unwrap(), "");
    assert_eq!(store.get_range("a/x", 6..10).await.unwrap(), "");
    assert_eq!(store.head("a/x").await.unwrap().size, 6);
    assert_eq!(
        store.put_if_absent("a/x", "third".into()).await.unwrap(),
        PutOutcome::AlreadyExists
    );
    assert_eq!(
        store.put_if_absent("a/b/y", "new".into()).await.unwrap(),
        PutOutcome::Created
    );
    assert_eq!(store.get("a/x").await.unwrap(), "second");
    store.put("ab/z", Bytes::new()).await.unwrap();
    assert_eq!(store.get("ab/z").await.unwrap(), "");
    assert_eq!(store.get_range("ab/z", 0..10).await.unwrap(), "");
    assert_eq!(
        paths(&store, "a").await,
        ["a/b/y", "a/x"],
        "whole segments only"
    );
    assert_eq!(paths(&store, "").await, ["a/b/y", "a/x", "ab/z"]);
    assert_eq!(paths(&store, "none").await, [""; 0]);
    store
        .delete(&["a/x".into(), "a/missing".into(), "ab/z".into()])
        .await
        .unwrap();
    store.delete(&[]).await.unwrap();
    assert_eq!(paths(&store, "").await, ["a/b/y"]);
    assert_eq!(
        kind(store.get("../x").await),
        Some(BlobErrorKind::Other),
        "a path that leaves the store"
    );
    assert_eq!(
        probe(store.as_ref(), "nonce-1").await.unwrap(),
        Capabilities {
            conditional_put: true
        }
    );
    replaces_on_condition(&store).await;
    creates_once(&store).await;
    lists_many(&store, many).await;
}

async fn replaces_on_condition(store: &BlobRef) {
    store.put("v", "1".into()).await.unwrap();
    let (_, version) = store.get_versioned("v").await.unwrap();
    match store.put_if_match("v", "2".into(), &version).await {
        Err(e) if e.kind() == BlobErrorKind::NotSupported => return,
        replaced => replaced.unwrap(),
    }
    let stale = store
        .put_if_match("v", "3".into(), &version)
        .await
        .unwrap_err();
    assert_eq!(stale.kind(), BlobErrorKind::Changed);
    assert_eq!(store.get("v").await.unwrap(), "2");
}

async fn creates_once(store: &BlobRef) {
    let creators: Vec<_> = (0..8u8)
        .map(|n| {
            let store = Arc::clone(store);
            tokio::spawn(async move {
                store
                    .put_if_absent("race", vec![n; 100_000].into())
                    .await
                    .unwrap()
            })
        })
        .collect();
    let mut created = 0;
    for creator in creators {
        created += u32::from(creator.await.unwrap() == PutOutcome::Created);
    }
    assert_eq!(created, 1);
    let content = store.get("race").await.unwrap();
    assert!(
        content.len() == 100_000 && content.iter().all(|b| *b == content[0]),
        "whole, of one writer"
    );
}

async fn lists_many(store: &BlobRef, count: u32) {
    let many: BTreeSet<String> = (0..count).map(|n| format!("many/{n}")).collect();
    for path in &many {
        store.put(path, "x".into()).await.unwrap();
    }
    let found: BTreeSet<String> = paths(store, "many").await.into_iter().collect();
    assert_eq!(found, many);
    assert!(
        list_sorted(store.as_ref(), "many", count as usize - 1)
            .await
            .is_err()
    );
    store
        .delete(&many.into_iter().collect::<Vec<_>>())
        .await
        .unwrap();
    assert_eq!(paths(store, "many").await, [""; 0]);
}

async fn paths(store: &BlobRef, prefix: &str) -> Vec<String> {
    let listed = list_sorted(store.as_ref(), prefix, 10_000).await.unwrap();
    listed.into_iter().map(|meta| meta.path).collect()
}

#[tokio::test]
async fn memory_conforms() {
    conforms(Arc::new(MemoryBlobStore::new()), 1_100).await;
}

#[tokio::test]
async fn a_directory_conforms() {
    let dir = tempfile::tempdir().unwrap();
    conforms(Arc::new(LocalBlobStore::open(dir.path()).unwrap()), 50).await;
    let staged = std::fs::read_dir(dir.path().join(".staging"))
        .unwrap()
        .count();
    assert_eq!(staged, 0, "no temporary file is left");
}

#[tokio::test]
async fn s3_conforms_where_there_is_a_server() {
    let (Ok(endpoint), Ok(bucket)) = (
        std::env::var("SKEP_TEST_S3_ENDPOINT"),
        std::env::var("SKEP_TEST_S3_BUCKET"),
    ) else {
        return;
    };
    let base_path = format!("conformance/{}", std::process::id());
    let config = S3Config {
        endpoint: Some(endpoint),
        base_path,
        ..S3Config::new(&bucket)
    };
    conforms(Arc::new(S3BlobStore::new(&config).unwrap()), 1_100).await;
}

#[test]
fn a_directory_that_does_not_exist_is_refused_with_what_to_do() {
    let e = LocalBlobStore::open(std::path::Path::new("/does/not/exist")).unwrap_err();
    assert!(e.to_string().contains("create it"), "{e}");
}
