//! What the records of a batch say has happened, in numbers: for metrics, without looking at the records again.
//!
//! **Invariant**: counting allocates nothing but for a type of job that is new, and a batch is counted when it is applied at its leader, once.

use std::time::Duration;

use skep_histogram::{Bounds, Counts};
use skep_protocol::values::{BpmnElementType, DecisionEvaluation, ProcessInstance};
use skep_protocol::{
    CheckpointIntent, DecisionEvaluationIntent, IncidentIntent, Intent, JobBatchIntent, JobIntent,
    Key, Position, ProcessInstanceCreationIntent, ProcessInstanceIntent, Record, RecordType,
    RecordValue,
};

use crate::ages::Ages;
use crate::job_types::{JOB_TYPES, JobTypes};
use crate::open_incidents::OpenIncidents;

/// Ages of process instances and jobs: those of Zeebe's metrics.
pub const AGES: Bounds = Bounds::of_micros(&[
    25_000, 50_000, 75_000, 100_000, 250_000, 500_000, 750_000, 1_000_000, 2_500_000, 5_000_000,
    10_000_000, 15_000_000, 30_000_000, 45_000_000, 60_000_000,
]);

macro_rules! counted {
    ($(#[$meta:meta])* $name:ident { $($(#[$doc:meta])* $variant:ident),+ $(,)? }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum $name { $($(#[$doc])* $variant),+ }

        impl $name {
            /// All, in order of their numbers.
            pub const ALL: &'static [$name] = &[$($name::$variant),+];
        }
    };
}

counted! {
    /// What happens to an element.
    ElementAction {
        /// It has begun.
        Activated,
        /// It has ended well.
        Completed,
        /// It was ended.
        Terminated,
        /// A sequence flow was taken.
        Taken,
    }
}

counted! {
    /// What happens to a job.
    JobAction {
        /// There is work.
        Created,
        /// It is done.
        Completed,
        /// It has failed.
        Failed,
        /// Its worker was too slow.
        TimedOut,
        /// It is not wanted any more.
        Canceled,
        /// Its worker has thrown an error.
        ErrorThrown,
    }
}

counted! {
    /// What happens to other things, each an event.
    Happened {
        /// A process instance was created that nobody called.
        RootActivated,
        /// One has ended well.
        RootCompleted,
        /// One was ended.
        RootTerminated,
        /// A process instance was created at its start event.
        CreatedAtStart,
        /// A process instance was created at chosen elements.
        CreatedAtElement,
        /// Something is to be mended.
        IncidentCreated,
        /// It is mended.
        IncidentResolved,
        /// A decision has a result.
        DecisionEvaluated,
        /// A decision has failed.
        DecisionFailed,
        /// A checkpoint was created.
        CheckpointCreated,
        /// A checkpoint was there already, or a newer one.
        CheckpointIgnored,
    }
}

counted! {
    /// What is measured by the age of what it happens to.
    Aged {
        /// A process instance has ended well.
        InstanceCompleted,
        /// A job was given to a worker.
        JobActivated,
        /// A job was done.
        JobCompleted,
    }
}

/// What counting remembers of the batches before.
#[derive(Debug, Default)]
pub(crate) struct Remembered {
    pub job_types: JobTypes,
    /// Of process instances and jobs.
    pub ages: Ages,
    pub open_incidents: OpenIncidents,
}

/// Types of elements that there are, the unspecified one included.
pub const ELEMENT_TYPES: usize = BpmnElementType::SendTask as usize + 1;
const ACTIONS: usize = ElementAction::ALL.len();
const JOB_ACTIONS: usize = JobAction::ALL.len();

/// The numbers of one batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tally {
    /// Records.
    pub records: u32,
    /// Commands that were evaluated.
    pub commands: u32,
    /// Position of its last record.
    pub last_position: Position,
    /// By type of element and action.
    pub elements: [[u32; ACTIONS]; ELEMENT_TYPES],
    /// By number of the job's type and action.
    pub jobs: [[u32; JOB_ACTIONS]; JOB_TYPES],
    /// By what has happened.
    pub happened: [u32; Happened::ALL.len()],
    /// How old it was, by what has happened to it, with [`AGES`] as bounds. What is too old is left out.
    pub aged: [Counts; Aged::ALL.len()],
}

impl Default for Tally {
    fn default() -> Tally {
        Tally {
            records: 0,
            commands: 0,
            last_position: Position::NONE,
            elements: [[0; ACTIONS]; ELEMENT_TYPES],
            jobs: [[0; JOB_ACTIONS]; JOB_TYPES],
            happened: [0; Happened::ALL.len()],
            aged: Default::default(),
        }
    }
}

impl Tally {
    /// Of a batch of that many commands, evaluated at that time of the partition.
    pub(crate) fn of(
        records: &[Record],
        commands: usize,
        time: i64,
        remembered: &mut Remembered,
    ) -> Tally {
        let mut tally = Tally {
            records: records.len() as u32,
            commands: commands as u32,
            ..Tally::default()
        };
        let events = records
            .iter()
            .filter(|record| record.record_type == RecordType::Event);
        for event in events {
            tally.count(event, &mut remembered.job_types);
            tally.measure(event, time, &mut remembered.ages);
            match event.intent {
                Intent::Incident(IncidentIntent::Created) => remembered.open_incidents.created(),
                Intent::Incident(IncidentIntent::Resolved) => {
                    remembered.open_incidents.resolved(event.key);
                }
                _ => {}
            }
        }
        tally
    }

