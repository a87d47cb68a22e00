//! What the calls bring to the brokers and back, the other services, and the bytes on the wire.

mod support;

use prost::Message as _;
use skep_gateway::proto::health::health_check_response::ServingStatus;
use skep_gateway::proto::health::{HealthCheckRequest, health_client::HealthClient};
use skep_gateway::proto::*;
use skep_gateway::{GATEWAY_VERSION, Role};
use skep_protocol::values::{self, ProcessInstanceCreation, ProcessInstanceResult};
use skep_protocol::*;
use support::*;
use tonic::Code;
use tonic::codec::CompressionEncoding;
use tonic::transport::Endpoint;

#[tokio::test]
async fn a_creation_arrives_whole_and_is_answered_whole() {
    let brokers = Fake::new(1, |_, command| {
        let RecordValue::ProcessInstanceCreation(wish) = &command.value else {
            panic!("{command:?}")
        };
        let created = ProcessInstanceCreation {
            version: 4,
            process_definition_key: 5,
            process_instance_key: 6,
            ..wish.clone()
        };
        event(key(1, 9), ProcessInstanceCreationIntent::Created, created)
    });
    let mut served = start(brokers.clone()).await;
    let request = CreateProcessInstanceRequest {
        process_definition_key: 0,
        bpmn_process_id: "order".to_owned(),
        version: -1,
        variables: "{\"a\": 1.50}".to_owned(),
        start_instructions: vec![ProcessInstanceCreationStartInstruction {
            element_id: "task".to_owned(),
        }],
        tenant_id: "<default>".to_owned(),
        operation_reference: Some(3),
        runtime_instructions: Vec::new(),
        tags: vec!["ignored".to_owned()],
    };
    let response = served
        .client
        .create_process_instance(request)
        .await
        .unwrap()
        .into_inner();
    let expected = CreateProcessInstanceResponse {
        process_definition_key: 5,
        bpmn_process_id: "order".to_owned(),
        version: 4,
        process_instance_key: 6,
        tenant_id: "<default>".to_owned(),
        tags: Vec::new(),
    };
    assert_eq!(response, expected);
    let wish = ProcessInstanceCreation {
        bpmn_process_id: "order".to_owned(),
        version: -1,
        process_definition_key: 0,
        process_instance_key: -1,
        variables: "{\"a\": 1.50}".to_owned(),
        start_instructions: vec!["task".to_owned()],
        fetch_variables: Vec::new(),
    };
    let command = Command::new(Key::NONE, ProcessInstanceCreationIntent::Create, wish)
        .referred_to_as(OperationReference(3));
    assert_eq!(brokers.seen(), [(PartitionId(1), command)]);
}

#[tokio::test]
async fn an_instruction_that_would_be_lost_is_refused() {
    let mut served = start(Fake::new(1, |_, command| echo(command))).await;
    let request = CreateProcessInstanceRequest {
        runtime_instructions: vec![ProcessInstanceCreationRuntimeInstruction::default()],
        ..Default::default()
    };
    let status = served
        .client
        .create_process_instance(request)
        .await
        .unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);
}

#[tokio::test]
async fn a_result_without_variables_is_an_empty_object() {
    let brokers = Fake::new(1, |_, _| {
        let result = ProcessInstanceResult {
            process_instance_key: 6,
            ..Default::default()
        };
        event(6, ProcessInstanceResultIntent::Completed, result)
    });
    let mut served = start(brokers.clone()).await;
    let request = CreateProcessInstanceWithResultRequest {
        request: Some(CreateProcessInstanceRequest::default()),
        request_timeout: -1,
        fetch_variables: vec!["a".to_owned()],
    };
    let response = served
        .client
        .create_process_instance_with_result(request)
        .await
        .unwrap()
        .into_inner();
    assert_eq!(
        (response.variables.as_str(), response.process_instance_key),
        ("{}", 6)
    );
    let (_, command) = brokers.seen().remove(0);
    assert_eq!(
        command.intent,
        ProcessInstanceCreationIntent::CreateWithAwaitingResult.into()
    );
    let RecordValue::ProcessInstanceCreation(wish) = command.value else {
        panic!()
    };
    assert_eq!(wish.fetch_variables, ["a"]);
}

