//! What an exporter is.

use skep_protocol::{PartitionId, Position, Record};

use crate::{ExportError, json};

/// A record on its way out.
#[derive(Debug, Clone, Copy)]
pub struct Exported<'a> {
    /// Where it comes from.
    pub partition: PartitionId,
    /// Its place there.
    pub position: Position,
    /// When it was written, in epoch milliseconds.
    pub timestamp: i64,
    /// The record.
    pub record: &'a Record,
}

impl Exported<'_> {
    /// Appends the record as a JSON object on one line, without the line's end.
    pub fn put_json(&self, out: &mut Vec<u8>, broker_version: &str) {
        json::put_record(out, self, broker_version);
    }
}

/// How far an exporter's output is durable, in its own terms. Written down with the position.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark(pub [u64; 3]);

/// Takes the records of one partition, in order.
pub trait Exporter: Send {
    /// Goes to `mark`, dropping what was taken after it; without one, begins. Called first, and after every failure.
    fn open(&mut self, mark: Option<Mark>) -> Result<(), ExportError>;

    /// Takes a record, which need not be durable before the next [`Exporter::flush`].
    fn export(&mut self, record: &Exported<'_>) -> Result<(), ExportError>;

    /// Whether it should be flushed before it takes more.
    fn is_full(&self) -> bool;

    /// Makes durable what was taken, and says how far that is.
    fn flush(&mut self) -> Result<Mark, ExportError>;

    /// That mark has been written down: what lies before it is not gone back to any more.
    fn acknowledged(&mut self, mark: Mark) -> Result<(), ExportError>;
}
