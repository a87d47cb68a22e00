//! Pushing jobs: as soon as a partition has a job of a type, it is activated for a client that has a stream of the type open.
//!
//! One task per registration asks the partitions that have news for as many jobs as its clients have room for, and no more:
//! what they have no room for stays there, for those who poll. Jobs that were there before a stream was opened are for those
//! who poll as well.

use std::collections::BTreeSet;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures::{Stream, StreamExt, stream};
use prost::Message as _;
use skep_protocol::values::JobBatch;
use skep_protocol::{Command, JobBatchIntent, JobIntent, Key, PartitionId, RecordValue};
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{Notify, broadcast, mpsc};
use tokio::time::{Instant, sleep, timeout};
use tonic::{Code, Request, Response, Status};
use tracing::{debug, warn};

use super::activate_jobs::{self, Undelivered, to_client};
use super::{Gateway, check_name, check_tenant, jobs};
use crate::brokers::{BrokerError, JobsAvailable};
use crate::job_streams::{Item, Registration};
use crate::limits::{
    HAND_BACK_PARALLEL_MAX, OVERSIZE_JOB_PAUSE, STREAM_BATCH_JOBS_MAX, STREAM_RETRY_PAUSE,
};
use crate::proto::StreamActivatedJobsRequest;
use crate::{routing, status};

/// Opens a stream of jobs.
pub fn open(
    gateway: &Arc<Gateway>,
    request: Request<StreamActivatedJobsRequest>,
) -> Result<Response<PushedJobs>, Status> {
    let registration = registration(request.into_inner())?;
    // Before the client is told that its stream is open, so that no news is lost.
    let news = gateway.brokers.jobs_available();
    let joined = gateway.streams.join(&registration);
    if joined.is_first {
        let pusher = Pusher {
            gateway: Arc::clone(gateway),
            registration,
            room: Arc::clone(&joined.room),
            waiting: BTreeSet::new(),
        };
        tokio::spawn(pusher.run(news));
    }
    Ok(Response::new(PushedJobs {
        gateway: Arc::clone(gateway),
        jobs: joined.jobs,
        room: joined.room,
    }))
}

fn registration(request: StreamActivatedJobsRequest) -> Result<Registration, Status> {
    let refuse = |what: String| {
        Err(status::status(
            Code::InvalidArgument,
            format!("Expected to stream activated jobs with {what}"),
        ))
    };
    for tenant_id in &request.tenant_ids {
        check_tenant("StreamActivatedJobs", tenant_id)?;
    }
    if request.r#type.trim().is_empty() {
        return refuse("type to be present, but it was blank".to_owned());
    }
    if request.timeout < 1 {
        return refuse(format!(
            "timeout to be greater than zero, but it was '{}'",
            request.timeout
        ));
    }
    check_name("job type", &request.r#type)?;
    Ok(Registration {
        job_type: request.r#type,
        worker: request.worker,
        timeout: request.timeout,
        fetch_variables: request.fetch_variable,
    })
}

/// The jobs for one client. Those that the transport did not take go back when it is dropped.
pub struct PushedJobs {
    gateway: Arc<Gateway>,
    jobs: mpsc::Receiver<Item>,
    room: Arc<Notify>,
}

impl Stream for PushedJobs {
    type Item = Item;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Item>> {
        let next = self.jobs.poll_recv(cx);
        if next.is_ready() {
            self.room.notify_one();
        }
        next
    }
}

impl Drop for PushedJobs {
    fn drop(&mut self) {
        self.jobs.close();
        let mut undelivered = Vec::new();
        while let Ok(item) = self.jobs.try_recv() {
            undelivered.extend(item.ok().map(|job| job.key));
        }
        self.room.notify_one();
        // Without a runtime everything ends, and the jobs with their timeout.
        if let (false, Ok(runtime)) = (
            undelivered.is_empty(),
            tokio::runtime::Handle::try_current(),
        ) {
            let gateway = Arc::clone(&self.gateway);
            runtime.spawn(async move { give_back(&gateway, undelivered).await });
        }
    }
}

/// Serves a registration as long as it has clients.
struct Pusher {
    gateway: Arc<Gateway>,
    registration: Registration,
    room: Arc<Notify>,
    /// Partitions that may have jobs.
    waiting: BTreeSet<PartitionId>,
}

impl Pusher {
    async fn run(mut self, mut news: broadcast::Receiver<JobsAvailable>) {
        let mut stopped = self.gateway.stopped.clone();
        loop {
            let room = Arc::clone(&self.room);
            tokio::select! {
                received = news.recv() => {
                    if !self.note(received) {
                        break;
                    }
                }
                () = room.notified() => {}
                // An error means that the gateway is gone, which is a stop as well.
                _ = stopped.wait_for(|stopped| *stopped) => break,
            }
            while let Some(received) = next_of(&mut news) {
                self.note(received);
            }
            if !self.push().await {
                return;
            }
        }
        let status = Status::unavailable("The gateway is shutting down");
        self.gateway.streams.end(&self.registration, &status);
    }

