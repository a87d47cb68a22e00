//! Several members in one process: a network with cuts, losses and delays, disks that can crash, and what each member was told.

#![allow(clippy::unwrap_used, reason = "helpers of tests are tests")]
#![allow(dead_code, reason = "each user takes a part of it")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures::FutureExt;
use futures::future::BoxFuture;
use skep_log::testkit::{MemFiles, Random};
use skep_log::{GroupId, LogOptions, LogStore, RealFiles};
use skep_partition::consensus::{Consensus, ConsensusEvent, ConsensusEvents};
use skep_protocol::Index;
use skep_raft::testkit::MemoryNote;
use skep_raft::{FetchedContent, Offer, PeerError, RaftHandle, RaftNode, RaftOptions, RaftPeers};
use tokio::sync::Notify;

/// How long anything may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// Polls until something holds.
pub async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < deadline, "it did not come: {what}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// Notes everything.
#[derive(Default)]
pub struct Sink {
    events: Mutex<Vec<ConsensusEvent>>,
    changed: Notify,
}

impl ConsensusEvents for Sink {
    fn send(&self, event: ConsensusEvent) {
        self.events.lock().unwrap().push(event);
        self.changed.notify_one();
    }
}

impl Sink {
    pub fn count(&self, of: impl Fn(&ConsensusEvent) -> bool) -> usize {
        self.events
            .lock()
            .unwrap()
            .iter()
            .filter(|event| of(event))
            .count()
    }

    /// The events after the first `known`, once there are any.
    pub async fn since(&self, known: usize) -> Vec<ConsensusEvent> {
        loop {
            let events = self.events.lock().unwrap()[known..].to_vec();
            if !events.is_empty() {
                return events;
            }
            self.changed.notified().await;
        }
    }

    /// Index, term and bytes of all entries since `known` of them.
    pub fn entries(&self, known: usize) -> Vec<(u64, u64, Bytes)> {
        let events = self.events.lock().unwrap();
        let entries = events.iter().filter_map(|event| match event {
            ConsensusEvent::Committed { index, term, entry } => {
                Some((index.0, *term, entry.clone()))
            }
            _ => None,
        });
        entries.skip(known).collect()
    }

    /// The last entry.
    fn last(&self) -> (u64, u64) {
        let events = self.events.lock().unwrap();
        let last = events.iter().rev().find_map(|event| match event {
            ConsensusEvent::Committed { index, term, .. }
            | ConsensusEvent::Replaced { index, term } => Some((index.0, *term)),
            _ => None,
        });
        last.unwrap()
    }

    /// The entry that the content ends with which it was given.
    pub fn replaced(&self) -> Option<u64> {
        let events = self.events.lock().unwrap();
        events.iter().rev().find_map(|event| match event {
            ConsensusEvent::Replaced { index, .. } => Some(index.0),
            _ => None,
        })
    }

    /// Whether entries came without a gap, but for what content stands for.
    pub fn assert_no_gap(&self) {
        let mut next = None;
        for event in &*self.events.lock().unwrap() {
            match event {
                ConsensusEvent::Committed { index, .. } => {
                    assert!(next.is_none_or(|next| next == index.0), "{next:?}, {index}");
                    next = Some(index.0 + 1);
                }
                ConsensusEvent::Replaced { index, .. } => next = Some(index.0 + 1),
                _ => {}
            }
        }
    }

    pub fn has(&self, proposal: &Bytes) -> bool {
        self.count(
            |event| matches!(event, ConsensusEvent::Committed { entry, .. } if entry == proposal),
        ) > 0
    }

    /// How often a proposal was refused or the leadership lost.
    pub fn setbacks(&self) -> usize {
        self.count(|event| {
            matches!(
                event,
                ConsensusEvent::ProposalRefused { .. } | ConsensusEvent::LostLeadership { .. }
            )
        })
    }
}

pub struct Net {
    /// What each member's replica was told, for content.
    sinks: Mutex<BTreeMap<u64, Arc<Sink>>>,
    /// So many times, fetching content fails.
    pub fetches_failing: AtomicU64,
    /// Fetching content waits while this is set, and counts.
    pub fetches_wait: AtomicBool,
    pub fetches_begun: AtomicU64,
    pub fetches_under_way: AtomicU64,
    handles: Mutex<BTreeMap<u64, RaftHandle>>,
    cut_off: Mutex<BTreeSet<u64>>,
    /// Of a hundred messages.
    pub lost: AtomicU64,
    pub delay_ms_max: AtomicU64,
    random: Mutex<Random>,
}

