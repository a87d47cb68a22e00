//! Positions of records strictly increase without gaps, and a partition's time never goes back.

use skep_partition::Bookkeeping;
use skep_protocol::{Batch, PartitionId};

use crate::violation::{Check, Violation};

/// Checks a batch against the progress before it.
pub fn check(partition: PartitionId, before: &Bookkeeping, batch: &Batch) -> Check {
    let header = &batch.header;
    if header.first_position != before.position().next() {
        return Err(Violation::new(
            "positions",
            format!(
                "partition {partition}, batch {}/{} begins at position {}, but the last record has position {}",
                header.epoch, header.sequence, header.first_position, before.position
            ),
        ));
    }
    if header.time < before.time {
        return Err(Violation::new(
            "positions",
            format!(
                "partition {partition}, batch {}/{} has time {}, but the partition's clock was at {}",
                header.epoch, header.sequence, header.time, before.time
            ),
        ));
    }
    Ok(())
}
