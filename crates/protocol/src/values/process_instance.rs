//! Process instances, their elements, their creation and their result.

/// Kind of a BPMN element, with the record stream's names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, prost::Enumeration)]
#[repr(i32)]
pub enum BpmnElementType {
    Unspecified = 0,
    Process = 1,
    SubProcess = 2,
    EventSubProcess = 3,
    StartEvent = 4,
    IntermediateCatchEvent = 5,
    IntermediateThrowEvent = 6,
    BoundaryEvent = 7,
    EndEvent = 8,
    ServiceTask = 9,
    ReceiveTask = 10,
    UserTask = 11,
    ManualTask = 12,
    Task = 13,
    ExclusiveGateway = 14,
    ParallelGateway = 15,
    EventBasedGateway = 16,
    InclusiveGateway = 17,
    SequenceFlow = 18,
    MultiInstanceBody = 19,
    CallActivity = 20,
    BusinessRuleTask = 21,
    ScriptTask = 22,
    SendTask = 23,
}

impl BpmnElementType {
    /// The name in the record stream and in texts for users.
    pub const fn name(self) -> &'static str {
        match self {
            BpmnElementType::Unspecified => "UNSPECIFIED",
            BpmnElementType::Process => "PROCESS",
            BpmnElementType::SubProcess => "SUB_PROCESS",
            BpmnElementType::EventSubProcess => "EVENT_SUB_PROCESS",
            BpmnElementType::StartEvent => "START_EVENT",
            BpmnElementType::IntermediateCatchEvent => "INTERMEDIATE_CATCH_EVENT",
            BpmnElementType::IntermediateThrowEvent => "INTERMEDIATE_THROW_EVENT",
            BpmnElementType::BoundaryEvent => "BOUNDARY_EVENT",
            BpmnElementType::EndEvent => "END_EVENT",
            BpmnElementType::ServiceTask => "SERVICE_TASK",
            BpmnElementType::ReceiveTask => "RECEIVE_TASK",
            BpmnElementType::UserTask => "USER_TASK",
            BpmnElementType::ManualTask => "MANUAL_TASK",
            BpmnElementType::Task => "TASK",
            BpmnElementType::ExclusiveGateway => "EXCLUSIVE_GATEWAY",
            BpmnElementType::ParallelGateway => "PARALLEL_GATEWAY",
            BpmnElementType::EventBasedGateway => "EVENT_BASED_GATEWAY",
            BpmnElementType::InclusiveGateway => "INCLUSIVE_GATEWAY",
            BpmnElementType::SequenceFlow => "SEQUENCE_FLOW",
            BpmnElementType::MultiInstanceBody => "MULTI_INSTANCE_BODY",
            BpmnElementType::CallActivity => "CALL_ACTIVITY",
            BpmnElementType::BusinessRuleTask => "BUSINESS_RULE_TASK",
            BpmnElementType::ScriptTask => "SCRIPT_TASK",
            BpmnElementType::SendTask => "SEND_TASK",
        }
    }
}

/// Kind of a BPMN event, with the record stream's names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, prost::Enumeration)]
#[repr(i32)]
pub enum BpmnEventType {
    Unspecified = 0,
    None = 1,
    Message = 2,
    Timer = 3,
    Error = 4,
    Signal = 5,
    Escalation = 6,
    Link = 7,
    Terminate = 8,
    Compensation = 9,
    Conditional = 10,
}

impl BpmnEventType {
    /// The name in the record stream.
    pub const fn name(self) -> &'static str {
        match self {
            BpmnEventType::Unspecified => "UNSPECIFIED",
            BpmnEventType::None => "NONE",
            BpmnEventType::Message => "MESSAGE",
            BpmnEventType::Timer => "TIMER",
            BpmnEventType::Error => "ERROR",
            BpmnEventType::Signal => "SIGNAL",
            BpmnEventType::Escalation => "ESCALATION",
            BpmnEventType::Link => "LINK",
            BpmnEventType::Terminate => "TERMINATE",
            BpmnEventType::Compensation => "COMPENSATION",
            BpmnEventType::Conditional => "CONDITIONAL",
        }
    }
}

