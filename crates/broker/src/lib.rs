//! Wires the crates together: starts and stops a broker, restores its data directory. No logic that could live below.
//!
//! **Invariants**
//! - A data directory belongs to one process at a time, and a broker does not start in one that a restore has left half-way.
//! - What one partition cannot stand (a corrupt file, say) stops that partition; the others go on.
//! - A broken exporter holds up the compaction of the log and nothing else; without exporters nothing is done for them.
//! - A broker of one alone opens no port for other nodes; of several, each keeps the partitions that the configuration says.
//! - A broken backup store never holds processing up: uploads run beside it, within a deadline.

mod agreement;
mod backup_parts;
mod backups;
mod begun_file;
mod blob;
mod broker;
mod certificates;
mod clock;
mod cluster;
mod content;
mod counters;
mod data_dir;
mod disk;
mod effects;
mod error;
mod exporter_metrics;
mod exporters;
mod exporting_phase;
mod flow_metrics;
mod front;
mod gateway;
mod gateway_metrics;
mod local;
mod management;
mod metrics;
mod nodes;
mod partition;
mod partition_metrics;
mod raft_metrics;
mod replicas;
mod replication_metrics;
mod request_metrics;
mod request_stats;
mod requests;
mod restore;
mod router;
mod servers;
mod shown_histogram;
mod timing_metrics;
mod transfer;
mod view;

pub use blob::{open_blob_store, open_configured_store};
pub use broker::{Broker, Listening};
pub use clock::now_ms;
pub use error::BrokerError;
pub use gateway::Gateway;
pub use restore::{Restored, restore};

/// Version of Skep, as backups and Topology show it.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
