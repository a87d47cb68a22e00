//! Checkpoints are asked for, frozen contents uploaded through a faulty blob store, and what is stored is read back.
//!
//! An upload happens whole at one simulated instant, on a runtime whose time stands still but for timers: the backup crate uses
//! blocking threads, which would make an order of their own if uploads were interleaved. A crash during an upload is a store
//! that takes no more calls from some call on.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use skep_backup::{
    BackupId, Base, BaseBackup, Cancel, PartitionIdentity, Progress, RestorableBackup,
    RestoreOptions, RestoreSink, RetryPolicy, SinkError, UploadDraft, UploadOptions, UploadRequest,
    chunk::PairRun, complete_backup, find_restorable, mark_failed, publish, restore_partition,
    upload_chunks,
};
use skep_blob::testkit::{Fault, FaultyBlobStore, Plan};
use skep_blob::{BlobErrorKind, BlobRef, MemoryBlobStore};
use skep_partition::{Bookkeeping, Event, FrozenBackup};
use skep_protocol::{CheckpointId, CheckpointIntent, Command, Key, PartitionId, values};
use tokio::runtime::Runtime;
use tokio::time::timeout;

use crate::blobs::LateChunks;
use crate::invariants::restored::Pairs;
use crate::invariants::{cut, restored};
use crate::random::Random;
use crate::reference::content_pairs;
use crate::settings::Plant;
use crate::violation::{Check, Violation};
use crate::world::{Place, Step, World};

/// Calls to the store among which a fault is placed: more than an upload makes.
const CALLS_MAX: u64 = 24;

/// Calls outside of an upload's deadline end some time, as those to a real store do.
const CALLS_END_AFTER: Duration = Duration::from_secs(600);

/// Bytes of a partition's content, pair by pair.
pub type StoredPairs = Vec<(Bytes, Bytes)>;

/// An upload that a replica has begun.
struct Running {
    place: Place,
    life: u64,
    id: CheckpointId,
    /// The partition's clock at the checkpoint.
    time: i64,
    /// What it builds on, as its node knew when it began.
    base: Option<BaseBackup>,
}

impl Running {
    fn is(&self, place: Place, life: u64, id: CheckpointId) -> bool {
        (self.place, self.life, self.id) == (place, life, id)
    }
}

/// The blob store, and what is known of the backups in it.
pub struct Backups {
    store: BlobRef,
    runtime: Runtime,
    manifests_first: bool,
    latest: i64,
    asked_at: BTreeMap<CheckpointId, i64>,
    running: Vec<Running>,
    /// Partitions that have cut, by checkpoint.
    cut: BTreeMap<CheckpointId, usize>,
    /// Backups of all partitions whose content was read back and found right.
    pub good: Vec<CheckpointId>,
}

impl Backups {
    /// An empty store.
    pub fn new(plant: Option<Plant>) -> Backups {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build();
        Backups {
            store: Arc::new(MemoryBlobStore::new()),
            runtime: runtime.expect("a runtime without I/O needs nothing from the system"),
            manifests_first: plant == Some(Plant::ManifestFirst),
            latest: 0,
            asked_at: BTreeMap::new(),
            running: Vec::new(),
            cut: BTreeMap::new(),
            good: Vec::new(),
        }
    }

    /// The next backup comes after the one that was restored.
    pub const fn go_on_after(&mut self, restored: CheckpointId) {
        self.latest = restored.0;
    }

    /// The partition's content as stored.
    fn read_back(&self, found: &RestorableBackup, partition: PartitionId) -> Check<StoredPairs> {
        let manifest = found
            .partition(skep_backup::PartitionId(partition.0))
            .ok_or_else(|| Violation::new("restored", "a partition is missing in a backup"))?;
        let sink = Collected::default();
        let pairs = Arc::clone(&sink.pairs);
        let options = RestoreOptions {
            parallelism: 1,
            ..RestoreOptions::default()
        };
        let restoring = restore_partition(&self.store, manifest, Box::new(sink), &Unseen, &options);
        self.runtime.block_on(restoring).map_err(|error| {
            Violation::new(
                "restored",
                format!(
                    "backup {} of partition {partition} is complete but cannot be restored: {error}",
                    found.cluster.backup_id
                ),
            )
        })?;
        Ok(std::mem::take(
            &mut *pairs.lock().expect("the sink does not panic"),
        ))
    }

