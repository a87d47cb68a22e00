//! Chunks of which little has changed are stored as patches, and nothing else about a backup changes by that.
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

mod support;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use skep_backup::*;
use skep_blob::testkit::{Fault, FaultyBlobStore, Plan};
use skep_blob::{BlobRef, MemoryBlobStore};
use support::*;

const HOUR: Duration = Duration::from_secs(3600);

/// A partition that notes what is written as a broker does.
struct Partition {
    store: BlobRef,
    pairs: Pairs,
    base: Option<(BackupId, DirtyChunks)>,
    next: u64,
}

/// What a backup was and what it has cost.
struct Taken {
    manifest: PartitionManifest,
    stats: UploadStats,
}

impl Taken {
    fn patched(&self) -> Vec<&StoredChunk> {
        let chunks = self.manifest.chunks.iter();
        chunks.filter(|chunk| chunk.patch.is_some()).collect()
    }
}

impl Partition {
    fn new(store: &BlobRef, pairs: Pairs) -> Self {
        Self {
            store: Arc::clone(store),
            pairs,
            base: None,
            next: 1,
        }
    }

    fn write(&mut self, key: Vec<u8>, value: Option<Vec<u8>>) {
        if let Some((_, dirty)) = &mut self.base {
            dirty.mark(&key);
        }
        match value {
            Some(value) => self.pairs.insert(key, value),
            None => self.pairs.remove(&key),
        };
    }

    fn change(&mut self, n: u64) {
        self.write(key(n), Some(noise(n + 77_000 + self.next, 20_000)));
    }

    async fn try_back_up(&mut self, during: &[(u64, Option<usize>)]) -> Result<Taken, BackupError> {
        let mut request = request(self.next, 1, &content(self.pairs.clone()));
        self.next += 1;
        if let Some((backup_id, dirty)) = &self.base {
            request.base = Base::Given(BaseBackup {
                backup_id: *backup_id,
                dirty: Arc::new(dirty.clone()),
            });
        }
        let index = self
            .base
            .as_ref()
            .map(|(_, dirty)| Arc::clone(dirty.index()));
        let mut since = DirtyChunks::clean(index.unwrap_or_default());
        for (n, len) in during {
            since.mark(&key(*n));
            self.write(key(*n), len.map(|len| noise(n + self.next, len)));
        }
        let draft = upload_chunks(&self.store, &request, &options()).await?;
        let (index, stats) = (Arc::new(draft.index()), draft.stats);
        let manifest = publish(&self.store, draft, &options(), &request.cancel).await?;
        self.base = Some((manifest.identity.backup_id, since.rebase(index)));
        Ok(Taken { manifest, stats })
    }

    async fn back_up(&mut self) -> Taken {
        self.try_back_up(&[]).await.unwrap()
    }
}

fn memory() -> (Arc<MemoryBlobStore>, BlobRef) {
    let memory = Arc::new(MemoryBlobStore::new());
    (Arc::clone(&memory), memory)
}

async fn delete(store: &BlobRef, backup: u64) {
    let retry = RetryPolicy::never();
    delete_backup(store.as_ref(), BackupId(backup), &retry)
        .await
        .unwrap();
}

/// As many runs as it takes to free everything that can be freed.
async fn collect_all(memory: &MemoryBlobStore, store: &BlobRef) {
    for run in 0..3 {
        memory.advance(10 * HOUR);
        let options = CollectOptions {
            holder: format!("{run}"),
            grace: 9 * HOUR,
            retry: RetryPolicy::never(),
            cancel: Cancel::new(),
        };
        collect(store.as_ref(), &options).await.unwrap();
    }
}

