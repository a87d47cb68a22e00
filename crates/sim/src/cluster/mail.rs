//! What consensus has to say to the world, in order.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use skep_partition::{ConsensusEvent, Event, LocalPosition};
use skep_raft::RaftNode;
use skep_state::MemoryStore;
use tokio::sync::Notify;

use crate::violation::Violation;
use crate::world::Place;

/// One piece of news; each is of a life of its node.
pub enum Mail {
    /// A member has something for its replica.
    Told(Place, u64, ConsensusEvent),
    /// A replica is asked for something on behalf of consensus.
    Asked(Place, u64, Event),
    /// A replica's store has been given other content; with a planted bug also what it would hold after a crash.
    Installed(Place, u64, LocalPosition, Option<MemoryStore>),
    /// A member is open.
    Opened(Place, u64, RaftNode),
    /// A member could not be opened: why.
    NotOpened(Place, u64, String),
    /// A node has just answered, and is to crash at this bad moment.
    Crash(usize, u64),
    /// Something does not hold.
    Found(Violation),
}

/// Where it waits.
#[derive(Default)]
pub struct Mailbox {
    waiting: Mutex<VecDeque<Mail>>,
    filled: Notify,
}

impl Mailbox {
    fn waiting(&self) -> MutexGuard<'_, VecDeque<Mail>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a piece.
    pub fn put(&self, mail: Mail) {
        self.waiting().push_back(mail);
        self.filled.notify_one();
    }

    /// Takes all out.
    pub fn take(&self) -> Vec<Mail> {
        self.waiting().drain(..).collect()
    }

    /// Waits until there is something.
    pub async fn filled(&self) {
        while self.waiting().is_empty() {
            self.filled.notified().await;
        }
    }
}
