//! What has happened in a partition since this node started, as metrics show it. Counted by whoever does it, without locks.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use skep_histogram::{Histogram, Seen};
use skep_partition::{
    AGES, Aged, ELEMENT_TYPES, ElementAction, Happened, JOB_TYPES, JobAction, JobTypeNames,
    Measures, Refusal, Tally,
};

struct JobCounters([[AtomicU64; JobAction::ALL.len()]; JOB_TYPES]);

impl Default for JobCounters {
    fn default() -> JobCounters {
        JobCounters(std::array::from_fn(|_| Default::default()))
    }
}

struct AgeHistograms([Histogram; Aged::ALL.len()]);

impl Default for AgeHistograms {
    fn default() -> AgeHistograms {
        AgeHistograms(std::array::from_fn(|_| Histogram::new(AGES)))
    }
}

/// Counters of one partition's replica.
#[derive(Default)]
pub struct Counters {
    /// Batches that were evaluated and applied here.
    pub batches: AtomicU64,
    /// Records of batches that were evaluated and applied here.
    pub records: AtomicU64,
    /// Their commands.
    pub commands: AtomicU64,
    elements: [[AtomicU64; ElementAction::ALL.len()]; ELEMENT_TYPES],
    jobs: JobCounters,
    /// The names of the types of jobs, once the replica has started.
    pub job_types: OnceLock<JobTypeNames>,
    /// What the replica measures, once it has started.
    pub measures: OnceLock<Arc<Measures>>,
    happened: [AtomicU64; Happened::ALL.len()],
    aged: AgeHistograms,
    /// Position of the last record of such a batch.
    pub position: AtomicI64,
    /// Commands of clients that came to this replica as the leader.
    pub received: AtomicU64,
    /// Those of them that were refused because too many waited, too much was written, or the disk was full.
    pub dropped: AtomicU64,
    /// Those that were taken in.
    pub accepted: AtomicU64,
    /// Those that were refused because too many waited.
    pub too_many: AtomicU64,
    /// Those that were refused because too much was written.
    pub too_fast: AtomicU64,
}

fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

fn add(counter: &AtomicU64, number: u32) {
    if number > 0 {
        counter.fetch_add(u64::from(number), Ordering::Relaxed);
    }
}

impl Counters {
    /// A client's command has come to this replica as the leader, and this has become of it.
    pub fn submitted(&self, result: Result<(), &Refusal>) {
        let (of_kind, dropped) = match result {
            Ok(()) => (Some(&self.accepted), false),
            Err(Refusal::Busy) => (Some(&self.too_many), true),
            Err(Refusal::WriteRate) => (Some(&self.too_fast), true),
            Err(Refusal::DiskFull) => (None, true),
            Err(Refusal::NotLeader | Refusal::LeaderLost) => (None, false),
        };
        count(&self.received);
        if dropped {
            count(&self.dropped);
        }
        of_kind.into_iter().for_each(count);
    }

    /// A batch was applied that this replica had evaluated.
    pub fn applied(&self, tally: &Tally) {
        count(&self.batches);
        add(&self.records, tally.records);
        add(&self.commands, tally.commands);
        for (counters, numbers) in self.elements.iter().zip(&tally.elements) {
            for (counter, number) in counters.iter().zip(numbers) {
                add(counter, *number);
            }
        }
        for (counters, numbers) in self.jobs.0.iter().zip(&tally.jobs) {
            for (counter, number) in counters.iter().zip(numbers) {
                add(counter, *number);
            }
        }
        for (counter, number) in self.happened.iter().zip(&tally.happened) {
            add(counter, *number);
        }
        for (histogram, counts) in self.aged.0.iter().zip(&tally.aged) {
            histogram.add(counts);
        }
        self.position
            .store(tally.last_position.0, Ordering::Relaxed);
    }

    /// How old things were when that happened to them.
    pub fn aged(&self, what: Aged) -> Seen {
        self.aged.0[what as usize].seen()
    }

    /// What has happened to elements of a type, which is its number.
    pub fn element(&self, element_type: usize, action: ElementAction) -> u64 {
        self.elements[element_type][action as usize].load(Ordering::Relaxed)
    }

    /// What has happened to jobs of a type, which is its number.
    pub fn job(&self, job_type: usize, action: JobAction) -> u64 {
        self.jobs.0[job_type][action as usize].load(Ordering::Relaxed)
    }

    /// How often something has happened.
    pub fn happened(&self, what: Happened) -> u64 {
        self.happened[what as usize].load(Ordering::Relaxed)
    }
}
