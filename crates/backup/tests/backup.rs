//! Backups taken, interrupted, completed, deleted and restored, on a store in memory.
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

mod support;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::future::join_all;
use skep_backup::*;
use skep_blob::testkit::{Fault, FaultyBlobStore, Op, Plan, RecordingBlobStore};
use skep_blob::{BlobErrorKind, BlobRef, MemoryBlobStore};
use support::*;
use tokio::sync::Semaphore;

fn memory() -> (Arc<MemoryBlobStore>, BlobRef) {
    let memory = Arc::new(MemoryBlobStore::new());
    (Arc::clone(&memory), memory)
}

#[tokio::test]
async fn restoring_a_backup_gives_back_the_content() {
    let (_, store) = memory();
    let parts = [content(pairs(1, 150)), content(Pairs::new())];
    back_up(&store, 7, &parts).await.unwrap();
    let found = find(&store, 7).await.unwrap();
    for (number, part) in (1..).zip(&parts) {
        let manifest = found.partition(PartitionId(number)).unwrap();
        assert_eq!(restore(&store, manifest).await.unwrap(), part.0);
    }
    let report = verify(&store, 7).await.unwrap();
    assert!(
        report.is_sound() && report.partitions == 2 && report.chunks_checked > 1,
        "{report:?}"
    );
    assert_eq!(status(&store, 7, 2_000).await.state, BackupState::Completed);
}

#[tokio::test]
async fn a_second_backup_uploads_only_what_changed() {
    let (_, inner) = memory();
    let recording = Arc::new(RecordingBlobStore::new(inner));
    let store: BlobRef = recording.clone();
    let mut all = pairs(1, 300);
    let first = back_up_one(&store, &request(1, 1, &content(all.clone())))
        .await
        .unwrap();
    recording.take_calls();
    all.insert(key(100), noise(999, 20_000));
    let mut dirty = DirtyChunks::clean(Arc::new(ChunkIndex::of_stored(&first.chunks)));
    dirty.mark(&key(100));
    let mut second = request(2, 1, &content(all));
    second.base = Base::Given(BaseBackup {
        backup_id: BackupId(1),
        dirty: Arc::new(dirty),
    });
    let draft = upload_chunks(&store, &second, &options()).await.unwrap();
    assert!(
        (1..=2).contains(&draft.stats.chunks_uploaded),
        "{:?}",
        draft.stats
    );
    let calls = recording.take_calls();
    let puts = calls.iter().filter(|c| c.op == Op::PutIfAbsent).count() as u64;
    assert_eq!(puts, draft.stats.chunks_uploaded);
    assert!(
        !calls.iter().any(|c| c.op == Op::List && c.path == "chunks"),
        "no listing when the base is there"
    );
}

#[tokio::test]
async fn a_base_that_was_deleted_with_its_chunks_does_not_matter() {
    let (_, store) = memory();
    let all = content(pairs(1, 100));
    let first = back_up_one(&store, &request(1, 1, &all)).await.unwrap();
    let index = Arc::new(ChunkIndex::of_stored(&first.chunks));
    let paths: Vec<String> = skep_blob::list_sorted(store.as_ref(), "", 1_000)
        .await
        .unwrap()
        .into_iter()
        .map(|m| m.path)
        .collect();
    store.delete(&paths).await.unwrap();
    let mut second = request(2, 1, &all);
    second.base = Base::Given(BaseBackup {
        backup_id: BackupId(1),
        dirty: Arc::new(DirtyChunks::clean(index)),
    });
    let manifest = back_up_one(&store, &second).await.unwrap();
    assert_eq!(restore(&store, &manifest).await.unwrap(), all.0);
}

#[tokio::test]
async fn a_successor_goes_on_from_the_chunks_that_are_there() {
    let (_, store) = memory();
    let all = content(pairs(1, 200));
    let mut leader = request(1, 1, &all);
    upload_chunks(&store, &leader, &options()).await.unwrap();
    leader.identity.node_id = 2;
    let draft = upload_chunks(&store, &leader, &options()).await.unwrap();
    assert_eq!(draft.stats.bytes_uploaded, 0);
    let manifest = publish(&store, draft, &options(), &leader.cancel)
        .await
        .unwrap();
    assert_eq!(restore(&store, &manifest).await.unwrap(), all.0);
}

