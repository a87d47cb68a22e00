//! Data that is lost: a node crashes, and its disk comes back empty, or without its log, or without one partition's state.
//!
//! **Invariant**: no more is lost than a group can bear. Whoever loses data leaves a majority behind that has its own, votes, and knows
//! that the group has had a leader: docs/cluster.md tells operators to see to that. A restored cluster's members know it by their content.

use skep_log::GroupLog;
use skep_partition::LocalPosition;
use skep_state::{MemoryStore, StateError, Store};

use crate::violation::{Check, Violation};
use crate::world::{Place, World};

/// Where the flags are in a group's blob, and the flag of a member that has no vote: docs/formats/raft-entry.md.
const BLOB_FLAGS: usize = 1;
const NO_VOTE: u8 = 8;

/// What is lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Loss {
    /// The log, and the state of all partitions.
    Disk,
    /// The log.
    Log,
    /// The state of one partition.
    State(usize),
}

impl Loss {
    fn concerns(self, partition: usize) -> bool {
        match self {
            Loss::Disk | Loss::Log => true,
            Loss::State(lost) => lost == partition,
        }
    }

    const fn is_of_log(self) -> bool {
        matches!(self, Loss::Disk | Loss::Log)
    }

    const fn is_of_states(self) -> bool {
        matches!(self, Loss::Disk | Loss::State(_))
    }
}

/// Whether a member votes, and has entries of some leader, also after a crash.
fn is_whole(log: &GroupLog) -> bool {
    let blob = log.durable_meta();
    let votes = blob.is_some_and(|blob| {
        blob.get(BLOB_FLAGS)
            .is_some_and(|flags| flags & NO_VOTE == 0)
    });
    votes && log.durable_next().is_ok_and(|next| next > 1)
}

impl World {
    /// Notes what a node's members have for sure.
    pub fn note_whole(&mut self, node: usize) {
        for partition in 0..self.partitions.len() {
            let place = Place { partition, node };
            // Who has lost its state drops the log that it still has as soon as it is open.
            let log = self.cluster.as_ref().and_then(|all| all.log(place));
            let state_lost = self.host(place).state_lost;
            if let Some(log) = log.filter(|_| !state_lost) {
                let whole = is_whole(&log);
                self.host(place).whole = whole;
                if whole {
                    self.partitions[partition].logs.votes(node);
                }
            }
        }
    }

    /// Whether each group that a loss concerns can bear it.
    fn is_bearable(&mut self, node: usize, loss: Loss) -> bool {
        let nodes = self.nodes.len();
        (0..nodes).for_each(|node| self.note_whole(node));
        let mut concerned = (0..self.partitions.len()).filter(|one| loss.concerns(*one));
        concerned.all(|partition| {
            let hosts = self.partitions[partition].hosts.iter().enumerate();
            let whole = hosts.filter(|(other, host)| *other != node && host.whole);
            whole.count() > nodes / 2
        })
    }

    /// A node crashes, loses data if the others can bear that, and starts again after a while.
    pub fn lose_something(&mut self, node: usize) -> Check {
        let partition = self.random.below(self.partitions.len() as u64) as usize;
        let loss = *self
            .random
            .pick(&[Loss::Disk, Loss::Log, Loss::State(partition)]);
        let bearable = self.is_bearable(node, loss);
        self.crash_for_a_while(node)?;
        // It may have been down already.
        if bearable {
            self.lose(node, loss)?;
        }
        Ok(())
    }

    fn lose(&mut self, node: usize, loss: Loss) -> Check {
        self.note(|| format!("node {node} has lost data: {loss:?}"));
        self.counts.losses += 1;
        if let Some(cluster) = &mut self.cluster
            && loss.is_of_log()
        {
            cluster.lose_log(node);
            if loss == Loss::Disk {
                cluster.lose_notes(node);
            }
        }
        for partition in (0..self.partitions.len()).filter(|one| loss.concerns(*one)) {
            let host = self.host(Place { partition, node });
            host.whole = false;
            if loss.is_of_states() {
                host.store = MemoryStore::default();
                host.installed = None;
                host.unsynced = None;
                host.state_lost = true;
            }
            let stored = stored(&host.store)?;
            if loss == Loss::Log {
                // It stands for what has been in the log.
                host.installed = host.installed.max(stored.checked_sub(1));
            }
            self.partitions[partition].logs.lost(node, stored);
        }
        Ok(())
    }
}

fn position(store: &MemoryStore) -> Result<LocalPosition, StateError> {
    match store.meta()? {
        Some(meta) => LocalPosition::read(&meta),
        None => Ok(LocalPosition::default()),
    }
}

/// The entries before this one are in the store.
fn stored(store: &MemoryStore) -> Check<u64> {
    let at = position(store).map_err(|error| Violation::new("state", error.to_string()))?;
    Ok(match at == LocalPosition::default() {
        true => 0,
        false => at.index + 1,
    })
}
