//! One replica of a partition: the leader's processor, everybody's applier, the epoch fence, checkpoints.
//!
//! [`Replica`] is a state machine without threads or clocks: events go in, [`Effects`] come out. [`thread`] runs it on a thread
//! of its own; the simulator runs many on one. Only for [`Measures`] it reads a clock, and nothing depends on those.
//!
//! **Invariants**
//! - A batch is applied if its epoch is the current one and its sequence the next; else it is fenced: nothing of it counts.
//! - An answer, a message or a notification leaves only after its batch was *applied* here. Committed is not enough.
//! - Every envelope carries the sender's applied checkpoint id; a receiver takes a higher checkpoint before the envelope.
//! - A checkpoint is the last record of its batch; the frozen view is the content right after that batch.
//! - While the store is about to be given another content, nothing is written back: it is older than what comes.
//! - What was proposed but not applied is only in the overlay's pending layers and is dropped with the leadership.
//!
//! **Absent on purpose**: openraft, the store's engine, gRPC, HTTP, how members are found.

mod ages;
mod apply;
mod backups;
mod bookkeeping;
mod clock;
pub mod consensus;
mod effects;
mod error;
mod inbox;
mod job_types;
mod leader;
pub mod limits;
mod measures;
mod note;
mod open_incidents;
mod process;
mod replace;
mod replica;
mod resend;
mod tally;
pub mod thread;

pub use backups::FrozenBackup;
pub use bookkeeping::{BOOKKEEPING_PREFIXES, Bookkeeping, LocalPosition};
pub use clock::Reading;
pub use consensus::{Consensus, ConsensusEvent, Unproposed};
pub use effects::{Effects, Refusal, Role};
pub use error::ReplicaError;
pub use inbox::{Event, FlowControl, Inbox, Receiver, inbox};
pub use job_types::{JOB_TYPES, JobTypeNames};
pub use measures::Measures;
pub use note::{FileNote, Note};
pub use replace::FrozenContent;
pub use replica::{Inspection, Replica, ReplicaConfig};
pub use tally::{AGES, Aged, ELEMENT_TYPES, ElementAction, Happened, JobAction, Tally};
