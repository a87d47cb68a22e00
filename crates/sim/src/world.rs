//! The simulated world: partitions, nodes, network, people; one queue of steps in simulated time.
//!
//! **Invariant**: all that happens follows from the settings, so that a seed repeats a run step by step.
//!
//! The steps of each part are in its own file; all are methods of [`World`].

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

use bytes::Bytes;
use skep_partition::{ConsensusEvent, FrozenBackup, LocalPosition, Reading};
use skep_protocol::{CheckpointId, Command, PartitionId, RequestId};
use skep_state::MemoryStore;

use crate::backups::Backups;
use crate::clients::{self, Clients};
use crate::cluster::Cluster;
use crate::consensus::Group;
use crate::invariants::answered::History;
use crate::invariants::log_matching::Logs;
use crate::invariants::one_leader::Leaders;
use crate::mishaps::Mishap;
use crate::random::Random;
use crate::reference::Reference;
use crate::replicas::Host;
use crate::settings::{Rates, Settings};
use crate::violation::Check;

/// When the simulated clocks begin, in epoch milliseconds.
pub const BEGIN_MS: i64 = 1_700_000_000_000;

/// Steps that a violation is told with.
const TRACE_STEPS: usize = 60;

/// A replica's place: partition and node, both counted from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// The partition.
    pub partition: usize,
    /// The node, which is the member of the partition's group.
    pub node: usize,
}

/// Something that happens.
#[derive(Debug)]
pub enum Step {
    /// A replica evaluates what waits.
    Run(Place),
    /// A proposal arrives at consensus: proposed in that term; whether it is a repetition.
    Propose(Place, u64, Bytes, bool),
    /// A member gets more of the log.
    Replicate(Place, u64),
    /// A member's entries up to an index are synced.
    Sync(Place, u64, u64),
    /// A replica gets committed entries.
    Deliver(Place, u64),
    /// A replica is told something by consensus.
    Notify(Place, u64, ConsensusEvent),
    /// A partition elects a leader, if it has none.
    Elect(usize),
    /// A partition elects a leader, though it may have one.
    Depose(usize),
    /// A layer is written to a replica's store.
    Flush(Place, u64),
    /// An envelope arrives.
    Envelope(PartitionId, Bytes),
    /// A client's command arrives.
    Command(usize, Command, RequestId),
    /// Something goes wrong.
    Chaos,
    /// What went wrong with the real consensus is mended.
    Mend(Mishap),
    /// A leader of a former term counts as one no more.
    LeaseOver(Place, u64, u64),
    /// The logs of all members are looked at.
    LookAtLogs,
    /// A node starts again.
    Restart(usize),
    /// A client does something.
    Client(clients::Action),
    /// A backup is asked for.
    AskForBackup,
    /// A checkpoint's content is uploaded.
    Upload(Place, u64, FrozenBackup),
    /// A replica learns how an upload ended.
    Uploaded(Place, u64, CheckpointId, Result<(), String>),
}

/// A step in the queue.
struct Due {
    at: i64,
    number: u64,
    step: Step,
}

impl PartialEq for Due {
    fn eq(&self, other: &Due) -> bool {
        (self.at, self.number) == (other.at, other.number)
    }
}

impl Eq for Due {}

