//! The record stream: out of a partition's log, as JSON, into exporters.
//!
//! An exporter of a partition runs on a thread of its own. It reads what is committed from the log, leaves out what the epoch
//! fence leaves out, hands record after record to an [`Exporter`], and writes down from time to time how far that is durable.
//!
//! **Invariants**
//! - Every record of an applied batch is exported at least once, and in order of its position. After a crash an exporter goes
//!   back to what was durable, and begins again from there.
//! - The position is written down after what it speaks of is durable, and the log is released after the position is.
//! - Nothing here is waited for by the partition: a broken exporter holds up the compaction of the log and nothing else.
//! - Memory is bounded by a piece of the log and a buffer, however far an exporter is behind.
//!
//! **Absent on purpose**: the engine, Raft, how the log is stored ([`CommittedLog`] is what is needed of it), configuration.

mod counts;
mod error;
mod exporter;
mod feed;
pub mod file;
mod filter;
mod json;
pub mod limits;
mod log;
mod position;
mod status;
pub mod thread;
mod worker;

pub use counts::Counted;
pub use error::ExportError;
pub use exporter::{Exported, Exporter, Mark};
pub use feed::{Feed, Phase};
pub use filter::{Filter, UnknownName};
pub use log::CommittedLog;
pub use position::{PositionFile, Progress};
pub use status::Status;
pub use worker::{Source, Worker};
