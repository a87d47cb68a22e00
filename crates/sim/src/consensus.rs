//! Simulated consensus of one partition: one log, of which each member holds and has synced a prefix.
//!
//! **Invariants**
//! - An entry is committed when a majority has synced it; a member is elected only if a majority of those that are up holds no
//!   more than it does. So what is committed is never lost, unless syncing is switched off on purpose.
//! - An election cuts off what the new leader does not hold, everywhere.
//!
//! Far more forgiving than Raft where the replica must cope: entries of former leaders are taken in late, entries are taken in
//! twice. It has no opinion on when things happen: [`crate::world`] decides.

use std::collections::VecDeque;

use bytes::Bytes;
use skep_partition::Consensus;
use skep_protocol::Index;

/// A replica's end of consensus: notes what it is asked for.
#[derive(Debug, Default)]
pub struct SimConsensus {
    /// Entries proposed since they were last taken.
    pub proposals: Vec<Bytes>,
    /// How far the replica's store is durable.
    pub durable: u64,
    /// Bytes of entries that the replica has taken in since this was last taken.
    pub taken: usize,
}

impl Consensus for SimConsensus {
    fn propose(&mut self, entry: Bytes) {
        self.proposals.push(entry);
    }

    fn state_durable(&mut self, index: Index) {
        self.durable = self.durable.max(index.0);
    }

    fn taken(&mut self, bytes: usize) {
        self.taken += bytes;
    }
}

/// An entry of the log.
#[derive(Debug, Clone)]
pub struct Entry {
    /// Term of the leader that appended it.
    pub term: u64,
    /// Its bytes.
    pub bytes: Bytes,
}

/// What one member has.
#[derive(Debug, Clone, Default)]
pub struct Member {
    /// Whether it runs.
    pub up: bool,
    /// It holds the entries up to this index.
    pub held: u64,
    /// It has synced the entries up to this index.
    pub synced: u64,
    /// Its replica got the committed entries up to this index.
    pub delivered: u64,
    /// Its replica's store is durable up to this index.
    pub durable: u64,
}

/// The consensus of a partition.
#[derive(Debug)]
pub struct Group {
    /// Its members, one per node.
    pub members: Vec<Member>,
    /// Who leads.
    pub leader: Option<usize>,
    /// The leader's term.
    pub term: u64,
    /// What is committed.
    pub committed: u64,
    log: VecDeque<Entry>,
    first: u64,
    sync_off: bool,
}

impl Group {
    /// An empty log.
    pub fn new(members: usize, sync_off: bool) -> Group {
        Group {
            members: vec![Member::default(); members],
            leader: None,
            term: 0,
            committed: 0,
            log: VecDeque::new(),
            first: 1,
            sync_off,
        }
    }

    /// Index of the last entry.
    pub fn last(&self) -> u64 {
        self.first + self.log.len() as u64 - 1
    }

    /// The entry of that index, which is not compacted.
    pub fn entry(&self, index: u64) -> &Entry {
        assert!(
            index >= self.first,
            "entry {index} is asked for, but the log begins at {}: it was compacted too far",
            self.first
        );
        &self.log[(index - self.first) as usize]
    }

    /// The leader appends an entry.
    pub fn append(&mut self, bytes: Bytes) {
        let leader = self.leader.expect("only a leader appends");
        let term = self.term;
        self.log.push_back(Entry { term, bytes });
        self.members[leader].held = self.last();
    }

    /// A member gets more of the leader's log.
    pub fn replicate(&mut self, member: usize, entries: u64) {
        let last = self.last();
        let member = &mut self.members[member];
        member.held = (member.held + entries).min(last);
    }

    /// A member has synced what it held a while ago.
    pub fn sync(&mut self, member: usize, up_to: u64) {
        let member = &mut self.members[member];
        member.synced = member.synced.max(up_to.min(member.held));
    }

    const fn majority(&self) -> usize {
        self.members.len() / 2 + 1
    }

    /// Raises the commit index to what a majority has; whether it rose.
    pub fn advance(&mut self) -> bool {
        let level = |member: &Member| {
            if self.sync_off {
                member.held
            } else {
                member.synced
            }
        };
        let mut levels: Vec<u64> = self.members.iter().map(level).collect();
        levels.sort_unstable();
        let had_by_majority = levels[self.members.len() - self.majority()];
        let rises = had_by_majority > self.committed;
        self.committed = self.committed.max(had_by_majority);
        rises
    }

    /// Whoever would win an election now.
    pub fn electable(&self) -> Vec<usize> {
        let wins = |candidate: &Member| {
            let votes = self
                .members
                .iter()
                .filter(|voter| voter.up && voter.held <= candidate.held);
            candidate.up && votes.count() >= self.majority()
        };
        (0..self.members.len())
            .filter(|&member| wins(&self.members[member]))
            .collect()
    }

    /// Elects a member, which begins a term.
    pub fn elect(&mut self, leader: usize) {
        self.term += 1;
        self.leader = Some(leader);
        let kept = self.members[leader].held;
        self.log.truncate((kept + 1 - self.first) as usize);
        for member in &mut self.members {
            member.held = member.held.min(kept);
            member.synced = member.synced.min(kept);
        }
        if self.sync_off {
            self.committed = self.committed.min(kept);
        }
        assert!(
            self.committed <= kept,
            "the simulated consensus lost a committed entry"
        );
    }

    /// A member stops at once: what it had not synced is gone.
    pub fn crash(&mut self, member: usize) {
        let crashed = &mut self.members[member];
        crashed.up = false;
        crashed.held = crashed.synced;
        if self.leader == Some(member) {
            self.leader = None;
        }
    }

    /// Forgets entries that all replicas have in their stores.
    pub fn compact(&mut self) {
        if self.sync_off {
            return;
        }
        let durable = self.members.iter().map(|member| member.durable).min();
        let unneeded = durable.unwrap_or(0).min(self.committed);
        while self.first <= unneeded && !self.log.is_empty() {
            self.log.pop_front();
            self.first += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn group() -> Group {
        let mut group = Group::new(3, false);
        for member in &mut group.members {
            member.up = true;
        }
        group.elect(0);
        group
    }

    #[test]
    fn an_entry_is_committed_when_a_majority_has_synced_it() {
        let mut group = group();
        group.append(Bytes::from_static(b"a"));
        group.sync(0, 1);
        assert!(!group.advance());
        group.replicate(1, 1);
        assert!(!group.advance());
        group.sync(1, 1);
        assert!(group.advance());
        assert_eq!(group.committed, 1);
    }

    #[test]
    fn only_members_that_hold_what_is_committed_can_be_elected() {
        let mut group = group();
        group.append(Bytes::from_static(b"a"));
        group.replicate(1, 1);
        group.sync(0, 1);
        group.sync(1, 1);
        group.advance();
        group.crash(0);
        assert_eq!(group.electable(), [1]);
    }

    #[test]
    fn what_the_new_leader_does_not_hold_is_cut_off() {
        let mut group = group();
        group.append(Bytes::from_static(b"a"));
        group.crash(0);
        group.elect(2);
        assert_eq!(group.last(), 0);
    }
}
