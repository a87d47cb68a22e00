//! The threads of a node that write frozen layers back to the stores of all its partitions, and compact these stores.
//!
//! One thread writes: partitions in turn, the layers of a partition in the order in which they were submitted. Another
//! one compacts, so that a partition doesn't wait for the compaction of another.
//!
//! A disk that refuses (it is full, say) is asked again until it takes the layer; other partitions go on meanwhile.
//! Damage is final: it is the answer to all layers of the partition that wait.

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use skep_state::{FlushTicket, StateError, Store};
use thiserror::Error;

/// First pause before a refused write is tried again; doubles up to the maximum.
const PAUSE_MIN: Duration = Duration::from_millis(100);
const PAUSE_MAX: Duration = Duration::from_secs(5);

/// How much less than others' the compacting thread's work counts. It can wait: while cores are busy it gets a tenth of one, and
/// writes merge runs themselves when there are too many.
const COMPACTION_NICENESS: i32 = 10;

/// A store whose writes leave work for later.
pub trait Compact: Store {
    /// Does one step of that work. Whether there may be more. An error other than [`StateError::Io`] is final for the store.
    fn compact(&self) -> Result<bool, StateError>;
}

/// Called with the outcome of a write-back, on the writing thread; must not block.
pub type Done = Box<dyn FnOnce(Result<(), StateError>) + Send>;

/// The write-back was closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the node is shutting down, state is not written back any more; the log has it")]
pub struct Closed;

/// The write-back of a node. Dropping it writes what was submitted and stops the threads.
pub struct WriteBack {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

struct Shared {
    state: Mutex<State>,
    /// There is something to write, or to stop for.
    write: Condvar,
    /// There is something to compact, or to stop for.
    compact: Condvar,
}

#[derive(Default)]
struct State {
    closed: bool,
    /// Partitions with something to write, the next one first.
    lanes: VecDeque<Lane>,
    /// Stores with something to compact, each once.
    due: VecDeque<Arc<dyn Compact>>,
    /// Why the last write was refused, until one succeeds.
    trouble: Option<StateError>,
}

struct Job {
    ticket: FlushTicket,
    done: Done,
}

/// What waits for one store, oldest first.
struct Lane {
    store: Arc<dyn Compact>,
    jobs: VecDeque<Job>,
    /// The oldest job is with the writing thread.
    writing: bool,
    pause: Duration,
    not_before: Option<Instant>,
}

impl Lane {
    fn is_ready(&self, now: Instant, closed: bool) -> bool {
        !self.writing && (closed || self.not_before.is_none_or(|time| time <= now))
    }
}

impl WriteBack {
    /// Starts the threads.
    pub fn spawn() -> io::Result<WriteBack> {
        let shared = Arc::new(Shared {
            state: Mutex::default(),
            write: Condvar::new(),
            compact: Condvar::new(),
        });
        let mut write_back = WriteBack {
            shared,
            threads: Vec::new(),
        };
        write_back.start("store-write", Shared::write_all)?;
        write_back.start("store-compact", Shared::compact_all)?;
        Ok(write_back)
    }

    fn start(&mut self, name: &str, run: fn(&Shared)) -> io::Result<()> {
        let shared = Arc::clone(&self.shared);
        let thread = std::thread::Builder::new()
            .name(name.to_owned())
            .spawn(move || run(&shared))?;
        self.threads.push(thread);
        Ok(())
    }

    /// Queues a layer. What waits is bounded by the overlays, which freeze no more layers than a few before the oldest is done.
    pub fn submit(
        &self,
        store: &Arc<dyn Compact>,
        ticket: FlushTicket,
        done: Done,
    ) -> Result<(), Closed> {
        let mut state = self.shared.lock();
        if state.closed {
            return Err(Closed);
        }
        let job = Job { ticket, done };
        match state
            .lanes
            .iter_mut()
            .find(|lane| Arc::ptr_eq(&lane.store, store))
        {
            Some(lane) => lane.jobs.push_back(job),
            None => state.lanes.push_back(Lane {
                store: Arc::clone(store),
                jobs: VecDeque::from([job]),
                writing: false,
                pause: PAUSE_MIN,
                not_before: None,
            }),
        }
        self.shared.write.notify_one();
        Ok(())
    }

    /// Why the last write was refused, if it was: for the health of the node.
    pub fn trouble(&self) -> Option<StateError> {
        self.shared.lock().trouble.clone()
    }

