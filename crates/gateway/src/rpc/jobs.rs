//! Calls about single jobs. Whether a job exists and may be changed is the engine's to say.

use skep_protocol::values::Job;
use skep_protocol::{Command, JobIntent, Key};
use tonic::{Request, Status};

use super::{Gateway, reference, variables_of};
use crate::proto::{
    CompleteJobRequest, CompleteJobResponse, FailJobRequest, FailJobResponse, ThrowErrorRequest,
    ThrowErrorResponse, UpdateJobRetriesRequest, UpdateJobRetriesResponse, UpdateJobTimeoutRequest,
    UpdateJobTimeoutResponse,
};

/// A job of a command, which says nothing about times.
pub fn job() -> Job {
    Job {
        deadline: -1,
        recurring_time: -1,
        ..Job::default()
    }
}

pub async fn complete(
    gateway: &Gateway,
    request: Request<CompleteJobRequest>,
) -> Result<CompleteJobResponse, Status> {
    let deadline = gateway.deadline(&request);
    let request = request.into_inner();
    let job = Job {
        variables: variables_of(request.variables)?,
        ..job()
    };
    gateway
        .on_key(request.job_key, JobIntent::Complete, job, deadline)
        .await?;
    Ok(CompleteJobResponse {})
}

pub async fn fail(
    gateway: &Gateway,
    request: Request<FailJobRequest>,
) -> Result<FailJobResponse, Status> {
    let deadline = gateway.deadline(&request);
    let request = request.into_inner();
    let job = Job {
        retries: request.retries,
        error_message: request.error_message,
        retry_back_off: request.retry_back_off,
        variables: variables_of(request.variables)?,
        ..job()
    };
    gateway
        .on_key(request.job_key, JobIntent::Fail, job, deadline)
        .await?;
    Ok(FailJobResponse {})
}

pub async fn throw_error(
    gateway: &Gateway,
    request: Request<ThrowErrorRequest>,
) -> Result<ThrowErrorResponse, Status> {
    let deadline = gateway.deadline(&request);
    let request = request.into_inner();
    let job = Job {
        error_code: request.error_code,
        error_message: request.error_message,
        variables: variables_of(request.variables)?,
        ..job()
    };
    gateway
        .on_key(request.job_key, JobIntent::ThrowError, job, deadline)
        .await?;
    Ok(ThrowErrorResponse {})
}

pub async fn update_retries(
    gateway: &Gateway,
    request: Request<UpdateJobRetriesRequest>,
) -> Result<UpdateJobRetriesResponse, Status> {
    let deadline = gateway.deadline(&request);
    let request = request.into_inner();
    let job = Job {
        retries: request.retries,
        ..job()
    };
    let command = Command::new(Key(request.job_key), JobIntent::UpdateRetries, job)
        .referred_to_as(reference(request.operation_reference));
    gateway.on_entity(&command, deadline).await?;
    Ok(UpdateJobRetriesResponse {})
}

pub async fn update_timeout(
    gateway: &Gateway,
    request: Request<UpdateJobTimeoutRequest>,
) -> Result<UpdateJobTimeoutResponse, Status> {
    let deadline = gateway.deadline(&request);
    let request = request.into_inner();
    let job = Job {
        timeout: request.timeout,
        ..job()
    };
    let command = Command::new(Key(request.job_key), JobIntent::UpdateTimeout, job)
        .referred_to_as(reference(request.operation_reference));
    gateway.on_entity(&command, deadline).await?;
    Ok(UpdateJobTimeoutResponse {})
}
