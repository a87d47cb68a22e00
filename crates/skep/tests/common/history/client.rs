//! The calls of the gateway that the tests make, each answered for good, or known not to be.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::Value;
use skep_gateway::proto::gateway_client::GatewayClient;
use skep_gateway::proto::{
    ActivateJobsRequest, CompleteJobRequest, CreateProcessInstanceRequest, PublishMessageRequest,
};
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Status};

use super::ledger::Step;
use crate::common::Place;

/// How long a call for jobs waits for them.
const POLL_MS: i64 = 300;
/// Messages outlive the test, so that each is there in every later backup.
const MESSAGE_TTL_MS: i64 = 3_600_000;
/// How long a call may take where brokers come to harm.
const CALL_PATIENCE: Duration = Duration::from_secs(6);
/// Before a call that failed is sent again.
const PAUSE: Duration = Duration::from_millis(50);

/// A job of an order.
#[derive(Debug)]
pub struct Job {
    pub key: i64,
    pub order: usize,
    pub instance: i64,
    /// Until when it is its worker's, in epoch milliseconds.
    pub deadline: i64,
    pub variables: Value,
}

/// What became of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Published {
    /// It was taken, under this key.
    New(i64),
    /// It was taken before.
    Known,
}

/// What is expected of the brokers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answers {
    /// Every call is answered.
    All,
    /// Answers may be lost, and nobody knows then whether the call has been executed.
    MayBeLost,
}

/// Takes gateways in turn.
#[derive(Clone)]
pub struct Client {
    gateways: Arc<[GatewayClient<Channel>]>,
    next: Arc<AtomicUsize>,
    answers: Answers,
}

impl Client {
    /// For the broker of that place, which answers everything.
    pub fn new(place: &Place) -> Client {
        Client::of(&[place.variable("ZEEBE_ADDRESS")], Answers::All)
    }

    /// For gateways at these addresses.
    pub fn of(addresses: &[&str], answers: Answers) -> Client {
        let connect = |address: &&str| {
            let endpoint = Endpoint::from_shared(format!("http://{address}")).unwrap();
            GatewayClient::new(endpoint.connect_timeout(CALL_PATIENCE).connect_lazy())
        };
        Client {
            gateways: addresses.iter().map(connect).collect(),
            next: Arc::default(),
            answers,
        }
    }

    /// Creates the instance of an order; none if nobody knows whether there is one.
    pub async fn create(&self, order: usize, keep: bool) -> Option<i64> {
        let variables = serde_json::json!({ "order": name(order), "number": order, "keep": keep });
        let request = CreateProcessInstanceRequest {
            bpmn_process_id: "cut".to_owned(),
            version: -1,
            variables: variables.to_string(),
            ..CreateProcessInstanceRequest::default()
        };
        loop {
            let mut gateway = self.gateway();
            match self
                .call(gateway.create_process_instance(request.clone()))
                .await
            {
                Ok(response) => return Some(response.process_instance_key),
                Err(status) if self.has_not_happened(&status, "create") => pause().await,
                Err(_) => return None,
            }
        }
    }

    /// Publishes a message that nobody waits for, which makes the log longer and the content larger.
    pub async fn publish_unheard(&self, number: u64, text: &str) {
        let request = PublishMessageRequest {
            name: "unheard".to_owned(),
            time_to_live: MESSAGE_TTL_MS,
            correlation_key: number.to_string(),
            variables: serde_json::json!({ "text": text }).to_string(),
            ..PublishMessageRequest::default()
        };
        loop {
            let mut gateway = self.gateway();
            match self.call(gateway.publish_message(request.clone())).await {
                Ok(_) => return,
                Err(status) => self.again(&status, "publish").await,
            }
        }
    }

    /// Publishes the message that an order has been paid.
    pub async fn pay(&self, order: usize, by: &str) -> Published {
        let request = PublishMessageRequest {
            name: "cut-paid".to_owned(),
            correlation_key: name(order),
            time_to_live: MESSAGE_TTL_MS,
            message_id: name(order),
            variables: serde_json::json!({ "paid": by }).to_string(),
            ..PublishMessageRequest::default()
        };
        loop {
            let mut gateway = self.gateway();
            match self.call(gateway.publish_message(request.clone())).await {
                Ok(response) => return Published::New(response.key),
                Err(status) if status.code() == Code::AlreadyExists => return Published::Known,
                Err(status) => self.again(&status, "publish").await,
            }
        }
    }

