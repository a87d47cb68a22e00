//! Clients of the gateway: connections, a worker that completes jobs, the calls that are timed.

use std::sync::Arc;
use std::time::Duration;

use skep_gateway::proto;
use skep_gateway::proto::gateway_client::GatewayClient;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tonic::transport::{Channel, Endpoint};

use crate::content::{JOB_TYPE, process};
use crate::failure::Failure;

/// A client; cheap to clone.
pub type Gateway = GatewayClient<Channel>;

/// Connections of starters, and of workers.
const CONNECTIONS: usize = 2;
/// Calls for jobs that wait at once.
const POLLS: usize = 4;
const JOBS_PER_POLL: i32 = 64;
/// Longer than any run.
const JOB_TIMEOUT: Duration = Duration::from_secs(3600);
/// Longer than an instance takes that waits for its turn.
const RUN_TIMEOUT: Duration = Duration::from_secs(60);
const POLL_TIMEOUT: Duration = Duration::from_secs(10);
/// A deployment is answered by the first partition and reaches the others a moment later.
const DISTRIBUTION_ATTEMPTS: usize = 500;
const DISTRIBUTION_INTERVAL: Duration = Duration::from_millis(10);

/// Connections to one gateway, used in turn.
#[derive(Clone)]
pub struct Clients {
    gateways: Arc<Vec<Gateway>>,
}

impl Clients {
    /// Connects.
    pub async fn connect(address: &str) -> Result<Clients, Failure> {
        let mut gateways = Vec::new();
        for _ in 0..CONNECTIONS {
            let endpoint = Endpoint::from_shared(address.to_owned())
                .map_err(|error| Failure::Program(format!("the address {address}: {error}")))?;
            let channel = endpoint
                .connect()
                .await
                .map_err(|error| Failure::Program(format!("connect to {address}: {error}")))?;
            gateways.push(GatewayClient::new(channel));
        }
        Ok(Clients {
            gateways: Arc::new(gateways),
        })
    }

    /// The connection for the `turn`th call.
    pub fn gateway(&self, turn: u64) -> Gateway {
        self.gateways[turn as usize % self.gateways.len()].clone()
    }

    /// Deploys a process of one service task and waits until each partition has it.
    pub async fn deploy(&self, id: &str, partitions: u32) -> Result<(), Failure> {
        let resource = proto::Resource {
            name: format!("{id}.bpmn"),
            content: process(id),
        };
        self.deploy_all(id, vec![resource], partitions).await
    }

    /// Deploys resources, a process with this id among them, and waits until each partition has them.
    pub async fn deploy_all(
        &self,
        id: &str,
        resources: Vec<proto::Resource>,
        partitions: u32,
    ) -> Result<(), Failure> {
        let request = proto::DeployResourceRequest {
            resources,
            ..Default::default()
        };
        let deployed = self.gateway(0).deploy_resource(request).await;
        deployed.map_err(Failure::call("DeployResource"))?;
        // Creations go round robin.
        for turn in 0..u64::from(partitions) {
            self.cancel_at_once(id, turn).await?;
        }
        Ok(())
    }

    async fn cancel_at_once(&self, id: &str, turn: u64) -> Result<(), Failure> {
        let mut attempt = 0;
        let key = loop {
            match self.start(turn, id, String::new()).await {
                Ok(key) => break key,
                Err(_) if attempt < DISTRIBUTION_ATTEMPTS => attempt += 1,
                Err(status) => return Err(Failure::call("CreateProcessInstance")(status)),
            }
            tokio::time::sleep(DISTRIBUTION_INTERVAL).await;
        };
        let request = proto::CancelProcessInstanceRequest {
            process_instance_key: key,
            ..Default::default()
        };
        match self.gateway(turn).cancel_process_instance(request).await {
            // It was completed at once.
            Err(status) if status.code() == tonic::Code::NotFound => Ok(()),
            cancelled => cancelled
                .map(|_| ())
                .map_err(Failure::call("CancelProcessInstance")),
        }
    }

