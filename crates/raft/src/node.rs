//! One member of one group, as the partition sees it.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures::FutureExt;
use openraft::errors::Fatal;
use openraft::{Config, Raft};
use skep_log::GroupLog;
use skep_partition::consensus::{Consensus, ConsensusEvent, ConsensusEvents, Unproposed};
use skep_protocol::Index;
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::backlog::Backlog;
use crate::begun::BegunNote;
use crate::codec::ENTRY_OVERHEAD;
use crate::compaction::{KEPT_BYTES_MAX, Kept};
use crate::formation::{Earned, Suffrage, form};
use crate::handle::{RaftHandle, RaftMetrics};
use crate::leadership::{LeaderSeen, Watch};
use crate::log_store::LogStore;
use crate::network::Network;
use crate::peers::RaftPeers;
use crate::reader::LogReader;
use crate::refusal::TellRefusal;
use crate::state_machine::{Parts, Progress, StateMachine};
use crate::stats::RaftStats;
use crate::steadiness::Bounds;
use crate::timing;
use crate::types::{Proposal, TypeConfig, log_id};

/// The log is compacted when this much of it is not needed any more: often enough to keep it
/// small, rarely enough to cost nothing.
const COMPACT_ENTRIES: u64 = 10_000;
const COMPACT_BYTES: u64 = 64 << 20;

#[derive(Debug, Clone)]
pub struct RaftOptions {
    pub node_id: u64,
    /// All voters, the preferred leader first. They never change.
    pub members: Vec<u64>,
    /// Index and term of the last entry that is in the replica's store; entries after it are
    /// handed over. Nothing for an empty store. Without any log, a term of 0 is that of content that a restore has put there.
    pub applied: Option<(Index, u64)>,
    pub heartbeat: Duration,
    /// Log that is kept for members that lack it: bytes, and entries. A member that lacks more is given content.
    pub kept_bytes_max: u64,
    /// See [`RaftOptions::kept_bytes_max`].
    pub kept_entries_max: u64,
    /// Silence of the leader after which the preferred member begins an election; the others wait longer, at most twice as long.
    pub election_timeout: Duration,
}

impl RaftOptions {
    pub fn new(node_id: u64, members: Vec<u64>) -> Self {
        Self {
            node_id,
            members,
            applied: None,
            kept_bytes_max: KEPT_BYTES_MAX,
            kept_entries_max: u64::MAX,
            heartbeat: Duration::from_millis(150),
            election_timeout: Duration::from_secs(1),
        }
    }

    /// The members, in no order.
    pub(crate) fn voters(&self) -> BTreeSet<u64> {
        self.members.iter().copied().collect()
    }

    /// This member's place in the order of preference.
    fn place(&self) -> Result<usize, RaftError> {
        let (members, node) = (&self.members, self.node_id);
        let distinct: BTreeSet<&u64> = members.iter().collect();
        let place = members.iter().position(|member| *member == node);
        match place {
            Some(place) if distinct.len() == members.len() => Ok(place),
            _ => Err(RaftError::Options(format!(
                "members are {members:?}, which node {node} has to be one of, and each only once"
            ))),
        }
    }

    fn kept(&self) -> Kept {
        let bounds = (self.kept_bytes_max, self.kept_entries_max);
        Kept::new(self.members.len(), bounds)
    }

    fn network(
        &self,
        group: u32,
        (peers, kept, stats): (&Arc<dyn RaftPeers>, &Arc<Kept>, &Arc<RaftStats>),
    ) -> Network {
        Network {
            group,
            peers: Arc::clone(peers),
            kept: Arc::clone(kept),
            stats: Arc::clone(stats),
            patience: self.election_timeout * 2,
        }
    }

    fn bounds(&self, lease: Duration) -> Option<Bounds> {
        (self.members.len() > 1).then_some(Bounds {
            lease,
            // What was asked before the last sign of life need not be answered yet.
            late: (self.election_timeout / 4).max(self.heartbeat * 7 / 4),
            look_every: self.heartbeat,
        })
    }

