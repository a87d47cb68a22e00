//! The collector frees what nobody refers to, and nothing else.
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

mod support;

use std::sync::Arc;
use std::time::Duration;

use skep_backup::*;
use skep_blob::testkit::{Fault, FaultyBlobStore, Op, Plan};
use skep_blob::{BlobRef, MemoryBlobStore};
use support::*;

const HOUR: Duration = Duration::from_secs(3600);

async fn run(store: &BlobRef, holder: &str) -> CollectReport {
    try_run(store, holder).await.unwrap()
}

async fn try_run(store: &BlobRef, holder: &str) -> Result<CollectReport, BackupError> {
    let (grace, retry) = (9 * HOUR, RetryPolicy::never());
    let options = CollectOptions {
        holder: holder.into(),
        grace,
        retry,
        cancel: Cancel::new(),
    };
    collect(store.as_ref(), &options).await
}

fn chunks(memory: &MemoryBlobStore) -> Vec<String> {
    memory
        .paths()
        .into_iter()
        .filter(|path| path.starts_with("chunks/"))
        .collect()
}

/// Two backups that share most chunks; the first is deleted, and everything is old enough to be condemned.
async fn two_backups() -> (Arc<MemoryBlobStore>, BlobRef) {
    let memory = Arc::new(MemoryBlobStore::new());
    let store: BlobRef = memory.clone();
    let mut all = pairs(1, 200);
    back_up(&store, 1, &[content(all.clone()), content(Pairs::new())])
        .await
        .unwrap();
    all.insert(key(50), noise(5_000, 20_000));
    back_up(&store, 2, &[content(all), content(Pairs::new())])
        .await
        .unwrap();
    delete_backup(store.as_ref(), BackupId(1), &RetryPolicy::never())
        .await
        .unwrap();
    memory.advance(7 * HOUR);
    (memory, store)
}

#[tokio::test]
async fn chunks_of_a_deleted_backup_go_after_the_grace_time_and_shared_ones_stay() {
    let (memory, store) = two_backups().await;
    let before = chunks(&memory).len() as u64;
    let first = run(&store, "a").await;
    assert!(
        (1..=2).contains(&first.condemned) && first.deleted == 0,
        "{first:?}"
    );
    memory.advance(8 * HOUR);
    assert_eq!(
        run(&store, "b").await,
        CollectReport::default(),
        "too early"
    );
    memory.advance(HOUR);
    let second = run(&store, "c").await;
    assert_eq!((second.deleted, second.condemned), (first.condemned, 0));
    assert!(second.bytes_deleted > 0);
    assert_eq!(chunks(&memory).len() as u64, before - second.deleted);
    assert!(verify(&store, 2).await.unwrap().is_sound());
    memory.advance(9 * HOUR);
    assert_eq!(run(&store, "d").await.marks_removed, second.deleted);
    let left = memory.paths();
    assert!(
        !left
            .iter()
            .any(|path| path.starts_with("gc/") || path.contains("deleted.json")),
        "{left:?}"
    );
    assert!(verify(&store, 2).await.unwrap().is_sound());
}

#[tokio::test]
async fn an_upload_that_began_before_the_mark_gets_its_chunks_pardoned() {
    let (memory, store) = two_backups().await;
    let part = content(pairs(1, 200));
    let draft = upload_chunks(&store, &request(3, 1, &part), &options())
        .await
        .unwrap();
    let condemned = run(&store, "a").await.condemned;
    assert!(condemned > 0);
    let manifest = publish(&store, draft, &options(), &Cancel::new())
        .await
        .unwrap();
    memory.advance(10 * HOUR);
    let report = run(&store, "b").await;
    assert_eq!((report.pardoned, report.deleted), (condemned, 0));
    assert_eq!(restore(&store, &manifest).await.unwrap(), part.0);
}