    fn count(&mut self, event: &Record, types: &mut JobTypes) {
        match (event.intent, &event.value) {
            (Intent::ProcessInstance(intent), RecordValue::ProcessInstance(element)) => {
                self.count_element(intent, element);
            }
            (Intent::Job(intent), RecordValue::Job(job)) => {
                if let Some(action) = job_action(intent) {
                    let number = types.number(&job.job_type);
                    self.jobs[number][action as usize] += 1;
                }
            }
            (
                Intent::ProcessInstanceCreation(ProcessInstanceCreationIntent::Created),
                RecordValue::ProcessInstanceCreation(creation),
            ) => self.happened(match creation.start_instructions.is_empty() {
                true => Happened::CreatedAtStart,
                false => Happened::CreatedAtElement,
            }),
            (Intent::DecisionEvaluation(intent), RecordValue::DecisionEvaluation(evaluation)) => {
                self.count_decisions(intent, evaluation)
            }
            (intent, _) => {
                if let Some(happened) = happened(intent) {
                    self.happened(happened);
                }
            }
        }
    }

    /// Measures how old process instances and jobs are when something happens to them.
    fn measure(&mut self, event: &Record, time: i64, ages: &mut Ages) {
        match (event.intent, &event.value) {
            (Intent::ProcessInstance(intent), RecordValue::ProcessInstance(element))
                if element.process_instance_key == event.key.0 =>
            {
                match intent {
                    ProcessInstanceIntent::ElementActivating => ages.note(event.key, time),
                    ProcessInstanceIntent::ElementCompleted => {
                        self.aged(Aged::InstanceCompleted, ages.of(event.key, time));
                    }
                    _ => {}
                }
            }
            (Intent::Job(JobIntent::Created), _) => ages.note(event.key, time),
            (Intent::Job(JobIntent::Completed), _) => {
                self.aged(Aged::JobCompleted, ages.of(event.key, time));
            }
            (Intent::JobBatch(JobBatchIntent::Activated), RecordValue::JobBatch(batch)) => {
                for job in &batch.jobs {
                    self.aged(Aged::JobActivated, ages.of(Key(job.key), time));
                }
            }
            _ => {}
        }
    }

    fn aged(&mut self, what: Aged, age: Option<Duration>) {
        if let Some(age) = age {
            self.aged[what as usize].observe(AGES, age);
        }
    }

    fn happened(&mut self, happened: Happened) {
        self.happened[happened as usize] += 1;
    }

    fn count_element(&mut self, intent: ProcessInstanceIntent, element: &ProcessInstance) {
        let (action, root) = match intent {
            ProcessInstanceIntent::ElementActivated => {
                (ElementAction::Activated, Some(Happened::RootActivated))
            }
            ProcessInstanceIntent::ElementCompleted => {
                (ElementAction::Completed, Some(Happened::RootCompleted))
            }
            ProcessInstanceIntent::ElementTerminated => {
                (ElementAction::Terminated, Some(Happened::RootTerminated))
            }
            ProcessInstanceIntent::SequenceFlowTaken => (ElementAction::Taken, None),
            _ => return,
        };
        let element_type = element.element_type();
        self.elements[element_type as usize][action as usize] += 1;
        let is_root =
            element_type == BpmnElementType::Process && element.parent_process_instance_key < 0;
        if let Some(root) = root.filter(|_| is_root) {
            self.happened(root);
        }
    }

    /// A decision that was asked for, with those that it required.
    fn count_decisions(
        &mut self,
        intent: DecisionEvaluationIntent,
        evaluation: &DecisionEvaluation,
    ) {
        let decisions = evaluation.evaluated_decisions.len() as u32;
        let (evaluated, failed) = match intent {
            DecisionEvaluationIntent::Evaluated => (decisions, 0),
            // The last one has failed, if it has come as far as that.
            DecisionEvaluationIntent::Failed => (decisions.saturating_sub(1), 1),
            DecisionEvaluationIntent::Evaluate => return,
        };
        self.happened[Happened::DecisionEvaluated as usize] += evaluated;
        self.happened[Happened::DecisionFailed as usize] += failed;
    }
}

const fn job_action(intent: JobIntent) -> Option<JobAction> {
    Some(match intent {
        JobIntent::Created => JobAction::Created,
        JobIntent::Completed => JobAction::Completed,
        JobIntent::Failed => JobAction::Failed,
        JobIntent::TimedOut => JobAction::TimedOut,
        JobIntent::Canceled => JobAction::Canceled,
        JobIntent::ErrorThrown => JobAction::ErrorThrown,
        _ => return None,
    })
}

const fn happened(intent: Intent) -> Option<Happened> {
    Some(match intent {
        Intent::Incident(IncidentIntent::Created) => Happened::IncidentCreated,
        Intent::Incident(IncidentIntent::Resolved) => Happened::IncidentResolved,
        Intent::Checkpoint(CheckpointIntent::Created) => Happened::CheckpointCreated,
        Intent::Checkpoint(CheckpointIntent::Ignored) => Happened::CheckpointIgnored,
        _ => return None,
    })
}
