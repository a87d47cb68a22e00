//! Metrics of exporters, with Zeebe's names where the meaning is the same.

use std::sync::atomic::Ordering;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use crate::exporters::{Exporters, Seen};

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Label {
    exporter: String,
    partition: u32,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Action {
    exporter: String,
    partition: u32,
    action: &'static str,
}

/// Set from the exporters' own figures whenever metrics are asked for.
pub(crate) struct ExporterMetrics {
    exported: Family<Label, Gauge>,
    acknowledged: Family<Label, Gauge>,
    held: Family<Label, Gauge>,
    failing: Family<Label, Gauge>,
    records: Family<Action, Counter>,
}

impl ExporterMetrics {
    /// Registers all of them.
    pub fn register(registry: &mut Registry) -> ExporterMetrics {
        let gauge = |registry: &mut Registry, name: &str, help: &str| {
            let family = Family::<Label, Gauge>::default();
            registry.register(name, help, family.clone());
            family
        };
        let exported = gauge(
            registry,
            "zeebe_exporter_last_exported_position",
            "Position of the last record that was exported",
        );
        let acknowledged = gauge(
            registry,
            "zeebe_exporter_last_updated_exported_position",
            "Position up to which the export is durable",
        );
        let held = gauge(
            registry,
            "skep_exporter_held_log_entries",
            "Log entries that are committed and kept for the exporter",
        );
        let failing = gauge(
            registry,
            "skep_exporter_failing",
            "Whether the exporter cannot go on for now; /actuator/partitions says why",
        );
        let records = Family::<Action, Counter>::default();
        registry.register(
            "skep_exporter_records",
            "Records exported, or skipped by the filter",
            records.clone(),
        );
        ExporterMetrics {
            exported,
            acknowledged,
            held,
            failing,
            records,
        }
    }

    /// Takes the present figures.
    pub fn set(&self, exporters: &Exporters) {
        for seen in exporters.all() {
            self.set_one(&seen);
        }
    }

    fn set_one(&self, seen: &Seen) {
        let label = Label {
            exporter: seen.id.clone(),
            partition: seen.partition.0,
        };
        let status = &seen.status;
        let set =
            |family: &Family<Label, Gauge>, value: i64| family.get_or_create(&label).set(value);
        set(&self.exported, status.exported().0);
        set(&self.acknowledged, status.acknowledged().0);
        set(&self.held, seen.held());
        set(&self.failing, status.failure().is_some().into());
        let counts = status.counts();
        for (action, count) in [("exported", counts.exported), ("skipped", counts.skipped)] {
            let action = Action {
                exporter: seen.id.clone(),
                partition: seen.partition.0,
                action,
            };
            let counter = self.records.get_or_create(&action);
            counter.inner().store(count, Ordering::Relaxed);
        }
    }
}