impl Net {
    pub fn cut_off(&self, node: u64) {
        self.cut_off.lock().unwrap().insert(node);
    }

    pub fn heal(&self) {
        self.cut_off.lock().unwrap().clear();
    }

    fn is_cut(&self, one: u64, other: u64) -> bool {
        let cut_off = self.cut_off.lock().unwrap();
        cut_off.contains(&one) || cut_off.contains(&other)
    }

    fn loses(&self) -> bool {
        self.random.lock().unwrap().below(100) < self.lost.load(Ordering::Relaxed)
    }

    fn delay(&self) -> Duration {
        let at_most = self.delay_ms_max.load(Ordering::Relaxed);
        Duration::from_millis(self.random.lock().unwrap().below(at_most + 1))
    }
}

/// The way of one member to the others.
struct Way {
    net: Arc<Net>,
    own: u64,
}

impl RaftPeers for Way {
    fn call(
        &self,
        _group: u32,
        target: u64,
        request: Bytes,
        patience: Duration,
    ) -> BoxFuture<'static, Result<Bytes, PeerError>> {
        let (net, own) = (Arc::clone(&self.net), self.own);
        let handle = net.handles.lock().unwrap().get(&target).cloned();
        let Some(handle) = handle.filter(|_| !net.is_cut(own, target)) else {
            return async { Err(PeerError::NotConnected) }.boxed();
        };
        if net.loses() {
            return async {
                tokio::time::sleep(Duration::from_millis(20)).await;
                Err(PeerError::NoAnswer)
            }
            .boxed();
        }
        let mut answer = async move { handle.answer(own, request).await }.boxed();
        // In order, as the seam demands.
        let at_once = answer.as_mut().now_or_never();
        async move {
            let answer = match at_once {
                Some(answer) => answer,
                None => {
                    let waited = tokio::time::timeout(patience, answer).await;
                    waited.map_err(|_| PeerError::NoAnswer)?
                }
            };
            tokio::time::sleep(net.delay()).await;
            if net.loses() || net.is_cut(own, target) {
                return Err(PeerError::NoAnswer);
            }
            answer.map_err(|error| PeerError::Refused(error.to_string()))
        }
        .boxed()
    }

    fn offer(&self, _group: u32) -> BoxFuture<'static, Result<Offer, String>> {
        let sinks = self.net.sinks.lock().unwrap();
        let (index, term) = sinks[&self.own].last();
        let ticket = Bytes::from(index.to_le_bytes().to_vec());
        let (index, kept) = (Index(index), Box::new(()));
        async move {
            Ok(Offer {
                index,
                term,
                ticket,
                kept,
            })
        }
        .boxed()
    }

    fn fetch(
        &self,
        _group: u32,
        _from: u64,
        ticket: Bytes,
    ) -> BoxFuture<'static, Result<Box<dyn FetchedContent>, String>> {
        let net = Arc::clone(&self.net);
        async move {
            net.fetches_begun.fetch_add(1, Ordering::Relaxed);
            let _under_way = UnderWay::begin(&net);
            while net.fetches_wait.load(Ordering::Relaxed) {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
            let fails = |left: u64| left.checked_sub(1);
            let order = Ordering::Relaxed;
            if net
                .fetches_failing
                .fetch_update(order, order, fails)
                .is_ok()
            {
                return Err("on purpose".to_owned());
            }
            let index = u64::from_le_bytes(ticket[..].try_into().unwrap());
            Ok(Box::new(UpTo(index)) as Box<dyn FetchedContent>)
        }
        .boxed()
    }
}

/// Counts as a transfer that is under way until it is dropped.
struct UnderWay(Arc<Net>);

