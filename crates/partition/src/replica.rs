//! The replica: its parts, its events.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use prost::Message as _;
use skep_engine::{Engine, EngineConfig, Input, Subject};
use skep_protocol::{CheckpointId, Command, Key, NodeId, PartitionId};
use skep_state::{Applied, Overlay, Store};
use tracing::{info, warn};

use crate::bookkeeping::STATE_VERSION;
use crate::clock::Clock;
use crate::consensus::{ConsensusEvent, Unproposed};
use crate::job_types::JobTypeNames;
use crate::leader::{Leadership, Lost};
use crate::limits::{
    ENVELOPES_WAITING_MAX, EPOCH_RETRY_MS, LAYER_AGE_MS_MAX, LAYER_BYTES_MAX, REPLAY_BYTES_MAX,
    UNFLUSHED_BYTES_MAX,
};
use crate::measures::Measures;
use crate::note::{NoNote, Note};
use crate::open_incidents::OpenIncidents;
use crate::replace::HeldBack;
use crate::resend::Resend;
use crate::tally::Remembered;
use crate::{
    Bookkeeping, Consensus, Effects, Event, FrozenBackup, LocalPosition, Reading, Refusal,
    ReplicaError, Role,
};

/// What a replica is, for its whole life.
#[derive(Debug, Clone)]
pub struct ReplicaConfig {
    /// The partition that it is a copy of.
    pub partition: PartitionId,
    /// How many partitions the cluster has.
    pub partition_count: u32,
    /// The node that it lives on.
    pub node: NodeId,
    /// Seed of its random choices.
    pub seed: u64,
}

/// What waits to be evaluated.
pub(crate) struct Queued {
    pub input: Input,
    /// When a client's command was taken in.
    pub submitted: Option<Instant>,
}

impl From<Input> for Queued {
    fn from(input: Input) -> Queued {
        Queued {
            input,
            submitted: None,
        }
    }
}

/// One replica of a partition.
pub struct Replica<C, E> {
    pub(crate) config: ReplicaConfig,
    pub(crate) engine: Engine,
    pub(crate) overlay: Overlay,
    pub(crate) consensus: C,
    pub(crate) effects: E,
    /// Progress as of the last applied entry.
    pub(crate) applied: Bookkeeping,
    /// Log id of the last applied entry.
    pub(crate) local: LocalPosition,
    pub(crate) leadership: Leadership,
    /// Commands and envelopes that wait, oldest first.
    pub(crate) queue: VecDeque<Queued>,
    /// How many clients' commands of the queue have been taken out since the caller last asked.
    pub(crate) commands_taken: usize,
    pub(crate) records_written: u64,
    pub(crate) remembered: Remembered,
    pub(crate) measures: Arc<Measures>,
    pub(crate) frozen: Vec<FrozenBackup>,
    pub(crate) given_up: Vec<CheckpointId>,
    pub(crate) held_back: HeldBack,
    pub(crate) resend: Resend,
    /// What is being evaluated, for the next process.
    pub(crate) note: Box<dyn Note>,
    /// Instances to be banned before anything else is evaluated.
    pub(crate) to_ban: Vec<Key>,
    /// What has killed its process too often and is of no process instance.
    pub(crate) to_refuse: Vec<Subject>,
    pub(crate) clock: Clock,
    /// What the clock said last.
    pub(crate) now: i64,
    pub(crate) log_bytes_since_rotation: usize,
    rotated_at: i64,
    /// Bytes of entries that are applied, but consensus has not been told so.
    untold_bytes: usize,
    draws: u64,
    #[cfg(feature = "testkit")]
    pub(crate) testkit: testkit::Testkit,
}

