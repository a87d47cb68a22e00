//! The store, and the state that its handles and threads share.
//!
//! A group's *front* is what its caller has asked for; the *ledger* is what is durable. Operations
//! change the front at once and go to the writer's queue, which carries them into the ledger.
//! Entries that are not durable are always in the front's cache, so a position in the ledger is
//! only used for an entry that it describes.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use skep_histogram::{Bounds, Histogram, Seen};

use crate::error::LogError;
use crate::files::FileSystem;
use crate::frame::{self, Kind};
use crate::front::Front;
use crate::group::GroupLog;
use crate::ledger::Ledger;
use crate::recovery::{self, RecoveryReport};
use crate::segments::{Segment, Yard};
use crate::writer::{Keeper, Threads, Writer};
use crate::{Drive, GroupId, LogOptions};

const SYNC_TIMES: Bounds = Bounds::of_micros(&[
    100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000,
    1_000_000, 2_000_000,
]);

/// Called once: with `Ok` after the sync that made the operation durable. It runs on the writer's
/// thread (or at once on the caller's, if the operation is refused), so it must not block.
pub type OnDurable = Box<dyn FnOnce(Result<(), LogError>) + Send>;

/// How the store is.
#[derive(Debug, Clone)]
pub enum LogStatus {
    Open,
    /// Waits for space. Nothing is lost, nothing is acknowledged.
    Full(String),
    /// Refuses everything until it is opened again.
    Failed(LogError),
    Closed,
}

/// Figures for metrics.
#[derive(Debug, Clone, Default)]
pub struct LogStats {
    pub segments: usize,
    pub bytes: u64,
    pub syncs: u64,
    /// Bytes written since the log was opened, headers and padding among them.
    pub written: u64,
    pub frames: u64,
    pub queued_frames: usize,
    /// How long the syncs took.
    pub sync_times: Seen,
    /// What keeps the oldest segment, if more than the one in use is there.
    pub oldest: Vec<Pin>,
}

/// A group with live frames in the oldest segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pin {
    pub group: GroupId,
    pub segment: u64,
    pub bytes: u64,
}

/// A frame on its way to the disk.
pub(crate) struct Pending {
    pub group: u32,
    pub kind: Kind,
    pub index: u64,
    pub payload: Bytes,
    pub ticket: u64,
    pub done: Option<OnDurable>,
}

impl Pending {
    pub fn bytes(&self) -> usize {
        frame::FRAME_HEADER + self.payload.len()
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stop {
    No,
    /// Write what is queued, then end.
    Close,
    /// End now; what is queued is refused.
    Abandon,
}

pub(crate) struct State {
    pub fronts: HashMap<u32, Front>,
    pub ledger: Ledger,
    /// All segments that hold batches, the last one being written.
    pub segments: BTreeMap<u64, Segment>,
    pub queue: VecDeque<Pending>,
    /// Frames in the queue for which somebody waits; purges go along with others.
    pub urgent: usize,
    next_ticket: u64,
    pub prepared: Option<Segment>,
    /// The number of the segment to prepare.
    pub wanted: Option<u64>,
    pub retired: VecDeque<Segment>,
    pub full: Option<String>,
    pub failed: Option<LogError>,
    pub stop: Stop,
    /// The writer will never ask the keeper for anything again.
    pub writer_ended: bool,
    pub syncs: u64,
    pub written: u64,
    pub frames: u64,
}

pub(crate) struct Shared {
    pub options: LogOptions,
    state: Mutex<State>,
    /// How long syncs took.
    pub sync_times: Histogram,
    pub full: AtomicBool,
    pub writer_wake: Condvar,
    pub keeper_wake: Condvar,
    /// Told when there is work, with [`Drive::Caller`].
    #[cfg(feature = "testkit")]
    pub driver_wake: std::sync::OnceLock<Box<dyn Fn() + Send + Sync>>,
}

impl Shared {
    pub fn lock(&self) -> MutexGuard<'_, State> {
        // A panic under the lock is a broken invariant; the store then refuses to go on.
        self.state.lock().unwrap_or_else(|poisoned| {
            let mut state = PoisonError::into_inner(poisoned);
            state.failed.get_or_insert(LogError::Failed {
                what: "log".into(),
                message: "an internal check failed earlier".into(),
            });
            state
        })
    }

    /// Something has been queued.
    pub fn wake_writer(&self) {
        self.writer_wake.notify_one();
        #[cfg(feature = "testkit")]
        if let Some(wake) = self.driver_wake.get() {
            wake();
        }
    }

    pub fn set_full(&self, state: &mut State, reason: Option<String>) {
        if let (None, Some(reason)) = (&state.full, &reason) {
            tracing::error!(reason, "no space for the log, waiting");
        } else if state.full.is_some() && reason.is_none() {
            tracing::info!("there is space for the log again");
        }
        self.full.store(reason.is_some(), Ordering::Release);
        state.full = reason;
    }

    pub fn refusal(state: &State) -> Option<LogError> {
        match (&state.failed, state.stop) {
            (Some(error), _) => Some(error.clone()),
            (None, Stop::No) => None,
            (None, Stop::Close | Stop::Abandon) => Some(LogError::Closed),
        }
    }
}

pub(crate) struct Inner {
    pub shared: Arc<Shared>,
    driver: Mutex<Driver>,
}

enum Driver {
    Threads(Threads),
    Caller(Box<(Writer, Keeper)>),
    Ended,
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.end(Stop::Abandon);
    }
}

