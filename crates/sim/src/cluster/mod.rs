//! The real consensus under the simulation: `skep-raft` on openraft, with the node's log on a simulated disk and a simulated
//! network between its members, all on one runtime of one thread whose time is the simulated one.
//!
//! **Invariants**
//! - Nothing here waits for anything but simulated time and other simulated things; so the order in which tasks run follows from
//!   the seed.
//! - What a crashed node still does in its last tasks reaches nobody: neither its disk, nor the network, nor its replicas.

mod content;
mod disk;
mod mail;
mod network;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use skep_log::{GroupId, GroupLog};
use skep_partition::consensus::{Consensus, ConsensusEvents};
use skep_partition::{ConsensusEvent, LocalPosition};
use skep_protocol::Index;
use skep_raft::testkit::{self, Faults, MemoryNote};
use skep_raft::{RaftHandle, RaftNode, RaftOptions};
use skep_state::MemoryStore;
use tokio::runtime::Runtime;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until};

pub use content::Changing;
pub use disk::Trouble;
pub use mail::Mail;
pub use network::Cut;

use crate::invariants::store_behind_log;
use crate::panics;
use crate::random::Random;
use crate::settings::{ClusterSettings, Plant};
use crate::violation::{Check, Violation};
use crate::world::Place;

use disk::Disk;
use mail::Mailbox;
use network::{Member, Network};

/// How long a member waits until another has taken its leadership over.
const HAND_OVER_PATIENCE: Duration = Duration::from_secs(5);

/// How the leadership of a partition is moved by hand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Move {
    /// To the member that has most of the log, as before a planned stop.
    HandOver,
    /// To the preferred member.
    Rebalance,
}

/// A node's part in consensus.
struct Node {
    disk: Disk,
    /// By partition: that its member has begun.
    notes: BTreeMap<usize, Arc<MemoryNote>>,
    /// Its members of the partitions' groups, once they are open.
    members: BTreeMap<usize, RaftNode>,
    opening: Vec<JoinHandle<()>>,
}

/// All nodes, and what is between them.
pub struct Cluster {
    // Before the runtime, which they are on.
    nodes: Vec<Node>,
    network: Arc<Network>,
    mailbox: Arc<Mailbox>,
    settings: ClusterSettings,
    begin: Instant,
    begin_ms: i64,
    runtime: Runtime,
}

impl Cluster {
    /// Nodes that do not run yet, at a simulated time.
    pub fn new(
        settings: ClusterSettings,
        nodes: usize,
        begin_ms: i64,
        random: &mut Random,
        plant: Option<Plant>,
    ) -> Cluster {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build();
        let runtime = runtime.expect("a runtime without I/O needs nothing from the system");
        testkit::simulate(
            random.next(),
            settings.compact_entries,
            Faults {
                vote_unsynced: plant == Some(Plant::VoteUnsynced),
                append_unsynced: plant == Some(Plant::AppendUnsynced),
                lease_ignored: plant == Some(Plant::LeaseIgnored),
                newcomer_votes: plant == Some(Plant::NewcomerVotes),
            },
        );
        let mailbox = Arc::new(Mailbox::default());
        let (begin, network) = {
            let _context = runtime.enter();
            let seed = random.next();
            let unsynced = plant == Some(Plant::InstallUnsynced);
            let mailbox = Arc::clone(&mailbox);
            let network = Network::new(nodes, settings.rates, seed, mailbox, unsynced);
            (Instant::now(), network)
        };
        let node = |_| Node {
            disk: Disk::new(settings, random.next(), plant),
            notes: BTreeMap::new(),
            members: BTreeMap::new(),
            opening: Vec::new(),
        };
        Cluster {
            nodes: (0..nodes).map(node).collect(),
            network,
            mailbox,
            settings,
            begin,
            begin_ms,
            runtime,
        }
    }

