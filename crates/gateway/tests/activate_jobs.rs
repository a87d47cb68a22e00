//! Handing out jobs: fan-out, waiting, handing back.

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU32, Ordering::SeqCst};
use std::time::Duration;

use futures::FutureExt;
use skep_gateway::proto::{ActivateJobsRequest, ActivateJobsResponse};
use skep_gateway::{BrokerError, GatewayConfig, LongPollingConfig};
use skep_protocol::values::{Job, JobBatch};
use skep_protocol::{Command, JobBatchIntent, JobIntent, RecordValue, Rejection};
use support::*;
use tokio::sync::Notify;
use tonic::{Code, Request, Status, Streaming};

const NO_WAIT: i64 = -1;
/// Longer than any test takes.
const LONG: i64 = 600_000;

fn request(max_jobs: i32, request_timeout: i64) -> ActivateJobsRequest {
    ActivateJobsRequest {
        r#type: "pay".to_owned(),
        worker: "me".to_owned(),
        timeout: 1000,
        max_jobs_to_activate: max_jobs,
        request_timeout,
        ..ActivateJobsRequest::default()
    }
}

async fn all(
    mut stream: Streaming<ActivateJobsResponse>,
) -> Result<Vec<ActivateJobsResponse>, Status> {
    let mut messages = Vec::new();
    while let Some(message) = stream.message().await? {
        messages.push(message);
    }
    Ok(messages)
}

fn keys(messages: &[ActivateJobsResponse]) -> Vec<Vec<i64>> {
    messages
        .iter()
        .map(|message| message.jobs.iter().map(|job| job.key).collect())
        .collect()
}

fn job_of(command: &Command) -> Job {
    match &command.value {
        RecordValue::Job(job) => job.clone(),
        other => panic!("not a job: {other:?}"),
    }
}

#[tokio::test]
async fn every_partition_is_asked_for_what_is_still_wanted() {
    let brokers = Fake::new(3, |partition, command| match wanted(command) {
        Some(_) => batch(vec![
            job(key(partition.0, 1), 3, ""),
            job(key(partition.0, 2), 3, "{\"a\":1.0}"),
        ]),
        None => echo(command),
    });
    let mut served = start(brokers.clone()).await;
    let messages = all(served
        .client
        .activate_jobs(request(5, LONG))
        .await
        .unwrap()
        .into_inner())
    .await
    .unwrap();
    assert_eq!(
        messages.len(),
        3,
        "one message for each partition that has some"
    );
    let asked: Vec<i32> = brokers
        .seen()
        .iter()
        .map(|(_, command)| wanted(command).unwrap().max_jobs_to_activate)
        .collect();
    assert_eq!(asked, [5, 3, 1]);
    let first = &messages[0].jobs;
    assert_eq!(
        (
            first[0].variables.as_str(),
            first[0].custom_headers.as_str()
        ),
        ("{}", "{}")
    );
    assert_eq!(first[1].variables, "{\"a\":1.0}");
    assert_eq!(first[0].tenant_id, "<default>");
    assert_eq!(first[0].listener_event_type, 6);
}

#[tokio::test]
async fn a_request_that_is_satisfied_asks_no_further_partition() {
    let brokers = Fake::new(3, |partition, _| {
        batch(vec![job(key(partition.0, 1), 3, "")])
    });
    let mut served = start(brokers.clone()).await;
    all(served
        .client
        .activate_jobs(request(1, LONG))
        .await
        .unwrap()
        .into_inner())
    .await
    .unwrap();
    assert_eq!(brokers.seen().len(), 1);
}

#[tokio::test]
async fn a_partition_that_left_jobs_out_for_size_is_asked_again() {
    let round = AtomicI32::new(0);
    let brokers = Fake::new(1, move |_, _| {
        let round = round.fetch_add(1, SeqCst);
        let jobs = vec![job(key(1, 10 + round as u64), 3, "")];
        event(
            key(1, 1),
            JobBatchIntent::Activated,
            JobBatch {
                jobs,
                truncated: round < 2,
                ..JobBatch::default()
            },
        )
    });
    let mut served = start(brokers.clone()).await;
    let messages = all(served
        .client
        .activate_jobs(request(9, LONG))
        .await
        .unwrap()
        .into_inner())
    .await
    .unwrap();
    assert_eq!(keys(&messages), [[key(1, 10)], [key(1, 11)], [key(1, 12)]]);
}

