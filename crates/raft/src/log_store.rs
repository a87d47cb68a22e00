//! openraft's log storage on one group of the node's log.
//!
//! Invariant: the blob is queued before the frames that it speaks of (see the format page).
//!
//! A full disk does not show here: the log store waits, and callbacks come when there is space
//! again. `RaftNode::propose` refuses new proposals meanwhile.

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::io;
use std::ops::{Bound, RangeBounds};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use futures::Stream;
use openraft::storage::{IOFlushed, LogState, RaftLogReader, RaftLogStorage};
use openraft::{EntryPayload, OptionalSend};
use skep_log::GroupLog;
use tokio::sync::{Notify, oneshot};

use crate::codec::{self, Meta};
use crate::types::{Entry, LogId, Membership, StoredMembership, TypeConfig, Vote, log_id};

/// Entries are read in pieces of about this size, so that replaying a long log needs little memory.
const READ_BYTES: usize = 1 << 20;

#[derive(Clone)]
pub(crate) struct LogStore {
    log: GroupLog,
    meta: Arc<Mutex<Meta>>,
    flushed: Arc<Flushed>,
}

/// Wakes whoever waits until entries are durable here. There is one at most.
#[derive(Default)]
struct Flushed {
    changed: Notify,
    /// Nothing becomes durable any more, or nobody wants to know.
    over: AtomicBool,
}

impl Flushed {
    fn end(&self) {
        self.over.store(true, Ordering::Release);
        self.changed.notify_one();
    }
}

fn io_error(error: impl std::error::Error + Send + Sync + 'static) -> io::Error {
    io::Error::other(error)
}

impl LogStore {
    pub fn open(log: GroupLog) -> Result<Self, io::Error> {
        let meta = match log.meta().map_err(io_error)? {
            Some(bytes) => Meta::decode(bytes).map_err(io_error)?,
            None => Meta::default(),
        };
        if let Some(purged) = &meta.purged {
            // The crash may have come between the blob and the purge.
            log.purge_before(purged.index + 1);
        }
        Ok(Self {
            log,
            meta: Arc::new(Mutex::new(meta)),
            flushed: Arc::default(),
        })
    }

    /// Waits until an entry is durable here. False if consensus ends before that.
    ///
    /// # Errors
    /// If the log is damaged.
    pub async fn durable(&self, index: u64) -> Result<bool, io::Error> {
        #[cfg(feature = "testkit")]
        if crate::testkit::faults().append_unsynced {
            return Ok(true);
        }
        while self.log.durable_next().map_err(io_error)? <= index {
            if self.flushed.over.load(Ordering::Acquire) {
                return Ok(false);
            }
            self.flushed.changed.notified().await;
        }
        Ok(true)
    }

    /// Consensus ends: nobody waits any more.
    pub fn close(&self) {
        self.flushed.end();
    }

    fn meta(&self) -> MutexGuard<'_, Meta> {
        self.meta.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Nothing was ever written.
    pub fn is_empty(&self) -> Result<bool, io::Error> {
        let next = self.next_index()?;
        Ok(next == 0 && self.meta().vote.is_none())
    }

    /// Whether the member may have forgotten votes and entries.
    pub fn is_newcomer(&self) -> bool {
        self.meta().newcomer
    }

    /// Durably.
    pub async fn set_newcomer(&self, newcomer: bool) -> Result<(), io::Error> {
        #[cfg(feature = "testkit")]
        let newcomer = newcomer && !crate::testkit::faults().newcomer_votes;
        let encoded = {
            let mut meta = self.meta();
            meta.newcomer = newcomer;
            meta.encode()
        };
        self.save(encoded).await
    }

    /// Waits until all that was written so far is durable.
    pub async fn settle(&self) -> Result<(), io::Error> {
        let encoded = self.meta().encode();
        self.save(encoded).await
    }