impl UnderWay {
    fn begin(net: &Arc<Net>) -> UnderWay {
        net.fetches_under_way.fetch_add(1, Ordering::Relaxed);
        UnderWay(Arc::clone(net))
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.fetches_under_way.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Content that stands for all entries up to that one.
struct UpTo(u64);

impl FetchedContent for UpTo {
    fn install(&mut self, index: Index, _term: u64) -> BoxFuture<'_, Result<(), String>> {
        assert_eq!(index.0, self.0);
        async { Ok(()) }.boxed()
    }
}

/// Where a member's log is.
#[derive(Clone)]
pub enum Disk {
    Memory(MemFiles),
    Real(PathBuf),
}

impl Disk {
    fn open(&self) -> LogStore {
        let options = LogOptions {
            segment_bytes: 1 << 20,
            cache_bytes: 16 << 10,
            ..Default::default()
        };
        let opened = match self {
            Disk::Memory(files) => {
                LogStore::open(Arc::new(files.clone()), Path::new("/log"), options)
            }
            Disk::Real(path) => LogStore::open(Arc::new(RealFiles), path, LogOptions::default()),
        };
        let (log, report) = opened.unwrap();
        assert_eq!(report.damaged, []);
        log
    }
}

struct Member {
    disk: Disk,
    note: Arc<MemoryNote>,
    running: Option<(RaftNode, LogStore)>,
    sink: Arc<Sink>,
}

pub struct Cluster {
    pub net: Arc<Net>,
    pub options: RaftOptions,
    members: Vec<Member>,
}

pub fn proposal(number: u64) -> Bytes {
    let mut bytes = number.to_le_bytes().to_vec();
    bytes.resize(100, 7);
    Bytes::from(bytes)
}

/// What a proposal was made of.
fn number_of(entry: &[u8]) -> Option<u64> {
    Some(u64::from_le_bytes(*entry.first_chunk()?))
}

impl Cluster {
    /// Starts the members 0, 1, 2, of which the first of `preference` is preferred.
    pub async fn start(seed: u64, preference: [u64; 3], election_timeout: Duration) -> Cluster {
        let options = RaftOptions {
            heartbeat: election_timeout / 10,
            election_timeout,
            ..RaftOptions::new(0, preference.to_vec())
        };
        let disks = std::array::from_fn(|_| Disk::Memory(MemFiles::new()));
        Self::on(disks, seed, options).await
    }

    /// Starts three members with these options, and waits until all of them vote: before that, to lose one may be to lose the majority.
    pub async fn on(disks: [Disk; 3], seed: u64, options: RaftOptions) -> Cluster {
        let mut cluster = Self::new(disks, seed, options);
        for node in 0..3 {
            cluster.open(node).await;
        }
        cluster.all_vote().await;
        cluster
    }

    /// Three members that do not run yet.
    pub fn new(disks: [Disk; 3], seed: u64, options: RaftOptions) -> Cluster {
        let net = Net {
            sinks: Mutex::default(),
            fetches_failing: AtomicU64::new(0),
            fetches_wait: AtomicBool::new(false),
            fetches_begun: AtomicU64::new(0),
            fetches_under_way: AtomicU64::new(0),
            handles: Mutex::default(),
            cut_off: Mutex::default(),
            lost: AtomicU64::new(0),
            delay_ms_max: AtomicU64::new(0),
            random: Mutex::new(Random::new(seed)),
        };
        let members = disks.into_iter().map(|disk| Member {
            disk,
            note: Arc::default(),
            running: None,
            sink: Arc::default(),
        });
        Cluster {
            net: Arc::new(net),
            options,
            members: members.collect(),
        }
    }

    /// Starts a member with what is on its disk, and a replica that has nothing.
    pub async fn open(&mut self, node: u64) {
        let member = &mut self.members[node as usize];
        let log = member.disk.open();
        let options = RaftOptions {
            node_id: node,
            ..self.options.clone()
        };
        let net = Arc::clone(&self.net);
        let way = Arc::new(Way { net, own: node });
        member.sink = Arc::default();
        let sink = Arc::clone(&member.sink);
        self.net.sinks.lock().unwrap().insert(node, sink);
        let group = log.group(GroupId(1));
        let note = Arc::clone(&member.note);
        let opened = RaftNode::open(options, group, &*note, member.sink.clone(), way);
        let raft = opened.await.unwrap();
        self.net.handles.lock().unwrap().insert(node, raft.handle());
        member.running = Some((raft, log));
    }

    /// Power loss.
    pub fn crash(&mut self, node: u64, seed: u64) {
        self.net.handles.lock().unwrap().remove(&node);
        let member = &mut self.members[node as usize];
        if let Disk::Memory(files) = &member.disk {
            files.crash(&mut Random::new(seed));
        }
        drop(member.running.take());
    }

    /// Its disk is gone, and it is replaced.
    pub fn lose(&mut self, node: u64) {
        self.lose_log(node);
        self.members[node as usize].note.lose();
    }

    /// Its log is gone, and what was noted beside it is not.
    pub fn lose_log(&mut self, node: u64) {
        self.crash(node, 0);
        self.members[node as usize].disk = Disk::Memory(MemFiles::new());
    }

    /// An orderly end.
    pub async fn stop(&mut self, node: u64) {
        self.net.handles.lock().unwrap().remove(&node);
        let (raft, log) = self.members[node as usize].running.take().unwrap();
        raft.shutdown().await.unwrap();
        log.close();
    }

    pub async fn stop_all(&mut self) {
        for node in 0..3 {
            if self.members[node as usize].running.is_some() {
                self.stop(node).await;
            }
        }
    }