    /// Lets tasks run until something has come, or until a time. Gives the time and what has come.
    pub fn run_until(&mut self, until_ms: i64) -> Check<(i64, Vec<Mail>)> {
        let panicked = panics::count();
        let until = self.instant(until_ms);
        let mailbox = &self.mailbox;
        let now = self.runtime.block_on(async {
            tokio::select! {
                biased;
                () = mailbox.filled() => {}
                () = sleep_until(until) => {}
            }
            Instant::now()
        });
        if panics::count() != panicked {
            return Err(Violation::new("panic", panics::last()));
        }
        let passed = now.duration_since(self.begin).as_millis() as i64;
        Ok((self.begin_ms + passed, self.mailbox.take()))
    }

    fn instant(&self, at_ms: i64) -> Instant {
        self.begin + Duration::from_millis((at_ms - self.begin_ms).max(0) as u64)
    }

    /// Starts a node's consensus on what its disk holds, with what each of its replicas' stores holds.
    pub fn start(&mut self, node: usize, life: u64, stored: Vec<Stored>) -> Check {
        let _context = self.runtime.enter();
        self.network.up(node, life);
        let log = self.nodes[node]
            .disk
            .open(self.network.pauses(node))
            .map_err(|error| {
                Violation::new("disk", format!("the log of node {node} is lost: {error}"))
            })?;
        let count = self.nodes.len() as u64;
        for (partition, stored) in stored.into_iter().enumerate() {
            let applied = stored.applied;
            let place = Place { partition, node };
            let preferred = partition as u64 % count;
            let members = (0..count).map(|member| (preferred + member) % count);
            let options = RaftOptions {
                applied: (applied != LocalPosition::default())
                    .then_some((applied.raft_index(), applied.term)),
                heartbeat: self.settings.heartbeat,
                election_timeout: self.settings.election_timeout,
                kept_entries_max: self.settings.kept_entries,
                ..RaftOptions::new(node as u64, members.collect())
            };
            let group = group_id(partition);
            store_behind_log::check(place, &stored, &log.group(group))?;
            let note = self.nodes[node].notes.entry(partition).or_default();
            let opening = open(
                Start {
                    place,
                    life,
                    group,
                    stored,
                },
                options,
                (log.group(group), Arc::clone(note)),
                Arc::clone(&self.network),
                Arc::clone(&self.mailbox),
            );
            self.nodes[node].opening.push(tokio::spawn(opening));
        }
        Ok(())
    }

    /// A node's member is open; from now on its replica can propose.
    pub fn opened(&mut self, place: Place, member: RaftNode) {
        self.nodes[place.node]
            .members
            .insert(place.partition, member);
    }

    /// Whether a member is open.
    pub fn is_open(&self, place: Place) -> bool {
        self.nodes[place.node]
            .members
            .contains_key(&place.partition)
    }

    /// A node stops at once, and loses what its disk had not synced.
    pub fn crash(&mut self, node: usize) {
        let _context = self.runtime.enter();
        self.network.down(node);
        let node = &mut self.nodes[node];
        for opening in node.opening.drain(..) {
            opening.abort();
        }
        node.disk.crash();
        // Their tasks end some time; nothing of it is seen.
        node.members.clear();
    }

    /// Whether a sync of a node's disk has failed since its start.
    pub fn has_failed(&self, node: usize) -> bool {
        self.nodes[node].disk.has_failed()
    }

    /// A node that is down has lost its log.
    pub fn lose_log(&mut self, node: usize) {
        self.nodes[node].disk.lose();
    }

    /// A node that is down has lost what is noted beside its log.
    pub fn lose_notes(&mut self, node: usize) {
        self.nodes[node].notes.clear();
    }

    /// Whether a member votes.
    pub fn votes(&self, place: Place) -> bool {
        let members = &self.nodes[place.node].members;
        members
            .get(&place.partition)
            .is_some_and(|member| !member.handle().is_newcomer())
    }

    /// A replica proposes an entry.
    pub fn propose(&mut self, place: Place, entry: Bytes) {
        let _context = self.runtime.enter();
        if let Some(member) = self.nodes[place.node].members.get_mut(&place.partition) {
            member.propose(entry);
        }
    }

