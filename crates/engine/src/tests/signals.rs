//! A signal on several partitions, whatever the network does.

use skep_protocol::{
    Command, CommandDistributionIntent, DeploymentIntent, Key, ProcessInstanceCreationIntent,
    ProcessInstanceIntent, RecordValue, SignalIntent, values,
};

use super::world::World;
use crate::tables::prefix;

const PARTITIONS: u32 = 3;

/// A process that waits for the signal, and one that it starts.
const PROCESSES: &str = r#"<bpmn:definitions xmlns:bpmn="http://www.omg.org/spec/BPMN/20100524/MODEL" id="definitions" targetNamespace="test">
<bpmn:signal id="signal" name="alarm"/>
<bpmn:process id="wait" isExecutable="true">
<bpmn:startEvent id="start"/><bpmn:sequenceFlow id="f1" sourceRef="start" targetRef="catch"/>
<bpmn:intermediateCatchEvent id="catch"><bpmn:signalEventDefinition id="d1" signalRef="signal"/></bpmn:intermediateCatchEvent>
</bpmn:process>
<bpmn:process id="started" isExecutable="true">
<bpmn:startEvent id="by-signal"><bpmn:signalEventDefinition id="d2" signalRef="signal"/></bpmn:startEvent>
</bpmn:process></bpmn:definitions>"#;

fn completed(world: &World, partition: u32, process: &str) -> usize {
    let records = world
        .partition(partition)
        .events(ProcessInstanceIntent::ElementCompleted);
    let of_process = records.into_iter().filter(|record| {
        matches!(&record.value, RecordValue::ProcessInstance(value) if value.element_id == process)
    });
    of_process.count()
}

#[test]
fn it_reaches_all_partitions_once_and_starts_instances_on_one() {
    for seed in 0..20 {
        let mut world = World::faulty(PARTITIONS, seed);
        let resource = values::DeploymentResource {
            resource_name: "process.bpmn".to_owned(),
            resource: PROCESSES.as_bytes().to_vec(),
        };
        let deployment = values::Deployment {
            resources: vec![resource],
            ..Default::default()
        };
        let create = Command::new(Key::NONE, DeploymentIntent::Create, deployment);
        world.client(1, create).unwrap();
        world.settle();
        for partition in 1..=PARTITIONS {
            let creation = values::ProcessInstanceCreation {
                bpmn_process_id: "wait".to_owned(),
                version: -1,
                ..Default::default()
            };
            let create = Command::new(Key::NONE, ProcessInstanceCreationIntent::Create, creation);
            world.client(partition, create).unwrap();
        }
        let signal = values::Signal {
            signal_name: "alarm".to_owned(),
            ..Default::default()
        };
        let broadcast = Command::new(Key::NONE, SignalIntent::Broadcast, signal);
        world.client(2, broadcast).unwrap();
        world.settle();
        for partition in 1..=PARTITIONS {
            assert_eq!(completed(&world, partition, "wait"), 1, "{partition}");
            let expected = usize::from(partition == 2);
            assert_eq!(completed(&world, partition, "started"), expected);
            let broadcasts = world.partition(partition).events(SignalIntent::Broadcasted);
            assert_eq!(broadcasts.len(), 1);
            let left = world.content(partition).count(prefix::SIGNAL_SUBSCRIPTIONS);
            assert_eq!(left, 1, "that of the start event");
            let pending = world
                .content(partition)
                .count(prefix::PENDING_DISTRIBUTIONS);
            assert_eq!(pending, 0);
        }
        let signal = world.partition(2).keys(SignalIntent::Broadcasted);
        for (intent, count) in [
            (CommandDistributionIntent::Started, 1),
            (CommandDistributionIntent::Distributing, 2),
            (CommandDistributionIntent::Acknowledged, 2),
            (CommandDistributionIntent::Finished, 1),
        ] {
            let keys = world.partition(2).keys(intent);
            assert_eq!(keys, vec![signal[0]; count], "{intent:?}");
        }
    }
}
