//! Metrics of what partitions take in, with Zeebe's names and labels where the meaning is the same.

use std::sync::atomic::Ordering;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use crate::partition::Partition;
use crate::partition_metrics::{OfPartition, register, store};
use crate::requests::Requests;

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct FlowOutcome {
    context: &'static str,
    outcome: &'static str,
    partition: u32,
}

/// Metrics of flow control.
pub(crate) struct FlowMetrics {
    received: Family<OfPartition, Counter>,
    dropped: Family<OfPartition, Counter>,
    outcomes: Family<FlowOutcome, Counter>,
    in_flight: Family<OfPartition, Gauge>,
    limit: Family<OfPartition, Gauge>,
    write_rate: Family<OfPartition, Gauge>,
    write_rate_max: Family<OfPartition, Gauge>,
}

impl FlowMetrics {
    /// Registers all of them.
    pub fn register(r: &mut Registry) -> FlowMetrics {
        FlowMetrics {
            received: register(
                r,
                "zeebe_received_request_count",
                "Commands of clients that came to the leader of the partition",
            ),
            dropped: register(
                r,
                "zeebe_dropped_request_count",
                "Commands of clients refused because too many waited, too much was written or the disk was full",
            ),
            outcomes: register(
                r,
                "zeebe_flow_control",
                "Commands of clients by what has become of them",
            ),
            in_flight: register(
                r,
                "zeebe_backpressure_inflight_requests_count",
                "Commands of clients that were taken in and are not answered yet",
            ),
            limit: register(
                r,
                "zeebe_backpressure_requests_limit",
                "Commands of clients that may wait",
            ),
            write_rate: register(
                r,
                "zeebe_flow_control_write_rate_limit",
                "Records that may be written in a second, where that is limited",
            ),
            write_rate_max: register(
                r,
                "zeebe_flow_control_write_rate_maximum",
                "The same as configured",
            ),
        }
    }

    /// As things stand in a partition.
    pub fn set(&self, one: &Partition, requests: &Requests) {
        let partition = one.id.0;
        let label = OfPartition { partition };
        let counters = &one.counters;
        let load = |counter: &std::sync::atomic::AtomicU64| counter.load(Ordering::Relaxed);
        let received = self.received.get_or_create(&label);
        store(&received, load(&counters.received));
        store(&self.dropped.get_or_create(&label), load(&counters.dropped));
        for (outcome, counter) in [
            ("accepted", &counters.accepted),
            ("requestLimitExhausted", &counters.too_many),
            ("writeRateLimitExhausted", &counters.too_fast),
        ] {
            let label = FlowOutcome {
                context: "userCommand",
                outcome,
                partition,
            };
            store(&self.outcomes.get_or_create(&label), load(counter));
        }
        let in_flight = self.in_flight.get_or_create(&label);
        in_flight.set(requests.waiting(one.id) as i64);
        let limits = one.inbox.limits();
        let limit = i64::from(limits.waiting_max);
        self.limit.get_or_create(&label).set(limit);
        if let Some(rate) = limits.records_per_second.map(i64::from) {
            self.write_rate.get_or_create(&label).set(rate);
            self.write_rate_max.get_or_create(&label).set(rate);
        }
    }
}
