//! Metrics with Zeebe's names, of a broker that has done a known amount of work.

#![allow(clippy::unwrap_used, reason = "a test may panic, its helpers too")]

mod common;

use std::time::{Duration, Instant};

use common::cluster::Cluster;
use common::orders::{create, deploy};
use common::{PATIENCE, Place, repository};
use skep_gateway::proto::gateway_client::GatewayClient;
use skep_gateway::proto::{
    ActivateJobsRequest, CancelProcessInstanceRequest, CreateProcessInstanceRequest,
    CreateProcessInstanceWithResultRequest, FailJobRequest,
};
use tonic::transport::Channel;

/// The sum of all samples that have this name and these labels.
fn sum(metrics: &str, name: &str, labels: &[&str]) -> f64 {
    let of_name = |line: &&str| {
        line.strip_prefix(name)
            .is_some_and(|rest| rest.starts_with('{') || rest.starts_with(' '))
    };
    let matching = metrics
        .lines()
        .filter(of_name)
        .filter(|line| labels.iter().all(|label| line.contains(label)));
    let values = matching.map(|line| line.rsplit(' ').next().unwrap().parse::<f64>().unwrap());
    values.sum()
}

/// What a broker shows; awaits what is counted only after the answer.
fn scrape(place: &Place, holds: impl Fn(&str) -> bool) -> String {
    let end = Instant::now() + PATIENCE;
    loop {
        let (status, metrics) = place.get("/actuator/prometheus");
        assert_eq!(status, 200);
        if holds(&metrics) {
            return metrics;
        }
        assert!(Instant::now() < end, "{metrics}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn work_is_counted_by_what_has_happened_under_zeebes_names() {
    let place = Place::new(2);
    let broker = place.start();
    let order = repository().join("examples/order.bpmn");
    place.skep(&["deploy", order.to_str().unwrap()]);
    // Where the process has not come to yet, an instance is asked for more than once.
    let evaluations = "zeebe_stream_processor_processing_duration_seconds_count";
    scrape(&place, |seen| {
        let deployed = ["partition=\"2\"", "valueType=\"DEPLOYMENT\""];
        sum(seen, evaluations, &deployed) > 0.0
    });
    place.skep(&["start", "order", "--count", "12"]);
    for job_type in ["payment", "shipping"] {
        place.skep(&["work", job_type, "--max", "12"]);
    }
    place.skep(&["backup", "take", "1", "--wait"]);
    let executed = "zeebe_executed_instances_total";
    let root = "type=\"ROOT_PROCESS_INSTANCE\"";
    let calls = "grpc_server_processing_duration_seconds_count";
    let creations = ["method=\"CreateProcessInstance\"", "statusCode=\"OK\""];
    let metrics = scrape(&place, |seen| {
        sum(seen, executed, &[root, "action=\"completed\""]) >= 12.0
            && sum(seen, calls, &creations) >= 12.0
    });
    let of = |name: &str, labels: &[&str]| sum(&metrics, name, labels);
    assert_eq!(of(executed, &[root, "action=\"activated\""]), 12.0);
    let start = "creation_mode=\"creation_at_default_start_event\"";
    assert_eq!(of("zeebe_process_instance_creations_total", &[start]), 12.0);
    let jobs = "zeebe_job_events_total";
    assert_eq!(of(jobs, &["action=\"created\""]), 24.0);
    assert_eq!(of(jobs, &["action=\"completed\""]), 24.0);
    for job_type in ["type=\"payment\"", "type=\"shipping\""] {
        assert_eq!(of(jobs, &[job_type, "action=\"completed\""]), 12.0);
    }
    let elements = "zeebe_element_instance_events_total";
    for element in ["START_EVENT", "SERVICE_TASK"] {
        let element = format!("type=\"{element}\"");
        let seen = of(elements, &[&element, "action=\"completed\""]);
        assert!(seen >= 12.0, "{element}: {seen}\n{metrics}");
    }
    assert!(of(elements, &["action=\"taken\""]) >= 12.0);
    let records = "zeebe_stream_processor_records_total";
    let [written, processed] =
        ["written", "processed"].map(|action| of(records, &[&format!("action=\"{action}\"")]));
    assert!(
        written > processed && processed > 24.0,
        "{written} {processed}"
    );
    let created = "result=\"created\"";
    assert_eq!(of("zeebe_checkpoint_records_total", &[created]), 2.0);
    assert!(of("zeebe_received_request_count_total", &[]) >= 25.0);
    assert_eq!(of("zeebe_dropped_request_count_total", &[]), 0.0);
    for partition in ["partition=\"1\"", "partition=\"2\""] {
        assert_eq!(of("zeebe_health", &[partition]), 1.0);
        assert_eq!(of("atomix_role", &[partition]), 3.0);
        let group = [partition, "partitionGroupName=\"raft-partition\""];
        let committed = of("atomix_partition_raft_commit_index", &group);
        assert!(committed > 0.0);
        assert!(of("atomix_partition_raft_append_index", &group) >= committed);
        assert!(of("skep_raft_term", &[partition]) > 0.0);
        assert!(of("skep_raft_given_way", &[partition]) >= 0.0);
        let transition = "zeebe_leader_transition_latency_seconds{";
        assert!(metrics.contains(&format!("{transition}{partition}}}")));
        let roles = "zeebe_gateway_topology_partition_roles";
        assert_eq!(of(roles, &[partition, "broker=\"0\""]), 3.0);
    }
    for (histogram, count) in [
        ("zeebe_process_instance_execution_time_seconds", 12.0),
        ("zeebe_job_activation_time_seconds", 24.0),
        ("zeebe_job_life_time_seconds", 24.0),
    ] {
        assert_eq!(of(&format!("{histogram}_count"), &[]), count, "{histogram}");
        assert!(of(&format!("{histogram}_sum"), &[]) > 0.0, "{histogram}");
    }
    let requests = "zeebe_gateway_total_requests_total";
    let answers = "zeebe_gateway_request_latency_seconds_count";
    for (value_type, intent, count) in [
        ("PROCESS_INSTANCE_CREATION", "CREATE", 12.0),
        ("JOB", "COMPLETE", 24.0),
    ] {
        let labels = [
            format!("valueType=\"{value_type}\""),
            format!("intent=\"{intent}\""),
        ];
        let labels = labels.each_ref().map(String::as_str);
        assert_eq!(of(evaluations, &labels), count, "{value_type}");
        let request = format!("requestType=\"{value_type}#{intent}\"");
        assert_eq!(of(requests, &[&request]), count, "{value_type}");
        assert_eq!(of(answers, &[&request]), count, "{value_type}");
    }
    assert_eq!(of("zeebe_gateway_failed_requests_total", &[]), 0.0);
    assert!(of("zeebe_stream_processor_latency_seconds_count", &[]) >= 36.0);
    for partition in ["partition=\"1\"", "partition=\"2\""] {
        let committed = of("zeebe_log_appender_last_committed_position", &[partition]);
        assert!(committed > 0.0, "{partition}");
        let commits = of(
            "zeebe_log_appender_commit_latency_seconds_count",
            &[partition],
        );
        assert!(commits > 0.0, "{partition}");
    }
    assert_eq!(of(calls, &creations), 12.0);
    let last = "grpc_server_processing_duration_seconds_bucket";
    let [method, status] = creations;
    assert_eq!(of(last, &[method, status, "le=\"+Inf\""]), 12.0);
    assert_eq!(broker.stop(), Some(0));
}

#[test]
fn a_request_whose_answer_nobody_waits_for_any_more_counts_as_timed_out() {
    let place = Place::new(1);
    let broker = place.start();
    let order = repository().join("examples/order.bpmn");
    place.skep(&["deploy", order.to_str().unwrap()]);
    // Nobody works on its jobs.
    let request = CreateProcessInstanceWithResultRequest {
        request: Some(CreateProcessInstanceRequest {
            bpmn_process_id: "order".to_owned(),
            version: -1,
            ..CreateProcessInstanceRequest::default()
        }),
        request_timeout: 100,
        ..CreateProcessInstanceWithResultRequest::default()
    };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let result = runtime.block_on(async {
        let address = format!("http://{}", place.variable("ZEEBE_ADDRESS"));
        let mut client = GatewayClient::connect(address).await.unwrap();
        client.create_process_instance_with_result(request).await
    });
    assert_eq!(result.unwrap_err().code(), tonic::Code::DeadlineExceeded);
    let kind =
        "requestType=\"PROCESS_INSTANCE_CREATION#CREATE_WITH_AWAITING_RESULT\",partition=\"1\"";
    let failed = [kind, "error=\"TIMEOUT\""];
    let metrics = scrape(&place, |seen| {
        sum(seen, "zeebe_gateway_failed_requests_total", &failed) == 1.0
    });
    let of = |name: &str, labels: &[&str]| sum(&metrics, name, labels);
    assert_eq!(of("zeebe_gateway_failed_requests_total", &[]), 1.0);
    assert_eq!(of("zeebe_gateway_total_requests_total", &[kind]), 1.0);
    assert_eq!(broker.stop(), Some(0));
}

/// Has the first job of each of so many orders fail for good; gives the instances.
async fn fail_orders(client: &mut GatewayClient<Channel>, count: i32) -> Vec<i64> {
    let request = ActivateJobsRequest {
        r#type: "payment".to_owned(),
        timeout: 600_000,
        max_jobs_to_activate: count,
        request_timeout: 60_000,
        ..ActivateJobsRequest::default()
    };
    let mut answers = client.activate_jobs(request).await.unwrap().into_inner();
    let jobs = answers.message().await.unwrap().unwrap().jobs;
    assert_eq!(jobs.len(), count as usize);
    for job in &jobs {
        let failure = FailJobRequest {
            job_key: job.key,
            ..FailJobRequest::default()
        };
        client.fail_job(failure).await.unwrap();
    }
    jobs.iter().map(|job| job.process_instance_key).collect()
}

#[test]
fn incidents_are_known_also_those_that_were_there_before_the_leader() {
    let place = Place::new(1);
    let order = repository().join("examples/order.bpmn");
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let address = format!("http://{}", place.variable("ZEEBE_ADDRESS"));
    let connect = || runtime.block_on(GatewayClient::connect(address.clone()));
    let await_open = |open: u32| {
        let shown = format!("zeebe_pending_incidents_total{{partition=\"1\"}} {open}");
        scrape(&place, |seen| seen.lines().any(|line| line == shown));
    };
    let broker = place.start();
    await_open(0);
    place.skep(&["deploy", order.to_str().unwrap()]);
    place.skep(&["start", "order", "--count", "3"]);
    let mut client = connect().unwrap();
    let instances = runtime.block_on(fail_orders(&mut client, 3));
    await_open(3);
    assert_eq!(broker.stop(), Some(0));

    // The new leader has seen none of them happen.
    let broker = place.start();
    await_open(3);
    let mut client = connect().unwrap();
    let cancelled = CancelProcessInstanceRequest {
        process_instance_key: instances[1],
        ..CancelProcessInstanceRequest::default()
    };
    let cancelled = runtime.block_on(client.cancel_process_instance(cancelled));
    cancelled.unwrap();
    await_open(2);
    place.skep(&["start", "order"]);
    runtime.block_on(fail_orders(&mut client, 1));
    await_open(3);
    assert_eq!(broker.stop(), Some(0));
}

#[test]
fn in_a_cluster_each_event_is_counted_once_where_it_was_evaluated() {
    let cluster = Cluster::new(3, 3, 3);
    let mut brokers = cluster.start();
    cluster.await_topology(0, |seen| seen.count(", HEALTHY") == 9);
    cluster.rebalance(0);
    // Each leads one partition and follows in two.
    for place in &cluster.places {
        scrape(place, |seen| sum(seen, "atomix_role", &[]) == 5.0);
    }
    deploy(&cluster.places[0]);
    let created = create(&cluster.places[1], 30);
    // What all followers have is seen by each leader in the end.
    for place in &cluster.places {
        scrape(place, |seen| {
            seen.matches("atomix_non_replicated_entries{").count() == 2
                && sum(seen, "atomix_non_replicated_entries", &[]) == 0.0
                && sum(seen, "atomix_non_committed_entries", &[]) == 0.0
        });
    }
    let activated = |place: &Place| {
        let metrics = scrape(place, |_| true);
        let activated = ["action=\"activated\""];
        sum(&metrics, "zeebe_executed_instances_total", &activated)
    };
    let counted: Vec<f64> = cluster.places.iter().map(activated).collect();
    // One whose answer was lost may be there besides.
    let expected = 30.0..=created.at_most() as f64;
    assert!(expected.contains(&counted.iter().sum()), "{counted:?}");
    assert!(counted.iter().all(|one| *one > 0.0), "{counted:?}");
    for place in &cluster.places {
        let metrics = scrape(place, |seen| {
            sum(seen, "atomix_heartbeat_time_in_s_seconds_count", &[]) >= 2.0
        });
        for moved in [
            "atomix_append_entries_latency_seconds_count",
            "atomix_append_entries_rate_total",
            "atomix_append_entries_data_rate_total",
            "atomix_commit_entries_rate_total",
            "atomix_journal_flush_time_seconds_count",
        ] {
            assert!(sum(&metrics, moved, &[]) > 0.0, "{moved}: {metrics}");
        }
    }
    let missed = || {
        let of = |place: &Place| {
            let metrics = scrape(place, |_| true);
            sum(&metrics, "atomix_heartbeat_miss_count_total", &[])
        };
        cluster.places[1..].iter().map(of).sum::<f64>()
    };
    let before = missed();
    brokers.remove(0).kill();
    let end = Instant::now() + PATIENCE;
    while missed() == before {
        assert!(Instant::now() < end, "nobody misses the leader");
        std::thread::sleep(Duration::from_millis(20));
    }
    drop(brokers);
}

#[test]
fn a_partition_takes_no_more_than_it_may_write_but_what_makes_room() {
    let mut place = Place::new(1);
    place.set("ZEEBE_BROKER_FLOWCONTROL_REQUEST_FIXED_LIMIT", "100");
    place.set("ZEEBE_BROKER_FLOWCONTROL_WRITE_ENABLED", "true");
    place.set("ZEEBE_BROKER_FLOWCONTROL_WRITE_LIMIT", "10");
    let broker = place.start();
    let order = repository().join("examples/order.bpmn");
    place.skep(&["deploy", order.to_str().unwrap()]);
    // Each writes more records than may be written in a second, so that far fewer than these can be taken in.
    let (_, refused) = place.fails(&["start", "order", "--count", "500"]);
    assert!(refused.contains("ResourceExhausted"), "{refused}");
    // The client may have gone before all of its commands were answered.
    let in_flight = "zeebe_backpressure_inflight_requests_count";
    let too_fast_by = [
        "outcome=\"writeRateLimitExhausted\"",
        "context=\"userCommand\"",
    ];
    let metrics = scrape(&place, |seen| {
        let dropped = sum(seen, "zeebe_dropped_request_count_total", &[]);
        sum(seen, in_flight, &[]) == 0.0
            && sum(seen, "zeebe_flow_control_total", &too_fast_by) == dropped
    });
    let of = |name: &str, labels: &[&str]| sum(&metrics, name, labels);
    assert_eq!(of("zeebe_backpressure_requests_limit", &[]), 100.0);
    for rate in ["limit", "maximum"] {
        let rate = format!("zeebe_flow_control_write_rate_{rate}");
        assert_eq!(of(&rate, &[]), 10.0);
    }
    let flow = |outcome: &str| {
        let outcome = format!("outcome=\"{outcome}\"");
        of(
            "zeebe_flow_control_total",
            &[&outcome, "context=\"userCommand\""],
        )
    };
    let too_fast = flow("writeRateLimitExhausted");
    assert!(too_fast > 0.0, "{metrics}");
    assert!(flow("accepted") > 0.0, "{metrics}");
    assert_eq!(flow("requestLimitExhausted"), 0.0);
    assert_eq!(broker.stop(), Some(0));
}