#[tokio::test]
async fn a_chunk_with_one_change_is_stored_as_a_patch_with_the_same_name_and_content() {
    let (_, store) = memory();
    let mut partition = Partition::new(&store, pairs(1, 300));
    partition.back_up().await;
    partition.change(100);
    let second = partition.back_up().await;
    assert_eq!(
        (second.stats.chunks_uploaded, second.stats.patches_uploaded),
        (1, 1)
    );
    assert!(second.stats.bytes_uploaded < 21_000, "{:?}", second.stats);
    assert_eq!(
        restore(&store, &second.manifest).await.unwrap(),
        partition.pairs
    );
    let whole = Partition::new(&memory().1, partition.pairs.clone())
        .back_up()
        .await;
    assert_eq!(second.manifest.root_hash, whole.manifest.root_hash);
    let infos = |taken: &Taken| {
        let chunks = taken.manifest.chunks.iter();
        chunks.map(|chunk| chunk.info.clone()).collect::<Vec<_>>()
    };
    assert_eq!(infos(&second), infos(&whole));
}

#[tokio::test]
async fn patches_grow_on_the_same_base_until_the_chunk_is_stored_whole() {
    let (_, store) = memory();
    let mut partition = Partition::new(&store, pairs(1, 60));
    let first = partition.back_up().await;
    let bases: Vec<_> = first
        .manifest
        .chunks
        .iter()
        .map(|chunk| chunk.info.hash)
        .collect();
    let mut kinds = Vec::new();
    for n in 1..20 {
        partition.change(n);
        let taken = partition.back_up().await;
        for chunk in taken.patched() {
            assert!(
                bases.contains(&chunk.base().unwrap().hash),
                "always the first backup's"
            );
        }
        kinds.push(taken.stats.patches_uploaded == 1);
        assert_eq!(
            restore(&store, &taken.manifest).await.unwrap(),
            partition.pairs
        );
        if kinds.last() == Some(&false) {
            break;
        }
    }
    assert!(kinds.len() > 3 && kinds.last() == Some(&false), "{kinds:?}");
}

#[tokio::test]
async fn a_patched_chunk_that_does_not_change_any_more_costs_nothing() {
    let (_, store) = memory();
    let mut partition = Partition::new(&store, pairs(1, 300));
    partition.back_up().await;
    partition.change(100);
    partition.back_up().await;
    let third = partition.back_up().await;
    assert_eq!(
        (third.stats.chunks_uploaded, third.stats.plan.chunks_read),
        (0, 0)
    );
    assert_eq!(third.patched().len(), 1);
    partition.change(101);
    let fourth = partition.back_up().await;
    assert_eq!(fourth.stats.patches_uploaded, 1, "its keys are still known");
    assert_eq!(
        restore(&store, &fourth.manifest).await.unwrap(),
        partition.pairs
    );
}

#[tokio::test]
async fn a_change_that_is_taken_back_uses_the_base_itself() {
    let (_, store) = memory();
    let mut partition = Partition::new(&store, pairs(1, 300));
    partition.back_up().await;
    let before = partition.pairs[&key(100)].clone();
    partition.change(100);
    partition.back_up().await;
    partition.write(key(100), Some(before));
    let third = partition.back_up().await;
    assert_eq!((third.stats.chunks_uploaded, third.patched().len()), (0, 0));
}

#[tokio::test]
async fn without_notes_a_changed_chunk_is_compared_with_what_it_was() {
    let (_, store) = memory();
    let mut partition = Partition::new(&store, pairs(1, 300));
    partition.back_up().await;
    partition.change(100);
    let (backup, dirty) = partition.base.take().unwrap();
    partition.base = Some((backup, DirtyChunks::all(Arc::clone(dirty.index()))));
    let second = partition.back_up().await;
    assert_eq!(
        (second.stats.chunks_uploaded, second.stats.patches_uploaded),
        (1, 1)
    );
    assert_eq!(
        restore(&store, &second.manifest).await.unwrap(),
        partition.pairs
    );
}

/// A restart: of what was written nothing is known, and the store has the base.
async fn restart(partition: &mut Partition) {
    let identity = identity(partition.next, 1);
    let retry = RetryPolicy::never();
    let base = newest_base(partition.store.as_ref(), &identity, &retry);
    let base = base.await.unwrap();
    partition.base = base.map(|base| (base.backup_id, (*base.dirty).clone()));
}

