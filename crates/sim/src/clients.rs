//! The people: they deploy, create, publish, work, mend and cancel, and look at the state to find what is to be done.
//!
//! What they do needs no answer to go on: a job that was lost is handed out again after its time-out, a message is published
//! again while somebody waits for it.

use std::collections::BTreeMap;

use skep_engine::tables::{incidents, prefix};
use skep_partition::Event;
use skep_protocol::routing::message_partition;
use skep_protocol::{
    Command, DeploymentIntent, IncidentIntent, JobBatchIntent, JobIntent, Key, MessageIntent,
    ProcessInstanceCreationIntent, ProcessInstanceIntent, RecordValue, RequestId, Response,
    VariableDocumentIntent, values,
};
use skep_state::{KeyReader, Read, TableKey, Visit};

use crate::processes::{CAUGHT_ERROR, CREATED, JOB_TYPES, START_MESSAGE, resources};
use crate::violation::{Check, Violation};
use crate::world::{Place, Step, World};

/// Milliseconds between two looks at what is to be done.
const ROUND_MS: i64 = 2_000;

/// What is found in one look at a table at most.
const FOUND_MAX: usize = 40;

/// Commands that may wait at a replica, as its inbox would have it.
const WAITING_MAX: usize = 1_024;

/// Something that a client does.
#[derive(Debug)]
pub enum Action {
    /// Creates an instance or publishes something.
    Arrive,
    /// Asks a partition for jobs of a type.
    Poll(usize, String),
    /// Reports on a job, with the retries that it has.
    Report(Key, i32),
    /// Looks for what is to be done.
    Round,
}

/// What a client waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Asked {
    Deployment,
    Jobs,
    Other,
}

/// The people.
#[derive(Debug)]
pub struct Clients {
    gateway: u64,
    requests: u64,
    waiting: BTreeMap<RequestId, Asked>,
    deployed: bool,
    version: u64,
    created: u64,
    recent: Vec<Key>,
    /// New instances are created, and some things go wrong on purpose.
    pub arriving: bool,
    /// Successes answered.
    pub successes: u64,
    /// Rejections answered.
    pub rejections: u64,
    /// Requests refused.
    pub refusals: u64,
}

impl Clients {
    /// Nothing is deployed yet. Requests of another life of the world have another gateway.
    pub const fn new(gateway: u64) -> Clients {
        Clients {
            gateway,
            requests: 0,
            waiting: BTreeMap::new(),
            deployed: false,
            version: 0,
            created: 0,
            recent: Vec::new(),
            arriving: true,
            successes: 0,
            rejections: 0,
            refusals: 0,
        }
    }

    /// People of a restored cluster know what the former ones did.
    pub const fn go_on_after(&mut self, former: &Clients) {
        self.deployed = true;
        self.version = former.version;
        self.created = former.created;
    }

    /// A request is refused.
    pub fn refused(&mut self, request: RequestId) {
        self.refusals += 1;
        self.waiting.remove(&request);
    }
}

impl World {
    /// The first steps of all clients.
    pub fn begin_clients(&mut self) {
        self.schedule(500, Step::Client(Action::Round));
        self.schedule(3_000, Step::Client(Action::Arrive));
        self.schedule(self.settings.backup_ms, Step::AskForBackup);
    }

    /// From now on nothing new comes, and all work is done well.
    pub fn calm_clients(&mut self) {
        self.clients.arriving = false;
    }

    /// A client does something.
    pub fn client(&mut self, action: Action) -> Check {
        match action {
            Action::Arrive => self.arrive(),
            Action::Poll(partition, job_type) => {
                self.activate(partition, job_type);
                Ok(())
            }
            Action::Report(job, retries) => {
                self.report(job, retries);
                Ok(())
            }
            Action::Round => self.round(),
        }
    }

    fn ask(&mut self, partition: usize, command: Command, asked: Asked) {
        let lag = self.random.between(0, 3);
        self.ask_after(lag, partition, command, asked);
    }

    fn ask_after(&mut self, lag: i64, partition: usize, command: Command, asked: Asked) {
        self.clients.requests += 1;
        let request = RequestId {
            gateway: self.clients.gateway,
            request: self.clients.requests,
        };
        self.clients.waiting.insert(request, asked);
        self.schedule(lag, Step::Command(partition, command, request));
    }

