//! What a replica does for a backup of its partition: reads its frozen content for the root hash, stores it, and writes the manifest,
//! each when the partition's leader asks for it. What has been begun goes on though nobody asks any more, within the upload's deadline.

use std::collections::BTreeMap;
use std::num::NonZeroU64;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use skep_backup::{
    BackupId, Base, Cancel, PartitionIdentity, RootHash, UploadDraft, UploadOptions, UploadRequest,
    WriteNotes, complete_backup, hash_content, publish, upload_chunks,
};
use skep_engine::tables::checkpoint;
use skep_partition::FrozenBackup;
use skep_protocol::CheckpointId;
use skep_protocol::node_message::{BackupStep, NodeAnswer, NodeRefusal};
use skep_state::FlushTicket;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};
use tracing::{info, warn};

use crate::backups::BackupSettings;
use crate::content::{SnapshotContent, is_bookkeeping};
use crate::partition::Partition;
use crate::{VERSION, now_ms};

/// How long whoever asks waits for news.
const NEWS_PATIENCE: Duration = Duration::from_secs(1);

/// How long somebody who asks a replica that has not come to the checkpoint yet is kept waiting.
const BEHIND_PAUSE: Duration = Duration::from_millis(100);

/// Memory for the keys noted of all partitions since a backup: a million keys of 16 bytes. There are as many notes as backups under way,
/// and one more.
const NOTED_KEYS_BYTES_MAX: usize = 64 << 20;

/// Parts that are remembered; more than there are frozen views.
const PARTS_MAX: usize = 8;

/// What is done with a frozen content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum BackupTask {
    /// It is read for its root hash.
    Compare,
    /// It is stored, and gives its root hash as well.
    Store,
}

/// How far a replica's part in a backup is.
#[derive(Debug, Clone)]
pub enum PartState {
    /// Under way.
    Working,
    /// The content has this root hash.
    Compared(RootHash),
    /// It has the draft's root hash, and all of its chunks are stored.
    Stored(Arc<UploadDraft>),
    /// It went wrong.
    Failed(String),
}

struct Part {
    task: BackupTask,
    cancel: Cancel,
    state: watch::Receiver<PartState>,
}

/// A replica's parts in backups.
pub struct BackupParts {
    settings: BackupSettings,
    notes: Mutex<WriteNotes>,
    parts: Mutex<BTreeMap<CheckpointId, Part>>,
}

