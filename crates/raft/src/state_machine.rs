//! openraft's state machine: hands committed entries over to the replica, and waits for it only when too much is on its way.
//! The state is the replica's; a snapshot here is only the log id up to which it is durable.

use std::collections::BTreeSet;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use futures::{Stream, StreamExt};
use openraft::storage::{EntryResponder, RaftSnapshotBuilder, RaftStateMachine};
use openraft::{EntryPayload, OptionalSend};
use skep_partition::consensus::{ConsensusEvent, ConsensusEvents};
use skep_protocol::Index;

use crate::backlog::Backlog;
use crate::compaction::Kept;
use crate::content::Fetched;
use crate::log_store::LogStore;
use crate::node::check_members;
use crate::types::{LogId, Snapshot, SnapshotMeta, StoredMembership, TypeConfig};

/// What the state machine and the node share.
pub(crate) struct Progress {
    /// The last index that the replica has reported as durable, plus one.
    durable_next: AtomicU64,
    /// The last snapshot taken.
    snapshot: Mutex<Option<SnapshotMeta>>,
}

impl Progress {
    pub fn new(applied: Option<&LogId>) -> Self {
        Self {
            durable_next: AtomicU64::new(applied.map_or(0, |id| id.index + 1)),
            snapshot: Mutex::new(None),
        }
    }

    /// The content ends there.
    fn installed(&self, meta: SnapshotMeta) {
        if let Some(id) = &meta.last_log_id {
            self.set_durable(id.index);
        }
        let mut snapshot = self.snapshot.lock().unwrap_or_else(PoisonError::into_inner);
        *snapshot = Some(meta);
    }

    pub fn set_durable(&self, index: u64) {
        self.durable_next.fetch_max(index + 1, Ordering::AcqRel);
    }
}

pub(crate) struct StateMachine {
    log: LogStore,
    events: Arc<dyn ConsensusEvents>,
    applied: Option<LogId>,
    membership: StoredMembership,
    progress: Arc<Progress>,
    kept: Arc<Kept>,
    backlog: Arc<Backlog>,
    members: BTreeSet<u64>,
    /// Consensus ends: nothing more is handed over.
    ended: bool,
}

/// What a state machine is made with.
pub(crate) struct Parts {
    pub log: LogStore,
    pub events: Arc<dyn ConsensusEvents>,
    pub applied: Option<LogId>,
    pub progress: Arc<Progress>,
    pub kept: Arc<Kept>,
    pub backlog: Arc<Backlog>,
    pub members: BTreeSet<u64>,
}

impl StateMachine {
    pub fn new(parts: Parts) -> Self {
        let membership = parts.log.membership_at(parts.applied.as_ref());
        let Parts {
            log,
            events,
            applied,
            progress,
            kept,
            backlog,
            members,
        } = parts;
        Self {
            log,
            events,
            applied,
            membership,
            progress,
            kept,
            backlog,
            members,
            ended: false,
        }
    }
}

impl RaftStateMachine<TypeConfig> for StateMachine {
    type SnapshotData = Fetched;
    type SnapshotBuilder = Builder;

    async fn applied_state(&mut self) -> Result<(Option<LogId>, StoredMembership), io::Error> {
        Ok((self.applied, self.membership.clone()))
    }

    async fn apply<Strm>(&mut self, mut entries: Strm) -> Result<(), io::Error>
    where
        Strm: Stream<Item = Result<EntryResponder<TypeConfig>, io::Error>> + Unpin + OptionalSend,
    {
        while let Some(next) = entries.next().await {
            let (entry, responder) = next?;
            let id = entry.log_id;
            // Others may have made it durable before this member has. The store must not get ahead of the log: after a crash there
            // would be a hole in it, for other members and for exporters.
            self.ended = self.ended || !self.log.durable(id.index).await?;
            if self.ended {
                continue;
            }
            let expected = self.applied.map_or(0, |applied| applied.index + 1);
            assert_eq!(id.index, expected, "entries are handed over without a gap");
            let bytes = match entry.payload {
                EntryPayload::Normal(proposal) => proposal.0,
                EntryPayload::Blank => bytes::Bytes::new(),
                EntryPayload::Membership(membership) => {
                    let voters = membership.voter_ids().collect();
                    check_members(&voters, &self.members).map_err(io::Error::other)?;
                    self.membership = StoredMembership::new(Some(id), membership);
                    bytes::Bytes::new()
                }
            };
            self.applied = Some(id);
            let size = bytes.len() as u64;
            self.kept.count(id.index, size);
            self.backlog.handed_over(size);
            self.events.send(ConsensusEvent::Committed {
                index: Index(id.index),
                term: **id.committed_leader_id(),
                entry: bytes,
            });
            if let Some(responder) = responder {
                responder.send(());
            }
            self.backlog.wait().await;
        }
        Ok(())
    }

    async fn get_snapshot_builder(&mut self) -> Builder {
        Builder {
            log: self.log.clone(),
            applied: self.applied,
            membership: self.membership.clone(),
            progress: Arc::clone(&self.progress),
        }
    }

    async fn install_snapshot(
        &mut self,
        meta: &SnapshotMeta,
        content: Fetched,
    ) -> Result<(), io::Error> {
        let (Some(id), Some(mut content)) = (meta.last_log_id, content) else {
            return Err(io::Error::other("a snapshot without content"));
        };
        // What contradicts the content is cut off the log before the content is there, also after a crash.
        self.log.settle().await?;
        let (index, term) = (Index(id.index), **id.committed_leader_id());
        let installed = content.install(index, term).await;
        installed.map_err(io::Error::other)?;
        self.applied = Some(id);
        self.membership = meta.last_membership.clone();
        self.progress.installed(meta.clone());
        self.events.send(ConsensusEvent::Replaced { index, term });
        // Only now the replica may write its store again: another content may be on its way already, for which it may not.
        drop(content);
        Ok(())
    }

    async fn get_current_snapshot(&mut self) -> Result<Option<Snapshot>, io::Error> {
        let snapshot = self
            .progress
            .snapshot
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        Ok(snapshot.clone().map(|meta| Snapshot {
            meta,
            snapshot: None,
        }))
    }
}

/// Takes note of what is durable.
pub(crate) struct Builder {
    log: LogStore,
    applied: Option<LogId>,
    membership: StoredMembership,
    progress: Arc<Progress>,
}

impl RaftSnapshotBuilder<TypeConfig> for Builder {
    type SnapshotData = Fetched;

    async fn build_snapshot(&mut self) -> Result<Snapshot, io::Error> {
        let durable = self
            .progress
            .durable_next
            .load(Ordering::Acquire)
            .checked_sub(1);
        let last_log_id = match (durable, self.applied) {
            (Some(durable), Some(applied)) if durable < applied.index => {
                self.log.log_id_at(durable)?
            }
            (Some(_), applied) => applied,
            (None, _) => None,
        };
        // A membership that is newer than the snapshot is not part of it.
        let membership = match *self.membership.log_id() <= last_log_id {
            true => self.membership.clone(),
            false => self.log.membership_at(last_log_id.as_ref()),
        };
        let meta = SnapshotMeta {
            last_log_id,
            last_membership: membership,
        };
        let mut snapshot = self
            .progress
            .snapshot
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        *snapshot = Some(meta.clone());
        Ok(Snapshot {
            meta,
            snapshot: None,
        })
    }
}
