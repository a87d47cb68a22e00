//! Work that costs processor time beside a broker that serves clients: on threads of their own, with low priority, so that
//! commands are not made to wait for a backup.
//!
//! A thread for each piece of work, instead of tokio's blocking pool: a thread may lower its priority but not raise it again. A
//! piece is a chunk of a megabyte or a whole content, against which a thread costs nothing; how many run at once is the
//! caller's to bound. A thread of the pool waits for it meanwhile, so that tokio knows that something is under way: a clock that stands still
//! in tests and in the simulator would otherwise jump to the next deadline.

use std::io;
use std::thread;

use tokio::task::{JoinHandle, spawn_blocking};

use crate::processors::Processors;

/// The lowest priority there is: where cores are idle a backup has them; of busy ones each of its threads gets a hundredth, and it
/// has a dozen, so that a backup goes on.
const NICENESS: i32 = 19;

/// Why a piece of work gave nothing.
#[derive(Debug, thiserror::Error)]
pub enum BackgroundError {
    /// There is no thread for it.
    #[error("no thread could be started: {0}")]
    Spawn(#[from] io::Error),
    /// It panicked; the log says why.
    #[error("it panicked")]
    Panicked,
    /// The process is about to end.
    #[error("it was not begun, as the process stops")]
    Stopping,
}

/// A piece of work under way.
pub(crate) struct Background<T>(JoinHandle<Result<T, BackgroundError>>);

impl<T: Send + 'static> Background<T> {
    /// Begins it. It goes on even if nobody waits for it.
    pub(crate) fn begin(work: impl FnOnce() -> T + Send + 'static) -> Self {
        Self(spawn_blocking(move || {
            let thread = thread::Builder::new().name("backup".to_owned());
            let thread = thread.spawn(move || {
                lower_priority();
                work()
            })?;
            thread.join().map_err(|_| BackgroundError::Panicked)
        }))
    }

    /// Waits for its result.
    pub(crate) async fn wait(self) -> Result<T, BackgroundError> {
        self.0.await.unwrap_or(Err(BackgroundError::Stopping))
    }
}

/// Runs a piece of work when it is its turn on one of the processors, and waits for its result.
pub async fn run_in_turn<T: Send + 'static>(
    processors: &Processors,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, BackgroundError> {
    let processors = processors.clone();
    run(move || {
        let _turn = processors.take();
        work()
    })
    .await
}

/// Begins a piece of work and waits for its result.
pub(crate) async fn run<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, BackgroundError> {
    Background::begin(work).wait().await
}

fn lower_priority() {
    // On Linux this is the thread's alone. Where it is refused the work is done all the same.
    let _ = rustix::process::nice(NICENESS);
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;

    fn niceness() -> i32 {
        rustix::process::nice(0).unwrap()
    }

    #[tokio::test]
    async fn work_has_low_priority_and_its_caller_keeps_its_own() {
        let before = niceness();
        assert_eq!(run(niceness).await.unwrap(), (before + NICENESS).min(19));
        assert_eq!(niceness(), before);
    }

    #[tokio::test]
    async fn a_panic_is_an_error() {
        let died = run(|| panic!("on purpose")).await;
        assert!(matches!(died, Err(BackgroundError::Panicked)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_clock_that_stands_still_does_not_jump_while_it_is_under_way() {
        let work = run(|| blake3::hash(&vec![0; 1 << 20]));
        let limit = std::time::Duration::from_secs(1);
        assert!(tokio::time::timeout(limit, work).await.is_ok());
    }
}