impl PartialOrd for Due {
    fn partial_cmp(&self, other: &Due) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Due {
    fn cmp(&self, other: &Due) -> std::cmp::Ordering {
        (self.at, self.number).cmp(&(other.at, other.number))
    }
}

/// A partition: its consensus, its replicas, and what is expected of them.
pub struct Partition {
    /// Its number.
    pub id: PartitionId,
    /// Its consensus.
    pub group: Group,
    /// Its replicas, one per node.
    pub hosts: Vec<Host>,
    /// What its state must be.
    pub reference: Reference,
    /// What was answered.
    pub history: History,
    /// What the members' logs hold, with the real consensus.
    pub logs: Logs,
    /// Who has led.
    pub leaders: Leaders,
    /// An election is in the queue.
    pub electing: bool,
}

/// A node's own view of time.
#[derive(Debug, Clone, Copy, Default)]
pub struct Node {
    /// Whether it runs.
    pub up: bool,
    /// How far its clock is ahead.
    pub clock_ahead_ms: i64,
    /// It stands still until then.
    pub paused_until: i64,
}

/// What has happened so far, in numbers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Steps taken.
    pub steps: u64,
    /// Crashes of nodes.
    pub crashes: u64,
    /// Elections.
    pub elections: u64,
    /// Losses of data.
    pub losses: u64,
    /// Nodes that stopped because a sync had failed.
    pub syncs_failed: u64,
    /// Replicas that were given content.
    pub installed: u64,
    /// Batches fenced.
    pub fenced: u64,
    /// Backups of all partitions that were restored and compared.
    pub backups: u64,
    /// Uploads that met a fault or a crash.
    pub uploads_failed: u64,
    /// Chunks that uploads took over from an earlier backup without reading them.
    pub chunks_unchanged: u64,
    /// Chunks uploaded, patches among them.
    pub chunks_uploaded: u64,
    /// Chunks uploaded as patches.
    pub patches_uploaded: u64,
}

impl std::ops::AddAssign for Counts {
    fn add_assign(&mut self, other: Counts) {
        self.steps += other.steps;
        self.crashes += other.crashes;
        self.elections += other.elections;
        self.losses += other.losses;
        self.syncs_failed += other.syncs_failed;
        self.installed += other.installed;
        self.fenced += other.fenced;
        self.backups += other.backups;
        self.uploads_failed += other.uploads_failed;
        self.chunks_unchanged += other.chunks_unchanged;
        self.chunks_uploaded += other.chunks_uploaded;
        self.patches_uploaded += other.patches_uploaded;
    }
}

/// Everything.
pub struct World {
    /// What the run is like.
    pub settings: Settings,
    /// What goes wrong at the moment.
    pub rates: Rates,
    /// The source of all choices.
    pub random: Random,
    /// Simulated time, in epoch milliseconds.
    pub now: i64,
    /// The partitions.
    pub partitions: Vec<Partition>,
    /// The nodes.
    pub nodes: Vec<Node>,
    /// The people.
    pub clients: Clients,
    /// The real consensus; without it, that of each partition is simulated.
    pub cluster: Option<Cluster>,
    /// The blob store and what is in it.
    pub backups: Backups,
    /// What has happened.
    pub counts: Counts,
    /// The run cannot go on in a meaningful way, because of a planted bug.
    pub ended: bool,
    queue: BinaryHeap<Reverse<Due>>,
    numbered: u64,
    /// A hash of all that has happened, in order.
    pub digest: u64,
    trace: VecDeque<(i64, String)>,
}

impl World {
    /// A world that begins at a time, with what the stores of each partition hold: the content after an entry.
    pub fn new(
        settings: Settings,
        rates: Rates,
        begin: i64,
        contents: Vec<MemoryStore>,
        at: LocalPosition,
    ) -> Check<World> {
        let mut random = Random::new(settings.seed ^ begin as u64);
        let count = contents.len() as u32;
        let sync_off = settings.plant == Some(crate::settings::Plant::SyncOff);
        let mut partitions = Vec::new();
        for (number, content) in (1..).zip(contents) {
            let id = PartitionId(number);
            let hosts = (0..settings.replicas).map(|_| Host::new(content.copy(), at));
            partitions.push(Partition {
                id,
                group: Group::new(settings.replicas, sync_off),
                hosts: hosts.collect(),
                reference: Reference::new(id, count, content.copy(), at.index)?,
                history: History::default(),
                logs: Logs::new(settings.replicas, at),
                leaders: Leaders::default(),
                electing: false,
            });
        }
        let nodes = settings.replicas;
        let plant = settings.plant;
        let cluster = settings
            .cluster
            .map(|real| Cluster::new(real, nodes, begin, &mut random, plant));
        let mut world = World {
            cluster,
            digest: 0,
            rates,
            now: begin,
            partitions,
            nodes: vec![Node::default(); settings.replicas],
            clients: Clients::new(random.next()),
            backups: Backups::new(settings.plant),
            counts: Counts::default(),
            ended: false,
            queue: BinaryHeap::new(),
            numbered: 0,
            trace: VecDeque::new(),
            random,
            settings,
        };
        for node in 0..world.nodes.len() {
            world.schedule(0, Step::Restart(node));
        }
        world.schedule_chaos();
        world.watch_logs();
        world.begin_clients();
        Ok(world)
    }

