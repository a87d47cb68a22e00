//! One member of one group, as the partition sees it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures::FutureExt;
use openraft::async_runtime::WatchReceiver;
use openraft::{Config, Raft, ServerState, SnapshotPolicy};
use skep_log::GroupLog;
use skep_partition::consensus::{Consensus, ConsensusEvent, ConsensusEvents};
use skep_protocol::Index;
use tokio::runtime::Handle;
use tokio::task::JoinHandle;

use crate::codec::ENTRY_OVERHEAD;
use crate::log_store::LogStore;
use crate::network::Alone;
use crate::reader::LogReader;
use crate::state_machine::{Progress, StateMachine};
use crate::types::{TypeConfig, log_id};

/// The log is compacted when this much of it is not needed any more: often enough to keep it
/// small, rarely enough to cost nothing.
const COMPACT_ENTRIES: u64 = 10_000;
const COMPACT_BYTES: u64 = 64 << 20;

#[derive(Debug, Clone)]
pub struct RaftOptions {
    pub node_id: u64,
    /// All voters. One for now.
    pub members: Vec<u64>,
    /// Index and term of the last entry that is in the replica's store; entries after it are
    /// handed over. Nothing for an empty store.
    pub applied: Option<(Index, u64)>,
    pub heartbeat: Duration,
    /// At least; the maximum is twice that.
    pub election_timeout: Duration,
}

impl RaftOptions {
    pub fn new(node_id: u64, members: Vec<u64>) -> Self {
        Self {
            node_id,
            members,
            applied: None,
            heartbeat: Duration::from_millis(250),
            election_timeout: Duration::from_millis(1_500),
        }
    }
}

#[derive(Debug, Clone, thiserror::Error)]
pub enum RaftError {
    #[error("raft settings: {0}")]
    Options(String),
    #[error("start consensus of group {group}: {message}")]
    Start { group: u32, message: String },
    #[error("stop consensus: {0}")]
    Stop(String),
}

/// Figures for metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RaftMetrics {
    pub term: u64,
    pub leader: Option<u64>,
    pub last_index: Option<Index>,
    pub committed: Option<Index>,
    pub applied: Option<Index>,
    /// Entries up to it are gone from the log.
    pub purged: Option<Index>,
}

/// Runs in the background on the runtime on which it was opened. Dropping it stops it without
/// waiting; [`RaftNode::shutdown`] waits.
pub struct RaftNode {
    raft: Raft<TypeConfig, StateMachine>,
    log: GroupLog,
    store: LogStore,
    /// What each reader has released: entries before that index.
    readers: Vec<Arc<AtomicU64>>,
    events: Arc<dyn ConsensusEvents>,
    progress: Arc<Progress>,
    leads: Arc<AtomicBool>,
    compacted: u64,
    compacted_bytes: u64,
    runtime: Handle,
    watcher: Option<JoinHandle<()>>,
}

impl RaftNode {
    /// Starts the member on the current tokio runtime. What it has to say comes through `events`;
    /// a group whose only voter this is elects itself at once.
    pub async fn open(
        options: RaftOptions,
        log: GroupLog,
        events: Arc<dyn ConsensusEvents>,
    ) -> Result<Self, RaftError> {
        if options.members != [options.node_id] {
            let (members, node) = (&options.members, options.node_id);
            return Err(RaftError::Options(format!(
                "members are {members:?}, but node {node} can only be the only one in this release"
            )));
        }
        let group = log.id().0;
        let start = |message: String| RaftError::Start { group, message };
        let store = LogStore::open(log.clone()).map_err(|e| start(e.to_string()))?;
        let first_start = store.is_empty().map_err(|e| start(e.to_string()))?;
        let applied = options.applied.map(|(index, term)| log_id(index.0, term));
        let progress = Arc::new(Progress::new(applied.as_ref()));
        let machine = StateMachine::new(
            store.clone(),
            Arc::clone(&events),
            applied,
            Arc::clone(&progress),
        );
        let config = config(group, &options)?;
        let raft = Raft::new(options.node_id, config, Alone, store.clone(), machine)
            .await
            .map_err(|e| start(e.to_string()))?;
        let leads = Arc::new(AtomicBool::new(false));
        let watcher = tokio::spawn(watch(raft.clone(), Arc::clone(&events), Arc::clone(&leads)));
        let node = Self {
            raft,
            log,
            store,
            readers: Vec::new(),
            events,
            progress,
            leads,
            compacted: applied.map_or(0, |id| id.index),
            compacted_bytes: 0,
            runtime: Handle::current(),
            watcher: Some(watcher),
        };
        node.elect(first_start, &options).await.map_err(start)?;
        Ok(node)
    }

    async fn elect(&self, first_start: bool, options: &RaftOptions) -> Result<(), String> {
        let known = self
            .raft
            .is_initialized()
            .await
            .map_err(|e| e.to_string())?;
        if first_start && !known {
            let members: std::collections::BTreeMap<u64, ()> =
                options.members.iter().map(|member| (*member, ())).collect();
            self.raft
                .initialize(members)
                .await
                .map_err(|e| e.to_string())
        } else {
            // Nobody else could have become leader, so there is nothing to wait for.
            self.raft
                .trigger()
                .elect(false)
                .await
                .map_err(|e| e.to_string())
        }
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
        Some(Index(needed.checked_sub(1)?.min(durable.0)))
    }

