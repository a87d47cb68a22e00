//! Deleted resources on several partitions.

use skep_protocol::{
    Command, CommandDistributionIntent, DeploymentIntent, Key, OperationReference,
    ProcessInstanceCreationIntent, ProcessInstanceIntent, ProcessIntent, RecordValue,
    RejectionType, ResourceDeletionIntent, ResponseResult, values,
};

use super::world::World;
use crate::tables::{prefix, processes};

const BPMN: &str = r#"<bpmn:definitions xmlns:bpmn="http://www.omg.org/spec/BPMN/20100524/MODEL" xmlns:zeebe="http://camunda.org/schema/zeebe/1.0" id="d" targetNamespace="t">
<bpmn:process id="p" isExecutable="true"><bpmn:startEvent id="s"><bpmn:outgoing>f</bpmn:outgoing></bpmn:startEvent>
<bpmn:sequenceFlow id="f" sourceRef="s" targetRef="t"/>
<bpmn:serviceTask id="t"><bpmn:extensionElements><zeebe:taskDefinition type="work"/></bpmn:extensionElements><bpmn:incoming>f</bpmn:incoming></bpmn:serviceTask></bpmn:process></bpmn:definitions>"#;

fn deploy(world: &mut World) -> Key {
    let resource = values::DeploymentResource {
        resource_name: "p.bpmn".to_owned(),
        resource: BPMN.as_bytes().to_vec(),
    };
    let value = values::Deployment {
        resources: vec![resource],
        ..Default::default()
    };
    let command = Command::new(Key::NONE, DeploymentIntent::Create, value);
    match world.client(1, command).unwrap().value {
        RecordValue::Deployment(created) => Key(created.processes[0].process_definition_key),
        other => panic!("{other:?}"),
    }
}

fn delete(world: &mut World, key: Key) -> ResponseResult {
    let value = values::ResourceDeletion {
        resource_key: key.0,
        is_distributed: false,
    };
    let command = Command::new(Key::NONE, ResourceDeletionIntent::Delete, value);
    world.client(1, command)
}

fn create(world: &mut World, partition: u32, definition: Key) -> ResponseResult {
    let value = values::ProcessInstanceCreation {
        process_definition_key: definition.0,
        version: -1,
        ..Default::default()
    };
    let intent = ProcessInstanceCreationIntent::Create;
    world.client(partition, Command::new(Key::NONE, intent, value))
}

fn instance_of(answer: ResponseResult) -> Key {
    match answer.unwrap().value {
        RecordValue::ProcessInstanceCreation(created) => Key(created.process_instance_key),
        other => panic!("{other:?}"),
    }
}

/// What is left of definitions and their resources.
fn left(world: &World, partition: u32) -> usize {
    let tables = [
        prefix::PROCESSES,
        prefix::PROCESS_VERSIONS,
        prefix::PROCESSES_BY_DEPLOYMENT,
        prefix::PROCESSES_BY_TAG,
        prefix::RESOURCES,
        prefix::PENDING_DISTRIBUTIONS,
    ];
    let content = world.content(partition);
    tables.iter().map(|table| content.count(*table)).sum()
}

#[test]
fn a_deleted_process_is_gone_on_all_partitions_however_the_network_behaves() {
    for seed in 0..20 {
        let mut world = World::faulty(3, seed);
        let key = deploy(&mut world);
        if seed % 2 == 0 {
            world.settle();
        }
        // Else the others do not have it yet, and must get it to be told that it is gone.
        delete(&mut world, key).unwrap();
        world.settle();
        let finished = world.partition(1).keys(CommandDistributionIntent::Finished);
        assert_eq!(finished.len(), 2, "the deployment and the deletion");
        for partition in 1..=3 {
            assert_eq!(left(&world, partition), 0, "partition {partition}");
            let rejection = create(&mut world, partition, key).unwrap_err();
            assert_eq!(rejection.rejection_type, RejectionType::NotFound);
            let deleted = world.partition(partition).keys(ProcessIntent::Deleted);
            assert_eq!(deleted, [key]);
        }
    }
}

#[test]
fn instances_on_other_partitions_keep_their_definition_until_they_end() {
    let mut world = World::new(2, 0);
    let key = deploy(&mut world);
    world.settle();
    let instances = [0, 1].map(|_| instance_of(create(&mut world, 2, key)));
    delete(&mut world, key).unwrap();
    world.settle();
    assert_eq!(left(&world, 1), 0);
    assert!(processes::latest(world.content(2), "p").unwrap().is_none());
    let rejection = create(&mut world, 2, key).unwrap_err();
    assert_eq!(rejection.rejection_type, RejectionType::NotFound);
    for (index, instance) in instances.into_iter().enumerate() {
        assert_eq!(
            world.partition(2).keys(ProcessIntent::Deleted).len(),
            0,
            "{index}"
        );
        let value = values::ProcessInstance::default();
        let cancel = Command::new(instance, ProcessInstanceIntent::Cancel, value);
        world.client(2, cancel).unwrap();
        world.settle();
    }
    assert_eq!(world.partition(2).keys(ProcessIntent::Deleted), [key]);
    assert_eq!(left(&world, 2), 0);
}

#[test]
fn an_operation_is_named_only_where_it_was_asked_for() {
    let mut world = World::new(2, 1);
    let key = deploy(&mut world);
    world.settle();
    let before = [1, 2].map(|id| world.partition(id).records.len());
    let value = values::ResourceDeletion {
        resource_key: key.0,
        is_distributed: false,
    };
    let command = Command::new(Key::NONE, ResourceDeletionIntent::Delete, value)
        .referred_to_as(OperationReference(5));
    world.client(1, command).unwrap();
    let references = |world: &World, id: u32| {
        let records = world.partition(id).records[before[id as usize - 1]..].iter();
        let references = records.map(|record| record.operation_reference.0);
        references.collect::<std::collections::BTreeSet<_>>()
    };
    assert_eq!(references(&world, 1), [5].into());
    world.settle();
    assert_eq!(references(&world, 2), [-1].into());
}