impl<C: Consensus, E: Effects> Replica<C, E> {
    /// A follower over what the store holds. Consensus must deliver entries from the store's applied index on.
    pub fn open(
        config: ReplicaConfig,
        store: Arc<dyn Store>,
        consensus: C,
        effects: E,
    ) -> Result<Replica<C, E>, ReplicaError> {
        let local = match store.meta()? {
            Some(meta) => LocalPosition::read(&meta)?,
            None => LocalPosition::default(),
        };
        let overlay = Overlay::new(store);
        let applied = Bookkeeping::read(&overlay)?;
        if applied.state_version > STATE_VERSION {
            return Err(ReplicaError::StateVersion {
                found: applied.state_version,
                known: STATE_VERSION,
            });
        }
        let engine = new_engine(&config);
        Ok(Replica {
            draws: config.seed,
            config,
            engine,
            overlay,
            consensus,
            effects,
            applied,
            local,
            leadership: Leadership::Follower,
            queue: VecDeque::new(),
            commands_taken: 0,
            records_written: 0,
            remembered: Remembered::default(),
            measures: Arc::default(),
            frozen: Vec::new(),
            given_up: Vec::new(),
            held_back: HeldBack::default(),
            resend: Resend::default(),
            note: Box::new(NoNote),
            to_ban: Vec::new(),
            to_refuse: Vec::new(),
            clock: Clock::default(),
            now: 0,
            log_bytes_since_rotation: 0,
            rotated_at: 0,
            untold_bytes: 0,
            #[cfg(feature = "testkit")]
            testkit: testkit::Testkit::default(),
        })
    }

    /// Writes down from now on what is being evaluated, and bans or refuses what has killed its process.
    pub fn keep_note(&mut self, note: Box<dyn Note>) {
        self.note = note;
    }

    /// Takes one event in. Commands wait until [`Replica::run`].
    pub fn handle(&mut self, event: Event, now: Reading) -> Result<(), ReplicaError> {
        self.now = self.clock.read(now);
        match event {
            Event::Command {
                command,
                request,
                submitted,
            } => self.queue.push_back(Queued {
                input: Input::Client { command, request },
                submitted: Some(submitted),
            }),
            Event::Envelope(envelope) => self.take_envelope(envelope),
            Event::Consensus(event) => self.handle_consensus(event)?,
            Event::Flushed(ticket) => {
                self.overlay.flushed(&ticket);
                let durable = LocalPosition::read(ticket.meta())?;
                self.consensus.state_durable(durable.raft_index());
                self.tell_taken();
                self.tell_held();
            }
            Event::BackupEnded {
                checkpoint_id,
                result,
            } => self.backup_ended(checkpoint_id, result),
            Event::Inspect(look) => look(&self.inspect()),
            Event::Freeze(frozen) => frozen(self.freeze_content()),
            Event::HoldBack { attempt, held } => self.hold_back(attempt, held),
            Event::WriteBackAgain { attempt } => self.write_back_again(attempt),
            Event::Stop => {}
        }
        Ok(())
    }

    /// Evaluates what waits and what is due, and proposes it. Call after a run of events and when [`Replica::wake_in`] says so.
    pub fn run(&mut self, now: Reading) -> Result<(), ReplicaError> {
        self.now = self.clock.read(now);
        if self.is_leading() {
            self.fail_given_up();
            self.resend_overdue()?;
            self.remembered.open_incidents.count_on(&self.overlay)?;
            self.process()?;
            let incidents = self.remembered.open_incidents.known();
            self.measures.set_open_incidents(incidents);
        } else {
            self.retry_epoch();
            self.refuse_queue(&Refusal::NotLeader);
        }
        self.write_back_if_due();
        Ok(())
    }

    /// Has more entries handed over, unless too much of what is applied is not in the store yet: a follower has no other way to
    /// slow its leader down.
    ///
    /// While it is held back, what is applied is in the way of the content that is to take its place, and is thrown away then.
    pub(crate) fn tell_taken(&mut self) {
        let room = self.held_back.is_on() || self.overlay.unflushed_bytes() < UNFLUSHED_BYTES_MAX;
        if self.untold_bytes > 0 && room {
            self.consensus.taken(std::mem::take(&mut self.untold_bytes));
        }
    }

