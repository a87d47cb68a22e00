//! Values of what operators do to running process instances.

/// Elements of a process instance that are to begin, and element instances that are to end.
#[derive(Clone, PartialEq, prost::Message)]
pub struct ProcessInstanceModification {
    /// Process instance.
    #[prost(int64, tag = "1")]
    pub process_instance_key: i64,
    /// What is to end.
    #[prost(message, repeated, tag = "2")]
    pub terminate_instructions: Vec<TerminateInstruction>,
    /// What is to begin.
    #[prost(message, repeated, tag = "3")]
    pub activate_instructions: Vec<ActivateInstruction>,
}

/// An element instance that is to end.
#[derive(Clone, PartialEq, prost::Message)]
pub struct TerminateInstruction {
    /// The element instance.
    #[prost(int64, tag = "1")]
    pub element_instance_key: i64,
}

/// An element that is to begin.
#[derive(Clone, PartialEq, prost::Message)]
pub struct ActivateInstruction {
    /// The element.
    #[prost(string, tag = "1")]
    pub element_id: String,
    /// Element instance in which it is to begin; 0 or less where there is only one possible.
    #[prost(sint64, tag = "2")]
    pub ancestor_scope_key: i64,
    /// Variables that are to be set before.
    #[prost(message, repeated, tag = "3")]
    pub variable_instructions: Vec<VariableInstruction>,
    /// In an event: all scopes in which it has begun, and the element instance itself.
    #[prost(int64, repeated, tag = "4")]
    pub ancestor_scope_keys: Vec<i64>,
}

/// Variables that are to be set in a scope.
#[derive(Clone, PartialEq, prost::Message)]
pub struct VariableInstruction {
    /// JSON object.
    #[prost(string, tag = "1")]
    pub variables: String,
    /// The element whose instance gets them; empty for the process instance.
    #[prost(string, tag = "2")]
    pub element_id: String,
}

/// A process instance that is to go on in another process definition.
#[derive(Clone, PartialEq, prost::Message)]
pub struct ProcessInstanceMigration {
    /// Process instance.
    #[prost(int64, tag = "1")]
    pub process_instance_key: i64,
    /// The other definition.
    #[prost(int64, tag = "2")]
    pub target_process_definition_key: i64,
    /// Which element becomes which.
    #[prost(message, repeated, tag = "3")]
    pub mapping_instructions: Vec<MappingInstruction>,
}

/// What an element is called in the other definition.
#[derive(Clone, PartialEq, prost::Message)]
pub struct MappingInstruction {
    /// The element as it is.
    #[prost(string, tag = "1")]
    pub source_element_id: String,
    /// The element that it becomes.
    #[prost(string, tag = "2")]
    pub target_element_id: String,
}
