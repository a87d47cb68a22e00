//! Incidents and processing errors.

/// Why an incident was raised, with the record stream's names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, prost::Enumeration)]
#[repr(i32)]
pub enum IncidentErrorType {
    Unknown = 0,
    IoMappingError = 1,
    JobNoRetries = 2,
    ConditionError = 3,
    ExtractValueError = 4,
    CalledElementError = 5,
    UnhandledErrorEvent = 6,
    MessageSizeExceeded = 7,
    CalledDecisionError = 8,
    DecisionEvaluationError = 9,
    FormNotFound = 10,
    ExecutionListenerNoRetries = 11,
}

/// Something that a person must mend before an element goes on.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Incident {
    /// Kind.
    #[prost(enumeration = "IncidentErrorType", tag = "1")]
    pub error_type: i32,
    /// What went wrong.
    #[prost(string, tag = "2")]
    pub error_message: String,
    /// Process id.
    #[prost(string, tag = "3")]
    pub bpmn_process_id: String,
    /// Process definition.
    #[prost(int64, tag = "4")]
    pub process_definition_key: i64,
    /// Process instance.
    #[prost(int64, tag = "5")]
    pub process_instance_key: i64,
    /// Element.
    #[prost(string, tag = "6")]
    pub element_id: String,
    /// Element instance.
    #[prost(int64, tag = "7")]
    pub element_instance_key: i64,
    /// Job; -1 when the incident is not a job's.
    #[prost(sint64, tag = "8")]
    pub job_key: i64,
    /// Scope whose variables must be mended.
    #[prost(int64, tag = "9")]
    pub variable_scope_key: i64,
}

/// An unexpected failure of processing, which bans the instance.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Error {
    /// What failed.
    #[prost(string, tag = "1")]
    pub exception_message: String,
    /// Where, for the developers.
    #[prost(string, tag = "2")]
    pub stacktrace: String,
    /// Position of the command.
    #[prost(sint64, tag = "3")]
    pub error_event_position: i64,
    /// The banned instance; -1 when there is none.
    #[prost(sint64, tag = "4")]
    pub process_instance_key: i64,
}
