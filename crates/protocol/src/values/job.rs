//! Jobs and batches of jobs.

/// A job: work that an element waits for.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Job {
    /// Job type that workers ask for.
    #[prost(string, tag = "1")]
    pub job_type: String,
    /// Attempts left.
    #[prost(int32, tag = "2")]
    pub retries: i32,
    /// When the lock of an activated job ends, in epoch milliseconds; -1 when not activated.
    #[prost(sint64, tag = "3")]
    pub deadline: i64,
    /// Worker that holds it.
    #[prost(string, tag = "4")]
    pub worker: String,
    /// Lock duration in milliseconds.
    #[prost(int64, tag = "5")]
    pub timeout: i64,
    /// JSON object of static headers.
    #[prost(string, tag = "6")]
    pub custom_headers: String,
    /// JSON object; on completion, failure and thrown errors the variables that the worker sends.
    #[prost(string, tag = "7")]
    pub variables: String,
    /// What a failing worker says.
    #[prost(string, tag = "8")]
    pub error_message: String,
    /// Code of a thrown error.
    #[prost(string, tag = "9")]
    pub error_code: String,
    /// Wait before the next attempt, in milliseconds.
    #[prost(int64, tag = "10")]
    pub retry_back_off: i64,
    /// When the wait ends, in epoch milliseconds; -1 when it does not wait.
    #[prost(sint64, tag = "11")]
    pub recurring_time: i64,
    /// Element that waits for the job.
    #[prost(string, tag = "12")]
    pub element_id: String,
    /// Its element instance.
    #[prost(int64, tag = "13")]
    pub element_instance_key: i64,
    /// Its process instance.
    #[prost(int64, tag = "14")]
    pub process_instance_key: i64,
    /// Its process id.
    #[prost(string, tag = "15")]
    pub bpmn_process_id: String,
    /// Its process version.
    #[prost(int32, tag = "16")]
    pub process_definition_version: i32,
    /// Its process definition.
    #[prost(int64, tag = "17")]
    pub process_definition_key: i64,
    /// What it is for.
    #[prost(enumeration = "JobKind", tag = "18")]
    pub kind: i32,
    /// Of an execution listener's job, when it comes.
    #[prost(enumeration = "JobListenerEventType", tag = "19")]
    pub listener_event_type: i32,
}

/// What a job is for, with the record stream's names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, prost::Enumeration)]
#[repr(i32)]
pub enum JobKind {
    BpmnElement = 0,
    ExecutionListener = 1,
}

/// When an execution listener comes, with the record stream's names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, prost::Enumeration)]
#[repr(i32)]
pub enum JobListenerEventType {
    Unspecified = 0,
    Start = 1,
    End = 2,
}

/// Jobs handed out together; as a command the request, as an event the answer.
#[derive(Clone, PartialEq, prost::Message)]
pub struct JobBatch {
    /// Job type asked for.
    #[prost(string, tag = "1")]
    pub job_type: String,
    /// Worker that asks.
    #[prost(string, tag = "2")]
    pub worker: String,
    /// Lock duration in milliseconds.
    #[prost(int64, tag = "3")]
    pub timeout: i64,
    /// How many at most.
    #[prost(int32, tag = "4")]
    pub max_jobs_to_activate: i32,
    /// Names of the variables wanted; empty for all.
    #[prost(string, repeated, tag = "5")]
    pub fetch_variables: Vec<String>,
    /// Jobs handed out, in order.
    #[prost(message, repeated, tag = "6")]
    pub jobs: Vec<ActivatedJob>,
    /// Whether jobs were left out for size, so that asking again gives more.
    #[prost(bool, tag = "7")]
    pub truncated: bool,
}

/// A job of a [`JobBatch`].
#[derive(Clone, PartialEq, prost::Message)]
pub struct ActivatedJob {
    /// The job's key.
    #[prost(int64, tag = "1")]
    pub key: i64,
    /// The job, with the variables that its worker sees.
    #[prost(message, optional, tag = "2")]
    pub job: Option<Job>,
}