    fn handle_consensus(&mut self, event: ConsensusEvent) -> Result<(), ReplicaError> {
        match event {
            ConsensusEvent::BecameLeader { term } => {
                self.effects.elected();
                self.became_leader(term);
            }
            ConsensusEvent::LostLeadership { term } => {
                info!(term, "lost the leadership");
                self.lose_leadership(&Lost::Leadership);
            }
            ConsensusEvent::Committed { index, term, entry } => {
                let index = index.0;
                self.apply(LocalPosition { index, term }, &entry)?;
                self.untold_bytes += entry.len();
                self.tell_taken();
            }
            ConsensusEvent::Replaced { index, term } => {
                let index = index.0;
                self.content_replaced(LocalPosition { index, term })?;
            }
            ConsensusEvent::ProposalRefused { why, reason } => self.proposal_refused(why, &reason),
            ConsensusEvent::Failed { message } => return Err(ReplicaError::Consensus(message)),
        }
        Ok(())
    }

    /// Only a leader takes envelopes in, and only so many; a lost one is sent again.
    fn take_envelope(&mut self, envelope: skep_protocol::Envelope) {
        let room = self.queue.len() < ENVELOPES_WAITING_MAX;
        if room && !matches!(self.leadership, Leadership::Follower) {
            self.queue.push_back(Input::Envelope(envelope).into());
        }
    }

    /// Puts a command of the replica's own behind what waits.
    pub(crate) fn feed(&mut self, command: Command) {
        self.queue.push_back(Input::Internal(command).into());
    }

    pub(crate) fn refuse_queue(&mut self, refusal: &Refusal) {
        if !matches!(self.leadership, Leadership::Follower) {
            return;
        }
        for queued in std::mem::take(&mut self.queue) {
            if let Input::Client { request, .. } = queued.input {
                self.commands_taken += 1;
                if let Some(request) = request {
                    self.effects.refuse(request, refusal.clone());
                }
            }
        }
    }

    fn write_back_if_due(&mut self) {
        let full = self.overlay.active_bytes() > LAYER_BYTES_MAX
            || self.log_bytes_since_rotation > REPLAY_BYTES_MAX;
        let old =
            self.log_bytes_since_rotation > 0 && self.now - self.rotated_at > LAYER_AGE_MS_MAX;
        if (full || old) && self.overlay.frozen_layers() == 0 && !self.held_back.is_on() {
            self.rotate();
        }
    }

    /// Freezes the active layer and has it written back.
    pub(crate) fn rotate(&mut self) {
        let ticket = self.overlay.rotate(self.local.encode_to_vec().into());
        self.log_bytes_since_rotation = 0;
        self.rotated_at = self.now;
        self.effects.flush(ticket);
    }

    /// Freezes what has been applied so far and has it written back, before a planned stop.
    pub fn write_back(&mut self) {
        if self.log_bytes_since_rotation > 0 && !self.held_back.is_on() {
            self.rotate();
        }
    }

    /// A number that is not drawn twice in this replica's life.
    pub(crate) fn draw(&mut self) -> u64 {
        // SplitMix64: every state gives another output.
        self.draws = self.draws.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.draws;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// How many clients' commands have left the queue since the last call.
    pub fn take_commands_taken(&mut self) -> usize {
        std::mem::take(&mut self.commands_taken)
    }

    /// The names of the types of jobs that its tallies have numbers for.
    pub fn job_types(&self) -> JobTypeNames {
        self.remembered.job_types.names()
    }

    /// What it measures.
    pub fn measures(&self) -> Arc<Measures> {
        Arc::clone(&self.measures)
    }

    /// How many records have been proposed since the last call.
    pub fn take_records_written(&mut self) -> u64 {
        std::mem::take(&mut self.records_written)
    }

    /// How many frozen layers are on their way to the store.
    pub fn layers_to_flush(&self) -> usize {
        self.overlay.frozen_layers()
    }

    /// A look at the replica.
    pub fn inspect(&self) -> Inspection<'_> {
        Inspection {
            role: if self.is_leading() {
                Role::Leader
            } else {
                Role::Follower
            },
            bookkeeping: &self.applied,
            log_id: self.local,
            unflushed_bytes: self.overlay.unflushed_bytes(),
            waiting: self.queue.len(),
            frozen: &self.frozen,
            state: self.overlay.applied(),
        }
    }