    fn config(&self, group: u32, place: usize) -> Result<Config, RaftError> {
        let members = self.members.len();
        timing::config(group, members, place, self.heartbeat, self.election_timeout)
            .validate()
            .map_err(|error| RaftError::Options(error.to_string()))
    }
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RaftError {
    #[error("raft settings: {0}")]
    Options(String),
    #[error("start consensus of group {group}: {message}")]
    Start { group: u32, message: String },
    #[error("stop consensus: {0}")]
    Stop(String),
    #[error("this node does not lead the partition")]
    NotLeader,
    #[error("node {0} has not taken the leadership over in time")]
    NotTakenOver(u64),
    #[error("{0}")]
    Refused(String),
}

/// Runs in the background on the runtime on which it was opened. Dropping it stops it without
/// waiting; [`RaftNode::shutdown`] waits.
pub struct RaftNode {
    handle: RaftHandle,
    log: GroupLog,
    store: LogStore,
    /// What each reader has released: entries before that index.
    readers: Vec<Arc<AtomicU64>>,
    events: Arc<dyn ConsensusEvents>,
    progress: Arc<Progress>,
    backlog: Arc<Backlog>,
    /// Index up to which it was compacted last, and the bytes handed over until then.
    compacted: (u64, u64),
    runtime: Handle,
    watcher: Option<JoinHandle<()>>,
    /// Lets it stand for election a while after the start.
    waiting: Option<JoinHandle<()>>,
}

impl RaftNode {
    /// Starts the member on the current tokio runtime. What it has to say comes through `events`;
    /// a group whose only voter this is elects itself at once.
    pub async fn open(
        options: RaftOptions,
        log: GroupLog,
        note: &dyn BegunNote,
        events: Arc<dyn ConsensusEvents>,
        peers: Arc<dyn RaftPeers>,
    ) -> Result<Self, RaftError> {
        let place = options.place()?;
        let group = log.id().0;
        let start = |message: String| RaftError::Start { group, message };
        let store = LogStore::open(log.clone()).map_err(|e| start(e.to_string()))?;
        let formed = form(&store, &options, note).await;
        let first_start = formed.map_err(start)?;
        if let Some(voters) = store.voters() {
            check_members(&voters, &options.voters()).map_err(RaftError::Options)?;
        }
        let mut node = Self::start(&options, place, log, store, events, peers).await?;
        node.begin(first_start, place, options.election_timeout)
            .await
            .map_err(|error| start(error.to_string()))?;
        Ok(node)
    }

    async fn start(
        options: &RaftOptions,
        place: usize,
        log: GroupLog,
        store: LogStore,
        events: Arc<dyn ConsensusEvents>,
        peers: Arc<dyn RaftPeers>,
    ) -> Result<Self, RaftError> {
        let group = log.id().0;
        let config = options.config(group, place)?;
        let lease = Duration::from_millis(config.election_timeout_max);
        let applied = options.applied.map(|(index, term)| log_id(index.0, term));
        let progress = Arc::new(Progress::new(applied.as_ref()));
        let kept = Arc::new(options.kept());
        let backlog = Arc::new(Backlog::default());
        let machine = StateMachine::new(Parts {
            log: store.clone(),
            events: Arc::clone(&events),
            applied,
            progress: Arc::clone(&progress),
            kept: Arc::clone(&kept),
            backlog: Arc::clone(&backlog),
            members: options.members.iter().copied().collect(),
        });
        let suffrage = Suffrage::new(store.clone(), options.election_timeout * 3);
        let stats = Arc::new(RaftStats::new(options.node_id, &options.members));
        let network = options.network(group, (&peers, &kept, &stats));
        let (id, config) = (options.node_id, Arc::new(config));
        let raft = Raft::new(id, config, network, store.clone(), machine).await;
        let raft = raft.map_err(|error| RaftError::Start {
            group,
            message: error.to_string(),
        })?;
        let (seen, seen_by_others) = watch::channel(LeaderSeen::default());
        let leads = Arc::new(AtomicBool::new(false));
        let watch = Watch::new(
            &raft,
            id,
            Arc::clone(&events),
            (Arc::clone(&leads), Arc::clone(&stats)),
            seen,
            group,
            options.bounds(lease),
        );
        let handle = RaftHandle {
            raft,
            node_id: id,
            group,
            suffrage,
            incoming: Arc::default(),
            peers,
            members: options.members.clone().into(),
            kept,
            leads,
            stats,
            seen: seen_by_others,
            lease,
        };
        Ok(Self {
            handle,
            log,
            store,
            readers: Vec::new(),
            events,
            progress,
            backlog,
            compacted: (applied.map_or(0, |id| id.index), 0),
            runtime: Handle::current(),
            watcher: Some(tokio::spawn(watch.run())),
            waiting: None,
        })
    }