    /// Has a step happen after a while.
    pub fn schedule(&mut self, after_ms: i64, step: Step) {
        assert!(after_ms >= 0, "nothing happens in the past: {step:?}");
        self.schedule_at(self.now + after_ms, step);
    }

    /// Has a step happen at a time, or now if that has passed.
    pub fn schedule_at(&mut self, at: i64, step: Step) {
        self.numbered += 1;
        let number = self.numbered;
        let at = at.max(self.now);
        self.queue.push(Reverse(Due { at, number, step }));
    }

    /// Takes the next step. False if there is none.
    pub fn step(&mut self) -> Check<bool> {
        let Some(Reverse(next)) = self.queue.peek() else {
            return Ok(false);
        };
        let next = next.at;
        if self.open_mail(next)? {
            self.counts.steps += 1;
            return Ok(true);
        }
        let Some(Reverse(due)) = self.queue.pop() else {
            return Ok(false);
        };
        self.now = due.at;
        self.counts.steps += 1;
        self.digest_of(&[due.at as u64, due.number]);
        self.take(due.step)?;
        Ok(true)
    }

    fn take(&mut self, step: Step) -> Check {
        match step {
            Step::Run(place) => self.run_due(place),
            Step::Propose(place, term, entry, repeated) => {
                self.propose(place, term, entry, repeated)
            }
            Step::Replicate(place, life) => self.replicate(place, life),
            Step::Sync(place, life, up_to) => self.sync(place, life, up_to),
            Step::Deliver(place, life) => self.deliver(place, life),
            Step::Notify(place, life, event) => self.notify(place, life, event),
            Step::Elect(partition) => self.elect_if_needed(partition),
            Step::Depose(partition) => self.elect(partition),
            Step::Flush(place, life) => self.flush(place, life),
            Step::Envelope(target, bytes) => self.envelope(target, &bytes),
            Step::Command(partition, command, request) => self.command(partition, command, request),
            Step::Chaos => self.chaos(),
            Step::Mend(mishap) => self.mend_mishap(mishap),
            Step::LeaseOver(place, life, term) => self.lease_over(place, life, term),
            Step::LookAtLogs => self.look_at_logs(),
            Step::Restart(node) => self.restart(node),
            Step::Client(action) => self.client(action),
            Step::AskForBackup => self.ask_for_backup(),
            Step::Upload(place, life, backup) => self.upload(place, life, &backup),
            Step::Uploaded(place, life, id, result) => self.uploaded(place, life, id, result),
        }
    }

    /// Makes something part of the digest.
    pub fn digest_of(&mut self, numbers: &[u64]) {
        for number in numbers {
            let bytes = number.to_le_bytes();
            self.digest = xxhash_rust::xxh3::xxh3_64_with_seed(&bytes, self.digest);
        }
    }

    /// Notes what happens, for whoever reads about a violation.
    pub fn note(&mut self, text: impl FnOnce() -> String) {
        if self.trace.len() == TRACE_STEPS {
            self.trace.pop_front();
        }
        self.trace.push_back((self.now - BEGIN_MS, text()));
    }

    /// The last notes, the oldest first.
    pub fn trace(&self) -> Vec<String> {
        let line = |(at, text): &(i64, String)| format!("{at:>10} ms  {text}");
        self.trace.iter().map(line).collect()
    }

    /// A node's clocks.
    pub fn clock(&self, node: usize) -> Reading {
        Reading {
            wall: self.now + self.nodes[node].clock_ahead_ms,
            monotonic: self.now,
        }
    }
}
