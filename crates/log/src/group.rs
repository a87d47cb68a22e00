//! The handle of one group: what consensus calls.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;

use crate::GroupId;
use crate::error::{Damage, LogError};
use crate::frame::{self, Kind};
use crate::front::Front;
use crate::ledger::Position;
use crate::segments::Segment;
use crate::store::{Inner, OnDurable, Pending, Shared, State};

/// The log of one consensus group.
#[derive(Clone)]
pub struct GroupLog {
    pub(crate) inner: Arc<Inner>,
    pub(crate) group: GroupId,
}

/// Where an entry is to be read.
enum Source {
    Cache(Bytes),
    Disk(Segment, Position),
}

impl GroupLog {
    pub fn id(&self) -> GroupId {
        self.group
    }

    /// True while the disk is full: appends wait, so callers had better not begin new ones.
    pub fn is_full(&self) -> bool {
        self.inner.shared.full.load(Ordering::Acquire)
    }

    /// Why the log takes nothing any more: its disk has failed, or it is closed. What is appended or dropped after that is not so for
    /// readers either.
    pub fn refusal(&self) -> Option<LogError> {
        Shared::refusal(&self.inner.shared.lock())
    }

    pub fn entry_bytes_max(&self) -> usize {
        self.inner.shared.options.entry_bytes_max()
    }

    /// Appends entries, whose indexes must follow the last one without a gap. They can be read at
    /// once; `on_durable` is called when all of them are durable.
    pub fn append(&self, entries: Vec<(u64, Bytes)>, on_durable: OnDurable) {
        let bytes_max = self.entry_bytes_max();
        if let Some((_, large)) = entries.iter().find(|(_, bytes)| bytes.len() > bytes_max) {
            return on_durable(Err(LogError::TooLarge {
                bytes: large.len(),
                bytes_max,
            }));
        }
        let Some((last, _)) = entries.last() else {
            return on_durable(Ok(()));
        };
        let last = *last;
        let mut done = Some(on_durable);
        self.submit(&mut done, |state, group, done| {
            for (index, payload) in entries {
                // Each its own: the entries of one append may become durable in several batches.
                let ticket = state.ticket();
                let front = state.fronts.entry(group).or_default();
                assert_eq!(
                    index, front.next,
                    "entries of group {group} are consecutive"
                );
                front.push(ticket, payload.clone());
                let done = done.take_if(|_| index == last);
                state.push(Pending {
                    group,
                    kind: Kind::Entry,
                    index,
                    payload,
                    ticket,
                    done,
                });
            }
        });
    }

    /// Drops all entries from `index` on. Durable before anything that is appended later.
    pub fn truncate_from(&self, index: u64, on_durable: OnDurable) {
        let mut done = Some(on_durable);
        self.submit(&mut done, |state, group, done| {
            let front = state.fronts.entry(group).or_default();
            assert!(
                index >= front.first,
                "group {group} truncates from {index}, but is purged up to {}",
                front.first
            );
            let index = index.min(front.next);
            front.truncate(index);
            state.push_control(group, Kind::Truncate, index, Bytes::new(), done.take());
        });
    }

    /// Entries before `index` are not needed any more. Durable some time later. An index beyond
    /// the end moves the end: the next entry is `index`.
    pub fn purge_before(&self, index: u64) {
        self.submit(&mut None, |state, group, _| {
            let front = state.fronts.entry(group).or_default();
            if index > front.first {
                front.purge(index);
                state.push_control(group, Kind::Purge, index, Bytes::new(), None);
            }
        });
    }

    /// Replaces the small blob of the group.
    pub fn save_meta(&self, meta: Bytes, on_durable: OnDurable) {
        let bytes_max = self.entry_bytes_max();
        if meta.len() > bytes_max {
            return on_durable(Err(LogError::TooLarge {
                bytes: meta.len(),
                bytes_max,
            }));
        }
        let mut done = Some(on_durable);
        self.submit(&mut done, |state, group, done| {
            state.fronts.entry(group).or_default().meta = Some(meta.clone());
            state.push_control(group, Kind::Meta, 0, meta, done.take());
        });
    }

    /// Forgets everything about the group, its damage too.
    pub fn reset(&self, on_durable: OnDurable) {
        let refused = Shared::refusal(&self.inner.shared.lock());
        if let Some(error) = refused {
            return on_durable(Err(error));
        }
        {
            let mut state = self.inner.shared.lock();
            state.fronts.insert(self.group.0, Front::default());
            state.push_control(self.group.0, Kind::Reset, 0, Bytes::new(), Some(on_durable));
        }
        self.inner.shared.wake_writer();
    }

    /// Entries before this index are durable.
    pub fn durable_next(&self) -> Result<u64, LogError> {
        self.with_front(Front::durable_next)
    }

    /// The last blob that is durable, for a simulator.
    #[cfg(feature = "testkit")]
    pub fn durable_meta(&self) -> Option<Bytes> {
        let state = self.inner.shared.lock();
        state.ledger.group(self.group.0)?.meta().cloned()
    }

