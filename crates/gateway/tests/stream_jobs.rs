//! Jobs that are pushed to clients.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};
use std::time::Duration;

use futures::FutureExt;
use skep_gateway::proto::StreamActivatedJobsRequest;
use skep_gateway::{BrokerError, GatewayConfig};
use skep_protocol::PartitionId;
use skep_protocol::values::{ActivatedJob, JobBatch};
use skep_protocol::{JobBatchIntent, JobIntent, Rejection};
use support::*;
use tokio::sync::mpsc;
use tonic::Code;

fn request() -> StreamActivatedJobsRequest {
    StreamActivatedJobsRequest {
        r#type: "pay".to_owned(),
        worker: "w".to_owned(),
        timeout: 1_000,
        fetch_variable: vec!["a".to_owned()],
        tenant_ids: vec!["<default>".to_owned()],
    }
}

/// Brokers that have so many jobs of the type, each of so many bytes; what is yielded is told.
fn stock(count: i32, bytes: usize) -> (Arc<Fake>, mpsc::UnboundedReceiver<i64>) {
    let left = AtomicI32::new(count);
    let (yielded, told) = mpsc::unbounded_channel();
    let brokers = Fake::new(1, move |_, command| {
        let Some(wanted) = wanted(command) else {
            if command.intent == JobIntent::Yield.into() {
                yielded.send(command.key.0).unwrap();
            }
            return echo(command);
        };
        let before = left.load(Ordering::SeqCst);
        let taken = before.min(wanted.max_jobs_to_activate);
        left.store(before - taken, Ordering::SeqCst);
        let variables = format!("{{\"a\":\"{}\"}}", "x".repeat(bytes));
        let jobs: Vec<ActivatedJob> = (0..taken)
            .map(|index| job(key(1, (before - index) as u64), 3, &variables))
            .collect();
        batch(jobs)
    });
    (brokers, told)
}

#[tokio::test]
async fn what_makes_no_sense_is_refused() {
    let mut client = start(Fake::new(1, |_, command| echo(command))).await.client;
    let cases = [
        (
            StreamActivatedJobsRequest {
                r#type: " ".to_owned(),
                ..request()
            },
            "Expected to stream activated jobs with type to be present, but it was blank",
        ),
        (
            StreamActivatedJobsRequest {
                timeout: 0,
                ..request()
            },
            "Expected to stream activated jobs with timeout to be greater than zero, but it was '0'",
        ),
    ];
    for (request, expected) in cases {
        let status = client.stream_activated_jobs(request).await.unwrap_err();
        assert_eq!(status.code(), Code::InvalidArgument);
        assert_eq!(status.message(), expected);
    }
    let foreign = StreamActivatedJobsRequest {
        tenant_ids: vec!["other".to_owned()],
        ..request()
    };
    let status = client.stream_activated_jobs(foreign).await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);
}

