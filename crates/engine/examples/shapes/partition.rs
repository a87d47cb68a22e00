//! One partition without disk, log and network.

use std::sync::Arc;
use std::time::{Duration, Instant};

use skep_bpmn::shapes::JOB_TYPE;
use skep_engine::{Context, Engine, EngineConfig, Input, Outcome};
use skep_protocol::{
    Command, DeploymentIntent, Intent, JobBatchIntent, JobIntent, Key, MessageIntent, PartitionId,
    Position, ProcessInstanceCreationIntent, ProcessInstanceIntent, RecordValue, RequestId,
    values::{self, BpmnElementType},
};
use skep_state::{LocalMeta, MemoryStore, Overlay, Transaction};

/// What has happened.
#[derive(Debug, Clone, Copy, Default)]
pub struct Counts {
    /// Inputs evaluated: commands of clients, and of the partition to itself.
    pub commands: u64,
    /// Records written.
    pub records: u64,
    /// Allocations made by evaluating and applying.
    pub allocations: u64,
    /// Instances completed that no other instance has called.
    pub completed: u64,
}

/// An engine on a state in memory, where time stands still.
pub struct Partition {
    engine: Engine,
    store: Arc<MemoryStore>,
    overlay: Overlay,
    position: i64,
    requests: u64,
    /// What has happened.
    pub counts: Counts,
    /// What the evaluation took that took longest.
    pub longest: Duration,
}

/// As a replica has it, roughly.
const LAYER_BYTES: usize = 8 << 20;

const TIME: i64 = 1_700_000_000_000;

impl Partition {
    /// An empty one.
    pub fn new() -> Partition {
        let store = Arc::new(MemoryStore::default());
        Partition {
            overlay: Overlay::new(store.clone()),
            store,
            engine: Engine::new(EngineConfig {
                partition: PartitionId(1),
                partition_count: 1,
            }),
            position: 1,
            requests: 0,
            counts: Counts::default(),
            longest: Duration::ZERO,
        }
    }

    fn evaluate(&mut self, input: Input) -> Outcome {
        let context = Context {
            time: TIME,
            seed: 1,
            first_position: Position(self.position),
        };
        let mut outcome = None;
        let begun = Instant::now();
        let allocated = allocation_counter::measure(|| {
            let mut txn = Transaction::new(&self.overlay);
            let evaluated = self.engine.process(input, &mut txn, &context);
            outcome = Some(evaluated.expect("a state in memory does not fail"));
            let writes = txn.into_writes();
            self.overlay.begin_batch();
            self.overlay.absorb(writes);
            self.overlay.apply_pending();
        });
        self.longest = self.longest.max(begun.elapsed());
        self.write_back();
        let outcome = outcome.expect("it was just set");
        self.position += outcome.records.len() as i64;
        self.counts.commands += 1;
        self.counts.allocations += allocated.count_total;
        self.counts.records += outcome.records.len() as u64;
        let completed = outcome.records.iter().filter(|record| {
            record.intent == Intent::ProcessInstance(ProcessInstanceIntent::ElementCompleted)
                && matches!(&record.value, RecordValue::ProcessInstance(value)
                    if value.element_type() == BpmnElementType::Process
                    && value.parent_process_instance_key < 0)
        });
        self.counts.completed += completed.count() as u64;
        outcome
    }

    /// What a replica leaves to another thread: layers of a certain size go into the store.
    fn write_back(&mut self) {
        if self.overlay.unflushed_bytes() < LAYER_BYTES {
            return;
        }
        let ticket = self.overlay.rotate(LocalMeta::default());
        let written = ticket.write_to(&*self.store);
        written.expect("a store in memory does not fail");
        self.overlay.flushed(&ticket);
    }

    /// Evaluates a client's command and all that becomes due by it.
    fn send(&mut self, command: Command) -> Outcome {
        self.requests += 1;
        let request = Some(RequestId {
            gateway: 1,
            request: self.requests,
        });
        let outcome = self.evaluate(Input::Client { command, request });
        loop {
            let due = self.engine.due(&self.overlay, TIME);
            let due = due.expect("a state in memory does not fail");
            let Some(command) = due.commands.into_iter().next() else {
                return outcome;
            };
            self.evaluate(Input::Internal(command));
        }
    }

    /// Deploys resources together.
    pub fn deploy(&mut self, resources: &[(&str, &str)]) {
        let resources = resources
            .iter()
            .map(|(name, content)| values::DeploymentResource {
                resource_name: (*name).to_owned(),
                resource: content.as_bytes().to_vec(),
            });
        let deployment = values::Deployment {
            resources: resources.collect(),
            ..Default::default()
        };
        let create = Command::new(Key::NONE, DeploymentIntent::Create, deployment);
        let outcome = self.send(create);
        let answer = outcome.responses.first().expect("an answer");
        assert!(answer.result.is_ok(), "it is deployed: {answer:?}");
    }

    /// Starts an instance, and gives its key.
    pub fn create(&mut self, process: &str, variables: &str) -> Key {
        let creation = values::ProcessInstanceCreation {
            bpmn_process_id: process.to_owned(),
            version: -1,
            variables: variables.to_owned(),
            ..Default::default()
        };
        let create = ProcessInstanceCreationIntent::Create;
        let outcome = self.send(Command::new(Key::NONE, create, creation));
        let answer = outcome.responses.into_iter().next().expect("an answer");
        match answer.result.expect("it is created").value {
            RecordValue::ProcessInstanceCreation(created) => Key(created.process_instance_key),
            other => panic!("unexpected answer {other:?}"),
        }
    }

    /// Cancels an instance.
    pub fn cancel(&mut self, instance: Key) {
        let value = values::ProcessInstance::default();
        let cancel = ProcessInstanceIntent::Cancel;
        self.send(Command::new(instance, cancel, value));
    }

    /// Publishes a message that is not buffered.
    pub fn publish(&mut self, name: &str, correlation_key: &str) {
        let message = values::Message {
            name: name.to_owned(),
            correlation_key: correlation_key.to_owned(),
            ..Default::default()
        };
        self.send(Command::new(Key::NONE, MessageIntent::Publish, message));
    }

    /// Activates jobs and completes them. False if there are none.
    pub fn work(&mut self, at_once: i32) -> bool {
        let batch = values::JobBatch {
            job_type: JOB_TYPE.to_owned(),
            worker: "shapes".to_owned(),
            timeout: 60_000,
            max_jobs_to_activate: at_once,
            ..Default::default()
        };
        let outcome = self.send(Command::new(Key::NONE, JobBatchIntent::Activate, batch));
        let answer = outcome.responses.into_iter().next().expect("an answer");
        let RecordValue::JobBatch(batch) = answer.result.expect("jobs or none").value else {
            return false;
        };
        for job in &batch.jobs {
            let value = values::Job {
                variables: r#"{"approved":true}"#.to_owned(),
                ..Default::default()
            };
            self.send(Command::new(Key(job.key), JobIntent::Complete, value));
        }
        !batch.jobs.is_empty()
    }
}
