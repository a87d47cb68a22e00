//! What has happened in a partition since this node started, as metrics show it. Counted by whoever does it, without locks.

use std::sync::atomic::{AtomicU64, Ordering};

use skep_partition::{ELEMENT_TYPES, ElementAction, Happened, Tally};

/// Counters of one partition's replica.
#[derive(Default)]
pub struct Counters {
    /// Records of batches that were evaluated and applied here.
    pub records: AtomicU64,
    /// Their commands.
    pub commands: AtomicU64,
    elements: [[AtomicU64; ElementAction::ALL.len()]; ELEMENT_TYPES],
    happened: [AtomicU64; Happened::ALL.len()],
    /// Commands of clients that came to this replica as the leader.
    pub received: AtomicU64,
    /// Those of them that were refused because too many waited, or the disk was full.
    pub dropped: AtomicU64,
}

/// Counts one.
pub fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

fn add(counter: &AtomicU64, number: u32) {
    if number > 0 {
        counter.fetch_add(u64::from(number), Ordering::Relaxed);
    }
}

impl Counters {
    /// A batch was applied that this replica had evaluated.
    pub fn applied(&self, tally: &Tally) {
        add(&self.records, tally.records);
        add(&self.commands, tally.commands);
        for (counters, numbers) in self.elements.iter().zip(&tally.elements) {
            for (counter, number) in counters.iter().zip(numbers) {
                add(counter, *number);
            }
        }
        for (counter, number) in self.happened.iter().zip(&tally.happened) {
            add(counter, *number);
        }
    }

    /// What has happened to elements of a type, which is its number.
    pub fn element(&self, element_type: usize, action: ElementAction) -> u64 {
        self.elements[element_type][action as usize].load(Ordering::Relaxed)
    }

    /// How often something has happened.
    pub fn happened(&self, what: Happened) -> u64 {
        self.happened[what as usize].load(Ordering::Relaxed)
    }
}