#[tokio::test]
async fn a_result_too_large_for_a_message_says_what_to_do() {
    let config = skep_gateway::GatewayConfig {
        max_message_size: 500,
        ..Default::default()
    };
    let brokers = Fake::new(1, |_, _| {
        let variables = format!("{{\"a\":\"{}\"}}", "x".repeat(500));
        event(
            6,
            ProcessInstanceResultIntent::Completed,
            ProcessInstanceResult {
                variables,
                ..Default::default()
            },
        )
    });
    let mut served = start_with(brokers, config).await;
    let request = CreateProcessInstanceWithResultRequest::default();
    let status = served
        .client
        .create_process_instance_with_result(request)
        .await
        .unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);
    assert!(status.message().contains("fetchVariables"));
}

/// It says nothing about times.
fn job_of_a_command() -> values::Job {
    values::Job {
        deadline: -1,
        recurring_time: -1,
        ..Default::default()
    }
}

#[tokio::test]
async fn commands_about_jobs_carry_what_the_worker_says() {
    let brokers = Fake::new(1, |_, command| echo(command));
    let mut client = start(brokers.clone()).await.client;
    let job_key = key(1, 7);
    let variables = || "{\"a\":1}".to_owned();
    client
        .complete_job(CompleteJobRequest {
            job_key,
            variables: variables(),
            result: None,
        })
        .await
        .unwrap();
    let fail = FailJobRequest {
        job_key,
        retries: 2,
        error_message: "no".to_owned(),
        retry_back_off: 30,
        variables: variables(),
    };
    client.fail_job(fail).await.unwrap();
    let throw = ThrowErrorRequest {
        job_key,
        error_code: "E".to_owned(),
        error_message: "no".to_owned(),
        variables: variables(),
    };
    client.throw_error(throw).await.unwrap();
    client
        .update_job_retries(UpdateJobRetriesRequest {
            job_key,
            retries: 0,
            operation_reference: None,
        })
        .await
        .unwrap();
    let job = job_of_a_command();
    let expected = [
        (
            JobIntent::Complete,
            values::Job {
                variables: variables(),
                ..job.clone()
            },
        ),
        (
            JobIntent::Fail,
            values::Job {
                retries: 2,
                error_message: "no".to_owned(),
                retry_back_off: 30,
                variables: variables(),
                ..job.clone()
            },
        ),
        (
            JobIntent::ThrowError,
            values::Job {
                error_code: "E".to_owned(),
                error_message: "no".to_owned(),
                variables: variables(),
                ..job.clone()
            },
        ),
        (JobIntent::UpdateRetries, job),
    ]
    .map(|(intent, job)| (PartitionId(1), Command::new(Key(job_key), intent, job)));
    assert_eq!(brokers.seen(), expected);
}

#[tokio::test]
async fn keys_of_events_are_answers() {
    let brokers = Fake::new(2, |_, command| {
        Ok(Ok(Command {
            key: Key(77),
            ..command.clone()
        }))
    });
    let mut client = start(brokers.clone()).await.client;
    let set = SetVariablesRequest {
        element_instance_key: key(2, 3),
        variables: "{\"a\":1}".to_owned(),
        local: true,
        operation_reference: None,
    };
    assert_eq!(
        client.set_variables(set).await.unwrap().into_inner().key,
        77
    );
    assert_eq!(
        client
            .publish_message(PublishMessageRequest::default())
            .await
            .unwrap()
            .into_inner()
            .key,
        77
    );
    let document = values::VariableDocument {
        scope_key: key(2, 3),
        local: true,
        variables: "{\"a\":1}".to_owned(),
    };
    let command = Command::new(Key(key(2, 3)), VariableDocumentIntent::Update, document);
    assert_eq!(brokers.seen()[0], (PartitionId(2), command));
}