#[tokio::test]
async fn after_a_restart_what_is_sent_is_in_proportion_to_what_has_changed() {
    let (_, store) = memory();
    let start = (0..20_000).map(|n| (key(n), noise(n, 500))).collect();
    let mut partition = Partition::new(&store, start);
    let first = partition.back_up().await;
    for round in 0..3 {
        // One pair in a hundred, everywhere, whether noted or not.
        for n in (0..20_000).step_by(100) {
            partition.write(key(n + round), Some(noise(n + 77 + round, 500)));
        }
        if round != 1 {
            restart(&mut partition).await;
        }
        let taken = partition.back_up().await;
        assert_eq!(taken.stats.patches_uploaded, taken.stats.chunks_uploaded);
        // Patches hold what has changed since their base was stored whole.
        let rounds = round + 1;
        assert!(
            taken.stats.bytes_uploaded < first.stats.bytes_uploaded * 2 * rounds / 100,
            "round {round}: {:?}",
            taken.stats
        );
        assert_eq!(
            restore(&store, &taken.manifest).await.unwrap(),
            partition.pairs
        );
    }
    restart(&mut partition).await;
    let unchanged = partition.back_up().await;
    assert_eq!(unchanged.stats.bytes_uploaded, 0);
}

#[tokio::test]
async fn a_base_that_is_damaged_or_gone_is_not_compared_with_and_not_used() {
    for damaged in [true, false] {
        let (memory, store) = memory();
        let mut partition = Partition::new(&store, pairs(1, 150));
        partition.back_up().await;
        partition.change(50);
        for path in memory
            .paths()
            .iter()
            .filter(|path| path.starts_with("chunks"))
        {
            if damaged {
                store.put(path, vec![0; 50].into()).await.unwrap();
            } else {
                store.delete(std::slice::from_ref(path)).await.unwrap();
            }
        }
        restart(&mut partition).await;
        let second = partition.back_up().await;
        assert_eq!(
            (second.stats.chunks_uploaded, second.stats.patches_uploaded),
            (1, 0)
        );
    }
}

#[tokio::test]
async fn the_base_after_a_restart_is_the_newest_complete_backup_of_this_cluster() {
    let (_, store) = memory();
    let mut partition = Partition::new(&store, pairs(1, 60));
    let retry = RetryPolicy::never();
    let newest = |backup: u64, cluster: &str| {
        let identity = PartitionIdentity {
            cluster_id: cluster.to_owned(),
            ..identity(backup, 1)
        };
        let store = Arc::clone(&store);
        async move {
            let base = newest_base(store.as_ref(), &identity, &retry)
                .await
                .unwrap();
            base.map(|base| base.backup_id.0)
        }
    };
    assert_eq!(newest(9, "test").await, None);
    for _ in 1..=3 {
        partition.back_up().await;
    }
    // Begun, and not complete.
    upload_chunks(&store, &request(4, 1, &content(pairs(1, 60))), &options())
        .await
        .unwrap();
    assert_eq!(newest(9, "test").await, Some(3));
    assert_eq!(newest(3, "test").await, Some(2), "not itself");
    assert_eq!(newest(9, "another").await, None);
    delete(&store, 3).await;
    assert_eq!(newest(9, "test").await, Some(2));
}

#[tokio::test]
async fn a_base_outlives_the_backup_that_stored_it_and_goes_with_the_last_that_needs_it() {
    let (memory, store) = memory();
    let mut partition = Partition::new(&store, pairs(1, 150));
    partition.back_up().await;
    partition.change(50);
    let second = partition.back_up().await;
    delete(&store, 1).await;
    collect_all(&memory, &store).await;
    assert_eq!(
        restore(&store, &second.manifest).await.unwrap(),
        partition.pairs
    );
    partition.change(51);
    let third = partition.back_up().await;
    assert_eq!(third.stats.patches_uploaded, 1, "on the same base");
    delete(&store, 2).await;
    collect_all(&memory, &store).await;
    assert_eq!(
        restore(&store, &third.manifest).await.unwrap(),
        partition.pairs
    );
    delete(&store, 3).await;
    collect_all(&memory, &store).await;
    assert_eq!(memory.paths(), Vec::<String>::new());
}

