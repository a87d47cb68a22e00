//! Instances of `examples/order.bpmn`: created, under load or one after the other, and found again by their jobs. Leaders may be lost
//! meanwhile.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use futures::{StreamExt, stream};
use skep_gateway::proto::gateway_client::GatewayClient;
use skep_gateway::proto::{
    ActivateJobsRequest, ActivatedJob, CompleteJobRequest, CreateProcessInstanceRequest,
};
use tokio::runtime::Runtime;
use tokio::task::JoinHandle;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Status};

use super::{PATIENCE, Place, repository};

/// How long a job is its worker's.
const JOB_TIMEOUT: Duration = Duration::from_secs(30);
const JOBS_PER_CALL: usize = 500;
const COMPLETED_AT_ONCE: usize = 32;
/// Between two looks at something that changes by itself.
const LOOK_EVERY: Duration = Duration::from_millis(2);
/// Before a call that failed is made again.
const PAUSE: Duration = Duration::from_millis(20);

/// Instances that were created.
#[derive(Debug, Default)]
pub struct Created {
    /// Those that were acknowledged.
    pub keys: Vec<i64>,
    /// Creations without an answer, which perhaps have happened.
    pub doubtful: usize,
}

impl Created {
    pub fn and(mut self, others: Created) -> Created {
        self.keys.extend(others.keys);
        self.doubtful += others.doubtful;
        self
    }

    /// How many instances there are at most.
    pub fn at_most(&self) -> usize {
        self.keys.len() + self.doubtful
    }
}

/// Deploys their process.
#[track_caller]
pub fn deploy(place: &Place) {
    let order = repository().join("examples/order.bpmn");
    place.insist(&["deploy", order.to_str().unwrap()]);
}

fn client(place: &Place) -> GatewayClient<Channel> {
    let address = format!("http://{}", place.variable("ZEEBE_ADDRESS"));
    GatewayClient::new(Endpoint::from_shared(address).unwrap().connect_lazy())
}

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap()
}

fn creation(variables: String) -> CreateProcessInstanceRequest {
    CreateProcessInstanceRequest {
        bpmn_process_id: "order".to_owned(),
        version: -1,
        variables,
        ..CreateProcessInstanceRequest::default()
    }
}

/// Waits before a call is made again; only the loss of a leader makes one fail.
async fn pause_after(status: &Status, end: Instant) {
    let lost = matches!(
        status.code(),
        Code::Unavailable | Code::ResourceExhausted | Code::DeadlineExceeded
    );
    assert!(lost && Instant::now() < end, "{status}");
    tokio::time::sleep(PAUSE).await;
}

/// What the clients have been told.
#[derive(Default)]
struct History {
    acknowledged: Mutex<Vec<i64>>,
    created: AtomicUsize,
    doubtful: AtomicUsize,
    stop: AtomicBool,
}