    fn find(&self, id: CheckpointId, partitions: u32, now: i64) -> Option<RestorableBackup> {
        let backup = backup_id(id);
        let retry = RetryPolicy::never();
        let (version, now) = (Bookkeeping::VERSION, now as u64);
        let finding = find_restorable(&*self.store, backup, partitions, version, now, &retry);
        self.runtime.block_on(finding).ok()
    }

    /// A backup that was found good, with the content of each partition.
    pub fn restore(
        &self,
        id: CheckpointId,
        partitions: u32,
        now: i64,
    ) -> Check<(RestorableBackup, Vec<StoredPairs>)> {
        let found = self.find(id, partitions, now).ok_or_else(|| {
            Violation::new(
                "restored",
                format!("backup {id} was complete, but is not any more"),
            )
        })?;
        let contents =
            (1..=partitions).map(|partition| self.read_back(&found, PartitionId(partition)));
        let contents = contents.collect::<Check<Vec<_>>>()?;
        Ok((found, contents))
    }
}

fn backup_id(id: CheckpointId) -> BackupId {
    BackupId(id.0 as u64)
}

#[derive(Default)]
struct Collected {
    pairs: Arc<Mutex<StoredPairs>>,
}

impl RestoreSink for Collected {
    fn write(&mut self, run: &PairRun) -> Result<(), SinkError> {
        let mut pairs = self.pairs.lock().expect("no other holder panics");
        pairs.extend(
            run.iter()
                .map(|(key, value)| (Bytes::copy_from_slice(key), Bytes::copy_from_slice(value))),
        );
        Ok(())
    }

    fn finish(&mut self) -> Result<(), SinkError> {
        Ok(())
    }
}

struct Unseen;

impl Progress for Unseen {
    fn begin(&self, _: skep_backup::PartitionId, _: u64, _: u64) {}
    fn advance(&self, _: skep_backup::PartitionId, _: u64, _: u64) {}
}

/// How an upload meets its fate.
struct Fate {
    plan: Plan,
    /// The node crashes: nobody learns how it ended.
    crashes: bool,
}

impl Fate {
    const GOOD: Fate = Fate {
        plan: Plan::None,
        crashes: false,
    };

    fn faulty(random: &mut Random) -> Fate {
        let call = random.below(CALLS_MAX);
        let fault = match random.below(6) {
            0 => Fault::Refuse(BlobErrorKind::Unauthorized),
            1 => Fault::Refuse(BlobErrorKind::Unreachable),
            2 => Fault::Refuse(BlobErrorKind::Other),
            3 => Fault::LoseAnswer,
            4 => Fault::Hang,
            _ => Fault::Slow(Duration::from_secs(600)),
        };
        let plan = match random.below(3) {
            0 => Plan::From(call, fault),
            1 => Plan::FirstAttempts(2, Fault::Refuse(BlobErrorKind::Unreachable)),
            _ => Plan::Nth(call, fault),
        };
        Fate {
            plan,
            crashes: false,
        }
    }

    fn crashing(random: &mut Random) -> Fate {
        let call = random.below(CALLS_MAX);
        Fate {
            plan: Plan::From(call, Fault::Refuse(BlobErrorKind::Other)),
            crashes: true,
        }
    }
}

impl World {
    /// A backup is asked for: every partition is told, one after the other.
    pub fn ask_for_backup(&mut self) -> Check {
        if !self.clients.arriving {
            return Ok(());
        }
        self.backups.latest += 1;
        let id = CheckpointId(self.backups.latest);
        self.backups.asked_at.insert(id, self.now);
        self.note(|| format!("backup {id} is asked for"));
        for partition in 0..self.partitions.len() {
            let value = values::Checkpoint {
                checkpoint_id: id.0,
                checkpoint_position: -1,
                failure_reason: String::new(),
            };
            // Partitions cut at different times, with messages on their way in between.
            let spread = *self.random.pick(&[2, 2_000]);
            let lag = self.random.wait(spread);
            let create = Command::new(Key::NONE, CheckpointIntent::Create, value);
            self.submit_after(lag, partition, create);
        }
        let next = self.random.wait(self.settings.backup_ms);
        self.schedule(next, Step::AskForBackup);
        Ok(())
    }

    /// A partition has cut.
    pub fn cut(&mut self, partition: usize, id: CheckpointId) -> Check {
        let held = &self.partitions[partition];
        let position = held.reference.progress.position();
        if let Some(asked_at) = self.backups.asked_at.get(&id) {
            held.history.check_cut(held.id, id, *asked_at, position)?;
        }
        let count = self.backups.cut.entry(id).or_default();
        *count += 1;
        if *count < self.partitions.len() {
            return Ok(());
        }
        let cuts = self.partitions.iter().filter_map(|held| {
            let found = held.reference.cuts.get(&id)?;
            Some((held.id, found))
        });
        cut::check(id, &cuts.collect())
    }

