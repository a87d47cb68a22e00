//! Uploads of checkpoints: beside processing, within a deadline, skipping what has not changed.

use std::collections::BTreeMap;
use std::num::NonZeroU64;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use skep_backup::{
    BackupId, Base, BaseBackup, Cancel, Content, ContentError, PartitionIdentity, Processors,
    UploadOptions, UploadRequest, WriteNotes, complete_backup, mark_failed, publish, upload_chunks,
};
use skep_blob::BlobRef;
use skep_config::UploadLimits;
use skep_partition::{BOOKKEEPING_PREFIXES, Event, FrozenBackup, Inbox};
use skep_protocol::CheckpointId;
use skep_state::{FlushTicket, KeyRange, Read, View};
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
    /// What they take of the processors, together.
    pub processors: Processors,
    /// Where uploads run.
    pub runtime: Handle,
    /// Where they are counted.
    pub metrics: BackupMetrics,
}

/// Uploads of one partition.
pub struct PartitionBackups {
    settings: BackupSettings,
    begun: BTreeMap<CheckpointId, Begun>,
    notes: Arc<Mutex<WriteNotes>>,
}

/// An upload that was begun.
struct Begun {
    cancel: Cancel,
    /// Its end is on its way to the replica.
    ended: Arc<AtomicBool>,
}

/// Marking does not leave notes half-made.
fn lock(notes: &Mutex<WriteNotes>) -> MutexGuard<'_, WriteNotes> {
    notes.lock().unwrap_or_else(PoisonError::into_inner)
}

impl PartitionBackups {
    /// None yet.
    pub fn new(settings: BackupSettings) -> PartitionBackups {
        let partitions = settings.partition_count.max(1) as usize;
        let notes = WriteNotes::new(NOTED_KEYS_BYTES_MAX / partitions);
        PartitionBackups {
            settings,
            begun: BTreeMap::new(),
            notes: Arc::new(Mutex::new(notes)),
        }
    }

    /// Keys are written back.
    pub fn written(&mut self, ticket: &FlushTicket) {
        let content = ticket.keys().filter(|key| !is_bookkeeping(key));
        lock(&self.notes).written(ticket.meta(), content);
    }

    /// Begins the upload of a frozen checkpoint, unless it is under way. One that has ended is begun again, since the replica may have
    /// been told while it did not lead; what is stored already is not sent again. `leads` tells whether this replica leads by then.
    pub fn begin(
        &mut self,
        backup: FrozenBackup,
        inbox: Inbox,
        leads: impl Fn() -> bool + Send + 'static,
    ) {
        let id = backup.checkpoint_id;
        self.begun
            .retain(|_, begun| !begun.ended.load(Ordering::Acquire));
        if self.begun.contains_key(&id) {
            return;
        }
        let base = lock(&self.notes).begin(BackupId(id.0 as u64), &backup.written_at());
        let cancel = Cancel::new();
        let ended = Arc::new(AtomicBool::new(false));
        let begun = Begun {
            cancel: cancel.clone(),
            ended: Arc::clone(&ended),
        };
        self.begun.insert(id, begun);
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
            ended.store(true, Ordering::Release);
            // First the partition's state: a store that has just failed may take long to refuse the note, too.
            inbox.push(Event::BackupEnded {
                checkpoint_id: id,
                result,
            });
            // Another leader may complete what this one could not.
            if let Some(failure) = failure.filter(|_| leads()) {
                upload.note_failure(&failure).await;
            }
        });
    }

    /// Ends the upload of a checkpoint whose content was given up.
    pub fn give_up(&mut self, id: CheckpointId) {
        if let Some(begun) = self.begun.remove(&id) {
            begun.cancel.cancel();
        }
    }
}

/// One upload.
struct Upload {
    settings: BackupSettings,
    backup: FrozenBackup,
    base: Option<BaseBackup>,
    cancel: Cancel,
    notes: Arc<Mutex<WriteNotes>>,
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
        lock(&self.notes).ended(BackupId(self.backup.checkpoint_id.0 as u64));
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
            base: self.base.clone().map_or(Base::Newest, Base::Given),
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
        lock(&self.notes).completed(backup_id, index);
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
            processors: self.settings.processors.clone(),
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
    use skep_blob::LocalBlobStore;
    use skep_partition::{LocalPosition, Receiver, inbox};
    use skep_protocol::{Epoch, PartitionId, Position};
    use skep_state::{MemoryStore, Overlay};

    use super::*;

    /// Only what hangs needs as long.
    const PATIENCE: Duration = Duration::from_secs(60);

    fn frozen() -> FrozenBackup {
        let overlay = Overlay::new(Arc::new(MemoryStore::default()));
        FrozenBackup {
            partition: PartitionId(1),
            checkpoint_id: CheckpointId(7),
            position: Position(9),
            epoch: Epoch(1),
            time: 0,
            log_id: LocalPosition::default(),
            state_version: 1,
            view: overlay.view().unwrap(),
        }
    }

    fn ended(receiver: &Receiver) -> Result<(), String> {
        match receiver.next_within(PATIENCE) {
            Some(Event::BackupEnded { result, .. }) => result,
            _ => panic!("the upload does not end"),
        }
    }

    #[test]
    fn an_upload_that_has_failed_is_begun_again_when_the_replica_leads_again() {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let directory = tempfile::tempdir().unwrap();
        let store = directory.path().join("store");
        std::fs::create_dir(&store).unwrap();
        let settings = BackupSettings {
            store: Arc::new(LocalBlobStore::open(&store).unwrap()),
            cluster_id: String::new(),
            partition_count: 1,
            node_id: 0,
            limits: UploadLimits {
                timeout: PATIENCE,
                bytes_per_second: None,
            },
            processors: Processors::half(),
            runtime: runtime.handle().clone(),
            metrics: crate::metrics::Metrics::new().backups.clone(),
        };
        // Nothing can be stored: a file is where the directory was.
        std::fs::remove_dir_all(&store).unwrap();
        std::fs::write(&store, "").unwrap();
        let (inbox, receiver) = inbox();
        let mut backups = PartitionBackups::new(settings);
        backups.begin(frozen(), inbox.clone(), || false);
        ended(&receiver).unwrap_err();

        std::fs::remove_file(&store).unwrap();
        std::fs::create_dir(&store).unwrap();
        backups.begin(frozen(), inbox, || true);
        ended(&receiver).unwrap();
    }
}
