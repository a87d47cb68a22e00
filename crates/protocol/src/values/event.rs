//! Events that are thrown, and what waits for them.

/// An escalation that was thrown.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Escalation {
    /// Process instance that threw it.
    #[prost(int64, tag = "1")]
    pub process_instance_key: i64,
    /// Its code.
    #[prost(string, tag = "2")]
    pub escalation_code: String,
    /// Element that threw it.
    #[prost(string, tag = "3")]
    pub throw_element_id: String,
    /// Element that caught it; empty when none did.
    #[prost(string, tag = "4")]
    pub catch_element_id: String,
}

/// A signal as broadcast.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Signal {
    /// Its name.
    #[prost(string, tag = "1")]
    pub signal_name: String,
    /// JSON object.
    #[prost(string, tag = "2")]
    pub variables: String,
    /// Whether another partition took the broadcast and sent it here.
    #[prost(bool, tag = "3")]
    pub is_distributed: bool,
    /// While it is being broadcast: the highest key of a subscription that it is for; 0 before.
    #[prost(int64, tag = "4")]
    pub up_to: i64,
    /// While it is being broadcast: the subscription that was triggered last; 0 for none.
    #[prost(int64, tag = "5")]
    pub reached: i64,
}

/// Something that waits for a signal.
#[derive(Clone, PartialEq, prost::Message)]
pub struct SignalSubscription {
    /// Signal name.
    #[prost(string, tag = "1")]
    pub signal_name: String,
    /// Process definition.
    #[prost(int64, tag = "2")]
    pub process_definition_key: i64,
    /// Process id.
    #[prost(string, tag = "3")]
    pub bpmn_process_id: String,
    /// Element that catches it.
    #[prost(string, tag = "4")]
    pub catch_event_id: String,
    /// Element instance that waits; -1 for a start event.
    #[prost(sint64, tag = "5")]
    pub catch_event_instance_key: i64,
}

/// An activity that has completed and can be compensated.
#[derive(Clone, PartialEq, prost::Message)]
pub struct CompensationSubscription {
    /// Process instance.
    #[prost(int64, tag = "1")]
    pub process_instance_key: i64,
    /// Process definition.
    #[prost(int64, tag = "2")]
    pub process_definition_key: i64,
    /// The activity.
    #[prost(string, tag = "3")]
    pub compensable_activity_id: String,
    /// The element instance that has completed.
    #[prost(int64, tag = "4")]
    pub compensable_activity_instance_key: i64,
    /// Its flow scope.
    #[prost(int64, tag = "5")]
    pub compensable_activity_scope_key: i64,
    /// Event that compensates it; empty while none does.
    #[prost(string, tag = "6")]
    pub throw_event_id: String,
    /// Element instance that compensates it; -1 while none does.
    #[prost(sint64, tag = "7")]
    pub throw_event_instance_key: i64,
    /// Activity that undoes it; empty for a scope that only holds what can be undone.
    #[prost(string, tag = "8")]
    pub compensation_handler_id: String,
    /// Element instance that undoes it; -1 while none does.
    #[prost(sint64, tag = "9")]
    pub compensation_handler_instance_key: i64,
    /// JSON object of the variables that were local to a scope.
    #[prost(string, tag = "10")]
    pub variables: String,
}
