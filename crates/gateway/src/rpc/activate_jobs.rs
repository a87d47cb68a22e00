//! Handing out jobs: the pass over the partitions, the delivery to the client, the handing back of what it did not take.
//!
//! One task per request, which outlives the call if the client goes.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll as Ready};
use std::time::Duration;

use futures::{Stream, StreamExt, stream};
use prost::Message as _;
use skep_protocol::values::{self, Job, JobBatch};
use skep_protocol::{JobIntent, PartitionId};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep_until};
use tonic::{Code, Request, Response, Status};
use tracing::{debug, warn};

use super::activation::{NotActivated, activate_on};
use super::{DEFAULT_TENANT, Gateway, check_name, check_tenant, jobs};
use crate::brokers::BrokerError;
use crate::limits::{CLIENT_TIMEOUT_MAX, HAND_BACK_PARALLEL_MAX, OVERSIZE_JOB_PAUSE, POLL_MARGIN};
use crate::long_polling::{Found, Next, Parked, Pass};
use crate::proto::activated_job::ListenerEventType;
use crate::proto::{ActivateJobsRequest, ActivateJobsResponse, ActivatedJob};
use crate::{documents, retry, routing, status};

/// Begins to hand out jobs.
pub fn activate(
    gateway: &Arc<Gateway>,
    request: Request<ActivateJobsRequest>,
) -> Result<Response<JobStream>, Status> {
    for tenant_id in &request.get_ref().tenant_ids {
        check_tenant("ActivateJobs", tenant_id)?;
    }
    check_name("job type", &request.get_ref().r#type)?;
    let wait_until = wait_until(gateway, &request);
    let (out, messages) = mpsc::channel(1);
    let poll = Poll {
        gateway: gateway.clone(),
        request: request.into_inner(),
        wait_until,
        out,
    };
    tokio::spawn(poll.run());
    Ok(Response::new(JobStream { messages }))
}

/// Until when the request waits for jobs; `None` if it does not.
fn wait_until(gateway: &Gateway, request: &Request<ActivateJobsRequest>) -> Option<Instant> {
    let config = &gateway.config.long_polling;
    if !config.enabled {
        return None;
    }
    let wait = match request.get_ref().request_timeout {
        ..0 => return None,
        0 => config.timeout,
        milliseconds => Duration::from_millis(milliseconds.unsigned_abs()),
    };
    // A client whose own deadline is earlier gets the regular end of the poll before it, and no error.
    let wait = match retry::client_timeout(request.metadata()) {
        Some(client) => wait.min(client.saturating_sub(POLL_MARGIN)),
        None => wait,
    };
    Some(Instant::now() + wait.min(CLIENT_TIMEOUT_MAX))
}

/// The answers to a client. A message counts as delivered once the transport has taken it.
#[derive(Debug)]
pub struct JobStream {
    messages: mpsc::Receiver<Result<Delivery, Status>>,
}

#[derive(Debug)]
struct Delivery {
    response: ActivateJobsResponse,
    /// Dropped unused when the client goes first.
    taken: oneshot::Sender<()>,
}

impl Stream for JobStream {
    type Item = Result<ActivateJobsResponse, Status>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Ready<Option<Self::Item>> {
        self.messages.poll_recv(cx).map(|message| {
            message.map(|delivery| {
                delivery.map(|delivery| {
                    // Nobody listens only if the task is gone with the runtime.
                    let _ = delivery.taken.send(());
                    delivery.response
                })
            })
        })
    }
}

/// One request for jobs.
struct Poll {
    gateway: Arc<Gateway>,
    request: ActivateJobsRequest,
    wait_until: Option<Instant>,
    out: mpsc::Sender<Result<Delivery, Status>>,
}

/// A job that must go back to its partition.
#[derive(Debug, Clone, Copy)]
pub struct Undelivered {
    key: i64,
    retries: i32,
}

impl Undelivered {
    /// The job of that key, which had so many retries.
    pub fn new(key: i64, retries: i32) -> Undelivered {
        Undelivered { key, retries }
    }
}

/// Why a pass ended before its time.
enum Broken {
    /// The client does not listen any more.
    ClientGone,
    /// The client gets this status.
    Failed(Status),
}

impl Poll {
    async fn run(self) {
        let job_type = &self.request.r#type;
        let first = self.gateway.polls.arrive(job_type);
        let end = self.poll(first).await;
        self.gateway.polls.leave(job_type);
        if let Err(Broken::Failed(status)) = end {
            // Fails only if the client is gone, who then does not want to know.
            let _ = self.out.send(Err(status)).await;
        }
    }

    async fn poll(&self, mut pass: Pass) -> Result<(), Broken> {
        let polls = &self.gateway.polls;
        let job_type = &self.request.r#type;
        loop {
            let found = match self.pass(pass.start).await {
                Ok(found) => found,
                Err(broken) => {
                    polls.end(job_type, pass, Found::Abandoned);
                    return Err(broken);
                }
            };
            let wait_until = match self.wait_until {
                Some(until) if found == Found::Nothing && Instant::now() < until => until,
                _ => {
                    polls.end(job_type, pass, found);
                    return Ok(());
                }
            };
            pass = match polls.wait(job_type, pass) {
                Next::Repeat(pass) => pass,
                Next::Park(parked) => match self.park(parked, wait_until).await? {
                    Some(pass) => pass,
                    None => return Ok(()),
                },
            };
        }
    }

    /// Waits for news. `None` when the time is over.
    async fn park(&self, parked: Parked, until: Instant) -> Result<Option<Pass>, Broken> {
        let mut stopped = self.gateway.stopped.clone();
        let mut stop = false;
        tokio::select! {
            () = parked.wake.notified() => {}
            () = sleep_until(until) => {}
            () = self.out.closed() => {}
            // An error means that the gateway is gone, which is a stop as well.
            _ = stopped.wait_for(|stopped| *stopped) => stop = true,
        }
        let polls = &self.gateway.polls;
        let woken = polls.unpark(&self.request.r#type, parked);
        let broken = if stop {
            Broken::Failed(Status::unavailable("The gateway is shutting down"))
        } else if self.out.is_closed() {
            Broken::ClientGone
        } else {
            return Ok(woken);
        };
        if let Some(pass) = woken {
            polls.end(&self.request.r#type, pass, Found::Abandoned);
        }
        Err(broken)
    }

    /// Asks every partition that is led once, in turn, until there are as many jobs as wanted.
    async fn pass(&self, start: u32) -> Result<Found, Broken> {
        let topology = self.gateway.brokers.topology();
        let wanted = self.request.max_jobs_to_activate;
        let mut delivered = 0;
        let mut exhausted = false;
        for partition in routing::led(&topology, start) {
            match self.ask_partition(partition, wanted, &mut delivered).await {
                Ok(()) => {}
                Err(Unanswered::Broken(broken)) => return Err(broken),
                Err(Unanswered::Skipped(error)) => {
                    exhausted = matches!(error, BrokerError::ResourceExhausted { .. });
                    debug!(%partition, job_type = self.request.r#type, %error, "no jobs from this partition");
                }
            }
            if delivered > 0 && delivered >= wanted {
                return Ok(Found::AllWanted);
            }
        }
        match (delivered, exhausted) {
            (0, true) => Err(Broken::Failed(self.all_exhausted())),
            (0, false) => Ok(Found::Nothing),
            _ => Ok(Found::Some),
        }
    }

    /// Asks one partition, again as long as it leaves out jobs for size.
    async fn ask_partition(
        &self,
        partition: PartitionId,
        wanted: i32,
        delivered: &mut i32,
    ) -> Result<(), Unanswered> {
        loop {
            if self.out.is_closed() {
                return Err(Unanswered::Broken(Broken::ClientGone));
            }
            // What is wanted goes to the engine as it is the first time, since it is the engine that checks it.
            let batch = self.ask(partition, wanted - *delivered).await?;
            let more = batch.truncated && !batch.jobs.is_empty();
            *delivered += self.deliver(batch.jobs).await.map_err(Unanswered::Broken)?;
            if !more || *delivered >= wanted {
                return Ok(());
            }
        }
    }

    async fn ask(&self, partition: PartitionId, wanted: i32) -> Result<JobBatch, Unanswered> {
        let batch = JobBatch {
            job_type: self.request.r#type.clone(),
            worker: self.request.worker.clone(),
            timeout: self.request.timeout,
            max_jobs_to_activate: wanted,
            fetch_variables: self.request.fetch_variable.clone(),
            jobs: Vec::new(),
            truncated: false,
        };
        match activate_on(&self.gateway, partition, batch).await {
            Ok(activated) => Ok(activated.take()),
            Err(NotActivated::Unanswered(error)) => Err(Unanswered::Skipped(error)),
            Err(NotActivated::Failed(status)) => Err(Unanswered::Broken(Broken::Failed(status))),
        }
    }

    /// Sends jobs to the client, in as many messages as their size needs. Gives how many it got.
    async fn deliver(&self, jobs: Vec<values::ActivatedJob>) -> Result<i32, Broken> {
        let bytes_max = self.gateway.config.max_message_size;
        let (messages, oversize) = into_messages(jobs, bytes_max);
        if !oversize.is_empty() {
            let reason = format!(
                "The job with its variables and headers does not fit into a message of {bytes_max} bytes; ask for fewer \
                 variables with fetchVariable, or raise the message size of gateway and clients"
            );
            hand_back(&self.gateway, oversize, &reason, OVERSIZE_JOB_PAUSE).await;
        }
        let mut delivered = 0;
        let mut messages = messages.into_iter();
        while let Some(response) = messages.next() {
            let sent: Vec<Undelivered> = response.jobs.iter().map(Undelivered::from).collect();
            let count = sent.len() as i32;
            if !self.send(response).await {
                let rest = messages.flat_map(|message| message.jobs);
                let jobs = sent
                    .into_iter()
                    .chain(rest.map(|job| Undelivered::from(&job)));
                let reason = "The client that asked for the job did not take it";
                hand_back(&self.gateway, jobs.collect(), reason, Duration::ZERO).await;
                return Err(Broken::ClientGone);
            }
            delivered += count;
        }
        Ok(delivered)
    }

    /// Whether the transport took the message.
    async fn send(&self, response: ActivateJobsResponse) -> bool {
        let (taken, was_taken) = oneshot::channel();
        let delivery = Delivery { response, taken };
        self.out.send(Ok(delivery)).await.is_ok() && was_taken.await.is_ok()
    }

    fn all_exhausted(&self) -> Status {
        status::status(
            Code::ResourceExhausted,
            format!(
                "Expected to activate jobs of type '{}', but no jobs available and at least one broker returned \
                 'RESOURCE_EXHAUSTED'. Please try again later.",
                self.request.r#type
            ),
        )
    }
}

/// Makes jobs activatable again, with as many retries as before.
pub async fn hand_back(gateway: &Gateway, jobs: Vec<Undelivered>, reason: &str, pause: Duration) {
    let hand_back = |undelivered: Undelivered| async move {
        let job = Job {
            retries: undelivered.retries,
            error_message: reason.to_owned(),
            retry_back_off: pause.as_millis() as i64,
            ..jobs::job()
        };
        let deadline = Instant::now() + gateway.config.request_timeout;
        let failed = gateway.on_key(undelivered.key, JobIntent::Fail, job, deadline);
        if let Err(status) = failed.await {
            warn!(job_key = undelivered.key, %status, "hand back a job; it stays locked until its timeout");
        }
    };
    stream::iter(jobs)
        .for_each_concurrent(HAND_BACK_PARALLEL_MAX, hand_back)
        .await;
}

/// Why a partition gave no batch.
enum Unanswered {
    /// The next partition may give one.
    Skipped(BrokerError),
    /// The request ends.
    Broken(Broken),
}

impl From<&ActivatedJob> for Undelivered {
    fn from(job: &ActivatedJob) -> Undelivered {
        Undelivered::new(job.key, job.retries)
    }
}

/// Puts jobs into messages of limited size, in order. Gives also those that fit into none.
fn into_messages(
    jobs: Vec<values::ActivatedJob>,
    bytes_max: usize,
) -> (Vec<ActivateJobsResponse>, Vec<Undelivered>) {
    let mut messages: Vec<ActivateJobsResponse> = Vec::new();
    let mut oversize = Vec::new();
    let mut bytes = 0;
    for activated in jobs {
        let job = to_client(activated.key, activated.job.unwrap_or_default());
        let job_bytes = bytes_in_message(&job);
        if job_bytes > bytes_max {
            oversize.push(Undelivered::from(&job));
            continue;
        }
        match messages.last_mut() {
            Some(message) if bytes + job_bytes <= bytes_max => message.jobs.push(job),
            _ => {
                bytes = 0;
                messages.push(ActivateJobsResponse { jobs: vec![job] });
            }
        }
        bytes += job_bytes;
    }
    (messages, oversize)
}

/// What a job adds to its message: itself behind its tag and its length.
fn bytes_in_message(job: &ActivatedJob) -> usize {
    let bytes = job.encoded_len();
    1 + prost::length_delimiter_len(bytes) + bytes
}

/// A job as clients get it.
pub fn to_client(key: i64, job: Job) -> ActivatedJob {
    ActivatedJob {
        key,
        r#type: job.job_type,
        process_instance_key: job.process_instance_key,
        bpmn_process_id: job.bpmn_process_id,
        process_definition_version: job.process_definition_version,
        process_definition_key: job.process_definition_key,
        element_id: job.element_id,
        element_instance_key: job.element_instance_key,
        custom_headers: documents::or_empty_object(job.custom_headers),
        worker: job.worker,
        retries: job.retries,
        deadline: job.deadline,
        variables: documents::or_empty_object(job.variables),
        tenant_id: DEFAULT_TENANT.to_owned(),
        // The zero of this enumeration means something, so the absence must be said.
        listener_event_type: ListenerEventType::Unspecified as i32,
        ..ActivatedJob::default()
    }
}
