//! How fast records become lines of JSON in files: `cargo run --release -p skep-exporter --example lines -- DIRECTORY`.

#![allow(clippy::unwrap_used, reason = "a measurement may panic")]

use std::time::{Duration, Instant};

use bytes::Bytes;
use skep_exporter::file::{FileExporter, FileOptions};
use skep_exporter::{CommittedLog, Exported, Filter, Phase, Progress, Source, Worker};
use skep_protocol::values::{BpmnElementType, Job, ProcessInstance};
use skep_protocol::*;

const BATCHES: u64 = 4_000;
/// About what an instance of one task writes.
const INSTANCES_PER_BATCH: usize = 10;

/// Batches that are made when they are read would be measured too: all are made before.
struct Log(Vec<Bytes>);

impl CommittedLog for Log {
    fn first(&self) -> Result<Index, String> {
        Ok(Index(0))
    }

    fn end(&self) -> Result<Index, String> {
        Ok(Index(self.0.len() as u64))
    }

    fn read(&mut self, from: Index, to: Index, _: usize) -> Result<Vec<(Index, Bytes)>, String> {
        let range = from.0..to.0.min(from.0 + 100);
        Ok(range
            .map(|index| (Index(index), self.0[index as usize].clone()))
            .collect())
    }

    fn release(&mut self, _: Index) {}
}

fn records() -> Vec<Record> {
    let key = 2_251_799_813_685_249;
    let instance = ProcessInstance {
        bpmn_process_id: "order".to_owned(),
        version: 1,
        process_definition_key: key,
        process_instance_key: key,
        element_id: "collect-money".to_owned(),
        flow_scope_key: key,
        element_type: BpmnElementType::ServiceTask.into(),
        parent_process_instance_key: -1,
        parent_element_instance_key: -1,
        ..ProcessInstance::default()
    };
    let job = Job {
        job_type: "payment".to_owned(),
        retries: 3,
        deadline: -1,
        recurring_time: -1,
        element_id: "collect-money".to_owned(),
        element_instance_key: key,
        process_instance_key: key,
        bpmn_process_id: "order".to_owned(),
        process_definition_version: 1,
        process_definition_key: key,
        variables: "{\"item\":\"honey\",\"amount\":12.5}".to_owned(),
        ..Job::default()
    };
    let record = |intent: Intent, value: RecordValue| Record {
        record_type: RecordType::Event,
        intent,
        key: Key(key),
        source_position: Position(1_234_567),
        operation_reference: OperationReference::NONE,
        rejection: None,
        value,
    };
    let mut records = Vec::new();
    for _ in 0..INSTANCES_PER_BATCH {
        for _ in 0..24 {
            records.push(record(
                ProcessInstanceIntent::ElementActivated.into(),
                instance.clone().into(),
            ));
        }
        for _ in 0..3 {
            records.push(record(JobIntent::Created.into(), job.clone().into()));
        }
    }
    records
}

/// Time of one record as JSON in memory, in the quietest of many rounds.
fn json_alone(records: &[Record]) -> Duration {
    let mut out = Vec::new();
    let rounds = (0..200).map(|_| {
        out.clear();
        let begun = Instant::now();
        for record in records {
            let exported = Exported {
                partition: PartitionId(1),
                position: Position(1_234_568),
                timestamp: 1_795_527_404_123,
                record,
            };
            exported.put_json(&mut out, "8.6.0");
        }
        begun.elapsed() / records.len() as u32
    });
    rounds.min().unwrap()
}

fn main() {
    let directory = std::env::args().nth(1).expect("usage: lines DIRECTORY");
    let directory = std::path::PathBuf::from(directory);
    let records = records();
    println!("{:?} a record as JSON", json_alone(&records));
    let batch = |sequence: u64| {
        let header = BatchHeader {
            epoch: Epoch(0),
            sequence: Sequence(sequence),
            time: 1_795_527_404_123,
            first_position: Position(((sequence - 1) * records.len() as u64 + 1) as i64),
            checkpoint: CheckpointId::NONE,
        };
        let (records, writes) = (records.clone(), Vec::new());
        LogEntry::Batch(Batch {
            header,
            records,
            writes,
        })
        .encode()
    };
    let log = Log((1..=BATCHES).map(batch).collect());
    let end = log.end().unwrap();
    std::fs::create_dir_all(&directory).unwrap();
    let source = Source {
        partition: PartitionId(1),
        log: Box::new(log),
        begin: Progress {
            next: Index(0),
            epoch: Epoch(0),
            sequence: Sequence(0),
            position: Position(0),
        },
        position: directory.join("position"),
    };
    let exporter = FileExporter::new(FileOptions {
        directory: directory.join("partition-1"),
        file_bytes_max: 128 << 20,
        files_max: Some(2),
        series: 1,
        broker_version: "8.6.0",
    });
    let interval = Duration::from_secs(1);
    let mut worker = Worker::new(source, Box::new(exporter), Filter::default(), interval).unwrap();
    worker.open().unwrap();
    let begun = Instant::now();
    while worker.next() < end {
        worker.export_piece(end).unwrap();
        if worker
            .flush_in(Phase::Exporting)
            .is_some_and(|wait| wait.is_zero())
        {
            worker.flush(Phase::Exporting).unwrap();
        }
    }
    worker.flush(Phase::Exporting).unwrap();
    let time = begun.elapsed();
    let counts = worker.status().counts();
    let count: u64 = counts.iter().map(|counted| counted.exported.count).sum();
    let count = count as f64;
    println!(
        "{:.0} records/s, {:.2} us a record, {:.0} instances/s",
        count / time.as_secs_f64(),
        time.as_secs_f64() * 1e6 / count,
        (BATCHES as usize * INSTANCES_PER_BATCH) as f64 / time.as_secs_f64(),
    );
}