/// A process instance or one of its element instances.
#[derive(Clone, PartialEq, prost::Message)]
pub struct ProcessInstance {
    /// Process id.
    #[prost(string, tag = "1")]
    pub bpmn_process_id: String,
    /// Process version.
    #[prost(int32, tag = "2")]
    pub version: i32,
    /// Process definition.
    #[prost(int64, tag = "3")]
    pub process_definition_key: i64,
    /// Process instance.
    #[prost(int64, tag = "4")]
    pub process_instance_key: i64,
    /// Element id; of the process its process id.
    #[prost(string, tag = "5")]
    pub element_id: String,
    /// Scope that contains it; -1 at the root.
    #[prost(sint64, tag = "6")]
    pub flow_scope_key: i64,
    /// Kind of element.
    #[prost(enumeration = "BpmnElementType", tag = "7")]
    pub element_type: i32,
    /// Kind of event.
    #[prost(enumeration = "BpmnEventType", tag = "8")]
    pub event_type: i32,
    /// Calling process instance; -1 when there is none.
    #[prost(sint64, tag = "9")]
    pub parent_process_instance_key: i64,
    /// Calling element instance; -1 when there is none.
    #[prost(sint64, tag = "10")]
    pub parent_element_instance_key: i64,
}

/// The wish for a process instance; as an event, with what was found.
#[derive(Clone, PartialEq, prost::Message)]
pub struct ProcessInstanceCreation {
    /// Process id; empty when the key decides.
    #[prost(string, tag = "1")]
    pub bpmn_process_id: String,
    /// Version; negative for the latest.
    #[prost(sint32, tag = "2")]
    pub version: i32,
    /// Process definition.
    #[prost(sint64, tag = "3")]
    pub process_definition_key: i64,
    /// The instance that was created.
    #[prost(sint64, tag = "4")]
    pub process_instance_key: i64,
    /// JSON object.
    #[prost(string, tag = "5")]
    pub variables: String,
    /// Ids of the elements to start at; empty for the none start event.
    #[prost(string, repeated, tag = "6")]
    pub start_instructions: Vec<String>,
    /// With a result: names of the variables wanted; empty for all.
    #[prost(string, repeated, tag = "7")]
    pub fetch_variables: Vec<String>,
}

/// The result of a process instance that somebody waits for.
#[derive(Clone, PartialEq, prost::Message)]
pub struct ProcessInstanceResult {
    /// Process id.
    #[prost(string, tag = "1")]
    pub bpmn_process_id: String,
    /// Process version.
    #[prost(int32, tag = "2")]
    pub version: i32,
    /// Process definition.
    #[prost(int64, tag = "3")]
    pub process_definition_key: i64,
    /// The instance.
    #[prost(int64, tag = "4")]
    pub process_instance_key: i64,
    /// JSON object of its root variables.
    #[prost(string, tag = "5")]
    pub variables: String,
}

/// A trigger queued in an event scope.
#[derive(Clone, PartialEq, prost::Message)]
pub struct ProcessEvent {
    /// The event scope.
    #[prost(int64, tag = "1")]
    pub scope_key: i64,
    /// The element that it triggers.
    #[prost(string, tag = "2")]
    pub target_element_id: String,
    /// JSON object.
    #[prost(string, tag = "3")]
    pub variables: String,
    /// Process definition.
    #[prost(int64, tag = "4")]
    pub process_definition_key: i64,
    /// Process instance.
    #[prost(sint64, tag = "5")]
    pub process_instance_key: i64,
}

/// Element instances of one scope that are handled together.
#[derive(Clone, PartialEq, prost::Message)]
pub struct ProcessInstanceBatch {
    /// Process instance.
    #[prost(int64, tag = "1")]
    pub process_instance_key: i64,
    /// The scope.
    #[prost(int64, tag = "2")]
    pub batch_element_instance_key: i64,
    /// How many are left.
    #[prost(sint64, tag = "3")]
    pub index: i64,
}
