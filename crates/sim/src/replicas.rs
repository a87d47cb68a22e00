//! Replicas and the nodes they live on: events in, effects out, crashes and restarts.

use std::collections::VecDeque;
use std::sync::Arc;

use skep_backup::WriteNotes;
use skep_partition::{Event, LocalPosition, Refusal, Replica, ReplicaConfig, ReplicaError, Role};
use skep_protocol::{Envelope, Index, NodeId, PartitionId};
use skep_state::{FlushTicket, MemoryStore};

use crate::cluster::{Changing, Stored};
use crate::consensus::SimConsensus;
use crate::effects::{Effect, SimEffects};
use crate::invariants::channels;
use crate::invariants::equal_states::{self, Depth};
use crate::reference::Evaluated;
use crate::reference::is_bookkeeping;
use crate::settings::Plant;
use crate::violation::{Check, Violation};
use crate::world::{Place, Step, World};

/// Never.
const NEVER: i64 = i64::MAX;

/// Milliseconds after which an idle replica is run that has something to write back.
const IDLE_RUN_MS: i64 = 5_000;

/// Milliseconds after which a store is looked at again that is being given other content.
const CHANGING_MS: i64 = 50;

/// Milliseconds after which a replica is woken that would be woken again and again.
const SPIN_MS: i64 = 20;

/// Small, so that notes overflow in some runs.
const NOTED_KEYS_BYTES_MAX: usize = 20_000;

/// One time in so many, the whole content is compared after an entry, and not the progress alone.
const CONTENT_CHECK_EVERY: u64 = 40;

type SimReplica = Replica<SimConsensus, SimEffects>;

/// A place where a replica lives.
pub struct Host {
    /// What its disk holds.
    pub store: MemoryStore,
    /// The replica, while the node runs.
    pub replica: Option<SimReplica>,
    /// How often it was started: what was meant for a former life goes nowhere.
    pub life: u64,
    /// The term in which it was told that it leads; 0 if it was not.
    pub told_term: u64,
    /// When it is told the next thing at the earliest: consensus tells in order.
    pub notify_at: i64,
    /// When its next proposal arrives at the earliest.
    pub propose_at: i64,
    /// Until then its part of consensus is slow.
    pub slow_until: i64,
    /// Steps that are in the queue.
    pub replicating: bool,
    /// See [`Host::replicating`].
    pub delivering: bool,
    /// What the real consensus has told and asked, and it has not heard yet.
    pub told: VecDeque<Event>,
    /// Somebody else has this while its store is given other content.
    pub changing: Changing,
    /// The last entry of the content that its store was given last, or that it had when the log was lost.
    pub installed: Option<u64>,
    /// Its store has content that it has not heard of yet.
    pub replaced_unheard: bool,
    /// Its store has been lost since its node's last start.
    pub state_lost: bool,
    /// Its member votes and has entries, also after a crash.
    pub whole: bool,
    /// With a planted bug: what its store holds after a crash.
    pub unsynced: Option<MemoryStore>,
    /// The term in which the real consensus counts it as the leader; 0 if it does not.
    pub leads_term: u64,
    /// How far its store is durable, as the real consensus knows.
    durable: u64,
    run_at: i64,
    flush_at: i64,
    tickets: VecDeque<FlushTicket>,
    /// What its node keeps of writes, for its backups.
    pub notes: WriteNotes,
}

impl Host {
    /// A node that does not run yet, and was given content up to an entry.
    pub fn new(store: MemoryStore, at: LocalPosition) -> Host {
        Host {
            store,
            replica: None,
            life: 0,
            told_term: 0,
            notify_at: 0,
            propose_at: 0,
            slow_until: 0,
            replicating: false,
            delivering: false,
            told: VecDeque::new(),
            changing: Changing::default(),
            installed: (at != LocalPosition::default()).then_some(at.index),
            replaced_unheard: false,
            state_lost: false,
            whole: false,
            unsynced: None,
            leads_term: 0,
            durable: 0,
            run_at: NEVER,
            flush_at: 0,
            tickets: VecDeque::new(),
            notes: WriteNotes::new(NOTED_KEYS_BYTES_MAX),
        }
    }
}