impl Inner {
    fn end(&self, stop: Stop) {
        let driver = {
            let mut driver = self.driver.lock().unwrap_or_else(PoisonError::into_inner);
            std::mem::replace(&mut *driver, Driver::Ended)
        };
        {
            let mut state = self.shared.lock();
            if state.stop == Stop::No {
                state.stop = stop;
            }
        }
        self.shared.writer_wake.notify_all();
        self.shared.keeper_wake.notify_all();
        match driver {
            Driver::Threads(threads) => threads.join(),
            Driver::Caller(mut both) => {
                while stop == Stop::Close && (both.1.step() | both.0.step().is_done()) {}
                both.0.finish();
            }
            Driver::Ended => {}
        }
    }
}

/// The log of a node. Cheap to clone; the store ends when the last handle (groups included) goes,
/// without writing what is still queued. [`LogStore::close`] is the orderly way.
#[derive(Clone)]
pub struct LogStore {
    inner: Arc<Inner>,
}

impl LogStore {
    /// Opens or creates the log in `dir` and recovers what is durable. Damage of single groups
    /// is in the report and stops only these; an error means that nothing can be used.
    pub fn open(
        files: Arc<dyn FileSystem>,
        dir: &Path,
        options: LogOptions,
    ) -> Result<(Self, RecoveryReport), LogError> {
        options.check().map_err(LogError::Open)?;
        let io = |what: &str, error: &std::io::Error| {
            LogError::io(format!("{what} {}", dir.display()), error)
        };
        files
            .create_dir_all(dir)
            .map_err(|e| io("create the log's directory", &e))?;
        let mut yard = Yard::new(Arc::clone(&files), dir, options.segment_bytes, options.salt);
        let mut segments = recovery::open_segments(&*files, dir)?;
        if segments.is_empty() {
            segments.push(
                yard.prepare(1)
                    .map_err(|e| io("create the first segment in", &e))?,
            );
        }
        let recovered = recovery::scan(segments, &options)?;
        for segment in recovered.surplus.iter().rev() {
            files
                .remove(&segment.path)
                .map_err(|e| io("remove an empty segment in", &e))?;
        }
        files.sync_dir(dir).map_err(|e| io("sync", &e))?;
        let active = recovered.segments.last().cloned();
        let active = active.ok_or_else(|| LogError::Open("there is no segment".into()))?;
        let unproven = recovered.unproven.clone();
        #[cfg(feature = "testkit")]
        let unproven = unproven.filter(|_| !options.bugs.cache_trusted);
        active
            .make_durable(unproven)
            .map_err(|e| io("write the last batch again in", &e))?;
        let report = recovered.report.clone();
        let (next_sequence, next_offset) = (recovered.next_sequence, recovered.next_offset);
        let shared = Arc::new(Shared {
            state: Mutex::new(State::recovered(recovered, active.number)),
            sync_times: Histogram::new(SYNC_TIMES),
            full: AtomicBool::new(false),
            writer_wake: Condvar::new(),
            keeper_wake: Condvar::new(),
            #[cfg(feature = "testkit")]
            driver_wake: std::sync::OnceLock::new(),
            options,
        });
        let writer = Writer::new(Arc::clone(&shared), active, next_sequence, next_offset);
        let keeper = Keeper::new(Arc::clone(&shared), yard);
        let driver = match shared.options.drive {
            Drive::Caller => Driver::Caller(Box::new((writer, keeper))),
            Drive::Threads => Driver::Threads(
                Threads::start(writer, keeper).map_err(|e| io("start threads for", &e))?,
            ),
        };
        let inner = Arc::new(Inner {
            shared,
            driver: Mutex::new(driver),
        });
        Ok((Self { inner }, report))
    }

