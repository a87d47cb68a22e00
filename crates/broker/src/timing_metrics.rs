//! Metrics of how long partitions take, under Zeebe's names.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::registry::Registry;
use skep_partition::{Aged, Measures};

use crate::partition::Partition;
use crate::partition_metrics::OfPartition;
use crate::shown_histogram::ShownHistogram;

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
#[allow(non_snake_case, reason = "as Zeebe spells it")]
struct Evaluated {
    valueType: &'static str,
    intent: &'static str,
    partition: u32,
}

/// Metrics of all partitions of a node.
pub(crate) struct TimingMetrics {
    waited: ShownHistogram<OfPartition>,
    evaluated: ShownHistogram<Evaluated>,
    committed: ShownHistogram<OfPartition>,
    aged: [(Aged, ShownHistogram<OfPartition>); Aged::ALL.len()],
}

impl TimingMetrics {
    /// Registers all of them.
    pub fn register(r: &mut Registry) -> TimingMetrics {
        TimingMetrics {
            waited: ShownHistogram::register(
                r,
                "zeebe_stream_processor_latency_seconds",
                "Seconds from taking a client's command in until the processor takes it up",
            ),
            evaluated: ShownHistogram::register(
                r,
                "zeebe_stream_processor_processing_duration_seconds",
                "Seconds that the evaluation of a command takes, with all that follows from it",
            ),
            committed: ShownHistogram::register(
                r,
                "zeebe_log_appender_commit_latency_seconds",
                "Seconds from proposing a batch of records until it is committed and applied",
            ),
            aged: [
                (
                    Aged::InstanceCompleted,
                    ShownHistogram::register(
                        r,
                        "zeebe_process_instance_execution_time_seconds",
                        "Seconds from the beginning of process instances to their completion",
                    ),
                ),
                (
                    Aged::JobActivated,
                    ShownHistogram::register(
                        r,
                        "zeebe_job_activation_time_seconds",
                        "Seconds from the creation of jobs until a worker is given them",
                    ),
                ),
                (
                    Aged::JobCompleted,
                    ShownHistogram::register(
                        r,
                        "zeebe_job_life_time_seconds",
                        "Seconds from the creation of jobs to their completion",
                    ),
                ),
            ],
        }
    }

    /// As things stand.
    pub fn set<'a>(&self, partitions: impl Iterator<Item = &'a Partition> + Clone) {
        let label = |one: &Partition| OfPartition {
            partition: one.id.0,
        };
        let measures = partitions
            .clone()
            .filter_map(|one| Some((label(one), &**one.counters.measures.get()?)));
        let waited = measures.clone().map(|(label, all)| (label, all.waits()));
        self.waited.set(waited.collect());
        let committed = measures.clone().map(|(label, all)| (label, all.commits()));
        self.committed.set(committed.collect());
        let evaluated = measures.flat_map(|(label, all)| of_partition(label.partition, all));
        self.evaluated.set(evaluated.collect());
        for (what, shown) in &self.aged {
            let seen = partitions
                .clone()
                .map(|one| (label(one), one.counters.aged(*what)));
            shown.set(seen.collect());
        }
    }
}

fn of_partition(
    partition: u32,
    measures: &Measures,
) -> impl Iterator<Item = (Evaluated, skep_histogram::Seen)> {
    let evaluations = measures.evaluations().into_iter();
    evaluations.map(move |(intent, seen)| {
        let label = Evaluated {
            valueType: intent.value_type().name(),
            intent: intent.name(),
            partition,
        };
        (label, seen)
    })
}
