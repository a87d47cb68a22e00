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
