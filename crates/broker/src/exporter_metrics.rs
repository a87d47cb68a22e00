//! Metrics of exporters, with Zeebe's names where the meaning is the same.

use std::sync::atomic::Ordering;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use skep_exporter::{Counted, Phase};

use crate::exporters::{Exporters, Seen};
use crate::partition_metrics::OfPartition;
use crate::shown_histogram::ShownHistogram;

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Label {
    exporter: String,
    partition: u32,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
#[allow(non_snake_case, reason = "as Zeebe spells it")]
struct Action {
    exporter: String,
    partition: u32,
    action: &'static str,
    valueType: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
#[allow(non_snake_case, reason = "as Zeebe spells it")]
struct OfType {
    exporter: String,
    partition: u32,
    valueType: &'static str,
}

/// Set from the exporters' own figures whenever metrics are asked for.
pub(crate) struct ExporterMetrics {
    exported: Family<Label, Gauge>,
    acknowledged: Family<Label, Gauge>,
    held: Family<Label, Gauge>,
    failing: Family<Label, Gauge>,
    records: Family<Action, Counter>,
    behind: ShownHistogram<OfType>,
    state: Family<OfPartition, Gauge>,
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
            "zeebe_exporter_events",
            "Records exported, or skipped by the filter",
            records.clone(),
        );
        let behind = ShownHistogram::register(
            registry,
            "zeebe_exporting_latency_seconds",
            "Seconds from writing a record until it is exported",
        );
        let state = Family::default();
        registry.register(
            "zeebe_exporter_state",
            "Exporting (0), paused (1) or paused softly (2)",
            state.clone(),
        );
        ExporterMetrics {
            exported,
            acknowledged,
            held,
            failing,
            records,
            behind,
            state,
        }
    }

    /// Takes the present figures.
    pub fn set(&self, exporters: &Exporters) {
        let phase = exporters.phase();
        let mut behind = Vec::new();
        for seen in exporters.all() {
            behind.extend(self.set_one(&seen));
            let partition = seen.partition.0;
            let state = self.state.get_or_create(&OfPartition { partition });
            state.set(match phase {
                Phase::Exporting => 0,
                Phase::Paused => 1,
                Phase::SoftPaused => 2,
            });
        }
        self.behind.set(behind);
    }

    /// Gives how long records took.
    fn set_one(&self, seen: &Seen) -> Vec<(OfType, skep_histogram::Seen)> {
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
        let counted = status.counts().into_iter();
        let behind = counted.map(|counted| {
            let label = OfType {
                exporter: seen.id.clone(),
                partition: seen.partition.0,
                valueType: counted.value_type.name(),
            };
            self.set_counted(&label, &counted);
            (label, counted.exported)
        });
        behind.collect()
    }

    fn set_counted(&self, of: &OfType, counted: &Counted) {
        let counts = [
            ("exported", counted.exported.count),
            ("skipped", counted.skipped),
        ];
        for (action, count) in counts {
            let action = Action {
                exporter: of.exporter.clone(),
                partition: of.partition,
                action,
                valueType: of.valueType,
            };
            let counter = self.records.get_or_create(&action);
            counter.inner().store(count, Ordering::Relaxed);
        }
    }
}