    /// Sends a client's command.
    pub fn submit(&mut self, partition: usize, command: Command) {
        self.ask(partition, command, Asked::Other);
    }

    /// Sends a client's command, which takes a while to arrive.
    pub fn submit_after(&mut self, lag: i64, partition: usize, command: Command) {
        self.ask_after(lag, partition, command, Asked::Other);
    }

    /// A command arrives where its partition is thought to be led.
    pub fn command(&mut self, partition: usize, command: Command, request: RequestId) -> Check {
        let node = self.addressee(partition);
        let place = Place { partition, node };
        let Some(replica) = &self.host(place).replica else {
            return Ok(());
        };
        if replica.inspect().waiting >= WAITING_MAX {
            self.clients.refused(request);
            return Ok(());
        }
        let request = Some(request);
        let command = Event::Command {
            command,
            request,
            submitted: std::time::Instant::now(),
        };
        self.handle(place, command)
    }

    /// A replica answers.
    pub fn responded(&mut self, place: Place, response: Response) -> Check {
        let now = self.now;
        let partition = &mut self.partitions[place.partition];
        let expected = partition.reference.answers.remove(&response.request);
        partition
            .history
            .answer(partition.id, &response, expected, now)?;
        let asked = self.clients.waiting.remove(&response.request);
        let event = match response.result {
            Ok(event) => event,
            Err(rejection) => {
                self.clients.rejections += 1;
                if asked == Some(Asked::Deployment) {
                    return Err(Violation::new(
                        "clients",
                        format!("the deployment is rejected: {rejection}"),
                    ));
                }
                return Ok(());
            }
        };
        self.clients.successes += 1;
        match event.value {
            RecordValue::Deployment(_) => self.clients.deployed = true,
            RecordValue::JobBatch(batch) if asked == Some(Asked::Jobs) => self.take_jobs(&batch),
            RecordValue::ProcessInstanceCreation(created) => {
                let key = Key(created.process_instance_key);
                self.clients.recent.push(key);
            }
            _ => {}
        }
        Ok(())
    }

    fn take_jobs(&mut self, batch: &values::JobBatch) {
        for activated in &batch.jobs {
            let think = self.random.wait(300);
            let retries = activated.job.as_ref().map_or(0, |job| job.retries);
            self.schedule(
                think,
                Step::Client(Action::Report(Key(activated.key), retries)),
            );
        }
    }

    /// Jobs of a type have become available.
    pub fn jobs_available(&mut self, partition: usize, job_type: &str) {
        let soon = self.random.between(1, 60);
        let action = Action::Poll(partition, job_type.to_owned());
        self.schedule(soon, Step::Client(action));
    }

    fn activate(&mut self, partition: usize, job_type: String) {
        let batch = values::JobBatch {
            job_type,
            worker: "worker".to_owned(),
            timeout: self.random.between(2_000, 60_000),
            max_jobs_to_activate: self.random.between(1, 30) as i32,
            fetch_variables: Vec::new(),
            jobs: Vec::new(),
            truncated: false,
        };
        let command = Command::new(Key::NONE, JobBatchIntent::Activate, batch);
        self.ask(partition, command, Asked::Jobs);
    }

    fn report(&mut self, key: Key, retries: i32) {
        let Some(partition) = self.partition_of(key) else {
            return;
        };
        let mut job = values::Job {
            deadline: -1,
            recurring_time: -1,
            ..values::Job::default()
        };
        let trouble = self.random.chance(self.rates.job_trouble);
        let intent = if trouble { self.random.below(6) } else { 6 };
        let intent = match intent {
            0 => return,
            1 | 2 => {
                job.retries = retries - 1;
                job.error_message = "failed".to_owned();
                job.retry_back_off = if self.random.chance(500) { 1_500 } else { 0 };
                JobIntent::Fail
            }
            3 => {
                job.error_code = CAUGHT_ERROR.to_owned();
                JobIntent::ThrowError
            }
            4 => {
                job.error_code = "UNKNOWN".to_owned();
                JobIntent::ThrowError
            }
            number => {
                job.variables = format!("{{\"result\":{number}}}");
                if number == 5 {
                    let again = Command::new(key, JobIntent::Complete, job.clone());
                    self.submit(partition, again);
                }
                JobIntent::Complete
            }
        };
        self.submit(partition, Command::new(key, intent, job));
    }

