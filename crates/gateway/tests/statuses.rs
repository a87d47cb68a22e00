//! Every outcome has its status: codes and texts as Zeebe's clients know them.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::time::Duration;

use skep_gateway::proto::*;
use skep_gateway::{BrokerError, GatewayConfig, Role, Topology};
use skep_protocol::{PartitionId, Rejection, RejectionType};
use support::*;
use tonic::{Code, Status};

fn complete(job_key: i64, variables: &str) -> CompleteJobRequest {
    CompleteJobRequest {
        job_key,
        variables: variables.to_owned(),
        result: None,
    }
}

async fn complete_status(answer: Answer) -> Status {
    let mut served = start(Fake::new(1, move |_, _| answer.clone())).await;
    served
        .client
        .complete_job(complete(key(1, 1), ""))
        .await
        .unwrap_err()
}

#[tokio::test]
async fn rejections_name_intent_type_and_reason() {
    for (rejection_type, code, name) in [
        (
            RejectionType::InvalidArgument,
            Code::InvalidArgument,
            "INVALID_ARGUMENT",
        ),
        (RejectionType::NotFound, Code::NotFound, "NOT_FOUND"),
        (
            RejectionType::AlreadyExists,
            Code::AlreadyExists,
            "ALREADY_EXISTS",
        ),
        (
            RejectionType::InvalidState,
            Code::FailedPrecondition,
            "INVALID_STATE",
        ),
        (
            RejectionType::ProcessingError,
            Code::Internal,
            "PROCESSING_ERROR",
        ),
        (
            RejectionType::ExceededBatchRecordSize,
            Code::InvalidArgument,
            "EXCEEDED_BATCH_RECORD_SIZE",
        ),
    ] {
        let reason = "expected \"x\" in `y`\nbut found 'ü'";
        let status = complete_status(Ok(Err(Rejection::new(rejection_type, reason)))).await;
        assert_eq!(status.code(), code);
        assert_eq!(
            status.message(),
            format!("Command 'COMPLETE' rejected with code '{name}': {reason}")
        );
    }
}

#[tokio::test]
async fn broker_errors_have_their_codes() {
    let message = || "the text".to_owned();
    for (error, code, text) in [
        (
            BrokerError::ResourceExhausted { message: message() },
            Code::ResourceExhausted,
            "the text",
        ),
        (
            BrokerError::MalformedRequest { message: message() },
            Code::InvalidArgument,
            "the text",
        ),
        (
            BrokerError::ProcessNotFound { message: message() },
            Code::NotFound,
            "the text",
        ),
        (
            BrokerError::ConnectionLost { message: message() },
            Code::Unavailable,
            "the text",
        ),
        (
            BrokerError::Timeout,
            Code::DeadlineExceeded,
            "Time out between gateway and broker: ",
        ),
        (
            BrokerError::Internal {
                code: "INTERNAL_ERROR".to_owned(),
                message: message(),
            },
            Code::Internal,
            "Unexpected error occurred between gateway and broker (code: INTERNAL_ERROR) (message: the text)",
        ),
    ] {
        let status = complete_status(Err(error)).await;
        assert_eq!(status.code(), code);
        assert!(status.message().starts_with(text), "{}", status.message());
    }
}

#[tokio::test]
async fn a_text_too_long_for_the_trailers_is_cut() {
    let rejection = Rejection::invalid_argument("\" ".repeat(100_000));
    let status = complete_status(Ok(Err(rejection))).await;
    assert_eq!(status.code(), Code::InvalidArgument);
    assert!(status.message().ends_with("..."));
}

