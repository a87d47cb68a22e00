//! Gaining and losing the leadership.

use std::collections::VecDeque;
use std::time::Instant;

use skep_protocol::Position;
use skep_protocol::{
    CheckpointId, Epoch, EpochEntry, LogEntry, PartitionId, RequestId, Response, Sequence,
};
use tracing::{error, info};

use crate::limits::{ANNOUNCED_TYPES_MAX, DUE_POLL_MS};
use crate::replica::Replica;
use crate::{Consensus, Effects, Refusal, ReplicaError, Role, Tally};
use skep_engine::Send;
use skep_engine::tables::jobs;

/// Where a replica stands between follower and leader.
#[derive(Debug)]
pub(crate) enum Leadership {
    /// Somebody else leads, or nobody.
    Follower,
    /// Raft has elected this node; its epoch entry is not applied yet, so it does not know all that was committed before.
    Elected {
        /// Raft's term.
        term: u64,
        /// In the epoch entry, to know it again.
        nonce: u64,
        /// When to propose the entry, because it was refused before; `None` if it is on its way, or not proposed as long as the
        /// replica is held back.
        again_at: Option<i64>,
    },
    /// This replica processes commands.
    Leading(Leading),
}

impl Leadership {
    /// Raft's term, unless a follower.
    pub const fn term(&self) -> Option<u64> {
        match self {
            Leadership::Follower => None,
            Leadership::Elected { term, .. } => Some(*term),
            Leadership::Leading(leading) => Some(leading.term),
        }
    }
}

/// A leadership under way.
#[derive(Debug)]
pub(crate) struct Leading {
    pub term: u64,
    pub epoch: Epoch,
    /// Sequence of the batch proposed last.
    pub sequence: Sequence,
    /// Position of the record proposed last.
    pub position: Position,
    /// Time of the batch proposed last.
    pub time: i64,
    /// Batches proposed and not applied, oldest first.
    pub in_flight: VecDeque<InFlight>,
    /// When to look for due commands again, in epoch milliseconds.
    pub due_at: Option<i64>,
    /// Something was processed since the last look.
    pub due_unknown: bool,
    /// When the last look was.
    pub due_polled_at: i64,
}

impl Leading {
    /// When to look for what is due at the earliest.
    pub fn next_poll(&self) -> i64 {
        self.due_polled_at.saturating_add(DUE_POLL_MS)
    }
}

/// Why a leadership is over, which decides what its requests are told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Lost {
    /// Somebody else may lead now. What is in the log may be applied yet.
    Leadership,
    /// A proposal was refused. The batch proposed last cannot be applied, since it, or one before it, was refused. An earlier batch
    /// may be in the log and be applied yet.
    Proposal(Refusal),
    /// Another leadership has begun: of this one nothing will be applied any more.
    Fenced,
}

impl Lost {
    /// For requests of the batch proposed last, and of those before it.
    const fn of_batch(&self, is_last: bool) -> &Refusal {
        match self {
            Lost::Proposal(refusal) if is_last => refusal,
            Lost::Leadership | Lost::Proposal(_) => &Refusal::LeaderLost,
            Lost::Fenced => &Refusal::NotLeader,
        }
    }

    /// For what waits.
    const fn of_queue(&self) -> &Refusal {
        match self {
            Lost::Proposal(refusal) => refusal,
            Lost::Leadership | Lost::Fenced => &Refusal::NotLeader,
        }
    }
}

/// What happens once a batch is applied.
#[derive(Debug)]
pub(crate) struct InFlight {
    pub sequence: Sequence,
    /// Position of its last record.
    pub last_position: Position,
    pub responses: Vec<Response>,
    /// Requests of the batch's commands, to be refused if it is lost.
    pub requests: Vec<RequestId>,
    /// Requests that it answers although their commands are in earlier batches, and so have been executed.
    pub answered_later: Vec<RequestId>,
    pub sends: Vec<Send>,
    pub acknowledgements: Vec<(PartitionId, u64)>,
    pub jobs_available: Vec<String>,
    pub checkpoint: CheckpointId,
    /// What its records say.
    pub tally: Tally,
    /// When it was proposed.
    pub proposed: Instant,
}

impl<C: Consensus, E: Effects> Replica<C, E> {
    /// Whether this replica processes commands.
    pub fn is_leading(&self) -> bool {
        matches!(self.leadership, Leadership::Leading(_))
    }

