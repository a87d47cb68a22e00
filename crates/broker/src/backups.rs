//! Backups of a partition, as its leader sees to them: begun when the replica leads, told to it when they have ended.
//!
//! Which replica does what is in [`crate::agreement`], what each does in [`crate::backup_parts`]; here and elsewhere it is asked for in
//! the same way.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures::future::{BoxFuture, FutureExt};
use skep_backup::{Cancel, Processors, mark_failed};
use skep_blob::BlobRef;
use skep_config::{UploadFrom, UploadLimits};
use skep_partition::{Event, FrozenBackup, Inbox};
use skep_protocol::node_message::{BackupStep, NodeAnswer, NodeRequest};
use skep_protocol::{CheckpointId, NodeId};
use skep_state::FlushTicket;
use tokio::runtime::Handle;
use tokio::time::timeout;
use tracing::{error, warn};

use crate::agreement::{Agreement, Replicas};
use crate::backup_parts::BackupParts;
use crate::metrics::BackupMetrics;
use crate::now_ms;
use crate::router::Router;

/// How long the store may take to note that a backup failed.
const NOTE_PATIENCE: Duration = Duration::from_secs(60);

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
    /// Which replica stores the content.
    pub upload_from: UploadFrom,
    /// What they take of the processors, together.
    pub processors: Processors,
    /// Where uploads run.
    pub runtime: Handle,
    /// Where they are counted.
    pub metrics: BackupMetrics,
}

/// Backups of one partition.
pub struct PartitionBackups {
    settings: BackupSettings,
    router: Arc<Router>,
    /// The nodes that keep the partition, this one among them.
    replicas: Vec<NodeId>,
    parts: Arc<BackupParts>,
    begun: BTreeMap<CheckpointId, Begun>,
}

/// A backup that this replica saw to, or does.
struct Begun {
    cancel: Cancel,
    /// Its end is on its way to the replica.
    ended: Arc<AtomicBool>,
}

impl PartitionBackups {
    /// None yet. `parts` is where this replica's own part is done.
    pub fn new(
        settings: BackupSettings,
        router: Arc<Router>,
        replicas: Vec<NodeId>,
        parts: Arc<BackupParts>,
    ) -> PartitionBackups {
        PartitionBackups {
            settings,
            router,
            replicas,
            parts,
            begun: BTreeMap::new(),
        }
    }

    /// Keys are written back.
    pub fn written(&self, ticket: &FlushTicket) {
        self.parts.written(ticket);
    }

    /// Keys that were not told of have been written: what was noted is of no use.
    pub fn forget(&self) {
        self.parts.forget();
    }

    /// Begins to see to the backup of a frozen checkpoint, unless that is under way. One that has ended is begun again, since the replica
    /// may have been told while it did not lead; what is stored already is not sent again.
    pub fn begin(&mut self, backup: FrozenBackup, inbox: Inbox) {
        let id = backup.checkpoint_id;
        self.begun
            .retain(|_, begun| !begun.ended.load(Ordering::Acquire));
        if self.begun.contains_key(&id) {
            return;
        }
        let ended = Arc::new(AtomicBool::new(false));
        let begun = Begun {
            cancel: Cancel::new(),
            ended: Arc::clone(&ended),
        };
        let upload = Arc::new(Upload {
            settings: self.settings.clone(),
            router: Arc::clone(&self.router),
            replicas: self.replicas.clone(),
            parts: Arc::clone(&self.parts),
            backup,
            cancel: begun.cancel.clone(),
        });
        self.begun.insert(id, begun);
        self.settings.runtime.spawn(async move {
            let result = Arc::clone(&upload).run().await;
            let failure = result.clone().err();
            ended.store(true, Ordering::Release);
            // First the partition's state: a store that has just failed may take long to refuse the note, too.
            inbox.push(Event::BackupEnded {
                checkpoint_id: id,
                result,
            });
            // Another leader may complete what this one could not.
            if let Some(failure) = failure.filter(|_| upload.leads()) {
                upload.note_failure(&failure).await;
            }
        });
    }

    /// Ends the backup of a checkpoint whose content was given up.
    pub fn give_up(&mut self, id: CheckpointId) {
        if let Some(begun) = self.begun.remove(&id) {
            begun.cancel.cancel();
        }
        self.parts.give_up(id);
    }
}

/// One backup of the partition.
struct Upload {
    settings: BackupSettings,
    router: Arc<Router>,
    replicas: Vec<NodeId>,
    parts: Arc<BackupParts>,
    backup: FrozenBackup,
    cancel: Cancel,
}

impl Upload {
    async fn run(self: Arc<Self>) -> Result<(), String> {
        let partition = self.backup.partition.0;
        let running = self.settings.metrics.begin(partition, "take");
        let deadline = self.settings.limits.timeout + NOTE_PATIENCE;
        let agreement = Agreement::new(
            Arc::clone(&self) as Arc<dyn Replicas>,
            self.router.own,
            self.replicas.clone(),
            self.settings.upload_from,
        );
        let work = async {
            tokio::select! {
                biased;
                () = self.cancel.cancelled() => Err("its content was given up".to_owned()),
                result = agreement.reach() => result,
            }
        };
        let result = timeout(deadline, work).await.unwrap_or_else(|_| {
            Err(format!(
                "The backup store did not answer within {deadline:?}"
            ))
        });
        running.end(result.is_ok());
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
        let (options, identity) = (self.parts.options(), self.parts.identity(&self.backup));
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
}

impl Replicas for Upload {
    fn leads(&self) -> bool {
        let here = self.router.local.partitions.get(self.backup.partition);
        here.is_some_and(|here| here.leads())
    }

    fn ask(
        &self,
        node: NodeId,
        step: BackupStep,
        patience: Duration,
    ) -> BoxFuture<'static, Result<NodeAnswer, String>> {
        let request = NodeRequest::Backup {
            partition: self.backup.partition,
            checkpoint: self.backup.checkpoint_id,
            step,
        };
        let router = Arc::clone(&self.router);
        async move {
            if node == router.own {
                return Ok(router.local.answer(request).await);
            }
            let request = request.encode().into();
            let answer = router.nodes.ask(node, request, patience).await;
            let answer = answer.map_err(|error| error.to_string())?;
            NodeAnswer::decode(&answer).map_err(|error| error.to_string())
        }
        .boxed()
    }

    fn differs(&self, node: NodeId) {
        self.settings.metrics.differs(self.backup.partition.0);
        error!(
            partition = self.backup.partition.0,
            backup = self.backup.checkpoint_id.0,
            broker = node.0,
            "the replica's content differs from that of the others, which must not happen: stop this broker, delete its directory of the \
             partition, start it, so that it is brought up from the others, and report it"
        );
    }
}
