//! Pushing jobs: as soon as a partition has a job of a type, it is activated for a client that has a stream of the type open.
//!
//! One task per registration asks the partitions that have news for as many jobs as its clients have room for, and no more:
//! what they have no room for stays there, for those who poll. What a partition rejects ends the streams with its reason. Jobs that were there before a stream was opened are for those
//! who poll as well.

use std::collections::{BTreeMap, VecDeque};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use futures::{FutureExt, Stream, StreamExt, stream};
use prost::Message as _;
use skep_protocol::values::JobBatch;
use skep_protocol::{JobIntent, PartitionId};
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{Notify, broadcast, mpsc};
use tokio::time::{Instant, sleep_until};
use tonic::{Code, Request, Response, Status};
use tracing::{debug, warn};

use super::activate_jobs::{self, Undelivered, to_client};
use super::activation::{Activated, NotActivated, activate_on};
use super::{Gateway, check_name, check_tenant, jobs};
use crate::brokers::JobsAvailable;
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
        let pusher = Pusher::new(gateway, registration, &joined.room);
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
///
/// Each partition is asked on its own: one that refuses or does not answer keeps no other from being asked.
struct Pusher {
    gateway: Arc<Gateway>,
    registration: Registration,
    room: Arc<Notify>,
    /// Partitions that may have jobs, the one that has waited longest first.
    waiting: VecDeque<PartitionId>,
    /// Those that gave no jobs the last time though they may have some, and when they are asked again.
    paused: BTreeMap<PartitionId, Instant>,
    /// Those that are being asked, and for how many jobs.
    asked: BTreeMap<PartitionId, usize>,
    answers: FuturesUnordered<BoxFuture<'static, (PartitionId, Answer)>>,
}

type Answer = Result<Activated, NotActivated>;

impl Pusher {
    fn new(gateway: &Arc<Gateway>, registration: Registration, room: &Arc<Notify>) -> Pusher {
        Pusher {
            gateway: Arc::clone(gateway),
            registration,
            room: Arc::clone(room),
            waiting: VecDeque::new(),
            paused: BTreeMap::new(),
            asked: BTreeMap::new(),
            answers: FuturesUnordered::new(),
        }
    }

    async fn run(mut self, mut news: broadcast::Receiver<JobsAvailable>) {
        if let Err(status) = self.serve(&mut news).await {
            self.gateway.streams.end(&self.registration, &status);
        }
    }

    /// Ends when the last client has gone, or with what those that there are get.
    async fn serve(&mut self, news: &mut broadcast::Receiver<JobsAvailable>) -> Result<(), Status> {
        let stops = || Status::unavailable("The gateway is shutting down");
        let mut stopped = self.gateway.stopped.clone();
        while let Some(room) = self.gateway.streams.room(&self.registration) {
            let now = Instant::now();
            self.ask_those_that_wait(room, now);
            let again = self.next_pause_end(now);
            tokio::select! {
                received = news.recv() => {
                    if !self.note(received) {
                        return Err(stops());
                    }
                }
                Some((partition, answer)) = self.answers.next() => self.answered(partition, answer)?,
                () = self.room.notified() => {}
                () = sleep_until(again.unwrap_or_else(Instant::now)), if again.is_some() => {}
                // An error means that the gateway is gone, which is a stop as well.
                _ = stopped.wait_for(|stopped| *stopped) => return Err(stops()),
            }
            while let Some(received) = next_of(news) {
                self.note(received);
            }
        }
        Ok(())
    }

    /// Takes news in. `false` when there will be none any more.
    fn note(&mut self, received: Result<JobsAvailable, RecvError>) -> bool {
        match received {
            Ok(news) => {
                let own = &self.registration.job_type;
                if news.job_type.is_none_or(|one| one == *own) {
                    self.await_turn(news.partition);
                }
            }
            Err(RecvError::Lagged(_)) => {
                let topology = self.gateway.brokers.topology();
                routing::led(&topology, 0).for_each(|partition| self.await_turn(partition));
            }
            Err(RecvError::Closed) => return false,
        }
        true
    }

    fn await_turn(&mut self, partition: PartitionId) {
        if !self.waiting.contains(&partition) {
            self.waiting.push_back(partition);
        }
    }

