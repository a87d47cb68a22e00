//! The management API: HTTP on port 9600, with Zeebe's paths.
//!
//! **Invariants**
//! - Status, list and delete need no leader: they come from the backup store and from what the replicas of this node know.
//! - A stale backup id is always refused with 409 and the latest id; an id that is no positive integer with 400.
//! - A gateway of its own has no store and no replicas: what it is asked of those a broker answers.
//! - Where Zeebe's versions differ, each path answers as its own version does (docs/management-api.md).
//!
//! **Absent on purpose**: engine, Raft; how a checkpoint is taken.

mod backups;
mod cluster;
mod exporting;
mod health;
mod loggers;
mod node;
mod relay;
mod routes;
mod shapes;
mod status;
mod take;

pub use loggers::{Level, LoggerLevels, Loggers, NotSet};
pub use node::{
    CheckpointAnswer, ClusterBroker, ClusterPartition, ExportingChange, Health, KnownBackup, Node,
    PartitionReport, RequestError,
};
pub use relay::{Answered, Asked, GatewayNode};
pub use routes::{Api, Exposure, serve};
pub use status::merge;
