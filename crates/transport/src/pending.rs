//! Requests of one connection that wait for their answers. Each channel has its own number of them: what waits for long on one does not
//! keep another from asking.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tokio::sync::oneshot;

use crate::frame::Channel;
use crate::limits::REQUESTS_WAITING_MAX;

/// What comes back for a request: its answer, or why there is none.
pub(crate) type Answer = Result<Bytes, String>;

#[derive(Default)]
struct Table {
    waiting: HashMap<u64, (Channel, oneshot::Sender<Answer>)>,
    /// How many there are, by channel.
    counts: [usize; Channel::COUNT],
    next: u64,
    closed: bool,
}

impl Table {
    fn take(&mut self, id: u64) -> Option<oneshot::Sender<Answer>> {
        let (channel, sender) = self.waiting.remove(&id)?;
        self.counts[usize::from(channel.number())] -= 1;
        Some(sender)
    }
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

    /// Begins to wait, unless too many of that channel do.
    pub fn begin(&self, channel: Channel) -> Option<Waiting> {
        let mut table = self.table();
        let of_channel = usize::from(channel.number());
        if table.closed || table.counts[of_channel] >= REQUESTS_WAITING_MAX {
            return None;
        }
        table.counts[of_channel] += 1;
        let (sender, answer) = oneshot::channel();
        let id = table.next;
        table.next += 1;
        table.waiting.insert(id, (channel, sender));
        drop(table);
        Some(Waiting { id, answer })
    }

    /// An answer has come. Whoever asked may have gone away.
    pub fn answer(&self, id: u64, answer: Answer) {
        let waiting = self.table().take(id);
        if let Some(sender) = waiting {
            let _ = sender.send(answer);
        }
    }

    /// Whether somebody still waited for the answer; nobody does now.
    pub fn forget(&self, id: u64) -> bool {
        self.table().take(id).is_some()
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
