//! Content that goes to another replica, and content that comes from one.
//!
//! A replica that leads is never held back: it could neither write back nor freeze a checkpoint. One that is elected meanwhile begins
//! its epoch when the last attempt has ended.

use std::collections::BTreeMap;

use skep_protocol::Epoch;
use skep_state::{Overlay, StateError, View};
use tracing::info;

use crate::bookkeeping::STATE_VERSION;
use crate::leader::Leadership;
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
    /// Attempts that have not ended, each with what tells it that nothing is on its way, until that is told. An earlier one may still
    /// be writing when the next begins.
    attempts: BTreeMap<u64, Option<Box<dyn FnOnce() + Send>>>,
}

impl HeldBack {
    pub fn is_on(&self) -> bool {
        !self.attempts.is_empty()
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

    /// From now on nothing is written to the store, until the attempt has ended.
    pub(crate) fn hold_back(&mut self, attempt: u64, held: Box<dyn FnOnce() + Send>) {
        if self.leadership.term().is_some() {
            // Whoever waits is told by this being dropped.
            return;
        }
        self.held_back.attempts.insert(attempt, Some(held));
        self.tell_held();
    }

    pub(crate) fn tell_held(&mut self) {
        if self.overlay.frozen_layers() > 0 {
            return;
        }
        let waiting = self.held_back.attempts.values_mut();
        waiting.filter_map(Option::take).for_each(|held| held());
    }

    /// An attempt has ended.
    pub(crate) fn write_back_again(&mut self, attempt: u64) {
        let ended = self.held_back.attempts.remove(&attempt).is_some();
        if ended
            && !self.held_back.is_on()
            && let Leadership::Elected { term, .. } = self.leadership
        {
            self.became_leader(term);
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
        assert!(
            !self.is_leading(),
            "a replica that leads has refused to be held back, and was held back until now"
        );
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
