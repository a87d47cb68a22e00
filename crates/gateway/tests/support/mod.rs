//! A gateway on a socket in front of scripted brokers.

#![allow(dead_code, reason = "each test binary uses a part of it")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use skep_gateway::proto::gateway_client::GatewayClient;
use skep_gateway::{
    BrokerError, BrokerInfo, Brokers, GatewayConfig, Health, JobsAvailable, PartitionInfo, Role,
    ServeError, Topology, serve,
};
use skep_protocol::values::{ActivatedJob, Job, JobBatch};
use skep_protocol::{
    Command, Intent, JobBatchIntent, Key, NodeId, PartitionId, RecordValue, ResponseResult,
};
use skep_tls::{Listener, Protocol};
use tokio::net::TcpListener;
use tokio::sync::{broadcast, oneshot};
use tokio::task::JoinHandle;
use tonic::transport::{Channel, Endpoint};

pub type Answer = Result<ResponseResult, BrokerError>;
type Script = dyn Fn(PartitionId, &Command) -> BoxFuture<'static, Answer> + Send + Sync;

/// Brokers that do what a test says, and remember what they were asked.
pub struct Fake {
    script: Box<Script>,
    topology: Mutex<Arc<Topology>>,
    pub announce: broadcast::Sender<JobsAvailable>,
    seen: Mutex<Vec<(PartitionId, Command)>>,
}

impl Fake {
    pub fn new(
        partition_count: u32,
        script: impl Fn(PartitionId, &Command) -> Answer + Send + Sync + 'static,
    ) -> Arc<Fake> {
        Fake::slow(partition_count, move |partition, command| {
            std::future::ready(script(partition, command)).boxed()
        })
    }

    /// Brokers that may take their time.
    pub fn slow(
        partition_count: u32,
        script: impl Fn(PartitionId, &Command) -> BoxFuture<'static, Answer> + Send + Sync + 'static,
    ) -> Arc<Fake> {
        let led: Vec<u32> = (1..=partition_count).collect();
        Arc::new(Fake {
            script: Box::new(script),
            topology: Mutex::new(Arc::new(topology(partition_count, &led, Role::Leader))),
            announce: broadcast::channel(16).0,
            seen: Mutex::default(),
        })
    }

    pub fn set_topology(&self, topology: Topology) {
        *self.topology.lock().unwrap() = Arc::new(topology);
    }

    pub fn announce(&self, job_type: &str) {
        self.announce_on(PartitionId(1), Some(job_type.to_owned()));
    }

    /// Jobs of any type if none is given.
    pub fn announce_on(&self, partition: PartitionId, job_type: Option<String>) {
        let news = JobsAvailable {
            partition,
            job_type,
        };
        self.announce.send(news).unwrap();
    }

    pub fn seen(&self) -> Vec<(PartitionId, Command)> {
        self.seen.lock().unwrap().clone()
    }

    pub fn seen_of(&self, intent: impl Into<Intent>) -> Vec<(PartitionId, Command)> {
        let intent = intent.into();
        self.seen()
            .into_iter()
            .filter(|(_, command)| command.intent == intent)
            .collect()
    }

    /// Waits until as many commands of that intent were seen.
    pub async fn until_seen(&self, intent: impl Into<Intent>, count: usize) -> Vec<Command> {
        let intent = intent.into();
        let all = async {
            loop {
                let commands = self.seen_of(intent);
                if commands.len() >= count {
                    return commands.into_iter().map(|(_, command)| command).collect();
                }
                tokio::task::yield_now().await;
            }
        };
        let patience = Duration::from_secs(30);
        tokio::time::timeout(patience, all)
            .await
            .expect("the command never came")
    }
}

impl Brokers for Fake {
    fn execute<'a>(
        &'a self,
        partition: PartitionId,
        command: &'a Command,
    ) -> BoxFuture<'a, Answer> {
        self.seen.lock().unwrap().push((partition, command.clone()));
        (self.script)(partition, command)
    }

    fn topology(&self) -> Arc<Topology> {
        self.topology.lock().unwrap().clone()
    }

    fn jobs_available(&self) -> broadcast::Receiver<JobsAvailable> {
        self.announce.subscribe()
    }
}

/// One broker with `replicas` in the role, of `partition_count` partitions.
pub fn topology(partition_count: u32, replicas: &[u32], role: Role) -> Topology {
    let partitions = replicas
        .iter()
        .map(|partition| PartitionInfo {
            partition: PartitionId(*partition),
            role,
            health: Health::Healthy,
        })
        .collect();
    let broker = BrokerInfo {
        node: NodeId(0),
        host: "broker-0".to_owned(),
        port: 26501,
        version: "8.6.0".to_owned(),
        partitions,
    };
    Topology::new(vec![broker], 1, partition_count, 1)
}

pub struct Served {
    pub address: String,
    pub client: GatewayClient<Channel>,
    pub stop: oneshot::Sender<()>,
    pub ended: JoinHandle<Result<(), ServeError>>,
}

pub async fn start(brokers: Arc<Fake>) -> Served {
    start_with(brokers, GatewayConfig::default()).await
}

pub async fn start_with(brokers: Arc<Fake>, config: GatewayConfig) -> Served {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let (stop, stopped) = oneshot::channel();
    // A test that drops the sender does not mean to stop the gateway.
    let shutdown = async move {
        if stopped.await.is_err() {
            std::future::pending().await
        }
    };
    let ended = tokio::spawn(serve(
        Listener::new(listener, Protocol::Http2, None, 1000).unwrap(),
        config,
        brokers,
        shutdown,
    ));
    let channel = Endpoint::from_shared(address.clone())
        .unwrap()
        .connect()
        .await
        .unwrap();
    let client = GatewayClient::new(channel)
        .max_decoding_message_size(usize::MAX)
        .max_encoding_message_size(usize::MAX);
    Served {
        address,
        client,
        stop,
        ended,
    }
}

/// A valid key of a partition.
pub fn key(partition: u32, counter: u64) -> i64 {
    Key::new(PartitionId(partition), counter).0
}

pub fn event(key: i64, intent: impl Into<Intent>, value: impl Into<RecordValue>) -> Answer {
    Ok(Ok(Command::new(Key(key), intent, value)))
}

/// The answer to ACTIVATE with those jobs.
pub fn batch(jobs: Vec<ActivatedJob>) -> Answer {
    let batch = JobBatch {
        jobs,
        ..JobBatch::default()
    };
    event(key(1, 1), JobBatchIntent::Activated, batch)
}

pub fn job(key: i64, retries: i32, variables: &str) -> ActivatedJob {
    ActivatedJob {
        key,
        job: Some(Job {
            job_type: "pay".to_owned(),
            retries,
            variables: variables.to_owned(),
            ..Job::default()
        }),
    }
}

/// Answers any other command than ACTIVATE by an event of its own value.
pub fn echo(command: &Command) -> Answer {
    Ok(Ok(command.clone()))
}

pub fn wanted(command: &Command) -> Option<&JobBatch> {
    match &command.value {
        RecordValue::JobBatch(batch) => Some(batch),
        _ => None,
    }
}