    /// When the next may be asked again. Those that may be asked already wait for nothing but room.
    fn next_pause_end(&self, now: Instant) -> Option<Instant> {
        let ends = self.paused.values().filter(|until| **until > now);
        ends.min().copied()
    }

    /// Asks the partitions that wait for as many jobs as there is room for, beside those that are asked for already.
    fn ask_those_that_wait(&mut self, room: usize, now: Instant) {
        if self.waiting.is_empty() {
            return;
        }
        let topology = self.gateway.brokers.topology();
        let is_over = |until: &Instant| *until <= now;
        // A partition that is led by nobody tells when it is led again.
        let leaderless = |partition: &PartitionId| !topology.has_leader(*partition);
        let given_up: Vec<PartitionId> = self
            .paused
            .extract_if(.., |partition, until| {
                is_over(until) && leaderless(partition)
            })
            .map(|(partition, _)| partition)
            .collect();
        self.waiting.retain(|one| !given_up.contains(one));
        let is_due = |one: &PartitionId| {
            !self.asked.contains_key(one) && self.paused.get(one).is_none_or(is_over)
        };
        let due: Vec<PartitionId> = self.waiting.iter().copied().filter(is_due).collect();
        let mut free = room.saturating_sub(self.asked.values().sum());
        for (done, partition) in due.iter().enumerate() {
            if free == 0 {
                return;
            }
            // Room that is kept for a partition that may not answer again is kept from the others.
            let wanted = match self.paused.remove(partition) {
                Some(_) => 1,
                None => (free / (due.len() - done)).clamp(1, STREAM_BATCH_JOBS_MAX),
            };
            free -= wanted;
            self.ask(*partition, wanted);
        }
    }

    fn ask(&mut self, partition: PartitionId, wanted: usize) {
        let asked = &self.registration;
        let batch = JobBatch {
            job_type: asked.job_type.clone(),
            worker: asked.worker.clone(),
            timeout: asked.timeout,
            max_jobs_to_activate: wanted as i32,
            fetch_variables: asked.fetch_variables.clone(),
            jobs: Vec::new(),
            truncated: false,
        };
        self.waiting.retain(|one| *one != partition);
        self.asked.insert(partition, wanted);
        let gateway = Arc::clone(&self.gateway);
        let answer = async move { (partition, activate_on(&gateway, partition, batch).await) };
        self.answers.push(answer.boxed());
    }

    fn answered(&mut self, partition: PartitionId, answer: Answer) -> Result<(), Status> {
        let wanted = self.asked.remove(&partition).unwrap_or(0);
        match answer {
            Ok(activated) => {
                let batch = activated.take();
                if batch.truncated || batch.jobs.len() >= wanted {
                    self.await_turn(partition);
                }
                self.deliver(batch);
            }
            Err(NotActivated::Unanswered(error)) => {
                debug!(%partition, job_type = self.registration.job_type, %error, "no jobs from this partition");
                self.await_turn(partition);
                self.paused
                    .insert(partition, Instant::now() + STREAM_RETRY_PAUSE);
            }
            Err(NotActivated::Failed(status)) => return Err(status),
        }
        Ok(())
    }

    fn deliver(&self, batch: JobBatch) {
        let bytes_max = self.gateway.config.max_message_size;
        let (mut unwanted, mut oversize) = (Vec::new(), Vec::new());
        for activated in batch.jobs {
            let job = to_client(activated.key, activated.job.unwrap_or_default());
            if job.encoded_len() > bytes_max {
                oversize.push(Undelivered::from(&job));
            } else if !self.gateway.streams.push(&self.registration, job) {
                unwanted.push(activated.key);
            }
        }
        if unwanted.is_empty() && oversize.is_empty() {
            return;
        }
        let gateway = Arc::clone(&self.gateway);
        tokio::spawn(async move {
            let reason = format!(
                "The job with its variables and headers does not fit into a message of {bytes_max} bytes; ask for fewer variables with \
                 fetchVariable, or raise the message size of gateway and clients"
            );
            activate_jobs::hand_back(&gateway, oversize, &reason, OVERSIZE_JOB_PAUSE).await;
            give_back(&gateway, unwanted).await;
        });
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