    /// Elects itself at once if nobody else could have been elected, or should be.
    async fn begin(
        &mut self,
        first_start: bool,
        place: usize,
        wait: Duration,
    ) -> Result<(), Fatal<TypeConfig>> {
        let raft = &self.handle.raft;
        let alone = self.handle.members.len() == 1;
        if alone || (first_start && place == 0) {
            raft.runtime_config().elect(true);
            return raft.trigger().elect(false).await;
        }
        // A follower that has just started has heard from no leader, and would not wait for those that are preferred to it.
        let handle = self.handle.clone();
        self.waiting = Some(tokio::spawn(async move {
            let (group, own) = (handle.group, handle.node_id);
            if handle.is_newcomer() {
                let earned = handle
                    .suffrage
                    .earn(group, own, &handle.members, &*handle.peers);
                let earned = earned.await;
                tracing::info!(group, ?earned, "votes from now on");
                if earned == Earned::AsTheFirst && place == 0 {
                    // It fails if consensus has ended.
                    let _ = handle.raft.trigger().elect(false).await;
                }
            }
            let place = u32::try_from(place).unwrap_or(u32::MAX);
            tokio::time::sleep(wait.saturating_mul(place)).await;
            handle.raft.runtime_config().elect(true);
        }));
        Ok(())
    }

    /// What the node needs of this member while the replica has it.
    pub fn handle(&self) -> RaftHandle {
        self.handle.clone()
    }

    /// A reader of this member's log. From now on nothing is compacted that it has not released.
    pub fn reader(&mut self) -> LogReader {
        let (reader, released) = LogReader::new(self.store.clone());
        self.readers.push(released);
        reader
    }

    /// The last entry that may be compacted of those up to and including `durable`.
    fn unneeded(&self, durable: Index) -> Option<Index> {
        let released = self.readers.iter().map(|one| one.load(Ordering::Acquire));
        let needed = released.min().unwrap_or(u64::MAX);
        let needed = needed.min(self.handle.kept.unneeded_before());
        Some(Index(needed.checked_sub(1)?.min(durable.0)))
    }

    /// As leader: notes what the other members have. It reaches them with the next entries.
    fn note_needs(&self) {
        let matched = self.metrics().matched;
        for (member, index) in &matched {
            let next = index.map_or(0, |index| index.0 + 1);
            self.handle.kept.has_up_to(*member, next);
        }
        let next = |index: &Option<Index>| index.map(|index| index.0 + 1);
        let known: Option<Vec<u64>> = matched.iter().map(|(_, index)| next(index)).collect();
        if let Some(least) = known.and_then(|known| known.into_iter().min()) {
            self.handle.kept.set_from(least);
        }
    }

    pub fn is_leader(&self) -> bool {
        self.handle.is_leader()
    }

    pub fn metrics(&self) -> RaftMetrics {
        self.handle.metrics()
    }

