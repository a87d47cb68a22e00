//! Tasks for persons, kept by the engine itself.

/// A user task; as a command, what is to be changed.
#[derive(Clone, PartialEq, prost::Message)]
pub struct UserTask {
    /// Its key.
    #[prost(int64, tag = "1")]
    pub user_task_key: i64,
    /// Who has it; empty when nobody has.
    #[prost(string, tag = "2")]
    pub assignee: String,
    /// Groups that may take it.
    #[prost(string, repeated, tag = "3")]
    pub candidate_groups: Vec<String>,
    /// Users that may take it.
    #[prost(string, repeated, tag = "4")]
    pub candidate_users: Vec<String>,
    /// When it should be done, an ISO date-time; empty when nobody said.
    #[prost(string, tag = "5")]
    pub due_date: String,
    /// When to look at it again, an ISO date-time; empty when nobody said.
    #[prost(string, tag = "6")]
    pub follow_up_date: String,
    /// Deployed form to fill in; -1 when there is none.
    #[prost(sint64, tag = "7")]
    pub form_key: i64,
    /// Form that is kept elsewhere; empty when there is none.
    #[prost(string, tag = "8")]
    pub external_form_reference: String,
    /// Of a command or an event about it: what is changed, by the record stream's names.
    #[prost(string, repeated, tag = "9")]
    pub changed_attributes: Vec<String>,
    /// What the person did, in the application's words.
    #[prost(string, tag = "10")]
    pub action: String,
    /// JSON object of static headers.
    #[prost(string, tag = "11")]
    pub custom_headers: String,
    /// JSON object; on completion the variables that the person gives.
    #[prost(string, tag = "12")]
    pub variables: String,
    /// When it was created, in epoch milliseconds; -1 in a command.
    #[prost(sint64, tag = "13")]
    pub creation_timestamp: i64,
    /// 0 to 100.
    #[prost(int32, tag = "14")]
    pub priority: i32,
    /// Element that waits for it.
    #[prost(string, tag = "15")]
    pub element_id: String,
    /// Its element instance.
    #[prost(int64, tag = "16")]
    pub element_instance_key: i64,
    /// Its process instance.
    #[prost(int64, tag = "17")]
    pub process_instance_key: i64,
    /// Its process id.
    #[prost(string, tag = "18")]
    pub bpmn_process_id: String,
    /// Its process version.
    #[prost(int32, tag = "19")]
    pub process_definition_version: i32,
    /// Its process definition.
    #[prost(int64, tag = "20")]
    pub process_definition_key: i64,
}
