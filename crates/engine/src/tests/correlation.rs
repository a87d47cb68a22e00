//! Messages and instances on several partitions, whatever the network does.

use std::collections::BTreeSet;

use skep_protocol::{
    Command, CommandDistributionIntent, DeploymentIntent, Intent, Key, MessageIntent,
    MessageStartEventSubscriptionIntent, MessageSubscriptionIntent, ProcessInstanceCreationIntent,
    ProcessInstanceIntent, ProcessInstanceMigrationIntent, ProcessIntent,
    ProcessMessageSubscriptionIntent, RecordValue, routing, values,
};

use super::world::World;
use crate::tables::prefix;

const PARTITIONS: u32 = 3;

/// Waits for message `m`, with its variable `key` as correlation key.
const WAIT: &str = r#"<bpmn:message id="message" name="m"><bpmn:extensionElements><zeebe:subscription correlationKey="=key"/></bpmn:extensionElements></bpmn:message>
<bpmn:process id="wait" isExecutable="true">
<bpmn:startEvent id="start"/><bpmn:sequenceFlow id="f1" sourceRef="start" targetRef="catch"/>
<bpmn:intermediateCatchEvent id="catch"><bpmn:messageEventDefinition id="d" messageRef="message"/></bpmn:intermediateCatchEvent>
<bpmn:sequenceFlow id="f2" sourceRef="catch" targetRef="end"/><bpmn:endEvent id="end"/>
</bpmn:process>"#;

/// Started by message `m`, then waits for message NEXT.
const STARTED: &str = r#"<bpmn:message id="go" name="m"/>
<bpmn:message id="message" name="NEXT"><bpmn:extensionElements><zeebe:subscription correlationKey="=key"/></bpmn:extensionElements></bpmn:message>
<bpmn:process id="started" isExecutable="true">
<bpmn:startEvent id="start"><bpmn:messageEventDefinition id="d1" messageRef="go"/></bpmn:startEvent>
<bpmn:sequenceFlow id="f1" sourceRef="start" targetRef="catch"/>
<bpmn:intermediateCatchEvent id="catch"><bpmn:messageEventDefinition id="d2" messageRef="message"/></bpmn:intermediateCatchEvent>
<bpmn:sequenceFlow id="f2" sourceRef="catch" targetRef="end"/><bpmn:endEvent id="end"/>
</bpmn:process>"#;

const HOUR: i64 = 3_600_000;

fn deploy(world: &mut World, body: &str) {
    let xml = format!(
        r#"<bpmn:definitions xmlns:bpmn="http://www.omg.org/spec/BPMN/20100524/MODEL" xmlns:zeebe="http://camunda.org/schema/zeebe/1.0" id="definitions" targetNamespace="test">{body}</bpmn:definitions>"#
    );
    let resource = values::DeploymentResource {
        resource_name: "process.bpmn".to_owned(),
        resource: xml.into_bytes(),
    };
    let value = values::Deployment {
        resources: vec![resource],
        ..Default::default()
    };
    world
        .client(1, Command::new(Key::NONE, DeploymentIntent::Create, value))
        .unwrap();
    world.settle();
}

