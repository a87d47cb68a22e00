//! Tells the replica about leadership and about the end of consensus.
//!
//! openraft's leader stays one when it can reach nobody; it only takes no proposals. Here it counts as leader as long as a quorum
//! has answered within its lease: so a leader that is cut off gives up what is in flight, and one that was just elected is told
//! so when it can propose. One that is not followed steadily lets another member lead.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use openraft::async_runtime::WatchReceiver;
use openraft::metrics::{RaftMetrics, RaftServerMetrics};
use openraft::{Instant, Raft, ServerState};
use skep_partition::consensus::{ConsensusEvent, ConsensusEvents};
use tokio::sync::watch;

use crate::state_machine::StateMachine;
use crate::stats::RaftStats;
use crate::steadiness::{Answers, Bounds, Steadiness};
use crate::types::TypeConfig;

type Watched<T> = openraft::type_config::alias::WatchReceiverOf<TypeConfig, T>;

/// Who leads, as a member knows it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LeaderSeen {
    /// The newest term that it has seen.
    pub term: u64,
    /// Its leader, if it has one.
    pub leader: Option<u64>,
}

/// Watches one member.
pub(crate) struct Watch {
    raft: Raft<TypeConfig, StateMachine>,
    own: u64,
    server: Watched<RaftServerMetrics<TypeConfig>>,
    all: Watched<RaftMetrics<TypeConfig>>,
    events: Arc<dyn ConsensusEvents>,
    leads: Arc<AtomicBool>,
    stats: Arc<RaftStats>,
    seen: watch::Sender<LeaderSeen>,
    group: u32,
    /// Of a group with several members.
    bounds: Option<Bounds>,
}

impl Watch {
    pub fn new(
        raft: &Raft<TypeConfig, StateMachine>,
        own: u64,
        events: Arc<dyn ConsensusEvents>,
        (leads, stats): (Arc<AtomicBool>, Arc<RaftStats>),
        seen: watch::Sender<LeaderSeen>,
        group: u32,
        bounds: Option<Bounds>,
    ) -> Self {
        Self {
            raft: raft.clone(),
            own,
            server: raft.server_metrics(),
            all: raft.metrics(),
            events,
            leads,
            stats,
            seen,
            group,
            bounds,
        }
    }

    /// How a quorum answers.
    fn answers(&self) -> Answers {
        let Some(bounds) = self.bounds else {
            return Answers::InTime;
        };
        #[cfg(feature = "testkit")]
        if crate::testkit::faults().lease_ignored {
            return Answers::InTime;
        }
        let now = self.all.borrow_watched();
        bounds.judge(now.last_quorum_acked.as_ref().map(|acked| acked.elapsed()))
    }

    fn tell(&self, before: Option<u64>, now: Option<u64>) {
        self.leads.store(now.is_some(), Ordering::Release);
        if let Some(term) = before {
            self.events.send(ConsensusEvent::LostLeadership { term });
        }
        if let Some(term) = now {
            self.stats.leads();
            self.events.send(ConsensusEvent::BecameLeader { term });
        }
    }

    /// Runs until the member ends.
    pub async fn run(mut self) {
        let mut leading: Option<u64> = None;
        let mut steadiness = self.bounds.map(Steadiness::new);
        loop {
            let elected = self.elected();
            let answers = self.answers();
            let now = elected.filter(|_| answers != Answers::Missing);
            if now != leading {
                self.tell(leading, now);
                leading = now;
            }
            if let (Some(term), Some(steadiness)) = (elected, &mut steadiness)
                && steadiness.gives_way(term, answers, tokio::time::Instant::now())
            {
                self.give_way(term).await;
            }
            if self.wait(elected.is_some(), now.is_some()).await.is_err() {
                break;
            }
        }
        if leading.is_some() {
            self.tell(leading, None);
        }
        let ended = self.all.borrow_watched().running_state.clone();
        match ended {
            Err(openraft::errors::Fatal::Stopped) => {}
            Err(error) => {
                let message =
                    format!("consensus can't go on: {error}; check the log's disk and restart");
                self.events.send(ConsensusEvent::Failed { message });
            }
            // Its task has panicked: it had no time to say why it ends.
            Ok(()) => {
                let message = "consensus can't go on: an internal check failed; restart the broker"
                    .to_owned();
                self.events.send(ConsensusEvent::Failed { message });
            }
        }
    }

    /// Has the member lead that has most of the log. Whether that hears of it or not, this one is silent from now on, so that others can
    /// be elected.
    async fn give_way(&self, term: u64) {
        let best = {
            let now = self.all.borrow_watched();
            let others = now.replication.iter().flatten();
            let others = others.filter(|(node, _)| **node != self.own);
            let best = others.max_by_key(|(_, matched)| matched.as_ref().map(|id| id.index));
            best.map(|(node, _)| *node)
        };
        let Some(next) = best else {
            return;
        };
        tracing::info!(
            group = self.group,
            term,
            next,
            "is not followed steadily and lets another member lead"
        );
        // It fails if consensus has ended, which shows elsewhere.
        let _ = self.raft.trigger().transfer_leader(next).await;
        self.stats.gave_way();
    }

    /// The term in which this member is openraft's leader.
    fn elected(&mut self) -> Option<u64> {
        let now = self.server.borrow_and_update();
        let seen = LeaderSeen {
            term: now.vote.leader_id.term,
            leader: now.current_leader,
        };
        let elected = (now.state == ServerState::Leader).then_some(seen.term);
        drop(now);
        let before = *self.seen.borrow();
        if before == seen {
            return elected;
        }
        self.seen.send_replace(seen);
        if self.bounds.is_some() && before.leader != seen.leader {
            let (group, term) = (self.group, seen.term);
            match seen.leader {
                Some(leader) => tracing::info!(group, term, leader, "has a leader"),
                None => tracing::info!(group, term, "has no leader"),
            }
        }
        elected
    }

    /// Waits until there may be something to tell; an error is the end.
    async fn wait(&mut self, elected: bool, leads: bool) -> Result<(), ()> {
        let Some(bounds) = self.bounds.filter(|_| elected) else {
            return self.server.changed().await.map_err(drop);
        };
        tokio::select! {
            // In this order, so that it can be repeated.
            biased;
            changed = self.server.changed() => changed.map_err(drop),
            // The first answer of a quorum shows only here. Later ones come all the time, and only their absence matters.
            changed = self.all.changed(), if !leads => changed.map_err(drop),
            () = tokio::time::sleep(bounds.look_every) => Ok(()),
        }
    }
}
