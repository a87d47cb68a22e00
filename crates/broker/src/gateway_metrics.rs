//! Metrics of a gateway, embedded or of its own, under Zeebe's names.

use std::sync::{Arc, Mutex, PoisonError};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use skep_gateway::{CallStats, Role, Topology};

use crate::certificates::Certificates;
use crate::request_metrics::RequestMetrics;
use crate::request_stats::RequestStats;

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Replica {
    partition: u32,
    broker: u32,
}

/// Zeebe's numbers for what a replica does.
const FOLLOWER: i64 = 0;
const LEADER: i64 = 3;

/// What the gateway knows of the cluster.
#[derive(Clone)]
pub struct TopologyMetrics {
    roles: Family<Replica, Gauge>,
}

impl TopologyMetrics {
    /// Nothing known yet.
    pub fn register(registry: &mut Registry) -> TopologyMetrics {
        let roles = Family::<Replica, Gauge>::default();
        registry.register(
            "zeebe_gateway_topology_partition_roles",
            "What the replicas do, as this gateway knows: 0 follower, 3 leader",
            roles.clone(),
        );
        TopologyMetrics { roles }
    }

    /// As things stand. Replicas that are not known any more, or have stopped, are left out.
    pub fn set(&self, topology: &Topology) {
        self.roles.clear();
        for broker in topology.brokers() {
            for replica in &broker.partitions {
                let role = match replica.role {
                    Role::Leader => LEADER,
                    Role::Follower => FOLLOWER,
                    Role::Inactive => continue,
                };
                let label = Replica {
                    partition: replica.partition.0,
                    broker: broker.node.0,
                };
                self.roles.get_or_create(&label).set(role);
            }
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
#[allow(non_snake_case, reason = "as Zeebe spells it")]
struct Call {
    service: &'static str,
    method: &'static str,
    statusCode: &'static str,
}

/// Shows the calls as a histogram: nothing is copied, and who counts takes no lock.
#[derive(Debug)]
struct CallCollector(Arc<CallStats>);

impl Collector for CallCollector {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let mut family = encoder.encode_descriptor(
            "grpc_server_processing_duration_seconds",
            "Seconds until a call was answered, or its answers began",
            None,
            MetricType::Histogram,
        )?;
        for seen in self.0.seen() {
            let labels = Call {
                service: "gateway_protocol.Gateway",
                method: seen.method,
                statusCode: seen.status,
            };
            let mut metric = family.encode_family(&labels)?;
            let took = &seen.took;
            metric.encode_histogram::<NoLabelSet>(took.seconds, took.count, &took.buckets, None)?;
        }
        Ok(())
    }
}

/// Shows the calls of a gateway, which counts them.
pub fn register_calls(registry: &mut Registry) -> Arc<CallStats> {
    let calls = Arc::new(CallStats::default());
    registry.register_collector(Box::new(CallCollector(Arc::clone(&calls))));
    calls
}

/// All metrics of a gateway of its own.
pub struct GatewayMetrics {
    registry: Mutex<Registry>,
    topology: TopologyMetrics,
    requests: RequestMetrics,
    /// Its certificates.
    pub certificates: Arc<Certificates>,
    /// Its calls.
    pub calls: Arc<CallStats>,
}

impl GatewayMetrics {
    /// Nothing counted yet.
    pub fn new() -> GatewayMetrics {
        let mut registry = Registry::default();
        GatewayMetrics {
            topology: TopologyMetrics::register(&mut registry),
            requests: RequestMetrics::register(&mut registry),
            certificates: Certificates::register(&mut registry),
            calls: register_calls(&mut registry),
            registry: Mutex::new(registry),
        }
    }

    /// The text that Prometheus scrapes.
    pub fn render(&self, topology: &Topology, requests: &RequestStats) -> String {
        // Held meanwhile: what is known is cleared and set again.
        let registry = self.registry.lock().unwrap_or_else(PoisonError::into_inner);
        self.topology.set(topology);
        self.requests.set(requests);
        let mut text = String::new();
        encode(&mut text, &registry).expect("a String takes any text");
        text
    }
}
