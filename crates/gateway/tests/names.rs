//! Names too long to be part of a key are refused before they reach a broker, by their name.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use skep_gateway::proto::*;
use skep_protocol::names::NAME_BYTES_MAX;
use support::*;
use tonic::{Code, Status};

fn too_long() -> String {
    "x".repeat(NAME_BYTES_MAX + 1)
}

fn assert_refused(status: &Status, what: &str) {
    assert_eq!(status.code(), Code::InvalidArgument, "{status:?}");
    assert!(status.message().contains(what), "{status:?}");
    assert!(status.message().contains("at most"), "{status:?}");
}

#[tokio::test]
async fn a_message_with_a_name_key_or_id_that_is_too_long_is_refused() {
    let fake = Fake::new(1, |_, command| echo(command));
    let mut served = start(fake.clone()).await;
    let longest = "x".repeat(NAME_BYTES_MAX);
    let fits = PublishMessageRequest {
        name: longest.clone(),
        correlation_key: longest.clone(),
        message_id: longest,
        ..Default::default()
    };
    served.client.publish_message(fits.clone()).await.unwrap();
    assert_eq!(fake.seen().len(), 1);
    for (what, request) in [
        (
            "message name",
            PublishMessageRequest {
                name: too_long(),
                ..fits.clone()
            },
        ),
        (
            "correlation key",
            PublishMessageRequest {
                correlation_key: too_long(),
                ..fits.clone()
            },
        ),
        (
            "message id",
            PublishMessageRequest {
                message_id: too_long(),
                ..fits.clone()
            },
        ),
    ] {
        let status = served.client.publish_message(request).await.unwrap_err();
        assert_refused(&status, what);
    }
    assert_eq!(fake.seen().len(), 1);
}

#[tokio::test]
async fn other_names_that_are_too_long_are_refused() {
    let fake = Fake::new(1, |_, command| echo(command));
    let mut client = start(fake.clone()).await.client;
    let create = CreateProcessInstanceRequest {
        bpmn_process_id: too_long(),
        version: -1,
        ..Default::default()
    };
    let with_result = CreateProcessInstanceWithResultRequest {
        request: Some(create.clone()),
        ..Default::default()
    };
    let deploy = DeployResourceRequest {
        resources: vec![Resource {
            name: too_long(),
            content: Vec::new(),
        }],
        ..Default::default()
    };
    let activate = ActivateJobsRequest {
        r#type: too_long(),
        timeout: 1_000,
        max_jobs_to_activate: 1,
        ..Default::default()
    };
    let variables = SetVariablesRequest {
        element_instance_key: key(1, 1),
        variables: format!("{{\"{}\":1}}", too_long()),
        ..Default::default()
    };
    for (what, status) in [
        (
            "bpmnProcessId",
            client.create_process_instance(create).await.unwrap_err(),
        ),
        (
            "bpmnProcessId",
            client
                .create_process_instance_with_result(with_result)
                .await
                .unwrap_err(),
        ),
        (
            "resource",
            client.deploy_resource(deploy).await.unwrap_err(),
        ),
        (
            "job type",
            client.activate_jobs(activate).await.unwrap_err(),
        ),
        (
            "variable",
            client.set_variables(variables).await.unwrap_err(),
        ),
    ] {
        assert_refused(&status, what);
    }
    assert!(fake.seen().is_empty());
}

#[tokio::test]
async fn a_mistyped_key_is_for_the_first_partition_to_know() {
    let fake = Fake::new(2, |_, command| echo(command));
    let mut client = start(fake.clone()).await.client;
    let request = ResolveIncidentRequest {
        incident_key: 2_251_799_813_600_004,
        operation_reference: None,
    };
    client.resolve_incident(request).await.unwrap();
    assert_eq!(fake.seen()[0].0.0, 1);
}