#[tokio::test]
async fn a_condemned_base_is_not_used() {
    let (memory, store) = memory();
    let mut partition = Partition::new(&store, pairs(1, 150));
    partition.back_up().await;
    partition.change(50);
    let notes = partition.base.clone();
    delete(&store, 1).await;
    memory.advance(7 * HOUR);
    let options = CollectOptions {
        holder: "a".into(),
        grace: 9 * HOUR,
        retry: RetryPolicy::never(),
        cancel: Cancel::new(),
    };
    assert!(collect(store.as_ref(), &options).await.unwrap().condemned > 0);
    // The manifest is still read by an upload that knows its bytes from before.
    let (_, other) = self::memory();
    let first = Partition::new(&other, pairs(1, 150)).back_up().await;
    let path = format!("backups/{:020}/partition-00001.json", 1);
    store
        .put(&path, other.get(&path).await.unwrap())
        .await
        .unwrap();
    partition.base = notes;
    let second = partition.back_up().await;
    assert_eq!(second.patched().len(), 0);
    assert_eq!(
        second.stats.chunks_uploaded,
        first.manifest.chunks.len() as u64
    );
    collect_all(&memory, &store).await;
    assert_eq!(
        restore(&store, &second.manifest).await.unwrap(),
        partition.pairs
    );
}

#[tokio::test]
async fn verify_and_restore_name_the_patch_or_the_base_that_is_damaged() {
    let (_, store) = memory();
    let mut partition = Partition::new(&store, pairs(1, 150));
    partition.back_up().await;
    partition.change(50);
    let taken = partition.back_up().await;
    back_up_one(&store, &request(2, 2, &content(Pairs::new())))
        .await
        .unwrap();
    complete_backup(store.as_ref(), BackupId(2), &RetryPolicy::never())
        .await
        .unwrap();
    assert!(verify(&store, 2).await.unwrap().is_sound());
    let chunk = taken.patched()[0].clone();
    for object in chunk.objects() {
        let hash = object.hash.to_string();
        let path = format!("chunks/{}/{hash}", &hash[..2]);
        let sound = store.get(&path).await.unwrap();
        let mut flipped = sound.to_vec();
        flipped[30] ^= 1;
        for damaged in [
            None,
            Some(flipped.into()),
            Some(sound.slice(..sound.len() - 1)),
        ] {
            match damaged {
                None => store.delete(std::slice::from_ref(&path)).await.unwrap(),
                Some(bytes) => store.put(&path, bytes).await.unwrap(),
            }
            let report = verify(&store, 2).await.unwrap();
            let places: Vec<_> = report.damages.iter().map(|d| d.path.as_str()).collect();
            assert_eq!(places, [path.as_str()]);
            let e = restore(&store, &taken.manifest).await.unwrap_err();
            assert!(e.exit_code() == 21 && e.to_string().contains(&path), "{e}");
        }
        store.put(&path, sound).await.unwrap();
    }
}

#[tokio::test]
async fn two_replicas_may_store_a_chunk_in_two_ways() {
    let (_, store) = memory();
    let mut leader = Partition::new(&store, pairs(1, 150));
    leader.back_up().await;
    leader.change(50);
    let request_of = |partition: &Partition| request(2, 1, &content(partition.pairs.clone()));
    let whole = upload_chunks(&store, &request_of(&leader), &options())
        .await
        .unwrap();
    let pairs = leader.pairs.clone();
    let taken = leader.back_up().await;
    assert!(taken.patched().len() <= 1);
    let manifest = publish(&store, whole, &options(), &Cancel::new())
        .await
        .unwrap();
    assert_eq!(
        manifest, taken.manifest,
        "the content is the same, so the first one stands"
    );
    assert_eq!(restore(&store, &manifest).await.unwrap(), pairs);
}