#[tokio::test]
async fn a_key_of_no_partition_is_unavailable_for_every_call_with_a_key() {
    let mut client = start(Fake::new(1, |_, command| echo(command))).await.client;
    for key in [0, 1, -1, i64::MAX, key(2, 1)] {
        let variables = String::new;
        let statuses = [
            client.complete_job(complete(key, "")).await.unwrap_err(),
            client
                .fail_job(FailJobRequest {
                    job_key: key,
                    ..Default::default()
                })
                .await
                .unwrap_err(),
            client
                .throw_error(ThrowErrorRequest {
                    job_key: key,
                    ..Default::default()
                })
                .await
                .unwrap_err(),
            client
                .update_job_retries(UpdateJobRetriesRequest {
                    job_key: key,
                    ..Default::default()
                })
                .await
                .unwrap_err(),
            client
                .cancel_process_instance(CancelProcessInstanceRequest {
                    process_instance_key: key,
                    operation_reference: Some(1),
                })
                .await
                .unwrap_err(),
            client
                .resolve_incident(ResolveIncidentRequest {
                    incident_key: key,
                    operation_reference: None,
                })
                .await
                .unwrap_err(),
            client
                .set_variables(SetVariablesRequest {
                    element_instance_key: key,
                    variables: variables(),
                    ..Default::default()
                })
                .await
                .unwrap_err(),
        ];
        for status in statuses {
            assert_eq!(status.code(), Code::Unavailable);
            let text = format!(
                "Expected to execute command on partition {}, but either it does not exist, or the gateway is not yet aware of it",
                key >> 51
            );
            assert_eq!(status.message(), text);
        }
    }
}

#[tokio::test]
async fn an_unresolvable_incident_is_not_found() {
    let reason = "job with key '1' has no retries left";
    let mut served = start(Fake::new(1, move |_, _| {
        Ok(Err(Rejection::invalid_state(reason)))
    }))
    .await;
    let request = ResolveIncidentRequest {
        incident_key: key(1, 1),
        operation_reference: None,
    };
    let status = served.client.resolve_incident(request).await.unwrap_err();
    assert_eq!(status.code(), Code::NotFound);
    assert_eq!(
        status.message(),
        format!("Command 'RESOLVE' rejected with code 'NOT_FOUND': {reason}")
    );
}

#[tokio::test]
async fn variables_that_are_no_document_are_refused_before_the_broker() {
    let brokers = Fake::new(1, |_, command| echo(command));
    let mut client = start(brokers.clone()).await.client;
    for (variables, text) in [
        ("x", "Invalid JSON value: x"),
        ("[1", "Invalid JSON value: [1"),
        (
            "[]",
            "Property 'variables' is invalid: Expected document to be a root level object, but was 'ARRAY'",
        ),
        ("\"a\"", "but was 'STRING'"),
    ] {
        let status = client
            .complete_job(complete(key(1, 1), variables))
            .await
            .unwrap_err();
        assert_eq!(status.code(), Code::InvalidArgument);
        assert!(status.message().contains(text), "{}", status.message());
    }
    assert!(brokers.seen().is_empty());
    for blank in ["", " \n", "{}"] {
        client
            .complete_job(complete(key(1, 1), blank))
            .await
            .unwrap();
    }
}

#[tokio::test]
async fn tenants_other_than_the_default_are_refused() {
    let brokers = Fake::new(1, |_, command| echo(command));
    let mut client = start(brokers.clone()).await.client;
    let tenant_id = || "red".to_owned();
    let create = CreateProcessInstanceRequest {
        tenant_id: tenant_id(),
        ..Default::default()
    };
    let with_result = CreateProcessInstanceWithResultRequest {
        request: Some(create.clone()),
        ..Default::default()
    };
    let publish = PublishMessageRequest {
        tenant_id: tenant_id(),
        ..Default::default()
    };
    let broadcast = BroadcastSignalRequest {
        tenant_id: tenant_id(),
        ..Default::default()
    };
    let deploy = DeployResourceRequest {
        tenant_id: tenant_id(),
        ..Default::default()
    };
    let activate = ActivateJobsRequest {
        tenant_ids: vec!["<default>".to_owned(), tenant_id()],
        ..Default::default()
    };
    for (rpc, status) in [
        (
            "CreateProcessInstance",
            client.create_process_instance(create).await.unwrap_err(),
        ),
        (
            "CreateProcessInstanceWithResult",
            client
                .create_process_instance_with_result(with_result)
                .await
                .unwrap_err(),
        ),
        (
            "PublishMessage",
            client.publish_message(publish).await.unwrap_err(),
        ),
        (
            "BroadcastSignal",
            client.broadcast_signal(broadcast).await.unwrap_err(),
        ),
        (
            "DeployResource",
            client.deploy_resource(deploy).await.unwrap_err(),
        ),
        (
            "ActivateJobs",
            client.activate_jobs(activate).await.unwrap_err(),
        ),
    ] {
        assert_eq!(status.code(), Code::InvalidArgument);
        assert_eq!(
            status.message(),
            format!(
                "Expected to handle gRPC request {rpc} with tenant identifier 'red', but multi-tenancy is disabled"
            )
        );
    }
    assert!(brokers.seen().is_empty());
}

