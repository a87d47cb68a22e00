//! Instances of `examples/order.bpmn`: created under load, and found again by their first jobs.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use skep_gateway::proto::gateway_client::GatewayClient;
use skep_gateway::proto::{ActivateJobsRequest, CompleteJobRequest, CreateProcessInstanceRequest};
use tokio::runtime::Runtime;
use tokio::task::JoinHandle;
use tonic::transport::{Channel, Endpoint};

use super::Place;

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

/// Completes all jobs of the first task, and counts them by instance.
async fn drain(mut client: GatewayClient<Channel>) -> BTreeMap<i64, u32> {
    let mut jobs = BTreeMap::new();
    loop {
        let request = ActivateJobsRequest {
            r#type: "payment".to_owned(),
            worker: "crash".to_owned(),
            timeout: 600_000,
            max_jobs_to_activate: 500,
            fetch_variable: vec!["none".to_owned()],
            request_timeout: 1_000,
            ..ActivateJobsRequest::default()
        };
        let mut batches = client.activate_jobs(request).await.unwrap().into_inner();
        let mut found = Vec::new();
        while let Some(batch) = batches.message().await.unwrap() {
            found.extend(batch.jobs);
        }
        if found.is_empty() {
            return jobs;
        }
        for job in found {
            *jobs.entry(job.process_instance_key).or_default() += 1;
            let request = CompleteJobRequest {
                job_key: job.key,
                ..CompleteJobRequest::default()
            };
            client.complete_job(request).await.unwrap();
        }
    }
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
            // SplitMix64, so that no letter follows from those before.
            let letter = |at: u64| {
                let mut z = (instance * bytes + at).wrapping_mul(0x9e37_79b9_7f4a_7c15);
                z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
                z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
                char::from(b'@' + ((z >> 32) % 27) as u8)
            };
            let text: String = (0..bytes).map(letter).collect();
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
    let doubled: Vec<_> = jobs.iter().filter(|(_, count)| **count != 1).collect();
    assert!(
        doubled.is_empty(),
        "instances with more than one job: {doubled:?}"
    );
    jobs.len()
}