fn stopped(place: Place, error: &ReplicaError) -> Violation {
    Violation::new(
        "replica",
        format!(
            "partition {} on node {} cannot go on: {error}",
            place.partition + 1,
            place.node
        ),
    )
}

impl World {
    /// The place of a replica.
    pub fn host(&mut self, place: Place) -> &mut Host {
        &mut self.partitions[place.partition].hosts[place.node]
    }

    /// The replica, unless the node is down or has been started again.
    pub fn alive(&self, place: Place, life: u64) -> bool {
        let host = &self.partitions[place.partition].hosts[place.node];
        host.replica.is_some() && host.life == life
    }

    /// Has a replica take an event in, and run soon after.
    pub fn handle(&mut self, place: Place, event: Event) -> Check {
        let clock = self.clock(place.node);
        let Some(replica) = self.host(place).replica.as_mut() else {
            return Ok(());
        };
        replica
            .handle(event, clock)
            .map_err(|error| stopped(place, &error))?;
        self.harvest(place)?;
        let soon = self.now + self.random.between(0, 2);
        self.run_at(place, soon);
        Ok(())
    }

    fn run_at(&mut self, place: Place, at: i64) {
        let at = at.max(self.now);
        let host = self.host(place);
        if at < host.run_at {
            host.run_at = at;
            self.schedule_at(at, Step::Run(place));
        }
    }

    /// A replica's turn has come, unless an earlier one has replaced it.
    pub fn run_due(&mut self, place: Place) -> Check {
        let (now, clock) = (self.now, self.clock(place.node));
        let host = self.host(place);
        if host.run_at != now {
            return Ok(());
        }
        host.run_at = NEVER;
        if let Some(until) = self.paused(place.node) {
            self.run_at(place, until);
            return Ok(());
        }
        let rate = self.rates.early_write_back;
        let writes_back = rate > 0 && self.random.chance(rate);
        let host = self.host(place);
        let Some(replica) = host.replica.as_mut() else {
            return Ok(());
        };
        replica.run(clock).map_err(|error| stopped(place, &error))?;
        if writes_back {
            replica.write_back();
        }
        self.harvest(place)
    }

    /// Takes out what a replica wants, and checks what it has become.
    fn harvest(&mut self, place: Place) -> Check {
        let now = self.now;
        let Some(replica) = self.host(place).replica.as_mut() else {
            return Ok(());
        };
        replica.take_commands_taken();
        let effects = replica.effects().take();
        let evaluated = replica
            .testkit()
            .evaluated
            .replace(Vec::new())
            .unwrap_or_default();
        let proposals = std::mem::take(&mut replica.consensus().proposals);
        let durable = replica.consensus().durable;
        let taken = std::mem::take(&mut replica.consensus().taken);
        let wake_at = replica.wake_in().map(|millis| now + millis);
        let dirty = replica.inspect().unflushed_bytes > 0;
        let partition = &mut self.partitions[place.partition];
        for batch in evaluated {
            let epoch = batch.batch.header.epoch;
            partition
                .leaders
                .evaluated(partition.id, epoch, place.node)?;
            partition.reference.evaluated(Evaluated {
                inputs: batch.inputs,
                batch: batch.batch,
            });
        }
        if let Some(cluster) = &mut self.cluster {
            let host = &mut partition.hosts[place.node];
            let rises = durable > host.durable;
            host.durable = durable;
            cluster.progressed(place, taken, rises.then_some(Index(durable)));
        } else {
            let member = &mut partition.group.members[place.node];
            if durable > member.durable {
                member.durable = durable;
                partition.group.compact();
            }
        }
        for proposal in proposals {
            self.proposed(place, proposal);
        }
        for effect in effects {
            self.effect(place, effect)?;
        }
        let idle = dirty.then_some(now + IDLE_RUN_MS);
        if let Some(at) = [wake_at, idle].into_iter().flatten().min() {
            // A replica that wants to be woken at once, though it has just run, waits for something else.
            let at = if at <= now { now + SPIN_MS } else { at };
            self.run_at(place, at);
        }
        Ok(())
    }