    fn partition_of(&self, key: Key) -> Option<usize> {
        let partition = usize::try_from(key.partition() - 1).ok()?;
        (partition < self.partitions.len()).then_some(partition)
    }

    fn arrive(&mut self) -> Check {
        if !self.clients.arriving {
            return Ok(());
        }
        let next = self.random.wait(self.settings.arrival_ms);
        self.schedule(next, Step::Client(Action::Arrive));
        match self.random.below(20) {
            0 => self.publish(START_MESSAGE, "", 3_000),
            1 => {
                let customer = format!("customer-{}", self.random.below(3));
                self.publish(START_MESSAGE, &customer, 20_000);
            }
            2 => {
                let nobody = format!("nobody-{}", self.random.below(50));
                self.publish("paid", &nobody, 5_000);
            }
            3 => self.cancel(),
            4 => self.set_variables(),
            _ => self.create(),
        }
        Ok(())
    }

    fn create(&mut self) {
        self.clients.created += 1;
        let number = self.clients.created;
        let mut variables = vec![format!("\"wait\":\"PT{}S\"", self.random.wait(20))];
        // A variable that is missing raises an incident.
        if !self.random.chance(50) {
            variables.push(format!("\"key\":\"k-{number}\""));
        }
        if !self.random.chance(100) {
            variables.push(format!("\"go\":{}", self.random.below(4)));
        }
        if self.settings.padding > 0 {
            let letter = char::from(b'a' + self.random.below(26) as u8);
            let padding: String = std::iter::repeat_n(letter, self.settings.padding).collect();
            variables.push(format!("\"padding\":\"{padding}\""));
        }
        let creation = values::ProcessInstanceCreation {
            bpmn_process_id: (*self.random.pick(&CREATED)).to_owned(),
            version: -1,
            process_definition_key: -1,
            process_instance_key: -1,
            variables: format!("{{{}}}", variables.join(",")),
            ..values::ProcessInstanceCreation::default()
        };
        let intent = match self.random.below(8) {
            0 => ProcessInstanceCreationIntent::CreateWithAwaitingResult,
            _ => ProcessInstanceCreationIntent::Create,
        };
        let partition = self.random.below(self.partitions.len() as u64) as usize;
        self.submit(partition, Command::new(Key::NONE, intent, creation));
    }

    fn publish(&mut self, name: &str, correlation_key: &str, ttl_mean_ms: i64) {
        let message_id = match self.random.below(4) {
            0 => format!("id-{}", self.random.below(20)),
            _ => String::new(),
        };
        let message = values::Message {
            name: name.to_owned(),
            correlation_key: correlation_key.to_owned(),
            message_id,
            time_to_live: if self.random.chance(200) {
                0
            } else {
                self.random.wait(ttl_mean_ms)
            },
            deadline: -1,
            variables: "{\"from\":\"message\"}".to_owned(),
        };
        let target = message_partition(correlation_key, self.partitions.len() as u32);
        let command = Command::new(Key::NONE, MessageIntent::Publish, message);
        self.submit(target.0 as usize - 1, command);
    }

    fn recent(&mut self) -> Option<(usize, Key)> {
        let recent = &mut self.clients.recent;
        let surplus = recent.len().saturating_sub(30);
        recent.drain(..surplus);
        if recent.is_empty() {
            return None;
        }
        let key = *self.random.pick(recent);
        Some((self.partition_of(key)?, key))
    }

    fn cancel(&mut self) {
        let Some((partition, key)) = self.recent() else {
            return;
        };
        let instance = values::ProcessInstance {
            process_instance_key: key.0,
            flow_scope_key: -1,
            parent_process_instance_key: -1,
            parent_element_instance_key: -1,
            ..values::ProcessInstance::default()
        };
        self.submit(
            partition,
            Command::new(key, ProcessInstanceIntent::Cancel, instance),
        );
    }

