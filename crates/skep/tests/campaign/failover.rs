//! The leader of a partition comes to harm; while that lasts, the partition takes commands all the same, at another broker.
//!
//! `SKEP_FAILOVER_ROUNDS=10 cargo test --release --workspace --test campaign while_a_leader -- --nocapture` gives a distribution.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use futures::stream::{FuturesUnordered, StreamExt};
use skep_gateway::proto::PublishMessageRequest;
use skep_gateway::proto::gateway_client::GatewayClient;
use skep_protocol::routing::message_partition;
use tonic::transport::{Channel, Endpoint};

use crate::cluster::FaultyCluster;
use crate::common::cluster::await_status;
use crate::history::{PARTITIONS, PATIENCE};
use crate::plan::{Fault, Random};
use crate::{number, runtime};

/// Between two calls: the error of what is measured. One call may have gone to the leader that does not answer any more.
const CALL_EVERY: Duration = Duration::from_millis(20);

/// All but a loss of all brokers.
const FAULTS: [Fault; 13] = [
    Fault::Kill,
    Fault::Stop,
    Fault::Pause,
    Fault::Stutter,
    Fault::Cut,
    Fault::Silence,
    Fault::SilenceOneWay,
    Fault::Deafness,
    Fault::SlowNetwork,
    Fault::SlowDisk,
    Fault::DiskFull,
    Fault::SyncFails,
    Fault::Clock,
];

#[test]
fn while_a_leader_has_come_to_harm_its_partition_takes_commands_at_another_broker() {
    let runtime = runtime();
    let _entered = runtime.enter();
    let mut cluster = FaultyCluster::start();
    let mut random = Random(1);
    let mut times: BTreeMap<Fault, Vec<Duration>> = BTreeMap::new();
    let mut partitions = (1..=PARTITIONS).cycle();
    for _ in 0..number("SKEP_FAILOVER_ROUNDS").unwrap_or(1) {
        for (fault, partition) in FAULTS.into_iter().zip(&mut partitions) {
            cluster.await_all_led();
            let known = await_status(&cluster.nodes[0].place, |seen| {
                seen.leader(partition).is_some()
            });
            let leader = known.leader(partition).unwrap();
            let other = &cluster.nodes[(leader + 1) % cluster.nodes.len()].place;
            let gateway = connect(other.variable("ZEEBE_ADDRESS"));
            let key = key_of(partition);
            runtime.block_on(publish(&gateway, &key));
            let began = Instant::now();
            cluster.begin_fault(fault, leader, &mut random);
            runtime.block_on(publish(&gateway, &key));
            let took = began.elapsed();
            println!("{fault:?} of broker {leader}, which led partition {partition}: {took:.2?}");
            times.entry(fault).or_default().push(took);
            cluster.end_faults(&[(fault, leader)]);
        }
    }
    for (fault, mut times) in times {
        times.sort();
        let (half, longest) = (times[times.len() / 2], times[times.len() - 1]);
        println!(
            "{fault:?}: half of {} within {half:.2?}, longest {longest:.2?}",
            times.len()
        );
    }
}

fn connect(address: &str) -> GatewayClient<Channel> {
    let endpoint = Endpoint::from_shared(format!("http://{address}")).unwrap();
    GatewayClient::new(endpoint.connect_lazy())
}

/// A correlation key that belongs to a partition.
fn key_of(partition: u32) -> String {
    let mut keys = (0..).map(|number: u32| number.to_string());
    keys.find(|key| message_partition(key, PARTITIONS).0 == partition)
        .unwrap()
}

/// Publishes again and again, without waiting for the answers, until one says that it was taken.
async fn publish(gateway: &GatewayClient<Channel>, key: &str) {
    let request = PublishMessageRequest {
        name: "failover".to_owned(),
        correlation_key: key.to_owned(),
        ..PublishMessageRequest::default()
    };
    let end = Instant::now() + PATIENCE;
    let mut calls = FuturesUnordered::new();
    let mut turns = tokio::time::interval(CALL_EVERY);
    let mut last = None;
    loop {
        tokio::select! {
            _ = turns.tick() => {
                assert!(Instant::now() < end, "nothing is taken: {last:?}");
                let (mut gateway, request) = (gateway.clone(), request.clone());
                calls.push(async move { gateway.publish_message(request).await });
            }
            Some(answer) = calls.next() => match answer {
                Ok(_) => return,
                Err(status) => last = Some(status),
            },
        }
    }
}
