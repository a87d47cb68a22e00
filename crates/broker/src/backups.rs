//! Uploads of checkpoints: beside processing, within a deadline, skipping what has not changed.

use std::collections::BTreeMap;
use std::num::NonZeroU64;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use skep_backup::{
    BackupId, BaseBackup, Cancel, ChunkIndex, Content, ContentError, DirtyChunks,
    PartitionIdentity, UploadOptions, UploadRequest, complete_backup, mark_failed, publish,
    upload_chunks,
};
use skep_blob::BlobRef;
use skep_config::UploadLimits;
use skep_partition::{BOOKKEEPING_PREFIXES, Event, FrozenBackup, Inbox};
use skep_protocol::CheckpointId;
use skep_state::{FlushTicket, KeyRange, LocalMeta, Read, View};
use tokio::runtime::Handle;
use tokio::time::timeout;
use tracing::{info, warn};

use crate::metrics::BackupMetrics;
use crate::{VERSION, now_ms};

/// How long the store may take to note that a backup failed.
const NOTE_PATIENCE: Duration = Duration::from_secs(60);

/// Memory for the keys noted of all partitions since a backup: a million keys of 16 bytes. There are as many notes as backups under way,
/// and one more.
const NOTED_KEYS_BYTES_MAX: usize = 64 << 20;

/// What all uploads of a node share.
#[derive(Clone)]
pub struct BackupSettings {
    /// Where backups go.
    pub store: BlobRef,
    /// Name of the cluster.
    pub cluster_id: String,
    /// How many partitions it has.
    pub partition_count: u32,
    /// This node.
    pub node_id: u32,
    /// What bounds an upload.
    pub limits: UploadLimits,
    /// Where uploads run.
    pub runtime: Handle,
    /// Where they are counted.
    pub metrics: BackupMetrics,
}

/// Uploads of one partition.
pub struct PartitionBackups {
    settings: BackupSettings,
    running: BTreeMap<CheckpointId, Cancel>,
    notes: Arc<Mutex<Notes>>,
    /// Where the log was when keys were last written back.
    written_at: LocalMeta,
}

/// What was written since which backup, so that only changed chunks are read again.
#[derive(Default)]
struct Notes {
    /// The last completed backup, and what was written since its checkpoint.
    base: Option<(BackupId, DirtyChunks)>,
    /// Checkpoints being uploaded, and what was written since each, in terms of the base (or of nothing, if there is none).
    since: BTreeMap<CheckpointId, DirtyChunks>,
}

/// Whether everything that was written since a checkpoint will have been noted.
#[derive(Clone, Copy, Debug)]
enum Noted {
    All,
    /// The upload begins later than its checkpoint, as with one that a former leader made.
    NotAll,
}

impl Notes {
    fn lock(notes: &Mutex<Notes>) -> MutexGuard<'_, Notes> {
        // Marking does not leave notes half-made.
        notes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The upload of a checkpoint begins. Gives what it may build on.
    fn begin(&mut self, id: CheckpointId, noted: Noted, bytes_max: usize) -> Option<BaseBackup> {
        let base = self.base.as_ref().map(|(backup_id, dirty)| BaseBackup {
            backup_id: *backup_id,
            dirty: Arc::new(dirty.clone()),
        });
        // Without a base all keys are noted as they are, in terms of an index without chunks.
        let index = base.as_ref().map(|base| Arc::clone(base.dirty.index()));
        let index = index.unwrap_or_default();
        let since = match noted {
            Noted::All => DirtyChunks::clean(index).bounded(bytes_max),
            Noted::NotAll => DirtyChunks::all(index),
        };
        self.since.insert(id, since);
        base
    }

    /// Keys were written, in order.
    fn written(&mut self, keys: &[&[u8]]) {
        let base = self.base.iter_mut().map(|(_, dirty)| dirty);
        for dirty in base.chain(self.since.values_mut()) {
            dirty.mark_sorted(keys.iter().copied());
        }
    }

    /// A backup is complete: it is the base from now on.
    fn completed(&mut self, id: CheckpointId, backup: BackupId, index: ChunkIndex) {
        let index = Arc::new(index);
        let dirty = match self.since.remove(&id) {
            Some(since) => since.rebase(index),
            // Another backup was complete first, in whose terms nothing was noted.
            None => DirtyChunks::all(index),
        };
        // Notes of other uploads refer to the former base.
        self.since.clear();
        self.base = Some((backup, dirty));
    }
}

