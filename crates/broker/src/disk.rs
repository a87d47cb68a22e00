//! Watching the free space: below the limit commands are refused, and taken again when there is room.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

use tracing::{info, warn};

use crate::partition::Partitions;

/// How often the disk is looked at.
const INTERVAL: Duration = Duration::from_millis(500);

/// Bytes that this process may still write to the directory's file system.
pub fn free_bytes(path: &std::path::Path) -> std::io::Result<u64> {
    let stat = rustix::fs::statvfs(path)?;
    Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
}

/// Watches until `stop` is dropped.
pub fn watch(
    directory: PathBuf,
    free_bytes_min: u64,
    log_full: impl Fn() -> bool,
    partitions: Arc<Partitions>,
    stop: &Receiver<()>,
) {
    let mut was_full = false;
    while stop.recv_timeout(INTERVAL) == Err(RecvTimeoutError::Timeout) {
        let free = match free_bytes(&directory) {
            Ok(free) => free,
            Err(error) => {
                warn!(%error, directory = %directory.display(), "look at the free space");
                continue;
            }
        };
        let full = free < free_bytes_min || log_full();
        if full != was_full {
            was_full = full;
            if full {
                warn!(
                    free,
                    free_bytes_min, "out of disk space: commands are refused until there is room"
                );
            } else {
                info!(free, "there is room on the disk again: commands are taken");
            }
        }
        for partition in partitions.iter() {
            partition.inbox.set_disk_full(full);
        }
    }
}
