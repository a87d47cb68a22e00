//! The BPMN engine: one command and a transaction in, an outcome out.
//!
//! **Invariants**
//! - Pure: time, randomness and positions come in with [`Context`]; the same command on the same state gives the same outcome,
//!   so that a simulator can evaluate it again elsewhere and compare.
//! - A command is evaluated whole: its follow-up commands run in the same transaction, in order, until none is left or
//!   [`limits::FOLLOW_UPS_MAX`] is reached; the rest waits in the state and is found by [`Engine::due`].
//! - What goes to other partitions is numbered per target and stays in the state until it is acknowledged; what comes from
//!   them is taken in once and in order (see [`behaviours::channel`]).
//! - An error from here is a failed disk, never a wrong command: those are rejections, in the outcome.
//! - No recursion over what a user can nest.
//!
//! **Absent on purpose**: async, threads, files, network, clocks, Raft, the store, gRPC.

mod banned;
mod behaviours;
mod compiled;
mod context;
mod definitions;
mod elements;
mod engine;
mod instances;
mod json;
pub mod limits;
mod outcome;
mod processing;
mod processors;
mod subject;
pub mod tables;

pub use behaviours::channel::{targets_with_undelivered, undelivered};
pub use context::{Context, EngineConfig};
pub use engine::{Due, Engine, Failed, Failure, Input};
pub use outcome::{Outcome, Send};
pub use subject::{Subject, Watch};

#[cfg(test)]
mod tests;