    /// A leader wants a checkpoint uploaded.
    pub fn begin_upload(&mut self, place: Place, backup: FrozenBackup) -> Check {
        let id = backup.checkpoint_id;
        let held = &self.partitions[place.partition];
        let Some(expected) = held.reference.cuts.get(&id) else {
            return Err(Violation::new(
                "restored",
                format!("{backup:?} is frozen, but the log has no such checkpoint"),
            ));
        };
        let frozen = content_pairs(&backup.view)?;
        restored::check("the frozen view", held.id, id, &frozen, expected)?;
        let lag = *self.random.pick(&[20, 2_000, 60_000]);
        let lag = self.random.wait(lag);
        let host = self.host(place);
        let life = host.life;
        let base = host.notes.begin(backup_id(id), &backup.written_at());
        self.backups.running.push(Running {
            place,
            life,
            id,
            time: backup.time,
            base,
        });
        self.note(|| format!("{place:?} begins the upload of backup {id}"));
        self.schedule(lag, Step::Upload(place, life, backup));
        Ok(())
    }

    /// A replica has given the view up: the upload ends.
    pub fn give_up_upload(&mut self, place: Place, id: CheckpointId) {
        let host = self.host(place);
        host.notes.ended(backup_id(id));
        let life = host.life;
        self.backups
            .running
            .retain(|running| !running.is(place, life, id));
        self.note(|| format!("{place:?} gives the upload of backup {id} up"));
    }

    /// The node crashes: uploads that are under way break off somewhere.
    pub fn crash_uploads(&mut self, place: Place) -> Check {
        let life = self.host(place).life;
        let breaking = |running: &mut Running| (running.place, running.life) == (place, life);
        let broken: Vec<Running> = self.backups.running.extract_if(.., breaking).collect();
        for Running { id, time, base, .. } in broken {
            let fate = Fate::crashing(&mut self.random);
            self.counts.uploads_failed += 1;
            let held = &self.partitions[place.partition];
            let Some(pairs) = held
                .reference
                .cuts
                .get(&id)
                .map(|cut| Arc::clone(&cut.pairs))
            else {
                continue;
            };
            let identity = self.identity(place, id);
            // Nobody learns how it ended.
            let _ = self.perform(&identity, time, Pairs(pairs), base, fate);
            self.check_stored(id)?;
        }
        Ok(())
    }

    fn identity(&self, place: Place, id: CheckpointId) -> PartitionIdentity {
        let held = &self.partitions[place.partition];
        let cut = held.reference.cuts.get(&id);
        let position = cut.map_or(-1, |cut| cut.position.0);
        PartitionIdentity {
            cluster_id: "simulated".to_owned(),
            backup_id: backup_id(id),
            partition: skep_backup::PartitionId(held.id.0),
            partition_count: self.partitions.len() as u32,
            state_version: Bookkeeping::VERSION,
            broker_version: "simulated".to_owned(),
            node_id: place.node as u32,
            checkpoint_position: position as u64,
            epoch: held.reference.progress.epoch,
            snapshot_id: None,
        }
    }

    /// An upload's time has come.
    pub fn upload(&mut self, place: Place, life: u64, backup: &FrozenBackup) -> Check {
        let id = backup.checkpoint_id;
        let mut begun = self
            .backups
            .running
            .extract_if(.., |running| running.is(place, life, id));
        let Some(Running { base, .. }) = begun.next() else {
            return Ok(());
        };
        drop(begun);
        let fails = self.random.chance(self.rates.upload_fault);
        let fate = if fails {
            Fate::faulty(&mut self.random)
        } else {
            Fate::GOOD
        };
        let identity = PartitionIdentity {
            state_version: backup.state_version,
            checkpoint_position: backup.position.0 as u64,
            epoch: backup.epoch.0,
            ..self.identity(place, id)
        };
        let pairs = Pairs(Arc::new(content_pairs(&backup.view)?));
        let result = self.perform(&identity, backup.time, pairs, base, fate);
        let result = result.map(|draft| self.completed(place, id, &draft));
        self.host(place).notes.ended(backup_id(id));
        self.note(|| format!("{place:?}: the upload of backup {id} ends with {result:?}"));
        self.counts.uploads_failed += u64::from(result.is_err());
        self.check_stored(id)?;
        let lag = self.random.wait(30);
        self.schedule(lag, Step::Uploaded(place, life, id, result));
        Ok(())
    }