#[tokio::test]
async fn a_completed_backup_is_never_replaced() {
    let (_, store) = memory();
    let one = content(pairs(1, 30));
    let late = upload_chunks(&store, &request(1, 1, &content(pairs(2, 30))), &options())
        .await
        .unwrap();
    let manifest = back_up_one(&store, &request(1, 1, &one)).await.unwrap();
    let again = back_up_one(&store, &request(1, 1, &content(pairs(3, 30))))
        .await
        .unwrap();
    assert_eq!(again, manifest, "succeeds without doing anything");
    let conflict = publish(&store, late, &options(), &Cancel::new()).await;
    assert!(
        matches!(conflict, Err(BackupError::Conflict { .. })),
        "{conflict:?}"
    );
}

/// A backup of the time before a restore is not taken for one of the restored cluster, nor is the next one built on it.
#[tokio::test]
async fn a_backup_of_another_life_of_the_cluster_is_not_taken_for_this_one() {
    let (_, store) = memory();
    let content = content(pairs(1, 30));
    back_up_one(&store, &request(1, 1, &content)).await.unwrap();
    let mut elsewhere = request(1, 1, &content);
    elsewhere.identity.node_id = 2;
    back_up_one(&store, &elsewhere).await.unwrap();
    let other = [
        |identity: &mut PartitionIdentity| identity.epoch += 1,
        |identity: &mut PartitionIdentity| identity.checkpoint_position -= 1,
        |identity: &mut PartitionIdentity| identity.cluster_id.push('2'),
    ];
    for change in other {
        let mut request = request(1, 1, &content);
        change(&mut request.identity);
        let taken = back_up_one(&store, &request).await;
        assert!(matches!(taken, Err(BackupError::Taken { .. })), "{taken:?}");
    }
    let mut later = request(1, 1, &content);
    later.checkpoint_time_ms += 1;
    let taken = back_up_one(&store, &later).await;
    assert!(matches!(taken, Err(BackupError::Taken { .. })), "{taken:?}");
}

/// Whatever call fails, and however: afterwards there is a complete and sound backup or none, and trying again succeeds.
async fn fails_cleanly_at_every_call(fault: Fault) {
    let parts = [content(pairs(1, 100)), content(pairs(500, 40))];
    let (_, inner) = memory();
    let counting = Arc::new(FaultyBlobStore::new(inner, Plan::None));
    back_up(&(counting.clone() as BlobRef), 1, &parts)
        .await
        .unwrap();
    for call in 0..counting.calls() {
        let (memory, inner) = memory();
        let faulty = Arc::new(FaultyBlobStore::new(
            inner.clone(),
            Plan::Nth(call, fault.clone()),
        ));
        let store: BlobRef = faulty.clone();
        let result = back_up(&store, 1, &parts).await;
        let state = status(&inner, 1, 2_000).await.state;
        let paths = memory.paths();
        let has_manifest =
            |p: u32| paths.contains(&format!("backups/{:020}/partition-{p:05}.json", 1));
        if state == BackupState::Completed {
            assert!(
                verify(&inner, 1).await.is_ok_and(|r| r.is_sound()) || !has_cluster(&paths),
                "call {call}"
            );
        } else {
            assert!(
                result.is_err() && !(has_manifest(1) && has_manifest(2)),
                "call {call}: {state:?}"
            );
        }
        for (p, part) in (1..).zip(&parts).filter(|(p, _)| has_manifest(*p)) {
            let manifest = back_up_one(&inner, &request(1, p, part)).await.unwrap();
            assert_eq!(
                restore(&inner, &manifest).await.unwrap(),
                part.0,
                "call {call}"
            );
        }
        back_up(&store, 1, &parts).await.unwrap();
        assert!(verify(&inner, 1).await.unwrap().is_sound(), "call {call}");
    }
}

