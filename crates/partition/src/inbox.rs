//! The way into a replica: bounded for clients, open for what the replica itself has asked for.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc;
use std::time::Instant;

use skep_protocol::{CheckpointId, Command, Envelope, Intent, RequestId};
use skep_protocol::{DeploymentIntent, JobIntent, ProcessInstanceIntent};
use skep_rate::{Bucket, Rate};
use skep_state::{FlushTicket, StateError};

use crate::consensus::{ConsensusEvent, ConsensusEvents};
use crate::limits::INBOX_COMMANDS;
use crate::{FrozenContent, Inspection, Refusal};

/// Something that a replica reacts to.
pub enum Event {
    /// A client's command.
    Command {
        /// The command.
        command: Command,
        /// Who waits for the answer.
        request: Option<RequestId>,
        /// When it was taken in; nothing but what is measured depends on it.
        submitted: Instant,
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
    /// Nothing has come of that attempt, or the replica has been told what has.
    WriteBackAgain {
        /// Which.
        attempt: u64,
    },
    /// Ends the replica.
    Stop,
}

/// Within what limits client commands are taken in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FlowControl {
    /// How many may wait.
    pub waiting_max: u32,
    /// Records that may be written in a second, as much at once after a rest; `None` for as many as can be.
    pub records_per_second: Option<u32>,
}

impl Default for FlowControl {
    fn default() -> FlowControl {
        FlowControl {
            waiting_max: INBOX_COMMANDS,
            records_per_second: None,
        }
    }
}

#[derive(Debug)]
struct Gauge {
    limits: FlowControl,
    /// Records that may be written; what is written without a client's command counts as well.
    records: Option<Bucket>,
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
pub fn inbox(limits: FlowControl) -> (Inbox, Receiver) {
    let (sender, events) = mpsc::channel();
    let records = limits
        .records_per_second
        .map(|rate| Bucket::new(Rate::new(rate, rate), Instant::now()));
    let gauge = Arc::new(Gauge {
        limits,
        records,
        commands: AtomicUsize::new(0),
        disk_full: AtomicBool::new(false),
        closed: AtomicBool::new(false),
    });
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
        let relieves = relieves(command.intent);
        if let Some(records) = &self.gauge.records
            && !relieves
            && !records.has_one(Instant::now())
        {
            return Err(Refusal::WriteRate);
        }
        let waiting = self.gauge.commands.fetch_add(1, Ordering::Relaxed);
        if waiting >= self.gauge.limits.waiting_max as usize && !relieves {
            self.gauge.commands.fetch_sub(1, Ordering::Relaxed);
            return Err(Refusal::Busy);
        }
        let event = Event::Command {
            command,
            request,
            submitted: Instant::now(),
        };
        self.sender.send(event).map_err(|_| {
            self.gauge.commands.fetch_sub(1, Ordering::Relaxed);
            Refusal::NotLeader
        })
    }

    /// Hands over any other event.
    pub fn push(&self, event: Event) {
        // A replica that has stopped, or never began, needs no events any more.
        let _ = self.sender.send(event);
    }

    /// How many client commands wait.
    pub fn waiting(&self) -> usize {
        self.gauge.commands.load(Ordering::Relaxed)
    }

    /// Within what limits they are taken in.
    pub fn limits(&self) -> FlowControl {
        self.gauge.limits
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

/// Commands that make room rather than take it are taken in above the limits, as Zeebe does. Refusing them would lead to more
/// records, not less: a job that is not completed times out and is worked on again. The records that they write count.
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

    /// So many records were written, whatever for.
    pub fn wrote(&self, records: u64) {
        if let Some(bucket) = &self.gauge.records
            && records > 0
        {
            bucket.charge(records, Instant::now());
        }
    }

    /// Refuses everything from now on.
    pub fn close(&self) {
        self.gauge.closed.store(true, Ordering::Release);
    }
}

impl Drop for Receiver {
    /// Also when the replica could not be started.
    fn drop(&mut self) {
        self.close();
    }
}

#[cfg(test)]
mod tests {
    use skep_protocol::values::{Job, ProcessInstanceCreation};
    use skep_protocol::{Key, ProcessInstanceCreationIntent};

    use super::*;

    fn creation() -> Command {
        let intent = ProcessInstanceCreationIntent::Create;
        Command::new(Key(-1), intent, ProcessInstanceCreation::default())
    }

    fn completion() -> Command {
        Command::new(Key(1), JobIntent::Complete, Job::default())
    }

    #[test]
    fn as_many_commands_wait_as_may_and_those_that_make_room_beyond_that() {
        let limits = FlowControl {
            waiting_max: 2,
            ..FlowControl::default()
        };
        let (inbox, receiver) = inbox(limits);
        assert_eq!(inbox.submit(creation(), None), Ok(()));
        assert_eq!(inbox.submit(creation(), None), Ok(()));
        assert_eq!(inbox.submit(creation(), None), Err(Refusal::Busy));
        assert_eq!(inbox.submit(completion(), None), Ok(()));
        assert_eq!(inbox.waiting(), 3);
        receiver.command_taken();
        receiver.command_taken();
        assert_eq!(inbox.submit(creation(), None), Ok(()));
    }

    #[test]
    fn when_more_is_written_than_may_be_commands_are_refused_but_those_that_make_room() {
        let limits = FlowControl {
            records_per_second: Some(1),
            ..FlowControl::default()
        };
        let (inbox, receiver) = inbox(limits);
        assert_eq!(inbox.submit(creation(), None), Ok(()));
        receiver.wrote(1_000_000);
        assert_eq!(inbox.submit(creation(), None), Err(Refusal::WriteRate));
        assert_eq!(inbox.submit(completion(), None), Ok(()));
        assert_eq!(inbox.waiting(), 2);
    }

    #[test]
    fn what_nobody_will_take_out_is_refused_at_once() {
        let (inbox, receiver) = inbox(FlowControl::default());
        drop(receiver);
        for _ in 0..2 * INBOX_COMMANDS {
            let submitted = inbox.submit(creation(), None);
            assert_eq!(submitted, Err(Refusal::NotLeader));
        }
        assert_eq!(inbox.waiting(), 0);
    }
}
