//! What clients call their operations arrives with the commands.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod support;

use skep_gateway::proto::gateway_client::GatewayClient;
use skep_gateway::proto::*;
use skep_protocol::OperationReference;
use support::*;
use tonic::transport::Channel;

/// Calls everything that takes a reference, with that one.
async fn call_all(client: &mut GatewayClient<Channel>, operation_reference: Option<u64>) {
    let create = CreateProcessInstanceRequest {
        bpmn_process_id: "order".to_owned(),
        operation_reference,
        ..Default::default()
    };
    client
        .create_process_instance(create.clone())
        .await
        .unwrap();
    let with_result = CreateProcessInstanceWithResultRequest {
        request: Some(create),
        ..Default::default()
    };
    // The fake broker's answer is none to this call.
    client
        .create_process_instance_with_result(with_result)
        .await
        .unwrap_err();
    let cancel = CancelProcessInstanceRequest {
        process_instance_key: key(1, 7),
        operation_reference,
    };
    client.cancel_process_instance(cancel).await.unwrap();
    let modify = ModifyProcessInstanceRequest {
        process_instance_key: key(1, 7),
        operation_reference,
        ..Default::default()
    };
    client.modify_process_instance(modify).await.unwrap();
    let migrate = MigrateProcessInstanceRequest {
        process_instance_key: key(1, 7),
        operation_reference,
        ..Default::default()
    };
    client.migrate_process_instance(migrate).await.unwrap();
    let set = SetVariablesRequest {
        element_instance_key: key(1, 7),
        operation_reference,
        ..Default::default()
    };
    client.set_variables(set).await.unwrap();
    let resolve = ResolveIncidentRequest {
        incident_key: key(1, 7),
        operation_reference,
    };
    client.resolve_incident(resolve).await.unwrap();
    let retries = UpdateJobRetriesRequest {
        job_key: key(1, 7),
        retries: 1,
        operation_reference,
    };
    client.update_job_retries(retries).await.unwrap();
    let timeout = UpdateJobTimeoutRequest {
        job_key: key(1, 7),
        timeout: 1,
        operation_reference,
    };
    client.update_job_timeout(timeout).await.unwrap();
    let delete = DeleteResourceRequest {
        resource_key: key(1, 7),
        operation_reference,
    };
    client.delete_resource(delete).await.unwrap();
}

#[tokio::test]
async fn whatever_number_a_client_gives_goes_with_its_command() {
    let numbers = [
        (None, OperationReference::NONE),
        (Some(0), OperationReference(0)),
        (Some(12), OperationReference(12)),
        (Some(u64::MAX - 1), OperationReference(-2)),
    ];
    for (sent, expected) in numbers {
        let brokers = Fake::new(1, |_, command| echo(command));
        call_all(&mut start(brokers.clone()).await.client, sent).await;
        let seen = brokers.seen();
        assert_eq!(seen.len(), 10);
        for (_, command) in seen {
            assert_eq!(
                command.operation_reference,
                expected,
                "of {} {}",
                command.intent.value_type().name(),
                command.intent.name()
            );
        }
    }
}