#[tokio::test]
async fn signals_go_to_any_partition_and_have_the_key_of_the_broadcast() {
    let brokers = Fake::new(3, |_, command| {
        Ok(Ok(Command {
            key: Key(77),
            ..command.clone()
        }))
    });
    let mut client = start(brokers.clone()).await.client;
    for _ in 0..2 {
        let broadcast = BroadcastSignalRequest {
            signal_name: "alarm".to_owned(),
            variables: "{\"a\":1}".to_owned(),
            ..Default::default()
        };
        let answer = client.broadcast_signal(broadcast).await.unwrap();
        assert_eq!(answer.into_inner().key, 77);
    }
    let signal = values::Signal {
        signal_name: "alarm".to_owned(),
        variables: "{\"a\":1}".to_owned(),
        ..Default::default()
    };
    let command = Command::new(Key::NONE, SignalIntent::Broadcast, signal);
    let [(first, one), (second, other)] = &brokers.seen()[..] else {
        panic!("two commands")
    };
    assert_eq!((one, other), (&command, &command));
    assert_ne!(first, second);
}

/// The answer to a deployment, as if each resource held one process.
fn deployed(command: &Command) -> Answer {
    let RecordValue::Deployment(deployment) = &command.value else {
        panic!("{command:?}")
    };
    let processes = deployment
        .resources
        .iter()
        .map(|resource| values::ProcessMetadata {
            bpmn_process_id: "order".to_owned(),
            version: 2,
            process_definition_key: 5,
            resource_name: resource.resource_name.clone(),
            ..Default::default()
        })
        .collect();
    event(
        9,
        DeploymentIntent::Created,
        values::Deployment {
            processes,
            ..Default::default()
        },
    )
}

#[tokio::test]
async fn deployments_go_to_the_first_partition_and_name_their_processes() {
    let brokers = Fake::new(3, |_, command| deployed(command));
    let mut client = start(brokers.clone()).await.client;
    let metadata = ProcessMetadata {
        bpmn_process_id: "order".to_owned(),
        version: 2,
        process_definition_key: 5,
        resource_name: "order.bpmn".to_owned(),
        tenant_id: "<default>".to_owned(),
    };
    let resource = Resource {
        name: "order.bpmn".to_owned(),
        content: b"<x/>".to_vec(),
    };
    let request = DeployResourceRequest {
        resources: vec![resource],
        tenant_id: String::new(),
    };
    let response = client.deploy_resource(request).await.unwrap().into_inner();
    assert_eq!(
        (response.key, response.tenant_id.as_str()),
        (9, "<default>")
    );
    assert_eq!(
        response.deployments,
        [Deployment {
            metadata: Some(deployment::Metadata::Process(metadata.clone()))
        }]
    );
    #[allow(deprecated)]
    let response = {
        let process = ProcessRequestObject {
            name: "order.bpmn".to_owned(),
            definition: b"<x/>".to_vec(),
        };
        client
            .deploy_process(DeployProcessRequest {
                processes: vec![process],
            })
            .await
            .unwrap()
            .into_inner()
    };
    #[allow(deprecated)]
    {
        assert_eq!(response.processes, [metadata]);
    }
    assert!(
        brokers
            .seen()
            .iter()
            .all(|(partition, _)| *partition == PartitionId(1))
    );
    assert_eq!(brokers.seen()[0].1, brokers.seen()[1].1);
}

#[tokio::test]
async fn the_topology_is_what_the_gateway_knows() {
    let brokers = Fake::new(2, |_, command| echo(command));
    let mut client = start(brokers.clone()).await.client;
    let response = client
        .topology(TopologyRequest {})
        .await
        .unwrap()
        .into_inner();
    assert_eq!(
        (
            response.cluster_size,
            response.partitions_count,
            response.replication_factor
        ),
        (1, 2, 1)
    );
    assert_eq!(response.gateway_version, GATEWAY_VERSION);
    let broker = &response.brokers[0];
    assert_eq!(
        (broker.node_id, broker.host.as_str(), broker.port),
        (0, "broker-0", 26501)
    );
    assert_eq!(broker.partitions.len(), 2);
    assert_eq!(
        broker.partitions[1],
        Partition {
            partition_id: 2,
            role: 0,
            health: 0
        }
    );
    brokers.set_topology(topology(1, &[1], Role::Follower));
    let response = client
        .topology(TopologyRequest {})
        .await
        .unwrap()
        .into_inner();
    assert_eq!(response.brokers[0].partitions[0].role, 1);
}

