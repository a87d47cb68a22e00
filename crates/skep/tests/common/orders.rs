//! Instances of `examples/order.bpmn`: created under load, and found again by their first jobs.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use skep_gateway::proto::gateway_client::GatewayClient;
use skep_gateway::proto::{
    ActivateJobsRequest, ActivatedJob, CompleteJobRequest, CreateProcessInstanceRequest,
};
use tokio::runtime::Runtime;
use tokio::task::JoinHandle;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Status};

use super::Place;

/// How long a job is its worker's.
const JOB_TIMEOUT: Duration = Duration::from_secs(30);

/// What the clients have been told.
#[derive(Default)]
struct History {
    acknowledged: Mutex<Vec<i64>>,
    created: AtomicUsize,
    stop: AtomicBool,
}

fn client(place: &Place) -> GatewayClient<Channel> {
    let address = format!("http://{}", place.variable("ZEEBE_ADDRESS"));
    GatewayClient::new(Endpoint::from_shared(address).unwrap().connect_lazy())
}

async fn create(mut client: GatewayClient<Channel>, history: Arc<History>) {
    while !history.stop.load(Ordering::Relaxed) {
        let request = CreateProcessInstanceRequest {
            bpmn_process_id: "order".to_owned(),
            version: -1,
            ..CreateProcessInstanceRequest::default()
        };
        // Whether an unanswered creation has happened, nobody knows.
        if let Ok(response) = client.create_process_instance(request).await {
            history
                .acknowledged
                .lock()
                .unwrap()
                .push(response.into_inner().process_instance_key);
            history.created.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// Completes all jobs of the first task, and gives them by instance. A leader may be lost meanwhile: what was activated for an answer that
/// nobody got comes again when its time is over.
async fn drain(mut client: GatewayClient<Channel>) -> BTreeMap<i64, BTreeSet<i64>> {
    let mut jobs = BTreeMap::<i64, BTreeSet<i64>>::new();
    let mut may_come_again = Instant::now();
    loop {
        let request = ActivateJobsRequest {
            r#type: "payment".to_owned(),
            worker: "crash".to_owned(),
            timeout: JOB_TIMEOUT.as_millis() as i64,
            max_jobs_to_activate: 500,
            fetch_variable: vec!["none".to_owned()],
            request_timeout: 1_000,
            ..ActivateJobsRequest::default()
        };
        let found = activate(&mut client, request).await;
        if found.is_err() {
            may_come_again = Instant::now() + 2 * JOB_TIMEOUT;
        }
        let found = found.unwrap_or_default();
        if found.is_empty() && Instant::now() >= may_come_again {
            return jobs;
        }
        for job in found {
            let of_instance = jobs.entry(job.process_instance_key).or_default();
            of_instance.insert(job.key);
            complete(&mut client, job.key).await;
        }
    }
}

async fn activate(
    client: &mut GatewayClient<Channel>,
    request: ActivateJobsRequest,
) -> Result<Vec<ActivatedJob>, ()> {
    let mut found = Vec::new();
    let mut batches = match client.activate_jobs(request).await {
        Ok(batches) => batches.into_inner(),
        Err(status) => return lost(&status),
    };
    loop {
        match batches.message().await {
            Ok(Some(batch)) => found.extend(batch.jobs),
            Ok(None) => return Ok(found),
            Err(status) => return lost(&status),
        }
    }
}

async fn complete(client: &mut GatewayClient<Channel>, job_key: i64) {
    let request = CompleteJobRequest {
        job_key,
        ..CompleteJobRequest::default()
    };
    let mut tried = false;
    while let Err(status) = client.complete_job(request.clone()).await {
        // The answer to the first attempt was lost.
        if tried && status.code() == Code::NotFound {
            return;
        }
        let _: Result<(), ()> = lost(&status);
        tried = true;
    }
}

/// Nothing but the loss of a leader makes a call fail.
fn lost<T>(status: &Status) -> Result<T, ()> {
    assert_eq!(status.code(), Code::Unavailable, "{status}");
    Err(())
}

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap()
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
                runtime.spawn(create(client(place), Arc::clone(&history)))
            })
            .collect();
        Load {
            runtime,
            history,
            clients,
        }
    }

    /// Waits until so many more instances have been acknowledged.
    pub fn await_more(&self, count: usize) {
        let created = || self.history.created.load(Ordering::Relaxed);
        let goal = created() + count;
        while created() < goal {
            std::thread::yield_now();
        }
    }

    /// Ends it, and gives the keys of all acknowledged instances.
    pub fn end(self) -> Vec<i64> {
        self.history.stop.store(true, Ordering::Relaxed);
        self.runtime.block_on(async {
            for client in self.clients {
                client.await.unwrap();
            }
        });
        std::mem::take(&mut *self.history.acknowledged.lock().unwrap())
    }
}

/// Creates that many instances with a variable of so many bytes each, which do not compress, and gives their keys.
pub fn fill(place: &Place, instances: u64, bytes: u64) -> Vec<i64> {
    runtime().block_on(async {
        let mut client = client(place);
        let mut keys = Vec::new();
        for instance in 0..instances {
            let text = incompressible(instance * bytes, bytes);
            let request = CreateProcessInstanceRequest {
                bpmn_process_id: "order".to_owned(),
                version: -1,
                variables: format!("{{\"text\": \"{text}\"}}"),
                ..CreateProcessInstanceRequest::default()
            };
            let created = client.create_process_instance(request).await.unwrap();
            keys.push(created.into_inner().process_instance_key);
        }
        keys
    })
}

/// Completes all jobs of the first task, and gives how many; each acknowledged instance must have exactly one, and none two.
pub fn each_once(acknowledged: &[i64], place: &Place) -> usize {
    let jobs = runtime().block_on(async { drain(client(place)).await });
    let missing: Vec<_> = acknowledged
        .iter()
        .filter(|key| !jobs.contains_key(key))
        .collect();
    assert!(
        missing.is_empty(),
        "{} of {} acknowledged instances are missing: {missing:?}",
        missing.len(),
        acknowledged.len()
    );
    let doubled: Vec<_> = jobs.iter().filter(|(_, keys)| keys.len() != 1).collect();
    assert!(
        doubled.is_empty(),
        "instances with more than one job: {doubled:?}"
    );
    jobs.len()
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