fn has_cluster(paths: &[String]) -> bool {
    paths.contains(&format!("backups/{:020}/manifest.json", 1))
}

#[tokio::test]
async fn a_refused_call_leaves_a_complete_backup_or_none() {
    fails_cleanly_at_every_call(Fault::Refuse(BlobErrorKind::Unreachable)).await;
}

#[tokio::test]
async fn a_lost_answer_leaves_a_complete_backup_or_none() {
    fails_cleanly_at_every_call(Fault::LoseAnswer).await;
}

#[tokio::test(start_paused = true)]
async fn transient_failures_of_every_call_are_retried() {
    let (_, inner) = memory();
    let plan = Plan::FirstAttempts(2, Fault::LoseAnswer);
    let store: BlobRef = Arc::new(FaultyBlobStore::new(inner.clone(), plan));
    let all = content(pairs(1, 60));
    let options = UploadOptions::default();
    let draft = upload_chunks(&store, &request(1, 1, &all), &options)
        .await
        .unwrap();
    let manifest = publish(&store, draft, &options, &Cancel::new())
        .await
        .unwrap();
    assert_eq!(restore(&inner, &manifest).await.unwrap(), all.0);
}

#[tokio::test(start_paused = true)]
async fn a_store_that_hangs_ends_the_upload_at_its_deadline() {
    let (_, inner) = memory();
    let store: BlobRef = Arc::new(FaultyBlobStore::new(
        inner.clone(),
        Plan::Every(Op::PutIfAbsent, Fault::Hang),
    ));
    let result = upload_chunks(&store, &request(1, 1, &content(pairs(1, 60))), &options()).await;
    assert!(
        matches!(result, Err(BackupError::Deadline { .. })),
        "{result:?}"
    );
    let status = status(&inner, 1, 10_000_000).await;
    assert_eq!(
        status.details[0].state,
        BackupState::Failed,
        "told by the deadline, though nobody said so"
    );
}

#[tokio::test]
async fn a_cancelled_upload_ends() {
    let (_, inner) = memory();
    let store: BlobRef = Arc::new(FaultyBlobStore::new(
        inner,
        Plan::Every(Op::PutIfAbsent, Fault::Hang),
    ));
    let request = request(1, 1, &content(pairs(1, 60)));
    let cancel = request.cancel.clone();
    let upload = tokio::spawn(async move { upload_chunks(&store, &request, &options()).await });
    cancel.cancel();
    assert!(matches!(upload.await.unwrap(), Err(BackupError::Cancelled)));
}

#[tokio::test]
async fn refused_credentials_fail_at_once_and_say_so() {
    let (_, inner) = memory();
    let refuse = Fault::Refuse(BlobErrorKind::Unauthorized);
    let store: BlobRef = Arc::new(FaultyBlobStore::new(inner, Plan::From(0, refuse)));
    let e = upload_chunks(
        &store,
        &request(1, 1, &content(pairs(1, 2))),
        &UploadOptions::default(),
    )
    .await
    .unwrap_err();
    assert!(
        !e.is_transient() && e.to_string().contains("credentials"),
        "{e}"
    );
}

#[tokio::test]
async fn a_restore_that_fails_at_any_call_does_not_finish_and_succeeds_when_repeated() {
    let (_, inner) = memory();
    let part = content(pairs(1, 150));
    let manifest = back_up_one(&inner, &request(1, 1, &part)).await.unwrap();
    for call in 0..manifest.chunks.len() as u64 {
        let fault = Fault::Refuse(BlobErrorKind::Unreachable);
        let store: BlobRef = Arc::new(FaultyBlobStore::new(inner.clone(), Plan::Nth(call, fault)));
        let e = restore(&store, &manifest).await.unwrap_err();
        assert_eq!(e.exit_code(), 31, "{e}");
        assert_eq!(restore(&store, &manifest).await.unwrap(), part.0);
    }
}

