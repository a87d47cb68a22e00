//! When things happen in consensus: proposals arrive, members catch up and sync, entries are delivered, leaders change.

use bytes::Bytes;
use skep_partition::{ConsensusEvent, Event, Unproposed};
use skep_protocol::{CheckpointId, Index, LogEntry};

use crate::random::Random;
use crate::violation::Check;
use crate::world::{Place, Step, World};

/// Entries that a replica gets in one step at most.
const DELIVERED_MAX: u64 = 8;

impl World {
    /// Whether a member is slow at the moment.
    pub fn is_slow(&mut self, place: Place) -> bool {
        let now = self.now;
        self.random.chance(self.rates.slow) || self.host(place).slow_until > now
    }

    /// How long the next thing takes to reach a member's replica.
    pub fn lag(&mut self, place: Place) -> i64 {
        let mean = if self.is_slow(place) { 3_000 } else { 2 };
        self.random.wait(mean) - 1
    }

    /// A replica proposes an entry, which takes a while to arrive; one replica's arrive in order.
    pub fn proposed(&mut self, place: Place, entry: Bytes) {
        if self.cluster.is_some() {
            return self.propose_for_real(place, entry);
        }
        let lag = self.lag(place);
        let now = self.now;
        let host = self.host(place);
        host.propose_at = host.propose_at.max(now + lag);
        let (at, term) = (host.propose_at, host.told_term);
        self.schedule_at(at, Step::Propose(place, term, entry, false));
    }

    /// A proposal arrives.
    pub fn propose(&mut self, place: Place, term: u64, entry: Bytes, repeated: bool) -> Check {
        let group = &self.partitions[place.partition].group;
        let current = group.leader == Some(place.node) && group.term == term;
        if current && !repeated {
            if self.random.chance(self.rates.proposal_refused) {
                self.note(|| format!("{place:?}: a proposal is refused"));
                let why = Unproposed::DiskFull;
                let reason = "simulated".to_owned();
                self.tell(place, 0, ConsensusEvent::ProposalRefused { why, reason });
                return Ok(());
            }
            if self.random.chance(self.rates.proposal_repeated) {
                let after = self.random.wait(500);
                self.schedule(after, Step::Propose(place, term, entry.clone(), true));
            }
        } else if !self.is_taken_late(place.partition, &entry) {
            return Ok(());
        } else {
            self.note(|| {
                format!("{place:?}: a late or repeated proposal of term {term} is taken in")
            });
            self.counts.fenced += 1;
        }
        self.partitions[place.partition].group.append(entry);
        self.go_on(place.partition);
        Ok(())
    }

    /// Whether consensus takes a proposal in that is not the current leader's next.
    fn is_taken_late(&mut self, partition: usize, entry: &Bytes) -> bool {
        let led = self.partitions[partition].group.leader.is_some();
        if !led || !self.random.chance(self.rates.proposal_late) {
            return false;
        }
        // The beginning of an epoch deposes the leader, of which consensus knows nothing: the next election mends it.
        let is_epoch = matches!(LogEntry::decode_header(entry), Ok(None)) && !entry.is_empty();
        if is_epoch {
            if !self.random.chance(200) {
                return false;
            }
            self.elect_anew(partition, 2_000);
        }
        true
    }

    /// Has all that is to be done next in a partition's consensus happen.
    pub fn go_on(&mut self, partition: usize) {
        if self.cluster.is_some() {
            return;
        }
        let (last, leader) = {
            let group = &self.partitions[partition].group;
            (group.last(), group.leader)
        };
        for node in 0..self.nodes.len() {
            let place = Place { partition, node };
            if !self.nodes[node].up {
                continue;
            }
            let member = &self.partitions[partition].group.members[node];
            let behind = leader.is_some() && (member.held < last || member.synced < member.held);
            let life = self.host(place).life;
            if behind && !self.host(place).replicating {
                self.host(place).replicating = true;
                let lag = self.lag(place);
                self.schedule(lag, Step::Replicate(place, life));
            }
            self.deliver_soon(place);
        }
    }

    fn deliver_soon(&mut self, place: Place) {
        let group = &self.partitions[place.partition].group;
        let member = &group.members[place.node];
        let ready = member.up && member.delivered < group.committed.min(member.held);
        if ready && !self.host(place).delivering {
            self.host(place).delivering = true;
            let (lag, life) = (self.lag(place), self.host(place).life);
            self.schedule(lag, Step::Deliver(place, life));
        }
    }

    /// A member gets more of the leader's log, and begins to sync it.
    pub fn replicate(&mut self, place: Place, life: u64) -> Check {
        if !self.alive(place, life) {
            return Ok(());
        }
        self.host(place).replicating = false;
        let entries = self.random.below(6);
        let group = &mut self.partitions[place.partition].group;
        if group.leader.is_some() {
            group.replicate(place.node, entries);
        }
        let held = group.members[place.node].held;
        let lag = self.lag(place);
        self.schedule(lag, Step::Sync(place, life, held));
        self.committed(place.partition)
    }

    /// What a member held is synced.
    pub fn sync(&mut self, place: Place, life: u64, up_to: u64) -> Check {
        if !self.alive(place, life) {
            return Ok(());
        }
        self.partitions[place.partition]
            .group
            .sync(place.node, up_to);
        self.committed(place.partition)
    }

    /// Lets the reference follow what is committed.
    fn committed(&mut self, partition: usize) -> Check {
        self.partitions[partition].group.advance();
        while let Some(entry) = self.next_committed(partition) {
            self.follow(partition, &entry)?;
        }
        self.go_on(partition);
        Ok(())
    }