#[tokio::test]
async fn a_compressed_request_is_accepted() {
    let served = start(Fake::new(1, |_, command| echo(command))).await;
    let mut client = served.client.send_compressed(CompressionEncoding::Gzip);
    let variables = format!("{{\"a\":\"{}\"}}", "x".repeat(10_000));
    client
        .complete_job(CompleteJobRequest {
            job_key: key(1, 1),
            variables,
            result: None,
        })
        .await
        .unwrap();
}

#[tokio::test]
async fn health_is_serving_until_the_gateway_stops() {
    let served = start(Fake::new(1, |_, command| echo(command))).await;
    let channel = Endpoint::from_shared(served.address)
        .unwrap()
        .connect()
        .await
        .unwrap();
    let mut health = HealthClient::new(channel);
    for service in ["", "gateway_protocol.Gateway"] {
        let request = HealthCheckRequest {
            service: service.to_owned(),
        };
        let response = health.check(request).await.unwrap().into_inner();
        assert_eq!(response.status(), ServingStatus::Serving);
    }
    let unknown = HealthCheckRequest {
        service: "other".to_owned(),
    };
    assert_eq!(
        health.check(unknown).await.unwrap_err().code(),
        Code::NotFound
    );
    let mut watch = health
        .watch(HealthCheckRequest::default())
        .await
        .unwrap()
        .into_inner();
    assert_eq!(
        watch.message().await.unwrap().unwrap().status(),
        ServingStatus::Serving
    );
    served.stop.send(()).unwrap();
    assert_eq!(
        watch.message().await.unwrap().unwrap().status(),
        ServingStatus::NotServing
    );
    assert!(watch.message().await.unwrap().is_none());
    drop((health, served.client));
    served.ended.await.unwrap().unwrap();
}

#[tokio::test]
async fn unknown_services_and_calls_are_unimplemented() {
    let served = start(Fake::new(1, |_, command| echo(command))).await;
    for path in [
        "/gateway_protocol.Gateway/Nonsense",
        "/nonsense.Nonsense/Topology",
        "/nonsense",
    ] {
        let channel = Endpoint::from_shared(served.address.clone())
            .unwrap()
            .connect()
            .await
            .unwrap();
        let mut client = tonic::client::Grpc::new(channel);
        client.ready().await.unwrap();
        let codec = tonic_prost::ProstCodec::<TopologyRequest, TopologyResponse>::default();
        let request = tonic::Request::new(TopologyRequest {});
        let status = client
            .unary(request, path.parse().unwrap(), codec)
            .await
            .unwrap_err();
        assert_eq!(status.code(), Code::Unimplemented, "{path}");
    }
}

#[test]
fn messages_have_the_published_bytes() {
    let activate = ActivateJobsRequest {
        r#type: "a".to_owned(),
        worker: "b".to_owned(),
        timeout: 1,
        max_jobs_to_activate: 2,
        fetch_variable: vec!["c".to_owned()],
        request_timeout: -1,
        tenant_ids: vec!["d".to_owned()],
    };
    assert_eq!(
        activate.encode_to_vec(),
        b"\x0a\x01a\x12\x01b\x18\x01\x20\x02\x2a\x01c\x30\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01\x3a\x01d"
    );
    let job = ActivatedJob {
        key: 1,
        r#type: "t".to_owned(),
        process_instance_key: 2,
        bpmn_process_id: "p".to_owned(),
        process_definition_version: 3,
        process_definition_key: 4,
        element_id: "e".to_owned(),
        element_instance_key: 5,
        custom_headers: "{}".to_owned(),
        worker: "w".to_owned(),
        retries: 6,
        deadline: 7,
        variables: "{}".to_owned(),
        tenant_id: "d".to_owned(),
        listener_event_type: 6,
        ..Default::default()
    };
    assert_eq!(
        job.encode_to_vec(),
        b"\x08\x01\x12\x01t\x18\x02\x22\x01p\x28\x03\x30\x04\x3a\x01e\x40\x05\x4a\x02{}\x52\x01w\x58\x06\x60\x07\x6a\x02{}\x72\x01d\x88\x01\x06"
    );
    let stream = StreamActivatedJobsRequest {
        fetch_variable: vec!["c".to_owned()],
        ..Default::default()
    };
    assert_eq!(stream.encode_to_vec(), b"\x2a\x01c");
    let cancel = CancelProcessInstanceRequest {
        process_instance_key: 1,
        operation_reference: Some(0),
    };
    assert_eq!(cancel.encode_to_vec(), b"\x08\x01\x10\x00");
}