fn create(world: &mut World, partition: u32, key: &str) -> Key {
    let value = values::ProcessInstanceCreation {
        bpmn_process_id: "wait".to_owned(),
        version: -1,
        process_definition_key: -1,
        variables: format!(r#"{{"key":"{key}"}}"#),
        ..Default::default()
    };
    let answer = world
        .client(
            partition,
            Command::new(Key::NONE, ProcessInstanceCreationIntent::Create, value),
        )
        .unwrap();
    let RecordValue::ProcessInstanceCreation(created) = answer.value else {
        panic!("{answer:?}")
    };
    Key(created.process_instance_key)
}

fn publish(world: &mut World, name: &str, key: &str, time_to_live: i64) -> Key {
    let value = values::Message {
        name: name.to_owned(),
        correlation_key: key.to_owned(),
        time_to_live,
        variables: format!(r#"{{"key":"{key}"}}"#),
        ..Default::default()
    };
    let partition = routing::message_partition(key, PARTITIONS).0;
    world
        .client(
            partition,
            Command::new(Key::NONE, MessageIntent::Publish, value),
        )
        .unwrap()
        .key
}

/// Keys of the process instances of which such an event was written.
fn instances(world: &World, intent: ProcessInstanceIntent) -> BTreeSet<Key> {
    let events = world
        .partitions
        .iter()
        .flat_map(|partition| partition.events(intent));
    let roots = events.filter(|record| match &record.value {
        RecordValue::ProcessInstance(value) => value.process_instance_key == record.key.0,
        _ => false,
    });
    roots.map(|record| record.key).collect()
}

fn count(world: &World, intent: impl Into<Intent>) -> usize {
    let intent = intent.into();
    world
        .partitions
        .iter()
        .map(|partition| partition.events(intent).len())
        .sum()
}

fn assert_nothing_is_left(world: &World, seed: u64) {
    let tables = (prefix::ELEMENT_INSTANCES..=prefix::CONTINUATIONS)
        .chain(prefix::MESSAGE_SUBSCRIPTIONS..=prefix::PROCESS_MESSAGE_SUBSCRIPTIONS)
        .chain(prefix::MESSAGE_STARTED_INSTANCES..=prefix::MESSAGE_STARTED_BY_INSTANCE)
        .chain([prefix::OUTBOX]);
    for table in tables {
        for id in 1..=PARTITIONS {
            assert_eq!(
                world.content(id).count(table),
                0,
                "seed {seed} partition {id} table {table}"
            );
        }
    }
}

#[test]
fn every_message_reaches_one_instance_and_every_instance_gets_one_message() {
    for seed in 0..20 {
        let mut world = World::faulty(PARTITIONS, seed);
        deploy(&mut world, WAIT);
        let mut messages = BTreeSet::new();
        for number in 0..12 {
            let key = format!("key-{}", number % 4);
            // Some messages come before, and some after the instances that wait for them.
            if (number + seed) % 3 == 0 {
                messages.insert(publish(&mut world, "m", &key, HOUR));
                create(&mut world, number as u32 % PARTITIONS + 1, &key);
            } else {
                create(&mut world, number as u32 % PARTITIONS + 1, &key);
                world.deliver(seed as usize % 7);
                messages.insert(publish(&mut world, "m", &key, HOUR));
            }
            world.deliver(number as usize % 5);
        }
        world.settle();
        assert_eq!(
            instances(&world, ProcessInstanceIntent::ElementCompleted).len(),
            12,
            "seed {seed}"
        );
        let correlated: Vec<i64> = world
            .partitions
            .iter()
            .flat_map(|partition| partition.events(ProcessMessageSubscriptionIntent::Correlated))
            .map(|record| match &record.value {
                RecordValue::ProcessMessageSubscription(value) => value.message_key,
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(correlated.len(), 12, "seed {seed}");
        assert_eq!(
            correlated.into_iter().map(Key).collect::<BTreeSet<_>>(),
            messages,
            "seed {seed}"
        );
        assert_nothing_is_left(&world, seed);
    }
}

#[test]
fn a_message_that_a_banned_instance_does_not_take_goes_to_another() {
    for seed in 0..10 {
        let mut world = World::faulty(PARTITIONS, seed);
        deploy(&mut world, WAIT);
        let banned = create(&mut world, 2, "key-1");
        world.settle();
        let other = create(&mut world, 3, "key-1");
        world.settle();
        let ban = crate::Input::Ban {
            process_instance: banned,
            reason: String::new(),
        };
        world.evaluate(2, ban);
        publish(&mut world, "m", "key-1", HOUR);
        world.settle();
        let completed = instances(&world, ProcessInstanceIntent::ElementCompleted);
        assert_eq!(completed, BTreeSet::from([other]), "seed {seed}");
    }
}

#[test]
fn a_message_that_a_cancelled_instance_does_not_take_goes_to_another() {
    let mut refused = 0;
    let mut takers = BTreeSet::new();
    for seed in 0..40 {
        let mut world = World::faulty(PARTITIONS, seed);
        deploy(&mut world, WAIT);
        let first = create(&mut world, 2, "key-1");
        world.settle();
        let second = create(&mut world, 3, "key-1");
        world.settle();
        publish(&mut world, "m", "key-1", HOUR);
        world.deliver(seed as usize % 4);
        let cancel = Command::new(
            first,
            ProcessInstanceIntent::Cancel,
            values::ProcessInstance::default(),
        );
        let cancelled = world.client(2, cancel).is_ok();
        world.settle();
        let completed = instances(&world, ProcessInstanceIntent::ElementCompleted);
        let taker = if cancelled { second } else { first };
        assert_eq!(completed, BTreeSet::from([taker]), "seed {seed}");
        takers.insert(cancelled);
        refused += count(&world, MessageSubscriptionIntent::Rejected);
    }
    assert_eq!(takers.len(), 2, "both have happened");
    assert!(
        refused > 0,
        "a message was on its way to a cancelled instance"
    );
}

#[test]
fn instances_of_one_correlation_key_follow_one_another() {
    for seed in 0..10 {
        let mut world = World::faulty(PARTITIONS, seed);
        deploy(&mut world, &STARTED.replace("NEXT", "next"));
        for _ in 0..3 {
            publish(&mut world, "m", "key-1", HOUR);
        }
        world.settle();
        for round in 1..=3 {
            assert_eq!(
                count(&world, MessageStartEventSubscriptionIntent::Correlated),
                round,
                "seed {seed}"
            );
            publish(&mut world, "next", "key-1", 0);
            world.settle();
            assert_eq!(
                instances(&world, ProcessInstanceIntent::ElementCompleted).len(),
                round,
                "seed {seed}"
            );
        }
        assert_nothing_is_left(&world, seed);
        publish(&mut world, "m", "key-1", 0);
        assert_eq!(
            count(&world, MessageStartEventSubscriptionIntent::Correlated),
            4,
            "the key is free"
        );
    }
}

#[test]
fn without_a_correlation_key_every_message_starts_an_instance() {
    let mut world = World::new(PARTITIONS, 0);
    deploy(&mut world, &STARTED.replace("NEXT", "next"));
    for _ in 0..3 {
        publish(&mut world, "m", "", 0);
    }
    assert_eq!(
        count(&world, MessageStartEventSubscriptionIntent::Correlated),
        3
    );
    assert_eq!(world.content(1).count(prefix::MESSAGE_STARTED_INSTANCES), 0);
}

#[test]
fn a_cancelled_instance_frees_its_correlation_key_for_the_latest_version() {
    let mut world = World::new(PARTITIONS, 0);
    deploy(&mut world, &STARTED.replace("NEXT", "next"));
    publish(&mut world, "m", "key-1", HOUR);
    publish(&mut world, "m", "key-1", HOUR);
    world.settle();
    deploy(&mut world, &STARTED.replace("NEXT", "other"));
    let first = *instances(&world, ProcessInstanceIntent::ElementActivated)
        .first()
        .unwrap();
    let cancel = Command::new(
        first,
        ProcessInstanceIntent::Cancel,
        values::ProcessInstance::default(),
    );
    world.client(first.partition() as u32, cancel).unwrap();
    world.settle();
    let started: Vec<i32> = world
        .partitions
        .iter()
        .flat_map(|partition| partition.events(ProcessInstanceIntent::ElementActivated))
        .filter_map(|record| match &record.value {
            RecordValue::ProcessInstance(value) if value.process_instance_key == record.key.0 => {
                Some(value.version)
            }
            _ => None,
        })
        .collect();
    assert_eq!(started, [1, 2]);
}

#[test]
fn a_message_past_its_deadline_starts_nothing_when_the_key_is_free() {
    let mut world = World::new(PARTITIONS, 0);
    deploy(&mut world, &STARTED.replace("NEXT", "next"));
    publish(&mut world, "m", "key-1", 100);
    publish(&mut world, "m", "key-1", 100);
    world.settle();
    world.time += 100;
    publish(&mut world, "next", "key-1", 0);
    world.settle();
    assert_eq!(
        instances(&world, ProcessInstanceIntent::ElementCompleted).len(),
        1
    );
    assert_eq!(
        count(&world, MessageStartEventSubscriptionIntent::Correlated),
        1
    );
}

#[test]
fn a_message_starts_an_instance_or_reaches_one_but_not_both() {
    let mut world = World::new(PARTITIONS, 0);
    deploy(&mut world, &STARTED.replace("NEXT", "m"));
    publish(&mut world, "m", "key-1", HOUR);
    world.settle();
    assert_eq!(
        count(&world, MessageStartEventSubscriptionIntent::Correlated),
        1
    );
    assert_eq!(
        count(&world, ProcessMessageSubscriptionIntent::Correlated),
        0,
        "it does not reach the one it started"
    );
    publish(&mut world, "m", "key-1", HOUR);
    world.settle();
    assert_eq!(
        count(&world, ProcessMessageSubscriptionIntent::Correlated),
        1
    );
    assert_eq!(
        count(&world, MessageStartEventSubscriptionIntent::Correlated),
        1,
        "it starts none as well"
    );
    assert_eq!(
        instances(&world, ProcessInstanceIntent::ElementCompleted).len(),
        1
    );
}

#[test]
fn a_subscription_goes_over_to_the_process_that_its_instance_was_migrated_to() {
    for seed in 0..10 {
        let mut world = World::faulty(PARTITIONS, seed);
        deploy(&mut world, WAIT);
        deploy(&mut world, &WAIT.replace("\"wait\"", "\"other\""));
        let target = *world
            .partition(1)
            .keys(ProcessIntent::Created)
            .last()
            .unwrap();
        let elsewhere = |key: &String| routing::message_partition(key, PARTITIONS).0 == 2;
        let key = (0..).map(|n: u32| n.to_string()).find(elsewhere).unwrap();
        let instance = create(&mut world, 1, &key);
        world.settle();
        let migration = values::ProcessInstanceMigration {
            process_instance_key: instance.0,
            target_process_definition_key: target.0,
            mapping_instructions: vec![values::MappingInstruction {
                source_element_id: "catch".to_owned(),
                target_element_id: "catch".to_owned(),
            }],
        };
        let migrate = Command::new(instance, ProcessInstanceMigrationIntent::Migrate, migration);
        world.client(1, migrate.clone()).unwrap();
        let rejection = world.client(1, migrate.clone()).unwrap_err();
        let expected =
            "has a pending message subscription migration distribution for event with id 'catch'.";
        assert!(rejection.reason.ends_with(expected), "{}", rejection.reason);
        world.settle();
        let subscription = world
            .partition(1)
            .keys(ProcessMessageSubscriptionIntent::Migrated);
        let finished = world.partition(1).keys(CommandDistributionIntent::Finished);
        assert_eq!(finished.last(), subscription.first());
        let migrated = world
            .partition(2)
            .events(MessageSubscriptionIntent::Migrated);
        assert!(matches!(
            &migrated[0].value,
            RecordValue::MessageSubscription(value) if value.bpmn_process_id == "other"
        ));
        assert_eq!(world.content(1).count(prefix::PENDING_DISTRIBUTIONS), 0);
        world.client(1, migrate).unwrap();
        world.settle();
    }
}
