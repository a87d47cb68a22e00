//! The calls of the gateway that the test makes, each answered for good.

use serde_json::Value;
use skep_gateway::proto::gateway_client::GatewayClient;
use skep_gateway::proto::{
    ActivateJobsRequest, CompleteJobRequest, CreateProcessInstanceRequest, PublishMessageRequest,
};
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Status};

use crate::common::Place;
use crate::ledger::Step;

/// How long a call for jobs waits for them.
const POLL_MS: i64 = 300;
/// Messages outlive the test, so that each is there in every later backup.
const MESSAGE_TTL_MS: i64 = 3_600_000;

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

#[derive(Clone)]
pub struct Client(GatewayClient<Channel>);

impl Client {
    /// For the broker of that place.
    pub fn new(place: &Place) -> Client {
        let address = format!("http://{}", place.variable("ZEEBE_ADDRESS"));
        Client(GatewayClient::new(
            Endpoint::from_shared(address).unwrap().connect_lazy(),
        ))
    }

    /// Creates the instance of an order.
    pub async fn create(&self, order: usize, keep: bool) -> i64 {
        let variables = serde_json::json!({ "order": name(order), "number": order, "keep": keep });
        let request = CreateProcessInstanceRequest {
            bpmn_process_id: "cut".to_owned(),
            version: -1,
            variables: variables.to_string(),
            ..CreateProcessInstanceRequest::default()
        };
        loop {
            match self
                .0
                .clone()
                .create_process_instance(request.clone())
                .await
            {
                Ok(response) => return response.into_inner().process_instance_key,
                Err(status) => again_or_panic(&status, "create"),
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
            match self.0.clone().publish_message(request.clone()).await {
                Ok(response) => return Published::New(response.into_inner().key),
                Err(status) if status.code() == Code::AlreadyExists => return Published::Known,
                Err(status) => again_or_panic(&status, "publish"),
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
        let mut batches = match self.0.clone().activate_jobs(request).await {
            Ok(response) => response.into_inner(),
            Err(status) => {
                again_or_panic(&status, "activate");
                return jobs;
            }
        };
        while let Some(batch) = batches.message().await.unwrap() {
            jobs.extend(batch.jobs.into_iter().map(|job| {
                let variables: Value = serde_json::from_str(&job.variables).unwrap();
                Job {
                    key: job.key,
                    order: variables["number"].as_u64().unwrap() as usize,
                    instance: job.process_instance_key,
                    deadline: job.deadline,
                    variables,
                }
            }));
        }
        jobs
    }

    /// Completes a job, which must be there.
    pub async fn complete(&self, job: i64, step: Step, by: &str) {
        let request = CompleteJobRequest {
            job_key: job,
            variables: serde_json::json!({ step.variable(): by }).to_string(),
            ..CompleteJobRequest::default()
        };
        while let Err(status) = self.0.clone().complete_job(request.clone()).await {
            again_or_panic(&status, "complete");
        }
    }
}

/// The correlation key of an order, and the id of its message.
fn name(order: usize) -> String {
    format!("order-{order}")
}

/// A command that was refused for want of room has not happened and may be sent again; nothing else may go wrong.
fn again_or_panic(status: &Status, what: &str) {
    assert_eq!(status.code(), Code::ResourceExhausted, "{what}: {status}");
}