    pub fn raft(&mut self, node: u64) -> &mut RaftNode {
        &mut self.members[node as usize].running.as_mut().unwrap().0
    }

    pub fn handle(&mut self, node: u64) -> RaftHandle {
        self.raft(node).handle()
    }

    /// Waits until no member is a newcomer any more: until then the loss of another one may be one too many.
    pub async fn all_vote(&mut self) {
        for node in 0..self.members.len() as u64 {
            let handle = self.handle(node);
            until("that all members vote", || !handle.is_newcomer()).await;
        }
    }

    /// Proposes all of these at once, and those that were refused or lost with a leadership again, until all members have all.
    pub async fn write_all(&mut self, numbers: std::ops::Range<u64>) {
        let deadline = Instant::now() + PATIENCE;
        let mut missing: BTreeSet<u64> = numbers.clone().collect();
        while !missing.is_empty() {
            assert!(
                Instant::now() < deadline,
                "{} are not written",
                missing.len()
            );
            let leader = self.leader().await;
            let (sink, mut known) = (self.sink(leader), 0);
            let before = sink.setbacks();
            let raft = self.raft(leader);
            missing
                .iter()
                .for_each(|number| raft.propose(proposal(*number)));
            until("the proposals' end", || {
                for (_, _, entry) in sink.entries(known) {
                    known += 1;
                    if let Some(number) = number_of(&entry) {
                        missing.remove(&number);
                    }
                }
                missing.is_empty() || sink.setbacks() > before
            })
            .await;
        }
        self.all_have(numbers).await;
    }

    pub fn sink(&self, node: u64) -> Arc<Sink> {
        Arc::clone(&self.members[node as usize].sink)
    }

    fn leads(&self) -> Option<u64> {
        let running = self.members.iter().zip(0..);
        running
            .filter_map(|(member, node)| Some((member.running.as_ref()?, node)))
            .find(|((raft, _), _)| raft.is_leader())
            .map(|(_, node)| node)
    }

    /// What the members think, for a test that fails.
    fn state(&self) -> String {
        let members = self.members.iter().zip(0..);
        let state = members.map(|(member, node)| {
            let metrics = member.running.as_ref().map(|(raft, _)| raft.metrics());
            format!(
                "{node}: {metrics:?}; cut off: {}",
                self.net.is_cut(node, node)
            )
        });
        state.collect::<Vec<_>>().join("\n")
    }

    /// Waits for a leader.
    pub async fn leader(&mut self) -> u64 {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(leader) = self.leads() {
                return leader;
            }
            assert!(Instant::now() < deadline, "nobody leads: {}", self.state());
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    /// Proposes again and again until it is committed where it was proposed.
    pub async fn write(&mut self, number: u64) {
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            let leader = self.leader().await;
            let sink = self.sink(leader);
            let before = sink.setbacks();
            let bytes = proposal(number);
            self.raft(leader).propose(bytes.clone());
            let ended = || sink.has(&bytes) || sink.setbacks() > before;
            until("a proposal's end", ended).await;
            if sink.has(&bytes) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        panic!("{number} could not be written");
    }

    /// Waits until all members that run have these proposals.
    pub async fn all_have(&self, numbers: impl IntoIterator<Item = u64>) {
        let numbers: Vec<Bytes> = numbers.into_iter().map(proposal).collect();
        for member in self
            .members
            .iter()
            .filter(|member| member.running.is_some())
        {
            let (mut missing, mut known): (BTreeSet<Bytes>, usize) =
                (numbers.iter().cloned().collect(), 0);
            until("all entries at all members", || {
                for (_, _, entry) in member.sink.entries(known) {
                    missing.remove(&entry);
                    known += 1;
                }
                missing.is_empty()
            })
            .await;
        }
    }

    /// Where two members have an entry of the same index it is the same, and none has a gap.
    pub fn assert_agreement(&self) {
        let mut agreed: BTreeMap<u64, (u64, Bytes)> = BTreeMap::new();
        for member in &self.members {
            let entries = member.sink.entries(0);
            for (at, (index, term, entry)) in entries.into_iter().enumerate() {
                assert_eq!(index, at as u64, "entries come without a gap");
                let known = agreed.entry(index).or_insert((term, entry.clone()));
                assert_eq!(*known, (term, entry), "entry {index}");
            }
        }
    }

    pub fn last_index(&self, node: u64) -> Index {
        let entries = self.members[node as usize].sink.entries(0);
        Index(entries.last().unwrap().0)
    }
}

pub fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap()
}