#[tokio::test]
async fn without_a_topology_everything_is_unavailable() {
    let brokers = Fake::new(1, |_, command| echo(command));
    brokers.set_topology(Topology::default());
    let mut client = start(brokers).await.client;
    for status in [
        client
            .create_process_instance(CreateProcessInstanceRequest::default())
            .await
            .unwrap_err(),
        client
            .publish_message(PublishMessageRequest::default())
            .await
            .unwrap_err(),
        client
            .deploy_resource(DeployResourceRequest::default())
            .await
            .unwrap_err(),
        client
            .complete_job(complete(key(1, 1), ""))
            .await
            .unwrap_err(),
    ] {
        assert_eq!(status.code(), Code::Unavailable);
    }
}

#[tokio::test]
async fn a_partition_that_is_switched_off_is_unavailable_at_once() {
    let brokers = Fake::new(1, |_, command| echo(command));
    brokers.set_topology(topology(1, &[1], Role::Inactive));
    let status = start(brokers)
        .await
        .client
        .complete_job(complete(key(1, 1), ""))
        .await
        .unwrap_err();
    assert_eq!(status.code(), Code::Unavailable);
    assert_eq!(
        status.message(),
        "The partition 1 is currently INACTIVE with no leader."
    );
}

#[tokio::test]
async fn a_request_beyond_the_message_size_is_resource_exhausted() {
    let config = GatewayConfig {
        max_message_size: 1000,
        ..GatewayConfig::default()
    };
    let mut served = start_with(Fake::new(1, |_, command| echo(command)), config).await;
    let variables = |size: usize| format!("{{\"a\":\"{}\"}}", "x".repeat(size));
    served
        .client
        .complete_job(complete(key(1, 1), &variables(900)))
        .await
        .unwrap();
    let status = served
        .client
        .complete_job(complete(key(1, 1), &variables(1000)))
        .await
        .unwrap_err();
    assert_eq!(status.code(), Code::ResourceExhausted);
}

#[tokio::test]
async fn an_answer_of_the_wrong_kind_is_internal_and_not_unknown() {
    let mut served = start(Fake::new(1, |_, _| batch(Vec::new()))).await;
    let status = served
        .client
        .create_process_instance(CreateProcessInstanceRequest::default())
        .await
        .unwrap_err();
    assert_eq!(status.code(), Code::Internal);
}

#[tokio::test]
async fn a_command_is_sent_again_to_its_partition_until_it_has_a_leader() {
    let attempts = std::sync::atomic::AtomicU32::new(0);
    let brokers = Fake::new(2, move |partition, command| {
        match attempts.fetch_add(1, std::sync::atomic::Ordering::SeqCst) {
            0 => Err(BrokerError::PartitionLeaderMismatch { partition }),
            1 => Err(BrokerError::Unavailable {
                message: "connection refused".to_owned(),
            }),
            _ => echo(command),
        }
    });
    let mut served = start(brokers.clone()).await;
    served
        .client
        .complete_job(complete(key(2, 1), ""))
        .await
        .unwrap();
    let partitions: Vec<u32> = brokers
        .seen()
        .iter()
        .map(|(partition, _)| partition.0)
        .collect();
    assert_eq!(partitions, [2, 2, 2]);
}

#[tokio::test]
async fn a_partition_without_a_leader_ends_in_a_timeout_that_says_why() {
    let config = GatewayConfig {
        request_timeout: Duration::from_millis(50),
        ..GatewayConfig::default()
    };
    let brokers = Fake::new(1, |_, command| echo(command));
    brokers.set_topology(topology(1, &[1], Role::Follower));
    let mut served = start_with(brokers.clone(), config).await;
    let status = served
        .client
        .complete_job(complete(key(1, 1), ""))
        .await
        .unwrap_err();
    assert_eq!(status.code(), Code::DeadlineExceeded);
    assert!(
        status
            .message()
            .starts_with("Time out between gateway and broker: COMPLETE"),
        "{}",
        status.message()
    );
    assert!(status.message().contains("leader is not known"));
    assert!(brokers.seen().is_empty());
}

