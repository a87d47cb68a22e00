//! What comes in from outside beside the command.

use skep_protocol::{PartitionId, Position};

/// What an engine is, for its whole life.
#[derive(Debug, Clone)]
pub struct EngineConfig {
    /// The partition whose commands it evaluates.
    pub partition: PartitionId,
    /// How many partitions the cluster has.
    pub partition_count: u32,
}

/// What a single evaluation depends on beside state and command.
#[derive(Debug, Clone, Copy)]
pub struct Context {
    /// The partition's clock, in epoch milliseconds; never goes back.
    pub time: i64,
    /// For `random number()` and the like.
    pub seed: u64,
    /// Position that the first record of the outcome gets.
    pub first_position: Position,
}
