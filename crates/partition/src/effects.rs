//! What a replica causes outside. Called on the replica's thread; must not block.

use skep_protocol::{Envelope, Epoch, PartitionId, RequestId, Response};
use skep_state::FlushTicket;

use crate::{Bookkeeping, FrozenBackup, LocalPosition, Tally};

/// What a replica is at the moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// It applies what is committed.
    Follower,
    /// It processes commands.
    Leader,
}

/// Why a request gets no answer from the engine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// This replica does not lead; the command has not been executed and will not be.
    NotLeader,
    /// The leadership was lost while the command was on its way; it may or may not have been executed, or be executed yet.
    LeaderLost,
    /// Too many commands wait.
    Busy,
    /// As much as may be has been written lately; the command has not been executed and will not be.
    WriteRate,
    /// There is no room on the disk; the command has not been executed and will not be.
    DiskFull,
}

/// Receives the effects of applied batches.
pub trait Effects: Send {
    /// Consensus has elected this replica, which is to apply what was committed before.
    fn elected(&mut self) {}

    /// Answers a request.
    fn respond(&mut self, response: Response);

    /// Refuses a request.
    fn refuse(&mut self, request: RequestId, refusal: Refusal);

    /// Sends an envelope to another partition; it may get lost.
    fn send(&mut self, target: PartitionId, envelope: Envelope);

    /// Jobs of that type have become available.
    fn jobs_available(&mut self, job_type: &str);

    /// Writes a frozen layer to the store, in order; answered by [`crate::Event::Flushed`].
    fn flush(&mut self, ticket: FlushTicket);

    /// Uploads the content of a checkpoint; answered by [`crate::Event::BackupEnded`].
    fn back_up(&mut self, backup: FrozenBackup);

    /// The view of an older backup was given up: its upload must end.
    fn give_up_backup(&mut self, checkpoint_id: skep_protocol::CheckpointId);

    /// The store has another content, of which this replica's effects know nothing: it stands at that log id.
    fn content_replaced(&mut self, applied: &Bookkeeping, log_id: LocalPosition) {
        let _ = (applied, log_id);
    }

    /// A batch of this leadership is applied; of those that others have evaluated nothing is told.
    fn applied(&mut self, _tally: &Tally) {}

    /// The role has changed.
    fn role_changed(&mut self, role: Role, epoch: Epoch);
}
