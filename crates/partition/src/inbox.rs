//! The way into a replica: bounded for clients, open for what the replica itself has asked for.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc;

use skep_protocol::{CheckpointId, Command, Envelope, Intent, RequestId};
use skep_protocol::{DeploymentIntent, JobIntent, ProcessInstanceIntent};
use skep_state::{FlushTicket, StateError};

use crate::consensus::{ConsensusEvent, ConsensusEvents};
use crate::limits::INBOX_COMMANDS_MAX;
use crate::{FrozenContent, Inspection, Refusal};

/// Something that a replica reacts to.
pub enum Event {
    /// A client's command.
    Command {
        /// The command.
        command: Command,
        /// Who waits for the answer.
        request: Option<RequestId>,
    },
    /// Something from a partition.
    Envelope(Envelope),
    /// Something from consensus.
    Consensus(ConsensusEvent),
    /// A frozen layer is durable in the store.
    Flushed(FlushTicket),
    /// An upload has ended.
    BackupEnded {
        /// Which.
        checkpoint_id: CheckpointId,
        /// How; an error says why in words for the operator.
        result: Result<(), String>,
    },
    /// Looks at the replica between two batches.
    Inspect(Box<dyn FnOnce(&Inspection<'_>) + Send>),
    /// Freezes the content as it is now, for another replica.
    Freeze(Box<dyn FnOnce(Result<FrozenContent, StateError>) + Send>),
    /// The store is about to be given another content: nothing more is written back until then, or until it is given up. Told when
    /// nothing is on its way to the store any more.
    HoldBack {
        /// Names this attempt.
        attempt: u64,
        /// Who waits.
        held: Box<dyn FnOnce() + Send>,
    },
    /// Nothing has come of that attempt, or it is over.
    WriteBackAgain {
        /// Which.
        attempt: u64,
    },
    /// Ends the replica.
    Stop,
}

#[derive(Debug, Default)]
struct Gauge {
    commands: AtomicUsize,
    disk_full: AtomicBool,
    closed: AtomicBool,
}

/// Sends events to a replica.
#[derive(Clone)]
pub struct Inbox {
    sender: mpsc::Sender<Event>,
    gauge: Arc<Gauge>,
}

/// The replica's end.
pub struct Receiver {
    events: mpsc::Receiver<Event>,
    gauge: Arc<Gauge>,
}

/// A new inbox.
pub fn inbox() -> (Inbox, Receiver) {
    let (sender, events) = mpsc::channel();
    let gauge = Arc::new(Gauge::default());
    (
        Inbox {
            sender,
            gauge: Arc::clone(&gauge),
        },
        Receiver { events, gauge },
    )
}

impl Inbox {
    /// Submits a client's command, or refuses it at once.
    pub fn submit(&self, command: Command, request: Option<RequestId>) -> Result<(), Refusal> {
        if self.gauge.closed.load(Ordering::Acquire) {
            return Err(Refusal::NotLeader);
        }
        if self.is_disk_full() {
            return Err(Refusal::DiskFull);
        }
        let waiting = self.gauge.commands.fetch_add(1, Ordering::Relaxed);
        if waiting >= INBOX_COMMANDS_MAX && !relieves(command.intent) {
            self.gauge.commands.fetch_sub(1, Ordering::Relaxed);
            return Err(Refusal::Busy);
        }
        self.push(Event::Command { command, request });
        Ok(())
    }

    /// Hands over any other event.
    pub fn push(&self, event: Event) {
        // A replica that has stopped needs no events any more.
        let _ = self.sender.send(event);
    }

    /// How many client commands wait.
    pub fn waiting(&self) -> usize {
        self.gauge.commands.load(Ordering::Relaxed)
    }

    /// Whether client commands are refused for want of room.
    pub fn is_disk_full(&self) -> bool {
        self.gauge.disk_full.load(Ordering::Relaxed)
    }

    /// Refuses client commands while there is no room on the disk.
    pub fn set_disk_full(&self, full: bool) {
        self.gauge.disk_full.store(full, Ordering::Relaxed);
    }
}

impl ConsensusEvents for Inbox {
    fn send(&self, event: ConsensusEvent) {
        self.push(Event::Consensus(event));
    }
}

/// Commands that make room rather than take it are taken in above the limit (as Zeebe does), to a point.
fn relieves(intent: Intent) -> bool {
    matches!(
        intent,
        Intent::Job(JobIntent::Complete | JobIntent::Fail)
            | Intent::ProcessInstance(ProcessInstanceIntent::Cancel)
            | Intent::Deployment(DeploymentIntent::Create)
    )
}

impl Receiver {
    /// The next event that is there already.
    pub fn try_next(&self) -> Option<Event> {
        self.events.try_recv().ok()
    }

    /// Waits for the next event, at most that long.
    pub fn next_within(&self, wait: std::time::Duration) -> Option<Event> {
        self.events.recv_timeout(wait).ok()
    }

    /// A client command has left the replica's queue.
    pub fn command_taken(&self) {
        self.gauge.commands.fetch_sub(1, Ordering::Relaxed);
    }

    /// Refuses everything from now on.
    pub fn close(&self) {
        self.gauge.closed.store(true, Ordering::Release);
    }
}