    /// Writes what was submitted, each once at most, and stops. Writes that the disk refuses now are answered with its error.
    pub fn close(self) {
        drop(self);
    }
}

impl Drop for WriteBack {
    fn drop(&mut self) {
        self.shared.lock().closed = true;
        self.shared.write.notify_all();
        self.shared.compact.notify_all();
        for thread in self.threads.drain(..) {
            if thread.join().is_err() {
                tracing::error!("a thread of the write-back has panicked");
            }
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        // No user code runs under the lock, and the state is valid at every moment.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write_all(&self) {
        while let Some((store, job)) = self.next_job() {
            let outcome = job.ticket.write_to(&*store as &dyn Store);
            self.written(&store, job, outcome);
        }
    }

    /// Waits for a job. `None` when everything is written and no more can come.
    fn next_job(&self) -> Option<(Arc<dyn Compact>, Job)> {
        let mut state = self.lock();
        loop {
            let now = Instant::now();
            let closed = state.closed;
            if let Some(at) = state
                .lanes
                .iter()
                .position(|lane| lane.is_ready(now, closed))
            {
                let lane = &mut state.lanes[at];
                lane.writing = true;
                let job = lane
                    .jobs
                    .pop_front()
                    .expect("a lane without jobs is removed");
                return Some((Arc::clone(&lane.store), job));
            }
            if closed {
                return None;
            }
            let soonest = state.lanes.iter().filter_map(|lane| lane.not_before).min();
            state = match soonest {
                Some(time) => {
                    let pause = time.saturating_duration_since(now);
                    self.write
                        .wait_timeout(state, pause)
                        .unwrap_or_else(PoisonError::into_inner)
                        .0
                }
                None => self
                    .write
                    .wait(state)
                    .unwrap_or_else(PoisonError::into_inner),
            };
        }
    }

    fn written(&self, store: &Arc<dyn Compact>, job: Job, outcome: Result<(), StateError>) {
        let mut state = self.lock();
        let closed = state.closed;
        let mut lane = state.take_lane(store);
        let mut answered = VecDeque::from([job]);
        match &outcome {
            Ok(()) => {
                state.trouble = None;
                lane.pause = PAUSE_MIN;
                lane.not_before = None;
                state.add_due(store);
                self.compact.notify_one();
            }
            Err(error @ StateError::Io { .. }) if !closed => {
                tracing::warn!(%error, "write-back is tried again");
                state.trouble = Some(error.clone());
                lane.jobs.extend(answered.drain(..));
                lane.jobs.rotate_right(1);
                lane.not_before = Some(Instant::now() + lane.pause);
                lane.pause = (lane.pause * 2).min(PAUSE_MAX);
            }
            // The layers behind one that isn't written must not be written.
            Err(_) => answered.append(&mut lane.jobs),
        }
        if !lane.jobs.is_empty() {
            state.lanes.push_back(lane);
        }
        drop(state);
        for job in answered {
            (job.done)(outcome.clone());
        }
    }

    fn compact_all(&self) {
        // On Linux this is the thread's alone. Where it is refused the work is done all the same.
        let _ = rustix::process::nice(COMPACTION_NICENESS);
        while let Some(store) = self.next_due() {
            match store.compact() {
                Ok(true) => self.lock().add_due(&store),
                Ok(false) => {}
                // The next write brings it up again.
                Err(error) => tracing::warn!(%error, "compaction failed"),
            }
        }
    }

    fn next_due(&self) -> Option<Arc<dyn Compact>> {
        let mut state = self.lock();
        loop {
            if state.closed {
                return None;
            }
            if let Some(store) = state.due.pop_front() {
                return Some(store);
            }
            state = self
                .compact
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl State {
    fn take_lane(&mut self, store: &Arc<dyn Compact>) -> Lane {
        let at = self
            .lanes
            .iter()
            .position(|lane| Arc::ptr_eq(&lane.store, store))
            .expect("the lane of a store being written stays");
        let mut lane = self.lanes.remove(at).expect("it was found there");
        lane.writing = false;
        lane
    }

    fn add_due(&mut self, store: &Arc<dyn Compact>) {
        if !self.due.iter().any(|due| Arc::ptr_eq(due, store)) {
            self.due.push_back(Arc::clone(store));
        }
    }
}

#[cfg(test)]
mod tests;