#[tokio::test]
async fn verify_and_restore_find_each_damage_where_it_is() {
    let (_, store) = memory();
    let parts = [content(pairs(1, 150)), content(pairs(900, 60))];
    back_up(&store, 1, &parts).await.unwrap();
    let found = find(&store, 1).await.unwrap();
    for (partition, manifest) in (1..).zip(&found.partitions) {
        for (number, chunk) in manifest.chunks.iter().enumerate() {
            let hash = chunk.info.hash.to_string();
            let path = format!("chunks/{}/{hash}", &hash[..2]);
            let sound = store.get(&path).await.unwrap();
            let mut flipped = sound.to_vec();
            flipped[30] ^= 1;
            for damaged in [
                None,
                Some(flipped.into()),
                Some(sound.slice(..sound.len() - 1)),
                Some(sound.slice(..10)),
            ] {
                match damaged {
                    None => store.delete(std::slice::from_ref(&path)).await.unwrap(),
                    Some(bytes) => store.put(&path, bytes).await.unwrap(),
                }
                let report = verify(&store, 1).await.unwrap();
                let places: Vec<_> = report
                    .damages
                    .iter()
                    .map(|d| (d.partition.0, d.chunk, d.path.clone()))
                    .collect();
                assert_eq!(places, [(partition, number, path.clone())]);
                let e = restore(&store, manifest).await.unwrap_err();
                assert_eq!(e.exit_code(), 21, "{e}");
            }
            store.put(&path, sound).await.unwrap();
        }
    }
    assert!(verify(&store, 1).await.unwrap().is_sound());
}

/// Chunks that progress was told of.
#[derive(Default)]
struct Counted {
    begun: Mutex<u64>,
    advanced: Mutex<u64>,
}

impl Progress for Counted {
    fn begin(&self, _: PartitionId, chunks: u64, _: u64) {
        *self.begun.lock().unwrap() += chunks;
    }

    fn advance(&self, _: PartitionId, chunks: u64, _: u64) {
        *self.advanced.lock().unwrap() += chunks;
    }
}

#[tokio::test]
async fn all_parts_of_a_sample_together_read_every_chunk_once() {
    let (_, store) = memory();
    let parts = [content(pairs(1, 300)), content(Pairs::new())];
    back_up(&store, 1, &parts).await.unwrap();
    let all = verify(&store, 1).await.unwrap().chunks_checked;
    let mut sum = 0;
    for part in 1..=3 {
        let sample = Sample::new(part, 3).unwrap();
        let (progress, retry) = (Counted::default(), RetryPolicy::never());
        let report = verify_backup(&store, BackupId(1), sample, &progress, 2, &retry)
            .await
            .unwrap();
        assert_eq!(*progress.begun.lock().unwrap(), report.chunks_checked);
        assert_eq!(*progress.advanced.lock().unwrap(), report.chunks_checked);
        assert_eq!(report.chunks_checked + report.chunks_skipped, all);
        sum += report.chunks_checked;
    }
    assert_eq!(sum, all);
    assert_eq!((Sample::new(0, 3), Sample::new(4, 3)), (None, None));
}

#[tokio::test]
async fn a_deletion_that_fails_at_any_call_is_finished_by_the_next() {
    let parts = [content(pairs(1, 20)), content(pairs(2, 20))];
    for call in 0.. {
        let (_, inner) = memory();
        back_up(&inner, 1, &parts).await.unwrap();
        let fault = Fault::LoseAnswer;
        let faulty = Arc::new(FaultyBlobStore::new(inner.clone(), Plan::Nth(call, fault)));
        let retry = RetryPolicy::never();
        let first = delete_backup(faulty.as_ref(), BackupId(1), &retry).await;
        let state = status(&inner, 1, 2_000).await.state;
        assert!(
            matches!(state, BackupState::Completed | BackupState::DoesNotExist),
            "{state:?}"
        );
        if state == BackupState::Completed {
            assert!(verify(&inner, 1).await.unwrap().is_sound());
        }
        delete_backup(inner.as_ref(), BackupId(1), &retry)
            .await
            .unwrap();
        assert_eq!(
            status(&inner, 1, 2_000).await.state,
            BackupState::DoesNotExist
        );
        assert!(
            list_backups(inner.as_ref(), 2, 2_000, &retry)
                .await
                .unwrap()
                .is_empty()
        );
        if first.is_ok() && faulty.calls() <= call {
            assert!(call > 3);
            return;
        }
    }
}

