//! The writer: takes what is queued, writes it as one batch, syncs once, and answers everybody.
//! The keeper: prepares the next segment and removes old ones, so that the writer need not wait.
//!
//! Invariant: a batch is begun only after the sync of the one before has succeeded; recovery
//! relies on it to tell a torn tail from damage.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Instant;

use bytes::Bytes;

use crate::GroupId;
use crate::error::{Damage, LogError, is_full};
use crate::frame::{self, BatchEncoder, FrameHeader, Kind};
use crate::group::read_frame;
use crate::ledger::Position;
use crate::segments::{Segment, Yard};
use crate::store::{OnDurable, Pending, Shared, State, Stop};

pub(crate) struct Writer {
    shared: Arc<Shared>,
    active: Segment,
    offset: u64,
    /// Of the next batch.
    sequence: u64,
    /// Last frame sequence by group.
    frame_sequences: HashMap<u32, u64>,
    encoder: BatchEncoder,
    /// Encoded, but not written because the disk was full. Written again as it is.
    stuck: Option<Batch>,
    /// A segment whose live frames could not be read, so that moving them is not tried again.
    unmovable: u64,
}

type Placed = (FrameHeader, Position, Pending);

/// Frames of one batch with the places that they will have.
struct Batch {
    frames: Vec<Placed>,
    bytes: Vec<u8>,
}

impl Writer {
    pub fn new(shared: Arc<Shared>, active: Segment, sequence: u64, offset: u64) -> Self {
        let frame_sequences = shared
            .lock()
            .ledger
            .groups()
            .map(|(id, group)| (id, group.sequence))
            .collect();
        Self {
            shared,
            active,
            offset,
            sequence,
            frame_sequences,
            encoder: BatchEncoder::default(),
            stuck: None,
            unmovable: 0,
        }
    }

    /// Writes at most one batch.
    pub fn step(&mut self) -> Step {
        if self.shared.lock().failed.is_some() {
            return self.refuse_all(None);
        }
        if let Some(batch) = self.stuck.take() {
            return self.write(batch);
        }
        match self.next_frames() {
            Next::Frames(frames) => {
                let batch = self.encode(frames);
                self.write(batch)
            }
            Next::NewSegment => Step::Done,
            Next::NoSegment => Step::Blocked,
            Next::Nothing => Step::Idle,
        }
    }

    fn next_frames(&mut self) -> Next {
        let shared = Arc::clone(&self.shared);
        let mut state = shared.lock();
        let lazy_too = state.stop == Stop::Close;
        if state.urgent == 0 && (!lazy_too || state.queue.is_empty()) {
            return Next::Nothing;
        }
        let room = (self.active.bytes.saturating_sub(self.offset) as usize)
            .saturating_sub(frame::BATCH_HEADER);
        let limit = self.shared.options.batch_bytes_max;
        let mut frames = Vec::new();
        let mut bytes = 0;
        while let Some(next) = state.queue.front() {
            let with_next = bytes + next.bytes();
            if with_next > room || with_next > limit && !frames.is_empty() {
                break;
            }
            bytes = with_next;
            if let Some(next) = state.queue.pop_front() {
                let urgent = next.kind != Kind::Purge || next.done.is_some();
                state.urgent -= usize::from(urgent);
                frames.push(next);
            }
        }
        if frames.is_empty() {
            let Some(next) = state.prepared.take() else {
                return Next::NoSegment;
            };
            assert_eq!(
                next.number,
                self.active.number + 1,
                "segments are used in order"
            );
            state.segments.insert(next.number, next.clone());
            state.wanted = Some(next.number + 1);
            self.active = next;
            self.offset = frame::DATA_START;
            self.shared.keeper_wake.notify_one();
            return Next::NewSegment;
        }
        Next::Frames(frames)
    }

    fn encode(&mut self, frames: Vec<Pending>) -> Batch {
        self.encoder.begin(self.active.salt);
        let mut placed = Vec::with_capacity(frames.len());
        for pending in frames {
            let sequence = self.frame_sequences.entry(pending.group).or_default();
            *sequence += 1;
            let Pending {
                kind,
                group,
                index,
                ref payload,
                ..
            } = pending;
            let (header, at) = self.encoder.push(kind, group, *sequence, index, payload);
            let position = Position {
                segment: self.active.number,
                offset: u32::try_from(self.offset + at).expect("segments are at most 2 GiB"),
                bytes: u32::try_from(pending.bytes()).expect("a frame fits into a segment"),
            };
            placed.push((header, position, pending));
        }
        Batch {
            frames: placed,
            bytes: self.encoder.finish(self.sequence),
        }
    }