    /// Lets the reference follow with the next entry.
    pub fn follow(&mut self, partition: usize, entry: &Bytes) -> Check {
        let forgets = self.random.chance(20);
        let held = &mut self.partitions[partition];
        let Some(batch) = held.reference.apply(entry)? else {
            return Ok(());
        };
        held.history.record(&batch);
        if forgets {
            held.reference.forget_memory();
        }
        if batch.header.checkpoint != CheckpointId::NONE {
            self.cut(partition, batch.header.checkpoint)?;
        }
        Ok(())
    }

    fn next_committed(&self, partition: usize) -> Option<Bytes> {
        let held = &self.partitions[partition];
        let next = held.reference.applied + 1;
        (next <= held.group.committed).then(|| held.group.entry(next).bytes.clone())
    }

    /// A replica gets the next committed entries.
    pub fn deliver(&mut self, place: Place, life: u64) -> Check {
        if !self.alive(place, life) {
            return Ok(());
        }
        if let Some(until) = self.paused(place.node) {
            self.schedule_at(until, Step::Deliver(place, life));
            return Ok(());
        }
        self.host(place).delivering = false;
        let entries = self.random.below(DELIVERED_MAX) + 1;
        if self.cluster.is_some() {
            return self.hear(place, entries);
        }
        for _ in 0..entries {
            let partition = &mut self.partitions[place.partition];
            let group = &mut partition.group;
            let ready = group.committed.min(group.members[place.node].held);
            let index = group.members[place.node].delivered + 1;
            if index > ready || index > partition.reference.applied {
                break;
            }
            group.members[place.node].delivered = index;
            let entry = group.entry(index).clone();
            let event = ConsensusEvent::Committed {
                index: Index(index),
                term: entry.term,
                entry: entry.bytes,
            };
            self.handle(place, Event::Consensus(event))?;
            self.check_applied(place)?;
        }
        self.deliver_soon(place);
        Ok(())
    }

    /// Has consensus tell a replica something, after what it has told before.
    fn tell(&mut self, place: Place, after_ms: i64, event: ConsensusEvent) {
        let now = self.now;
        let host = self.host(place);
        host.notify_at = host.notify_at.max(now + after_ms);
        let (at, life) = (host.notify_at, host.life);
        self.schedule_at(at, Step::Notify(place, life, event));
    }

    /// A replica is told something.
    pub fn notify(&mut self, place: Place, life: u64, event: ConsensusEvent) -> Check {
        if !self.alive(place, life) {
            return Ok(());
        }
        match &event {
            ConsensusEvent::BecameLeader { term } => self.host(place).told_term = *term,
            ConsensusEvent::LostLeadership { .. } => self.host(place).told_term = 0,
            _ => {}
        }
        self.handle(place, Event::Consensus(event))
    }

    /// Elects a leader soon, if there is none then.
    pub fn elect_soon(&mut self, partition: usize) {
        let simulated = self.cluster.is_none();
        let held = &mut self.partitions[partition];
        if simulated && held.group.leader.is_none() && !held.electing {
            held.electing = true;
            let after = self.random.between(50, 1_500);
            self.schedule(after, Step::Elect(partition));
        }
    }

    /// Elects a leader.
    pub fn elect_if_needed(&mut self, partition: usize) -> Check {
        self.partitions[partition].electing = false;
        if self.leader(partition).is_some() {
            return Ok(());
        }
        self.elect(partition)?;
        self.elect_soon(partition);
        Ok(())
    }

    /// Has the leader deposed after a while.
    pub fn elect_anew(&mut self, partition: usize, mean_ms: i64) {
        let after = self.random.wait(mean_ms);
        self.schedule(after, Step::Depose(partition));
    }

    /// Elects whoever can be elected, the leader included; nobody if there is no majority.
    pub fn elect(&mut self, partition: usize) -> Check {
        if self.cluster.is_some() {
            return Ok(());
        }
        let group = &mut self.partitions[partition].group;
        let electable = group.electable();
        if electable.is_empty() {
            return Ok(());
        }
        let (before, former, former_term) = (group.committed, group.leader, group.term);
        let leader = *self.random.pick(&electable);
        let group = &mut self.partitions[partition].group;
        group.elect(leader);
        let term = group.term;
        if self.random.chance(500) {
            let group = &mut self.partitions[partition].group;
            group.append(Bytes::new());
        }
        self.counts.elections += 1;
        self.note(|| {
            format!(
                "partition {}: node {leader} is elected for term {term}",
                partition + 1
            )
        });
        if let Some(former) = former {
            // The former leader learns late; a node that follows itself learns first that it has lost.
            let late = if former == leader {
                0
            } else {
                self.learns_late(term)
            };
            let place = Place {
                partition,
                node: former,
            };
            self.tell(
                place,
                late,
                ConsensusEvent::LostLeadership { term: former_term },
            );
        }
        let place = Place {
            partition,
            node: leader,
        };
        let late = self.random.between(0, 5);
        self.tell(place, late, ConsensusEvent::BecameLeader { term });
        let held = &mut self.partitions[partition];
        if held.group.committed < before {
            held.history.check_lost(held.id, held.group.committed)?;
            self.ended = true;
        }
        self.go_on(partition);
        Ok(())
    }

    fn learns_late(&mut self, term: u64) -> i64 {
        let mut drawn = Random::new(self.random.next() ^ term);
        *drawn.pick(&[0, 5, 50, 800, 4_000])
    }
}
