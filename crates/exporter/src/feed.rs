//! What the exporters of a partition are told: how far its log is committed, whether to pause, when to end.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use skep_protocol::Index;

/// What exporting is at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Phase {
    /// Records are exported.
    #[default]
    Exporting,
    /// None is.
    Paused,
    /// Records are exported, but no position moves: what is exported now is exported once more after the next start, and
    /// the log keeps it.
    SoftPaused,
}

impl Phase {
    /// Zeebe's name.
    pub const fn name(self) -> &'static str {
        match self {
            Phase::Exporting => "EXPORTING",
            Phase::Paused => "PAUSED",
            Phase::SoftPaused => "SOFT_PAUSED",
        }
    }
}

/// What is told at one moment.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Told {
    /// Index after the last committed entry.
    pub end: Index,
    pub phase: Phase,
    /// Whether this node's exporters are those that export the partition.
    pub leads: bool,
    pub stopping: bool,
}

#[derive(Debug)]
struct State {
    told: Told,
    /// How many exporters wait for entries to be committed.
    waiting: usize,
}

/// One partition's feed.
#[derive(Debug)]
pub struct Feed {
    state: Mutex<State>,
    changed: Condvar,
}

impl Feed {
    /// Of a log that is committed up to and without `end`.
    pub fn new(end: Index) -> Feed {
        let told = Told {
            end,
            phase: Phase::default(),
            leads: true,
            stopping: false,
        };
        Feed {
            state: Mutex::new(State { told, waiting: 0 }),
            changed: Condvar::new(),
        }
    }

    /// An entry is committed. Costs a lock that nobody holds for long, and a system call only if an exporter waits for it.
    pub fn committed(&self, index: Index) {
        let mut state = self.lock();
        state.told.end = state.told.end.max(Index(index.0 + 1));
        let wake = state.waiting > 0;
        drop(state);
        if wake {
            self.changed.notify_all();
        }
    }

    /// Index after the last committed entry.
    pub fn end(&self) -> Index {
        self.lock().told.end
    }

    /// Exporting pauses or goes on.
    pub fn set_phase(&self, phase: Phase) {
        self.lock().told.phase = phase;
        self.changed.notify_all();
    }

    /// Whether exporting the partition is this node's turn. At first it is.
    pub fn set_leads(&self, leads: bool) {
        self.lock().told.leads = leads;
        self.changed.notify_all();
    }

    /// Exporters end, once they have caught up.
    pub fn stop(&self) {
        self.lock().told.stopping = true;
        self.changed.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // No code that can panic runs under the lock.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until `wanted`, or until the time is over.
    pub(crate) fn wait(&self, timeout: Option<Duration>, wanted: impl Fn(&Told) -> bool) -> Told {
        let mut state = self.lock();
        state.waiting += 1;
        state = self.wait_with(state, timeout, wanted);
        state.waiting -= 1;
        state.told
    }

    /// Waits until exporters are to end, or until the time is over; what is committed meanwhile wakes nobody.
    pub(crate) fn pause(&self, time: Duration) -> Told {
        self.wait_with(self.lock(), Some(time), |told| told.stopping)
            .told
    }

    fn wait_with<'a>(
        &'a self,
        mut state: MutexGuard<'a, State>,
        timeout: Option<Duration>,
        wanted: impl Fn(&Told) -> bool,
    ) -> MutexGuard<'a, State> {
        let until = timeout.map(|timeout| Instant::now() + timeout);
        loop {
            let left = until.map(|until| until.saturating_duration_since(Instant::now()));
            if wanted(&state.told) || left.is_some_and(|left| left.is_zero()) {
                return state;
            }
            state = match left {
                None => self
                    .changed
                    .wait(state)
                    .unwrap_or_else(PoisonError::into_inner),
                Some(left) => {
                    let waited = self.changed.wait_timeout(state, left);
                    waited.unwrap_or_else(PoisonError::into_inner).0
                }
            };
        }
    }
}