    /// Raft has elected this node: begins an epoch. Processing begins when that entry is applied, since by then everything
    /// committed before it is.
    pub(crate) fn became_leader(&mut self, term: u64) {
        let nonce = self.draw();
        self.leadership = Leadership::Elected {
            term,
            nonce,
            again_at: None,
        };
        if self.held_back.is_on() {
            // Another content may come yet. Once that is decided, this is called again.
            return;
        }
        let entry = EpochEntry {
            nonce,
            time: self.now,
        };
        self.consensus.propose(LogEntry::Epoch(entry).encode());
    }

    /// Proposes the epoch entry again, if it was refused and that is long enough ago.
    pub(crate) fn retry_epoch(&mut self) {
        if let Leadership::Elected { term, again_at, .. } = self.leadership
            && again_at.is_some_and(|at| at <= self.now)
        {
            self.became_leader(term);
        }
    }

    /// An epoch entry is applied: raises the epoch, and begins to lead if the entry is this replica's.
    pub(crate) fn begin_epoch(&mut self, entry: EpochEntry) -> Result<(), ReplicaError> {
        if self.is_leading() {
            // Another leader's entry: this leadership is over, whatever raft has told yet.
            self.lose_leadership(&Lost::Fenced);
        }
        self.applied.epoch += 1;
        self.applied.sequence = 0;
        self.applied.time = self.applied.time.max(entry.time);
        self.applied.apply(&mut self.overlay);
        let Leadership::Elected { term, nonce, .. } = self.leadership else {
            return Ok(());
        };
        if nonce != entry.nonce {
            return Ok(());
        }
        assert_eq!(
            self.overlay.pending_batches(),
            0,
            "a new leader starts with an empty overlay"
        );
        self.leadership = Leadership::Leading(Leading {
            term,
            epoch: self.applied.epoch(),
            sequence: self.applied.sequence(),
            position: self.applied.position(),
            time: self.applied.time,
            in_flight: VecDeque::new(),
            due_at: None,
            due_unknown: true,
            due_polled_at: i64::MIN,
        });
        info!(
            term,
            epoch = self.applied.epoch,
            position = self.applied.position,
            "leads"
        );
        self.effects
            .role_changed(Role::Leader, self.applied.epoch());
        self.clock.not_before(self.applied.time);
        self.forget_measured();
        self.find_deadly()?;
        self.resend_all()?;
        self.announce_jobs()?;
        self.take_over_backups()
    }

    /// Instances whose evaluation has killed the process before are to be banned first; what is of none is to be refused.
    fn find_deadly(&mut self) -> Result<(), ReplicaError> {
        self.to_ban.clear();
        self.to_refuse.clear();
        for subject in self.note.deadly() {
            match subject.owner(&self.overlay.applied())? {
                Some(instance) => self.to_ban.push(instance),
                None => {
                    error!(
                        intent = subject.intent.name(),
                        key = subject.key.0,
                        "an evaluation has ended the node more than once; it is refused when it comes again"
                    );
                    self.to_refuse.push(subject);
                }
            }
        }
        Ok(())
    }

    /// Workers that wait for jobs have heard of none from this leader.
    fn announce_jobs(&mut self) -> Result<(), ReplicaError> {
        for job_type in jobs::activatable_types(&self.overlay.applied(), ANNOUNCED_TYPES_MAX)? {
            self.effects.jobs_available(&job_type);
        }
        Ok(())
    }

    /// Drops all that depended on the leadership.
    pub(crate) fn lose_leadership(&mut self, why: &Lost) {
        let former = std::mem::replace(&mut self.leadership, Leadership::Follower);
        self.overlay.drop_pending();
        self.forget_evaluations();
        if let Leadership::Leading(leading) = former {
            let batches = leading.in_flight.len();
            for (batch, number) in leading.in_flight.into_iter().zip(1..) {
                for request in batch.requests {
                    let refusal = why.of_batch(number == batches);
                    self.effects.refuse(request, refusal.clone());
                }
                for request in batch.answered_later {
                    self.effects.refuse(request, Refusal::LeaderLost);
                }
            }
            self.effects
                .role_changed(Role::Follower, self.applied.epoch());
        }
        self.refuse_queue(why.of_queue());
    }
}
