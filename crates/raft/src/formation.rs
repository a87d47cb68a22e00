//! How a member begins, and when it may vote.
//!
//! A member that has lost its disk has forgotten its votes and the entries that it told a leader it had. If it voted, two leaders
//! could be elected in one term, or one that lacks what was committed with this member's help. So a member that begins without data, or
//! without the log that it has begun before, as its [`BegunNote`] says, is a
//! **newcomer**: it follows, and its log counts then as any other's, but it neither votes nor stands for election until
//!
//! - a leader's entries show that it has every entry committed in that leader's term: that leader was elected without it, so it has
//!   all that was ever committed, and what the newcomer told it before has been forgotten with the first entries that did not fit; or
//! - most members, this one among them, know of no leader that the group ever had: then nothing was ever committed, and the group
//!   begins. (Those without their data, and those that no leader has ever reached, would be taken for that. So a member may lose its data
//!   only while most members are others that vote and have heard of a leader.)
//!
//! Nor does it follow whoever says that it leads: it may have promised a later leader to follow no earlier one, and entries may be
//! committed by that. So it first asks the others for their terms, so many of them that one of each majority that it was ever part of is
//! among them, and follows no leader of a term before the latest of these.
//!
//! Votes that it has forgotten do no harm then. If all the others have told their terms, those of all candidates that it can have voted
//! for are among them, and having followed a leader of such a term it votes in later ones only. If some have not, it does not vote before all
//! candidates have given up the elections that they had begun, each after its own timeout.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use futures::future::join_all;
use skep_protocol::Index;
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::begun::BegunNote;
use crate::log_store::LogStore;
use crate::node::RaftOptions;
use crate::peers::RaftPeers;
use crate::rpc::{self, Append, AskVote};
use crate::types::{Vote, log_id, vote};

/// Between two questions to the other members.
const ASK_EVERY: Duration = Duration::from_millis(100);
const LOG_GONE: &str = "the log is gone, and what was acknowledged may have been in it alone; put it back, or restore the data directory from a backup";
/// How long a member may take to answer one.
const ASK_PATIENCE: Duration = Duration::from_secs(2);

/// Begins the log if it is needed, and says whether this is the first start of a group that need not ask whether it is.
pub(crate) async fn form(
    store: &LogStore,
    options: &RaftOptions,
    note: &dyn BegunNote,
) -> Result<bool, String> {
    let text = |error: io::Error| error.to_string();
    if store.is_empty().map_err(text)? {
        let is_first = begin(store, options, note.is_there().map_err(text)?).await?;
        // Before anything is promised: a log that is gone from now on is missed.
        note.write().map_err(text)?;
        return Ok(is_first);
    }
    if !note.is_there().map_err(text)?
        && let Err(error) = note.write()
    {
        tracing::warn!(%error, "it could not be noted beside the log that the member has begun; the next start tries again");
    }
    let members = options.voters();
    let next = options.applied.map_or(0, |(index, _)| index.0 + 1);
    if store.first_index().map_err(text)? > next && members.len() > 1 {
        tracing::warn!(
            "the log begins after what the partition's state has; both are begun anew from the other members"
        );
        store.begin_anew().await.map_err(text)?;
        store.form(&members).await.map_err(text)?;
    }
    Ok(false)
}

/// Begins an empty log: as one of the first, or as a newcomer. Content of term 0 is that of a restore, which all members were given.
async fn begin(store: &LogStore, options: &RaftOptions, has_begun: bool) -> Result<bool, String> {
    let members = options.voters();
    let alone = members.len() == 1;
    let may_be_first = !has_begun && options.applied.is_none_or(|(_, term)| term == 0);
    if alone && !may_be_first {
        return Err(LOG_GONE.to_owned());
    }
    let is_first = may_be_first && (alone || options.applied.is_some());
    let begun = async {
        store.set_newcomer(!is_first).await?;
        match options.applied {
            None => store.form(&members).await,
            Some((Index(index), term)) => store.form_after(&members, log_id(index, term)).await,
        }
    };
    let begun: Result<(), io::Error> = begun.await;
    begun.map(|()| is_first).map_err(|error| error.to_string())
}

/// Whether a member may vote, for whoever asks it to.
pub(crate) struct Suffrage {
    store: LogStore,
    withheld: AtomicBool,
    /// A leader's entries have shown that it has all that was committed: then it has that also when nobody leads any more.
    proved: AtomicBool,
    /// What the others have told of their terms.
    heard: OnceLock<Heard>,
    /// No election that began before the member did lasts longer.
    elections_end: Instant,
    changed: Notify,
}

