//! A value that is watched. Tokio's wakes those who wait in an order that it draws; this one in the order in which the receivers
//! were made.
//!
//! Invariants:
//! - The version changes only while the value is locked for writing, so whoever reads a value knows its version.
//! - The value is locked before the turn; nobody is woken under a lock.

use std::future::poll_fn;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard};
use std::task::{Poll, Waker};

use openraft::async_runtime::watch::{RecvError, SendError};
use openraft::async_runtime::{Watch, WatchReceiver, WatchSender};
use openraft::{OptionalSend, OptionalSync};

/// The channel's kind.
pub struct WakesInOrder;

struct Shared<T> {
    value: RwLock<T>,
    turn: Mutex<Turn>,
}

#[derive(Default)]
struct Turn {
    version: u64,
    senders: usize,
    receivers: usize,
    /// Receivers made so far.
    made: u64,
    /// Who waits, by the number of the receiver; in no order.
    waiting: Vec<(u64, Waker)>,
}

impl<T> Shared<T> {
    fn turn(&self) -> MutexGuard<'_, Turn> {
        // No code that can panic runs under this lock.
        self.turn.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn value(&self) -> RwLockReadGuard<'_, T> {
        self.value.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn receiver(self: &Arc<Self>, seen: Option<u64>) -> Receiver<T> {
        let mut turn = self.turn();
        turn.receivers += 1;
        turn.made += 1;
        let (number, seen) = (turn.made, seen.unwrap_or(turn.version));
        drop(turn);
        Receiver {
            shared: Arc::clone(self),
            number,
            seen,
        }
    }
}

impl Turn {
    /// Those who wait, in order. To be woken when no lock is held.
    fn take_waiting(&mut self) -> Vec<(u64, Waker)> {
        let mut waiting = std::mem::take(&mut self.waiting);
        waiting.sort_unstable_by_key(|(number, _)| *number);
        waiting
    }
}

fn wake(waiting: Vec<(u64, Waker)>) {
    for (_, waker) in waiting {
        waker.wake();
    }
}

/// Changes the value.
pub struct Sender<T> {
    shared: Arc<Shared<T>>,
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Self {
        self.shared.turn().senders += 1;
        Self {
            shared: Arc::clone(&self.shared),
        }
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        let mut turn = self.shared.turn();
        turn.senders -= 1;
        if turn.senders == 0 {
            let waiting = turn.take_waiting();
            drop(turn);
            wake(waiting);
        }
    }
}

/// Sees the value, and waits for changes.
pub struct Receiver<T> {
    shared: Arc<Shared<T>>,
    number: u64,
    /// The version that it has seen.
    seen: u64,
}

impl<T> Clone for Receiver<T> {
    fn clone(&self) -> Self {
        self.shared.receiver(Some(self.seen))
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        let mut turn = self.shared.turn();
        turn.receivers -= 1;
        let number = self.number;
        turn.waiting.retain(|(waiting, _)| *waiting != number);
    }
}

impl Watch for WakesInOrder {
    type Sender<T: OptionalSend + OptionalSync> = Sender<T>;
    type Receiver<T: OptionalSend + OptionalSync> = Receiver<T>;
    type Ref<'a, T: OptionalSend + 'a> = RwLockReadGuard<'a, T>;

    fn channel<T: OptionalSend + OptionalSync>(init: T) -> (Sender<T>, Receiver<T>) {
        let turn = Turn {
            senders: 1,
            ..Turn::default()
        };
        let shared = Arc::new(Shared {
            value: RwLock::new(init),
            turn: Mutex::new(turn),
        });
        let receiver = shared.receiver(None);
        (Sender { shared }, receiver)
    }
}

impl<T: OptionalSend + OptionalSync> WatchSender<WakesInOrder, T> for Sender<T> {
    fn send(&self, value: T) -> Result<(), SendError<T>> {
        if self.shared.turn().receivers == 0 {
            return Err(SendError(value));
        }
        self.send_if_modified(|current| {
            *current = value;
            true
        });
        Ok(())
    }

    fn send_if_modified<F>(&self, modify: F) -> bool
    where
        F: FnOnce(&mut T) -> bool,
    {
        let mut value = self
            .shared
            .value
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        if !modify(&mut value) {
            return false;
        }
        let waiting = {
            let mut turn = self.shared.turn();
            turn.version += 1;
            turn.take_waiting()
        };
        drop(value);
        wake(waiting);
        true
    }

    fn borrow_watched(&self) -> RwLockReadGuard<'_, T> {
        self.shared.value()
    }

    fn subscribe(&self) -> Receiver<T> {
        self.shared.receiver(None)
    }
}