    /// A replica has taken entries in, and has them in its store up to an index.
    pub fn progressed(&mut self, place: Place, taken: usize, durable: Option<Index>) {
        let _context = self.runtime.enter();
        if let Some(member) = self.nodes[place.node].members.get_mut(&place.partition) {
            if taken > 0 {
                member.taken(taken);
            }
            if let Some(index) = durable {
                member.state_durable(index);
            }
        }
    }

    /// A partition's log on a node, while that runs.
    pub fn log(&self, place: Place) -> Option<GroupLog> {
        self.nodes[place.node].disk.group(group_id(place.partition))
    }

    /// What a member knows of its group, in words.
    pub fn describe(&self, place: Place) -> String {
        let members = &self.nodes[place.node].members;
        let member = members.get(&place.partition);
        member.map_or("down".to_owned(), |member| {
            format!("{:?}", member.metrics())
        })
    }

    /// Has the leadership of a partition moved by the node that has it.
    pub fn move_leadership(&self, place: Place, how: Move) {
        let Some(member) = self.nodes[place.node].members.get(&place.partition) else {
            return;
        };
        let handle: RaftHandle = member.handle();
        // What comes of it shows in what members tell their replicas.
        drop(self.runtime.spawn(async move {
            match how {
                Move::HandOver => drop(handle.hand_over(HAND_OVER_PATIENCE).await),
                Move::Rebalance => drop(handle.rebalance(HAND_OVER_PATIENCE).await),
            }
        }));
    }

    /// Requests and answers from a node to another are lost, or not any more.
    pub fn cut(&self, from: usize, to: usize, cut: Cut) {
        self.network.cut(from, to, cut);
    }

    /// A node stands still until a time: nothing reaches it, nothing leaves it, nothing becomes durable.
    pub fn pause(&self, node: usize, until_ms: i64) {
        self.network.pause(node, self.instant(until_ms));
    }

    /// A disk gets into trouble, or out of it.
    pub fn trouble(&mut self, node: usize, trouble: Trouble) {
        self.nodes[node].disk.trouble(trouble);
    }

    /// From now on all goes well.
    pub fn lift_faults(&mut self) {
        let _context = self.runtime.enter();
        self.network.lift_faults();
        for node in &mut self.nodes {
            node.disk.calm();
        }
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        // What members hold on to leads back to the network, which holds on to them.
        for node in 0..self.nodes.len() {
            self.crash(node);
        }
    }
}

fn group_id(partition: usize) -> GroupId {
    GroupId(partition as u32 + 1)
}

/// What a replica's store holds when its node starts.
pub struct Stored {
    /// The last entry that is in it.
    pub applied: LocalPosition,
    /// The store.
    pub store: MemoryStore,
    /// See [`Changing`].
    pub changing: Changing,
    /// The last entry of the content that it was given last, or that it had when the log was lost.
    pub installed: Option<u64>,
    /// It has been lost since the node's last start.
    pub lost: bool,
}

/// Whose start it is.
struct Start {
    place: Place,
    life: u64,
    group: GroupId,
    stored: Stored,
}

struct Events {
    place: Place,
    life: u64,
    mailbox: Arc<Mailbox>,
}

impl ConsensusEvents for Events {
    fn send(&self, event: ConsensusEvent) {
        self.mailbox.put(Mail::Told(self.place, self.life, event));
    }
}

async fn open(
    start: Start,
    options: RaftOptions,
    (log, note): (GroupLog, Arc<MemoryNote>),
    network: Arc<Network>,
    mailbox: Arc<Mailbox>,
) {
    let Start {
        place,
        life,
        group,
        stored,
    } = start;
    let events = Arc::new(Events {
        place,
        life,
        mailbox: Arc::clone(&mailbox),
    });
    let peers = network.peers(place.node, life);
    let mail = match RaftNode::open(options, log.clone(), &*note, events, peers).await {
        Ok(member) => {
            let reached = Member {
                handle: member.handle(),
                log,
                store: stored.store,
                changing: stored.changing,
            };
            network.register(place.node, life, group, reached);
            Mail::Opened(place, life, member)
        }
        Err(error) => Mail::NotOpened(place, life, error.to_string()),
    };
    mailbox.put(mail);
}