impl PartitionBackups {
    /// None yet.
    pub fn new(settings: BackupSettings) -> PartitionBackups {
        PartitionBackups {
            settings,
            running: BTreeMap::new(),
            notes: Arc::default(),
            written_at: LocalMeta::default(),
        }
    }

    /// Keys are written back.
    pub fn written(&mut self, ticket: &FlushTicket) {
        self.written_at = ticket.meta().clone();
        let mut notes = Notes::lock(&self.notes);
        if notes.base.is_some() || !notes.since.is_empty() {
            let content: Vec<&[u8]> = ticket.keys().filter(|key| !is_bookkeeping(key)).collect();
            notes.written(&content);
        }
    }

    /// Begins the upload of a frozen checkpoint, unless it is under way.
    pub fn begin(&mut self, backup: FrozenBackup, inbox: Inbox) {
        let id = backup.checkpoint_id;
        if self.running.contains_key(&id) {
            return;
        }
        let noted = if self.written_at == backup.written_at() {
            Noted::All
        } else {
            Noted::NotAll
        };
        let partitions = self.settings.partition_count.max(1) as usize;
        let base = Notes::lock(&self.notes).begin(id, noted, NOTED_KEYS_BYTES_MAX / partitions);
        let cancel = Cancel::new();
        self.running.retain(|_, cancel| !cancel.is_cancelled());
        self.running.insert(id, cancel.clone());
        let upload = Upload {
            settings: self.settings.clone(),
            backup,
            base,
            cancel,
            notes: Arc::clone(&self.notes),
        };
        self.settings.runtime.spawn(async move {
            let result = upload.run().await;
            let failure = result.clone().err();
            // First the partition's state: a store that has just failed may take long to refuse the note, too.
            inbox.push(Event::BackupEnded {
                checkpoint_id: id,
                result,
            });
            if let Some(failure) = failure {
                upload.note_failure(&failure).await;
            }
        });
    }

    /// Ends the upload of a checkpoint whose content was given up.
    pub fn give_up(&mut self, id: CheckpointId) {
        if let Some(cancel) = self.running.remove(&id) {
            cancel.cancel();
        }
    }
}

/// One upload.
struct Upload {
    settings: BackupSettings,
    backup: FrozenBackup,
    base: Option<BaseBackup>,
    cancel: Cancel,
    notes: Arc<Mutex<Notes>>,
}

impl Upload {
    async fn run(&self) -> Result<(), String> {
        let partition = self.backup.partition.0;
        let running = self.settings.metrics.begin(partition, "take");
        let deadline = self.settings.limits.timeout + NOTE_PATIENCE;
        let result = timeout(deadline, self.upload()).await;
        let result = result.unwrap_or_else(|_| {
            Err(format!(
                "The backup store did not answer within {deadline:?}"
            ))
        });
        running.end(result.is_ok());
        Notes::lock(&self.notes)
            .since
            .remove(&self.backup.checkpoint_id);
        if let Err(failure) = &result {
            warn!(
                partition,
                backup = self.backup.checkpoint_id.0,
                failure,
                "the backup failed"
            );
        }
        result
    }

    /// Tells the store's readers that the backup failed, if the store takes the note.
    async fn note_failure(&self, failure: &str) {
        let (options, identity) = (self.options(), self.identity());
        let noted = mark_failed(
            &*self.settings.store,
            &identity,
            failure,
            now_ms(),
            &options.retry,
        );
        let problem = match timeout(NOTE_PATIENCE, noted).await {
            Ok(Ok(())) => return,
            Ok(Err(error)) => error.to_string(),
            Err(_) => format!("no answer within {NOTE_PATIENCE:?}"),
        };
        let partition = self.backup.partition.0;
        warn!(
            partition,
            problem,
            "the backup store does not take the note that the backup failed; the partition's state has it"
        );
    }

