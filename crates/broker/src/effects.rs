//! What a replica causes, carried out on this node.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use skep_partition::consensus::ConsensusEvent;
use skep_partition::{
    Bookkeeping, Effects, Event, FrozenBackup, LocalPosition, Refusal, Role, Tally,
};
use skep_protocol::{CheckpointId, Envelope, Epoch, PartitionId, RequestId, Response};
use skep_state::{FlushTicket, StateError};
use skep_store::{Compact, WriteBack};

use crate::backups::PartitionBackups;
use crate::exporters::Exporters;
use crate::router::Router;

/// Effects of one partition's replica.
pub struct NodeEffects {
    /// The partition.
    pub partition: PartitionId,
    /// The way to all partitions, of this node and of others.
    pub router: Arc<Router>,
    /// The threads that write layers back.
    pub write_back: Arc<WriteBack>,
    /// The partition's store.
    pub store: Arc<dyn Compact>,
    /// The exporters of the node.
    pub exporters: Arc<Exporters>,
    /// When consensus has elected this replica, until it leads.
    pub elected: Option<Instant>,
    /// The partition's uploads; `None` without a backup store.
    pub backups: Option<PartitionBackups>,
}

impl Effects for NodeEffects {
    fn elected(&mut self) {
        self.elected = Some(Instant::now());
    }

    fn respond(&mut self, response: Response) {
        self.router.local.requests.respond(response);
    }

    fn refuse(&mut self, request: RequestId, refusal: Refusal) {
        self.router.local.requests.refuse(request, refusal);
    }

    fn send(&mut self, target: PartitionId, envelope: Envelope) {
        self.router.send(target, envelope);
    }

    fn jobs_available(&mut self, job_type: &str) {
        self.router.announce_jobs(self.partition, job_type);
    }

    fn flush(&mut self, ticket: FlushTicket) {
        if let Some(backups) = &mut self.backups {
            backups.written(&ticket);
        }
        let Some(partition) = self.router.local.partitions.get(self.partition) else {
            return;
        };
        let inbox = partition.inbox.clone();
        let flushed = ticket.clone();
        let done = Box::new(move |result: Result<(), StateError>| match result {
            Ok(()) => inbox.push(Event::Flushed(flushed)),
            Err(error) => inbox.push(Event::Consensus(ConsensusEvent::Failed {
                message: error.to_string(),
            })),
        });
        // Closed only when the node stops: the log still has what the layer holds.
        let _ = self.write_back.submit(&self.store, ticket, done);
    }

    fn back_up(&mut self, backup: FrozenBackup) {
        let Some(partition) = self.router.local.partitions.get(self.partition) else {
            return;
        };
        partition
            .checkpoint_id
            .store(backup.checkpoint_id.0, Ordering::Relaxed);
        partition
            .checkpoint_position
            .store(backup.position.0, Ordering::Relaxed);
        match &mut self.backups {
            Some(backups) => {
                backups.begin(backup, partition.inbox.clone());
            }
            None => partition.inbox.push(Event::BackupEnded {
                checkpoint_id: backup.checkpoint_id,
                result: Err(
                    "No backup store is configured. Backup operations cannot be executed."
                        .to_owned(),
                ),
            }),
        }
    }

    fn give_up_backup(&mut self, checkpoint_id: CheckpointId) {
        if let Some(backups) = &mut self.backups {
            backups.give_up(checkpoint_id);
        }
    }

    fn content_replaced(&mut self, applied: &Bookkeeping, log_id: LocalPosition) {
        if let Some(backups) = &mut self.backups {
            backups.forget();
        }
        self.exporters.begin_after(self.partition, applied, log_id);
    }

    fn applied(&mut self, tally: &Tally) {
        if let Some(partition) = self.router.local.partitions.get(self.partition) {
            partition.counters.applied(tally);
        }
    }

    fn role_changed(&mut self, role: Role, epoch: Epoch) {
        let partitions = &self.router.local.partitions;
        if let (Some(elected), Role::Leader) = (self.elected.take(), role)
            && let Some(partition) = partitions.get(self.partition)
        {
            let millis = elected.elapsed().as_millis() as i64;
            partition.transition_ms.store(millis, Ordering::Relaxed);
        }
        partitions.set_role(self.partition, role, epoch);
        self.exporters
            .set_leads(self.partition, role == Role::Leader);
    }
}
