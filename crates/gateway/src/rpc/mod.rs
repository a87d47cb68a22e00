//! The calls. One file per family; here is what they share.

mod activate_jobs;
mod activation;
mod decisions;
mod incidents;
mod instances;
mod jobs;
mod messages;
mod resources;
mod signals;
mod stream_jobs;
pub mod topology;
mod variables;

use std::sync::Arc;

use skep_protocol::{Command, Intent, Key, OperationReference, PartitionId, RecordValue, names};
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;
use tonic::{Code, Request, Response, Status};

use crate::brokers::Brokers;
use crate::config::GatewayConfig;
use crate::job_streams::JobStreams;
use crate::long_polling::LongPolling;
use crate::proto::{self, gateway_server};
use crate::routing::{self, RoundRobin};
use crate::{documents, retry, status};

/// The only tenant that there is.
pub const DEFAULT_TENANT: &str = "<default>";

/// What all calls share.
pub struct Gateway {
    pub brokers: Arc<dyn Brokers>,
    pub config: GatewayConfig,
    /// Where the next instance is created, or the next signal taken.
    pub creations: RoundRobin,
    pub polls: LongPolling,
    pub streams: JobStreams,
    /// Turns true when the gateway is to stop.
    pub stopped: watch::Receiver<bool>,
    /// Held as long as the gateway is in use, so that `serve` sees its end.
    pub _in_use: mpsc::Sender<std::convert::Infallible>,
}

impl Gateway {
    /// Until when the answer to a request is of use.
    fn deadline<T>(&self, request: &Request<T>) -> Instant {
        retry::deadline(request.metadata(), self.config.request_timeout)
    }

    /// Sends a command to a partition. Gives the event.
    async fn on_partition(
        &self,
        partition: PartitionId,
        command: &Command,
        deadline: Instant,
    ) -> Result<Command, Status> {
        retry::on_partition(&*self.brokers, partition, command, deadline)
            .await?
            .map_err(|rejection| status::of_rejection(command.intent, &rejection))
    }

    /// Sends a command about an entity to the partition that made it. Gives the event.
    async fn on_key(
        &self,
        key: i64,
        intent: impl Into<Intent>,
        value: impl Into<RecordValue>,
        deadline: Instant,
    ) -> Result<Command, Status> {
        let command = Command::new(Key(key), intent, value);
        self.on_entity(&command, deadline).await
    }

    /// Sends a command to the partition that made the entity that it is about. Gives the event.
    async fn on_entity(&self, command: &Command, deadline: Instant) -> Result<Command, Status> {
        let partition = routing::of_key(&self.brokers.topology(), command.key.0)?;
        self.on_partition(partition, command, deadline).await
    }
}

/// What a client calls its operation. Any number is one; Zeebe's records have them signed.
fn reference(sent: Option<u64>) -> OperationReference {
    sent.map_or(OperationReference::NONE, |number| {
        OperationReference(number as i64)
    })
}

/// Variables as sent, checked.
fn variables_of(text: String) -> Result<String, Status> {
    documents::document(text)
        .map_err(|error| status::status(Code::InvalidArgument, error.to_string()))
}

/// Refuses what is too long to be the name of something.
fn check_name(what: &'static str, name: &str) -> Result<(), Status> {
    names::check(what, name)
        .map_err(|error| status::status(Code::InvalidArgument, error.to_string()))
}

/// Refuses a tenant that does not exist.
fn check_tenant(rpc: &str, tenant_id: &str) -> Result<(), Status> {
    if tenant_id.is_empty() || tenant_id == DEFAULT_TENANT {
        return Ok(());
    }
    Err(status::status(
        Code::InvalidArgument,
        format!(
            "Expected to handle gRPC request {rpc} with tenant identifier '{tenant_id}', but multi-tenancy is disabled"
        ),
    ))
}

/// The answer of a broker that is not one to this command.
fn unexpected_answer(command: &str, answer: &Command) -> Status {
    status::unexpected(format_args!(
        "{command} was answered by {} {}",
        answer.intent.value_type().name(),
        answer.intent.name()
    ))
}

/// The calls, bound to what they share.
pub struct Calls(pub Arc<Gateway>);

/// Binds each call to its function.
macro_rules! calls {
    ($( $call:ident($request:ident) -> $response:ident = $function:path; )+) => {
        #[tonic::async_trait]
        impl gateway_server::Gateway for Calls {
            type ActivateJobsStream = activate_jobs::JobStream;
            type StreamActivatedJobsStream = stream_jobs::PushedJobs;

            async fn activate_jobs(
                &self,
                request: Request<proto::ActivateJobsRequest>,
            ) -> Result<Response<activate_jobs::JobStream>, Status> {
                activate_jobs::activate(&self.0, request)
            }

            async fn stream_activated_jobs(
                &self,
                request: Request<proto::StreamActivatedJobsRequest>,
            ) -> Result<Response<stream_jobs::PushedJobs>, Status> {
                stream_jobs::open(&self.0, request)
            }

            $( async fn $call(
                &self,
                request: Request<proto::$request>,
            ) -> Result<Response<proto::$response>, Status> {
                $function(&self.0, request).await.map(Response::new)
            } )+
        }
    };
}

calls! {
    complete_job(CompleteJobRequest) -> CompleteJobResponse = jobs::complete;
    fail_job(FailJobRequest) -> FailJobResponse = jobs::fail;
    throw_error(ThrowErrorRequest) -> ThrowErrorResponse = jobs::throw_error;
    update_job_retries(UpdateJobRetriesRequest) -> UpdateJobRetriesResponse = jobs::update_retries;
    update_job_timeout(UpdateJobTimeoutRequest) -> UpdateJobTimeoutResponse = jobs::update_timeout;
    create_process_instance(CreateProcessInstanceRequest) -> CreateProcessInstanceResponse = instances::create;
    create_process_instance_with_result(CreateProcessInstanceWithResultRequest) -> CreateProcessInstanceWithResultResponse
        = instances::create_with_result;
    cancel_process_instance(CancelProcessInstanceRequest) -> CancelProcessInstanceResponse = instances::cancel;
    modify_process_instance(ModifyProcessInstanceRequest) -> ModifyProcessInstanceResponse = instances::modify;
    migrate_process_instance(MigrateProcessInstanceRequest) -> MigrateProcessInstanceResponse = instances::migrate;
    set_variables(SetVariablesRequest) -> SetVariablesResponse = variables::set;
    resolve_incident(ResolveIncidentRequest) -> ResolveIncidentResponse = incidents::resolve;
    publish_message(PublishMessageRequest) -> PublishMessageResponse = messages::publish;
    evaluate_decision(EvaluateDecisionRequest) -> EvaluateDecisionResponse = decisions::evaluate;
    broadcast_signal(BroadcastSignalRequest) -> BroadcastSignalResponse = signals::broadcast;
    deploy_process(DeployProcessRequest) -> DeployProcessResponse = resources::deploy_processes;
    delete_resource(DeleteResourceRequest) -> DeleteResourceResponse = resources::delete;
    deploy_resource(DeployResourceRequest) -> DeployResourceResponse = resources::deploy;
    topology(TopologyRequest) -> TopologyResponse = topology::topology;
}