    fn effect(&mut self, place: Place, effect: Effect) -> Check {
        match effect {
            Effect::Respond(response) => self.responded(place, response),
            Effect::Refuse(request, refusal) => {
                self.clients.refused(request);
                let partition = &mut self.partitions[place.partition];
                match refusal {
                    Refusal::LeaderLost => Ok(()),
                    Refusal::NotLeader | Refusal::Busy | Refusal::WriteRate | Refusal::DiskFull => {
                        partition.reference.once.refuse(partition.id, request)
                    }
                }
            }
            Effect::Send(target, envelope) => self.send(place, target, &envelope),
            Effect::JobsAvailable(job_type) => {
                self.jobs_available(place.partition, &job_type);
                Ok(())
            }
            Effect::Flush(ticket) => {
                let mean = if self.is_slow(place) { 5_000 } else { 20 };
                let lag = self.random.wait(mean);
                let now = self.now;
                let unnoted = self.settings.plant == Some(Plant::UnnotedWrites);
                let host = self.host(place);
                // The planted bug forgets every second key.
                let every = if unnoted { 2 } else { 1 };
                let content = ticket.keys().filter(|key| !is_bookkeeping(key));
                host.notes.written(ticket.meta(), content.step_by(every));
                host.tickets.push_back(ticket);
                host.flush_at = host.flush_at.max(now) + lag;
                let (at, life) = (host.flush_at, host.life);
                self.schedule_at(at, Step::Flush(place, life));
                Ok(())
            }
            Effect::BackUp(backup) => self.begin_upload(place, backup),
            Effect::GiveUpBackup(id) => {
                self.give_up_upload(place, id);
                Ok(())
            }
            Effect::Replaced => {
                self.host(place).notes = WriteNotes::new(NOTED_KEYS_BYTES_MAX);
                Ok(())
            }
            Effect::Role(Role::Leader) => self.check_leader(place),
            Effect::Role(Role::Follower) => Ok(()),
        }
    }

    fn check_leader(&mut self, place: Place) -> Check {
        self.note(|| format!("{place:?} leads"));
        let partition = &self.partitions[place.partition];
        let Some(replica) = &partition.hosts[place.node].replica else {
            return Ok(());
        };
        let seen = replica.inspect();
        partition.history.check_leader(
            partition.id,
            &seen.state,
            seen.log_id.index,
            seen.bookkeeping.position(),
        )?;
        self.check_state(place, Depth::Content)
    }

    /// Compares a replica with the reference.
    pub fn check_state(&self, place: Place, depth: Depth) -> Check {
        let partition = &self.partitions[place.partition];
        let Some(replica) = &partition.hosts[place.node].replica else {
            return Ok(());
        };
        let (seen, reference) = (replica.inspect(), &partition.reference);
        // Between the store and what lies above it, only the progress is right until it hears of the content.
        let depth = match partition.hosts[place.node].replaced_unheard {
            true => Depth::Progress,
            false => depth,
        };
        equal_states::check(partition.id, place.node, &seen, reference, depth)
    }

    /// Compares a replica with the reference after it has applied an entry.
    pub fn check_applied(&mut self, place: Place) -> Check {
        let depth = match self.random.below(CONTENT_CHECK_EVERY) {
            0 => Depth::Content,
            _ => Depth::Progress,
        };
        self.check_state(place, depth)
    }

    /// A layer is written to the store, and the replica learns of it.
    pub fn flush(&mut self, place: Place, life: u64) -> Check {
        if !self.alive(place, life) {
            return Ok(());
        }
        if let Some(until) = self.paused(place.node) {
            self.schedule_at(until, Step::Flush(place, life));
            return Ok(());
        }
        let host = self.host(place);
        if host.changing.is_on() {
            self.schedule(CHANGING_MS, Step::Flush(place, life));
            return Ok(());
        }
        let Some(ticket) = host.tickets.pop_front() else {
            return Ok(());
        };
        ticket
            .write_to(&host.store)
            .map_err(|error| Violation::new("state", error.to_string()))?;
        host.unsynced = None;
        self.handle(place, Event::Flushed(ticket))
    }

    fn send(&mut self, place: Place, target: PartitionId, envelope: &Envelope) -> Check {
        channels::check(
            &self.partitions[place.partition].reference,
            target,
            envelope,
        )?;
        let bytes = bytes::Bytes::from(envelope.encode());
        let copies = 1 + u64::from(self.random.chance(self.rates.envelope_doubled));
        for _ in 0..copies {
            if self.random.chance(self.rates.envelope_lost) {
                continue;
            }
            let slow = self.random.chance(self.rates.envelope_slow);
            let lag = self.random.wait(if slow { 4_000 } else { 2 });
            self.schedule(lag, Step::Envelope(target, bytes.clone()));
        }
        Ok(())
    }

