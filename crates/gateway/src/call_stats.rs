//! How many calls there were, how they ended, how long they took. Counted without locks and without taking memory.

use std::array::from_fn;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

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

/// Upper bounds of the buckets, in milliseconds; the last has none.
const BOUNDS_MS: [u64; 13] = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000];

#[derive(Debug, Default)]
struct Cell {
    buckets: [AtomicU64; BOUNDS_MS.len() + 1],
    micros: AtomicU64,
}

/// Calls of one gateway.
#[derive(Debug)]
pub struct CallStats([[Cell; CODES.len()]; METHODS.len()]);

impl Default for CallStats {
    fn default() -> CallStats {
        CallStats(from_fn(|_| from_fn(|_| Cell::default())))
    }
}

/// The calls of one kind that ended in one way.
#[derive(Debug, Clone, PartialEq)]
pub struct CallsSeen {
    /// The call.
    pub method: &'static str,
    /// How it ended.
    pub status: &'static str,
    /// How many there were.
    pub count: u64,
    /// How long all of them took.
    pub seconds: f64,
    /// How many took at most so many seconds and longer than those before.
    pub buckets: Vec<(f64, u64)>,
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
        let cell = &self.0[method][code as usize];
        let millis = took.as_millis();
        let bucket = BOUNDS_MS.iter().position(|bound| {
            // What takes longer than a whole number of them is above it.
            millis < u128::from(*bound) || took == Duration::from_millis(*bound)
        });
        let bucket = &cell.buckets[bucket.unwrap_or(BOUNDS_MS.len())];
        bucket.fetch_add(1, Ordering::Relaxed);
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        cell.micros.fetch_add(micros, Ordering::Relaxed);
    }

    /// What was counted; kinds of which there were none are left out.
    pub fn seen(&self) -> Vec<CallsSeen> {
        let cells = self.0.iter().zip(METHODS).flat_map(|(cells, method)| {
            let cells = cells.iter().zip(CODES);
            cells.map(move |(cell, status)| cell.seen(method, status))
        });
        cells.filter(|seen| seen.count > 0).collect()
    }
}

impl Cell {
    fn seen(&self, method: &'static str, status: &'static str) -> CallsSeen {
        let bounds = BOUNDS_MS.iter().map(|bound| *bound as f64 / 1000.0);
        let buckets: Vec<(f64, u64)> = bounds
            .chain([f64::INFINITY])
            .zip(&self.buckets)
            .map(|(bound, bucket)| (bound, bucket.load(Ordering::Relaxed)))
            .collect();
        CallsSeen {
            method,
            status,
            count: buckets.iter().map(|(_, count)| count).sum(),
            seconds: self.micros.load(Ordering::Relaxed) as f64 / 1e6,
            buckets,
        }
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
        assert_eq!((seen[0].count, seen[0].seconds), (4, 20.004));
        let filled: Vec<(f64, u64)> = seen[0].buckets.clone();
        let filled: Vec<_> = filled.into_iter().filter(|(_, count)| *count > 0).collect();
        assert_eq!(filled, [(0.001, 2), (0.005, 1), (f64::INFINITY, 1)]);
        assert_eq!(
            (seen[1].method, seen[1].status),
            ("unknown", "UNIMPLEMENTED")
        );
    }
}
