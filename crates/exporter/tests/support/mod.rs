//! A log in memory, and workers over it.

#![allow(dead_code, reason = "each test uses a part")]

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use skep_exporter::file::{FileExporter, FileOptions};
use skep_exporter::{CommittedLog, Filter, Progress, Source, Worker};
use skep_protocol::values::Variable;
use skep_protocol::{
    Batch, BatchHeader, CheckpointId, Epoch, EpochEntry, Index, Key, LogEntry, OperationReference,
    PartitionId, Position, Record, RecordType, Sequence, VariableIntent,
};

/// A log whose entries tests append, and which remembers what was released.
#[derive(Clone, Default)]
pub struct Log(Arc<Mutex<Entries>>);

#[derive(Default)]
struct Entries {
    /// Index of the first entry.
    first: u64,
    entries: Vec<Bytes>,
    released: u64,
    position: i64,
    epoch: u64,
    sequence: u64,
}

impl Log {
    pub fn push(&self, entry: Bytes) {
        self.0.lock().unwrap().entries.push(entry);
    }

    /// A leadership begins.
    pub fn epoch(&self) {
        let mut log = self.0.lock().unwrap();
        log.epoch += 1;
        log.sequence = 0;
        let entry = EpochEntry { nonce: 1, time: 1 };
        log.entries.push(LogEntry::Epoch(entry).encode());
    }

    /// A batch of that many records is applied.
    pub fn batch(&self, records: usize) {
        let mut log = self.0.lock().unwrap();
        log.sequence += 1;
        let (epoch, sequence, position) = (log.epoch, log.sequence, log.position);
        log.entries.push(batch(epoch, sequence, position, records));
        log.position += records as i64;
    }

    /// A batch that the fence does not let pass.
    pub fn fenced_batch(&self, records: usize) {
        let mut log = self.0.lock().unwrap();
        let entry = batch(log.epoch - 1, log.sequence + 1, log.position, records);
        log.entries.push(entry);
    }

    pub fn end(&self) -> Index {
        let log = self.0.lock().unwrap();
        Index(log.first + log.entries.len() as u64)
    }

    pub fn released(&self) -> Index {
        Index(self.0.lock().unwrap().released)
    }

    /// Drops entries before `index`, as if nobody had needed them.
    pub fn compact(&self, index: u64) {
        let mut log = self.0.lock().unwrap();
        let count = (index - log.first) as usize;
        log.entries.drain(..count);
        log.first = index;
    }

    /// Where the log is at its end.
    pub fn progress(&self) -> Progress {
        let log = self.0.lock().unwrap();
        Progress {
            next: Index(log.first + log.entries.len() as u64),
            epoch: Epoch(log.epoch),
            sequence: Sequence(log.sequence),
            position: Position(log.position),
        }
    }
}

fn batch(epoch: u64, sequence: u64, position: i64, records: usize) -> Bytes {
    let record = |at| Record {
        record_type: if at % 2 == 0 {
            RecordType::Event
        } else {
            RecordType::Command
        },
        intent: VariableIntent::Created.into(),
        key: Key(position + at as i64),
        source_position: Position::NONE,
        operation_reference: OperationReference::NONE,
        rejection: None,
        value: Variable {
            name: "x".repeat(at % 50),
            value: "1".to_owned(),
            ..Variable::default()
        }
        .into(),
    };
    LogEntry::Batch(Batch {
        header: BatchHeader {
            epoch: Epoch(epoch),
            sequence: Sequence(sequence),
            time: 1_000,
            first_position: Position(position + 1),
            checkpoint: CheckpointId::NONE,
        },
        records: (0..records).map(record).collect(),
        writes: Vec::new(),
    })
    .encode()
}

impl CommittedLog for Log {
    fn first(&self) -> Result<Index, String> {
        Ok(Index(self.0.lock().unwrap().first))
    }

    fn end(&self) -> Result<Index, String> {
        Ok(Log::end(self))
    }

    fn read(&mut self, from: Index, to: Index, _: usize) -> Result<Vec<(Index, Bytes)>, String> {
        let log = self.0.lock().unwrap();
        // In pieces of two, so that tests need several.
        let range = from.0..to.0.min(from.0 + 2);
        let entry = |index: u64| {
            (
                Index(index),
                log.entries[(index - log.first) as usize].clone(),
            )
        };
        Ok(range.map(entry).collect())
    }

    fn release(&mut self, index: Index) {
        self.0.lock().unwrap().released = index.0;
    }
}

/// The beginning of a partition's life.
pub const NOTHING: Progress = Progress {
    next: Index(0),
    epoch: Epoch(0),
    sequence: Sequence(0),
    position: Position(0),
};

/// Where one exporter lives.
pub struct Place {
    pub directory: tempfile::TempDir,
    pub file_bytes_max: u64,
    pub files_max: Option<usize>,
    pub filter: Filter,
}

impl Place {
    pub fn new() -> Place {
        Place {
            directory: tempfile::tempdir().unwrap(),
            file_bytes_max: 1 << 20,
            files_max: None,
            filter: Filter::default(),
        }
    }

    pub fn output(&self) -> PathBuf {
        self.directory.path().join("partition-1")
    }

    pub fn worker(&self, log: &Log, begin: Progress) -> Worker {
        let exporter = FileExporter::new(FileOptions {
            directory: self.output(),
            file_bytes_max: self.file_bytes_max,
            files_max: self.files_max,
            series: 1_795_527_404_123,
            broker_version: "8.6.0",
        });
        let source = Source {
            partition: PartitionId(1),
            log: Box::new(log.clone()),
            begin,
            position: self.directory.path().join("position"),
        };
        let interval = Duration::from_secs(1);
        Worker::new(source, Box::new(exporter), self.filter.clone(), interval).unwrap()
    }

    /// Files of the output, oldest first.
    pub fn files(&self) -> Vec<PathBuf> {
        files(&self.output())
    }

    /// Positions of all lines, in order.
    pub fn positions(&self) -> Vec<i64> {
        let text: String = self
            .files()
            .iter()
            .map(|file| std::fs::read_to_string(file).unwrap())
            .collect();
        text.lines().map(position).collect()
    }
}

pub fn files(directory: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(directory).unwrap();
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

fn position(line: &str) -> i64 {
    let record: serde_json::Value = serde_json::from_str(line).unwrap();
    record["position"].as_i64().unwrap()
}

/// Exports everything there is.
pub fn export_all(worker: &mut Worker, log: &Log) {
    while worker.next() < log.end() {
        worker.export_piece(log.end()).unwrap();
    }
}
