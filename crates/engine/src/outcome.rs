//! What an evaluation gives back beside the writes in the transaction.

use skep_protocol::{CheckpointId, Command, PartitionId, Record, Response};

/// Records, answers and messages of one evaluated command.
#[derive(Debug, Default, Clone, PartialEq)]
pub struct Outcome {
    /// The audit stream, in order; positions count from the context's first position.
    pub records: Vec<Record>,
    /// Bytes of the records, roughly.
    pub record_bytes: usize,
    /// Answers to clients, to be given once the batch is applied.
    pub responses: Vec<Response>,
    /// Commands for other partitions, to be sent once the batch is applied. They are in the state as well, until acknowledged.
    pub sends: Vec<Send>,
    /// Partitions from which a command was taken in, with the number up to which all are: to be acknowledged once applied.
    pub acknowledgements: Vec<(PartitionId, u64)>,
    /// Job types that have got a job to be activated, each once; they may have had others before.
    pub jobs_available: Vec<String>,
    /// The checkpoint that was created: the batch must end here.
    pub checkpoint: Option<CheckpointId>,
}

/// A numbered command for another partition.
#[derive(Debug, Clone, PartialEq)]
pub struct Send {
    /// The partition that is to take it in.
    pub target: PartitionId,
    /// Its number for that target.
    pub number: u64,
    /// The command.
    pub command: Command,
}
