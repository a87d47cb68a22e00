//! Content that comes from the leader: fetched beside everything else, then installed at once.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use openraft::Raft;
use openraft::async_runtime::WatchReceiver;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::peers::RaftPeers;
use crate::rpc::{Offered, Taken};
use crate::state_machine::StateMachine;
use crate::types::{Snapshot, SnapshotMeta, StoredMembership, TypeConfig, Vote, log_id};

/// How long an answer waits for the end, so that the leader need not ask all the time.
const ANSWER_WITHIN: Duration = Duration::from_millis(500);

type Node = Raft<TypeConfig, StateMachine>;

/// What a member fetches, if it does.
#[derive(Default)]
pub(crate) struct Incoming(Mutex<Option<Fetching>>);

struct Fetching {
    offered: Offered,
    ended: watch::Receiver<Option<Taken>>,
    task: JoinHandle<()>,
}

impl Drop for Fetching {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// The member that fetches.
pub(crate) struct Member<'a> {
    pub group: u32,
    pub raft: &'a Node,
    pub membership: StoredMembership,
    pub peers: &'a Arc<dyn RaftPeers>,
}

impl Incoming {
    /// Begins to fetch what a leader offers, goes on with it, or says what came of it.
    pub async fn take(&self, member: Member<'_>, from: u64, offered: Offered) -> Taken {
        {
            let metrics = member.raft.metrics();
            let now = metrics.borrow_watched();
            if now.vote > offered.vote {
                return Taken::HigherVote(now.vote);
            }
            if now.local_committed >= Some(offered.last) {
                return Taken::Done;
            }
        }
        let mut ended = self.go_on(member, from, offered);
        let waited = tokio::time::timeout(ANSWER_WITHIN, ended.wait_for(Option::is_some)).await;
        let taken = match waited {
            Err(_) => return Taken::UnderWay,
            Ok(Ok(taken)) => taken.clone(),
            Ok(Err(_)) => None,
        };
        *self.lock() = None;
        taken.unwrap_or_else(|| Taken::Failed("it was given up".to_owned()))
    }

    /// Fetches this from now on; whatever else it was that was fetched is given up.
    fn go_on(
        &self,
        member: Member<'_>,
        from: u64,
        offered: Offered,
    ) -> watch::Receiver<Option<Taken>> {
        let mut current = self.lock();
        match current
            .as_ref()
            .filter(|current| current.offered == offered)
        {
            Some(current) => current.ended.clone(),
            None => {
                let fetching = fetch(member, from, offered);
                let ended = fetching.ended.clone();
                *current = Some(fetching);
                ended
            }
        }
    }

    /// Gives up what is fetched.
    pub fn give_up(&self) {
        *self.lock() = None;
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Fetching>> {
        // What is behind it is replaced as a whole.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn fetch(member: Member<'_>, from: u64, offered: Offered) -> Fetching {
    let group = member.group;
    tracing::info!(
        group,
        from,
        index = offered.last.index,
        "lacks more of the log than there is; fetches the leader's content"
    );
    let (told, ended) = watch::channel(None);
    let fetched = member.peers.fetch(group, from, offered.ticket.clone());
    let meta = SnapshotMeta {
        last_log_id: Some(offered.last),
        last_membership: member.membership,
    };
    let (raft, vote) = (member.raft.clone(), offered.vote);
    let task = tokio::spawn(async move {
        let begun = Instant::now();
        let fetched = tokio::select! {
            // In this order, so that it can be repeated.
            biased;
            later = later_vote(&raft, &vote) => Err(Taken::HigherVote(later)),
            fetched = fetched => fetched.map_err(Taken::Failed),
        };
        let taken = match fetched {
            Ok(content) => {
                let snapshot = Some(content);
                install(&raft, vote, Snapshot { meta, snapshot }).await
            }
            Err(ended) => ended,
        };
        match &taken {
            Taken::HigherVote(later) => {
                tracing::info!(group, from, %later, "the content is not taken: its leader is one no more");
            }
            Taken::Failed(reason) => {
                tracing::warn!(group, from, reason, "the leader's content did not come");
            }
            _ => {
                tracing::info!(group, from, took = ?begun.elapsed(), "brought up by the leader's content")
            }
        }
        told.send_replace(Some(taken));
    });
    Fetching {
        offered,
        ended,
        task,
    }
}

/// Waits until the member knows of a later vote than the one of whoever offers: it would not take the content, and may lead itself,
/// which it cannot while it fetches.
async fn later_vote(raft: &Node, offered: &Vote) -> Vote {
    let mut known = raft.server_metrics();
    loop {
        let now = known.borrow_and_update().vote;
        if now > *offered {
            return now;
        }
        if known.changed().await.is_err() {
            // Consensus has ended, and whoever ends it gives this up.
            return std::future::pending().await;
        }
    }
}

async fn install(raft: &Node, vote: Vote, snapshot: Snapshot) -> Taken {
    match raft.install_full_snapshot(vote, snapshot).await {
        Ok(answer) if answer.vote > vote => Taken::HigherVote(answer.vote),
        Ok(_) => Taken::Done,
        Err(error) => Taken::Failed(error.to_string()),
    }
}

/// Members never change: their log has them as its first entry.
pub(crate) fn membership_of(members: &[u64]) -> StoredMembership {
    let voters = members.iter().copied().collect();
    let membership = crate::types::Membership::new_with_defaults(vec![voters], []);
    StoredMembership::new(Some(log_id(0, 0)), membership)
}
