//! How much of a machine a node's uploads take: so many of their threads run at once, whichever partitions they are of.
//!
//! With low priority alone, commands were several times as slow beside a backup as without one on two cores (docs/figures.md): a dozen of
//! its threads were always ready to run, and a command wakes a dozen threads in turn, each of which may have to wait until one of them has
//! run for its slice. So uploads leave half of the cores alone, where who wakes begins at once.

use std::num::NonZeroUsize;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::available_parallelism;

/// What the uploads of a node share: their processors. Clones are the same.
#[derive(Clone, Debug)]
pub struct Processors(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    free: Mutex<usize>,
    given_back: Condvar,
}

/// A processor that is in use as long as this exists.
pub(crate) struct Turn(Arc<Shared>);

impl Processors {
    /// So many.
    pub fn new(count: NonZeroUsize) -> Processors {
        Processors(Arc::new(Shared {
            free: Mutex::new(count.get()),
            given_back: Condvar::new(),
        }))
    }

    /// Half of the machine's, at least one.
    pub fn half() -> Processors {
        let all = available_parallelism().map_or(1, NonZeroUsize::get);
        Processors::new(NonZeroUsize::new(all / 2).unwrap_or(NonZeroUsize::MIN))
    }

    /// Waits for a processor. Blocking; whoever has one gives it back without waiting for anybody else who has.
    pub(crate) fn take(&self) -> Turn {
        let free = self.0.free.lock().unwrap_or_else(PoisonError::into_inner);
        let mut free = self
            .0
            .given_back
            .wait_while(free, |free| *free == 0)
            .unwrap_or_else(PoisonError::into_inner);
        *free -= 1;
        Turn(Arc::clone(&self.0))
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        *self.0.free.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        self.0.given_back.notify_one();
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]

    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[test]
    fn never_more_than_there_are_run_at_once_and_all_get_their_turn() {
        let processors = Processors::new(NonZeroUsize::new(2).unwrap());
        let (running, most, done) = (
            AtomicUsize::new(0),
            AtomicUsize::new(0),
            AtomicUsize::new(0),
        );
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for _ in 0..200 {
                        let _turn = processors.take();
                        let now = running.fetch_add(1, Ordering::SeqCst) + 1;
                        most.fetch_max(now, Ordering::SeqCst);
                        std::thread::yield_now();
                        running.fetch_sub(1, Ordering::SeqCst);
                        done.fetch_add(1, Ordering::SeqCst);
                    }
                });
            }
        });
        assert!(most.load(Ordering::SeqCst) <= 2);
        assert_eq!(done.load(Ordering::SeqCst), 1600);
    }

    #[test]
    fn a_panic_gives_the_processor_back() {
        let processors = Processors::new(NonZeroUsize::MIN);
        let other = processors.clone();
        let died = std::thread::spawn(move || {
            let _turn = other.take();
            panic!("on purpose");
        });
        assert!(died.join().is_err());
        drop(processors.take());
    }
}