    /// The member was elected, has followed somebody who was, or has voted for `node`.
    pub fn has_history_with(&self, node: u64) -> Result<bool, io::Error> {
        let vote = self.meta().vote;
        let knows = vote.is_some_and(|vote| vote.committed || vote.leader_id.voted_for == node);
        Ok(knows || self.next_index()? > 1)
    }

    async fn save(&self, encoded: Bytes) -> Result<(), io::Error> {
        let (sender, receiver) = oneshot::channel();
        self.log
            .save_meta(encoded, Box::new(move |result| drop(sender.send(result))));
        written(receiver).await
    }

    /// Drops the log, which lacks what the replica has lost. The votes are kept, and that they are not all that was promised.
    pub async fn begin_anew(&self) -> Result<(), io::Error> {
        self.set_newcomer(true).await?;
        let (sender, receiver) = oneshot::channel();
        self.log
            .reset(Box::new(move |result| drop(sender.send(result))));
        written(receiver).await?;
        let encoded = {
            let mut meta = self.meta();
            meta.purged = None;
            meta.memberships.clear();
            meta.encode()
        };
        self.save(encoded).await
    }

    /// Begins a log after the entry that the replica's content ends with: the log is gone, the content is not.
    pub async fn form_after(&self, members: &BTreeSet<u64>, id: LogId) -> Result<(), io::Error> {
        let membership = Membership::new_with_defaults(vec![members.clone()], []);
        let encoded = {
            let mut meta = self.meta();
            meta.purged = Some(id);
            meta.memberships = vec![(log_id(0, 0), membership)];
            meta.encode()
        };
        self.save(encoded).await?;
        self.log.purge_before(id.index + 1);
        Ok(())
    }

    /// The membership in force at `applied`.
    pub fn membership_at(&self, applied: Option<&LogId>) -> StoredMembership {
        let meta = self.meta();
        let known = meta.memberships.iter().rev();
        let found = known.clone().find(|(id, _)| Some(id) <= applied);
        match found {
            Some((id, membership)) => StoredMembership::new(Some(*id), membership.clone()),
            None => StoredMembership::default(),
        }
    }

    /// Writes the first entry of every member's log: who the members are. It is the same for all of them, so no member has to be told
    /// by another one. Returns when it is durable.
    pub async fn form(&self, members: &BTreeSet<u64>) -> Result<(), io::Error> {
        let membership = Membership::new_with_defaults(vec![members.clone()], []);
        let id = log_id(0, 0);
        if self.meta().memberships.is_empty() {
            self.note_membership(id, &membership);
        }
        let entry = Entry {
            log_id: id,
            payload: EntryPayload::Membership(membership),
        };
        let frames = vec![(0, codec::encode_entry(&entry))];
        let (sender, receiver) = oneshot::channel();
        let done = Box::new(move |result| drop(sender.send(result)));
        self.log.append(frames, done);
        written(receiver).await
    }

    /// The voters that the log knows, if it knows any.
    pub fn voters(&self) -> Option<BTreeSet<u64>> {
        let meta = self.meta();
        let (_, membership) = meta.memberships.last()?;
        Some(membership.voter_ids().collect())
    }

    /// The log id of the entry at `index`, if the log still knows it.
    pub fn log_id_at(&self, index: u64) -> Result<Option<LogId>, io::Error> {
        if let Some(purged) = self.meta().purged.filter(|purged| purged.index == index) {
            return Ok(Some(purged));
        }
        Ok(self
            .read(index, index + 1, 0)?
            .pop()
            .map(|entry| entry.log_id))
    }

    pub fn first_index(&self) -> Result<u64, io::Error> {
        self.log.first_index().map_err(io_error)
    }

    pub fn next_index(&self) -> Result<u64, io::Error> {
        self.log.next_index().map_err(io_error)
    }

    pub fn read(&self, from: u64, to: u64, bytes_max: usize) -> Result<Vec<Entry>, io::Error> {
        let read = self.log.read(from..to, bytes_max).map_err(io_error)?;
        let decoded = read
            .into_iter()
            .map(|(index, bytes)| codec::decode_entry(index, bytes));
        decoded.collect::<Result<_, _>>().map_err(io_error)
    }

