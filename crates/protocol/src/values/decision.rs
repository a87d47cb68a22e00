//! Decisions, decision requirements graphs, and evaluations.

/// A decision of a deployment.
#[derive(Clone, PartialEq, prost::Message)]
pub struct DecisionMetadata {
    /// Decision id.
    #[prost(string, tag = "1")]
    pub decision_id: String,
    /// Name given by the modeller.
    #[prost(string, tag = "2")]
    pub decision_name: String,
    /// Version, from 1.
    #[prost(int32, tag = "3")]
    pub version: i32,
    /// Its key.
    #[prost(int64, tag = "4")]
    pub decision_key: i64,
    /// Id of the graph it belongs to.
    #[prost(string, tag = "5")]
    pub decision_requirements_id: String,
    /// Key of the graph it belongs to.
    #[prost(int64, tag = "6")]
    pub decision_requirements_key: i64,
    /// Whether the latest version was the same, so that nothing new came.
    #[prost(bool, tag = "7")]
    pub duplicate: bool,
    /// Tag that bindings can refer to; empty when it has none.
    #[prost(string, tag = "8")]
    pub version_tag: String,
    /// The deployment that brought it: this one, or of what is the same as before, an earlier one.
    #[prost(int64, tag = "9")]
    pub deployment_key: i64,
}

/// A decision requirements graph of a deployment.
#[derive(Clone, PartialEq, prost::Message)]
pub struct DecisionRequirementsMetadata {
    /// Id of the graph.
    #[prost(string, tag = "1")]
    pub decision_requirements_id: String,
    /// Name given by the modeller.
    #[prost(string, tag = "2")]
    pub decision_requirements_name: String,
    /// Version, from 1.
    #[prost(int32, tag = "3")]
    pub version: i32,
    /// Its key.
    #[prost(int64, tag = "4")]
    pub decision_requirements_key: i64,
    /// Namespace of the model.
    #[prost(string, tag = "5")]
    pub namespace: String,
    /// Resource it came in.
    #[prost(string, tag = "6")]
    pub resource_name: String,
    /// Hash of the resource's bytes.
    #[prost(bytes = "vec", tag = "7")]
    pub checksum: Vec<u8>,
    /// Whether the latest version was the same, so that nothing new came.
    #[prost(bool, tag = "8")]
    pub duplicate: bool,
}

/// A decision that was deployed.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Decision {
    /// Decision id.
    #[prost(string, tag = "1")]
    pub decision_id: String,
    /// Name given by the modeller.
    #[prost(string, tag = "2")]
    pub decision_name: String,
    /// Version, from 1.
    #[prost(int32, tag = "3")]
    pub version: i32,
    /// Its key.
    #[prost(int64, tag = "4")]
    pub decision_key: i64,
    /// Id of the graph it belongs to.
    #[prost(string, tag = "5")]
    pub decision_requirements_id: String,
    /// Key of the graph it belongs to.
    #[prost(int64, tag = "6")]
    pub decision_requirements_key: i64,
    /// The deployment that brought it.
    #[prost(int64, tag = "7")]
    pub deployment_key: i64,
    /// Tag that bindings can refer to; empty when it has none.
    #[prost(string, tag = "8")]
    pub version_tag: String,
}

/// A decision requirements graph that was deployed.
#[derive(Clone, PartialEq, prost::Message)]
pub struct DecisionRequirements {
    /// Id of the graph.
    #[prost(string, tag = "1")]
    pub decision_requirements_id: String,
    /// Name given by the modeller.
    #[prost(string, tag = "2")]
    pub decision_requirements_name: String,
    /// Version, from 1.
    #[prost(int32, tag = "3")]
    pub version: i32,
    /// Its key.
    #[prost(int64, tag = "4")]
    pub decision_requirements_key: i64,
    /// Namespace of the model.
    #[prost(string, tag = "5")]
    pub namespace: String,
    /// Resource it came in.
    #[prost(string, tag = "6")]
    pub resource_name: String,
    /// Hash of the resource's bytes.
    #[prost(bytes = "vec", tag = "7")]
    pub checksum: Vec<u8>,
    /// The resource itself.
    #[prost(bytes = "vec", tag = "8")]
    pub resource: Vec<u8>,
    /// The deployment that brought it.
    #[prost(int64, tag = "9")]
    pub deployment_key: i64,
}

