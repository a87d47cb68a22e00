//! Unary calls per second through a socket, with brokers that answer at once: what the gateway itself costs.
//!
//! The server has one thread, the clients have another. `cargo bench -p skep-gateway`.

#![allow(clippy::unwrap_used, reason = "a benchmark fails by panicking")]

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use futures::FutureExt;
use futures::future::BoxFuture;
use skep_gateway::proto::CompleteJobRequest;
use skep_gateway::proto::gateway_client::GatewayClient;
use skep_gateway::{
    BrokerError, BrokerInfo, Brokers, GatewayConfig, Health, JobsAvailable, PartitionInfo, Role,
    Topology, serve,
};
use skep_protocol::{Command, Key, NodeId, PartitionId, ResponseResult};
use skep_tls::{Listener, Protocol};
use tokio::runtime::Builder;
use tokio::sync::broadcast;

const CONNECTIONS: usize = 4;
const CALLS_IN_FLIGHT: usize = 32;
const TIME: Duration = Duration::from_secs(5);

/// Answers every command with itself.
struct Echo {
    topology: Arc<Topology>,
    announce: broadcast::Sender<JobsAvailable>,
}

impl Brokers for Echo {
    fn execute<'a>(
        &'a self,
        _: PartitionId,
        command: &'a Command,
    ) -> BoxFuture<'a, Result<ResponseResult, BrokerError>> {
        std::future::ready(Ok(Ok(command.clone()))).boxed()
    }

    fn topology(&self) -> Arc<Topology> {
        self.topology.clone()
    }

    fn jobs_available(&self) -> broadcast::Receiver<JobsAvailable> {
        self.announce.subscribe()
    }
}

fn brokers() -> Echo {
    let partitions = (1..=3)
        .map(|partition| PartitionInfo {
            partition: PartitionId(partition),
            role: Role::Leader,
            health: Health::Healthy,
        })
        .collect();
    let broker = BrokerInfo {
        node: NodeId(0),
        host: "localhost".to_owned(),
        port: 26501,
        version: "8.6.0".to_owned(),
        partitions,
    };
    Echo {
        topology: Arc::new(Topology::new(vec![broker], 1, 3, 1)),
        announce: broadcast::channel(1).0,
    }
}

async fn calls_until(address: String, end: Instant) -> u64 {
    let mut loops = Vec::new();
    for _ in 0..CONNECTIONS {
        let client = GatewayClient::connect(address.clone()).await.unwrap();
        for _ in 0..CALLS_IN_FLIGHT {
            let mut client = client.clone();
            loops.push(tokio::spawn(async move {
                let mut calls = 0;
                while Instant::now() < end {
                    let request = CompleteJobRequest {
                        job_key: Key::new(PartitionId(2), 7).0,
                        variables: r#"{"total":12.50,"customer":{"id":"c-17","tier":"gold"},"items":[1,2,3]}"#
                            .to_owned(),
                        result: None,
                    };
                    client.complete_job(request).await.unwrap();
                    calls += 1;
                }
                calls
            }));
        }
    }
    let mut calls = 0;
    for each in loops {
        calls += each.await.unwrap();
    }
    calls
}

fn main() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    thread::spawn(move || {
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            let never = std::future::pending();
            serve(
                Listener::new(listener, Protocol::Http2, None, 1000).unwrap(),
                GatewayConfig::default(),
                Arc::new(brokers()),
                never,
            )
            .await
        })
    });
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    let calls = runtime.block_on(calls_until(address, Instant::now() + TIME));
    println!("{} CompleteJob calls per second", calls / TIME.as_secs());
}