/// Nothing is left half-made by whoever panics with one of these.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl BackupParts {
    /// None yet.
    pub fn new(settings: BackupSettings) -> BackupParts {
        let partitions = settings.partition_count.max(1) as usize;
        BackupParts {
            settings,
            notes: Mutex::new(WriteNotes::new(NOTED_KEYS_BYTES_MAX / partitions)),
            parts: Mutex::default(),
        }
    }

    /// Keys that were not told of have been written: what was noted is of no use.
    pub fn forget(&self) {
        let partitions = self.settings.partition_count.max(1) as usize;
        *lock(&self.notes) = WriteNotes::new(NOTED_KEYS_BYTES_MAX / partitions);
    }

    /// Keys are written back.
    pub fn written(&self, ticket: &FlushTicket) {
        let content = ticket.keys().filter(|key| !is_bookkeeping(key));
        lock(&self.notes).written(ticket.meta(), content);
    }

    /// Begins a task, unless it has been begun, and waits a moment for its end. What has failed is told once, and begun again after that.
    pub async fn work(self: &Arc<Self>, backup: FrozenBackup, task: BackupTask) -> PartState {
        let id = backup.checkpoint_id;
        let mut state = self.begin(backup, task);
        let ends = state.wait_for(|state| !matches!(state, PartState::Working));
        // Whoever asked asks again.
        drop(timeout(NEWS_PATIENCE, ends).await);
        let ended = state.borrow().clone();
        if matches!(ended, PartState::Failed(_)) {
            let mut parts = lock(&self.parts);
            // Another task may have taken its place meanwhile.
            if parts
                .get(&id)
                .is_some_and(|part| part.state.same_channel(&state))
            {
                parts.remove(&id);
            }
        }
        ended
    }

    fn begin(
        self: &Arc<Self>,
        backup: FrozenBackup,
        task: BackupTask,
    ) -> watch::Receiver<PartState> {
        let id = backup.checkpoint_id;
        let mut parts = lock(&self.parts);
        if let Some(part) = parts.get(&id) {
            if part.task >= task {
                return part.state.clone();
            }
            part.cancel.cancel();
        }
        let cancel = Cancel::new();
        let (news, state) = watch::channel(PartState::Working);
        let part = Part {
            task,
            cancel: cancel.clone(),
            state: state.clone(),
        };
        parts.insert(id, part);
        let oldest = parts.first_key_value().map(|(oldest, _)| *oldest);
        let too_many = parts.len() > PARTS_MAX;
        drop(parts);
        if let Some(oldest) = oldest.filter(|_| too_many) {
            self.give_up(oldest);
        }
        let this = Arc::clone(self);
        self.settings.runtime.spawn(async move {
            let ended = this.run(&backup, task, &cancel).await;
            // Nobody may be interested any more.
            let _ = news.send(ended);
        });
        state
    }

    async fn run(&self, backup: &FrozenBackup, task: BackupTask, cancel: &Cancel) -> PartState {
        let id = BackupId(backup.checkpoint_id.0 as u64);
        let base = lock(&self.notes).begin(id, &backup.written_at());
        let content = Arc::new(SnapshotContent::of_backup(Arc::new(backup.view.clone())));
        let state = match task {
            BackupTask::Compare => {
                let processors = &self.settings.processors;
                let hashed = hash_content(content, base, processors, cancel);
                match timeout(self.settings.limits.timeout, hashed).await {
                    Ok(Ok((root, index))) => {
                        lock(&self.notes).completed(id, index);
                        PartState::Compared(root)
                    }
                    Ok(Err(error)) => PartState::Failed(error.to_string()),
                    Err(_) => PartState::Failed("its content was not read in time".to_owned()),
                }
            }
            BackupTask::Store => {
                let time = backup.time.max(0) as u64;
                let request = UploadRequest {
                    identity: self.identity(backup),
                    content,
                    base: base.map_or(Base::Newest, Base::Given),
                    checkpoint_time_ms: time,
                    // Never before the checkpoint: versions that know no time of it take this one for a restored partition's clock.
                    now_ms: Arc::new(move || now_ms().max(time)),
                    cancel: cancel.clone(),
                };
                match upload_chunks(&self.settings.store, &request, &self.options()).await {
                    Ok(draft) => PartState::Stored(Arc::new(draft)),
                    Err(error) => PartState::Failed(error.to_string()),
                }
            }
        };
        // What is stored is the base of the next backup when it is published.
        if !matches!(state, PartState::Stored(_)) {
            lock(&self.notes).ended(id);
        }
        state
    }

    /// Writes the manifest of what was stored here, and that of the cluster if this was the last partition.
    pub async fn publish(&self, id: CheckpointId) -> Result<(), String> {
        let (draft, cancel) = {
            let parts = lock(&self.parts);
            let part = parts.get(&id);
            let Some(part) = part else {
                return Err("its broker has restarted meanwhile".to_owned());
            };
            let PartState::Stored(draft) = &*part.state.borrow() else {
                return Err("its chunks are not stored".to_owned());
            };
            (Arc::clone(draft), part.cancel.clone())
        };
        let (store, options) = (&self.settings.store, self.options());
        let (index, stats) = (draft.index(), draft.stats);
        let manifest = publish(store, UploadDraft::clone(&draft), &options, &cancel)
            .await
            .map_err(|error| error.to_string())?;
        let backup_id = manifest.identity.backup_id;
        lock(&self.notes).completed(backup_id, index);
        info!(
            partition = manifest.identity.partition.0,
            backup = backup_id.0,
            chunks = manifest.chunks.len(),
            uploaded_chunks = stats.chunks_uploaded,
            uploaded_bytes = stats.bytes_uploaded,
            "the partition's backup is complete"
        );
        match complete_backup(&**store, backup_id, &options.retry).await {
            Ok(Some(_)) => info!(
                backup = backup_id.0,
                "the backup of all partitions is complete"
            ),
            Ok(None) => {}
            // The partition's part is safe; whoever reads the backup makes the cluster manifest up.
            Err(error) => {
                warn!(backup = backup_id.0, %error, "the cluster manifest could not be written now");
            }
        }
        Ok(())
    }

    /// The content of a checkpoint was given up.
    pub fn give_up(&self, id: CheckpointId) {
        if let Some(part) = lock(&self.parts).remove(&id) {
            part.cancel.cancel();
            lock(&self.notes).ended(BackupId(id.0 as u64));
        }
    }

    /// How everything is stored.
    pub fn options(&self) -> UploadOptions {
        let limits = &self.settings.limits;
        UploadOptions {
            bytes_per_second: limits.bytes_per_second.and_then(NonZeroU64::new),
            deadline: limits.timeout,
            processors: self.settings.processors.clone(),
            ..UploadOptions::default()
        }
    }

    /// What a backup is one of.
    pub fn identity(&self, backup: &FrozenBackup) -> PartitionIdentity {
        let log_id = backup.log_id;
        PartitionIdentity {
            cluster_id: self.settings.cluster_id.clone(),
            backup_id: BackupId(backup.checkpoint_id.0 as u64),
            partition: skep_backup::PartitionId(backup.partition.0),
            partition_count: self.settings.partition_count,
            state_version: backup.state_version,
            broker_version: VERSION.to_owned(),
            node_id: self.settings.node_id,
            checkpoint_position: backup.position.0 as u64,
            epoch: backup.epoch.0,
            snapshot_id: Some(format!(
                "{}-{}-{}-{}",
                log_id.index, log_id.term, backup.position, -1
            )),
        }
    }
}