    /// An envelope arrives where the target partition is thought to be led.
    pub fn envelope(&mut self, target: PartitionId, bytes: &[u8]) -> Check {
        let envelope = Envelope::decode(bytes)
            .map_err(|error| Violation::new("codec", format!("an envelope: {error}")))?;
        let partition = target.0 as usize - 1;
        let node = self.addressee(partition);
        self.handle(Place { partition, node }, Event::Envelope(envelope))
    }

    /// The node that others think leads a partition.
    pub fn addressee(&mut self, partition: usize) -> usize {
        let misrouted = self.random.chance(self.rates.misrouted);
        match self.leader(partition) {
            Some(leader) if !misrouted => leader,
            _ => self.random.below(self.nodes.len() as u64) as usize,
        }
    }

    /// A node stops at once, and loses what its disk had not taken in for good.
    pub fn crash(&mut self, node: usize) -> Check {
        if !self.nodes[node].up {
            return Ok(());
        }
        self.note(|| format!("node {node} crashes"));
        self.counts.crashes += 1;
        self.nodes[node].up = false;
        self.crash_consensus(node);
        for partition in 0..self.partitions.len() {
            let place = Place { partition, node };
            self.crash_uploads(place)?;
            // Layers whose writing was not acknowledged may have been written nevertheless, in order.
            let written = if self.random.chance(500) {
                self.random.below(3)
            } else {
                0
            };
            let host = self.host(place);
            host.replica = None;
            host.notes = WriteNotes::new(NOTED_KEYS_BYTES_MAX);
            host.run_at = NEVER;
            host.told_term = 0;
            host.leads_term = 0;
            host.told.clear();
            for ticket in host.tickets.drain(..).take(written as usize) {
                ticket
                    .write_to(&host.store)
                    .map_err(|error| Violation::new("state", error.to_string()))?;
            }
            if let Some(unsynced) = host.unsynced.take() {
                host.store = unsynced;
            }
            host.store = host.store.copy();
            host.changing = Changing::default();
            host.replaced_unheard = false;
            self.partitions[partition].group.crash(node);
            self.elect_soon(partition);
        }
        Ok(())
    }

    /// A node starts: each of its replicas opens what its disk holds.
    pub fn restart(&mut self, node: usize) -> Check {
        if self.nodes[node].up {
            return Ok(());
        }
        self.note(|| format!("node {node} starts"));
        self.nodes[node].up = true;
        let mut stored = Vec::new();
        for partition in 0..self.partitions.len() {
            let place = Place { partition, node };
            let config = ReplicaConfig {
                partition: self.partitions[partition].id,
                partition_count: self.partitions.len() as u32,
                node: NodeId(node as u32),
                seed: self.random.next(),
            };
            let plant = self.settings.plant;
            let host = self.host(place);
            let mut replica = Replica::open(
                config,
                Arc::new(host.store.clone()),
                SimConsensus::default(),
                SimEffects::default(),
            )
            .map_err(|error| stopped(place, &error))?;
            replica.testkit().evaluated = Some(Vec::new());
            let faults = &mut replica.testkit().faults;
            faults.fence_off = plant == Some(Plant::FenceOff);
            faults.answer_early = plant == Some(Plant::AnswerEarly);
            faults.untagged_acknowledgement = plant == Some(Plant::UntaggedAcknowledgement);
            let log_id = replica.inspect().log_id;
            let applied = log_id.index;
            stored.push(Stored {
                applied: log_id,
                store: host.store.clone(),
                changing: host.changing.clone(),
                installed: host.installed,
                lost: host.state_lost,
            });
            host.replica = Some(replica);
            host.life += 1;
            host.durable = 0;
            host.delivering = false;
            host.replicating = false;
            let member = &mut self.partitions[partition].group.members[node];
            member.up = true;
            member.delivered = applied;
            if plant != Some(Plant::SyncOff) {
                self.check_state(place, Depth::Content)?;
            }
            self.elect_soon(partition);
            self.go_on(partition);
        }
        self.start_consensus(node, stored)
    }
}
