//! Deployments and process definitions.

/// Resources deployed together; as an event, with what came of them.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Deployment {
    /// The resources as sent.
    #[prost(message, repeated, tag = "1")]
    pub resources: Vec<DeploymentResource>,
    /// The processes found in them.
    #[prost(message, repeated, tag = "2")]
    pub processes: Vec<ProcessMetadata>,
    /// The decisions found in them.
    #[prost(message, repeated, tag = "3")]
    pub decisions: Vec<super::DecisionMetadata>,
    /// The decision requirements graphs found in them.
    #[prost(message, repeated, tag = "4")]
    pub decision_requirements: Vec<super::DecisionRequirementsMetadata>,
    /// The forms found in them.
    #[prost(message, repeated, tag = "5")]
    pub forms: Vec<super::FormMetadata>,
}

/// One resource.
#[derive(Clone, PartialEq, prost::Message)]
pub struct DeploymentResource {
    /// Name, whose ending tells the kind.
    #[prost(string, tag = "1")]
    pub resource_name: String,
    /// Content.
    #[prost(bytes = "vec", tag = "2")]
    pub resource: Vec<u8>,
}

/// A process of a deployment.
#[derive(Clone, PartialEq, prost::Message)]
pub struct ProcessMetadata {
    /// Process id.
    #[prost(string, tag = "1")]
    pub bpmn_process_id: String,
    /// Version, from 1.
    #[prost(int32, tag = "2")]
    pub version: i32,
    /// Its key.
    #[prost(int64, tag = "3")]
    pub process_definition_key: i64,
    /// Resource it came in.
    #[prost(string, tag = "4")]
    pub resource_name: String,
    /// Hash of the resource's bytes.
    #[prost(bytes = "vec", tag = "5")]
    pub checksum: Vec<u8>,
    /// Whether the latest version was the same, so that nothing new came.
    #[prost(bool, tag = "6")]
    pub duplicate: bool,
    /// Tag that bindings can refer to; empty when it has none.
    #[prost(string, tag = "7")]
    pub version_tag: String,
    /// The deployment that brought it: this one, or of what is the same as before, an earlier one.
    #[prost(int64, tag = "8")]
    pub deployment_key: i64,
}

/// A process definition.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Process {
    /// Process id.
    #[prost(string, tag = "1")]
    pub bpmn_process_id: String,
    /// Version, from 1.
    #[prost(int32, tag = "2")]
    pub version: i32,
    /// Its key.
    #[prost(int64, tag = "3")]
    pub process_definition_key: i64,
    /// Resource it came in.
    #[prost(string, tag = "4")]
    pub resource_name: String,
    /// Hash of the resource's bytes.
    #[prost(bytes = "vec", tag = "5")]
    pub checksum: Vec<u8>,
    /// The resource itself.
    #[prost(bytes = "vec", tag = "6")]
    pub resource: Vec<u8>,
    /// The deployment that brought it.
    #[prost(int64, tag = "7")]
    pub deployment_key: i64,
    /// Whether it is deleted as soon as its last instance has ended.
    #[prost(bool, tag = "8")]
    pub is_deleting: bool,
    /// Tag that bindings can refer to; empty when it has none.
    #[prost(string, tag = "9")]
    pub version_tag: String,
}
