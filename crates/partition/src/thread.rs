//! A replica on a thread of its own.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tracing::{error, info};

use crate::process::panic_text;
use crate::{Consensus, Effects, Event, Receiver, Replica, ReplicaError};

/// Events taken in before the replica runs: bounds how long an answer can be held up by a flood.
const EVENTS_PER_RUN: usize = 1024;

/// Longest wait of an idle replica, so that a clock set back or a layer grown old is noticed.
const IDLE_WAIT: Duration = Duration::from_millis(500);

/// A running replica.
pub struct ReplicaThread {
    handle: JoinHandle<()>,
}

impl ReplicaThread {
    /// Runs the replica until it is stopped or cannot go on; `ended` is told why.
    pub fn spawn<C, E>(
        name: String,
        replica: Replica<C, E>,
        receiver: Receiver,
        ended: impl FnOnce(Result<(), ReplicaError>) + Send + 'static,
    ) -> std::io::Result<ReplicaThread>
    where
        C: Consensus + 'static,
        E: Effects + 'static,
    {
        let handle = std::thread::Builder::new()
            .name(name)
            .stack_size(8 << 20)
            .spawn(move || {
                let result = catch_unwind(AssertUnwindSafe(|| run(replica, &receiver)))
                    .unwrap_or_else(|panic| Err(ReplicaError::Invariant(panic_text(&*panic))));
                receiver.close();
                match &result {
                    Ok(()) => info!("the replica has stopped"),
                    Err(reason) => error!(%reason, "the replica cannot go on"),
                }
                ended(result);
            })?;
        Ok(ReplicaThread { handle })
    }

    /// Waits until the replica has ended.
    pub fn join(self) {
        if self.handle.join().is_err() {
            error!("the replica's thread panicked");
        }
    }
}

/// The clock that batches get their time from, in epoch milliseconds.
fn clock() -> i64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_millis() as i64)
}

fn run<C: Consensus, E: Effects>(
    mut replica: Replica<C, E>,
    receiver: &Receiver,
) -> Result<(), ReplicaError> {
    loop {
        let now = clock();
        let wait = replica.wake_at().map_or(IDLE_WAIT, |at| {
            Duration::from_millis(at.saturating_sub(now).max(0) as u64).min(IDLE_WAIT)
        });
        let mut next = receiver.next_within(wait);
        let now = clock();
        for _ in 0..EVENTS_PER_RUN {
            match next {
                None => break,
                Some(Event::Stop) => return stop(replica, receiver),
                Some(event) => replica.handle(event, now)?,
            }
            next = receiver.try_next();
        }
        if let Some(event) = next {
            match event {
                Event::Stop => return stop(replica, receiver),
                event => replica.handle(event, now)?,
            }
        }
        replica.run(now)?;
        for _ in 0..replica.take_commands_taken() {
            receiver.command_taken();
        }
    }
}

/// Writes back what is applied, so that the next start has nothing to replay.
fn stop<C: Consensus, E: Effects>(
    mut replica: Replica<C, E>,
    receiver: &Receiver,
) -> Result<(), ReplicaError> {
    receiver.close();
    replica.write_back();
    let patience = std::time::Instant::now() + Duration::from_secs(10);
    while replica.layers_to_flush() > 0 && std::time::Instant::now() < patience {
        if let Some(event @ Event::Flushed(_)) = receiver.next_within(Duration::from_millis(100)) {
            replica.handle(event, clock())?;
        }
    }
    Ok(())
}
