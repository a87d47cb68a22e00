//! A replica that is alone: consensus commits whatever it is given, and effects are kept.

#![allow(dead_code, reason = "each test binary uses a part of it")]

use std::sync::{Arc, Mutex};

use bytes::Bytes;
use skep_bpmn::builder::ProcessBuilder;
use skep_partition::{
    Consensus, ConsensusEvent, Effects, Event, FrozenBackup, Reading, Refusal, Replica,
    ReplicaConfig, Role,
};
use skep_protocol::{
    CheckpointId, Command, DeploymentIntent, Envelope, Epoch, Index, JobIntent, Key, NodeId,
    PartitionId, ProcessInstanceCreationIntent, RecordValue, RequestId, Response, ResponseResult,
    values,
};
use skep_state::{FlushTicket, MemoryStore};

pub type Solo = Replica<Commits, Kept>;

/// Commits what is proposed, once it is asked to.
#[derive(Default)]
pub struct Commits {
    pub proposed: Vec<Bytes>,
    /// Bytes that the replica has taken in.
    pub taken: usize,
}

impl Consensus for Commits {
    fn propose(&mut self, entry: Bytes) {
        self.proposed.push(entry);
    }

    fn state_durable(&mut self, _: Index) {}

    fn taken(&mut self, bytes: usize) {
        self.taken += bytes;
    }
}

/// Keeps answers.
#[derive(Default, Clone)]
pub struct Kept {
    pub responses: Arc<Mutex<Vec<Response>>>,
    pub refusals: Arc<Mutex<Vec<(RequestId, Refusal)>>>,
    /// Layers to be written to the store.
    pub flushes: Arc<Mutex<Vec<FlushTicket>>>,
    /// Uploads begun.
    pub uploads: Arc<Mutex<Vec<CheckpointId>>>,
}

impl Effects for Kept {
    fn respond(&mut self, response: Response) {
        self.responses.lock().unwrap().push(response);
    }

    fn refuse(&mut self, request: RequestId, refusal: Refusal) {
        self.refusals.lock().unwrap().push((request, refusal));
    }

    fn send(&mut self, _: PartitionId, _: Envelope) {}
    fn jobs_available(&mut self, _: &str) {}
    fn flush(&mut self, ticket: FlushTicket) {
        self.flushes.lock().unwrap().push(ticket);
    }
    fn back_up(&mut self, backup: FrozenBackup) {
        self.uploads.lock().unwrap().push(backup.checkpoint_id);
    }
    fn give_up_backup(&mut self, _: CheckpointId) {}
    fn role_changed(&mut self, _: Role, _: Epoch) {}
}

/// A replica with its log.
pub struct Place {
    pub replica: Solo,
    pub store: Arc<MemoryStore>,
    pub log: Vec<Bytes>,
    pub now: i64,
    /// How far the wall clock was set ahead.
    pub set_by: i64,
    kept: Kept,
    requests: u64,
}

impl Place {
    /// A follower that has applied these entries.
    pub fn new(log: &[Bytes]) -> Place {
        Place::among(1, log)
    }

    /// The same, of partition 1 of several.
    pub fn among(partition_count: u32, log: &[Bytes]) -> Place {
        let config = ReplicaConfig {
            partition: PartitionId(1),
            partition_count,
            node: NodeId(0),
            seed: 1,
        };
        let kept = Kept::default();
        let store = Arc::new(MemoryStore::default());
        let below: Arc<MemoryStore> = Arc::clone(&store);
        let replica = Replica::open(config, below, Commits::default(), kept.clone()).unwrap();
        let mut place = Place {
            replica,
            store,
            log: Vec::new(),
            now: 1_700_000_000_000,
            set_by: 0,
            kept,
            requests: 0,
        };
        log.iter().for_each(|entry| place.commit(entry.clone()));
        place
    }

    fn commit(&mut self, entry: Bytes) {
        self.log.push(entry.clone());
        let committed = ConsensusEvent::Committed {
            index: Index(self.log.len() as u64),
            term: 1,
            entry,
        };
        self.handle(Event::Consensus(committed));
    }

    pub fn handle(&mut self, event: Event) {
        self.replica.handle(event, self.clocks()).unwrap();
    }

    fn clocks(&self) -> Reading {
        Reading {
            wall: self.now + self.set_by,
            monotonic: self.now,
        }
    }

    pub fn lead(&mut self) {
        let term = 1;
        self.handle(Event::Consensus(ConsensusEvent::BecameLeader { term }));
        self.settle();
        assert!(self.replica.is_leading());
    }