    /// Whether what was just written is there to be read. If not, consensus must end before it counts with it: it would hand over what
    /// the log has in its place.
    fn taken(&self) -> Result<(), io::Error> {
        match self.log.refusal() {
            None => Ok(()),
            Some(error) => Err(io_error(error)),
        }
    }

    /// Keeps the membership in force and the one that may still be undone.
    fn note_membership(&self, id: LogId, membership: &Membership) {
        let mut meta = self.meta();
        meta.memberships.push((id, membership.clone()));
        if meta.memberships.len() > 2 {
            meta.memberships.remove(0);
        }
        self.log.save_meta(meta.encode(), Box::new(|_| {}));
    }

    fn last(&self) -> Result<Option<LogId>, io::Error> {
        let next = self.next_index()?;
        match next.checked_sub(1) {
            Some(last) => self.log_id_at(last),
            None => Ok(None),
        }
    }
}

async fn written(
    receiver: oneshot::Receiver<Result<(), skep_log::LogError>>,
) -> Result<(), io::Error> {
    match receiver.await {
        Ok(result) => result.map_err(io_error),
        Err(_) => Err(io_error(skep_log::LogError::Closed)),
    }
}

fn bounds(range: &impl RangeBounds<u64>) -> (u64, u64) {
    let from = match range.start_bound() {
        Bound::Included(from) => *from,
        Bound::Excluded(before) => before + 1,
        Bound::Unbounded => 0,
    };
    let to = match range.end_bound() {
        Bound::Included(last) => last + 1,
        Bound::Excluded(to) => *to,
        Bound::Unbounded => u64::MAX,
    };
    (from, to)
}

impl RaftLogReader<TypeConfig> for LogStore {
    async fn try_get_log_entries<RB>(&mut self, range: RB) -> Result<Vec<Entry>, io::Error>
    where
        RB: RangeBounds<u64> + Clone + Debug + OptionalSend,
    {
        let (from, to) = bounds(&range);
        self.read(from, to, usize::MAX)
    }

    async fn entries_stream<RB>(
        &mut self,
        range: RB,
    ) -> impl Stream<Item = Result<Entry, io::Error>> + OptionalSend
    where
        RB: RangeBounds<u64> + Clone + Debug + OptionalSend,
    {
        let (from, to) = bounds(&range);
        let pieces = Pieces {
            store: self.clone(),
            next: from,
            to,
            ready: Vec::new().into_iter(),
        };
        Box::pin(futures::stream::iter(pieces))
    }

    async fn read_vote(&mut self) -> Result<Option<Vote>, io::Error> {
        Ok(self.meta().vote)
    }

    async fn limited_get_log_entries(
        &mut self,
        start: u64,
        end: u64,
    ) -> Result<Vec<Entry>, io::Error> {
        self.read(start, end, READ_BYTES)
    }
}

/// Reads a range piece by piece.
struct Pieces {
    store: LogStore,
    next: u64,
    to: u64,
    ready: std::vec::IntoIter<Entry>,
}

impl Iterator for Pieces {
    type Item = Result<Entry, io::Error>;

    fn next(&mut self) -> Option<Self::Item> {
        if let Some(entry) = self.ready.next() {
            self.next = entry.log_id.index + 1;
            return Some(Ok(entry));
        }
        if self.next >= self.to {
            return None;
        }
        match self.store.read(self.next, self.to, READ_BYTES) {
            Ok(entries) if entries.is_empty() => None,
            Ok(entries) => {
                self.ready = entries.into_iter();
                self.next()
            }
            Err(error) => {
                self.to = self.next;
                Some(Err(error))
            }
        }
    }
}

impl RaftLogStorage<TypeConfig> for LogStore {
    type LogReader = Self;

    async fn get_log_state(&mut self) -> Result<LogState<TypeConfig>, io::Error> {
        let last_purged_log_id = self.meta().purged;
        Ok(LogState {
            last_purged_log_id,
            last_log_id: self.last()?,
        })
    }

