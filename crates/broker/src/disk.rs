//! Watching the free space: below the limit commands are refused, and taken again when there is room. Partitions that are led here are
//! handed over to brokers that may have room.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use skep_protocol::PartitionId;
use tokio::runtime::Handle;
use tracing::{info, warn};

use crate::partition::{Partition, Partitions};

/// How often the disk is looked at.
const INTERVAL: Duration = Duration::from_millis(500);
/// A partition that has come back is handed over again after that: if the disks of all are full, it need not go round all the time.
const HAND_OVER_AGAIN: Duration = Duration::from_secs(10);
/// How long the next leader may take to be elected.
const HAND_OVER_PATIENCE: Duration = Duration::from_secs(2);

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
    runtime: &Handle,
    stop: &Receiver<()>,
) {
    let mut was_full = false;
    let mut handed_over = BTreeMap::new();
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
            if full {
                hand_over(partition, &mut handed_over, runtime);
            }
        }
    }
}

/// Has another broker lead a partition that consensus wants to be led here, unless that was tried lately.
fn hand_over(partition: &Partition, tried: &mut BTreeMap<PartitionId, Instant>, runtime: &Handle) {
    let (id, raft) = (partition.id, partition.raft.get());
    let lately = |at: &Instant| at.elapsed() < HAND_OVER_AGAIN;
    let Some(raft) = raft.filter(|raft| raft.is_leader() && raft.has_others()) else {
        return;
    };
    if tried.get(&id).is_some_and(lately) {
        return;
    }
    tried.insert(id, Instant::now());
    let raft = raft.clone();
    runtime.spawn(async move {
        match raft.pass_on(HAND_OVER_PATIENCE).await {
            Ok(()) => info!(
                partition = id.0,
                "another broker leads, whose disk may have room"
            ),
            Err(error) => warn!(partition = id.0, %error, "no other broker has taken over"),
        }
    });
}