/// Does a replica's part, and says how far it is.
pub async fn answer(target: &Partition, checkpoint: CheckpointId, step: BackupStep) -> NodeAnswer {
    let Some(parts) = target.backups.get() else {
        return failed("it has no backup store, or does not run");
    };
    let task = match step {
        BackupStep::Compare => BackupTask::Compare,
        BackupStep::Store => BackupTask::Store,
        BackupStep::Publish => {
            return match parts.publish(checkpoint).await {
                Ok(()) => NodeAnswer::Done,
                Err(reason) => failed(reason),
            };
        }
    };
    let found = target.inspect(move |replica| {
        let frozen = replica.frozen.iter();
        let mut frozen = frozen.filter(|backup| backup.checkpoint_id == checkpoint);
        let latest = checkpoint::latest(&replica.state).map(|latest| latest.id);
        (frozen.next().cloned(), latest)
    });
    match found.await {
        Some((Some(backup), _)) => match parts.work(backup, task).await {
            PartState::Working => NodeAnswer::Working,
            PartState::Compared(root) => NodeAnswer::RootHash(*root.as_bytes()),
            PartState::Stored(draft) => NodeAnswer::RootHash(*draft.manifest.root_hash.as_bytes()),
            PartState::Failed(reason) => failed(reason),
        },
        // It has not applied the checkpoint yet.
        Some((None, Ok(latest))) if latest < checkpoint => {
            sleep(BEHIND_PAUSE).await;
            NodeAnswer::Working
        }
        Some((None, Ok(_))) => failed(
            "it has not kept the content of the checkpoint: it has restarted since, or the backup has ended",
        ),
        Some((None, Err(error))) => failed(error.to_string()),
        None => failed("it has stopped"),
    }
}

