//! A term has one leader, and so has an epoch.

use std::collections::BTreeMap;

use skep_protocol::{Epoch, PartitionId};

use crate::violation::{Check, Violation};

/// Who has led a partition.
#[derive(Debug, Default)]
pub struct Leaders {
    by_term: BTreeMap<u64, usize>,
    by_epoch: BTreeMap<Epoch, usize>,
}

impl Leaders {
    /// A member was elected.
    pub fn elected(&mut self, partition: PartitionId, term: u64, node: usize) -> Check {
        let first = *self.by_term.entry(term).or_insert(node);
        differs("term", partition, term, (first, node))
    }

    /// A leader has evaluated a batch of an epoch.
    pub fn evaluated(&mut self, partition: PartitionId, epoch: Epoch, node: usize) -> Check {
        let first = *self.by_epoch.entry(epoch).or_insert(node);
        differs("epoch", partition, epoch.0, (first, node))
    }
}

fn differs(what: &str, partition: PartitionId, number: u64, nodes: (usize, usize)) -> Check {
    let (first, second) = nodes;
    if first == second {
        return Ok(());
    }
    Err(Violation::new(
        "one leader",
        format!(
            "partition {partition} has two leaders of {what} {number}: node {first} and node {second}"
        ),
    ))
}
