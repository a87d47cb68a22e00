//! Bytes that were handed over to the replica and that it has not taken in yet, so that a member that catches up does not take
//! its whole log into memory.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use tokio::sync::Notify;

/// More than a leader ever has on its way, so that it never waits.
const BYTES_MAX: u64 = 64 << 20;

#[derive(Default)]
pub(crate) struct Backlog {
    handed_over: AtomicU64,
    taken: AtomicU64,
    closed: AtomicBool,
    changed: Notify,
}

impl Backlog {
    pub fn handed_over(&self, bytes: u64) {
        self.handed_over.fetch_add(bytes, Ordering::AcqRel);
    }

    pub fn taken(&self, bytes: u64) {
        self.taken.fetch_add(bytes, Ordering::AcqRel);
        self.changed.notify_one();
    }

    /// Nothing will be taken any more; nobody waits.
    pub fn close(&self) {
        self.closed.store(true, Ordering::Release);
        self.changed.notify_one();
    }

    fn has_room(&self) -> bool {
        let (taken, handed_over) = (&self.taken, &self.handed_over);
        let waiting = handed_over
            .load(Ordering::Acquire)
            .saturating_sub(taken.load(Ordering::Acquire));
        waiting <= BYTES_MAX || self.closed.load(Ordering::Acquire)
    }

    /// Waits until there is room for more. There is one who waits at most.
    pub async fn wait(&self) {
        while !self.has_room() {
            self.changed.notified().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    #[test]
    fn who_hands_over_waits_for_room_and_not_for_what_has_ended() {
        let backlog = Backlog::default();
        backlog.handed_over(BYTES_MAX);
        assert!(backlog.wait().now_or_never().is_some());
        backlog.handed_over(1);
        assert!(backlog.wait().now_or_never().is_none());
        backlog.taken(1);
        assert!(backlog.wait().now_or_never().is_some());
        backlog.handed_over(1);
        backlog.close();
        assert!(backlog.wait().now_or_never().is_some());
    }
}