async fn create_until_stopped(mut client: GatewayClient<Channel>, history: Arc<History>) {
    while !history.stop.load(Ordering::Relaxed) {
        match client
            .create_process_instance(creation(String::new()))
            .await
        {
            Ok(response) => {
                let key = response.into_inner().process_instance_key;
                history.acknowledged.lock().unwrap().push(key);
                history.created.fetch_add(1, Ordering::Relaxed);
            }
            // Whether an unanswered creation has happened, nobody knows.
            Err(_) => {
                history.doubtful.fetch_add(1, Ordering::Relaxed);
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

/// Clients that create instances without a pause.
pub struct Load {
    runtime: Runtime,
    history: Arc<History>,
    clients: Vec<JoinHandle<()>>,
}

impl Load {
    /// So many clients of each of those brokers.
    pub fn begin(places: &[&Place], clients: usize) -> Load {
        let (runtime, history) = (runtime(), Arc::new(History::default()));
        let clients = places
            .iter()
            .flat_map(|place| std::iter::repeat_n(place, clients))
            .map(|place| {
                let _entered = runtime.enter();
                runtime.spawn(create_until_stopped(client(place), Arc::clone(&history)))
            })
            .collect();
        Load {
            runtime,
            history,
            clients,
        }
    }

    /// Waits until so many more instances have been acknowledged.
    #[track_caller]
    pub fn await_more(&self, count: usize) {
        let created = || self.history.created.load(Ordering::Relaxed);
        let (goal, end) = (created() + count, Instant::now() + PATIENCE);
        while created() < goal {
            assert!(Instant::now() < end, "{} of {goal} instances", created());
            std::thread::sleep(LOOK_EVERY);
        }
    }

    /// Ends it.
    pub fn end(self) -> Created {
        self.history.stop.store(true, Ordering::Relaxed);
        self.runtime.block_on(async {
            for client in self.clients {
                client.await.unwrap();
            }
        });
        Created {
            keys: std::mem::take(&mut *self.history.acknowledged.lock().unwrap()),
            doubtful: self.history.doubtful.load(Ordering::Relaxed),
        }
    }
}

/// Creates that many instances.
#[track_caller]
pub fn create(place: &Place, instances: u64) -> Created {
    create_each(place, instances, |_| String::new())
}

/// Creates that many instances with a variable of so many bytes each, which do not compress.
#[track_caller]
pub fn fill(place: &Place, instances: u64, bytes: u64) -> Created {
    create_each(place, instances, |instance| {
        let text = incompressible(instance * bytes, bytes);
        format!("{{\"text\": \"{text}\"}}")
    })
}

#[track_caller]
fn create_each(place: &Place, instances: u64, variables: impl Fn(u64) -> String) -> Created {
    runtime().block_on(async {
        let (mut client, mut created) = (client(place), Created::default());
        for instance in 0..instances {
            let request = creation(variables(instance));
            let end = Instant::now() + PATIENCE;
            loop {
                match client.create_process_instance(request.clone()).await {
                    Ok(response) => {
                        created
                            .keys
                            .push(response.into_inner().process_instance_key);
                        break;
                    }
                    // The definition is on its way to that partition.
                    Err(status) if status.code() == Code::NotFound && Instant::now() < end => {
                        tokio::time::sleep(PAUSE).await;
                    }
                    Err(status) => {
                        created.doubtful += 1;
                        pause_after(&status, end).await;
                    }
                }
            }
        }
        created
    })
}

/// Jobs that were completed, by instance.
type Jobs = BTreeMap<i64, BTreeSet<i64>>;

/// When a worker ends.
#[derive(Clone, Copy)]
enum Until<'a> {
    /// Each of these instances has had a job, and there is none any more.
    AllHave(&'a [i64]),
    /// So many instances have had one.
    Count(usize),
}

impl Until<'_> {
    /// How many jobs more may be taken.
    fn wanted(self, jobs: &Jobs) -> usize {
        match self {
            Until::AllHave(_) => JOBS_PER_CALL,
            Until::Count(count) => count.saturating_sub(jobs.len()),
        }
    }

    fn is_reached(self, jobs: &Jobs) -> bool {
        match self {
            Until::AllHave(instances) => instances.iter().all(|one| jobs.contains_key(one)),
            Until::Count(count) => jobs.len() >= count,
        }
    }
}

/// Completes jobs. A partition without a leader has none to give for a while, and what was activated for an answer that nobody got comes
/// again when its time is over: so one that lacks jobs waits longer than that for the next.
async fn work(place: &Place, job_type: &str, until: Until<'_>) -> Jobs {
    let (mut client, mut jobs) = (client(place), Jobs::new());
    let mut last = Instant::now();
    loop {
        let wanted = until.wanted(&jobs);
        if wanted == 0 {
            return jobs;
        }
        match activate(&mut client, job_type, wanted).await {
            Ok(found) if found.is_empty() && until.is_reached(&jobs) => return jobs,
            Ok(found) if !found.is_empty() => {
                last = Instant::now();
                let keys: Vec<i64> = found.iter().map(|job| job.key).collect();
                for job in found {
                    let of_instance = jobs.entry(job.process_instance_key).or_default();
                    of_instance.insert(job.key);
                }
                stream::iter(keys)
                    .for_each_concurrent(COMPLETED_AT_ONCE, |job| complete(client.clone(), job))
                    .await;
            }
            Ok(_) => {}
            Err(status) => pause_after(&status, last + PATIENCE).await,
        }
        if last.elapsed() > 2 * JOB_TIMEOUT {
            return jobs;
        }
    }
}

async fn activate(
    client: &mut GatewayClient<Channel>,
    job_type: &str,
    wanted: usize,
) -> Result<Vec<ActivatedJob>, Status> {
    let request = ActivateJobsRequest {
        r#type: job_type.to_owned(),
        worker: "orders".to_owned(),
        timeout: JOB_TIMEOUT.as_millis() as i64,
        max_jobs_to_activate: wanted as i32,
        fetch_variable: vec!["none".to_owned()],
        request_timeout: 1_000,
        ..ActivateJobsRequest::default()
    };
    let mut batches = client.activate_jobs(request).await?.into_inner();
    let mut found = Vec::new();
    loop {
        match batches.message().await {
            Ok(Some(batch)) => found.extend(batch.jobs),
            Ok(None) => return Ok(found),
            // What has come is this worker's all the same.
            Err(_) if !found.is_empty() => return Ok(found),
            Err(status) => return Err(status),
        }
    }
}

async fn complete(mut client: GatewayClient<Channel>, job_key: i64) {
    let request = CompleteJobRequest {
        job_key,
        ..CompleteJobRequest::default()
    };
    let end = Instant::now() + PATIENCE;
    let mut tried = false;
    while let Err(status) = client.complete_job(request.clone()).await {
        // The answer to the first attempt was lost.
        if tried && status.code() == Code::NotFound {
            return;
        }
        pause_after(&status, end).await;
        tried = true;
    }
}

/// Completes all jobs of the first task, and gives how many; each acknowledged instance must have exactly one, none two, and there may
/// be no others but those without an answer.
#[track_caller]
pub fn each_once(created: &Created, place: &Place) -> usize {
    each_once_at(created, place, "payment")
}

/// The same of the jobs of a type.
#[track_caller]
pub fn each_once_at(created: &Created, place: &Place, job_type: &str) -> usize {
    let until = Until::AllHave(&created.keys);
    let jobs = runtime().block_on(work(place, job_type, until));
    let missing: Vec<_> = created
        .keys
        .iter()
        .filter(|key| !jobs.contains_key(key))
        .collect();
    assert!(
        missing.is_empty(),
        "{} of {} acknowledged instances are missing: {missing:?}",
        missing.len(),
        created.keys.len()
    );
    let doubled: Vec<_> = jobs.iter().filter(|(_, keys)| keys.len() != 1).collect();
    assert!(
        doubled.is_empty(),
        "instances with more than one job: {doubled:?}"
    );
    assert!(
        jobs.len() <= created.at_most(),
        "{} instances of at most {}",
        jobs.len(),
        created.at_most()
    );
    jobs.len()
}

/// Completes so many jobs of the first task, and gives their instances.
#[track_caller]
pub fn pay(place: &Place, count: usize) -> BTreeSet<i64> {
    let until = Until::Count(count);
    let jobs = runtime().block_on(work(place, "payment", until));
    assert_eq!(jobs.len(), count, "too few jobs");
    jobs.into_keys().collect()
}

/// So many letters that nothing makes shorter; other ones from another start on.
pub fn incompressible(start: u64, letters: u64) -> String {
    // SplitMix64, so that no letter follows from those before.
    let letter = |at: u64| {
        let mut z = (start + at).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        char::from(b'@' + ((z >> 32) % 27) as u8)
    };
    (0..letters).map(letter).collect()
}