#[tokio::test]
async fn without_waiting_no_jobs_is_a_regular_end() {
    let brokers = Fake::new(3, |_, _| batch(Vec::new()));
    let mut served = start(brokers.clone()).await;
    let messages = all(served
        .client
        .activate_jobs(request(1, NO_WAIT))
        .await
        .unwrap()
        .into_inner())
    .await
    .unwrap();
    assert!(messages.is_empty());
    assert_eq!(brokers.seen().len(), 3);
}

#[tokio::test]
async fn the_end_of_the_wait_is_a_regular_end_without_messages() {
    let brokers = Fake::new(1, |_, _| batch(Vec::new()));
    let mut served = start(brokers.clone()).await;
    let messages = all(served
        .client
        .activate_jobs(request(1, 20))
        .await
        .unwrap()
        .into_inner())
    .await
    .unwrap();
    assert!(messages.is_empty());
    assert_eq!(brokers.seen().len(), 1, "it waited and did not try again");
}

#[tokio::test]
async fn zero_waits_for_the_gateways_default() {
    let config = GatewayConfig {
        long_polling: LongPollingConfig {
            timeout: Duration::from_millis(20),
            ..LongPollingConfig::default()
        },
        ..GatewayConfig::default()
    };
    let brokers = Fake::new(1, |_, _| batch(Vec::new()));
    let mut served = start_with(brokers, config).await;
    let started = tokio::time::Instant::now();
    all(served
        .client
        .activate_jobs(request(1, 0))
        .await
        .unwrap()
        .into_inner())
    .await
    .unwrap();
    assert!(started.elapsed() >= Duration::from_millis(20));
}

#[tokio::test]
async fn with_long_polling_off_nobody_waits() {
    let config = GatewayConfig {
        long_polling: LongPollingConfig {
            enabled: false,
            ..LongPollingConfig::default()
        },
        ..GatewayConfig::default()
    };
    let mut served = start_with(Fake::new(1, |_, _| batch(Vec::new())), config).await;
    let messages = all(served
        .client
        .activate_jobs(request(1, LONG))
        .await
        .unwrap()
        .into_inner())
    .await
    .unwrap();
    assert!(messages.is_empty());
}

#[tokio::test]
async fn a_clients_own_deadline_ends_the_wait_regularly() {
    let mut served = start(Fake::new(1, |_, _| batch(Vec::new()))).await;
    let mut request = Request::new(request(1, LONG));
    // The client itself gives up then, unless the answer has begun.
    request.set_timeout(Duration::from_secs(2));
    let messages = all(served
        .client
        .activate_jobs(request)
        .await
        .unwrap()
        .into_inner())
    .await
    .unwrap();
    assert!(messages.is_empty());
}

#[tokio::test]
async fn an_announcement_brings_the_job_to_a_parked_request() {
    let available = Arc::new(AtomicBool::new(false));
    let jobs = available.clone();
    let brokers = Fake::new(1, move |_, _| match jobs.load(SeqCst) {
        true => batch(vec![job(key(1, 7), 3, "")]),
        false => batch(Vec::new()),
    });
    let mut served = start(brokers.clone()).await;
    let stream = served
        .client
        .activate_jobs(request(1, LONG))
        .await
        .unwrap()
        .into_inner();
    brokers.until_seen(JobBatchIntent::Activate, 1).await;
    available.store(true, SeqCst);
    brokers.announce("pay");
    assert_eq!(keys(&all(stream).await.unwrap()), [[key(1, 7)]]);
}

