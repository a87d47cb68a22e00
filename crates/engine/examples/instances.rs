//! How fast the engine is by itself: instances of a process with one service task, created, activated and completed.
//!
//! `cargo run --release -p skep-engine --example instances -- [instances] [jobs per activation]`

use std::sync::Arc;
use std::time::{Duration, Instant};

use skep_bpmn::builder::ProcessBuilder;
use skep_engine::{Context, Engine, EngineConfig, Input, Outcome};
use skep_protocol::{
    Command, DeploymentIntent, JobBatchIntent, JobIntent, Key, PartitionId, Position,
    ProcessInstanceCreationIntent, RecordValue, RequestId, values,
};
use skep_state::{MemoryStore, Overlay, Transaction};

struct Bench {
    engine: Engine,
    overlay: Overlay,
    position: i64,
    requests: u64,
    engine_time: Duration,
    overlay_time: Duration,
    records: usize,
}

impl Bench {
    fn send(&mut self, command: Command) -> Outcome {
        self.requests += 1;
        let request = Some(RequestId {
            gateway: 1,
            request: self.requests,
        });
        let context = Context {
            time: 1_700_000_000_000,
            seed: 1,
            first_position: Position(self.position),
        };
        let begin = Instant::now();
        let mut txn = Transaction::new(&self.overlay);
        let outcome = self
            .engine
            .process(Input::Client { command, request }, &mut txn, &context)
            .expect("memory");
        let writes = txn.into_writes();
        let evaluated = Instant::now();
        self.overlay.begin_batch();
        self.overlay.absorb(writes);
        self.overlay.apply_pending();
        self.engine_time += evaluated - begin;
        self.overlay_time += evaluated.elapsed();
        self.position += outcome.records.len() as i64;
        self.records += outcome.records.len();
        outcome
    }

    fn take_times(&mut self) -> (Duration, Duration) {
        (
            std::mem::take(&mut self.engine_time),
            std::mem::take(&mut self.overlay_time),
        )
    }
}

fn argument(index: usize, default: usize) -> usize {
    std::env::args()
        .nth(index)
        .and_then(|text| text.parse().ok())
        .unwrap_or(default)
}

fn main() {
    let (instances, at_once) = (argument(1, 100_000), argument(2, 32));
    let mut bench = Bench {
        engine: Engine::new(EngineConfig {
            partition: PartitionId(1),
            partition_count: 1,
        }),
        overlay: Overlay::new(Arc::new(MemoryStore::default())),
        position: 1,
        requests: 0,
        engine_time: Duration::ZERO,
        overlay_time: Duration::ZERO,
        records: 0,
    };
    let xml = ProcessBuilder::new("p")
        .start()
        .service_task("task", "work")
        .end()
        .xml();
    let resource = values::DeploymentResource {
        resource_name: "p.bpmn".to_owned(),
        resource: xml.into_bytes(),
    };
    let deployment = values::Deployment {
        resources: vec![resource],
        ..Default::default()
    };
    bench.send(Command::new(
        Key::NONE,
        DeploymentIntent::Create,
        deployment,
    ));
    bench.take_times();
    bench.records = 0;

    let mut totals = [(Duration::ZERO, Duration::ZERO); 3];
    let mut jobs = Vec::new();
    for _ in 0..instances / at_once {
        for (index, step) in [create as Step, activate, complete].into_iter().enumerate() {
            step(&mut bench, at_once, &mut jobs);
            let (engine, overlay) = bench.take_times();
            totals[index].0 += engine;
            totals[index].1 += overlay;
        }
    }
    report(instances / at_once * at_once, bench.records, &totals);
}

type Step = fn(&mut Bench, usize, &mut Vec<Key>);

fn create(bench: &mut Bench, count: usize, _: &mut Vec<Key>) {
    for index in 0..count {
        let creation = values::ProcessInstanceCreation {
            bpmn_process_id: "p".to_owned(),
            version: -1,
            variables: format!(r#"{{"orderId":"order-{index}","total":{index}}}"#),
            ..Default::default()
        };
        bench.send(Command::new(
            Key::NONE,
            ProcessInstanceCreationIntent::Create,
            creation,
        ));
    }
}

fn activate(bench: &mut Bench, count: usize, jobs: &mut Vec<Key>) {
    let batch = values::JobBatch {
        job_type: "work".to_owned(),
        worker: "bench".to_owned(),
        timeout: 60_000,
        max_jobs_to_activate: count as i32,
        ..Default::default()
    };
    let outcome = bench.send(Command::new(Key::NONE, JobBatchIntent::Activate, batch));
    let answer = outcome
        .responses
        .into_iter()
        .next()
        .expect("an answer")
        .result
        .expect("jobs");
    if let RecordValue::JobBatch(batch) = answer.value {
        assert_eq!(batch.jobs.len(), count, "every instance has a job");
        jobs.extend(batch.jobs.into_iter().map(|job| Key(job.key)));
    }
}

fn complete(bench: &mut Bench, _: usize, jobs: &mut Vec<Key>) {
    for job in jobs.drain(..) {
        let value = values::Job {
            variables: r#"{"approved":true}"#.to_owned(),
            ..Default::default()
        };
        bench.send(Command::new(job, JobIntent::Complete, value));
    }
}

fn report(instances: usize, records: usize, totals: &[(Duration, Duration); 3]) {
    println!(
        "{instances} instances, {} records each",
        records / instances
    );
    let mut sum = Duration::ZERO;
    for (name, (engine, overlay)) in ["create", "activate", "complete"].into_iter().zip(totals) {
        let per_instance = |time: &Duration| time.as_nanos() / instances as u128;
        println!(
            "{name:>9}: {:>6} ns engine, {:>6} ns overlay",
            per_instance(engine),
            per_instance(overlay)
        );
        sum += *engine;
    }
    let each = sum.as_secs_f64() / instances as f64;
    println!(
        "    total: {:.1} us of engine time an instance, {:.0} instances/s",
        each * 1e6,
        1.0 / each
    );
}
