//! One partition without disk, log and network: an engine on an overlay in memory, and time as the test says.
//!
//! Every input is evaluated twice, by engines that share nothing, and must give the same; after every input the state is
//! checked to be consistent in itself.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use bytes::Bytes;
use skep_engine::tables::element_instances::{self, ElementState, StoredElementInstance};
use skep_engine::tables::{jobs, prefix, variables};
use skep_engine::{Context, Engine, EngineConfig, Failure, Input, Outcome};
use skep_protocol::{
    Command, DeploymentIntent, Intent, JobBatchIntent, JobIntent, Key, PartitionId, Position,
    ProcessInstanceCreationIntent, ProcessInstanceIntent, Record, RecordType, RecordValue,
    RequestId, ResponseResult, values,
};
use skep_state::{
    KeyRange, KeyReader, LimitExceeded, MemoryStore, Op, Overlay, Read, Transaction, Visit,
};

pub const START: i64 = 1_700_000_000_000;

pub struct Harness {
    overlay: Overlay,
    engine: Engine,
    pub time: i64,
    /// Whether the state is looked over after every input, which takes long where there is much.
    pub checks: bool,
    requests: u64,
    damaged: bool,
    pub records: Vec<Record>,
    pub responses: BTreeMap<u64, ResponseResult>,
}

impl Harness {
    pub fn new() -> Harness {
        Harness {
            overlay: Overlay::new(Arc::new(MemoryStore::default())),
            engine: Engine::new(config()),
            time: START,
            checks: true,
            requests: 0,
            damaged: false,
            records: Vec::new(),
            responses: BTreeMap::new(),
        }
    }

    /// A partition that has these resources deployed.
    pub fn with(xml: &str) -> Harness {
        let mut harness = Harness::new();
        harness.deploy(xml);
        harness
    }

    pub fn deploy(&mut self, xml: &str) {
        self.try_deploy(xml).unwrap();
    }

    pub fn try_deploy(&mut self, xml: &str) -> ResponseResult {
        self.deploy_resources(&[("process.bpmn", xml)])
    }

    /// Deploys resources together, each with its name.
    pub fn deploy_resources(&mut self, resources: &[(&str, &str)]) -> ResponseResult {
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
        self.ask(Command::new(
            Key::NONE,
            DeploymentIntent::Create,
            deployment,
        ))
    }

    fn context(&self) -> Context {
        Context {
            time: self.time,
            seed: 7,
            first_position: Position(self.records.len() as i64 + 1),
        }
    }

    pub fn process(&mut self, input: Input) -> Outcome {
        let context = self.context();
        let mut txn = Transaction::new(&self.overlay);
        let outcome = self
            .engine
            .process(input.clone(), &mut txn, &context)
            .unwrap();
        let writes = txn.into_writes();
        let mut shadow = Transaction::new(&self.overlay);
        let again = Engine::new(config())
            .process(input, &mut shadow, &context)
            .unwrap();
        assert_eq!(outcome, again, "two engines on the same state disagree");
        assert!(
            writes.iter().eq(shadow.into_writes().iter()),
            "two engines on the same state write differently"
        );
        self.take(outcome, writes)
    }

    /// What the partition does about an input whose evaluation panicked.
    pub fn fail(&mut self, input: Input, message: &str) -> Outcome {
        self.engine = Engine::new(config());
        self.failed(input, &Failure::Panic(message.to_owned()))
    }

    /// Evaluates an input as a partition does, with whatever becomes of it.
    pub fn process_safely(&mut self, input: Input) -> Outcome {
        let context = self.context();
        let mut txn = Transaction::new(&self.overlay);
        let engine = &mut self.engine;
        let caught = catch_unwind(AssertUnwindSafe(|| {
            engine.process(input.clone(), &mut txn, &context).unwrap()
        }));
        match caught {
            Ok(outcome) => {
                let writes = txn.into_writes();
                self.take(outcome, writes)
            }
            Err(panic) => {
                let failure = match LimitExceeded::from_panic(&*panic) {
                    Some(limit) => Failure::Limit(limit),
                    None => Failure::Panic("boom".to_owned()),
                };
                self.failed(input, &failure)
            }
        }
    }

    pub fn failed(&mut self, input: Input, failure: &Failure) -> Outcome {
        let context = self.context();
        let mut txn = Transaction::new(&self.overlay);
        let failed = self
            .engine
            .failed(input, &mut txn, &context, failure)
            .unwrap();
        let writes = txn.into_writes();
        let outcome = self.take(failed.outcome, writes);
        match failed.again {
            Some(input) => self.process_safely(input),
            None => outcome,
        }
    }

