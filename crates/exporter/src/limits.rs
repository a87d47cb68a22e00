//! Numbers that bound an exporter, each with its reason.

use std::time::Duration;

/// Log read at once. It bounds memory, and how long a stop waits.
pub const READ_BYTES: usize = 1 << 20;

/// Text gathered before it is written: large enough that system calls do not count.
pub const WRITE_BYTES: usize = 256 << 10;

/// Text that may wait for the disk: a sync of the log has to wait for what is written at the same time, so it must not be much.
pub const UNSYNCED_BYTES: u64 = 1 << 20;

/// Pause of an exporter that has caught up, in which commits gather: it bounds how often processing has to wake it.
pub const GATHER: Duration = Duration::from_millis(20);

/// First and longest pause of an exporter that has failed.
pub const RETRY_MIN: Duration = Duration::from_millis(500);
/// The longest.
pub const RETRY_MAX: Duration = Duration::from_secs(10);

/// How often an exporter whose turn it is not looks how far the one of the leader is.
pub const FOLLOW: Duration = Duration::from_secs(1);

/// How long a stop waits for what is not exported yet. The rest is exported after the next start.
pub const STOP_PATIENCE: Duration = Duration::from_secs(5);