#[tokio::test]
async fn jobs_are_pushed_when_there_is_news_and_as_they_were_asked_for() {
    let (brokers, _) = stock(3, 1);
    let mut client = start(brokers.clone()).await.client;
    let mut jobs = client
        .stream_activated_jobs(request())
        .await
        .unwrap()
        .into_inner();
    brokers.announce("other");
    brokers.announce("pay");
    for counter in (1..=3).rev() {
        let job = jobs.message().await.unwrap().unwrap();
        assert_eq!(
            (job.key, job.variables.as_str()),
            (key(1, counter), r#"{"a":"x"}"#)
        );
        assert_eq!(job.custom_headers, "{}");
    }
    let asked = brokers.seen_of(JobBatchIntent::Activate);
    let batch = wanted(&asked[0].1).unwrap();
    let expected = JobBatch {
        job_type: "pay".to_owned(),
        worker: "w".to_owned(),
        timeout: 1_000,
        max_jobs_to_activate: batch.max_jobs_to_activate,
        fetch_variables: vec!["a".to_owned()],
        jobs: Vec::new(),
        truncated: false,
    };
    assert_eq!(*batch, expected);
}

#[tokio::test]
async fn a_client_that_does_not_read_gets_no_more_than_fits_and_gives_the_rest_back() {
    let (brokers, mut yielded) = stock(1_000, 100_000);
    let served = start(brokers.clone()).await;
    let mut client = served.client.clone();
    let jobs = client.stream_activated_jobs(request()).await.unwrap();
    brokers.announce("pay");
    // Jobs come until neither the transport nor the gateway's buffer has room; then the client goes.
    let mut first = jobs.into_inner();
    first.message().await.unwrap().unwrap();
    drop(first);
    let given_back = yielded.recv().await.unwrap();
    assert!(given_back > 0);
}

#[tokio::test]
async fn streams_that_ask_for_the_same_share_the_jobs() {
    let (brokers, _) = stock(2, 1);
    let mut client = start(brokers.clone()).await.client;
    let mut one = client
        .stream_activated_jobs(request())
        .await
        .unwrap()
        .into_inner();
    let mut other = client
        .stream_activated_jobs(request())
        .await
        .unwrap()
        .into_inner();
    brokers.announce("pay");
    one.message().await.unwrap().unwrap();
    other.message().await.unwrap().unwrap();
    assert_eq!(brokers.seen_of(JobBatchIntent::Activate).len(), 1);
}

#[tokio::test]
async fn a_partition_that_may_have_jobs_of_any_type_is_asked() {
    let (brokers, _) = stock(1, 1);
    let mut client = start(brokers.clone()).await.client;
    let jobs = client.stream_activated_jobs(request()).await.unwrap();
    brokers.announce_on(PartitionId(1), None);
    jobs.into_inner().message().await.unwrap().unwrap();
}

#[tokio::test]
async fn streams_end_with_the_gateway() {
    let (brokers, _) = stock(0, 1);
    let served = start(brokers).await;
    let mut client = served.client.clone();
    let mut jobs = client
        .stream_activated_jobs(request())
        .await
        .unwrap()
        .into_inner();
    served.stop.send(()).unwrap();
    let status = jobs.message().await.unwrap_err();
    assert_eq!(status.code(), Code::Unavailable);
    served.ended.await.unwrap().unwrap();
}

/// Brokers of two partitions: the first does as it is told when it is asked for jobs, the second has so many.
fn beside(count: i32, first: impl Fn() -> Option<Answer> + Send + Sync + 'static) -> Arc<Fake> {
    let left = AtomicI32::new(count);
    Fake::slow(2, move |partition, command| {
        let answer = match wanted(command) {
            None => echo(command),
            Some(_) if partition == PartitionId(1) => match first() {
                Some(answer) => answer,
                None => return std::future::pending().boxed(),
            },
            Some(wanted) => {
                let before = left.load(Ordering::SeqCst);
                let taken = before.min(wanted.max_jobs_to_activate);
                left.store(before - taken, Ordering::SeqCst);
                let job_of = |index| job(key(2, (before - index) as u64), 3, "");
                batch((0..taken).map(job_of).collect())
            }
        };
        std::future::ready(answer).boxed()
    })
}

fn exhausted() -> Option<Answer> {
    let message = "Reached maximum capacity of requests handled".to_owned();
    Some(Err(BrokerError::ResourceExhausted { message }))
}

#[tokio::test]
async fn a_partition_that_refuses_or_is_silent_keeps_no_other_from_being_asked() {
    let silent = || None;
    for brokers in [beside(100, exhausted), beside(100, silent)] {
        let config = GatewayConfig {
            request_timeout: Duration::from_millis(50),
            ..GatewayConfig::default()
        };
        let served = start_with(brokers.clone(), config).await;
        let mut client = served.client.clone();
        let mut jobs = client
            .stream_activated_jobs(request())
            .await
            .unwrap()
            .into_inner();
        brokers.announce_on(PartitionId(1), None);
        brokers.announce_on(PartitionId(2), None);
        for counter in (1..=100).rev() {
            let job = jobs.message().await.unwrap().unwrap();
            assert_eq!(job.key, key(2, counter));
        }
        served.stop.send(()).unwrap();
        let status = jobs.message().await.unwrap_err();
        assert_eq!(status.code(), Code::Unavailable);
    }
}

#[tokio::test]
async fn a_partition_that_refused_is_asked_again() {
    let refusals = AtomicI32::new(2);
    let brokers = beside(0, move || {
        if refusals.fetch_sub(1, Ordering::SeqCst) > 0 {
            return exhausted();
        }
        Some(batch(vec![job(key(1, 1), 3, "")]))
    });
    let mut client = start(brokers.clone()).await.client;
    let jobs = client.stream_activated_jobs(request()).await.unwrap();
    brokers.announce("pay");
    let job = jobs.into_inner().message().await.unwrap().unwrap();
    assert_eq!(job.key, key(1, 1));
}

#[tokio::test]
async fn what_a_partition_rejects_ends_the_streams_with_its_reason() {
    let reason = "Expected to activate job batch with timeout to be less than a year";
    let brokers = beside(0, move || {
        Some(Ok(Err(Rejection::invalid_argument(reason))))
    });
    let mut client = start(brokers.clone()).await.client;
    let jobs = client.stream_activated_jobs(request()).await.unwrap();
    brokers.announce("pay");
    let status = jobs.into_inner().message().await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);
    assert!(status.message().contains(reason), "{status:?}");
}

#[tokio::test]
async fn jobs_that_come_when_the_stream_is_gone_go_back() {
    let gate = Arc::new(tokio::sync::Notify::new());
    let opened = Arc::clone(&gate);
    let brokers = Fake::slow(1, move |_, command| {
        if wanted(command).is_none() {
            return std::future::ready(echo(command)).boxed();
        }
        let opened = Arc::clone(&opened);
        let jobs = async move {
            opened.notified().await;
            batch(vec![job(key(1, 7), 3, "")])
        };
        jobs.boxed()
    });
    let mut client = start(brokers.clone()).await.client;
    let jobs = client.stream_activated_jobs(request()).await.unwrap();
    brokers.announce("pay");
    brokers.until_seen(JobBatchIntent::Activate, 1).await;
    drop(jobs);
    // What listens to news for the stream ends when the gateway knows that the client is gone; the gateway itself goes on to listen.
    let gone = async {
        while brokers.announce.receiver_count() > 1 {
            tokio::task::yield_now().await;
        }
    };
    let patience = Duration::from_secs(30);
    tokio::time::timeout(patience, gone).await.unwrap();
    gate.notify_one();
    let back = brokers.until_seen(JobIntent::Fail, 1).await;
    assert_eq!(back[0].key.0, key(1, 7));
}