    /// Takes pairs out of the state, as only a bug could, and forgets what was in memory.
    pub fn damage(&mut self, keys: &[&[u8]]) {
        let deletions = keys
            .iter()
            .map(|key| (Bytes::copy_from_slice(key), Op::Delete));
        self.overlay.apply(deletions);
        self.engine = Engine::new(config());
        self.damaged = true;
    }

    fn take(&mut self, outcome: Outcome, writes: skep_state::Layer) -> Outcome {
        self.overlay.begin_batch();
        self.overlay.absorb(writes);
        self.overlay.apply_pending();
        self.records.extend(outcome.records.iter().cloned());
        for response in &outcome.responses {
            let before = self
                .responses
                .insert(response.request.request, response.result.clone());
            assert!(
                before.is_none(),
                "request {} is answered twice",
                response.request.request
            );
        }
        if self.checks && !self.damaged {
            self.check();
        }
        outcome
    }

    /// Sends a client's command and gives the number of its request.
    pub fn request(&mut self, command: Command) -> u64 {
        self.requests += 1;
        let request = RequestId {
            gateway: 1,
            request: self.requests,
        };
        self.process(Input::Client {
            command,
            request: Some(request),
        });
        self.settle();
        self.requests
    }

    /// Sends a client's command that is answered at once.
    pub fn ask(&mut self, command: Command) -> ResponseResult {
        let request = self.request(command);
        self.responses.get(&request).cloned().expect("an answer")
    }

    /// Evaluates what is due until nothing is.
    pub fn settle(&mut self) {
        for _ in 0..10_000 {
            let due = self.engine.due(&self.overlay, self.time).unwrap();
            let Some(command) = due.commands.into_iter().next() else {
                return;
            };
            self.process(Input::Internal(command));
        }
        panic!("there is always something due");
    }

    /// What is due now, with nothing done about it.
    pub fn due(&self) -> skep_engine::Due {
        self.engine.due(&self.overlay, self.time).unwrap()
    }

    /// Lets time pass.
    pub fn advance(&mut self, millis: i64) {
        self.time += millis;
        self.settle();
    }

    pub fn create(&mut self, process: &str, variables: &str) -> Key {
        let creation = values::ProcessInstanceCreation {
            bpmn_process_id: process.to_owned(),
            version: -1,
            variables: variables.to_owned(),
            ..Default::default()
        };
        let answer = self
            .ask(Command::new(
                Key::NONE,
                ProcessInstanceCreationIntent::Create,
                creation,
            ))
            .unwrap();
        match answer.value {
            RecordValue::ProcessInstanceCreation(created) => Key(created.process_instance_key),
            other => panic!("unexpected answer {other:?}"),
        }
    }

    /// Publishes a message that is buffered for a second.
    pub fn publish(&mut self, name: &str, correlation_key: &str, variables: &str) {
        let message = values::Message {
            name: name.to_owned(),
            correlation_key: correlation_key.to_owned(),
            variables: variables.to_owned(),
            time_to_live: 1_000,
            ..Default::default()
        };
        self.ask(Command::new(
            Key::NONE,
            skep_protocol::MessageIntent::Publish,
            message,
        ))
        .unwrap();
    }

    pub fn cancel(&mut self, instance: Key) -> ResponseResult {
        let value = values::ProcessInstance::default();
        self.ask(Command::new(instance, ProcessInstanceIntent::Cancel, value))
    }

    pub fn activate(&mut self, job_type: &str, max: i32) -> Vec<(Key, values::Job)> {
        self.activate_batch(job_type, max, &[]).0
    }

    /// Jobs, and whether some were left out for size.
    pub fn activate_batch(
        &mut self,
        job_type: &str,
        max: i32,
        names: &[&str],
    ) -> (Vec<(Key, values::Job)>, bool) {
        let batch = values::JobBatch {
            job_type: job_type.to_owned(),
            worker: "worker".to_owned(),
            timeout: 60_000,
            max_jobs_to_activate: max,
            fetch_variables: names.iter().map(|name| (*name).to_owned()).collect(),
            ..Default::default()
        };
        match self
            .ask(Command::new(Key::NONE, JobBatchIntent::Activate, batch))
            .unwrap()
            .value
        {
            RecordValue::JobBatch(batch) => {
                let jobs = batch
                    .jobs
                    .into_iter()
                    .map(|job| (Key(job.key), job.job.unwrap()));
                (jobs.collect(), batch.truncated)
            }
            other => panic!("unexpected answer {other:?}"),
        }
    }

