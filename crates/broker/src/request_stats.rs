//! What has become of the commands that the gateway of this node has sent to partitions. Counted without locks.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use skep_config::PARTITIONS_MAX;
use skep_gateway::BrokerError;
use skep_histogram::{Bounds, Histogram, Seen};
use skep_protocol::{Intent, PartitionId, ResponseResult};

const LATENCY: Bounds = Bounds::of_micros(&[
    1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 75_000, 100_000, 250_000, 500_000, 1_000_000,
    2_500_000, 5_000_000, 10_000_000,
]);

/// Zeebe's names of failures, in order.
const FAILURES: [&str; 6] = [
    "PARTITION_LEADER_MISMATCH",
    "TIMEOUT",
    "MALFORMED_REQUEST",
    "PROCESS_NOT_FOUND",
    "INTERNAL_ERROR",
    "UNKNOWN",
];
const TIMEOUT: usize = 1;

/// Which failure an error counts as. Who is told to come later has not failed, as in Zeebe.
fn failure(error: &BrokerError) -> Option<usize> {
    Some(match error {
        BrokerError::ResourceExhausted { .. } => return None,
        BrokerError::PartitionLeaderMismatch { .. } => 0,
        BrokerError::Timeout => TIMEOUT,
        BrokerError::MalformedRequest { .. } => 2,
        BrokerError::ProcessNotFound { .. } => 3,
        BrokerError::Internal { .. } => 4,
        BrokerError::Unavailable { .. } | BrokerError::ConnectionLost { .. } => 5,
    })
}

struct Kind {
    answered: Histogram,
    failed: [AtomicU64; FAILURES.len()],
}

/// By the place of the intent. Most are never sent.
type Kinds = Box<[OnceLock<Box<Kind>>]>;

/// Commands by partition and by what they ask for.
pub struct RequestStats(Box<[OnceLock<Kinds>]>);

/// The commands of one kind for one partition.
pub struct RequestsSeen {
    /// The partition.
    pub partition: PartitionId,
    /// What they ask for.
    pub intent: Intent,
    /// Those that were answered, by an event or a rejection, and how long that took.
    pub answered: Seen,
    /// Those that have failed, by Zeebe's name of the failure; only what has occurred.
    pub failed: Vec<(&'static str, u64)>,
}

/// A command that is on its way. Counts as timed out if it is dropped without an answer: nobody waits any more.
pub struct OnItsWay<'a> {
    kind: Option<&'a Kind>,
    begun: Instant,
}

impl RequestStats {
    /// None yet.
    pub fn new() -> RequestStats {
        RequestStats((0..PARTITIONS_MAX).map(|_| OnceLock::new()).collect())
    }

    /// A command is sent.
    pub fn begin(&self, partition: PartitionId, intent: Intent) -> OnItsWay<'_> {
        // Others do not exist.
        let kinds = (partition.0 as usize)
            .checked_sub(1)
            .and_then(|place| self.0.get(place));
        let all = || Intent::ALL.iter().map(|_| OnceLock::new()).collect();
        let new = || {
            Box::new(Kind {
                answered: Histogram::new(LATENCY),
                failed: Default::default(),
            })
        };
        let kind = kinds.map(|kinds| &**kinds.get_or_init(all)[intent.place()].get_or_init(new));
        OnItsWay {
            kind,
            begun: Instant::now(),
        }
    }

    /// What was counted; kinds of which there were none are left out.
    pub fn seen(&self) -> Vec<RequestsSeen> {
        let mut seen = Vec::new();
        for (partition, kinds) in (1..).map(PartitionId).zip(&self.0) {
            let kinds = kinds.get().into_iter().flatten();
            for (intent, kind) in Intent::ALL.iter().zip(kinds) {
                if let Some(kind) = kind.get() {
                    seen.push(kind.seen(partition, *intent));
                }
            }
        }
        seen
    }
}

impl Kind {
    fn fail(&self, failure: usize) {
        self.failed[failure].fetch_add(1, Ordering::Relaxed);
    }

    fn seen(&self, partition: PartitionId, intent: Intent) -> RequestsSeen {
        let failed = FAILURES.into_iter().zip(&self.failed);
        let failed = failed.map(|(name, count)| (name, count.load(Ordering::Relaxed)));
        RequestsSeen {
            partition,
            intent,
            answered: self.answered.seen(),
            failed: failed.filter(|(_, count)| *count > 0).collect(),
        }
    }
}

impl OnItsWay<'_> {
    /// This has come of it.
    pub fn end(mut self, result: &Result<ResponseResult, BrokerError>) {
        let Some(kind) = self.kind.take() else {
            return;
        };
        match result {
            Ok(_) => kind.answered.observe(self.begun.elapsed()),
            Err(error) => failure(error).into_iter().for_each(|one| kind.fail(one)),
        }
    }
}

impl Drop for OnItsWay<'_> {
    fn drop(&mut self) {
        if let Some(kind) = self.kind {
            kind.fail(TIMEOUT);
        }
    }
}

#[cfg(test)]
mod tests {
    use skep_protocol::{JobIntent, Rejection, RejectionType};

    use super::*;

    fn rejected() -> ResponseResult {
        Err(Rejection {
            rejection_type: RejectionType::NotFound,
            reason: String::new(),
        })
    }

    #[test]
    fn commands_are_counted_by_partition_by_kind_and_by_what_has_come_of_them() {
        let stats = RequestStats::new();
        let begin = |partition| stats.begin(PartitionId(partition), JobIntent::Complete.into());
        begin(2).end(&Ok(rejected()));
        begin(2).end(&Err(BrokerError::Timeout));
        drop(begin(2));
        let lost = String::from("lost");
        begin(2).end(&Err(BrokerError::ConnectionLost { message: lost }));
        let full = String::from("full");
        begin(2).end(&Err(BrokerError::ResourceExhausted { message: full }));
        begin(3).end(&Ok(rejected()));
        for nowhere in [0, PARTITIONS_MAX as u32 + 1] {
            begin(nowhere).end(&Ok(rejected()));
        }
        let seen = stats.seen();
        let partitions: Vec<u32> = seen.iter().map(|one| one.partition.0).collect();
        assert_eq!(partitions, [2, 3]);
        assert_eq!(seen[0].intent, JobIntent::Complete.into());
        assert_eq!(seen[0].answered.count, 1);
        assert_eq!(seen[0].failed, [("TIMEOUT", 2), ("UNKNOWN", 1)]);
        assert!(seen[1].failed.is_empty());
    }
}