    /// The effects' receiver.
    pub fn effects(&mut self) -> &mut E {
        &mut self.effects
    }

    /// The consensus below.
    pub fn consensus(&mut self) -> &mut C {
        &mut self.consensus
    }

    /// What the engine keeps in memory may follow from writes that have just been dropped: their keys are given again, to
    /// other things.
    pub(crate) fn forget_evaluations(&mut self) {
        self.engine = new_engine(&self.config);
        self.forget_measured();
    }

    /// Keys may be given again, or were given by another leader, who may have resolved incidents as well.
    pub(crate) fn forget_measured(&mut self) {
        self.remembered.ages.forget();
        self.remembered.open_incidents = OpenIncidents::default();
        self.measures.set_open_incidents(None);
    }

    /// Begins a new epoch, since what was evaluated on top of the proposal is void. If that is refused as well, it is tried again
    /// a little later.
    fn proposal_refused(&mut self, why: Unproposed, reason: &str) {
        let refusal = match why {
            Unproposed::NotLeader => Refusal::NotLeader,
            Unproposed::DiskFull => Refusal::DiskFull,
            Unproposed::TooMuch => Refusal::Busy,
        };
        let led = self.is_leading();
        let Some(term) = self.leadership.term() else {
            return;
        };
        self.lose_leadership(&Lost::Proposal(refusal));
        if led {
            warn!(
                reason,
                "a proposal was refused; what was evaluated on top of it is dropped"
            );
            return self.became_leader(term);
        }
        self.leadership = Leadership::Elected {
            term,
            nonce: self.draw(),
            again_at: Some(self.now + EPOCH_RETRY_MS),
        };
    }
}

/// An engine that has evaluated nothing yet.
fn new_engine(config: &ReplicaConfig) -> Engine {
    Engine::new(EngineConfig {
        partition: config.partition,
        partition_count: config.partition_count,
    })
}

/// What can be seen of a replica between two events.
pub struct Inspection<'a> {
    /// Its role.
    pub role: Role,
    /// Progress as of the last applied entry.
    pub bookkeeping: &'a Bookkeeping,
    /// Log id of the last applied entry.
    pub log_id: LocalPosition,
    /// Memory of applied writes that are not in the store yet, roughly.
    pub unflushed_bytes: usize,
    /// Commands and envelopes that wait.
    pub waiting: usize,
    /// Checkpoints whose content is frozen.
    pub frozen: &'a [FrozenBackup],
    /// Applied content.
    pub state: Applied<'a>,
}

/// What the simulator needs beyond the events.
#[cfg(feature = "testkit")]
pub mod testkit {
    use skep_engine::{Context, Input};
    use skep_protocol::Batch;

    /// Faults planted on purpose, which a simulator must find.
    #[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
    pub struct Faults {
        /// Batches of former epochs are applied.
        pub fence_off: bool,
        /// Envelopes that acknowledge carry no checkpoint id.
        pub untagged_acknowledgement: bool,
        /// Answers leave when a batch is proposed, not when it is applied.
        pub answer_early: bool,
    }

    /// A batch with all that it was evaluated from.
    #[derive(Debug, Clone)]
    pub struct Evaluated {
        /// Inputs in order, each with its context.
        pub inputs: Vec<(Input, Context)>,
        /// What came of them.
        pub batch: Batch,
    }

    /// The simulator's hooks of a replica.
    #[derive(Debug, Default)]
    pub struct Testkit {
        /// Planted faults.
        pub faults: Faults,
        /// Batches proposed since they were last taken; kept only where somebody takes them, since a build of the whole workspace
        /// gives this feature to the broker too.
        pub evaluated: Option<Vec<Evaluated>>,
    }
}

#[cfg(feature = "testkit")]
impl<C, E> Replica<C, E> {
    /// The simulator's hooks.
    pub fn testkit(&mut self) -> &mut testkit::Testkit {
        &mut self.testkit
    }
}