#[tokio::test]
async fn an_upload_that_begins_after_the_mark_stores_the_chunk_under_another_name() {
    let (memory, store) = two_backups().await;
    let condemned = run(&store, "a").await.condemned;
    let part = content(pairs(1, 200));
    let manifest = back_up_one(&store, &request(3, 1, &part)).await.unwrap();
    let renamed = manifest
        .chunks
        .iter()
        .filter(|chunk| chunk.stored.generation == 1)
        .count() as u64;
    assert_eq!(renamed, condemned);
    memory.advance(10 * HOUR);
    assert_eq!(run(&store, "b").await.deleted, condemned);
    assert_eq!(restore(&store, &manifest).await.unwrap(), part.0);
}

#[tokio::test]
async fn a_manifest_that_cannot_be_read_stops_the_collector() {
    let (memory, store) = two_backups().await;
    run(&store, "a").await;
    memory.advance(10 * HOUR);
    let before = chunks(&memory);
    let path = format!("backups/{:020}/partition-00001.json", 2);
    store.put(&path, "garbage".into()).await.unwrap();
    assert!(matches!(
        try_run(&store, "b").await,
        Err(BackupError::Damaged { .. })
    ));
    assert_eq!(chunks(&memory), before);
}

#[tokio::test]
async fn a_run_that_fails_at_any_call_harms_nothing_and_the_next_ones_finish() {
    for call in 0.. {
        let (memory, inner) = two_backups().await;
        run(&inner, "a").await;
        memory.advance(10 * HOUR);
        let faulty = Arc::new(FaultyBlobStore::new(
            inner.clone(),
            Plan::Nth(call, Fault::LoseAnswer),
        ));
        let store: BlobRef = faulty.clone();
        let interrupted = try_run(&store, "b").await;
        assert!(verify(&inner, 2).await.unwrap().is_sound(), "call {call}");
        for holder in ["c", "d", "e"] {
            memory.advance(10 * HOUR);
            run(&inner, holder).await;
        }
        assert!(verify(&inner, 2).await.unwrap().is_sound(), "call {call}");
        assert!(
            !memory.paths().iter().any(|path| path.starts_with("gc/")),
            "call {call}: {:?}",
            memory.paths()
        );
        if interrupted.is_ok() && faulty.calls() <= call {
            assert!(call > 5);
            return;
        }
    }
}

/// More than one page of a listing, and more than one request of deletions.
#[tokio::test]
async fn thousands_of_chunks_are_freed_and_none_that_is_needed() {
    let memory = Arc::new(MemoryBlobStore::new());
    let store: BlobRef = memory.clone();
    back_up(&store, 1, &[content(pairs(1, 100)), content(Pairs::new())])
        .await
        .unwrap();
    let kept = chunks(&memory);
    for n in 0..2_100u32 {
        let hash = ChunkHash::of(&n.to_le_bytes()).to_string();
        let path = format!("chunks/{}/{hash}", &hash[..2]);
        store.put(&path, "left over".into()).await.unwrap();
    }
    memory.advance(7 * HOUR);
    assert_eq!(run(&store, "a").await.condemned, 2_100);
    memory.advance(10 * HOUR);
    assert_eq!(run(&store, "b").await.deleted, 2_100);
    assert_eq!(chunks(&memory), kept);
    memory.advance(10 * HOUR);
    assert_eq!(run(&store, "c").await.marks_removed, 2_100);
    assert!(!memory.paths().iter().any(|path| path.starts_with("gc/")));
}

/// Manifests that take longer to be read, even several at once, than a lease is valid.
#[tokio::test]
async fn a_store_that_answers_slowly_is_collected_all_the_same() {
    let (memory, store) = two_backups().await;
    for backup in 3..30 {
        let parts = [content(pairs(1, 1)), content(Pairs::new())];
        back_up(&store, backup, &parts).await.unwrap();
    }
    memory.advance(7 * HOUR);
    let condemned = run(&store, "a").await.condemned;
    memory.advance(10 * HOUR);
    let slow = Fault::Slow(Duration::from_secs(10 * 60));
    let slow: BlobRef = Arc::new(FaultyBlobStore::new(
        store.clone(),
        Plan::Every(Op::Get, slow),
    ));
    tokio::time::pause();
    let report = run(&slow, "b").await;
    assert!(condemned > 0 && !report.interrupted, "{report:?}");
    assert_eq!(report.deleted, condemned);
    tokio::time::resume();
    assert!(verify(&store, 2).await.unwrap().is_sound());
}