impl Suffrage {
    pub fn new(store: LogStore, longest_election: Duration) -> Arc<Suffrage> {
        Arc::new(Suffrage {
            withheld: AtomicBool::new(store.is_newcomer()),
            proved: AtomicBool::new(false),
            heard: OnceLock::new(),
            store,
            elections_end: Instant::now() + longest_election,
            changed: Notify::new(),
        })
    }

    pub fn is_withheld(&self) -> bool {
        self.withheld.load(Ordering::Acquire)
    }

    /// Whether the member may follow a leader.
    pub fn check_leader(&self, leader: &Vote) -> Result<(), Unfollowed> {
        if !self.is_withheld() {
            return Ok(());
        }
        match self.heard.get() {
            None => Err(Unfollowed::TermsUnknown),
            Some(Heard { latest, .. }) if leader.leader_id.term < latest.leader_id.term => {
                Err(Unfollowed::Outdated(*latest))
            }
            Some(_) => Ok(()),
        }
    }

    /// A leader's entries have been taken in. Gives whether the member may vote from now on, which has to be granted then.
    pub fn is_earned_by(&self, append: &ProofOf) -> bool {
        if self.is_withheld() && append.has_all_committed {
            self.proved.store(true, Ordering::Release);
        }
        self.is_earned()
    }

    fn is_earned(&self) -> bool {
        let proved = self.proved.load(Ordering::Acquire);
        let from_all = self.heard.get().is_some_and(|heard| heard.from_all);
        self.is_withheld() && proved && (from_all || Instant::now() >= self.elections_end)
    }

    /// From now on the member votes, also after a restart.
    pub async fn grant(&self) {
        match self.store.set_newcomer(false).await {
            Ok(()) => {
                self.withheld.store(false, Ordering::Release);
                self.changed.notify_one();
            }
            // The next entries try again.
            Err(error) => {
                tracing::warn!(%error, "it could not be written down that the member votes")
            }
        }
    }

    pub fn has_history_with(&self, node: u64) -> Result<bool, io::Error> {
        Ok(!self.is_withheld() && self.store.has_history_with(node)?)
    }

    /// Waits until the member may vote; asks the others whether the group has begun at all.
    pub async fn earn(
        &self,
        group: u32,
        own: u64,
        members: &[u64],
        peers: &dyn RaftPeers,
    ) -> Earned {
        while self.is_withheld() {
            if self.heard.get().is_none()
                && let Some(heard) = ask_terms(group, own, members, peers).await
            {
                // Only this task sets it.
                let _ = self.heard.set(heard);
            }
            // The leader that has shown it may be gone before it is time to vote.
            if self.is_earned() {
                self.grant().await;
            } else if !is_begun(group, own, members, peers).await {
                self.grant().await;
                if !self.is_withheld() {
                    return Earned::AsTheFirst;
                }
            }
            tokio::select! {
                () = self.changed.notified() => {}
                () = tokio::time::sleep(ASK_EVERY) => {}
            }
        }
        Earned::ByFollowing
    }
}

/// What a newcomer has heard of the terms of enough others.
struct Heard {
    /// It follows nobody of a term before.
    latest: Vote,
    /// Whether all have told theirs.
    from_all: bool,
}

/// Why a newcomer does not follow a leader.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unfollowed {
    /// Too few of the others have said yet which term they are in.
    TermsUnknown,
    /// There has been a vote in a later term.
    Outdated(Vote),
}

/// How a member has come to vote.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Earned {
    /// The group had not begun.
    AsTheFirst,
    /// It has all that was committed.
    ByFollowing,
}

/// What a leader's entries show of the member that has taken them in.
pub(crate) struct ProofOf {
    has_all_committed: bool,
}

impl ProofOf {
    /// Before openraft takes it away.
    pub fn of(append: &Append) -> ProofOf {
        let last = append.entries.last().map(|entry| entry.log_id);
        let last = last.or(append.prev_log_id);
        let term = append.vote.leader_id.term;
        let has = append
            .leader_commit
            .filter(|commit| **commit.committed_leader_id() == term)
            .is_some_and(|commit| last.is_some_and(|last| commit.index <= last.index));
        ProofOf {
            has_all_committed: has,
        }
    }
}

