//! A directory that vanishes and comes back.
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use std::sync::atomic::{AtomicBool, Ordering};

use std::fs;

use skep_blob::{BlobErrorKind, BlobStore, LocalBlobStore, PutOutcome, list_sorted};

#[tokio::test]
async fn every_call_says_that_the_directory_has_vanished_and_how_to_mend_it() {
    let parent = tempfile::tempdir().unwrap();
    let base = parent.path().join("backups");
    fs::create_dir(&base).unwrap();
    let store = LocalBlobStore::open(&base).unwrap();
    fs::remove_dir_all(&base).unwrap();
    let path = "a/b";
    let errors = [
        store.get(path).await.map(drop).unwrap_err(),
        store.head(path).await.map(drop).unwrap_err(),
        store.put(path, "x".into()).await.unwrap_err(),
        store
            .put_if_absent(path, "x".into())
            .await
            .map(drop)
            .unwrap_err(),
        store.delete(&[path.to_owned()]).await.unwrap_err(),
        list_sorted(&store, "a", 10).await.map(drop).unwrap_err(),
        list_sorted(&store, "", 10).await.map(drop).unwrap_err(),
    ];
    for e in errors {
        let text = e.to_string();
        assert_eq!(e.kind(), BlobErrorKind::Unreachable, "{text}");
        assert!(text.contains("has vanished; mount it again"), "{text}");
        assert!(text.contains(base.to_str().unwrap()), "{text}");
    }
    assert!(!base.exists(), "a mount point is not filled by mistake");
}

#[tokio::test]
async fn a_directory_that_was_created_anew_is_used_again() {
    let parent = tempfile::tempdir().unwrap();
    let base = parent.path().join("backups");
    fs::create_dir(&base).unwrap();
    let store = LocalBlobStore::open(&base).unwrap();
    fs::remove_dir_all(&base).unwrap();
    fs::create_dir(&base).unwrap();
    let put = store.put_if_absent("a/b", "x".into()).await.unwrap();
    assert_eq!(put, PutOutcome::Created);
    assert_eq!(store.get("a/b").await.unwrap(), "x");
}

/// Several brokers have one directory, and may start at once.
#[test]
fn a_store_is_opened_while_another_writes() {
    let directory = tempfile::tempdir().unwrap();
    LocalBlobStore::open(directory.path()).unwrap();
    let staging = directory.path().join(".staging");
    let ended = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for number in 0_u64.. {
                if ended.load(Ordering::Relaxed) {
                    break;
                }
                let staged = staging.join(number.to_string());
                std::fs::write(&staged, "").unwrap();
                std::fs::remove_file(&staged).unwrap();
            }
        });
        let opened: Vec<_> = (0..2_000)
            .map(|_| LocalBlobStore::open(directory.path()).map(drop))
            .collect();
        ended.store(true, Ordering::Relaxed);
        let failed = opened.into_iter().find_map(Result::err);
        assert!(failed.is_none(), "{failed:?}");
    });
}
