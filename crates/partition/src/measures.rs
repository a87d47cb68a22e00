//! What a replica measures while it leads: how long commands wait for the processor and keep it busy, how many incidents there are. Read by
//! whoever shows it.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use skep_histogram::{Bounds, Histogram, Seen};
use skep_protocol::Intent;

/// From taking a command in until it is evaluated: nothing, or as long as the batches before.
const WAITED: Bounds = Bounds::of_micros(&[
    100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000,
    1_000_000, 2_500_000, 5_000_000,
]);

/// From proposing a batch until it is applied: syncs, one after the other here or on several nodes.
const COMMITTED: Bounds = WAITED;

/// An evaluation mostly takes less than a tenth of a millisecond.
const EVALUATED: Bounds = Bounds::of_micros(&[
    25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000,
    1_000_000,
]);

/// What a replica has measured as leader.
#[derive(Debug)]
pub struct Measures {
    waited: Histogram,
    committed: Histogram,
    /// By the place of the intent. Most never come.
    evaluated: Box<[OnceLock<Box<Histogram>>]>,
    /// -1 where that is not known.
    open_incidents: AtomicI64,
}

impl Default for Measures {
    fn default() -> Measures {
        Measures {
            waited: Histogram::new(WAITED),
            committed: Histogram::new(COMMITTED),
            evaluated: Intent::ALL.iter().map(|_| OnceLock::new()).collect(),
            open_incidents: AtomicI64::new(-1),
        }
    }
}

impl Measures {
    /// A client's command has waited so long.
    pub(crate) fn waited(&self, took: Duration) {
        self.waited.observe(took);
    }

    /// A batch was committed, and applied, so long after it was proposed.
    pub(crate) fn committed(&self, took: Duration) {
        self.committed.observe(took);
    }

    /// The evaluation of such a command, and of all that followed from it, has taken so long.
    pub(crate) fn evaluated(&self, intent: Intent, took: Duration) {
        let histogram = &self.evaluated[intent.place()];
        let histogram = histogram.get_or_init(|| Box::new(Histogram::new(EVALUATED)));
        histogram.observe(took);
    }

    pub(crate) fn set_open_incidents(&self, known: Option<u64>) {
        let number = known.map_or(-1, |known| known as i64);
        self.open_incidents.store(number, Ordering::Relaxed);
    }

    /// How many incidents there are, if the replica leads and has counted them.
    pub fn open_incidents(&self) -> Option<i64> {
        let number = self.open_incidents.load(Ordering::Relaxed);
        (number >= 0).then_some(number)
    }

    /// How long clients' commands have waited.
    pub fn waits(&self) -> Seen {
        self.waited.seen()
    }

    /// How long committing batches has taken.
    pub fn commits(&self) -> Seen {
        self.committed.seen()
    }

    /// How long evaluations have taken, by what was asked for; what never was is left out.
    pub fn evaluations(&self) -> Vec<(Intent, Seen)> {
        let all = Intent::ALL.iter().zip(&self.evaluated);
        all.filter_map(|(intent, histogram)| Some((*intent, histogram.get()?.seen())))
            .collect()
    }
}
