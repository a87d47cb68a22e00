//! Metrics of partitions, with Zeebe's names and labels where the meaning is the same. Set from the counters whenever they are
//! asked for.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use skep_partition::{ELEMENT_TYPES, ElementAction, Happened, JOB_TYPES, JobAction, JobTypeNames};
use skep_protocol::values::BpmnElementType;

use crate::counters::Counters;
use crate::flow_metrics::FlowMetrics;
use crate::local::LocalPartitions;
use crate::partition::Partition;
use crate::raft_metrics::RaftMetrics;
use crate::replication_metrics::ReplicationMetrics;
use crate::timing_metrics::TimingMetrics;

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct OfPartition {
    pub partition: u32,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Action {
    action: &'static str,
    partition: u32,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct TypedAction {
    r#type: &'static str,
    action: &'static str,
    partition: u32,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct JobLabel {
    r#type: String,
    action: &'static str,
    partition: u32,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Creation {
    creation_mode: &'static str,
    partition: u32,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CheckpointResult {
    result: &'static str,
    partition: u32,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
#[allow(non_snake_case, reason = "as Zeebe spells it")]
pub(crate) struct InGroup {
    pub partitionGroupName: &'static str,
    pub partition: u32,
}

/// Zeebe's name of what all partitions belong to.
pub(crate) const GROUP: &str = "raft-partition";

/// Zeebe's numbers of the roles of a replica.
const INACTIVE: i64 = 0;
const FOLLOWER: i64 = 1;
const LEADER: i64 = 3;

/// Metrics of all partitions of a node.
pub(crate) struct PartitionMetrics {
    records: Family<Action, Counter>,
    elements: Family<TypedAction, Counter>,
    executed: Family<TypedAction, Counter>,
    creations: Family<Creation, Counter>,
    jobs: Family<JobLabel, Counter>,
    incidents: Family<Action, Counter>,
    open_incidents: Family<OfPartition, Gauge>,
    decisions: Family<Action, Counter>,
    checkpoints: Family<CheckpointResult, Counter>,
    committed: Family<OfPartition, Gauge>,
    flow: FlowMetrics,
    timings: TimingMetrics,
    raft: RaftMetrics,
    replication: ReplicationMetrics,
    health: Family<OfPartition, Gauge>,
    role: Family<InGroup, Gauge>,
}

/// Registers a metric.
pub(crate) fn register<M: Clone + Default + prometheus_client::registry::Metric>(
    registry: &mut Registry,
    name: &str,
    help: &str,
) -> M {
    let metric = M::default();
    registry.register(name, help, metric.clone());
    metric
}

impl PartitionMetrics {
    /// Registers all of them.
    pub fn register(registry: &mut Registry) -> PartitionMetrics {
        let r = registry;
        PartitionMetrics {
            records: register(
                r,
                "zeebe_stream_processor_records",
                "Commands processed and records written by the leader of the partition",
            ),
            elements: register(
                r,
                "zeebe_element_instance_events",
                "What has happened to instances of elements",
            ),
            executed: register(
                r,
                "zeebe_executed_instances",
                "Process instances that no other has called",
            ),
            creations: register(
                r,
                "zeebe_process_instance_creations",
                "Process instances created by commands",
            ),
            jobs: register(r, "zeebe_job_events", "What has happened to jobs"),
            incidents: register(r, "zeebe_incident_events", "What has happened to incidents"),
            open_incidents: register(
                r,
                "zeebe_pending_incidents_total",
                "Incidents that there are",
            ),
            decisions: register(
                r,
                "zeebe_evaluated_dmn_elements",
                "Decisions evaluated, required ones included",
            ),
            checkpoints: register(r, "zeebe_checkpoint_records", "Checkpoints by result"),
            committed: register(
                r,
                "zeebe_log_appender_last_committed_position",
                "Position of the last record of the leader that is committed",
            ),
            flow: FlowMetrics::register(r),
            timings: TimingMetrics::register(r),
            raft: RaftMetrics::register(r),
            replication: ReplicationMetrics::register(r),
            health: register(
                r,
                "zeebe_health",
                "How the replica is: 1 healthy, 0 without a leader, -1 stopped for good",
            ),
            role: register(
                r,
                "atomix_role",
                "What the replica is: 0 inactive, 1 follower, 3 leader",
            ),
        }
    }

    /// As things stand.
    pub fn set(&self, local: &LocalPartitions) {
        let partitions = &local.partitions;
        self.raft.clear();
        self.committed.clear();
        self.open_incidents.clear();
        self.timings.set(partitions.iter());
        self.replication.set(partitions.iter());
        for one in partitions.iter() {
            let partition = one.id.0;
            self.flow.set(one, &local.requests);
            self.raft.set(one);
            self.set_counters(partition, &one.counters);
            self.set_state(one, partitions.is_settled(one));
        }
    }

    fn set_state(&self, one: &Partition, settled: bool) {
        let partition = one.id.0;
        let label = OfPartition { partition };
        let failed = one.failure().is_some();
        let health = match (failed, settled) {
            (true, _) => -1,
            (false, settled) => i64::from(settled),
        };
        self.health.get_or_create(&label).set(health);
        let role = match (failed, one.leads()) {
            (true, _) => INACTIVE,
            (false, true) => LEADER,
            (false, false) => FOLLOWER,
        };
        let in_group = InGroup {
            partitionGroupName: GROUP,
            partition,
        };
        self.role.get_or_create(&in_group).set(role);
        let position = one.counters.position.load(Ordering::Relaxed);
        if one.leads() && position > 0 {
            self.committed.get_or_create(&label).set(position);
        }
        let measures = one.counters.measures.get();
        if let Some(open) = measures.and_then(|measures| measures.open_incidents()) {
            self.open_incidents.get_or_create(&label).set(open);
        }
    }

    fn set_counters(&self, partition: u32, counters: &Counters) {
        let load = |counter: &std::sync::atomic::AtomicU64| counter.load(Ordering::Relaxed);
        let action = |action| Action { action, partition };
        let set = |family: &Family<Action, Counter>, name, value| {
            store(&family.get_or_create(&action(name)), value);
        };
        set(&self.records, "processed", load(&counters.commands));
        set(&self.records, "written", load(&counters.records));
        for (family, name, what) in [
            (&self.incidents, "created", Happened::IncidentCreated),
            (&self.incidents, "resolved", Happened::IncidentResolved),
            (
                &self.decisions,
                "evaluated_successfully",
                Happened::DecisionEvaluated,
            ),
            (
                &self.decisions,
                "evaluated_failed",
                Happened::DecisionFailed,
            ),
        ] {
            set(family, name, counters.happened(what));
        }
        self.set_jobs(partition, counters);
        self.set_instances(partition, counters);
        for (result, what) in [
            ("created", Happened::CheckpointCreated),
            ("ignored", Happened::CheckpointIgnored),
        ] {
            let label = CheckpointResult { result, partition };
            let counter = self.checkpoints.get_or_create(&label);
            store(&counter, counters.happened(what));
        }
    }

    fn set_jobs(&self, partition: u32, counters: &Counters) {
        let names = counters.job_types.get();
        let mut names = names.map(JobTypeNames::all).unwrap_or_default();
        names.truncate(JOB_TYPES - 1);
        // Those without a number of their own have the last.
        let named = names.into_iter().enumerate();
        let others = std::iter::once((JOB_TYPES - 1, Arc::from("other")));
        for (number, name) in named.chain(others) {
            for action in JobAction::ALL {
                let value = counters.job(number, *action);
                // Most never happen.
                if value > 0 {
                    let label = JobLabel {
                        r#type: name.to_string(),
                        action: name_of(*action),
                        partition,
                    };
                    store(&self.jobs.get_or_create(&label), value);
                }
            }
        }
    }

    fn set_instances(&self, partition: u32, counters: &Counters) {
        for (creation_mode, what) in [
            ("creation_at_default_start_event", Happened::CreatedAtStart),
            ("creation_at_given_element", Happened::CreatedAtElement),
        ] {
            let label = Creation {
                creation_mode,
                partition,
            };
            let counter = self.creations.get_or_create(&label);
            store(&counter, counters.happened(what));
        }
        for (action, what) in [
            ("activated", Happened::RootActivated),
            ("completed", Happened::RootCompleted),
            ("terminated", Happened::RootTerminated),
        ] {
            let label = TypedAction {
                r#type: "ROOT_PROCESS_INSTANCE",
                action,
                partition,
            };
            let counter = self.executed.get_or_create(&label);
            store(&counter, counters.happened(what));
        }
        for number in 0..ELEMENT_TYPES {
            let element_type = BpmnElementType::try_from(number as i32).unwrap_or_default();
            for action in ElementAction::ALL {
                let value = counters.element(number, *action);
                // Most types do not occur.
                if value > 0 {
                    let label = TypedAction {
                        r#type: element_type.name(),
                        action: name(*action),
                        partition,
                    };
                    store(&self.elements.get_or_create(&label), value);
                }
            }
        }
    }
}

/// Sets a counter to what was counted elsewhere.
pub(crate) fn store(counter: &Counter, value: u64) {
    counter.inner().store(value, Ordering::Relaxed);
}

fn name(action: ElementAction) -> &'static str {
    match action {
        ElementAction::Activated => "activated",
        ElementAction::Completed => "completed",
        ElementAction::Terminated => "terminated",
        ElementAction::Taken => "taken",
    }
}

fn name_of(action: JobAction) -> &'static str {
    match action {
        JobAction::Created => "created",
        JobAction::Completed => "completed",
        JobAction::Failed => "failed",
        JobAction::TimedOut => "timed out",
        JobAction::Canceled => "canceled",
        JobAction::ErrorThrown => "error thrown",
    }
}