    pub fn is_leader(&self) -> bool {
        self.leads.load(Ordering::Acquire)
    }

    pub fn metrics(&self) -> RaftMetrics {
        let watched = self.raft.metrics();
        let now = watched.borrow_watched();
        let index = |id: &Option<crate::types::LogId>| id.as_ref().map(|id| Index(id.index));
        RaftMetrics {
            term: now.current_term,
            leader: now.current_leader,
            last_index: now.last_log_index.map(Index),
            committed: index(&now.local_committed),
            applied: index(&now.last_applied),
            purged: index(&now.purged),
        }
    }

    /// Stops and waits until nothing more will be handed over.
    pub async fn shutdown(mut self) -> Result<(), RaftError> {
        let stopped = self
            .raft
            .shutdown()
            .await
            .map_err(|e| RaftError::Stop(e.to_string()));
        if let Some(watcher) = self.watcher.take()
            && let Err(error) = watcher.await
        {
            tracing::error!("the watcher of consensus ended: {error}");
        }
        stopped
    }

    fn refuse(&self, reason: &str) {
        self.events.send(ConsensusEvent::ProposalRefused {
            reason: reason.to_owned(),
        });
    }
}

impl Drop for RaftNode {
    fn drop(&mut self) {
        if let Some(watcher) = self.watcher.take() {
            watcher.abort();
            let raft = self.raft.clone();
            drop(self.runtime.spawn(async move { raft.shutdown().await }));
        }
    }
}

impl Consensus for RaftNode {
    fn propose(&mut self, entry: Bytes) {
        if !self.is_leader() {
            return self.refuse("this node does not lead the partition");
        }
        if self.log.is_full() {
            return self.refuse("there is no space for the log; free space on the log's disk");
        }
        let bytes_max = self.log.entry_bytes_max() - ENTRY_OVERHEAD;
        if entry.len() > bytes_max {
            let bytes = entry.len();
            return self.refuse(&format!(
                "{bytes} bytes are too large for the log, {bytes_max} fit"
            ));
        }
        // The queue into raft takes it at once or is full; a future that would wait is dropped,
        // and then nothing was proposed.
        let proposed = self
            .raft
            .client_write_ff(crate::types::Proposal(entry), None);
        match tokio::task::unconstrained(proposed).now_or_never() {
            Some(Ok(())) => {}
            Some(Err(error)) => self.refuse(&error.to_string()),
            None => self.refuse("too many proposals are on their way"),
        }
    }

    fn state_durable(&mut self, index: Index) {
        let Some(index) = self
            .unneeded(index)
            .filter(|index| index.0 > self.compacted)
        else {
            return;
        };
        self.progress.set_durable(index.0);
        let bytes = self.progress.bytes.load(Ordering::Relaxed);
        if index.0 < self.compacted + COMPACT_ENTRIES
            && bytes < self.compacted_bytes + COMPACT_BYTES
        {
            return;
        }
        let triggered = self.raft.trigger();
        // If the queue is full, the next call tries again.
        if let Some(Ok(())) = tokio::task::unconstrained(triggered.snapshot()).now_or_never() {
            self.compacted = index.0;
            self.compacted_bytes = bytes;
        }
    }
}

fn config(group: u32, options: &RaftOptions) -> Result<Arc<Config>, RaftError> {
    let millis = |duration: Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    let election = millis(options.election_timeout);
    let config = Config {
        cluster_name: format!("partition {group}"),
        heartbeat_interval: millis(options.heartbeat),
        election_timeout_min: election,
        election_timeout_max: election.saturating_mul(2),
        // The replica says what may go, see `state_durable`.
        snapshot_policy: SnapshotPolicy::Never,
        max_in_snapshot_log_to_keep: 0,
        // Alone there is nobody to send heartbeats to or to hear them from.
        enable_tick: options.members.len() > 1,
        ..Config::default()
    };
    let config = config
        .validate()
        .map_err(|e| RaftError::Options(e.to_string()))?;
    Ok(Arc::new(config))
}

/// Tells the replica about leadership and about the end.
async fn watch(
    raft: Raft<TypeConfig, StateMachine>,
    events: Arc<dyn ConsensusEvents>,
    leads: Arc<AtomicBool>,
) {
    let mut server = raft.server_metrics();
    let all = raft.metrics();
    drop(raft);
    let mut leading: Option<u64> = None;
    loop {
        let now = {
            let now = server.borrow_and_update();
            (now.state == ServerState::Leader).then_some(now.vote.leader_id.term)
        };
        if now != leading {
            leads.store(now.is_some(), Ordering::Release);
            if let Some(term) = leading {
                events.send(ConsensusEvent::LostLeadership { term });
            }
            if let Some(term) = now {
                events.send(ConsensusEvent::BecameLeader { term });
            }
            leading = now;
        }
        if server.changed().await.is_err() {
            break;
        }
    }
    leads.store(false, Ordering::Release);
    let ended = all.borrow_watched().running_state.clone();
    if let Some(term) = leading {
        events.send(ConsensusEvent::LostLeadership { term });
    }
    match ended {
        Ok(()) | Err(openraft::errors::Fatal::Stopped) => {}
        Err(error) => {
            let message =
                format!("consensus can't go on: {error}; check the log's disk and restart");
            events.send(ConsensusEvent::Failed { message });
        }
    }
}