/// Asks the others for their terms. Nothing, unless so many answer that they have a member in common with each majority that `own` may
/// have been part of.
async fn ask_terms(group: u32, own: u64, members: &[u64], peers: &dyn RaftPeers) -> Option<Heard> {
    let others = members.iter().filter(|member| **member != own);
    let asked = others.map(|member| {
        // Nobody gives a vote in term 0; the answer has the one that was given.
        let question = rpc::encode_pre_vote(&AskVote::new(vote(0, own, false), None));
        peers.call(group, *member, question, ASK_PATIENCE)
    });
    let answers = join_all(asked).await;
    let heard = answers.into_iter().flatten().map(rpc::decode_voted);
    let votes: Vec<Vote> = heard.flatten().map(|voted| voted.vote).collect();
    let enough = votes.len() >= members.len() - members.len() / 2;
    let from_all = votes.len() == members.len() - 1;
    let latest = votes.into_iter().max_by_key(|vote| vote.leader_id.term);
    latest
        .filter(|_| enough)
        .map(|latest| Heard { latest, from_all })
}

/// Whether the group has had a leader: unless most members, this one included, say that they know of none.
async fn is_begun(group: u32, own: u64, members: &[u64], peers: &dyn RaftPeers) -> bool {
    let others = members.iter().filter(|member| **member != own);
    let asked = others.map(|member| {
        let question = rpc::encode_history_question();
        peers.call(group, *member, question, ASK_PATIENCE)
    });
    let answers = join_all(asked).await;
    let heard = answers.into_iter().flatten().map(rpc::decode_history);
    let known: Vec<bool> = heard.map_while(Result::ok).collect();
    known.contains(&true) || (known.len() + 1) * 2 <= members.len()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use bytes::Bytes;
    use futures::future::{BoxFuture, FutureExt, ready};
    use skep_log::testkit::MemFiles;
    use skep_log::{GroupId, LogOptions};

    use super::*;
    use crate::peers::PeerError;

    /// The terms that the other members tell, if they answer.
    struct Terms(Vec<Option<u64>>);

    impl RaftPeers for Terms {
        fn call(
            &self,
            _group: u32,
            target: u64,
            _request: Bytes,
            _patience: Duration,
        ) -> BoxFuture<'static, Result<Bytes, PeerError>> {
            let answer = self.0[target as usize].map(|term| {
                let voted = rpc::Voted::new(vote(term, target, false), None, false);
                rpc::encode_voted(&voted)
            });
            ready(answer.ok_or(PeerError::NotConnected)).boxed()
        }
    }

    /// A newcomer, last of the members, that has asked those who tell these terms.
    async fn newcomer(terms: &[Option<u64>]) -> Arc<Suffrage> {
        let files = Arc::new(MemFiles::new());
        let log = skep_log::LogStore::open(files, Path::new("/log"), LogOptions::default());
        let store = LogStore::open(log.unwrap().0.group(GroupId(1))).unwrap();
        store.set_newcomer(true).await.unwrap();
        let suffrage = Suffrage::new(store, Duration::from_secs(3_600));
        let own = terms.len() as u64;
        let members: Vec<u64> = (0..=own).collect();
        let peers = Terms(terms.to_vec());
        if let Some(heard) = ask_terms(1, own, &members, &peers).await {
            suffrage.heard.set(heard).ok().unwrap();
        }
        suffrage
    }

    #[tokio::test]
    async fn it_follows_nobody_of_a_term_before_the_latest_that_it_has_heard_of() {
        let follows = |suffrage: &Suffrage, term| suffrage.check_leader(&vote(term, 0, true));
        for terms in [&[Some(7), None][..], &[Some(7), Some(8), None, None]] {
            let suffrage = newcomer(terms).await;
            assert_eq!(follows(&suffrage, 9), Err(Unfollowed::TermsUnknown));
        }
        for terms in [&[Some(7), Some(3)][..], &[Some(5), Some(7), Some(6), None]] {
            let suffrage = newcomer(terms).await;
            assert!(matches!(
                follows(&suffrage, 6),
                Err(Unfollowed::Outdated(_))
            ));
            assert_eq!(follows(&suffrage, 7), Ok(()));
        }
    }

    /// Otherwise a new group would be without a leader when it lost another member in its first seconds.
    #[tokio::test]
    async fn having_heard_all_it_votes_as_soon_as_it_has_all_that_is_committed() {
        let proof = |has_all_committed| ProofOf { has_all_committed };
        for (terms, at_once) in [
            (&[Some(7), Some(3)][..], true),
            (&[Some(5), Some(7), Some(6), None], false),
        ] {
            let suffrage = newcomer(terms).await;
            assert!(!suffrage.is_earned_by(&proof(false)));
            assert_eq!(suffrage.is_earned_by(&proof(true)), at_once);
        }
    }
}
