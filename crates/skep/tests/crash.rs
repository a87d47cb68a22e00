//! `kill -9` of a broker under load, again and again, with backups in flight: nothing acknowledged is lost, nothing is there
//! twice, no backup stays in progress.
//!
//! `SKEP_CRASH_KILLS=200 cargo test --release -p skep --test crash` kills 200 times.

#![allow(clippy::unwrap_used, reason = "a test may panic, its helpers too")]

mod common;

use std::collections::BTreeMap;
use std::process::{Child, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use common::{Place, SKEP, repository};
use skep_gateway::proto::gateway_client::GatewayClient;
use skep_gateway::proto::{ActivateJobsRequest, CompleteJobRequest, CreateProcessInstanceRequest};
use tonic::transport::{Channel, Endpoint};

const KILLS: usize = 12;
const CLIENTS: usize = 8;

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

/// Asks for a backup and does not wait for the answer.
fn take_backup(place: &Place, id: usize) -> Child {
    let mut command = place.command(SKEP);
    command
        .args(["backup", "take", &id.to_string()])
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command.spawn().unwrap()
}

fn kills() -> usize {
    std::env::var("SKEP_CRASH_KILLS").map_or(KILLS, |kills| kills.parse().unwrap())
}

#[test]
fn nothing_acknowledged_is_lost_or_doubled_by_killing_the_broker_under_load() {
    let place = Place::new(3);
    let mut broker = place.start();
    place.skep(&[
        "deploy",
        repository().join("examples/order.bpmn").to_str().unwrap(),
    ]);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    let history = Arc::new(History::default());
    let clients: Vec<_> = (0..CLIENTS)
        .map(|_| {
            let _entered = runtime.enter();
            runtime.spawn(create(client(&place), Arc::clone(&history)))
        })
        .collect();
    for kill in 1..=kills() {
        // Each life of the broker takes in some commands before it is killed, another number each time.
        let goal = history.created.load(Ordering::Relaxed) + 50 + kill * 37 % 200;
        while history.created.load(Ordering::Relaxed) < goal {
            std::thread::yield_now();
        }
        let taking = (kill % 3 == 0).then(|| take_backup(&place, kill));
        broker.kill();
        if let Some(mut taking) = taking {
            // It may or may not have been taken.
            taking.wait().unwrap();
        }
        broker = place.start();
    }
    history.stop.store(true, Ordering::Relaxed);
    runtime.block_on(async {
        for client in clients {
            client.await.unwrap();
        }
    });
    let jobs = runtime.block_on(async { drain(client(&place)).await });
    let acknowledged = history.acknowledged.lock().unwrap();
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
    println!(
        "{} kills, {} instances acknowledged, {} found",
        kills(),
        acknowledged.len(),
        jobs.len()
    );

    place.skep(&["backup", "take", "1000000"]);
    place.skep(&["backup", "wait", "1000000"]);
    let list = place.skep(&["backup", "list"]);
    assert!(
        !list.contains("IN_PROGRESS"),
        "a backup stays in progress:\n{list}"
    );
    broker.stop();
}
