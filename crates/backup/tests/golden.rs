//! A backup written by format version 1 stays readable and is still written the same way.
//!
//! The files in `testdata/golden/backup-v1` (of before there was a checkpoint's time), `backup-v1-clock` and `backup-v1-patched` are
//! never edited; a new version gets a directory of its own.
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

mod support;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use skep_backup::*;
use skep_blob::{BlobRef, BlobStore, MemoryBlobStore};
use support::*;

fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../testdata/golden")
        .join(name)
}

fn parts() -> [Arc<MapContent>; 2] {
    let text = |n: u64| format!("{{\"orderId\":{n},\"state\":\"waiting\"}}").into_bytes();
    [
        content((0..40).map(|n| (key(n), text(n))).collect()),
        content(Pairs::from([(vec![], vec![]), (vec![1], vec![2])])),
    ]
}

/// Written once, if there is none yet.
async fn write_golden(name: &str, memory: &MemoryBlobStore) {
    if std::env::var_os("UPDATE_GOLDEN").is_none() || golden(name).exists() {
        return;
    }
    for path in memory.paths() {
        let file = golden(name).join(&path);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(file, memory.get(&path).await.unwrap()).unwrap();
    }
}

/// All objects below the directory, by path.
fn read_all(name: &str) -> Vec<(String, Vec<u8>)> {
    let (mut pending, mut found) = (vec![golden(name)], Vec::new());
    while let Some(dir) = pending.pop() {
        for entry in std::fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                pending.push(path);
            } else {
                let name = path
                    .strip_prefix(golden(name))
                    .unwrap()
                    .to_str()
                    .unwrap()
                    .to_owned();
                found.push((name, std::fs::read(path).unwrap()));
            }
        }
    }
    found.sort();
    found
}

async fn read_golden(name: &str) -> BlobRef {
    let store: BlobRef = Arc::new(MemoryBlobStore::new());
    for (path, bytes) in read_all(name) {
        store.put(&path, bytes.into()).await.unwrap();
    }
    store
}

#[tokio::test]
async fn a_backup_of_format_1_is_still_readable() {
    let store = read_golden("backup-v1").await;
    assert!(verify(&store, 7).await.unwrap().is_sound());
    let found = find(&store, 7).await.unwrap();
    for (manifest, part) in found.partitions.iter().zip(parts()) {
        assert_eq!(restore(&store, manifest).await.unwrap(), part.0);
        // The uploader's time.
        assert_eq!(manifest.checkpoint_time_ms, None);
        assert_eq!(manifest.restored_time_ms(), 1_000);
    }
}

#[tokio::test]
async fn a_backup_with_the_time_of_its_checkpoint_is_still_readable() {
    let store = read_golden("backup-v1-clock").await;
    assert!(verify(&store, 7).await.unwrap().is_sound());
    let found = find(&store, 7).await.unwrap();
    for (manifest, part) in found.partitions.iter().zip(parts()) {
        assert_eq!(restore(&store, manifest).await.unwrap(), part.0);
        assert_eq!(manifest.restored_time_ms(), CHECKPOINT_TIME_MS);
    }
}

/// Chunk objects are left out: their compression may change, their names and contents may not.
#[tokio::test]
async fn format_1_is_still_written_the_same_way() {
    let memory = Arc::new(MemoryBlobStore::new());
    let store: BlobRef = memory.clone();
    back_up(&store, 7, &parts()).await.unwrap();
    write_golden("backup-v1-clock", &memory).await;
    let golden = read_all("backup-v1-clock");
    let older = read_all("backup-v1");
    assert!(
        golden
            .iter()
            .map(|(path, _)| path)
            .eq(older.iter().map(|(path, _)| path))
    );
    assert_eq!(
        memory.paths(),
        golden
            .iter()
            .map(|(path, _)| path.clone())
            .collect::<Vec<_>>()
    );
    for (path, expected) in golden
        .into_iter()
        .filter(|(path, _)| path.contains("started"))
    {
        assert_eq!(store.get(&path).await.unwrap(), expected, "{path}");
    }
    let written = read_backup(store.as_ref(), BackupId(7), &RetryPolicy::never())
        .await
        .unwrap();
    let hashes: Vec<String> = written
        .1
        .iter()
        .map(|manifest| manifest.root_hash.to_string())
        .collect();
    assert_eq!(hashes, ROOT_HASHES);
    for manifest in &written.1 {
        assert_eq!(manifest.checkpoint_time_ms, Some(CHECKPOINT_TIME_MS));
    }
}

/// The first partition after a change of one pair.
fn changed() -> Arc<MapContent> {
    let mut pairs = parts()[0].0.clone();
    pairs.insert(key(7), b"{\"orderId\":7,\"state\":\"shipped\"}".to_vec());
    content(pairs)
}

/// Backup 7 as above, and backup 8 with a patch of it.
async fn patched() -> Arc<MemoryBlobStore> {
    let memory = Arc::new(MemoryBlobStore::new());
    let store: BlobRef = memory.clone();
    let [first, second] = parts();
    let base = back_up_one(&store, &request(7, 1, &first)).await.unwrap();
    let mut dirty = DirtyChunks::clean(Arc::new(ChunkIndex::of_stored(&base.chunks)));
    dirty.mark(&key(7));
    let mut request = request(8, 1, &changed());
    request.base = Base::Given(BaseBackup {
        backup_id: BackupId(7),
        dirty: Arc::new(dirty),
    });
    back_up_one(&store, &request).await.unwrap();
    back_up_one(&store, &support::request(8, 2, &second))
        .await
        .unwrap();
    complete_backup(store.as_ref(), BackupId(8), &RetryPolicy::never())
        .await
        .unwrap();
    memory
}

#[tokio::test]
async fn a_patch_of_format_1_is_still_readable() {
    let store = read_golden("backup-v1-patched").await;
    assert!(verify(&store, 8).await.unwrap().is_sound());
    let found = find(&store, 8).await.unwrap();
    let manifest = &found.partitions[0];
    assert!(manifest.chunks[0].patch.is_some());
    assert_eq!(restore(&store, manifest).await.unwrap(), changed().0);
}

/// Names of objects are hashes of their contents before compression.
#[tokio::test]
async fn a_patch_of_format_1_is_still_written_the_same_way() {
    let memory = patched().await;
    write_golden("backup-v1-patched", &memory).await;
    let golden = read_all("backup-v1-patched");
    let paths: Vec<String> = golden.into_iter().map(|(path, _)| path).collect();
    assert_eq!(memory.paths(), paths);
}

const ROOT_HASHES: [&str; 2] = [
    "d46e5f48bb2002987d18690429578e30e08d04246806a6bb7e1715a7f9cd2181",
    "5eac22613fcbdebfd2792172c5157f61f16205cc8dc60d3745c410b409a0c17d",
];