    /// Starts an instance.
    pub async fn start(
        &self,
        turn: u64,
        process: &str,
        variables: String,
    ) -> Result<i64, tonic::Status> {
        let request = proto::CreateProcessInstanceRequest {
            bpmn_process_id: process.to_owned(),
            version: -1,
            variables,
            ..Default::default()
        };
        let answer = self.gateway(turn).create_process_instance(request).await?;
        Ok(answer.into_inner().process_instance_key)
    }

    /// Runs an instance to its end.
    pub async fn run(
        &self,
        turn: u64,
        process: &str,
        variables: String,
    ) -> Result<(), tonic::Status> {
        let request = proto::CreateProcessInstanceWithResultRequest {
            request: Some(proto::CreateProcessInstanceRequest {
                bpmn_process_id: process.to_owned(),
                version: -1,
                variables,
                ..Default::default()
            }),
            request_timeout: RUN_TIMEOUT.as_millis() as i64,
            // Whatever the instance has is not what is measured.
            fetch_variables: vec!["order".to_owned()],
        };
        let mut gateway = self.gateway(turn);
        let answer = gateway.create_process_instance_with_result(request).await;
        answer.map(|_| ())
    }

    /// Publishes a message that is kept until it is correlated.
    pub async fn publish(
        &self,
        turn: u64,
        name: &str,
        correlation_key: &str,
    ) -> Result<(), tonic::Status> {
        let request = proto::PublishMessageRequest {
            name: name.to_owned(),
            correlation_key: correlation_key.to_owned(),
            time_to_live: RUN_TIMEOUT.as_millis() as i64,
            ..Default::default()
        };
        self.gateway(turn)
            .publish_message(request)
            .await
            .map(|_| ())
    }

    /// Sets variables of an instance.
    pub async fn set_variables(&self, instance: i64, variables: String) -> Result<(), Failure> {
        let request = proto::SetVariablesRequest {
            element_instance_key: instance,
            variables,
            ..Default::default()
        };
        let set = self.gateway(instance as u64).set_variables(request).await;
        set.map(|_| ()).map_err(Failure::call("SetVariables"))
    }
}

/// A completed job: the variables that its instance was started with.
pub struct Completed {
    /// As JSON text.
    pub variables: String,
}

/// Workers on the timed jobs; they end when dropped.
pub struct Workers {
    polls: Vec<JoinHandle<()>>,
}

impl Workers {
    /// Starts them; what they complete goes into `completed`, the moment that the completion is acknowledged.
    pub fn start(clients: &Clients, completed: &mpsc::UnboundedSender<Completed>) -> Workers {
        let polls = (0..POLLS)
            .map(|turn| tokio::spawn(poll(clients.gateway(turn as u64), completed.clone())))
            .collect();
        Workers { polls }
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        for poll in &self.polls {
            poll.abort();
        }
    }
}

async fn poll(mut gateway: Gateway, completed: mpsc::UnboundedSender<Completed>) {
    loop {
        let request = proto::ActivateJobsRequest {
            r#type: JOB_TYPE.to_owned(),
            worker: "load".to_owned(),
            timeout: JOB_TIMEOUT.as_millis() as i64,
            max_jobs_to_activate: JOBS_PER_POLL,
            request_timeout: POLL_TIMEOUT.as_millis() as i64,
            ..Default::default()
        };
        // A refusal (backpressure) is repeated at once by the next turn, after what others have to do.
        let Ok(answer) = gateway.activate_jobs(request).await else {
            tokio::task::yield_now().await;
            continue;
        };
        let mut batches = answer.into_inner();
        while let Ok(Some(batch)) = batches.message().await {
            for job in batch.jobs {
                tokio::spawn(complete(gateway.clone(), job, completed.clone()));
            }
        }
    }
}

async fn complete(
    mut gateway: Gateway,
    job: proto::ActivatedJob,
    completed: mpsc::UnboundedSender<Completed>,
) {
    let request = proto::CompleteJobRequest {
        job_key: job.key,
        ..Default::default()
    };
    while let Err(status) = gateway.complete_job(request.clone()).await {
        match status.code() {
            tonic::Code::ResourceExhausted => tokio::task::yield_now().await,
            // The broker has gone: the run ends.
            _ => return,
        }
    }
    // Nobody listens any more when the run is over.
    let _ = completed.send(Completed {
        variables: job.variables,
    });
}