impl<T: OptionalSend + OptionalSync> WatchReceiver<WakesInOrder, T> for Receiver<T> {
    /// Nothing is lost when it is dropped: what has changed is seen by the next.
    async fn changed(&mut self) -> Result<(), RecvError> {
        poll_fn(|context| {
            let mut turn = self.shared.turn();
            if turn.version != self.seen {
                self.seen = turn.version;
                return Poll::Ready(Ok(()));
            }
            if turn.senders == 0 {
                return Poll::Ready(Err(RecvError(())));
            }
            let number = self.number;
            match turn
                .waiting
                .iter_mut()
                .find(|(waiting, _)| *waiting == number)
            {
                Some((_, waker)) => waker.clone_from(context.waker()),
                None => turn.waiting.push((number, context.waker().clone())),
            }
            Poll::Pending
        })
        .await
    }

    fn borrow_watched(&self) -> RwLockReadGuard<'_, T> {
        self.shared.value()
    }

    fn borrow_and_update(&mut self) -> RwLockReadGuard<'_, T> {
        let value = self.shared.value();
        self.seen = self.shared.turn().version;
        value
    }
}

#[cfg(test)]
mod tests {

    use futures::FutureExt;

    use super::*;

    type Channel = WakesInOrder;

    #[test]
    fn a_change_is_seen_once_by_each_receiver() {
        let (sender, mut one) = Channel::channel(1);
        assert!(one.changed().now_or_never().is_none());
        let mut other = one.clone();
        sender.send(2).unwrap();
        let mut late = sender.subscribe();
        for receiver in [&mut one, &mut other] {
            assert_eq!(receiver.changed().now_or_never(), Some(Ok(())));
            assert!(receiver.changed().now_or_never().is_none());
            assert_eq!(*receiver.borrow_watched(), 2);
        }
        assert!(late.changed().now_or_never().is_none());
        assert!(!sender.send_if_modified(|_| false));
        assert!(late.changed().now_or_never().is_none());
        sender.send(3).unwrap();
        assert_eq!(*late.borrow_and_update(), 3);
        assert!(late.changed().now_or_never().is_none());
    }

    #[test]
    fn without_the_other_side_there_is_an_error() {
        let (sender, mut receiver) = Channel::channel(1);
        let second = sender.clone();
        drop(sender);
        assert!(receiver.changed().now_or_never().is_none());
        second.send(2).unwrap();
        drop(second);
        assert_eq!(receiver.changed().now_or_never(), Some(Ok(())));
        assert_eq!(receiver.changed().now_or_never(), Some(Err(RecvError(()))));
        let (sender, receiver) = Channel::channel(1);
        drop(receiver);
        assert_eq!(sender.send(2), Err(SendError(2)));
        assert_eq!(*sender.borrow_watched(), 1);
    }

    #[test]
    fn those_who_wait_are_woken_in_the_order_of_their_receivers() {
        let runtime = tokio::runtime::Builder::new_current_thread().build();
        let woken = Arc::new(Mutex::new(Vec::new()));
        runtime.unwrap().block_on(async {
            let (sender, receiver) = Channel::channel(0);
            let receivers: Vec<_> = (0..8).map(|_| receiver.clone()).collect();
            let mut tasks = Vec::new();
            // They begin to wait in the opposite order.
            for (number, mut receiver) in receivers.into_iter().enumerate().rev() {
                let woken = Arc::clone(&woken);
                tasks.push(tokio::spawn(async move {
                    while receiver.changed().await.is_ok() {
                        woken.lock().unwrap().push(number);
                    }
                }));
            }
            for value in 1..4 {
                tokio::task::yield_now().await;
                sender.send(value).unwrap();
            }
            drop(sender);
            for task in tasks {
                task.await.unwrap();
            }
        });
        let woken = woken.lock().unwrap();
        assert_eq!(*woken, [0, 1, 2, 3, 4, 5, 6, 7].repeat(3));
    }

    #[test]
    fn no_change_is_lost_between_threads() {
        let (sender, receiver) = Channel::channel(0u64);
        let last = 20_000;
        let waiting: Vec<_> = (0..2)
            .map(|_| {
                let mut receiver = receiver.clone();
                std::thread::spawn(move || {
                    let runtime = tokio::runtime::Builder::new_current_thread().build();
                    runtime.unwrap().block_on(async {
                        while *receiver.borrow_and_update() < last {
                            // One that were lost would be waited for without an end.
                            receiver.changed().await.unwrap();
                        }
                    });
                })
            })
            .collect();
        for value in 1..=last {
            sender.send(value).unwrap();
        }
        for thread in waiting {
            thread.join().unwrap();
        }
    }
}