    async fn upload(&self) -> Result<(), String> {
        let store = &self.settings.store;
        let options = self.options();
        let time = self.backup.time.max(0) as u64;
        let request = UploadRequest {
            identity: self.identity(),
            content: Arc::new(ViewContent(self.backup.view.clone())),
            base: self.base.clone(),
            // Never before the checkpoint, so that a restored partition's clock does not go back.
            now_ms: Arc::new(move || now_ms().max(time)),
            cancel: self.cancel.clone(),
        };
        let draft = upload_chunks(store, &request, &options)
            .await
            .map_err(|error| error.to_string())?;
        let (index, stats) = (draft.index(), draft.stats);
        let manifest = publish(store, draft, &options, &self.cancel)
            .await
            .map_err(|error| error.to_string())?;
        let backup_id = manifest.identity.backup_id;
        Notes::lock(&self.notes).completed(self.backup.checkpoint_id, backup_id, index);
        info!(
            partition = self.backup.partition.0,
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
                warn!(backup = backup_id.0, %error, "the cluster manifest could not be written now")
            }
        }
        Ok(())
    }

    fn options(&self) -> UploadOptions {
        UploadOptions {
            bytes_per_second: self
                .settings
                .limits
                .bytes_per_second
                .and_then(NonZeroU64::new),
            deadline: self.settings.limits.timeout,
            ..UploadOptions::default()
        }
    }

    fn identity(&self) -> PartitionIdentity {
        let backup = &self.backup;
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

fn is_bookkeeping(key: &[u8]) -> bool {
    key.first()
        .is_some_and(|prefix| BOOKKEEPING_PREFIXES.contains(prefix))
}

/// A frozen view without the replica's bookkeeping, for which the manifest stands.
struct ViewContent(View);

impl Content for ViewContent {
    fn scan(
        &self,
        from: &[u8],
        visit: &mut dyn FnMut(&[u8], &[u8]) -> skep_backup::Visit,
    ) -> Result<(), ContentError> {
        let range = KeyRange { from, to: None };
        let scanned = self.0.scan(range, &mut |key, value| {
            if is_bookkeeping(key) {
                return skep_state::Visit::Next;
            }
            match visit(key, value) {
                skep_backup::Visit::Continue => skep_state::Visit::Next,
                skep_backup::Visit::Stop => skep_state::Visit::Stop,
            }
        });
        scanned.map_err(|error| ContentError {
            detail: error.to_string(),
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]

    use skep_backup::chunk::{ChunkHash, ChunkInfo};

    use super::*;

    /// An index of chunks that begin at these keys.
    fn index(first_keys: &[&str]) -> ChunkIndex {
        let info = |key: &&str| ChunkInfo {
            first_key: key.as_bytes().to_vec(),
            hash: ChunkHash::of(b""),
            raw_bytes: 1,
            pairs: 1,
        };
        ChunkIndex::new(first_keys.iter().map(info).collect())
    }

    fn dirty(notes: &Notes) -> Vec<usize> {
        let (_, dirty) = notes.base.as_ref().unwrap();
        let slots = 0..dirty.index().chunks().len();
        slots.filter(|slot| dirty.is_dirty(*slot)).collect()
    }

    #[test]
    fn what_is_written_during_the_first_backup_is_all_that_the_second_reads() {
        let mut notes = Notes::default();
        assert!(notes.begin(CheckpointId(1), Noted::All, 1_000).is_none());
        notes.written(&[b"d", b"e"]);
        notes.completed(CheckpointId(1), BackupId(1), index(&["a", "c", "m"]));
        assert_eq!(dirty(&notes), [1]);
    }

    #[test]
    fn too_many_keys_during_the_first_backup_make_everything_be_read_again() {
        let mut notes = Notes::default();
        notes.begin(CheckpointId(1), Noted::All, 100);
        notes.written(&[&[b'd'; 100]]);
        notes.completed(CheckpointId(1), BackupId(1), index(&["a", "c", "m"]));
        assert_eq!(dirty(&notes), [0, 1, 2]);
    }

    #[test]
    fn after_a_checkpoint_whose_upload_begins_late_everything_is_read_again() {
        let clean = DirtyChunks::clean(Arc::new(index(&["a", "m"])));
        let mut notes = Notes {
            base: Some((BackupId(1), clean)),
            ..Notes::default()
        };
        let base = notes.begin(CheckpointId(2), Noted::NotAll, 1_000).unwrap();
        assert_eq!(base.dirty.dirty_count(), 0, "of itself all is known");
        notes.completed(CheckpointId(2), BackupId(2), index(&["a", "m"]));
        assert_eq!(dirty(&notes), [0, 1]);
    }
}