fn failed(reason: impl Into<String>) -> NodeAnswer {
    NodeAnswer::Refusal(NodeRefusal::Failed, reason.into())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]

    use futures::FutureExt;
    use skep_backup::Processors;
    use skep_blob::LocalBlobStore;
    use skep_config::{UploadFrom, UploadLimits};
    use skep_partition::LocalPosition;
    use skep_protocol::{Epoch, PartitionId, Position};
    use skep_state::{MemoryStore, Overlay};

    use super::*;
    use crate::metrics::Metrics;

    /// The partition's clock at the checkpoint, far behind the broker's.
    const TIME: i64 = 5;

    fn frozen() -> FrozenBackup {
        let overlay = Overlay::new(Arc::new(MemoryStore::default()));
        FrozenBackup {
            partition: PartitionId(1),
            checkpoint_id: CheckpointId(7),
            position: Position(9),
            epoch: Epoch(1),
            time: TIME,
            log_id: LocalPosition::default(),
            state_version: 1,
            view: overlay.view().unwrap(),
        }
    }

    fn parts(store: &std::path::Path) -> Arc<BackupParts> {
        Arc::new(BackupParts::new(BackupSettings {
            store: Arc::new(LocalBlobStore::open(store).unwrap()),
            cluster_id: String::new(),
            partition_count: 1,
            node_id: 0,
            limits: UploadLimits {
                timeout: Duration::from_secs(60),
                bytes_per_second: None,
            },
            upload_from: UploadFrom::Leader,
            processors: Processors::half(),
            runtime: tokio::runtime::Handle::current(),
            metrics: Metrics::new().backups.clone(),
        }))
    }

    #[tokio::test]
    async fn who_has_compared_and_stores_now_goes_on_though_the_comparison_is_given_up() {
        let store = tempfile::tempdir().unwrap();
        let parts = parts(store.path());
        let (comparison, state) = watch::channel(PartState::Working);
        let part = Part {
            task: BackupTask::Compare,
            cancel: Cancel::new(),
            state,
        };
        lock(&parts.parts).insert(CheckpointId(7), part);
        let mut comparing = parts.work(frozen(), BackupTask::Compare).boxed();
        assert!(futures::poll!(&mut comparing).is_pending());
        let stored = done(&parts, BackupTask::Store).await;
        assert!(matches!(stored, PartState::Stored(_)), "{stored:?}");
        comparison.send_replace(PartState::Failed("it was cancelled".to_owned()));
        assert!(matches!(comparing.await, PartState::Failed(_)));
        parts.publish(CheckpointId(7)).await.unwrap();
    }

    /// Asks until it is done.
    async fn done(parts: &Arc<BackupParts>, task: BackupTask) -> PartState {
        loop {
            match parts.work(frozen(), task).await {
                PartState::Working => {}
                ended => return ended,
            }
        }
    }

    #[tokio::test]
    async fn what_has_failed_is_begun_again_and_what_is_stored_can_be_published() {
        let directory = tempfile::tempdir().unwrap();
        let store = directory.path().join("store");
        std::fs::create_dir(&store).unwrap();
        let parts = parts(&store);
        // Nothing can be stored: a file is where the directory was.
        std::fs::remove_dir_all(&store).unwrap();
        std::fs::write(&store, "").unwrap();
        let failed = done(&parts, BackupTask::Store).await;
        assert!(matches!(failed, PartState::Failed(_)), "{failed:?}");
        parts.publish(CheckpointId(7)).await.unwrap_err();

        std::fs::remove_file(&store).unwrap();
        std::fs::create_dir(&store).unwrap();
        let compared = done(&parts, BackupTask::Compare).await;
        parts.publish(CheckpointId(7)).await.unwrap_err();
        let stored = done(&parts, BackupTask::Store).await;
        let (PartState::Compared(root), PartState::Stored(draft)) = (&compared, &stored) else {
            panic!("{compared:?}, {stored:?}");
        };
        assert_eq!(*root, draft.manifest.root_hash);
        assert_eq!(draft.manifest.restored_time_ms(), TIME as u64);
        assert!(draft.manifest.created_at_ms > TIME as u64);
        for _ in 0..2 {
            parts.publish(CheckpointId(7)).await.unwrap();
        }
        parts.give_up(CheckpointId(7));
        parts.publish(CheckpointId(7)).await.unwrap_err();
    }
}
