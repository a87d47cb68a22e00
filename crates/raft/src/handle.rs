//! A member as the node sees it: what others ask it, what it knows, handing the leadership over.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use openraft::async_runtime::WatchReceiver;
use openraft::{Instant, Raft, ServerState};
use skep_protocol::Index;
use tokio::sync::watch;

use crate::compaction::Kept;
use crate::formation::{ProofOf, Suffrage, Unfollowed};
use crate::incoming::{self, Incoming, Member};
use crate::leadership::LeaderSeen;
use crate::node::RaftError;
use crate::peers::RaftPeers;
use crate::rpc::{self, Appended, Request, Taken};
use crate::state_machine::StateMachine;
use crate::stats::RaftStats;
use crate::types::{LogId, TypeConfig, Vote};

/// The preferred member is given the leadership when it lacks no more entries than it gets in a moment.
const NEARLY_ALL: u64 = 1_000;

const NO_SUFFRAGE: &str =
    "it has begun without data, and does not vote until a leader has brought it up";

const TERMS_UNKNOWN: &str = "it has begun without data, and follows nobody until it has heard the terms of most of the others";

/// What a member is at the moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MemberRole {
    /// It has won the election of its term.
    Leader,
    /// It asks for votes.
    Candidate,
    /// It follows, or waits for a leader.
    Follower,
    /// It does not know the members yet.
    Learner,
}

/// Figures for metrics.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RaftMetrics {
    pub term: u64,
    pub leader: Option<u64>,
    pub role: MemberRole,
    pub last_index: Option<Index>,
    pub committed: Option<Index>,
    pub applied: Option<Index>,
    /// Entries up to it are gone from the log.
    pub purged: Option<Index>,
    /// As leader: up to where each of the other members has the log.
    pub matched: Vec<(u64, Option<Index>)>,
}

/// What came of [`RaftHandle::rebalance`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rebalanced {
    /// Another member leads now.
    Moved,
    /// This member does not lead, or is the preferred one.
    NotNeeded,
    /// The preferred member cannot lead at the moment: why.
    NotPossible(String),
}

/// Can be cloned and outlives its [`crate::RaftNode`]; it answers nothing then.
#[derive(Clone)]
pub struct RaftHandle {
    pub(crate) raft: Raft<TypeConfig, StateMachine>,
    pub(crate) node_id: u64,
    pub(crate) group: u32,
    /// The preferred leader first.
    pub(crate) members: Arc<[u64]>,
    pub(crate) kept: Arc<Kept>,
    pub(crate) suffrage: Arc<Suffrage>,
    pub(crate) incoming: Arc<Incoming>,
    pub(crate) peers: Arc<dyn RaftPeers>,
    pub(crate) leads: Arc<AtomicBool>,
    pub(crate) stats: Arc<RaftStats>,
    pub(crate) seen: watch::Receiver<LeaderSeen>,
    /// A member that has answered within it can be reached.
    pub(crate) lease: Duration,
}

impl RaftHandle {
    /// Answers what another member asks. Requests of one member have to be polled first in the order in which they came: what is
    /// done before this waits for the first time keeps that order.
    ///
    /// # Errors
    /// A refusal in words for the member that asks.
    pub async fn answer(&self, from: u64, request: Bytes) -> Result<Bytes, RaftError> {
        if !self.members.contains(&from) || from == self.node_id {
            return Err(RaftError::Refused(format!(
                "node {from} is no other member of this partition"
            )));
        }
        let request = rpc::decode_request(request);
        let request = request.map_err(|error| RaftError::Refused(error.to_string()))?;
        // Not even tokio's budget may make one request wait for another to pass it.
        tokio::task::unconstrained(self.serve(from, request)).await
    }

