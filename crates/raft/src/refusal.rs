//! What becomes of a proposal that openraft does not take into the log.

use std::any::Any;
use std::sync::Arc;

use openraft::OptionalSend;
use openraft::errors::ClientWriteError;
use openraft::raft::ClientWriteResult;
use openraft::raft::responder::Responder;
use skep_partition::consensus::{ConsensusEvent, ConsensusEvents, Unproposed};

use crate::types::TypeConfig;

/// Goes with each proposal and tells the replica if it is refused. It is called before the group can have another leadership, so
/// the replica hears of it before it leads again.
pub struct TellRefusal(pub Arc<dyn ConsensusEvents>);

impl<T: OptionalSend + 'static> Responder<TypeConfig, T> for TellRefusal {
    fn on_complete(self, result: T) {
        let result = (&result as &dyn Any).downcast_ref::<ClientWriteResult<TypeConfig>>();
        // An entry that is taken out of the log again is another matter: the leadership is lost then, which is told as such.
        if let Some(Err(error @ ClientWriteError::ForwardToLeader(_))) = result {
            self.0.send(ConsensusEvent::ProposalRefused {
                why: Unproposed::NotLeader,
                reason: error.to_string(),
            });
        }
    }
}
