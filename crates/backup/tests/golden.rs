//! A backup written by format version 1 stays readable and is still written the same way.
//!
//! The files in `testdata/golden/backup-v1` are never edited; a new version gets a directory of its own.
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

mod support;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use skep_backup::*;
use skep_blob::{BlobRef, MemoryBlobStore};
use support::*;

fn golden() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/golden/backup-v1")
}

fn parts() -> [Arc<MapContent>; 2] {
    let text = |n: u64| format!("{{\"orderId\":{n},\"state\":\"waiting\"}}").into_bytes();
    [
        content((0..40).map(|n| (key(n), text(n))).collect()),
        content(Pairs::from([(vec![], vec![]), (vec![1], vec![2])])),
    ]
}

/// All objects below the directory, by path.
fn read_all() -> Vec<(String, Vec<u8>)> {
    let (mut pending, mut found) = (vec![golden()], Vec::new());
    while let Some(dir) = pending.pop() {
        for entry in std::fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                pending.push(path);
            } else {
                let name = path
                    .strip_prefix(golden())
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

#[tokio::test]
async fn a_backup_of_format_1_is_still_readable() {
    let store: BlobRef = Arc::new(MemoryBlobStore::new());
    for (path, bytes) in read_all() {
        store.put(&path, bytes.into()).await.unwrap();
    }
    assert!(verify(&store, 7).await.unwrap().is_sound());
    let found = find(&store, 7).await.unwrap();
    for (manifest, part) in found.partitions.iter().zip(parts()) {
        assert_eq!(restore(&store, manifest).await.unwrap(), part.0);
    }
}

/// Chunk objects are left out: their compression may change, their names and contents may not.
#[tokio::test]
async fn format_1_is_still_written_the_same_way() {
    let memory = Arc::new(MemoryBlobStore::new());
    let store: BlobRef = memory.clone();
    back_up(&store, 7, &parts()).await.unwrap();
    if std::env::var_os("SKEP_WRITE_GOLDEN").is_some() {
        assert!(!golden().exists(), "golden files are never overwritten");
        for path in memory.paths() {
            let file = golden().join(&path);
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            std::fs::write(file, store.get(&path).await.unwrap()).unwrap();
        }
    }
    let golden = read_all();
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
}

const ROOT_HASHES: [&str; 2] = [
    "d46e5f48bb2002987d18690429578e30e08d04246806a6bb7e1715a7f9cd2181",
    "5eac22613fcbdebfd2792172c5157f61f16205cc8dc60d3745c410b409a0c17d",
];
