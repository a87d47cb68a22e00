//! Metrics, with Zeebe's names where the meaning is the same.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;
use skep_gateway::CallStats;
use skep_log::LogStats;

use crate::certificates::Certificates;
use crate::exporter_metrics::ExporterMetrics;
use crate::exporters::Exporters;
use crate::gateway_metrics::{TopologyMetrics, register_calls};
use crate::partition_metrics::PartitionMetrics;
use crate::request_metrics::RequestMetrics;
use crate::router::Router;
use crate::shown_histogram::ShownHistogram;

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Operation {
    partition: u32,
    operation: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OperationResult {
    partition: u32,
    operation: &'static str,
    result: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct PartitionLabel {
    partition: u32,
}

/// Counters of backup operations.
#[derive(Clone)]
pub struct BackupMetrics {
    total: Family<OperationResult, Counter>,
    in_progress: Family<Operation, Gauge>,
    latency: Family<Operation, Histogram>,
    differing: Family<Differing, Counter>,
}

/// Replicas that did not have the content that most others had for a backup.
#[derive(Debug, Clone, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Differing {
    partition: u32,
}

/// A backup operation under way.
pub struct Running {
    metrics: BackupMetrics,
    labels: Operation,
    begun: Instant,
}

impl BackupMetrics {
    fn register(&self, registry: &mut Registry) {
        registry.register(
            "zeebe_backup_operations",
            "Backup operations by result",
            self.total.clone(),
        );
        registry.register(
            "zeebe_backup_operations_in_progress",
            "Backup operations under way",
            self.in_progress.clone(),
        );
        registry.register(
            "zeebe_backup_operations_latency_seconds",
            "Seconds that backup operations took",
            self.latency.clone(),
        );
        registry.register(
            "skep_backup_differing_replicas",
            "Replicas whose content was not that of most others at a checkpoint, which must not happen",
            self.differing.clone(),
        );
    }

    /// A replica's content is not that of most others.
    pub fn differs(&self, partition: u32) {
        self.differing.get_or_create(&Differing { partition }).inc();
    }

    /// An operation begins.
    pub fn begin(&self, partition: u32, operation: &'static str) -> Running {
        let labels = Operation {
            partition,
            operation,
        };
        self.in_progress.get_or_create(&labels).inc();
        Running {
            metrics: self.clone(),
            labels,
            begun: Instant::now(),
        }
    }
}

impl Running {
    /// The operation has ended.
    pub fn end(self, completed: bool) {
        let Operation {
            partition,
            operation,
        } = self.labels;
        let result = if completed { "completed" } else { "failed" };
        self.metrics
            .total
            .get_or_create(&OperationResult {
                partition,
                operation,
                result,
            })
            .inc();
        self.metrics.in_progress.get_or_create(&self.labels).dec();
        self.metrics
            .latency
            .get_or_create(&self.labels)
            .observe(self.begun.elapsed().as_secs_f64());
    }
}

/// Bytes of partitions' content between brokers.
#[derive(Clone, Default)]
pub struct TransferMetrics {
    sent: Counter,
    received: Counter,
    compared: Counter,
    replaced: Counter,
}

impl TransferMetrics {
    fn register(registry: &mut Registry) -> TransferMetrics {
        let metrics = TransferMetrics::default();
        registry.register(
            "skep_content_sent_bytes",
            "Bytes of content sent to replicas that lacked more of the log than is kept",
            metrics.sent.clone(),
        );
        registry.register(
            "skep_content_received_bytes",
            "Bytes of content received for replicas that lacked more of the log than is kept",
            metrics.received.clone(),
        );
        registry.register(
            "skep_content_compared_bytes",
            "Bytes of content that replicas were given, sent or not",
            metrics.compared.clone(),
        );
        registry.register(
            "skep_content_replaced",
            "Times that a replica was given its leader's content",
            metrics.replaced.clone(),
        );
        metrics
    }

    /// A chunk was sent.
    pub fn sent(&self, bytes: usize) {
        self.sent.inc_by(bytes as u64);
    }

    /// A chunk of another replica's content is here, wherever it was.
    pub fn compared(&self, bytes: u64) {
        self.compared.inc_by(bytes);
    }

    /// A replica has another one's content.
    pub fn replaced(&self) {
        self.replaced.inc();
    }

    /// A chunk has come.
    pub fn received(&self, bytes: usize) {
        self.received.inc_by(bytes as u64);
    }
}

/// All metrics of a node.
pub struct Metrics {
    registry: Mutex<Registry>,
    /// Backup operations.
    pub backups: BackupMetrics,
    /// Content between brokers.
    pub transfers: TransferMetrics,
    checkpoint_id: Family<PartitionLabel, Gauge>,
    checkpoint_position: Family<PartitionLabel, Gauge>,
    leads: Family<PartitionLabel, Gauge>,
    waiting: Family<PartitionLabel, Gauge>,
    log: LogMetrics,
    exporters: ExporterMetrics,
    partitions: PartitionMetrics,
    topology: TopologyMetrics,
    requests: RequestMetrics,
    /// Certificates in use.
    pub certificates: Arc<Certificates>,
    /// Calls of the gateway.
    pub calls: Arc<CallStats>,
}

/// What the node's log has done since it was opened.
struct LogMetrics {
    written: Counter,
    syncs: Counter,
    sync_times: ShownHistogram<[(&'static str, &'static str); 0]>,
    bytes: Gauge,
}

impl LogMetrics {
    fn register(registry: &mut Registry) -> LogMetrics {
        let metrics = LogMetrics {
            written: Counter::default(),
            syncs: Counter::default(),
            sync_times: ShownHistogram::register(
                registry,
                "atomix_journal_flush_time_seconds",
                "Seconds that syncs of the log took, which all partitions of the node share",
            ),
            bytes: Gauge::default(),
        };
        registry.register(
            "skep_log_written_bytes",
            "Bytes written to the log",
            metrics.written.clone(),
        );
        registry.register(
            "skep_log_syncs",
            "Times that the log was synced",
            metrics.syncs.clone(),
        );
        registry.register(
            "skep_log_bytes",
            "Bytes of the log's files",
            metrics.bytes.clone(),
        );
        metrics
    }

    fn set(&self, stats: &LogStats) {
        self.written.inner().store(stats.written, Ordering::Relaxed);
        self.syncs.inner().store(stats.syncs, Ordering::Relaxed);
        self.sync_times.set(vec![([], stats.sync_times.clone())]);
        self.bytes.set(stats.bytes as i64);
    }
}

impl Metrics {
    /// None counted yet.
    pub fn new() -> Arc<Metrics> {
        let mut registry = Registry::default();
        let backups = BackupMetrics {
            total: Family::default(),
            in_progress: Family::default(),
            latency: Family::new_with_constructor(|| {
                Histogram::new([0.01, 0.1, 1.0, 10.0, 60.0, 300.0])
            }),
            differing: Family::default(),
        };
        backups.register(&mut registry);
        let gauge = |registry: &mut Registry, name: &str, help: &str| {
            let family = Family::<PartitionLabel, Gauge>::default();
            registry.register(name, help, family.clone());
            family
        };
        let checkpoint_id = gauge(
            &mut registry,
            "zeebe_checkpoint_id",
            "Id of the latest checkpoint",
        );
        let checkpoint_position = gauge(
            &mut registry,
            "zeebe_checkpoint_position",
            "Position of the latest checkpoint",
        );
        let leads = gauge(
            &mut registry,
            "skep_partition_leads",
            "Whether the replica leads its partition",
        );
        let waiting = gauge(
            &mut registry,
            "skep_inbox_commands",
            "Client commands that wait for the processor",
        );
        let transfers = TransferMetrics::register(&mut registry);
        let log = LogMetrics::register(&mut registry);
        let exporters = ExporterMetrics::register(&mut registry);
        let partitions = PartitionMetrics::register(&mut registry);
        let topology = TopologyMetrics::register(&mut registry);
        let requests = RequestMetrics::register(&mut registry);
        let certificates = Certificates::register(&mut registry);
        let calls = register_calls(&mut registry);
        Arc::new(Metrics {
            registry: Mutex::new(registry),
            backups,
            transfers,
            checkpoint_id,
            checkpoint_position,
            leads,
            waiting,
            log,
            exporters,
            partitions,
            topology,
            requests,
            certificates,
            calls,
        })
    }

    /// The text that Prometheus scrapes.
    pub fn render(&self, router: &Router, log: &LogStats, exporters: &Exporters) -> String {
        let local = &router.local;
        // Held meanwhile: some of it is cleared and set again.
        let registry = self.registry.lock().unwrap_or_else(PoisonError::into_inner);
        self.partitions.set(local);
        self.topology.set(&router.view.topology());
        self.requests.set(&router.stats);
        self.log.set(log);
        self.exporters.set(exporters);
        for partition in local.partitions.iter() {
            let label = PartitionLabel {
                partition: partition.id.0,
            };
            self.checkpoint_id
                .get_or_create(&label)
                .set(partition.checkpoint_id.load(Ordering::Relaxed));
            self.checkpoint_position
                .get_or_create(&label)
                .set(partition.checkpoint_position.load(Ordering::Relaxed));
            self.leads
                .get_or_create(&label)
                .set(partition.leads().into());
            self.waiting
                .get_or_create(&label)
                .set(partition.inbox.waiting() as i64);
        }
        let mut text = String::new();
        encode(&mut text, &registry).expect("a String takes any text");
        text
    }
}