#[tokio::test]
async fn creation_goes_round_the_partitions_and_past_those_that_refuse() {
    let brokers = Fake::new(3, |partition, command| match partition.0 {
        1 => Err(BrokerError::ResourceExhausted {
            message: "full".to_owned(),
        }),
        2 => Err(BrokerError::PartitionLeaderMismatch { partition }),
        _ => echo(command),
    });
    let mut served = start(brokers.clone()).await;
    for _ in 0..3 {
        served
            .client
            .create_process_instance(CreateProcessInstanceRequest::default())
            .await
            .unwrap();
    }
    let partitions: Vec<u32> = brokers
        .seen()
        .iter()
        .map(|(partition, _)| partition.0)
        .collect();
    assert_eq!(partitions, [1, 2, 3, 2, 3, 3]);
}

#[tokio::test]
async fn creation_that_every_partition_refuses_is_resource_exhausted_with_the_causes() {
    let brokers = Fake::new(2, |_, _| {
        Err(BrokerError::Unavailable {
            message: "refused".to_owned(),
        })
    });
    let mut served = start(brokers.clone()).await;
    let status = served
        .client
        .create_process_instance(CreateProcessInstanceRequest::default())
        .await
        .unwrap_err();
    assert_eq!(status.code(), Code::ResourceExhausted);
    assert!(
        status.message().starts_with(
            "Expected to execute the command on one of the partitions, but all failed"
        )
    );
    assert_eq!(brokers.seen().len(), 2);
    let details = String::from_utf8_lossy(status.details());
    assert_eq!(
        details
            .matches("type.googleapis.com/google.rpc.Status")
            .count(),
        2
    );
    assert_eq!(details.matches("refused").count(), 2);
}

#[tokio::test]
async fn creation_is_not_tried_elsewhere_once_it_may_have_been_executed() {
    for error in [
        BrokerError::ConnectionLost {
            message: "reset".to_owned(),
        },
        BrokerError::Timeout,
    ] {
        let brokers = Fake::new(3, move |_, _| Err(error.clone()));
        let mut served = start(brokers.clone()).await;
        served
            .client
            .create_process_instance(CreateProcessInstanceRequest::default())
            .await
            .unwrap_err();
        assert_eq!(brokers.seen().len(), 1);
    }
}

#[tokio::test]
async fn a_result_that_does_not_come_in_the_clients_time_is_a_timeout() {
    let brokers = Fake::slow(3, |_, _| Box::pin(std::future::pending()));
    let mut served = start(brokers.clone()).await;
    let request = CreateProcessInstanceWithResultRequest {
        request_timeout: 30,
        ..Default::default()
    };
    let status = served
        .client
        .create_process_instance_with_result(request)
        .await
        .unwrap_err();
    assert_eq!(status.code(), Code::DeadlineExceeded);
    assert!(
        status
            .message()
            .starts_with("Time out between gateway and broker: ")
    );
    assert_eq!(
        brokers.seen().len(),
        1,
        "another partition must not execute it again"
    );
}

#[tokio::test]
async fn messages_go_to_the_partition_of_their_correlation_key() {
    let brokers = Fake::new(3, |_, command| echo(command));
    let mut served = start(brokers.clone()).await;
    for correlation_key in ["", "a", "order-123", "k-0"] {
        let correlation_key = correlation_key.to_owned();
        let request = PublishMessageRequest {
            correlation_key,
            ..Default::default()
        };
        let response = served
            .client
            .publish_message(request)
            .await
            .unwrap()
            .into_inner();
        assert_eq!(response.tenant_id, "<default>");
    }
    let partitions: Vec<PartitionId> = brokers
        .seen()
        .iter()
        .map(|(partition, _)| *partition)
        .collect();
    assert_eq!(partitions, [1, 2, 1, 3].map(PartitionId));
}
