//! For tests and simulations: notes in memory; random numbers from a seed, and bugs put in on purpose, which hold for the thread that sets them.

use std::cell::Cell;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::begun::BegunNote;

thread_local! {
    static SEED: Cell<Option<u64>> = const { Cell::new(None) };
    static COMPACT_ENTRIES: Cell<Option<u64>> = const { Cell::new(None) };
    static FAULTS: Cell<Faults> = const { Cell::new(Faults::NONE) };
}

/// Bugs put in on purpose: the simulator must find each of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Faults {
    /// A vote is given before it is durable.
    pub vote_unsynced: bool,
    /// Entries are acknowledged before they are durable.
    pub append_unsynced: bool,
    /// A leader that hears from nobody goes on.
    pub lease_ignored: bool,
    /// A member that may have forgotten its votes has one at once.
    pub newcomer_votes: bool,
}

impl Faults {
    /// Everything as it should be.
    pub const NONE: Faults = Faults {
        vote_unsynced: false,
        append_unsynced: false,
        lease_ignored: false,
        newcomer_votes: false,
    };
}

/// From now on consensus on this thread draws from this seed, compacts its log after so few entries, and has these bugs.
pub fn simulate(seed: u64, compact_entries: u64, faults: Faults) {
    SEED.set(Some(seed));
    COMPACT_ENTRIES.set(Some(compact_entries));
    FAULTS.set(faults);
}

pub(crate) fn compact_entries() -> Option<u64> {
    COMPACT_ENTRIES.get()
}

pub(crate) fn next_seed() -> Option<u64> {
    let seed = SEED.get()?;
    SEED.set(Some(seed.wrapping_add(1)));
    Some(seed)
}

pub(crate) fn faults() -> Faults {
    FAULTS.get()
}

/// A note in memory.
#[derive(Debug, Default)]
pub struct MemoryNote(AtomicBool);

impl MemoryNote {
    /// It is lost.
    pub fn lose(&self) {
        self.0.store(false, Ordering::Relaxed);
    }
}

impl BegunNote for MemoryNote {
    fn is_there(&self) -> io::Result<bool> {
        Ok(self.0.load(Ordering::Relaxed))
    }

    fn write(&self) -> io::Result<()> {
        self.0.store(true, Ordering::Relaxed);
        Ok(())
    }
}

/// Has a check of a member's consensus fail.
pub async fn fail_a_check(member: &crate::RaftHandle) {
    let fails = member.raft.external_request(|_| panic!("on purpose"));
    // It fails if consensus has ended already.
    let _ = fails.await;
}