#[tokio::test]
async fn a_silent_type_is_probed() {
    let config = GatewayConfig {
        long_polling: LongPollingConfig {
            probe_timeout: Duration::from_millis(10),
            ..LongPollingConfig::default()
        },
        ..GatewayConfig::default()
    };
    let round = AtomicU32::new(0);
    let brokers = Fake::new(1, move |_, _| match round.fetch_add(1, SeqCst) {
        0 => batch(Vec::new()),
        _ => batch(vec![job(key(1, 7), 3, "")]),
    });
    let mut served = start_with(brokers, config).await;
    let stream = served
        .client
        .activate_jobs(request(1, LONG))
        .await
        .unwrap()
        .into_inner();
    assert_eq!(keys(&all(stream).await.unwrap()), [[key(1, 7)]]);
}

#[tokio::test]
async fn a_refused_request_ends_with_the_brokers_reason() {
    let reason = "Expected to activate job batch with type to be present, but it was blank";
    let mut served = start(Fake::new(3, move |_, _| {
        Ok(Err(Rejection::invalid_argument(reason)))
    }))
    .await;
    let stream = served
        .client
        .activate_jobs(request(0, LONG))
        .await
        .unwrap()
        .into_inner();
    let status = all(stream).await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);
    assert_eq!(
        status.message(),
        format!("Command 'ACTIVATE' rejected with code 'INVALID_ARGUMENT': {reason}")
    );
}

#[tokio::test]
async fn a_partition_that_fails_is_skipped() {
    let brokers = Fake::new(3, |partition, _| match partition.0 {
        1 => Err(BrokerError::PartitionLeaderMismatch { partition }),
        2 => Err(BrokerError::ResourceExhausted {
            message: "full".to_owned(),
        }),
        _ => batch(vec![job(key(3, 7), 3, "")]),
    });
    let mut served = start(brokers).await;
    let messages = all(served
        .client
        .activate_jobs(request(9, LONG))
        .await
        .unwrap()
        .into_inner())
    .await
    .unwrap();
    assert_eq!(keys(&messages), [[key(3, 7)]]);
}

#[tokio::test]
async fn no_jobs_and_an_exhausted_broker_is_resource_exhausted() {
    let brokers = Fake::new(3, |partition, _| match partition.0 {
        2 => Err(BrokerError::ResourceExhausted {
            message: "full".to_owned(),
        }),
        _ => batch(Vec::new()),
    });
    let mut served = start(brokers).await;
    let status = all(served
        .client
        .activate_jobs(request(9, LONG))
        .await
        .unwrap()
        .into_inner())
    .await
    .unwrap_err();
    assert_eq!(status.code(), Code::ResourceExhausted);
    assert_eq!(
        status.message(),
        "Expected to activate jobs of type 'pay', but no jobs available and at least one broker returned \
         'RESOURCE_EXHAUSTED'. Please try again later."
    );
}

#[tokio::test]
async fn jobs_that_come_after_the_client_went_are_handed_back() {
    let release = Arc::new(Notify::new());
    let released = release.clone();
    let brokers = Fake::slow(1, move |_, command| {
        if wanted(command).is_none() {
            return std::future::ready(echo(command)).boxed();
        }
        let released = released.clone();
        async move {
            released.notified().await;
            batch(vec![job(key(1, 7), 3, ""), job(key(1, 8), 1, "")])
        }
        .boxed()
    });
    let mut served = start(brokers.clone()).await;
    let stream = served
        .client
        .activate_jobs(request(5, LONG))
        .await
        .unwrap()
        .into_inner();
    brokers.until_seen(JobBatchIntent::Activate, 1).await;
    // The whole connection goes, which the gateway can't overlook.
    drop((stream, served.client));
    let mut probe =
        skep_gateway::proto::gateway_client::GatewayClient::connect(served.address.clone())
            .await
            .unwrap();
    probe
        .topology(skep_gateway::proto::TopologyRequest {})
        .await
        .unwrap();
    release.notify_one();
    let mut failed = brokers.until_seen(JobIntent::Fail, 2).await;
    failed.sort_by_key(|command| command.key);
    let handed_back: Vec<(i64, i32, i64)> = failed
        .iter()
        .map(|command| {
            (
                command.key.0,
                job_of(command).retries,
                job_of(command).retry_back_off,
            )
        })
        .collect();
    assert_eq!(handed_back, [(key(1, 7), 3, 0), (key(1, 8), 1, 0)]);
    assert!(!job_of(&failed[0]).error_message.is_empty());
}

