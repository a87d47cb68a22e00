//! Record model of Skep: identities, record types, value types, intents, values, and the codec of every value that is
//! persisted or exchanged between partitions.
//!
//! **Invariants**
//! - Every persisted value has field numbers (protobuf encoding). A field number is never reused. New fields are written
//!   only after the partition's *state version* was raised, so a reader never meets a field that it does not know.
//! - Keys carry their partition in the upper bits; a key is never reused.
//! - Decoding never panics, whatever the bytes; it gives a [`DecodeError`].
//!
//! **Absent on purpose**: I/O, async, time, and every other crate of the project.

mod batch;
mod command;
mod error;
mod ids;
mod intent;
pub mod names;
pub mod node_message;
mod record;
mod rejection;
pub mod routing;
pub mod values;
pub mod wire;

pub use batch::{Batch, BatchHeader, EpochEntry, LogEntry, WriteOp};
pub use command::{Command, Envelope, EnvelopeBody, RequestId, Response, ResponseResult};
pub use error::DecodeError;
pub use ids::{
    CheckpointId, Epoch, Index, Key, NodeId, OperationReference, PartitionId, Position, Sequence,
};
pub use intent::*;
pub use record::{Record, RecordType};
pub use rejection::{Rejection, RejectionType};
pub use values::RecordValue;