    pub fn group(&self, group: GroupId) -> GroupLog {
        let mut guard = self.inner.shared.lock();
        let state = &mut *guard;
        let damage = state.ledger.damage_of_unknown(group);
        state
            .fronts
            .entry(group.0)
            .or_insert_with(|| Front::with_damage(damage));
        drop(guard);
        GroupLog {
            inner: Arc::clone(&self.inner),
            group,
        }
    }

    /// Groups that have content.
    pub fn groups(&self) -> Vec<GroupId> {
        self.inner
            .shared
            .lock()
            .ledger
            .groups()
            .map(|(id, _)| GroupId(id))
            .collect()
    }

    /// Writes what is queued, marks the log as closed in order, and ends the threads.
    pub fn close(&self) {
        self.inner.end(Stop::Close);
    }

    pub fn status(&self) -> LogStatus {
        let state = self.inner.shared.lock();
        match (Shared::refusal(&state), &state.full) {
            (Some(LogError::Closed), _) => LogStatus::Closed,
            (Some(error), _) => LogStatus::Failed(error),
            (None, Some(reason)) => LogStatus::Full(reason.clone()),
            (None, None) => LogStatus::Open,
        }
    }

    pub fn stats(&self) -> LogStats {
        let state = self.inner.shared.lock();
        let segments = state
            .segments
            .values()
            .chain(&state.prepared)
            .chain(&state.retired);
        let (count, bytes) = segments.fold((0, 0), |(n, sum), one| (n + 1, sum + one.bytes));
        let mut oldest = Vec::new();
        if state.segments.len() > 1
            && let Some(segment) = state.segments.keys().next().copied()
        {
            for (id, group) in state.ledger.groups() {
                let bytes = group.pinned_bytes(segment);
                if bytes > 0 {
                    oldest.push(Pin {
                        group: GroupId(id),
                        segment,
                        bytes,
                    });
                }
            }
        }
        LogStats {
            segments: count,
            bytes,
            syncs: state.syncs,
            written: state.written,
            frames: state.frames,
            queued_frames: state.queue.len(),
            sync_times: self.inner.shared.sync_times.seen(),
            oldest,
        }
    }

    /// With [`Drive::Caller`]: does one piece of work, at most one sync of entries; says whether
    /// there was any. Without: does nothing.
    pub fn drive(&self) -> bool {
        let mut driver = self
            .inner
            .driver
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        match &mut *driver {
            Driver::Caller(both) => both.1.step() | both.0.step().is_done(),
            Driver::Threads(_) | Driver::Ended => false,
        }
    }
}

/// What a simulator needs.
#[cfg(feature = "testkit")]
impl LogStore {
    /// With [`Drive::Caller`]: has the caller told whenever something is queued. Only the first call counts.
    pub fn tell_of_work(&self, wake: impl Fn() + Send + Sync + 'static) {
        drop(self.inner.shared.driver_wake.set(Box::new(wake)));
    }

    /// The process dies: what is queued is refused, nothing is written any more.
    pub fn abandon(&self) {
        self.inner.end(Stop::Abandon);
    }
}

impl State {
    fn recovered(recovered: recovery::Recovered, active: u64) -> Self {
        let mut fronts: HashMap<u32, Front> = HashMap::new();
        for (id, group) in recovered.ledger.groups() {
            let front = fronts.entry(id).or_default();
            front.first = group.first();
            front.next = group.next();
            front.meta = group.meta().cloned();
        }
        for damage in recovered.report.damaged {
            let group = damage.group.0;
            tracing::error!(group, "{damage}");
            fronts.entry(group).or_default().damage = Some(Box::new(damage));
        }
        let wanted = recovered.prepared.is_none().then_some(active + 1);
        Self {
            fronts,
            ledger: recovered.ledger,
            segments: recovered
                .segments
                .into_iter()
                .map(|one| (one.number, one))
                .collect(),
            queue: VecDeque::new(),
            urgent: 0,
            next_ticket: 1,
            prepared: recovered.prepared,
            wanted,
            retired: VecDeque::new(),
            full: None,
            failed: None,
            stop: Stop::No,
            writer_ended: false,
            syncs: 0,
            written: 0,
            frames: 0,
        }
    }

    pub fn push(&mut self, pending: Pending) {
        self.urgent += usize::from(pending.kind != Kind::Purge || pending.done.is_some());
        self.queue.push_back(pending);
    }

    pub fn ticket(&mut self) -> u64 {
        self.next_ticket += 1;
        self.next_ticket
    }
}

impl State {
    pub fn push_control(
        &mut self,
        group: u32,
        kind: Kind,
        index: u64,
        payload: Bytes,
        done: Option<OnDurable>,
    ) {
        let ticket = self.ticket();
        self.push(Pending {
            group,
            kind,
            index,
            payload,
            ticket,
            done,
        });
    }
}
