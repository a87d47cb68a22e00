//! A replica on a thread of its own.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use tracing::{error, info};

use crate::process::panic_text;
use crate::{Consensus, Effects, Event, Reading, Receiver, Replica, ReplicaError};

/// Events taken in before the replica runs: bounds how long an answer can be held up by a flood.
const EVENTS_PER_RUN: usize = 1024;

/// Longest wait of an idle replica, so that a layer grown old is noticed.
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

/// The clocks that batches get their time from.
struct Clocks {
    began: Instant,
}

impl Clocks {
    fn read(&self) -> Reading {
        let wall = SystemTime::now().duration_since(UNIX_EPOCH);
        Reading {
            wall: wall.map_or(0, |since| since.as_millis() as i64),
            monotonic: self.began.elapsed().as_millis() as i64,
        }
    }
}

fn run<C: Consensus, E: Effects>(
    mut replica: Replica<C, E>,
    receiver: &Receiver,
) -> Result<(), ReplicaError> {
    let clocks = Clocks {
        began: Instant::now(),
    };
    loop {
        let wait = replica.wake_in().map_or(IDLE_WAIT, |millis| {
            Duration::from_millis(millis.max(0) as u64).min(IDLE_WAIT)
        });
        let mut next = receiver.next_within(wait);
        let now = clocks.read();
        for _ in 0..EVENTS_PER_RUN {
            match next {
                None => break,
                Some(Event::Stop) => return stop(replica, receiver, &clocks),
                Some(event) => replica.handle(event, now)?,
            }
            next = receiver.try_next();
        }
        if let Some(event) = next {
            match event {
                Event::Stop => return stop(replica, receiver, &clocks),
                event => replica.handle(event, now)?,
            }
        }
        replica.run(now)?;
        for _ in 0..replica.take_commands_taken() {
            receiver.command_taken();
        }
        receiver.wrote(replica.take_records_written());
    }
}

/// Writes back what is applied, so that the next start has nothing to replay.
fn stop<C: Consensus, E: Effects>(
    mut replica: Replica<C, E>,
    receiver: &Receiver,
    clocks: &Clocks,
) -> Result<(), ReplicaError> {
    receiver.close();
    replica.write_back();
    let patience = Instant::now() + Duration::from_secs(10);
    while replica.layers_to_flush() > 0 && Instant::now() < patience {
        if let Some(event @ Event::Flushed(_)) = receiver.next_within(Duration::from_millis(100)) {
            replica.handle(event, clocks.read())?;
        }
    }
    Ok(())
}