/// The evaluation of a decision, asked for by a client or by a business rule task.
#[derive(Clone, PartialEq, prost::Message)]
pub struct DecisionEvaluation {
    /// The decision; as a command, -1 if it is named by its id.
    #[prost(sint64, tag = "1")]
    pub decision_key: i64,
    /// Decision id; as a command, empty if it is named by its key.
    #[prost(string, tag = "2")]
    pub decision_id: String,
    /// Name given by the modeller.
    #[prost(string, tag = "3")]
    pub decision_name: String,
    /// Version of the decision.
    #[prost(int32, tag = "4")]
    pub decision_version: i32,
    /// Id of the graph it belongs to.
    #[prost(string, tag = "5")]
    pub decision_requirements_id: String,
    /// Key of the graph it belongs to.
    #[prost(sint64, tag = "6")]
    pub decision_requirements_key: i64,
    /// What came of it, as JSON.
    #[prost(string, tag = "7")]
    pub decision_output: String,
    /// Document of the variables that a client gave.
    #[prost(string, tag = "8")]
    pub variables: String,
    /// Process id of the business rule task.
    #[prost(string, tag = "9")]
    pub bpmn_process_id: String,
    /// Process definition of the business rule task; -1 if there is none.
    #[prost(sint64, tag = "10")]
    pub process_definition_key: i64,
    /// Process instance of the business rule task; -1 if there is none.
    #[prost(sint64, tag = "11")]
    pub process_instance_key: i64,
    /// The business rule task.
    #[prost(string, tag = "12")]
    pub element_id: String,
    /// Element instance of the business rule task; -1 if there is none.
    #[prost(sint64, tag = "13")]
    pub element_instance_key: i64,
    /// The decisions that were evaluated, in order: what is required first.
    #[prost(message, repeated, tag = "14")]
    pub evaluated_decisions: Vec<EvaluatedDecision>,
    /// Why it failed; empty if it did not.
    #[prost(string, tag = "15")]
    pub evaluation_failure_message: String,
    /// The decision that failed; empty if none did.
    #[prost(string, tag = "16")]
    pub failed_decision_id: String,
}

/// A decision that was evaluated.
#[derive(Clone, PartialEq, prost::Message)]
pub struct EvaluatedDecision {
    /// Decision id.
    #[prost(string, tag = "1")]
    pub decision_id: String,
    /// Name given by the modeller.
    #[prost(string, tag = "2")]
    pub decision_name: String,
    /// Its key.
    #[prost(sint64, tag = "3")]
    pub decision_key: i64,
    /// Its version.
    #[prost(int32, tag = "4")]
    pub decision_version: i32,
    /// Kind of its logic, as `DECISION_TABLE`.
    #[prost(string, tag = "5")]
    pub decision_type: String,
    /// What came of it, as JSON.
    #[prost(string, tag = "6")]
    pub decision_output: String,
    /// Inputs of its table.
    #[prost(message, repeated, tag = "7")]
    pub evaluated_inputs: Vec<EvaluatedInput>,
    /// Rules of its table that matched.
    #[prost(message, repeated, tag = "8")]
    pub matched_rules: Vec<MatchedRule>,
}

/// An input of a decision table.
#[derive(Clone, PartialEq, prost::Message)]
pub struct EvaluatedInput {
    /// Id of the input.
    #[prost(string, tag = "1")]
    pub input_id: String,
    /// Its label, or its expression.
    #[prost(string, tag = "2")]
    pub input_name: String,
    /// Its value, as JSON.
    #[prost(string, tag = "3")]
    pub input_value: String,
}

/// A rule of a decision table that matched.
#[derive(Clone, PartialEq, prost::Message)]
pub struct MatchedRule {
    /// Id of the rule.
    #[prost(string, tag = "1")]
    pub rule_id: String,
    /// Its place in the table, from 1.
    #[prost(int32, tag = "2")]
    pub rule_index: i32,
    /// What it says.
    #[prost(message, repeated, tag = "3")]
    pub evaluated_outputs: Vec<EvaluatedOutput>,
}

/// An output of a rule.
#[derive(Clone, PartialEq, prost::Message)]
pub struct EvaluatedOutput {
    /// Id of the output.
    #[prost(string, tag = "1")]
    pub output_id: String,
    /// Its label, or its name.
    #[prost(string, tag = "2")]
    pub output_name: String,
    /// Its value, as JSON.
    #[prost(string, tag = "3")]
    pub output_value: String,
}