    /// Runs and commits until nothing is proposed any more.
    pub fn settle(&mut self) {
        loop {
            self.replica.run(self.clocks()).unwrap();
            let proposed = std::mem::take(&mut self.replica.consensus().proposed);
            if proposed.is_empty() {
                return;
            }
            proposed.into_iter().for_each(|entry| self.commit(entry));
        }
    }

    /// Runs once and commits nothing; gives what was proposed.
    pub fn run(&mut self) -> Vec<Bytes> {
        self.replica.run(self.clocks()).unwrap();
        std::mem::take(&mut self.replica.consensus().proposed)
    }

    /// Takes entries that were proposed into the log.
    pub fn commit_all(&mut self, proposed: Vec<Bytes>) {
        proposed.into_iter().for_each(|entry| self.commit(entry));
    }

    /// Hands a command over without running.
    pub fn submit(&mut self, command: Command) -> RequestId {
        self.requests += 1;
        let request = RequestId {
            gateway: 1,
            request: self.requests,
        };
        self.handle(Event::Command {
            command,
            request: Some(request),
            submitted: std::time::Instant::now(),
        });
        request
    }

    /// Why that request was refused, if it was.
    pub fn refusal(&self, request: RequestId) -> Option<Refusal> {
        let refusals = self.kept.refusals.lock().unwrap();
        let mut found = refusals.iter().filter(|(refused, _)| *refused == request);
        found.next().map(|(_, refusal)| refusal.clone())
    }

    /// How many layers are to be written to the store.
    pub fn flushes(&self) -> usize {
        self.kept.flushes.lock().unwrap().len()
    }

    /// Writes them.
    pub fn flush_all(&mut self) {
        let tickets = std::mem::take(&mut *self.kept.flushes.lock().unwrap());
        for ticket in tickets {
            ticket.write_to(&*self.store).unwrap();
            self.handle(Event::Flushed(ticket));
        }
    }

    /// The uploads begun so far.
    pub fn uploads(&self) -> Vec<CheckpointId> {
        self.kept.uploads.lock().unwrap().clone()
    }

    pub fn ask(&mut self, command: Command) -> ResponseResult {
        let request = self.submit(command);
        self.settle();
        let responses = self.kept.responses.lock().unwrap();
        let mut answers = responses
            .iter()
            .filter(|response| response.request == request);
        answers.next().expect("an answer").result.clone()
    }

    /// Deploys process `p` with one task, of job type `work`.
    pub fn deploy_task(&mut self) {
        let builder = ProcessBuilder::new("p").start();
        self.deploy(&builder.service_task("task", "work").end().xml());
    }

    pub fn deploy(&mut self, xml: &str) {
        let resource = values::DeploymentResource {
            resource_name: "p.bpmn".to_owned(),
            resource: xml.as_bytes().to_vec(),
        };
        let deployment = values::Deployment {
            resources: vec![resource],
            ..Default::default()
        };
        let create = Command::new(Key::NONE, DeploymentIntent::Create, deployment);
        self.ask(create).unwrap();
    }

    /// Creates an instance of process `p`.
    pub fn try_create(&mut self, variables: &str) -> ResponseResult {
        self.ask(Place::creation(variables))
    }

    /// The command that creates an instance of process `p`.
    pub fn creation(variables: &str) -> Command {
        let creation = values::ProcessInstanceCreation {
            bpmn_process_id: "p".to_owned(),
            version: -1,
            variables: variables.to_owned(),
            ..Default::default()
        };
        let intent = ProcessInstanceCreationIntent::Create;
        Command::new(Key::NONE, intent, creation)
    }

    /// [`Place::try_create`], with the key of the instance.
    pub fn create(&mut self) -> Key {
        match self.try_create("").unwrap().value {
            RecordValue::ProcessInstanceCreation(created) => Key(created.process_instance_key),
            other => panic!("unexpected answer {other:?}"),
        }
    }

    /// Activates the jobs there are.
    pub fn activate(&mut self) -> Vec<Key> {
        let batch = values::JobBatch {
            job_type: "work".to_owned(),
            worker: "worker".to_owned(),
            timeout: 60_000,
            max_jobs_to_activate: 10,
            ..Default::default()
        };
        let activate = Command::new(Key::NONE, skep_protocol::JobBatchIntent::Activate, batch);
        match self.ask(activate).unwrap().value {
            RecordValue::JobBatch(batch) => batch.jobs.iter().map(|job| Key(job.key)).collect(),
            other => panic!("unexpected answer {other:?}"),
        }
    }

    pub fn complete(&mut self, job: Key, variables: &str) -> ResponseResult {
        let value = values::Job {
            variables: variables.to_owned(),
            ..Default::default()
        };
        self.ask(Command::new(job, JobIntent::Complete, value))
    }
}