    /// Stops and waits until nothing more will be handed over.
    pub async fn shutdown(mut self) -> Result<(), RaftError> {
        self.backlog.close();
        self.handle.incoming.give_up();
        self.store.close();
        if let Some(waiting) = self.waiting.take() {
            waiting.abort();
        }
        let stopped = self.handle.raft.shutdown().await;
        if let Some(watcher) = self.watcher.take()
            && let Err(error) = watcher.await
        {
            tracing::error!("the watcher of consensus ended: {error}");
        }
        stopped.map_err(|error| RaftError::Stop(error.to_string()))
    }

    fn refuse(&self, why: Unproposed, reason: &str) {
        self.events.send(ConsensusEvent::ProposalRefused {
            why,
            reason: reason.to_owned(),
        });
    }
}

impl Drop for RaftNode {
    fn drop(&mut self) {
        self.backlog.close();
        self.handle.incoming.give_up();
        self.store.close();
        if let Some(waiting) = self.waiting.take() {
            waiting.abort();
        }
        if let Some(watcher) = self.watcher.take() {
            watcher.abort();
            let raft = self.handle.raft.clone();
            drop(self.runtime.spawn(async move { raft.shutdown().await }));
        }
    }
}

impl Consensus for RaftNode {
    fn propose(&mut self, entry: Bytes) {
        if !self.is_leader() {
            return self.refuse(
                Unproposed::NotLeader,
                "this node does not lead the partition",
            );
        }
        if self.log.is_full() {
            return self.refuse(
                Unproposed::DiskFull,
                "there is no space for the log; free space on the log's disk",
            );
        }
        let bytes_max = self.log.entry_bytes_max() - ENTRY_OVERHEAD;
        if entry.len() > bytes_max {
            let bytes = entry.len();
            let reason = format!("{bytes} bytes are too large for the log, {bytes_max} fit");
            return self.refuse(Unproposed::TooMuch, &reason);
        }
        // The queue into raft takes it at once or is full; a future that would wait is dropped,
        // and then nothing was proposed.
        let refusal = TellRefusal(Arc::clone(&self.events));
        let raft = &self.handle.raft;
        let proposed = raft.client_write_ff(Proposal(entry), Some(refusal));
        match tokio::task::unconstrained(proposed).now_or_never() {
            Some(Ok(())) => {}
            Some(Err(error)) => self.refuse(Unproposed::NotLeader, &error.to_string()),
            None => self.refuse(Unproposed::TooMuch, "too many proposals are on their way"),
        }
    }

    fn taken(&mut self, bytes: usize) {
        self.backlog.taken(bytes as u64);
    }

    fn state_durable(&mut self, index: Index) {
        if self.is_leader() {
            self.note_needs();
        }
        let Some(index) = self
            .unneeded(index)
            .filter(|index| index.0 > self.compacted.0)
        else {
            return;
        };
        self.progress.set_durable(index.0);
        let bytes = self.handle.kept.total();
        let (compacted, at_bytes) = self.compacted;
        if index.0 < compacted + compact_entries() && bytes < at_bytes + COMPACT_BYTES {
            return;
        }
        let triggered = self.handle.raft.trigger();
        // If the queue is full, the next call tries again.
        if let Some(Ok(())) = tokio::task::unconstrained(triggered.snapshot()).now_or_never() {
            self.compacted = (index.0, bytes);
        }
    }
}

/// Unneeded entries after which the log is compacted; fewer in a simulation, which is short.
fn compact_entries() -> u64 {
    #[cfg(feature = "testkit")]
    if let Some(entries) = crate::testkit::compact_entries() {
        return entries;
    }
    COMPACT_ENTRIES
}

/// Members never change, so a log with others is that of another cluster, or the configuration is wrong.
pub(crate) fn check_members(found: &BTreeSet<u64>, expected: &BTreeSet<u64>) -> Result<(), String> {
    if found == expected {
        return Ok(());
    }
    Err(format!(
        "the log says that the members are {found:?}, the configuration says {expected:?}; set the cluster's size and the replication factor as they were when it was created"
    ))
}
