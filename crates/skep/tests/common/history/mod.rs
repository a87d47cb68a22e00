//! Orders: instances that clients create, work on and pay, a ledger of what the clients were told, and what must therefore hold
//! in a restored backup, or in a cluster that has been through faults.

pub mod client;
pub mod ledger;
pub mod load;
pub mod remains;
pub mod restored;

use std::path::PathBuf;
use std::time::Duration;

use crate::common::repository;

pub const PARTITIONS: u32 = 3;

/// Only a broker from which something is missing needs as long.
pub const PATIENCE: Duration = Duration::from_secs(120);

/// The process of the orders.
pub fn process() -> PathBuf {
    repository().join("crates/skep/tests/common/history/process.bpmn")
}
