//! Messages, their subscriptions on both sides, timers.

/// A message as published.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Message {
    /// Message name.
    #[prost(string, tag = "1")]
    pub name: String,
    /// Correlation key; may be empty.
    #[prost(string, tag = "2")]
    pub correlation_key: String,
    /// Id for duplicate detection; empty for none.
    #[prost(string, tag = "3")]
    pub message_id: String,
    /// How long it is buffered, in milliseconds.
    #[prost(sint64, tag = "4")]
    pub time_to_live: i64,
    /// When it expires, in epoch milliseconds.
    #[prost(sint64, tag = "5")]
    pub deadline: i64,
    /// JSON object.
    #[prost(string, tag = "6")]
    pub variables: String,
}

/// Messages handled together.
#[derive(Clone, PartialEq, prost::Message)]
pub struct MessageBatch {
    /// Their keys.
    #[prost(int64, repeated, tag = "1")]
    pub message_keys: Vec<i64>,
}

/// A message subscription on the message's partition.
#[derive(Clone, PartialEq, prost::Message)]
pub struct MessageSubscription {
    /// Process instance that waits.
    #[prost(int64, tag = "1")]
    pub process_instance_key: i64,
    /// Element instance that waits.
    #[prost(int64, tag = "2")]
    pub element_instance_key: i64,
    /// Process id: a message goes to one instance per process id.
    #[prost(string, tag = "3")]
    pub bpmn_process_id: String,
    /// Message name.
    #[prost(string, tag = "4")]
    pub message_name: String,
    /// Correlation key.
    #[prost(string, tag = "5")]
    pub correlation_key: String,
    /// Message being correlated; -1 when none.
    #[prost(sint64, tag = "6")]
    pub message_key: i64,
    /// JSON object of that message.
    #[prost(string, tag = "7")]
    pub variables: String,
    /// Whether the first message ends the subscription.
    #[prost(bool, tag = "8")]
    pub interrupting: bool,
    /// Whether a message is on its way to the process instance.
    #[prost(bool, tag = "9")]
    pub correlating: bool,
    /// The subscription's key on the process instance's side.
    #[prost(int64, tag = "10")]
    pub process_subscription_key: i64,
}

/// A message subscription on the process instance's partition.
#[derive(Clone, PartialEq, prost::Message)]
pub struct ProcessMessageSubscription {
    /// Process instance that waits.
    #[prost(int64, tag = "1")]
    pub process_instance_key: i64,
    /// Element instance that waits.
    #[prost(int64, tag = "2")]
    pub element_instance_key: i64,
    /// Process id.
    #[prost(string, tag = "3")]
    pub bpmn_process_id: String,
    /// Message name.
    #[prost(string, tag = "4")]
    pub message_name: String,
    /// Correlation key.
    #[prost(string, tag = "5")]
    pub correlation_key: String,
    /// Message being correlated; -1 when none.
    #[prost(sint64, tag = "6")]
    pub message_key: i64,
    /// JSON object of that message.
    #[prost(string, tag = "7")]
    pub variables: String,
    /// Whether the first message ends the subscription.
    #[prost(bool, tag = "8")]
    pub interrupting: bool,
    /// Element that catches the message.
    #[prost(string, tag = "9")]
    pub element_id: String,
    /// Whether it is opening (0), open (1) or closing (2).
    #[prost(uint32, tag = "10")]
    pub state: u32,
    /// Partition that keeps the message's side.
    #[prost(uint32, tag = "11")]
    pub subscription_partition: u32,
}

/// A message start event that waits, on every partition.
#[derive(Clone, PartialEq, prost::Message)]
pub struct MessageStartEventSubscription {
    /// Process definition.
    #[prost(int64, tag = "1")]
    pub process_definition_key: i64,
    /// Process id.
    #[prost(string, tag = "2")]
    pub bpmn_process_id: String,
    /// Start event.
    #[prost(string, tag = "3")]
    pub start_event_id: String,
    /// Message name.
    #[prost(string, tag = "4")]
    pub message_name: String,
    /// On correlation: the instance that was created.
    #[prost(sint64, tag = "5")]
    pub process_instance_key: i64,
    /// On correlation: the message's correlation key.
    #[prost(string, tag = "6")]
    pub correlation_key: String,
    /// On correlation: the message.
    #[prost(sint64, tag = "7")]
    pub message_key: i64,
    /// On correlation: JSON object.
    #[prost(string, tag = "8")]
    pub variables: String,
}

/// A due date of a process instance or of a process' timer start event.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Timer {
    /// Element instance that waits; -1 for a start event.
    #[prost(sint64, tag = "1")]
    pub element_instance_key: i64,
    /// Process instance; -1 for a start event.
    #[prost(sint64, tag = "2")]
    pub process_instance_key: i64,
    /// Process definition.
    #[prost(int64, tag = "3")]
    pub process_definition_key: i64,
    /// When it is due, in epoch milliseconds.
    #[prost(sint64, tag = "4")]
    pub due_date: i64,
    /// Element that catches it.
    #[prost(string, tag = "5")]
    pub target_element_id: String,
    /// How often it is due, this time included; -1 for ever.
    #[prost(sint32, tag = "6")]
    pub repetitions: i32,
}
