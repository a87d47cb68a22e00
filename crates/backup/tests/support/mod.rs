//! What the tests of this crate share: content in a map, a sink that collects, a cluster of two partitions.
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]
#![allow(dead_code, reason = "every test binary uses a part of it")]

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::{Arc, Mutex};

use skep_backup::*;
use skep_blob::BlobRef;

pub type Pairs = BTreeMap<Vec<u8>, Vec<u8>>;

pub struct MapContent(pub Pairs);

impl Content for MapContent {
    fn scan(
        &self,
        from: &[u8],
        visit: &mut dyn FnMut(&[u8], &[u8]) -> Visit,
    ) -> Result<(), ContentError> {
        let range = (Bound::Included(from), Bound::Unbounded);
        for (key, value) in self.0.range::<[u8], _>(range) {
            if visit(key, value) == Visit::Stop {
                break;
            }
        }
        Ok(())
    }
}

#[derive(Clone, Default)]
pub struct Collected {
    pub pairs: Arc<Mutex<Pairs>>,
    pub finished: Arc<Mutex<bool>>,
}

impl RestoreSink for Collected {
    fn write(&mut self, run: &chunk::PairRun) -> Result<(), SinkError> {
        let mut pairs = self.pairs.lock().unwrap();
        for (key, value) in run.iter() {
            assert!(
                pairs
                    .last_key_value()
                    .is_none_or(|(last, _)| last.as_slice() < key)
            );
            pairs.insert(key.to_vec(), value.to_vec());
        }
        Ok(())
    }

    fn finish(&mut self) -> Result<(), SinkError> {
        *self.finished.lock().unwrap() = true;
        Ok(())
    }
}

pub struct Silent;

impl Progress for Silent {
    fn begin(&self, _: PartitionId, _: u64, _: u64) {}
    fn advance(&self, _: PartitionId, _: u64, _: u64) {}
}

/// Incompressible bytes that depend on `seed` only.
pub fn noise(seed: u64, len: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    };
    std::iter::repeat_with(&mut next)
        .flatten()
        .take(len)
        .collect()
}

/// `count` pairs of 20 KiB each: a chunk is some fifty of them.
pub fn pairs(seed: u64, count: u64) -> Pairs {
    (0..count)
        .map(|n| (key(n), noise(seed + n, 20_000)))
        .collect()
}

pub fn key(n: u64) -> Vec<u8> {
    [&b"key "[..], &n.to_be_bytes()[..]].concat()
}

pub fn identity(backup: u64, partition: u32) -> PartitionIdentity {
    PartitionIdentity {
        cluster_id: "test".into(),
        backup_id: BackupId(backup),
        partition: PartitionId(partition),
        partition_count: 2,
        state_version: 1,
        broker_version: "0.1.0".into(),
        node_id: 0,
        checkpoint_position: 100 + backup,
        epoch: 3,
        snapshot_id: Some("5-1-99-98".into()),
    }
}

/// Before the uploads.
pub const CHECKPOINT_TIME_MS: u64 = 900;

pub fn request(backup: u64, partition: u32, content: &Arc<MapContent>) -> UploadRequest {
    UploadRequest {
        identity: identity(backup, partition),
        content: Arc::clone(content) as Arc<dyn Content>,
        base: Base::None,
        checkpoint_time_ms: CHECKPOINT_TIME_MS,
        now_ms: Arc::new(|| 1_000),
        cancel: Cancel::new(),
    }
}

pub fn options() -> UploadOptions {
    UploadOptions {
        retry: RetryPolicy::never(),
        parallelism: 2,
        ..UploadOptions::default()
    }
}

pub fn content(pairs: Pairs) -> Arc<MapContent> {
    Arc::new(MapContent(pairs))
}

pub async fn back_up_one(
    store: &BlobRef,
    request: &UploadRequest,
) -> Result<PartitionManifest, BackupError> {
    let draft = upload_chunks(store, request, &options()).await?;
    publish(store, draft, &options(), &request.cancel).await
}

/// Both partitions and the cluster manifest.
pub async fn back_up(
    store: &BlobRef,
    backup: u64,
    parts: &[Arc<MapContent>; 2],
) -> Result<(), BackupError> {
    for (number, part) in (1..).zip(parts) {
        back_up_one(store, &request(backup, number, part)).await?;
    }
    complete_backup(store.as_ref(), BackupId(backup), &RetryPolicy::never()).await?;
    Ok(())
}

pub async fn find(store: &BlobRef, backup: u64) -> Result<RestorableBackup, RestoreError> {
    find_restorable(
        store.as_ref(),
        BackupId(backup),
        2,
        1,
        2_000,
        &RetryPolicy::never(),
    )
    .await
}

pub async fn restore(store: &BlobRef, manifest: &PartitionManifest) -> Result<Pairs, RestoreError> {
    let sink = Collected::default();
    let options = RestoreOptions {
        retry: RetryPolicy::never(),
        ..RestoreOptions::default()
    };
    let result =
        restore_partition(store, manifest, Box::new(sink.clone()), &Silent, &options).await;
    assert_eq!(
        *sink.finished.lock().unwrap(),
        result.is_ok(),
        "finished if and only if complete"
    );
    result.map(|()| sink.pairs.lock().unwrap().clone())
}

pub async fn verify(store: &BlobRef, backup: u64) -> Result<VerifyReport, BackupError> {
    verify_backup(
        store,
        BackupId(backup),
        Sample::ALL,
        &Silent,
        4,
        &RetryPolicy::never(),
    )
    .await
}

pub async fn status(store: &BlobRef, backup: u64, now_ms: u64) -> BackupStatus {
    read_status(
        store.as_ref(),
        BackupId(backup),
        2,
        now_ms,
        &RetryPolicy::never(),
    )
    .await
    .unwrap()
}
