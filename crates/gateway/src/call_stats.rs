//! How many calls there were, how they ended, how long they took. Counted without locks and without taking memory.

use std::array::from_fn;
use std::time::{Duration, Instant};

use skep_histogram::{Bounds, Histogram, Seen};
use tonic::Code;

/// Calls that there are; whatever else somebody tries is one more.
const METHODS: [&str; 22] = [
    "ActivateJobs",
    "BroadcastSignal",
    "CancelProcessInstance",
    "CompleteJob",
    "CreateProcessInstance",
    "CreateProcessInstanceWithResult",
    "DeleteResource",
    "DeployProcess",
    "DeployResource",
    "EvaluateDecision",
    "FailJob",
    "MigrateProcessInstance",
    "ModifyProcessInstance",
    "PublishMessage",
    "ResolveIncident",
    "SetVariables",
    "StreamActivatedJobs",
    "ThrowError",
    "Topology",
    "UpdateJobRetries",
    "UpdateJobTimeout",
    "unknown",
];

const CODES: [&str; 17] = [
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
];

const TOOK: Bounds = Bounds::of_micros(&[
    1_000, 2_000, 5_000, 10_000, 20_000, 50_000, 100_000, 200_000, 500_000, 1_000_000, 2_000_000,
    5_000_000, 10_000_000,
]);

/// Calls of one gateway.
#[derive(Debug)]
pub struct CallStats([[Histogram; CODES.len()]; METHODS.len()]);

impl Default for CallStats {
    fn default() -> CallStats {
        CallStats(from_fn(|_| from_fn(|_| Histogram::new(TOOK))))
    }
}

/// The calls of one kind that ended in one way.
#[derive(Debug, Clone, PartialEq)]
pub struct CallsSeen {
    /// The call.
    pub method: &'static str,
    /// How it ended.
    pub status: &'static str,
    /// How many there were, and how long they took.
    pub took: Seen,
}

/// A call that has begun.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Begun {
    method: usize,
    at: Instant,
}

impl CallStats {
    /// A call begins, of that path.
    pub(crate) fn begin(path: &str) -> Begun {
        let name = path.rsplit('/').next().unwrap_or_default();
        let method = METHODS.iter().position(|method| *method == name);
        Begun {
            method: method.unwrap_or(METHODS.len() - 1),
            at: Instant::now(),
        }
    }

    /// It is answered.
    pub(crate) fn end(&self, begun: Begun, code: Code) {
        self.count(begun.method, code, begun.at.elapsed());
    }

    fn count(&self, method: usize, code: Code, took: Duration) {
        self.0[method][code as usize].observe(took);
    }

    /// What was counted; kinds of which there were none are left out.
    pub fn seen(&self) -> Vec<CallsSeen> {
        let all = self.0.iter().zip(METHODS).flat_map(|(of_method, method)| {
            let of_method = of_method.iter().zip(CODES);
            of_method.map(move |(histogram, status)| CallsSeen {
                method,
                status,
                took: histogram.seen(),
            })
        });
        all.filter(|seen| seen.took.count > 0).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_counted_by_name_by_end_and_by_time() {
        let stats = CallStats::default();
        assert_eq!(stats.seen(), []);
        let complete = CallStats::begin("/gateway_protocol.Gateway/CompleteJob");
        for millis in [0, 1, 3, 20_000] {
            stats.count(complete.method, Code::Ok, Duration::from_millis(millis));
        }
        stats.end(CallStats::begin("/else/Nothing"), Code::Unimplemented);
        let seen = stats.seen();
        assert_eq!(seen.len(), 2);
        assert_eq!((seen[0].method, seen[0].status), ("CompleteJob", "OK"));
        let took = &seen[0].took;
        assert_eq!((took.count, took.seconds), (4, 20.004));
        let filled: Vec<(f64, u64)> = took.buckets.clone();
        let filled: Vec<_> = filled.into_iter().filter(|(_, count)| *count > 0).collect();
        assert_eq!(filled, [(0.001, 2), (0.005, 1), (f64::INFINITY, 1)]);
        assert_eq!(
            (seen[1].method, seen[1].status),
            ("unknown", "UNIMPLEMENTED")
        );
    }
}
