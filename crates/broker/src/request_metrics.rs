//! Metrics of what a gateway sends to partitions, under Zeebe's names.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;

use crate::partition_metrics::{register, store};
use crate::request_stats::{RequestStats, RequestsSeen};
use crate::shown_histogram::ShownHistogram;

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
#[allow(non_snake_case, reason = "as Zeebe spells it")]
struct Request {
    requestType: String,
    partition: u32,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
#[allow(non_snake_case, reason = "as Zeebe spells it")]
struct Failed {
    requestType: String,
    partition: u32,
    error: &'static str,
}

/// Commands sent by this node's gateway.
pub(crate) struct RequestMetrics {
    latency: ShownHistogram<Request>,
    total: Family<Request, Counter>,
    failed: Family<Failed, Counter>,
}

impl RequestMetrics {
    /// Registers all of them.
    pub fn register(r: &mut Registry) -> RequestMetrics {
        RequestMetrics {
            latency: ShownHistogram::register(
                r,
                "zeebe_gateway_request_latency_seconds",
                "Seconds until a command that the gateway has sent to a partition was answered",
            ),
            total: register(
                r,
                "zeebe_gateway_total_requests",
                "Commands that the gateway has sent to partitions",
            ),
            failed: register(
                r,
                "zeebe_gateway_failed_requests",
                "Those that were neither executed nor rejected, or not known to be",
            ),
        }
    }

    /// As things stand.
    pub fn set(&self, stats: &RequestStats) {
        let seen = stats.seen();
        for one in &seen {
            let failed: u64 = one.failed.iter().map(|(_, count)| count).sum();
            let total = one.answered.count + failed;
            store(&self.total.get_or_create(&label(one)), total);
            for (error, count) in &one.failed {
                let Request {
                    requestType,
                    partition,
                } = label(one);
                let label = Failed {
                    requestType,
                    partition,
                    error,
                };
                store(&self.failed.get_or_create(&label), *count);
            }
        }
        let latency = seen.into_iter().map(|one| (label(&one), one.answered));
        self.latency.set(latency.collect());
    }
}

fn label(seen: &RequestsSeen) -> Request {
    let intent = seen.intent;
    Request {
        requestType: format!("{}#{}", intent.value_type().name(), intent.name()),
        partition: seen.partition.0,
    }
}
