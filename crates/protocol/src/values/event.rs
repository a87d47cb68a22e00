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