    async fn serve(&self, from: u64, request: Request) -> Result<Bytes, RaftError> {
        let refused = |error: String| RaftError::Refused(error);
        match request {
            Request::Append { append, keep_from } => {
                check_sender(from, &append.vote)?;
                if let Some(later) = self.later_than(&append.vote)? {
                    return Ok(rpc::encode_appended(&Appended::HigherVote(later)));
                }
                let proof = ProofOf::of(&append);
                let appended = self.raft.append_entries(append).await;
                let appended = appended.map_err(|error| refused(error.to_string()))?;
                if appended.is_success() {
                    self.stats.heard();
                    self.kept.set_from(keep_from);
                    if self.suffrage.is_earned_by(&proof) {
                        self.suffrage.grant().await;
                    }
                }
                Ok(rpc::encode_appended(&appended))
            }
            Request::Vote(ask) => {
                check_sender(from, &ask.vote)?;
                self.check_suffrage()?;
                let voted = self.raft.vote(ask).await;
                let voted = voted.map_err(|error| refused(error.to_string()))?;
                Ok(rpc::encode_voted(&voted))
            }
            Request::PreVote(ask) => {
                check_sender(from, &ask.vote)?;
                self.check_suffrage()?;
                let voted = self.raft.pre_vote(ask).await;
                let voted = voted.map_err(|error| refused(error.to_string()))?;
                Ok(rpc::encode_voted(&voted))
            }
            Request::Transfer(transfer) => {
                check_sender(from, transfer.from_leader())?;
                if self.suffrage.is_withheld() && *transfer.to_node_id() == self.node_id {
                    return Err(refused(NO_SUFFRAGE.to_owned()));
                }
                let transferred = self.raft.handle_transfer_leader(transfer).await;
                transferred
                    .map_err(|error| refused(error.to_string()))?
                    .map_err(|error| refused(error.to_string()))?;
                Ok(rpc::encode_transferred())
            }
            Request::Offer(offered) => {
                check_sender(from, &offered.vote)?;
                if let Some(later) = self.later_than(&offered.vote)? {
                    return Ok(rpc::encode_taken(&Taken::HigherVote(later)));
                }
                let member = Member {
                    group: self.group,
                    raft: &self.raft,
                    membership: incoming::membership_of(&self.members),
                    peers: &self.peers,
                };
                let taken = self.incoming.take(member, from, offered).await;
                Ok(rpc::encode_taken(&taken))
            }
            Request::History => {
                let has = self.suffrage.has_history_with(from);
                let has = has.map_err(|error| refused(error.to_string()))?;
                Ok(rpc::encode_history(has))
            }
        }
    }

    /// The later vote that keeps a member without its data from following this leader, if there is one.
    fn later_than(&self, leader: &Vote) -> Result<Option<Vote>, RaftError> {
        match self.suffrage.check_leader(leader) {
            Ok(()) => Ok(None),
            Err(Unfollowed::Outdated(later)) => Ok(Some(later)),
            Err(Unfollowed::TermsUnknown) => Err(RaftError::Refused(TERMS_UNKNOWN.to_owned())),
        }
    }

    fn check_suffrage(&self) -> Result<(), RaftError> {
        match self.suffrage.is_withheld() {
            true => Err(RaftError::Refused(NO_SUFFRAGE.to_owned())),
            false => Ok(()),
        }
    }

    /// Whether this member may have forgotten what it has promised: it neither votes nor stands for election until a leader has brought
    /// it up.
    pub fn is_newcomer(&self) -> bool {
        self.suffrage.is_withheld()
    }

    /// Whether there is another member that could lead.
    pub fn has_others(&self) -> bool {
        self.members.len() > 1
    }

    /// Whether this member leads and can propose.
    pub fn is_leader(&self) -> bool {
        self.leads.load(Ordering::Acquire)
    }

    /// Who leads, as this member knows it; changes are told at once.
    pub fn leader(&self) -> watch::Receiver<LeaderSeen> {
        self.seen.clone()
    }

    /// What it has sent and heard.
    pub fn stats(&self) -> &RaftStats {
        &self.stats
    }

    pub fn metrics(&self) -> RaftMetrics {
        let watched = self.raft.metrics();
        let now = watched.borrow_watched();
        let index = |id: &Option<LogId>| id.as_ref().map(|id| Index(id.index));
        let matched = now.replication.iter().flatten();
        let others = matched.filter(|(node, _)| **node != self.node_id);
        RaftMetrics {
            term: now.current_term,
            leader: now.current_leader,
            role: match now.state {
                ServerState::Leader => MemberRole::Leader,
                ServerState::Candidate => MemberRole::Candidate,
                ServerState::Follower => MemberRole::Follower,
                _ => MemberRole::Learner,
            },
            last_index: now.last_log_index.map(Index),
            committed: index(&now.local_committed),
            applied: index(&now.last_applied),
            purged: index(&now.purged),
            matched: others.map(|(node, id)| (*node, index(id))).collect(),
        }
    }

    /// The other members that have answered lately, with the index up to which they have the log.
    fn reachable(&self) -> Vec<(u64, Option<Index>)> {
        let answered: Vec<u64> = {
            let watched = self.raft.metrics();
            let now = watched.borrow_watched();
            let heard = now.heartbeat.iter().flatten();
            let lately =
                heard.filter(|(_, at)| at.as_ref().is_some_and(|at| at.elapsed() < self.lease));
            lately.map(|(node, _)| *node).collect()
        };
        let mut matched = self.metrics().matched;
        matched.retain(|(node, _)| answered.contains(node));
        matched
    }