    /// The one job of a type, activated.
    pub fn job(&mut self, job_type: &str) -> Key {
        let jobs = self.activate(job_type, 10);
        assert_eq!(jobs.len(), 1, "jobs of type '{job_type}'");
        jobs[0].0
    }

    pub fn report(&mut self, job: Key, intent: JobIntent, value: values::Job) -> ResponseResult {
        self.ask(Command::new(job, intent, value))
    }

    pub fn complete(&mut self, job: Key, variables: &str) -> ResponseResult {
        let value = values::Job {
            variables: variables.to_owned(),
            ..Default::default()
        };
        self.report(job, JobIntent::Complete, value)
    }

    /// Activates and completes the one job of a type.
    pub fn work(&mut self, job_type: &str, variables: &str) {
        let job = self.job(job_type);
        self.complete(job, variables).unwrap();
    }

    /// What happened to elements, in order: `id INTENT`.
    pub fn trace(&self) -> Vec<String> {
        let events = self
            .records
            .iter()
            .filter(|record| record.record_type == RecordType::Event);
        let traced = events.filter_map(|record| match &record.value {
            RecordValue::ProcessInstance(value) => Some(format!(
                "{} {}",
                value.element_id,
                record.intent.name().replace("ELEMENT_", "")
            )),
            _ => None,
        });
        traced.collect()
    }

    /// How often something happened to an element.
    pub fn count(&self, event: &str) -> usize {
        self.trace()
            .iter()
            .filter(|traced| *traced == event)
            .count()
    }

    pub fn happened(&self, event: &str) -> bool {
        self.count(event) > 0
    }

    /// Events with that intent, with their keys.
    pub fn events(&self, intent: impl Into<Intent>) -> Vec<&Record> {
        let intent = intent.into();
        let events = self
            .records
            .iter()
            .filter(|record| record.record_type == RecordType::Event);
        events.filter(|record| record.intent == intent).collect()
    }

    pub fn rejections(&self) -> Vec<&Record> {
        self.records
            .iter()
            .filter(|record| record.record_type == RecordType::CommandRejection)
            .collect()
    }

    /// Incidents raised so far, with their keys.
    pub fn incidents(&self) -> Vec<(Key, values::Incident)> {
        let raised = self
            .events(skep_protocol::IncidentIntent::Created)
            .into_iter();
        let incidents = raised.map(|record| match &record.value {
            RecordValue::Incident(incident) => (record.key, incident.clone()),
            other => panic!("unexpected value {other:?}"),
        });
        incidents.collect()
    }

    pub fn resolve(&mut self, incident: Key) -> ResponseResult {
        let value = values::Incident::default();
        self.ask(Command::new(
            incident,
            skep_protocol::IncidentIntent::Resolve,
            value,
        ))
    }

    pub fn set_variables(&mut self, scope: Key, variables: &str, local: bool) -> ResponseResult {
        let value = values::VariableDocument {
            scope_key: scope.0,
            local,
            variables: variables.to_owned(),
        };
        self.ask(Command::new(
            Key::NONE,
            skep_protocol::VariableDocumentIntent::Update,
            value,
        ))
    }

    /// Variables of exactly that scope: `name=value`.
    pub fn variables(&self, scope: Key) -> Vec<String> {
        let found = variables::of_scope(&self.overlay, scope).unwrap();
        found
            .into_iter()
            .map(|(name, variable)| format!("{name}={}", variable.value))
            .collect()
    }

    /// Key of the element instance that was activated last.
    pub fn key_of(&self, element: &str) -> Key {
        let activating = self
            .events(ProcessInstanceIntent::ElementActivating)
            .into_iter()
            .rev();
        let mut found = activating.filter(|record| match &record.value {
            RecordValue::ProcessInstance(value) => value.element_id == element,
            _ => false,
        });
        found
            .next()
            .unwrap_or_else(|| panic!("'{element}' was not activated"))
            .key
    }

    pub fn job_state(&self, job: Key) -> Option<jobs::JobState> {
        jobs::get(&self.overlay, job)
            .unwrap()
            .map(|stored| stored.state())
    }