    /// The last blob saved, durable or not.
    pub fn meta(&self) -> Result<Option<Bytes>, LogError> {
        self.with_front(|front| front.meta.clone())
    }

    /// The index of the first entry that is kept; equals `next_index` if there is none.
    pub fn first_index(&self) -> Result<u64, LogError> {
        self.with_front(|front| front.first)
    }

    /// The index that the next entry must have.
    pub fn next_index(&self) -> Result<u64, LogError> {
        self.with_front(|front| front.next)
    }

    /// Entries of the range that are there, from its beginning on, up to about `bytes_max` bytes,
    /// but at least one.
    pub fn read(&self, range: Range<u64>, bytes_max: usize) -> Result<Vec<(u64, Bytes)>, LogError> {
        let mut attempt = 0;
        loop {
            let sources = self.sources(&range, bytes_max)?;
            let read: Result<Vec<_>, LogError> = sources
                .into_iter()
                .map(|(index, source)| Ok((index, self.read_entry(index, source)?)))
                .collect();
            attempt += 1;
            match read {
                // A purge may have let the segment go meanwhile; then the entry is not found
                // in the second attempt. Real damage is found again.
                Err(LogError::Corrupt(_)) if attempt == 1 => {}
                other => return other,
            }
        }
    }

    fn sources(
        &self,
        range: &Range<u64>,
        bytes_max: usize,
    ) -> Result<Vec<(u64, Source)>, LogError> {
        let state = self.inner.shared.lock();
        let Some(front) = state.fronts.get(&self.group.0) else {
            return Ok(Vec::new());
        };
        if let Some(damage) = &front.damage {
            return Err(LogError::Corrupt(damage.clone()));
        }
        let ledger = state.ledger.group(self.group.0);
        let mut found = Vec::new();
        let mut bytes = 0;
        for index in range.start.max(front.first)..range.end.min(front.next) {
            let source = match (front.cached(index), ledger.and_then(|l| l.position(index))) {
                (Some(cached), _) => Source::Cache(cached.clone()),
                (None, Some(at)) => Source::Disk(state.segments[&at.segment].clone(), at),
                (None, None) => unreachable!("entry {index} is neither in memory nor durable"),
            };
            bytes += match &source {
                Source::Cache(cached) => cached.len(),
                Source::Disk(_, at) => at.bytes as usize,
            };
            if bytes > bytes_max && !found.is_empty() {
                break;
            }
            found.push((index, source));
        }
        Ok(found)
    }

    fn read_entry(&self, index: u64, source: Source) -> Result<Bytes, LogError> {
        match source {
            Source::Cache(bytes) => Ok(bytes),
            Source::Disk(segment, at) => read_frame(&segment, at, self.group, index),
        }
    }

    fn with_front<T: Default>(&self, get: impl FnOnce(&Front) -> T) -> Result<T, LogError> {
        let state = self.inner.shared.lock();
        let Some(front) = state.fronts.get(&self.group.0) else {
            return Ok(T::default());
        };
        match &front.damage {
            Some(damage) => Err(LogError::Corrupt(damage.clone())),
            None => Ok(get(front)),
        }
    }

    /// Runs `change` under the lock unless the store or the group refuses.
    fn submit(
        &self,
        done: &mut Option<OnDurable>,
        change: impl FnOnce(&mut State, u32, &mut Option<OnDurable>),
    ) {
        let refused = {
            let mut state = self.inner.shared.lock();
            let damage = state
                .fronts
                .get(&self.group.0)
                .and_then(|front| front.damage.clone());
            let refused = Shared::refusal(&state).or(damage.map(LogError::Corrupt));
            if refused.is_none() {
                change(&mut state, self.group.0, done);
            }
            refused
        };
        match (refused, done.take()) {
            (None, _) => self.inner.shared.wake_writer(),
            (Some(error), Some(done)) => done(Err(error)),
            (Some(_), None) => {}
        }
    }
}

/// Reads the payload of one entry and checks that it is the right one and whole.
pub(crate) fn read_frame(
    segment: &Segment,
    at: Position,
    group: GroupId,
    index: u64,
) -> Result<Bytes, LogError> {
    let mut data = vec![0; at.bytes as usize];
    let read = segment
        .file
        .read_at(u64::from(at.offset), &mut data)
        .map_err(|e| LogError::io(format!("read {}", segment.path.display()), &e))?;
    data.truncate(read);
    let header = frame::decode_frame_header(&data, segment.salt);
    let whole = header.is_ok_and(|header| {
        header.group == group.0 && header.index == index && frame::payload(&header, &data).is_some()
    });
    if !whole {
        return Err(LogError::Corrupt(Box::new(Damage {
            group,
            file: segment.path.clone(),
            offset: u64::from(at.offset),
            what: format!("entry {index} is not what was written"),
        })));
    }
    Ok(Bytes::from(data).slice(frame::FRAME_HEADER..))
}
