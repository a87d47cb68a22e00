//! What a replica causes outside, noted in order.

use skep_partition::{Bookkeeping, Effects, FrozenBackup, LocalPosition, Refusal, Role};
use skep_protocol::{CheckpointId, Envelope, Epoch, PartitionId, RequestId, Response};
use skep_state::FlushTicket;

/// One effect.
#[derive(Debug)]
pub enum Effect {
    /// A request is answered.
    Respond(Response),
    /// A request is refused.
    Refuse(RequestId, Refusal),
    /// An envelope is sent.
    Send(PartitionId, Envelope),
    /// A job type has jobs.
    JobsAvailable(String),
    /// A layer is to be written.
    Flush(FlushTicket),
    /// A checkpoint's content is to be uploaded.
    BackUp(FrozenBackup),
    /// An upload must end.
    GiveUpBackup(CheckpointId),
    /// The store has other content.
    Replaced,
    /// The role has changed.
    Role(Role),
}

/// A replica's effects since they were last taken.
#[derive(Debug, Default)]
pub struct SimEffects {
    noted: Vec<Effect>,
}

impl SimEffects {
    /// Takes them.
    pub fn take(&mut self) -> Vec<Effect> {
        std::mem::take(&mut self.noted)
    }
}

impl Effects for SimEffects {
    fn respond(&mut self, response: Response) {
        self.noted.push(Effect::Respond(response));
    }

    fn refuse(&mut self, request: RequestId, refusal: Refusal) {
        self.noted.push(Effect::Refuse(request, refusal));
    }

    fn send(&mut self, target: PartitionId, envelope: Envelope) {
        self.noted.push(Effect::Send(target, envelope));
    }

    fn jobs_available(&mut self, job_type: &str) {
        self.noted.push(Effect::JobsAvailable(job_type.to_owned()));
    }

    fn flush(&mut self, ticket: FlushTicket) {
        self.noted.push(Effect::Flush(ticket));
    }

    fn back_up(&mut self, backup: FrozenBackup) {
        self.noted.push(Effect::BackUp(backup));
    }

    fn give_up_backup(&mut self, checkpoint_id: CheckpointId) {
        self.noted.push(Effect::GiveUpBackup(checkpoint_id));
    }

    fn content_replaced(&mut self, _applied: &Bookkeeping, _log_id: LocalPosition) {
        self.noted.push(Effect::Replaced);
    }

    fn role_changed(&mut self, role: Role, _epoch: Epoch) {
        self.noted.push(Effect::Role(role));
    }
}
