//! Values that operators cause.

/// A consistent cut, and what became of its backup.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Checkpoint {
    /// Id of the checkpoint and of its backup.
    #[prost(sint64, tag = "1")]
    pub checkpoint_id: i64,
    /// Position of the checkpoint in the partition; -1 in a command.
    #[prost(sint64, tag = "2")]
    pub checkpoint_position: i64,
    /// Why its backup failed.
    #[prost(string, tag = "3")]
    pub failure_reason: String,
}

/// The deletion of a deployed resource.
#[derive(Clone, PartialEq, prost::Message)]
pub struct ResourceDeletion {
    /// Key of a process, a decision requirements graph or a form.
    #[prost(int64, tag = "1")]
    pub resource_key: i64,
    /// Whether it comes from the deployment partition, where it has been done.
    #[prost(bool, tag = "2")]
    pub is_distributed: bool,
}

/// Tokens of a process instance moved by hand.
#[derive(Clone, PartialEq, prost::Message)]
pub struct ProcessInstanceModification {
    /// The process instance.
    #[prost(int64, tag = "1")]
    pub process_instance_key: i64,
    /// What is terminated.
    #[prost(message, repeated, tag = "2")]
    pub terminate_instructions: Vec<TerminateInstruction>,
    /// What is activated.
    #[prost(message, repeated, tag = "3")]
    pub activate_instructions: Vec<ActivateInstruction>,
}

/// An element instance to be terminated.
#[derive(Clone, Copy, PartialEq, prost::Message)]
pub struct TerminateInstruction {
    /// The element instance.
    #[prost(int64, tag = "1")]
    pub element_instance_key: i64,
}

/// An element to be activated.
#[derive(Clone, PartialEq, prost::Message)]
pub struct ActivateInstruction {
    /// The element.
    #[prost(string, tag = "1")]
    pub element_id: String,
    /// The scope that it begins in, or that new scopes around it begin in; 0 or less where there is no choice.
    #[prost(sint64, tag = "2")]
    pub ancestor_scope_key: i64,
    /// Variables that it and the scopes around it get.
    #[prost(message, repeated, tag = "3")]
    pub variable_instructions: Vec<VariableInstruction>,
    /// Of an event: the scopes around it, from the outside in.
    #[prost(int64, repeated, tag = "4")]
    pub ancestor_scope_keys: Vec<i64>,
}

/// Variables of one scope.
#[derive(Clone, PartialEq, prost::Message)]
pub struct VariableInstruction {
    /// Element of the scope; empty for the process instance.
    #[prost(string, tag = "1")]
    pub element_id: String,
    /// JSON object.
    #[prost(string, tag = "2")]
    pub variables: String,
}

/// A process instance moved to another definition.
#[derive(Clone, PartialEq, prost::Message)]
pub struct ProcessInstanceMigration {
    /// The process instance.
    #[prost(int64, tag = "1")]
    pub process_instance_key: i64,
    /// The definition that it goes on with.
    #[prost(int64, tag = "2")]
    pub target_process_definition_key: i64,
    /// Which element becomes which.
    #[prost(message, repeated, tag = "3")]
    pub mapping_instructions: Vec<MappingInstruction>,
}

/// An element and what it becomes.
#[derive(Clone, PartialEq, prost::Message)]
pub struct MappingInstruction {
    /// Element of the definition at present.
    #[prost(string, tag = "1")]
    pub source_element_id: String,
    /// Element of the target definition.
    #[prost(string, tag = "2")]
    pub target_element_id: String,
}
