//! Variables.

/// One variable of one scope.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Variable {
    /// Name.
    #[prost(string, tag = "1")]
    pub name: String,
    /// JSON text.
    #[prost(string, tag = "2")]
    pub value: String,
    /// Scope that owns it.
    #[prost(int64, tag = "3")]
    pub scope_key: i64,
    /// Process instance.
    #[prost(int64, tag = "4")]
    pub process_instance_key: i64,
    /// Process definition.
    #[prost(int64, tag = "5")]
    pub process_definition_key: i64,
    /// Process id.
    #[prost(string, tag = "6")]
    pub bpmn_process_id: String,
}

/// Several variables set by a client.
#[derive(Clone, PartialEq, prost::Message)]
pub struct VariableDocument {
    /// Scope where they are set.
    #[prost(int64, tag = "1")]
    pub scope_key: i64,
    /// Whether they stay in that scope, or go to where each is defined.
    #[prost(bool, tag = "2")]
    pub local: bool,
    /// JSON object.
    #[prost(string, tag = "3")]
    pub variables: String,
}