#[tokio::test]
async fn deletions_and_new_timeouts_arrive_whole() {
    let brokers = Fake::new(1, |_, command| echo(command));
    let mut client = start(brokers.clone()).await.client;
    let delete = DeleteResourceRequest {
        resource_key: key(1, 8),
        operation_reference: None,
    };
    client.delete_resource(delete).await.unwrap();
    let update = UpdateJobTimeoutRequest {
        job_key: key(1, 7),
        timeout: 40,
        operation_reference: None,
    };
    client.update_job_timeout(update).await.unwrap();
    let deletion = values::ResourceDeletion {
        resource_key: key(1, 8),
        is_distributed: false,
    };
    let job = values::Job {
        timeout: 40,
        ..job_of_a_command()
    };
    let expected = [
        Command::new(Key(key(1, 8)), ResourceDeletionIntent::Delete, deletion),
        Command::new(Key(key(1, 7)), JobIntent::UpdateTimeout, job),
    ];
    assert_eq!(
        brokers.seen(),
        expected.map(|command| (PartitionId(1), command))
    );
}

#[tokio::test]
async fn a_modification_arrives_whole() {
    let brokers = Fake::new(1, |_, command| echo(command));
    let mut client = start(brokers.clone()).await.client;
    let process_instance_key = key(1, 7);
    let variables = modify_process_instance_request::VariableInstruction {
        variables: String::new(),
        scope_id: "scope".to_owned(),
    };
    let activate = modify_process_instance_request::ActivateInstruction {
        element_id: "task".to_owned(),
        ancestor_element_instance_key: 3,
        variable_instructions: vec![variables],
    };
    let terminate = modify_process_instance_request::TerminateInstruction {
        element_instance_key: 4,
    };
    let modify = ModifyProcessInstanceRequest {
        process_instance_key,
        activate_instructions: vec![activate],
        terminate_instructions: vec![terminate],
        operation_reference: None,
    };
    client.modify_process_instance(modify).await.unwrap();
    let modification = values::ProcessInstanceModification {
        process_instance_key,
        terminate_instructions: vec![values::TerminateInstruction {
            element_instance_key: 4,
        }],
        activate_instructions: vec![values::ActivateInstruction {
            element_id: "task".to_owned(),
            ancestor_scope_key: 3,
            variable_instructions: vec![values::VariableInstruction {
                element_id: "scope".to_owned(),
                variables: String::new(),
            }],
            ancestor_scope_keys: Vec::new(),
        }],
    };
    let intent = ProcessInstanceModificationIntent::Modify;
    let command = Command::new(Key(process_instance_key), intent, modification);
    assert_eq!(brokers.seen(), [(PartitionId(1), command)]);
}

#[tokio::test]
async fn a_migration_arrives_whole() {
    let brokers = Fake::new(1, |_, command| echo(command));
    let mut client = start(brokers.clone()).await.client;
    let process_instance_key = key(1, 7);
    let mapping = migrate_process_instance_request::MappingInstruction {
        source_element_id: "a".to_owned(),
        target_element_id: "b".to_owned(),
    };
    let plan = migrate_process_instance_request::MigrationPlan {
        target_process_definition_key: 5,
        mapping_instructions: vec![mapping],
    };
    let migrate = MigrateProcessInstanceRequest {
        process_instance_key,
        migration_plan: Some(plan),
        operation_reference: None,
    };
    client.migrate_process_instance(migrate).await.unwrap();
    let migration = values::ProcessInstanceMigration {
        process_instance_key,
        target_process_definition_key: 5,
        mapping_instructions: vec![values::MappingInstruction {
            source_element_id: "a".to_owned(),
            target_element_id: "b".to_owned(),
        }],
    };
    let intent = ProcessInstanceMigrationIntent::Migrate;
    let command = Command::new(Key(process_instance_key), intent, migration);
    assert_eq!(brokers.seen(), [(PartitionId(1), command)]);
}