    fn write(&mut self, batch: Batch) -> Step {
        let end = self.offset + batch.bytes.len() as u64;
        assert!(
            end <= self.active.bytes,
            "a batch ends at {end} within its segment"
        );
        if let Err(error) = self.active.file.write_at(self.offset, &batch.bytes) {
            if is_full(&error) {
                self.stuck = Some(batch);
                let shared = Arc::clone(&self.shared);
                shared.set_full(&mut shared.lock(), Some(error.to_string()));
                return Step::Blocked;
            }
            return self.fail("write", &error, batch);
        }
        let begun = Instant::now();
        if let Err(error) = self.sync() {
            // What reached the disk is unknown, and asking again might pretend success.
            return self.fail("sync", &error, batch);
        }
        self.shared.sync_times.observe(begun.elapsed());
        self.offset = end;
        self.sequence += 1;
        let callbacks = self.account(batch.frames, batch.bytes.len() as u64);
        self.encoder.give_back(batch.bytes);
        self.move_live_frames();
        for done in callbacks {
            done(Ok(()));
        }
        Step::Done
    }

    fn sync(&self) -> io::Result<()> {
        let synced = self.active.file.sync();
        #[cfg(feature = "testkit")]
        if self.shared.options.bugs.sync_again && synced.is_err() {
            return self.active.file.sync();
        }
        synced
    }

    /// Enters a durable batch into the ledger and lets segments go that nobody needs any more.
    fn account(&mut self, frames: Vec<Placed>, bytes: u64) -> Vec<OnDurable> {
        let shared = Arc::clone(&self.shared);
        let mut guard = shared.lock();
        let state = &mut *guard;
        if state.full.is_some() && state.wanted.is_none() {
            shared.set_full(state, None);
        }
        state.syncs += 1;
        state.written += bytes;
        state.frames += frames.len() as u64;
        let cache_bytes = shared.options.cache_bytes;
        let mut callbacks = Vec::new();
        for (header, position, pending) in frames {
            let here = |what| self.damage(header.group, &position, what);
            if let Err(damage) = state.ledger.apply(&header, pending.payload, position, here) {
                // Only groups that were damaged before may contradict themselves.
                tracing::warn!(group = header.group, "{damage}");
            }
            if let Some(front) = state.fronts.get_mut(&header.group) {
                front.durable_ticket = front.durable_ticket.max(pending.ticket);
                front.evict(cache_bytes);
            }
            callbacks.extend(pending.done);
        }
        self.retire_segments(state);
        callbacks
    }

    fn damage(&self, group: u32, at: &Position, what: String) -> Box<Damage> {
        let offset = u64::from(at.offset);
        Box::new(Damage {
            group: GroupId(group),
            file: self.active.path.clone(),
            offset,
            what,
        })
    }

    fn retire_segments(&self, state: &mut State) {
        if state.segments.len() < 2 {
            return;
        }
        let needed = state
            .ledger
            .oldest_pin()
            .map_or(u64::MAX, |(segment, _)| segment);
        while let Some(entry) = state.segments.first_entry()
            && *entry.key() < needed.min(self.active.number)
        {
            state.retired.push_back(entry.remove());
            self.shared.keeper_wake.notify_one();
        }
    }

    /// If few bytes keep the oldest segment, queues copies of them in front of everything else.
    fn move_live_frames(&mut self) {
        let Some(moves) = self.plan_moves() else {
            return;
        };
        let oldest = moves.segment.number;
        let mut pending = Vec::new();
        for (group, kind, index, source) in moves.frames {
            let payload = match source {
                MoveSource::Bytes(bytes) => bytes,
                MoveSource::Disk(at) => {
                    match read_frame(&moves.segment, at, GroupId(group), index) {
                        Ok(payload) => payload,
                        Err(error) => {
                            tracing::error!(group, "{error}");
                            self.unmovable = oldest;
                            return;
                        }
                    }
                }
            };
            pending.push(Pending {
                group,
                kind,
                index,
                payload,
                ticket: 0,
                done: None,
            });
        }
        let shared = Arc::clone(&self.shared);
        let mut state = shared.lock();
        // Once is enough: when they are durable, nothing of it is live in the old segment.
        self.unmovable = oldest;
        for one in pending.into_iter().rev() {
            state.urgent += usize::from(one.kind != Kind::Purge);
            state.queue.push_front(one);
        }
    }

