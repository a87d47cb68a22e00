//! Content that goes to another replica, and content that comes from one.

use skep_protocol::Epoch;
use skep_state::{Overlay, StateError, View};
use tracing::info;

use crate::bookkeeping::STATE_VERSION;
use crate::leader::Lost;
use crate::replica::Replica;
use crate::{Bookkeeping, Consensus, Effects, LocalPosition, ReplicaError, Role};

/// A partition's content at exactly one log entry.
pub struct FrozenContent {
    /// The entry.
    pub log_id: LocalPosition,
    /// The content, the replica's bookkeeping included.
    pub view: View,
}

/// Whether something else is about to write the store, and who waits until this replica does not.
#[derive(Default)]
pub(crate) struct HeldBack {
    attempt: Option<u64>,
    waiting: Option<Box<dyn FnOnce() + Send>>,
}

impl HeldBack {
    pub fn is_on(&self) -> bool {
        self.attempt.is_some()
    }
}

impl<C: Consensus, E: Effects> Replica<C, E> {
    /// The content as of the last applied entry.
    pub(crate) fn freeze_content(&mut self) -> Result<FrozenContent, StateError> {
        if self.held_back.is_on() {
            return Err(StateError::Io {
                action: "freeze the partition's content".to_owned(),
                reason: "it is about to be replaced".to_owned(),
            });
        }
        self.rotate();
        Ok(FrozenContent {
            log_id: self.local,
            view: self.overlay.view()?,
        })
    }

    /// A newer attempt takes the place of an older one.
    pub(crate) fn hold_back(&mut self, attempt: u64, held: Box<dyn FnOnce() + Send>) {
        if self.leadership.term().is_some() {
            // Whoever waits is told by this being dropped.
            return;
        }
        self.held_back = HeldBack {
            attempt: Some(attempt),
            waiting: Some(held),
        };
        self.tell_held();
    }

    pub(crate) fn tell_held(&mut self) {
        if self.overlay.frozen_layers() == 0
            && let Some(held) = self.held_back.waiting.take()
        {
            held();
        }
    }

    pub(crate) fn write_back_again(&mut self, attempt: u64) {
        if self.held_back.attempt == Some(attempt) {
            self.held_back = HeldBack::default();
        }
    }

    /// Begins anew on top of what the store holds now. Whoever has had it held back says afterwards that it need not be any more: by then
    /// another attempt may have begun.
    pub(crate) fn content_replaced(&mut self, log_id: LocalPosition) -> Result<(), ReplicaError> {
        assert_eq!(
            self.overlay.frozen_layers(),
            0,
            "nothing older is on its way to a store that has been given another content"
        );
        if self.leadership.term().is_some() {
            self.lose_leadership(&Lost::Leadership);
        }
        self.overlay = Overlay::new(self.overlay.store());
        self.applied = Bookkeeping::read(&self.overlay)?;
        if self.applied.state_version > STATE_VERSION {
            return Err(ReplicaError::StateVersion {
                found: self.applied.state_version,
                known: STATE_VERSION,
            });
        }
        self.local = log_id;
        self.log_bytes_since_rotation = 0;
        for backup in std::mem::take(&mut self.frozen) {
            self.effects.give_up_backup(backup.checkpoint_id);
        }
        self.forget_evaluations();
        self.effects.content_replaced(&self.applied, log_id);
        self.effects
            .role_changed(Role::Follower, Epoch(self.applied.epoch));
        info!(
            index = log_id.index,
            position = self.applied.position,
            "has another replica's content"
        );
        self.tell_taken();
        Ok(())
    }
}