    async fn get_log_reader(&mut self) -> Self {
        self.clone()
    }

    async fn save_vote(&mut self, vote: &Vote) -> Result<(), io::Error> {
        let encoded = {
            let mut meta = self.meta();
            meta.vote = Some(*vote);
            meta.encode()
        };
        #[cfg(feature = "testkit")]
        if crate::testkit::faults().vote_unsynced {
            self.log.save_meta(encoded, Box::new(|_| {}));
            return Ok(());
        }
        self.save(encoded).await
    }

    async fn append<I>(
        &mut self,
        entries: I,
        callback: IOFlushed<TypeConfig>,
    ) -> Result<(), io::Error>
    where
        I: IntoIterator<Item = Entry> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        let mut frames: Vec<(u64, Bytes)> = Vec::new();
        for entry in entries {
            if let EntryPayload::Membership(membership) = &entry.payload {
                self.note_membership(entry.log_id, membership);
            }
            frames.push((entry.log_id.index, codec::encode_entry(&entry)));
        }
        #[cfg(feature = "testkit")]
        if crate::testkit::faults().append_unsynced {
            callback.io_completed(Ok(()));
            self.log.append(frames, Box::new(|_| {}));
            return Ok(());
        }
        let flushed = Arc::clone(&self.flushed);
        let done = move |result: Result<(), skep_log::LogError>| {
            match &result {
                Ok(()) => flushed.changed.notify_one(),
                Err(_) => flushed.end(),
            }
            callback.io_completed(result.map_err(io_error));
        };
        self.log.append(frames, Box::new(done));
        self.taken()
    }

    async fn truncate_after(&mut self, last_log_id: Option<LogId>) -> Result<(), io::Error> {
        let from = last_log_id.map_or(0, |id| id.index + 1);
        {
            let mut meta = self.meta();
            let before = meta.memberships.len();
            meta.memberships.retain(|(id, _)| id.index < from);
            if meta.memberships.len() != before {
                self.log.save_meta(meta.encode(), Box::new(|_| {}));
            }
        }
        // Whatever is appended later becomes durable after it, so nobody has to wait here.
        self.log.truncate_from(from, Box::new(|_| {}));
        self.taken()
    }

    async fn purge(&mut self, id: LogId) -> Result<(), io::Error> {
        {
            let mut meta = self.meta();
            meta.purged = Some(id);
            self.log.save_meta(meta.encode(), Box::new(|_| {}));
        }
        self.log.purge_before(id.index + 1);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]

    use std::path::Path;

    use skep_log::testkit::{Faults, MemFiles};
    use skep_log::{GroupId, LogOptions};

    use super::*;

    /// Found by the simulation: a member whose disk had failed handed an entry over that another had taken the place of.
    #[tokio::test]
    async fn a_log_that_has_failed_says_at_once_that_it_takes_nothing() {
        let files = MemFiles::new();
        let disk = Arc::new(files.clone());
        let opened = skep_log::LogStore::open(disk, Path::new("/log"), LogOptions::default());
        let (log, _) = opened.unwrap();
        let mut store = LogStore::open(log.group(GroupId(1))).unwrap();
        store.form(&BTreeSet::from([1])).await.unwrap();
        let entry = |term, index| Entry {
            log_id: log_id(term, index),
            payload: EntryPayload::Blank,
        };
        let before = [entry(1, 1)];
        store.append(before, IOFlushed::noop()).await.unwrap();
        store.settle().await.unwrap();
        files.set_faults(Faults {
            fail_sync: true,
            ..Faults::default()
        });
        store.settle().await.unwrap_err();
        let dropped = store.truncate_after(Some(log_id(0, 0))).await;
        let appended = store.append([entry(2, 1)], IOFlushed::noop()).await;
        for refused in [dropped, appended] {
            let refused = refused.unwrap_err().to_string();
            assert!(refused.contains("sync"), "{refused}");
        }
        assert_eq!(store.last().unwrap(), Some(log_id(1, 1)), "as it was");
    }
}
