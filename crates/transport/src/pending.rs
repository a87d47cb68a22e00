//! Requests of one connection that wait for their answers.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tokio::sync::oneshot;

use crate::limits::REQUESTS_WAITING_MAX;

/// What comes back for a request: its answer, or why there is none.
pub(crate) type Answer = Result<Bytes, String>;

#[derive(Default)]
struct Table {
    waiting: HashMap<u64, oneshot::Sender<Answer>>,
    next: u64,
    closed: bool,
}

#[derive(Default)]
pub(crate) struct Pending(Mutex<Table>);

/// One of them.
pub(crate) struct Waiting {
    pub id: u64,
    pub answer: oneshot::Receiver<Answer>,
}

impl Pending {
    fn table(&self) -> MutexGuard<'_, Table> {
        // No code that can panic runs under the lock.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins to wait, unless too many do.
    pub fn begin(&self) -> Option<Waiting> {
        let mut table = self.table();
        if table.closed || table.waiting.len() >= REQUESTS_WAITING_MAX {
            return None;
        }
        let (sender, answer) = oneshot::channel();
        let id = table.next;
        table.next += 1;
        table.waiting.insert(id, sender);
        drop(table);
        Some(Waiting { id, answer })
    }

    /// An answer has come. Whoever asked may have gone away.
    pub fn answer(&self, id: u64, answer: Answer) {
        let waiting = self.table().waiting.remove(&id);
        if let Some(sender) = waiting {
            let _ = sender.send(answer);
        }
    }

    /// Whether somebody still waited for the answer; nobody does now.
    pub fn forget(&self, id: u64) -> bool {
        self.table().waiting.remove(&id).is_some()
    }

    /// No answer will come any more.
    pub fn close(&self) {
        let mut table = self.table();
        table.closed = true;
        let forgotten = std::mem::take(&mut table.waiting);
        drop(table);
        drop(forgotten);
    }
}