    /// Takes jobs, if there are any after a short wait.
    pub async fn activate(&self, step: Step, max_jobs: i32, timeout_ms: i64) -> Vec<Job> {
        let request = ActivateJobsRequest {
            r#type: step.job_type().to_owned(),
            worker: "cut".to_owned(),
            timeout: timeout_ms,
            max_jobs_to_activate: max_jobs,
            request_timeout: POLL_MS,
            ..ActivateJobsRequest::default()
        };
        let mut jobs = Vec::new();
        let mut gateway = self.gateway();
        let mut batches = match self.call(gateway.activate_jobs(request)).await {
            Ok(batches) => batches,
            Err(status) => {
                self.again(&status, "activate").await;
                return jobs;
            }
        };
        loop {
            let next = async { batches.message().await.map(tonic::Response::new) };
            match self.call(next).await {
                Ok(Some(batch)) => jobs.extend(batch.jobs.into_iter().map(job)),
                Ok(None) => return jobs,
                // Those that were lost come again when their time is over.
                Err(status) => {
                    self.again(&status, "activate").await;
                    return jobs;
                }
            }
        }
    }

    /// Completes a job, which must be there, or have been completed by a call whose answer was lost.
    pub async fn complete(&self, job: i64, step: Step, by: &str) {
        let request = CompleteJobRequest {
            job_key: job,
            variables: serde_json::json!({ step.variable(): by }).to_string(),
            ..CompleteJobRequest::default()
        };
        let mut lost = false;
        loop {
            let mut gateway = self.gateway();
            let Err(status) = self.call(gateway.complete_job(request.clone())).await else {
                return;
            };
            if lost && status.code() == Code::NotFound {
                return;
            }
            lost |= !self.has_not_happened(&status, "complete");
            pause().await;
        }
    }

    fn gateway(&self) -> GatewayClient<Channel> {
        let turn = self.next.fetch_add(1, Ordering::Relaxed);
        self.gateways[turn % self.gateways.len()].clone()
    }

    async fn call<T>(
        &self,
        call: impl Future<Output = Result<tonic::Response<T>, Status>>,
    ) -> Result<T, Status> {
        let answer = match self.answers {
            Answers::All => call.await,
            Answers::MayBeLost => tokio::time::timeout(CALL_PATIENCE, call)
                .await
                .unwrap_or_else(|_| Err(Status::deadline_exceeded("no answer"))),
        };
        answer.map(tonic::Response::into_inner)
    }

    /// The call failed and may be sent again.
    async fn again(&self, status: &Status, what: &str) {
        self.has_not_happened(status, what);
        pause().await;
    }

    /// A command that was refused for want of room has not happened. Otherwise, if answers may be lost, this may be one; nothing
    /// else may go wrong.
    fn has_not_happened(&self, status: &Status, what: &str) -> bool {
        if status.code() == Code::ResourceExhausted {
            return true;
        }
        // A connection that breaks is Unknown to the client, and a broker that stops cancels what it was asked.
        let lost = matches!(
            status.code(),
            Code::Unavailable | Code::DeadlineExceeded | Code::Unknown | Code::Cancelled
        );
        assert!(
            lost && self.answers == Answers::MayBeLost,
            "{what}: {status:?}"
        );
        false
    }
}

async fn pause() {
    tokio::time::sleep(PAUSE).await;
}

fn job(job: skep_gateway::proto::ActivatedJob) -> Job {
    let variables: Value = serde_json::from_str(&job.variables).unwrap();
    Job {
        key: job.key,
        order: variables["number"].as_u64().unwrap() as usize,
        instance: job.process_instance_key,
        deadline: job.deadline,
        variables,
    }
}

/// The correlation key of an order, and the id of its message.
fn name(order: usize) -> String {
    format!("order-{order}")
}