#[tokio::test]
async fn a_failure_at_any_call_leaves_the_earlier_backups_and_the_next_one_sound() {
    for call in 0..40 {
        let (_, inner) = memory();
        let mut partition = Partition::new(&inner, pairs(1, 100));
        let first = partition.back_up().await;
        let before = partition.pairs.clone();
        partition.change(50);
        let faulty = FaultyBlobStore::new(inner.clone(), Plan::Nth(call, Fault::LoseAnswer));
        partition.store = Arc::new(faulty);
        let second = partition.try_back_up(&[]).await;
        partition.store = Arc::clone(&inner);
        partition.change(51);
        let third = partition.back_up().await;
        assert_eq!(restore(&inner, &first.manifest).await.unwrap(), before);
        assert_eq!(
            restore(&inner, &third.manifest).await.unwrap(),
            partition.pairs
        );
        assert_eq!(third.stats.patches_uploaded, 1, "call {call}");
        if second.is_ok() && call > 15 {
            return;
        }
    }
    panic!("every call failed the backup");
}

/// What may happen in a history.
#[derive(Clone, Debug)]
enum Act {
    Write(Vec<(u64, Option<usize>)>),
    /// With writes between its checkpoint and its end.
    BackUp(Vec<(u64, Option<usize>)>),
    /// Another base cannot be found.
    LoseNotes,
    /// A restart, or another leader: nothing is known of what was written.
    Restart,
    /// The n-th backup there is.
    Delete(usize),
    Collect,
}

fn writes() -> impl Strategy<Value = Vec<(u64, Option<usize>)>> {
    let length = prop_oneof![1 => Just(None), 4 => (0..9_000usize).prop_map(Some)];
    proptest::collection::vec((0..260u64, length), 0..6)
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let act = prop_oneof![
        4 => writes().prop_map(Act::Write),
        4 => writes().prop_map(Act::BackUp),
        1 => Just(Act::LoseNotes),
        2 => Just(Act::Restart),
        2 => (0..8usize).prop_map(Act::Delete),
        1 => Just(Act::Collect),
    ];
    proptest::collection::vec(act, 4..16)
}

/// Every backup there is restores to the content at its checkpoint after every act. Gives the number of patches.
async fn play(acts: Vec<Act>) -> u64 {
    let (memory, store) = memory();
    let start = (0..240).map(|n| (key(n), noise(n, 8_000))).collect();
    let mut partition = Partition::new(&store, start);
    let mut backups = BTreeMap::new();
    let mut patches = 0;
    for act in acts {
        match act {
            Act::Write(writes) => {
                for (n, len) in writes {
                    let value = len.map(|len| noise(n + 3_000 * partition.next, len));
                    partition.write(key(n), value);
                }
                continue;
            }
            Act::BackUp(during) => {
                let (id, pairs) = (partition.next, partition.pairs.clone());
                let taken = partition.try_back_up(&during).await.unwrap();
                patches += taken.stats.patches_uploaded;
                backups.insert(id, (taken.manifest, pairs));
            }
            Act::LoseNotes => partition.base = None,
            Act::Restart => restart(&mut partition).await,
            Act::Delete(which) => {
                let Some(id) = backups.keys().nth(which).copied() else {
                    continue;
                };
                backups.remove(&id);
                delete(&store, id).await;
            }
            Act::Collect => collect_all(&memory, &store).await,
        }
        for (id, (manifest, pairs)) in &backups {
            let restored = restore(&store, manifest).await;
            assert!(restored.unwrap() == *pairs, "backup {id}");
        }
    }
    patches
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]

    #[test]
    fn after_any_history_every_backup_restores_to_the_content_at_its_checkpoint(acts in acts()) {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        runtime.block_on(play(acts));
    }
}

#[tokio::test]
async fn histories_of_that_kind_do_store_patches() {
    let writes = |n: u64| vec![(n, Some(100)), (n + 90, None)];
    let mut acts = vec![Act::BackUp(writes(3))];
    for n in 0..6 {
        acts.push(Act::Write(writes(10 * n)));
        acts.push(Act::BackUp(writes(10 * n + 5)));
    }
    acts.extend([Act::Delete(0), Act::Delete(2), Act::Collect]);
    assert!(play(acts).await > 3);
}