    fn plan_moves(&self) -> Option<Moves> {
        let options = &self.shared.options;
        let state = self.shared.lock();
        if state.segments.len() <= options.segments_kept + 1 {
            return None;
        }
        let (number, segment) = state.segments.iter().next()?;
        let bytes: u64 = state
            .ledger
            .groups()
            .map(|(_, group)| group.pinned_bytes(*number))
            .sum();
        let bytes_max = options.move_bytes_max.min(options.segment_bytes / 4);
        if *number == self.unmovable || bytes > bytes_max {
            return None;
        }
        let mut frames = Vec::new();
        for (id, group) in state.ledger.groups() {
            if let Some(index) = group.purge_in(*number) {
                frames.push((id, Kind::Purge, index, MoveSource::Bytes(Bytes::new())));
            }
            if let Some(meta) = group.meta_in(*number) {
                frames.push((id, Kind::Meta, 0, MoveSource::Bytes(meta.clone())));
            }
            for (index, at) in group.entries_in(*number) {
                frames.push((id, Kind::Moved, index, MoveSource::Disk(at)));
            }
        }
        Some(Moves {
            segment: segment.clone(),
            frames,
        })
    }

    /// The disk failed: nothing is acknowledged from here on.
    fn fail(&mut self, what: &str, error: &io::Error, batch: Batch) -> Step {
        let what = format!("{what} {}", self.active.path.display());
        let error = LogError::Failed {
            what,
            message: error.to_string(),
        };
        tracing::error!("{error}");
        self.shared.lock().failed = Some(error);
        self.refuse_all(Some(batch))
    }

    fn refuse_all(&mut self, batch: Option<Batch>) -> Step {
        let (error, queued) = {
            let mut state = self.shared.lock();
            state.urgent = 0;
            let full = state.full.clone().map(LogError::Full);
            let refusal = Shared::refusal(&state);
            let error = match refusal {
                Some(LogError::Closed) => full.unwrap_or(LogError::Closed),
                Some(error) => error,
                None => LogError::Closed,
            };
            (error, std::mem::take(&mut state.queue))
        };
        let batch = batch.or(self.stuck.take());
        let frames = batch.into_iter().flat_map(|batch| batch.frames);
        let callbacks: Vec<_> = frames
            .map(|(_, _, pending)| pending)
            .chain(queued)
            .filter_map(|one| one.done)
            .collect();
        let any = !callbacks.is_empty();
        for done in callbacks {
            done(Err(error.clone()));
        }
        if any { Step::Done } else { Step::Idle }
    }

    /// The end: an orderly close is marked by an empty batch, see the format page.
    pub fn finish(&mut self) {
        let orderly = {
            let state = self.shared.lock();
            state.stop == Stop::Close
                && state.failed.is_none()
                && state.queue.is_empty()
                && self.stuck.is_none()
        };
        self.refuse_all(None);
        if !orderly {
            return;
        }
        if self.offset + frame::ALIGN > self.active.bytes {
            // Without space for the mark the log is as after a crash, which is no harm.
            let Some(next) = self.shared.lock().prepared.take() else {
                return;
            };
            self.offset = frame::DATA_START;
            self.active = next;
        }
        let batch = self.encode(Vec::new());
        let written = self.active.file.write_at(self.offset, &batch.bytes);
        if let Err(error) = written.and_then(|()| self.active.file.sync()) {
            tracing::warn!("mark the log as closed: {error}");
        }
    }

    fn run(mut self) {
        while self.turn() {}
        self.finish();
    }

    /// One step, or one wait; says whether to go on.
    fn turn(&mut self) -> bool {
        if self.shared.lock().stop == Stop::Abandon {
            return false;
        }
        let step = self.step();
        let state = self.shared.lock();
        match (step, state.stop) {
            (Step::Done, _) => return true,
            (_, Stop::Abandon) | (Step::Idle, Stop::Close) => return false,
            // There is no space for what is left.
            (Step::Blocked, Stop::Close) if state.full.is_some() => return false,
            _ => {}
        }
        match step {
            // Whoever queues something wakes the writer.
            Step::Idle if state.urgent == 0 => drop(self.shared.writer_wake.wait(state)),
            Step::Blocked if self.stuck.is_some() || state.prepared.is_none() => {
                let retry = self.shared.options.full_retry;
                drop(self.shared.writer_wake.wait_timeout(state, retry));
            }
            Step::Idle | Step::Blocked | Step::Done => {}
        }
        true
    }
}

