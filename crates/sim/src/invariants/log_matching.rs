//! Logs of one partition match: where two members have an entry of the same index and term, it is the same, and so are those
//! before it. What is committed is durable at a majority, and the same for all who say so.

use std::collections::BTreeMap;

use bytes::Bytes;
use skep_log::GroupLog;
use skep_partition::LocalPosition;
use skep_protocol::PartitionId;
use xxhash_rust::xxh3::xxh3_128;

use crate::violation::{Check, Violation};

/// How far back from the last committed entry logs are compared.
const LOOK_BACK: u64 = 4;

/// Bytes of an entry before the proposal: docs/formats/raft-entry.md.
const HEADER: usize = 10;

/// An entry as it is in a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Held {
    term: u64,
    hash: u128,
}

impl Held {
    fn new(bytes: &Bytes) -> Held {
        let mut term = [0; 8];
        term.copy_from_slice(&bytes[2..HEADER]);
        Held {
            term: u64::from_le_bytes(term),
            hash: xxh3_128(bytes),
        }
    }

    fn read(log: &GroupLog, index: u64) -> Option<(Held, Bytes)> {
        let (_, bytes) = log.read(index..index + 1, 0).ok()?.pop()?;
        Some((Held::new(&bytes), bytes))
    }
}

/// What a node that is down had on its disk.
#[derive(Debug, Default)]
struct Left {
    /// It has all entries before this index.
    first: u64,
    entries: BTreeMap<u64, Held>,
}

/// What the logs of a partition's members have shown.
#[derive(Debug)]
pub struct Logs {
    committed: Vec<Held>,
    /// By index and term: the entry, and the term of the one before.
    seen: BTreeMap<(u64, u64), (u128, Option<u64>)>,
    left: Vec<Left>,
    /// What a node had before it lost it, and has perhaps told a leader it has: as long as it has no vote, who is elected has it from others.
    lost: Vec<BTreeMap<u64, Held>>,
}

impl Logs {
    /// Of so many members, which have content up to an entry, if it is another than the default.
    pub fn new(nodes: usize, content: LocalPosition) -> Logs {
        let held = Held {
            term: content.term,
            hash: 0,
        };
        let entries = match content == LocalPosition::default() {
            true => 0,
            false => content.index as usize + 1,
        };
        Logs {
            committed: vec![held; entries],
            seen: BTreeMap::new(),
            left: (0..nodes).map(|_| Left::default()).collect(),
            lost: vec![BTreeMap::new(); nodes],
        }
    }

    /// A member says that an entry is committed. True if nobody has said so before.
    pub fn committed(
        &mut self,
        partition: PartitionId,
        node: usize,
        id: (u64, u64),
        entry: &Bytes,
        logs: &[Option<GroupLog>],
    ) -> Check<bool> {
        let (index, term) = id;
        let violated = |detail: String| {
            Err(Violation::new(
                "log matching",
                format!("partition {partition}, entry {index} of node {node}: {detail}"),
            ))
        };
        let next = self.committed.len() as u64;
        if index > next {
            return violated(format!("it comes after entry {next}, which nobody has"));
        }
        let own = logs[node].as_ref().and_then(|log| Held::read(log, index));
        if let Some(known) = self.committed.get(index as usize) {
            let same = own.is_none_or(|(held, bytes)| held == *known && says(&bytes, entry));
            return match same && term == known.term {
                true => Ok(false),
                false => violated(format!(
                    "it has term {term} and is another one than was committed, of term {}",
                    known.term
                )),
            };
        }
        let Some((held, bytes)) = own else {
            return violated("it is committed, but not in the member's log".to_owned());
        };
        if held.term != term || !says(&bytes, entry) {
            return violated(format!("it is not what the log holds, {held:?}"));
        }
        let durable = (0..logs.len()).filter(|node| self.has(*node, &logs[*node], index, held));
        let durable: Vec<usize> = durable.collect();
        if durable.len() <= logs.len() / 2 {
            return violated(format!(
                "it is committed, but durable only at nodes {durable:?}"
            ));
        }
        self.committed.push(held);
        let forgotten = next.saturating_sub(100);
        self.seen = self.seen.split_off(&(forgotten, 0));
        Ok(true)
    }

    /// A member has content that ends with an entry.
    pub fn replaced(&self, partition: PartitionId, node: usize, id: (u64, u64)) -> Check {
        let (index, term) = id;
        match self.committed.get(index as usize) {
            Some(known) if known.term == term => Ok(()),
            known => Err(Violation::new(
                "log matching",
                format!(
                    "partition {partition}: node {node} has content up to entry {index} of term {term}, and committed is {known:?}"
                ),
            )),
        }
    }

    /// Whether an entry is durable at a node.
    fn has(&self, node: usize, log: &Option<GroupLog>, index: u64, entry: Held) -> bool {
        if self.lost[node].get(&index) == Some(&entry) {
            return true;
        }
        let Some(log) = log else {
            let left = &self.left[node];
            return index < left.first || left.entries.get(&index) == Some(&entry);
        };
        let (first, durable) = (log.first_index(), log.durable_next());
        let compacted = first.is_ok_and(|first| first > index);
        let same = Held::read(log, index).is_some_and(|(held, _)| held == entry);
        compacted || same && durable.is_ok_and(|durable| durable > index)
    }

    /// A node is about to crash: what it has for sure counts on while it is down.
    pub fn crashed(&mut self, node: usize, log: Option<&GroupLog>) {
        let Some(log) = log else {
            return;
        };
        let next = self.committed.len() as u64;
        let durable = log.durable_next().unwrap_or(0);
        let read = log.read(next..durable, usize::MAX).unwrap_or_default();
        let entries = read.iter().map(|(index, bytes)| (*index, Held::new(bytes)));
        self.left[node] = Left {
            first: log.first_index().unwrap_or(0),
            entries: entries.collect(),
        };
    }

    /// A node that is down has lost what it had of the log, but for what its store has: the entries before that one.
    pub fn lost(&mut self, node: usize, first: u64) {
        let left = &mut self.left[node];
        self.lost[node].append(&mut left.entries);
        left.first = first;
    }

    /// A node's member votes: what it has lost counts no more.
    pub fn votes(&mut self, node: usize) {
        self.lost[node].clear();
    }

    /// Compares what a member's log holds with all that was seen in others.
    pub fn look(&mut self, partition: PartitionId, node: usize, log: &GroupLog) -> Check {
        let from = (self.committed.len() as u64).saturating_sub(LOOK_BACK);
        let Ok(read) = log.read(from..u64::MAX, usize::MAX) else {
            return Err(Violation::new(
                "log matching",
                format!("partition {partition}: the log of node {node} cannot be read"),
            ));
        };
        let mut before = None;
        for (index, bytes) in read {
            let held = Held::new(&bytes);
            let known = self
                .seen
                .entry((index, held.term))
                .or_insert((held.hash, before));
            let same_before = known.1.is_none() || before.is_none() || known.1 == before;
            if known.0 != held.hash || !same_before {
                return Err(Violation::new(
                    "log matching",
                    format!(
                        "partition {partition}: node {node} has an entry of index {index} and term {} which another member has differently, after one of term {before:?}",
                        held.term
                    ),
                ));
            }
            if known.1.is_none() {
                known.1 = before;
            }
            before = Some(held.term);
        }
        Ok(())
    }
}

/// Whether an entry of the log holds these bytes for the replica.
fn says(held: &Bytes, entry: &Bytes) -> bool {
    // Blank entries and memberships say nothing to it.
    match held[1] {
        1 => held[HEADER..] == entry[..],
        _ => entry.is_empty(),
    }
}