    /// Whether nothing is left but what outlives instances.
    pub fn assert_clean(&self) {
        let lasting = [
            prefix::KEYS,
            prefix::PROCESSES,
            prefix::LATEST_PROCESSES,
            prefix::PROCESS_VERSIONS,
            prefix::RESOURCES,
            prefix::FORMS,
            prefix::LATEST_FORMS,
            prefix::FORM_VERSIONS,
            prefix::PROCESSES_BY_DEPLOYMENT,
            prefix::PROCESSES_BY_TAG,
            prefix::DECISIONS_BY_DEPLOYMENT,
            prefix::DECISIONS_BY_TAG,
            prefix::FORMS_BY_DEPLOYMENT,
            prefix::FORMS_BY_TAG,
            prefix::MESSAGE_START_EVENTS,
            prefix::MESSAGE_START_EVENTS_BY_PROCESS,
            prefix::SIGNAL_SUBSCRIPTIONS,
            prefix::SIGNAL_SUBSCRIPTIONS_BY_OWNER,
        ];
        let mut left = Vec::new();
        self.overlay
            .scan(KeyRange::ALL, &mut |key, _| {
                let of_decisions = prefix::DECISIONS..=prefix::DECISION_REQUIREMENTS_VERSIONS;
                if !lasting.contains(&key[0]) && !of_decisions.contains(&key[0]) {
                    left.push(key.to_vec());
                }
                Visit::Next
            })
            .unwrap();
        assert!(left.is_empty(), "left in the state: {left:?}");
    }

    /// Everything in the tables of those numbers.
    pub fn content(&self, tables: std::ops::RangeInclusive<u8>) -> Vec<(Vec<u8>, Vec<u8>)> {
        let mut found = Vec::new();
        self.overlay
            .scan(KeyRange::ALL, &mut |key, value| {
                if tables.contains(&key[0]) {
                    found.push((key.to_vec(), value.to_vec()));
                }
                Visit::Next
            })
            .unwrap();
        found
    }

    /// Element instances that exist now, by key.
    pub fn element_instances(&self) -> BTreeMap<i64, StoredElementInstance> {
        let mut found = BTreeMap::new();
        let (from, to) = ([prefix::ELEMENT_INSTANCES], [prefix::ELEMENT_INSTANCES + 1]);
        self.overlay
            .scan(
                KeyRange {
                    from: &from,
                    to: Some(&to),
                },
                &mut |key, value| {
                    let instance =
                        <StoredElementInstance as prost::Message>::decode(value).unwrap();
                    found.insert(KeyReader::new(key).i64(), instance);
                    Visit::Next
                },
            )
            .unwrap();
        found
    }

    /// Element instances that exist now.
    pub fn active(&self) -> Vec<String> {
        self.element_instances()
            .into_values()
            .map(|instance| instance.element_id)
            .collect()
    }

    /// Counts agree with what they count, children have parents, and no active scope is left with nothing to do.
    fn check(&self) {
        let instances = self.element_instances();
        let continues = !skep_engine::tables::continuations::oldest(&self.overlay, 1)
            .unwrap()
            .is_empty();
        let mut by_scope: BTreeMap<i64, Vec<Key>> = BTreeMap::new();
        for (&key, instance) in &instances {
            let siblings = by_scope.entry(instance.flow_scope_key).or_default();
            siblings.push(Key(key));
        }
        for (&key, instance) in &instances {
            let children =
                element_instances::children(&self.overlay, Key(key), Key(0), usize::MAX).unwrap();
            assert_eq!(
                children.len(),
                instance.children as usize,
                "children of '{}'",
                instance.element_id
            );
            assert_eq!(
                children,
                by_scope.remove(&key).unwrap_or_default(),
                "children of '{}'",
                instance.element_id
            );
            let is_scope = matches!(
                instance.element_type(),
                values::BpmnElementType::Process
                    | values::BpmnElementType::SubProcess
                    | values::BpmnElementType::EventSubProcess
                    | values::BpmnElementType::MultiInstanceBody
            );
            let is_idle = instance.children == 0 && instance.tokens == 0;
            let is_stuck = is_scope && instance.state() == ElementState::Activated && is_idle;
            assert!(
                continues || !is_stuck,
                "'{}' is active with nothing left to do",
                instance.element_id
            );
            if instance.job_key > 0 {
                let job = jobs::get(&self.overlay, Key(instance.job_key)).unwrap();
                assert!(
                    job.is_some(),
                    "the job of '{}' is gone",
                    instance.element_id
                );
            }
        }
    }
}

fn config() -> EngineConfig {
    EngineConfig {
        partition: PartitionId(1),
        partition_count: 1,
    }
}