#[tokio::test]
async fn an_upload_cannot_bring_a_deleted_backup_back() {
    let (_, store) = memory();
    let part = content(pairs(1, 20));
    let draft = upload_chunks(&store, &request(1, 1, &part), &options())
        .await
        .unwrap();
    delete_backup(store.as_ref(), BackupId(1), &RetryPolicy::never())
        .await
        .unwrap();
    let late = publish(&store, draft, &options(), &Cancel::new()).await;
    assert!(matches!(late, Err(BackupError::Deleted { .. })));
    let again = upload_chunks(&store, &request(1, 1, &part), &options()).await;
    assert!(matches!(again, Err(BackupError::Deleted { .. })));
    delete_backup(store.as_ref(), BackupId(99), &RetryPolicy::never())
        .await
        .unwrap();
    back_up_one(&store, &request(99, 1, &part))
        .await
        .expect("deleting an unknown id does not use it up");
}

#[tokio::test(start_paused = true)]
async fn bandwidth_is_limited() {
    let (_, store) = memory();
    let slow = UploadOptions {
        bytes_per_second: std::num::NonZeroU64::new(1_000_000),
        ..options()
    };
    let begin = tokio::time::Instant::now();
    let draft = upload_chunks(&store, &request(1, 1, &content(pairs(1, 300))), &slow)
        .await
        .unwrap();
    let least = Duration::from_millis((draft.stats.bytes_uploaded - 4_200_000) / 1_000);
    assert!(
        begin.elapsed() >= least,
        "{:?} < {least:?}",
        begin.elapsed()
    );
}

/// Counts what it is given, and looks at how many chunks were asked for by then.
struct Counting {
    store: Arc<RecordingBlobStore>,
    asked: Arc<Mutex<usize>>,
    written: Arc<AtomicUsize>,
}

const SHARED_CHUNKS: usize = 3;

impl RestoreSink for Counting {
    fn write(&mut self, _: &chunk::PairRun) -> Result<(), SinkError> {
        let asked = {
            let mut asked = self.asked.lock().unwrap();
            *asked += self.store.take_calls().len();
            *asked
        };
        let written = self.written.fetch_add(1, Ordering::SeqCst);
        assert!(
            asked <= written + SHARED_CHUNKS,
            "{asked} chunks asked for, {written} written"
        );
        Ok(())
    }

    fn finish(&mut self) -> Result<(), SinkError> {
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn partitions_restored_at_once_share_the_chunks_that_are_in_memory() {
    let memory: BlobRef = Arc::new(MemoryBlobStore::new());
    let parts = [content(pairs(1, 500)), content(pairs(1_000, 500))];
    back_up(&memory, 1, &parts).await.unwrap();
    let manifests = find(&memory, 1).await.unwrap().partitions;
    let recording = Arc::new(RecordingBlobStore::new(memory));
    let (asked, written) = (Arc::default(), Arc::new(AtomicUsize::new(0)));
    let store: BlobRef = recording.clone();
    let options = RestoreOptions {
        chunks: Arc::new(Semaphore::new(SHARED_CHUNKS)),
        ..RestoreOptions::default()
    };
    let restored = join_all(manifests.iter().map(|manifest| {
        let sink = Counting {
            store: Arc::clone(&recording),
            asked: Arc::clone(&asked),
            written: Arc::clone(&written),
        };
        restore_partition(&store, manifest, Box::new(sink), &Silent, &options)
    }));
    for restored in restored.await {
        restored.unwrap();
    }
    let chunks: usize = manifests.iter().map(|manifest| manifest.chunks.len()).sum();
    assert!(chunks > 2 * SHARED_CHUNKS);
    assert_eq!(written.load(Ordering::SeqCst), chunks);
}