    fn set_variables(&mut self) {
        if let Some((partition, key)) = self.recent() {
            let set = self.random.below(4);
            self.set(partition, key, format!("{{\"go\":{set}}}"));
        }
    }

    fn set(&mut self, partition: usize, scope: Key, variables: String) {
        let document = values::VariableDocument {
            scope_key: scope.0,
            local: false,
            variables,
        };
        self.submit(
            partition,
            Command::new(scope, VariableDocumentIntent::Update, document),
        );
    }

    fn round(&mut self) -> Check {
        self.schedule(ROUND_MS, Step::Client(Action::Round));
        let redeploys = self.clients.arriving && self.random.chance(3);
        if !self.clients.deployed && self.clients.arriving || redeploys {
            self.deploy();
        }
        for partition in 0..self.partitions.len() {
            for job_type in JOB_TYPES {
                let table = TableKey::new(prefix::ACTIVATABLE_JOBS).text(job_type);
                if !self.found(partition, &table, 1)?.is_empty() {
                    self.activate(partition, job_type.to_owned());
                }
            }
            self.mend(partition)?;
            self.publish_awaited(partition)?;
        }
        Ok(())
    }

    fn deploy(&mut self) {
        self.clients.version += 1;
        let resources = resources(self.clients.version)
            .into_iter()
            .map(|(resource_name, xml)| values::DeploymentResource {
                resource_name,
                resource: xml.into_bytes(),
            });
        let deployment = values::Deployment {
            resources: resources.collect(),
            ..Default::default()
        };
        let command = Command::new(Key::NONE, DeploymentIntent::Create, deployment);
        self.ask(0, command, Asked::Deployment);
    }

    /// Keys of a table as the log says, at most so many.
    fn found(&self, partition: usize, table: &TableKey, limit: usize) -> Check<Vec<Vec<u8>>> {
        let mut found = Vec::new();
        let end = table.end();
        let range = skep_state::KeyRange {
            from: table.as_bytes(),
            to: Some(&end),
        };
        let state = self.partitions[partition].reference.state();
        state
            .scan(range, &mut |key, _| {
                found.push(key.to_vec());
                if found.len() < limit {
                    Visit::Next
                } else {
                    Visit::Stop
                }
            })
            .map_err(|error| Violation::new("state", error.to_string()))?;
        Ok(found)
    }

    /// Whether a person gets around to something this time.
    fn does(&mut self) -> bool {
        !self.clients.arriving || self.random.chance(300)
    }

    /// Resolves incidents, with what is missing.
    fn mend(&mut self, partition: usize) -> Check {
        let table = TableKey::new(prefix::INCIDENTS);
        for found in self.found(partition, &table, FOUND_MAX)? {
            let key = Key(KeyReader::new(&found).i64());
            let state = self.partitions[partition].reference.state();
            let incident = incidents::get(state, key)
                .map_err(|error| Violation::new("state", error.to_string()))?;
            let Some(incident) = incident.filter(|_| self.does()) else {
                continue;
            };
            if incident.job_key > 0 {
                let job = values::Job {
                    retries: 2,
                    deadline: -1,
                    recurring_time: -1,
                    ..values::Job::default()
                };
                let update = Command::new(Key(incident.job_key), JobIntent::UpdateRetries, job);
                self.submit(partition, update);
            }
            let missing = format!(
                "{{\"go\":3,\"key\":\"mended-{0}\",\"inner_key\":\"mended-{0}\"}}",
                key.counter()
            );
            self.set(partition, Key(incident.element_instance_key), missing);
            let value = values::Incident {
                job_key: -1,
                ..values::Incident::default()
            };
            self.submit(partition, Command::new(key, IncidentIntent::Resolve, value));
        }
        Ok(())
    }

    /// Publishes messages that somebody waits for.
    fn publish_awaited(&mut self, partition: usize) -> Check {
        let table = TableKey::new(prefix::WAITING_MESSAGE_SUBSCRIPTIONS);
        for found in self.found(partition, &table, FOUND_MAX)? {
            let mut reader = KeyReader::new(&found);
            let (name, correlation_key) = (reader.text(), reader.text());
            if self.does() {
                self.publish(&name, &correlation_key, 4_000);
            }
        }
        Ok(())
    }
}