    /// An upload's manifest is stored: its node goes on from it.
    fn completed(&mut self, place: Place, id: CheckpointId, draft: &UploadDraft) {
        let stats = draft.stats;
        self.counts.chunks_unchanged += stats.plan.chunks_unchanged;
        self.counts.chunks_uploaded += stats.chunks_uploaded;
        self.counts.patches_uploaded += stats.patches_uploaded;
        let notes = &mut self.host(place).notes;
        notes.completed(backup_id(id), draft.index());
    }

    /// A replica learns how an upload ended.
    pub fn uploaded(
        &mut self,
        place: Place,
        life: u64,
        checkpoint_id: CheckpointId,
        result: Result<(), String>,
    ) -> Check {
        if !self.alive(place, life) {
            return Ok(());
        }
        self.handle(
            place,
            Event::BackupEnded {
                checkpoint_id,
                result,
            },
        )
    }

    /// Uploads as a broker does: chunks, manifest, the cluster's manifest if that was the last; a failure is noted in the store.
    fn perform(
        &self,
        identity: &PartitionIdentity,
        time: i64,
        pairs: Pairs,
        base: Option<BaseBackup>,
        fate: Fate,
    ) -> Result<UploadDraft, String> {
        let late = Arc::new(LateChunks::new(Arc::clone(&self.backups.store)));
        let below: BlobRef = if self.backups.manifests_first {
            late.clone()
        } else {
            Arc::clone(&self.backups.store)
        };
        let store: BlobRef = Arc::new(FaultyBlobStore::new(below, fate.plan));
        let now = self.now as u64;
        let request = UploadRequest {
            identity: identity.clone(),
            content: Arc::new(pairs),
            base: base.map_or(Base::Newest, Base::Given),
            checkpoint_time_ms: time.max(0) as u64,
            now_ms: Arc::new(move || now),
            cancel: Cancel::new(),
        };
        let options = UploadOptions {
            parallelism: 1,
            ..UploadOptions::default()
        };
        self.backups.runtime.block_on(async {
            let result = take(&store, &request, &options).await;
            if fate.crashes {
                return result;
            }
            if let Err(reason) = &result {
                // The partition's state has it, whether the store takes it or not.
                let marking = mark_failed(&*store, identity, reason, now, &options.retry);
                let _ = timeout(CALLS_END_AFTER, marking).await;
            }
            late.store_held().await.map_err(|error| error.to_string())?;
            result
        })
    }

    /// Reads a backup back as soon as it is complete, whoever has completed it.
    fn check_stored(&mut self, id: CheckpointId) -> Check {
        let partitions = self.partitions.len() as u32;
        if self.backups.good.contains(&id) {
            return Ok(());
        }
        let Some(found) = self.backups.find(id, partitions, self.now) else {
            return Ok(());
        };
        for held in &self.partitions {
            let Some(expected) = held.reference.cuts.get(&id) else {
                return Err(Violation::new(
                    "restored",
                    format!(
                        "backup {id} is complete, but partition {} has not cut",
                        held.id
                    ),
                ));
            };
            let pairs = self.backups.read_back(&found, held.id)?;
            restored::check("what is stored", held.id, id, &pairs, expected)?;
            if let Some(manifest) = found.partition(skep_backup::PartitionId(held.id.0)) {
                restored::check_root(held.id, id, manifest.root_hash, expected)?;
            }
        }
        self.note(|| format!("backup {id} is complete and good"));
        self.counts.backups += 1;
        self.backups.good.push(id);
        Ok(())
    }
}

async fn take(
    store: &BlobRef,
    request: &UploadRequest,
    options: &UploadOptions,
) -> Result<UploadDraft, String> {
    let draft = upload_chunks(store, request, options)
        .await
        .map_err(|error| error.to_string())?;
    let manifest = publish(store, draft.clone(), options, &request.cancel)
        .await
        .map_err(|error| error.to_string())?;
    // The partition's part is safe; whoever reads the backup makes the cluster manifest up.
    let backup = manifest.identity.backup_id;
    let completing = complete_backup(&**store, backup, &options.retry);
    let _ = timeout(CALLS_END_AFTER, completing).await;
    Ok(draft)
}