/// Tells everybody when the writer's thread ends, even by a panic.
struct Ended(Arc<Shared>);

impl Drop for Ended {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.writer_ended = true;
        if thread::panicking() {
            let (what, message) = ("the log's writer".into(), "an internal check failed".into());
            state
                .failed
                .get_or_insert(LogError::Failed { what, message });
        }
        self.0.keeper_wake.notify_all();
    }
}

/// What a step came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    Done,
    /// Nothing to do.
    Idle,
    /// Something to do, but no space to do it in.
    Blocked,
}

impl Step {
    pub fn is_done(self) -> bool {
        self == Self::Done
    }
}

enum Next {
    Frames(Vec<Pending>),
    /// The next frame did not fit; a segment was begun for it.
    NewSegment,
    /// The next frame does not fit, and there is no other segment yet.
    NoSegment,
    Nothing,
}

struct Moves {
    segment: Segment,
    frames: Vec<(u32, Kind, u64, MoveSource)>,
}

enum MoveSource {
    Bytes(Bytes),
    Disk(Position),
}

/// Prepares and removes segments.
pub(crate) struct Keeper {
    shared: Arc<Shared>,
    yard: Yard,
}

impl Keeper {
    pub fn new(shared: Arc<Shared>, yard: Yard) -> Self {
        Self { shared, yard }
    }

    /// Says whether anything was done.
    pub fn step(&mut self) -> bool {
        let (retired, wanted) = {
            let state = self.shared.lock();
            (state.retired.front().cloned(), state.wanted)
        };
        if let Some(segment) = retired {
            match self.yard.retire(&segment) {
                Ok(()) => {
                    self.shared.lock().retired.pop_front();
                    return true;
                }
                // Tried again later; segments may only go in order.
                Err(error) => tracing::warn!("remove {}: {error}", segment.path.display()),
            }
        }
        let Some(number) = wanted else { return false };
        let prepared = self.yard.prepare(number);
        let mut state = self.shared.lock();
        match prepared {
            Ok(segment) => {
                state.wanted = None;
                state.prepared = Some(segment);
                self.shared.set_full(&mut state, None);
                self.shared.writer_wake.notify_one();
                true
            }
            Err(error) if is_full(&error) => {
                self.shared.set_full(&mut state, Some(error.to_string()));
                false
            }
            Err(error) => {
                let what = format!("create segment {number}");
                let error = LogError::Failed {
                    what,
                    message: error.to_string(),
                };
                tracing::error!("{error}");
                state.wanted = None;
                state.failed = Some(error);
                self.shared.writer_wake.notify_one();
                false
            }
        }
    }

    fn run(mut self) {
        loop {
            if self.step() {
                continue;
            }
            let state = self.shared.lock();
            if state.writer_ended || state.failed.is_some() {
                return;
            }
            if state.wanted.is_some() || !state.retired.is_empty() {
                let retry = self.shared.options.full_retry;
                drop(self.shared.keeper_wake.wait_timeout(state, retry));
            } else {
                drop(self.shared.keeper_wake.wait(state));
            }
        }
    }
}

/// The two threads of a store.
pub(crate) struct Threads {
    writer: JoinHandle<()>,
    keeper: JoinHandle<()>,
}

impl Threads {
    pub fn start(writer: Writer, keeper: Keeper) -> io::Result<Self> {
        let keeper = thread::Builder::new()
            .name("log-keeper".into())
            .spawn(move || keeper.run())?;
        let ended = Ended(Arc::clone(&writer.shared));
        let writer = thread::Builder::new()
            .name("log-writer".into())
            .spawn(move || {
                let _ended = ended;
                writer.run();
            })?;
        Ok(Self { writer, keeper })
    }

    /// Waits for both, unless called from one of them (the last handle may go in a callback).
    pub fn join(self) {
        let here = thread::current().id();
        for thread in [self.writer, self.keeper] {
            if thread.thread().id() != here && thread.join().is_err() {
                tracing::error!("a thread of the log has panicked");
            }
        }
    }
}