    /// Takes news in. `false` when there will be none any more.
    fn note(&mut self, received: Result<JobsAvailable, RecvError>) -> bool {
        match received {
            Ok(news) => {
                let own = &self.registration.job_type;
                if news.job_type.is_none_or(|one| one == *own) {
                    self.waiting.insert(news.partition);
                }
            }
            Err(RecvError::Lagged(_)) => {
                let topology = self.gateway.brokers.topology();
                self.waiting.extend(routing::led(&topology, 0));
            }
            Err(RecvError::Closed) => return false,
        }
        true
    }

    /// Asks partitions for jobs as long as there may be some and somebody takes them. `false` when the last client has gone.
    async fn push(&mut self) -> bool {
        loop {
            let Some(room) = self.gateway.streams.room(&self.registration) else {
                return false;
            };
            let wanted = room.min(STREAM_BATCH_JOBS_MAX);
            let Some(&partition) = self.waiting.first() else {
                return true;
            };
            if wanted == 0 {
                return true;
            }
            match self.ask(partition, wanted as i32).await {
                Ok(batch) => {
                    let may_have_more = batch.truncated || batch.jobs.len() >= wanted;
                    self.deliver(batch).await;
                    if !may_have_more {
                        self.waiting.remove(&partition);
                    }
                }
                Err(error) => {
                    debug!(%partition, job_type = self.registration.job_type, %error, "no jobs from this partition");
                    sleep(STREAM_RETRY_PAUSE).await;
                    // A partition that is led by nobody tells when it is led again.
                    if !self.gateway.brokers.topology().has_leader(partition) {
                        self.waiting.remove(&partition);
                    }
                }
            }
        }
    }

    async fn ask(&self, partition: PartitionId, wanted: i32) -> Result<JobBatch, BrokerError> {
        let asked = &self.registration;
        let batch = JobBatch {
            job_type: asked.job_type.clone(),
            worker: asked.worker.clone(),
            timeout: asked.timeout,
            max_jobs_to_activate: wanted,
            fetch_variables: asked.fetch_variables.clone(),
            jobs: Vec::new(),
            truncated: false,
        };
        let command = Command::new(Key::NONE, JobBatchIntent::Activate, batch);
        let answer = self.gateway.brokers.execute(partition, &command);
        let answer = timeout(self.gateway.config.request_timeout, answer)
            .await
            .unwrap_or(Err(BrokerError::Timeout))?;
        match answer.map(|event| event.value) {
            Ok(RecordValue::JobBatch(batch)) => Ok(batch),
            Ok(other) => Err(unexpected(other.value_type().name())),
            Err(rejection) => Err(unexpected(&rejection.reason)),
        }
    }

    async fn deliver(&self, batch: JobBatch) {
        let (mut unwanted, mut oversize) = (Vec::new(), Vec::new());
        for activated in batch.jobs {
            let job = to_client(activated.key, activated.job.unwrap_or_default());
            if job.encoded_len() > self.gateway.config.max_message_size {
                oversize.push(Undelivered::from(&job));
            } else if !self.gateway.streams.push(&self.registration, job) {
                unwanted.push(activated.key);
            }
        }
        if !oversize.is_empty() {
            let reason = format!(
                "The job with its variables and headers does not fit into a message of {} bytes; ask for fewer variables with \
                 fetchVariable, or raise the message size of gateway and clients",
                self.gateway.config.max_message_size
            );
            activate_jobs::hand_back(&self.gateway, oversize, &reason, OVERSIZE_JOB_PAUSE).await;
        }
        give_back(&self.gateway, unwanted).await;
    }
}

fn unexpected(message: &str) -> BrokerError {
    BrokerError::Internal {
        code: "INTERNAL_ERROR".to_owned(),
        message: message.to_owned(),
    }
}

/// What is there already.
fn next_of(
    news: &mut broadcast::Receiver<JobsAvailable>,
) -> Option<Result<JobsAvailable, RecvError>> {
    match news.try_recv() {
        Ok(news) => Some(Ok(news)),
        Err(broadcast::error::TryRecvError::Lagged(count)) => Some(Err(RecvError::Lagged(count))),
        // That it is closed is found when it is waited for.
        Err(broadcast::error::TryRecvError::Empty | broadcast::error::TryRecvError::Closed) => None,
    }
}

/// Makes jobs activatable again that nobody took.
async fn give_back(gateway: &Gateway, keys: Vec<i64>) {
    stream::iter(keys)
        .for_each_concurrent(HAND_BACK_PARALLEL_MAX, |key| async move {
            let deadline = Instant::now() + gateway.config.request_timeout;
            let given = gateway
                .on_key(key, JobIntent::Yield, jobs::job(), deadline)
                .await;
            if let Err(status) = given {
                warn!(job_key = key, %status, "give a job back; it stays locked until its timeout");
            }
        })
        .await;
}
