//! Activating jobs on one partition.
//!
//! **Invariant**: jobs that were activated are taken by whoever asked for them, or go back. A command that is on its way can't be
//! called back, so its answer is waited for also when nobody wants it any more: else its jobs would stay locked until their timeout.

use std::sync::Arc;
use std::time::Duration;

use skep_protocol::values::{ActivatedJob, JobBatch};
use skep_protocol::{Command, JobBatchIntent, Key, PartitionId, RecordValue, ResponseResult};
use tokio::sync::oneshot;
use tokio::time::timeout;
use tonic::Status;

use super::Gateway;
use super::activate_jobs::{Undelivered, hand_back};
use crate::brokers::BrokerError;
use crate::status;

/// Jobs that were activated. They go back if this is dropped before they are taken.
pub struct Activated {
    gateway: Arc<Gateway>,
    batch: JobBatch,
}

impl Activated {
    /// Takes the jobs: from now on they are the caller's to deliver or to give back.
    pub fn take(mut self) -> JobBatch {
        std::mem::take(&mut self.batch)
    }
}

impl Drop for Activated {
    fn drop(&mut self) {
        let jobs: Vec<Undelivered> = self.batch.jobs.iter().map(Undelivered::from).collect();
        // Without a runtime everything ends, and the jobs with their timeout.
        if let (false, Ok(runtime)) = (jobs.is_empty(), tokio::runtime::Handle::try_current()) {
            let gateway = Arc::clone(&self.gateway);
            runtime.spawn(async move {
                let reason = "The request that asked for the job was over when it came";
                hand_back(&gateway, jobs, reason, Duration::ZERO).await;
            });
        }
    }
}

impl From<&ActivatedJob> for Undelivered {
    fn from(activated: &ActivatedJob) -> Undelivered {
        let retries = activated.job.as_ref().map_or(0, |job| job.retries);
        Undelivered::new(activated.key, retries)
    }
}

/// Why no jobs were activated.
pub enum NotActivated {
    /// The partition gave no answer. Another one may, and so may this one later.
    Unanswered(BrokerError),
    /// No partition will, and the client gets this status.
    Failed(Status),
}

/// Activates jobs as `wanted` says, and waits for them as long as a request may take.
pub async fn activate_on(
    gateway: &Arc<Gateway>,
    partition: PartitionId,
    wanted: JobBatch,
) -> Result<Activated, NotActivated> {
    let command = Command::new(Key::NONE, JobBatchIntent::Activate, wanted);
    let (teller, told) = oneshot::channel();
    let executing = Arc::clone(gateway);
    tokio::spawn(async move {
        let answer = executing.brokers.execute(partition, &command).await;
        // If nobody waits any more, what came is dropped here, and with it the jobs go back.
        let _ = teller.send(activated(executing, answer));
    });
    match timeout(gateway.config.request_timeout, told).await {
        Ok(Ok(result)) => result,
        Ok(Err(_)) => Err(NotActivated::Failed(status::unexpected(
            "ACTIVATE ended without an answer",
        ))),
        Err(_) => Err(NotActivated::Unanswered(BrokerError::Timeout)),
    }
}

fn activated(
    gateway: Arc<Gateway>,
    answer: Result<ResponseResult, BrokerError>,
) -> Result<Activated, NotActivated> {
    let event = answer
        .map_err(NotActivated::Unanswered)?
        .map_err(|rejection| {
            let intent = JobBatchIntent::Activate.into();
            NotActivated::Failed(status::of_rejection(intent, &rejection))
        })?;
    match event.value {
        RecordValue::JobBatch(batch) => Ok(Activated { gateway, batch }),
        _ => Err(NotActivated::Failed(super::unexpected_answer(
            "ACTIVATE", &event,
        ))),
    }
}
