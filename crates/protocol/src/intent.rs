//! Value types and intents of the record stream, with Zeebe's names.
//!
//! Codes are ours and stable on disk; names are what exporters print.

use crate::DecodeError;

macro_rules! intents {
    ($( $(#[$doc:meta])* $value_type:ident = $number:literal, $label:literal, $intent:ident {
        $( $variant:ident = $code:literal $name:literal $kind:ident ),+ $(,)?
    } )+) => {
        /// What a record is about. Numbers are Zeebe's.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u8)]
        pub enum ValueType { $( $(#[$doc])* $value_type = $number ),+ }

        impl ValueType {
            /// All of them.
            pub const ALL: &'static [ValueType] = &[ $( ValueType::$value_type ),+ ];

            /// Name in the record stream.
            pub const fn name(self) -> &'static str {
                match self { $( ValueType::$value_type => $label ),+ }
            }
            /// The number on disk.
            pub const fn code(self) -> u8 { self as u8 }
        }

        $(
            #[doc = concat!("What is asked or has happened to a ", $label, ".")]
            #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
            #[repr(u8)]
            pub enum $intent { $( #[doc = concat!($name, ", a ", stringify!($kind), ".")] $variant = $code ),+ }

            impl From<$intent> for Intent {
                fn from(intent: $intent) -> Intent { Intent::$value_type(intent) }
            }
        )+

        /// A value type together with what is asked or has happened.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Intent { $( #[doc = concat!("Of a ", $label, ".")] $value_type($intent) ),+ }

        impl Intent {
            /// All of them.
            pub const ALL: &'static [Intent] = &[ $( $( Intent::$value_type($intent::$variant), )+ )+ ];

            /// What the record is about.
            pub const fn value_type(self) -> ValueType {
                match self { $( Intent::$value_type(_) => ValueType::$value_type ),+ }
            }
            /// Name in the record stream.
            pub const fn name(self) -> &'static str {
                match self { $( $( Intent::$value_type($intent::$variant) => $name, )+ )+ }
            }
            /// Whether records with this intent are events (else they are commands).
            pub const fn is_event(self) -> bool {
                match self { $( $( Intent::$value_type($intent::$variant) => intents!(@event $kind), )+ )+ }
            }
            /// The pair of codes on disk.
            pub const fn codes(self) -> (u8, u8) {
                match self { $( Intent::$value_type(intent) => ($number, intent as u8) ),+ }
            }
            /// The intent with those codes on disk.
            pub fn from_codes(value_type: u8, intent: u8) -> Result<Intent, DecodeError> {
                match (value_type, intent) {
                    $( $( ($number, $code) => Ok(Intent::$value_type($intent::$variant)), )+ )+
                    _ => Err(DecodeError::Unknown {
                        what: "intent",
                        code: u64::from(value_type) << 8 | u64::from(intent),
                    }),
                }
            }
        }
    };
    (@event event) => { true };
    (@event command) => { false };
}

/// The place among all of each intent, by the codes on disk.
static PLACES: [[u8; 32]; 256] = {
    let mut places = [[0; 32]; 256];
    let mut place = 0;
    while place < Intent::ALL.len() {
        let (value_type, intent) = Intent::ALL[place].codes();
        places[value_type as usize][intent as usize] = place as u8;
        place += 1;
    }
    places
};

const _: () = assert!(Intent::ALL.len() <= 256);

impl Intent {
    /// Its place among [`Intent::ALL`]: for tables in memory, since it changes with every new intent.
    pub fn place(self) -> usize {
        let (value_type, intent) = self.codes();
        usize::from(PLACES[usize::from(value_type)][usize::from(intent)])
    }
}

intents! {
    /// Work for a job worker.
    Job = 0, "JOB", JobIntent {
        Created = 0 "CREATED" event, Complete = 1 "COMPLETE" command, Completed = 2 "COMPLETED" event,
        TimeOut = 3 "TIME_OUT" command, TimedOut = 4 "TIMED_OUT" event, Fail = 5 "FAIL" command, Failed = 6 "FAILED" event,
        UpdateRetries = 7 "UPDATE_RETRIES" command, RetriesUpdated = 8 "RETRIES_UPDATED" event,
        Cancel = 9 "CANCEL" command, Canceled = 10 "CANCELED" event, ThrowError = 11 "THROW_ERROR" command,
        ErrorThrown = 12 "ERROR_THROWN" event, RecurAfterBackoff = 13 "RECUR_AFTER_BACKOFF" command,
        RecurredAfterBackoff = 14 "RECURRED_AFTER_BACKOFF" event, Yield = 15 "YIELD" command, Yielded = 16 "YIELDED" event,
        UpdateTimeout = 17 "UPDATE_TIMEOUT" command, TimeoutUpdated = 18 "TIMEOUT_UPDATED" event, Migrated = 19 "MIGRATED" event,
    }
    /// Resources deployed together.
    Deployment = 4, "DEPLOYMENT", DeploymentIntent {
        Create = 0 "CREATE" command, Created = 1 "CREATED" event,
    }
    /// Execution of a process or of one of its elements.
    ProcessInstance = 5, "PROCESS_INSTANCE", ProcessInstanceIntent {
        Cancel = 0 "CANCEL" command, SequenceFlowTaken = 1 "SEQUENCE_FLOW_TAKEN" event,
        ElementActivating = 2 "ELEMENT_ACTIVATING" event, ElementActivated = 3 "ELEMENT_ACTIVATED" event,
        ElementCompleting = 4 "ELEMENT_COMPLETING" event, ElementCompleted = 5 "ELEMENT_COMPLETED" event,
        ElementTerminating = 6 "ELEMENT_TERMINATING" event, ElementTerminated = 7 "ELEMENT_TERMINATED" event,
        ActivateElement = 8 "ACTIVATE_ELEMENT" command, CompleteElement = 9 "COMPLETE_ELEMENT" command,
        TerminateElement = 10 "TERMINATE_ELEMENT" command, ElementMigrated = 11 "ELEMENT_MIGRATED" event,
        CompleteExecutionListener = 12 "COMPLETE_EXECUTION_LISTENER" command,
    }
    /// Something that a person must mend.
    Incident = 6, "INCIDENT", IncidentIntent {
        Created = 0 "CREATED" event, Resolve = 1 "RESOLVE" command, Resolved = 2 "RESOLVED" event, Migrated = 3 "MIGRATED" event,
    }
    /// A message as published.
    Message = 10, "MESSAGE", MessageIntent {
        Publish = 0 "PUBLISH" command, Published = 1 "PUBLISHED" event, Expire = 2 "EXPIRE" command, Expired = 3 "EXPIRED" event,
    }
    /// A message subscription on the message's partition.
    MessageSubscription = 11, "MESSAGE_SUBSCRIPTION", MessageSubscriptionIntent {
        Create = 0 "CREATE" command, Created = 1 "CREATED" event, Correlating = 2 "CORRELATING" event,
        Correlate = 3 "CORRELATE" command, Correlated = 4 "CORRELATED" event, Reject = 5 "REJECT" command,
        Rejected = 6 "REJECTED" event, Delete = 7 "DELETE" command, Deleted = 8 "DELETED" event,
        Migrate = 9 "MIGRATE" command, Migrated = 10 "MIGRATED" event,
    }
    /// A message subscription on the process instance's partition.
    ProcessMessageSubscription = 12, "PROCESS_MESSAGE_SUBSCRIPTION", ProcessMessageSubscriptionIntent {
        Creating = 0 "CREATING" event, Create = 1 "CREATE" command, Created = 2 "CREATED" event,
        Correlate = 3 "CORRELATE" command, Correlated = 4 "CORRELATED" event, Deleting = 5 "DELETING" event,
        Delete = 6 "DELETE" command, Deleted = 7 "DELETED" event, Migrated = 8 "MIGRATED" event,
    }
    /// Jobs handed out together.
    JobBatch = 14, "JOB_BATCH", JobBatchIntent { Activate = 0 "ACTIVATE" command, Activated = 1 "ACTIVATED" event, }
    /// A due date of a process.
    Timer = 15, "TIMER", TimerIntent {
        Created = 0 "CREATED" event, Trigger = 1 "TRIGGER" command, Triggered = 2 "TRIGGERED" event,
        Cancel = 3 "CANCEL" command, Canceled = 4 "CANCELED" event, Migrated = 5 "MIGRATED" event,
    }
    /// A message start event that waits.
    MessageStartEventSubscription = 16, "MESSAGE_START_EVENT_SUBSCRIPTION", MessageStartEventSubscriptionIntent {
        Created = 0 "CREATED" event, Correlated = 1 "CORRELATED" event, Deleted = 2 "DELETED" event,
    }
    /// One variable of one scope.
    Variable = 17, "VARIABLE", VariableIntent { Created = 0 "CREATED" event, Updated = 1 "UPDATED" event, Migrated = 2 "MIGRATED" event, }
    /// Several variables set by a client.
    VariableDocument = 18, "VARIABLE_DOCUMENT", VariableDocumentIntent { Update = 0 "UPDATE" command, Updated = 1 "UPDATED" event, }
    /// The wish for a process instance.
    ProcessInstanceCreation = 19, "PROCESS_INSTANCE_CREATION", ProcessInstanceCreationIntent {
        Create = 0 "CREATE" command, Created = 1 "CREATED" event,
        CreateWithAwaitingResult = 2 "CREATE_WITH_AWAITING_RESULT" command,
    }
    /// An unexpected failure of processing.
    Error = 20, "ERROR", ErrorIntent { Created = 0 "CREATED" event, }
    /// The result of a process instance that somebody waits for.
    ProcessInstanceResult = 21, "PROCESS_INSTANCE_RESULT", ProcessInstanceResultIntent { Completed = 0 "COMPLETED" event, }
    /// A process definition.
    Process = 22, "PROCESS", ProcessIntent { Created = 0 "CREATED" event, Deleting = 1 "DELETING" event, Deleted = 2 "DELETED" event, }
    /// A trigger queued in an event scope.
    ProcessEvent = 24, "PROCESS_EVENT", ProcessEventIntent { Triggering = 0 "TRIGGERING" event, Triggered = 1 "TRIGGERED" event, }
    /// A decision.
    Decision = 25, "DECISION", DecisionIntent { Created = 0 "CREATED" event, Deleted = 1 "DELETED" event, }
    /// A decision requirements graph.
    DecisionRequirements = 26, "DECISION_REQUIREMENTS", DecisionRequirementsIntent { Created = 0 "CREATED" event, Deleted = 1 "DELETED" event, }
    /// The evaluation of a decision.
    DecisionEvaluation = 27, "DECISION_EVALUATION", DecisionEvaluationIntent {
        Evaluate = 0 "EVALUATE" command, Evaluated = 1 "EVALUATED" event, Failed = 2 "FAILED" event,
    }
    /// Tokens moved by hand.
    ProcessInstanceModification = 28, "PROCESS_INSTANCE_MODIFICATION", ProcessInstanceModificationIntent {
        Modify = 0 "MODIFY" command, Modified = 1 "MODIFIED" event,
    }
    /// An escalation.
    Escalation = 29, "ESCALATION", EscalationIntent { Escalated = 0 "ESCALATED" event, NotEscalated = 1 "NOT_ESCALATED" event, }
    /// A subscription to a signal.
    SignalSubscription = 30, "SIGNAL_SUBSCRIPTION", SignalSubscriptionIntent {
        Created = 0 "CREATED" event, Deleted = 1 "DELETED" event, Migrated = 2 "MIGRATED" event,
    }
    /// A signal.
    Signal = 31, "SIGNAL", SignalIntent { Broadcast = 0 "BROADCAST" command, Broadcasted = 1 "BROADCASTED" event, }
    /// The deletion of a deployed resource.
    ResourceDeletion = 32, "RESOURCE_DELETION", ResourceDeletionIntent {
        Delete = 0 "DELETE" command, Deleting = 1 "DELETING" event, Deleted = 2 "DELETED" event,
    }
    /// A command on its way to all partitions.
    CommandDistribution = 33, "COMMAND_DISTRIBUTION", CommandDistributionIntent {
        Started = 0 "STARTED" event, Distributing = 1 "DISTRIBUTING" event, Acknowledge = 2 "ACKNOWLEDGE" command,
        Acknowledged = 3 "ACKNOWLEDGED" event, Finished = 4 "FINISHED" event,
    }
    /// Many element instances handled in portions.
    ProcessInstanceBatch = 34, "PROCESS_INSTANCE_BATCH", ProcessInstanceBatchIntent {
        Terminate = 0 "TERMINATE" command, Activate = 1 "ACTIVATE" command,
    }
    /// Many messages handled together.
    MessageBatch = 35, "MESSAGE_BATCH", MessageBatchIntent { Expire = 0 "EXPIRE" command, }
    /// A form.
    Form = 36, "FORM", FormIntent { Created = 0 "CREATED" event, Deleted = 1 "DELETED" event, }
    /// A task for a person.
    UserTask = 37, "USER_TASK", UserTaskIntent {
        Creating = 0 "CREATING" event, Created = 1 "CREATED" event, Complete = 2 "COMPLETE" command,
        Completing = 3 "COMPLETING" event, Completed = 4 "COMPLETED" event, Canceling = 5 "CANCELING" event,
        Canceled = 6 "CANCELED" event, Assign = 7 "ASSIGN" command, Assigning = 8 "ASSIGNING" event, Assigned = 9 "ASSIGNED" event,
        Claim = 10 "CLAIM" command, Update = 11 "UPDATE" command, Updating = 12 "UPDATING" event, Updated = 13 "UPDATED" event,
        Migrated = 14 "MIGRATED" event,
    }
    /// An instance moved to another definition.
    ProcessInstanceMigration = 38, "PROCESS_INSTANCE_MIGRATION", ProcessInstanceMigrationIntent {
        Migrate = 0 "MIGRATE" command, Migrated = 1 "MIGRATED" event,
    }
    /// Something that can be compensated.
    CompensationSubscription = 39, "COMPENSATION_SUBSCRIPTION", CompensationSubscriptionIntent {
        Created = 0 "CREATED" event, Triggered = 1 "TRIGGERED" event, Completed = 2 "COMPLETED" event, Deleted = 3 "DELETED" event,
    }
    /// The consistent cut.
    Checkpoint = 254, "CHECKPOINT", CheckpointIntent {
        Create = 0 "CREATE" command, Created = 1 "CREATED" event, Ignored = 2 "IGNORED" event,
        ConfirmBackup = 3 "CONFIRM_BACKUP" command, ConfirmedBackup = 4 "CONFIRMED_BACKUP" event,
        FailBackup = 5 "FAIL_BACKUP" command, FailedBackup = 6 "FAILED_BACKUP" event,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_intent_has_a_place_of_its_own() {
        for (place, intent) in Intent::ALL.iter().enumerate() {
            assert_eq!(intent.place(), place, "{intent:?}");
        }
        assert_eq!(Intent::from(JobIntent::Created).place(), 0);
    }
}
