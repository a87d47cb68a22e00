//! What an exporter has done with records, by what they are about.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use skep_histogram::{Bounds, Histogram, Seen};
use skep_protocol::ValueType;

/// From writing a record until it is exported: a few milliseconds, or as long as an exporter was held up.
const BEHIND: Bounds = Bounds::of_micros(&[
    1_000,
    2_500,
    5_000,
    10_000,
    25_000,
    50_000,
    100_000,
    250_000,
    500_000,
    1_000_000,
    5_000_000,
    30_000_000,
    300_000_000,
    3_600_000_000,
]);

/// Records about one kind of thing since the start. Those that an exporter has gone back over count again.
#[derive(Debug, Clone, PartialEq)]
pub struct Counted {
    /// What they are about.
    pub value_type: ValueType,
    /// Not wanted by the filter.
    pub skipped: u64,
    /// Exported, and how long after they had been written.
    pub exported: Seen,
}

#[derive(Debug)]
struct OfType {
    skipped: AtomicU64,
    exported: Histogram,
}

/// By the code of the value type. Most never come.
#[derive(Debug)]
pub(crate) struct Counts(Box<[OnceLock<Box<OfType>>]>);

impl Counts {
    pub fn new() -> Counts {
        let codes = ValueType::ALL.iter().map(|value_type| value_type.code());
        let most = codes.max().unwrap_or(0);
        Counts((0..=most).map(|_| OnceLock::new()).collect())
    }

    fn of(&self, value_type: ValueType) -> &OfType {
        let counted = &self.0[usize::from(value_type.code())];
        counted.get_or_init(|| {
            Box::new(OfType {
                skipped: AtomicU64::new(0),
                exported: Histogram::new(BEHIND),
            })
        })
    }

    /// A record was exported so long after it had been written.
    pub fn exported(&self, value_type: ValueType, behind: Duration) {
        self.of(value_type).exported.observe(behind);
    }

    /// A record was not wanted.
    pub fn skipped(&self, value_type: ValueType) {
        self.of(value_type).skipped.fetch_add(1, Ordering::Relaxed);
    }

    /// All that there were.
    pub fn all(&self) -> Vec<Counted> {
        let all = ValueType::ALL.iter();
        let counted = all.filter_map(|value_type| {
            let of_type = self.0[usize::from(value_type.code())].get()?;
            Some(Counted {
                value_type: *value_type,
                skipped: of_type.skipped.load(Ordering::Relaxed),
                exported: of_type.exported.seen(),
            })
        });
        counted.collect()
    }
}