    /// How many entries of this member's log one lacks that has it up to there.
    fn lacked(&self, matched: Option<Index>) -> u64 {
        let last = self.metrics().last_index.map_or(0, |index| index.0);
        last.saturating_sub(matched.map_or(0, |index| index.0))
    }

    /// Hands the leadership over to a member, and waits until another one leads. Proposals are refused meanwhile.
    ///
    /// # Errors
    /// If this member does not lead, or nobody has taken the leadership over in time.
    pub async fn transfer_leadership(&self, to: u64, patience: Duration) -> Result<(), RaftError> {
        if !self.is_leader() {
            return Err(RaftError::NotLeader);
        }
        if !self.members.contains(&to) {
            return Err(RaftError::Refused(format!("node {to} is no member")));
        }
        let mut seen = self.leader();
        let triggered = self.raft.trigger().transfer_leader(to).await;
        triggered.map_err(|error| RaftError::Refused(error.to_string()))?;
        let own = self.node_id;
        let other = seen.wait_for(|seen| seen.leader.is_some_and(|leader| leader != own));
        match tokio::time::timeout(patience, other).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(_)) => Err(RaftError::Stop("it has stopped".to_owned())),
            Err(_) => Err(RaftError::NotTakenOver(to)),
        }
    }

    /// Hands the leadership over to the member that has most of the log, if this one leads: before a planned stop.
    ///
    /// # Errors
    /// If no other member can be reached, or none has taken the leadership over in time.
    pub async fn hand_over(&self, patience: Duration) -> Result<(), RaftError> {
        if !self.is_leader() || self.members.len() == 1 {
            return Ok(());
        }
        let best = self
            .reachable()
            .into_iter()
            .max_by_key(|(_, matched)| *matched);
        match best {
            Some((node, _)) => self.transfer_leadership(node, patience).await,
            None => Err(RaftError::Refused(
                "no other member can be reached".to_owned(),
            )),
        }
    }

    /// Hands the leadership over to the next member in the order of preference, and round again, that can be reached and has nearly
    /// all of the log: for a leader that can do nothing itself at the moment. If the next one can't either and does the same, each comes in turn.
    ///
    /// # Errors
    /// As [`RaftHandle::transfer_leadership`], and if there is no such member.
    pub async fn pass_on(&self, patience: Duration) -> Result<(), RaftError> {
        let own = self.members.iter().position(|one| *one == self.node_id);
        let (before, after) = self.members.split_at(own.map_or(0, |own| own + 1));
        let reachable = self.reachable();
        let can_lead = |member: &&u64| {
            let mut others = reachable.iter();
            others.any(|(node, matched)| node == *member && self.lacked(*matched) <= NEARLY_ALL)
        };
        match after.iter().chain(before).find(can_lead) {
            Some(next) => self.transfer_leadership(*next, patience).await,
            None => Err(RaftError::Refused(
                "no other member that can be reached has nearly all of the log".to_owned(),
            )),
        }
    }

    /// Hands the leadership over to the preferred member, if that one can be reached and has nearly all of the log.
    ///
    /// # Errors
    /// As [`RaftHandle::transfer_leadership`].
    pub async fn rebalance(&self, patience: Duration) -> Result<Rebalanced, RaftError> {
        let preferred = self.members[0];
        if !self.is_leader() || preferred == self.node_id {
            return Ok(Rebalanced::NotNeeded);
        }
        let reachable = self.reachable();
        let Some((_, matched)) = reachable.into_iter().find(|(node, _)| *node == preferred) else {
            let reason = format!("node {preferred} can't be reached");
            return Ok(Rebalanced::NotPossible(reason));
        };
        let lacks = self.lacked(matched);
        if lacks > NEARLY_ALL {
            let reason = format!("node {preferred} lacks {lacks} entries of the log");
            return Ok(Rebalanced::NotPossible(reason));
        }
        self.transfer_leadership(preferred, patience).await?;
        Ok(Rebalanced::Moved)
    }
}

/// A member speaks for itself only.
fn check_sender(from: u64, vote: &Vote) -> Result<(), RaftError> {
    match vote.leader_id.voted_for {
        node if node == from => Ok(()),
        node => Err(RaftError::Refused(format!(
            "node {from} speaks for node {node}"
        ))),
    }
}
