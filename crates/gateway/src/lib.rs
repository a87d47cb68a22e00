//! The gRPC interface that unmodified Zeebe clients speak, and the part of the REST interface that has no counterpart in it.
//!
//! Owns validation of what clients send, the choice of a partition, the waiting for and repetition of commands, long
//! polling for jobs, and the mapping of every outcome to a status. It reaches the brokers through [`Brokers`] alone.
//!
//! **Invariants**
//! - A command is sent again only when it has certainly not been taken in: [`BrokerError`] tells.
//! - Jobs that a client asked for and did not take are handed back at once, with their retries unchanged.
//! - No status is ever UNKNOWN, no document in an answer is ever empty text, no message exceeds the configured size.
//! - Parked polls end with [`serve`]; what waits for a broker may outlive it by that wait, to hand jobs back.
//!
//! **Absent on purpose**: engine, state, Raft, files, configuration reading, the network to the brokers.

mod brokers;
mod call_stats;
mod config;
mod documents;
mod health;
mod incoming;
mod job_streams;
mod limits;
mod long_polling;
pub mod proto;
mod rest;
mod retry;
mod routing;
mod rpc;
mod server;
mod status;

pub use brokers::{
    BrokerError, BrokerInfo, Brokers, Health, JobsAvailable, Leader, PartitionInfo, Role, Topology,
};
pub use call_stats::{CallStats, CallsSeen};
pub use config::{GatewayConfig, LongPollingConfig};
pub use documents::{DocumentError, document};
pub use rest::serve_rest;
pub use rpc::topology::GATEWAY_VERSION;
pub use server::{ServeError, serve};