#[tokio::test]
async fn a_client_that_leaves_while_it_waits_takes_no_job() {
    let brokers = Fake::new(1, |_, _| batch(Vec::new()));
    let mut served = start(brokers.clone()).await;
    let stream = served
        .client
        .activate_jobs(request(5, LONG))
        .await
        .unwrap()
        .into_inner();
    brokers.until_seen(JobBatchIntent::Activate, 1).await;
    drop((stream, served.client));
    served.stop.send(()).unwrap();
    served.ended.await.unwrap().unwrap();
    assert_eq!(brokers.seen().len(), 1);
}

#[tokio::test]
async fn jobs_go_into_as_many_messages_as_their_size_needs() {
    let config = GatewayConfig {
        max_message_size: 1000,
        ..GatewayConfig::default()
    };
    let variables = format!("{{\"a\":\"{}\"}}", "x".repeat(300));
    let giant = format!("{{\"a\":\"{}\"}}", "x".repeat(1000));
    let brokers = Fake::new(1, move |_, command| match wanted(command) {
        Some(_) => batch(vec![
            job(key(1, 1), 3, &variables),
            job(key(1, 2), 3, &variables),
            job(key(1, 3), 2, &giant),
            job(key(1, 4), 3, &variables),
        ]),
        None => echo(command),
    });
    let mut served = start_with(brokers.clone(), config).await;
    let messages = all(served
        .client
        .activate_jobs(request(4, NO_WAIT))
        .await
        .unwrap()
        .into_inner())
    .await
    .unwrap();
    assert_eq!(
        keys(&messages),
        [vec![key(1, 1), key(1, 2)], vec![key(1, 4)]]
    );
    for message in &messages {
        assert!(prost::Message::encoded_len(message) <= 1000);
    }
    let failed = brokers.until_seen(JobIntent::Fail, 1).await;
    assert_eq!(
        (failed[0].key.0, job_of(&failed[0]).retries),
        (key(1, 3), 2)
    );
    assert!(job_of(&failed[0]).error_message.contains("1000 bytes"));
}

#[tokio::test]
async fn a_parked_request_ends_as_unavailable_when_the_gateway_stops() {
    let brokers = Fake::new(1, |_, _| batch(Vec::new()));
    let mut served = start(brokers.clone()).await;
    let stream = served
        .client
        .activate_jobs(request(5, LONG))
        .await
        .unwrap()
        .into_inner();
    brokers.until_seen(JobBatchIntent::Activate, 1).await;
    served.stop.send(()).unwrap();
    assert_eq!(all(stream).await.unwrap_err().code(), Code::Unavailable);
}

#[tokio::test]
async fn jobs_that_come_after_the_gateway_has_given_up_waiting_go_back() {
    let late = Arc::new(Notify::new());
    let comes = late.clone();
    let brokers = Fake::slow(1, move |_, command| {
        if wanted(command).is_none() {
            return std::future::ready(echo(command)).boxed();
        }
        let comes = comes.clone();
        let jobs = async move {
            comes.notified().await;
            batch(vec![job(key(1, 7), 3, ""), job(key(1, 8), 5, "")])
        };
        jobs.boxed()
    });
    let config = GatewayConfig {
        request_timeout: Duration::from_millis(50),
        ..GatewayConfig::default()
    };
    let mut served = start_with(brokers.clone(), config).await;
    let stream = served.client.activate_jobs(request(2, NO_WAIT)).await;
    let messages = all(stream.unwrap().into_inner()).await.unwrap();
    assert!(messages.is_empty(), "nothing came in time");
    late.notify_one();
    let back = brokers.until_seen(JobIntent::Fail, 2).await;
    let mut back: Vec<(i64, i32)> = back
        .iter()
        .map(|command| (command.key.0, job_of(command).retries))
        .collect();
    back.sort_unstable();
    assert_eq!(back, [(key(1, 7), 3), (key(1, 8), 5)]);
}
