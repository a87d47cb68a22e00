use skep_protocol::{
    Command, CommandDistributionIntent, DeploymentIntent, Key, MessageStartEventSubscriptionIntent,
    PartitionId, ProcessIntent, RecordValue, Rejection, RejectionType, values,
};

use super::world::World;
use crate::behaviours::channel;
use crate::limits;
use crate::tables::{message_start_events, prefix, processes};

fn bpmn(body: &str) -> String {
    format!(
        r#"<bpmn:definitions xmlns:bpmn="http://www.omg.org/spec/BPMN/20100524/MODEL" xmlns:zeebe="http://camunda.org/schema/zeebe/1.0" id="definitions" targetNamespace="test">{body}</bpmn:definitions>"#
    )
}

fn process(id: &str) -> String {
    format!(
        r#"<bpmn:process id="{id}" isExecutable="true"><bpmn:startEvent id="{id}-start"/></bpmn:process>"#
    )
}

/// A process that starts with a message of that name.
fn message_process(id: &str, name: &str) -> String {
    format!(
        r#"<bpmn:message id="{id}-m" name="{name}"/><bpmn:process id="{id}" isExecutable="true"><bpmn:startEvent id="{id}-start"><bpmn:messageEventDefinition id="{id}-d" messageRef="{id}-m"/></bpmn:startEvent></bpmn:process>"#
    )
}

/// Names and contents.
type Resources<'a> = &'a [(&'a str, &'a str)];

fn deployment(resources: Resources) -> Command {
    let resource = |(name, content): &(&str, &str)| values::DeploymentResource {
        resource_name: (*name).to_owned(),
        resource: content.as_bytes().to_vec(),
    };
    let value = values::Deployment {
        resources: resources.iter().map(resource).collect(),
        ..Default::default()
    };
    Command::new(Key::NONE, DeploymentIntent::Create, value)
}

fn deploy(world: &mut World, resources: Resources) -> (Key, Vec<values::ProcessMetadata>) {
    let answer = world.client(1, deployment(resources)).unwrap();
    let RecordValue::Deployment(value) = answer.value else {
        panic!("{answer:?}")
    };
    assert!(
        value
            .resources
            .iter()
            .all(|resource| resource.resource.is_empty()),
        "answers carry no content"
    );
    (answer.key, value.processes)
}

fn refused(world: &mut World, resources: Resources) -> Rejection {
    let before = world.content(1).clone();
    let rejection = world.client(1, deployment(resources)).unwrap_err();
    assert_eq!(
        *world.content(1),
        before,
        "a refused deployment leaves nothing"
    );
    rejection
}

#[test]
fn versions_grow_and_unchanged_resources_are_recognised() {
    let mut world = World::new(1, 0);
    let one = bpmn(&process("p"));
    let two = bpmn(&format!("<!-- changed -->{}", process("p")));
    // Name, content; version, and whether it is the same as before.
    let cases = [
        ("a.bpmn", &one, 1, false),
        ("a.bpmn", &one, 1, true),
        ("b.bpmn", &one, 2, false),
        ("b.bpmn", &two, 3, false),
        ("b.bpmn", &two, 3, true),
        ("b.bpmn", &one, 4, false),
    ];
    let mut keys = Vec::new();
    let mut brought_by = Key::NONE;
    for (name, content, version, duplicate) in cases {
        let (deployment, processes) = deploy(&mut world, &[(name, content)]);
        if !duplicate {
            brought_by = deployment;
        }
        assert_eq!(processes[0].deployment_key, brought_by.0);
        assert_eq!(
            (processes[0].version, processes[0].duplicate),
            (version, duplicate),
            "{name} version {version}"
        );
        keys.push(processes[0].process_definition_key);
    }
    assert_eq!((keys[0], keys[3]), (keys[1], keys[4]));
    assert_eq!(
        world.partition(1).events(DeploymentIntent::Created).len(),
        6
    );
    assert_eq!(world.partition(1).events(ProcessIntent::Created).len(), 4);
    let latest = processes::latest(world.content(1), "p").unwrap().unwrap();
    assert_eq!((latest.version, latest.key().0), (4, keys[5]));
}

#[test]
fn several_processes_and_resources_are_deployed_together() {
    let mut world = World::new(1, 0);
    let both = bpmn(&format!("{}{}", process("p"), process("q")));
    let other = bpmn(&process("r"));
    let (_, processes) = deploy(&mut world, &[("both.bpmn", &both), ("other.xml", &other)]);
    let found: Vec<_> = processes
        .iter()
        .map(|it| (it.bpmn_process_id.as_str(), it.resource_name.as_str()))
        .collect();
    assert_eq!(
        found,
        [("p", "both.bpmn"), ("q", "both.bpmn"), ("r", "other.xml")]
    );
    assert_eq!(
        world.content(1).count(prefix::RESOURCES),
        2,
        "a resource is kept once"
    );
    let RecordValue::Process(created) = &world.partition(1).events(ProcessIntent::Created)[1].value
    else {
        panic!()
    };
    assert_eq!(
        (
            created.bpmn_process_id.as_str(),
            created.resource.as_slice()
        ),
        ("q", both.as_bytes())
    );
}

#[test]
fn a_bad_resource_refuses_all_and_every_problem_is_named() {
    let good = bpmn(&process("good"));
    let unsupported = bpmn(
        r#"<bpmn:process id="s" isExecutable="true"><bpmn:startEvent id="begin"><bpmn:outgoing>f</bpmn:outgoing></bpmn:startEvent><bpmn:sequenceFlow id="f" sourceRef="begin" targetRef="odd"/><bpmn:complexGateway id="odd"><bpmn:incoming>f</bpmn:incoming></bpmn:complexGateway></bpmn:process>"#,
    );
    let mut world = World::new(1, 0);
    let lead = "Expected to deploy new resources, but encountered the following errors:";
    let cases: [(Resources, &[&str]); 6] = [
        (
            &[("good.bpmn", &good), ("x.txt", "")],
            &[lead, "\n'x.txt': unknown resource type"],
        ),
        (&[("x.BPMN", &good)], &["'x.BPMN': unknown resource type"]),
        (
            &[("d.dmn", ""), ("f.form", "{}"), ("bad.bpmn", "no xml")],
            &[
                "'d.dmn': the XML cannot be parsed",
                "'f.form': Expected the form id to be present",
                "'bad.bpmn': ",
            ],
        ),
        (
            &[("a.bpmn", &good), ("b.bpmn", &good)],
            &["Duplicated process id 'good' in resources 'a.bpmn' and 'b.bpmn'"],
        ),
        (
            &[("a.bpmn", &good), ("a.bpmn", "<a/>")],
            &["'a.bpmn': two resources of one deployment have this name"],
        ),
        (
            &[("m.bpmn", &unsupported)],
            &["'m.bpmn': ", "- Element: odd", "are not supported"],
        ),
    ];
    for (resources, phrases) in cases {
        let rejection = refused(&mut world, resources);
        assert_eq!(rejection.rejection_type, RejectionType::InvalidArgument);
        for phrase in phrases {
            assert!(
                rejection.reason.contains(phrase),
                "{phrase:?} in {:?}",
                rejection.reason
            );
        }
    }
    let rejection = refused(&mut world, &[]);
    assert_eq!(
        rejection.reason,
        "Expected to deploy at least one resource, but none given"
    );
}

#[test]
fn a_deployment_is_refused_elsewhere_than_on_its_partition() {
    let mut world = World::new(2, 0);
    let rejection = world
        .client(2, deployment(&[("a.bpmn", &bpmn(&process("p")))]))
        .unwrap_err();
    assert_eq!(rejection.rejection_type, RejectionType::InvalidState);
}

#[test]
fn a_deployment_fits_into_a_batch() {
    let padded = |bytes: usize| {
        let (head, tail) = ("<!--", "-->");
        let body = process("p");
        let rest = bpmn(&format!("{head}{tail}{body}")).len();
        bpmn(&format!("{head}{}{tail}{body}", "x".repeat(bytes - rest)))
    };
    // Command, state and one event hold the resource.
    let largest = limits::DEPLOYMENT_BYTES_MAX / 3;
    let mut world = World::new(1, 0);
    for bytes in [largest + 1, limits::DEPLOYMENT_BYTES_MAX + 1] {
        let rejection = refused(&mut world, &[("p.bpmn", &padded(bytes))]);
        assert_eq!(
            rejection.rejection_type,
            RejectionType::ExceededBatchRecordSize,
            "{bytes}"
        );
    }
    deploy(&mut world, &[("p.bpmn", &padded(largest))]);
}

#[test]
fn a_long_list_of_problems_is_cut() {
    let names: Vec<String> = (0..2000).map(|number| format!("{number}.txt")).collect();
    let resources: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), "")).collect();
    let rejection = refused(&mut World::new(1, 0), &resources);
    assert_eq!(
        rejection.reason.chars().count(),
        limits::ERROR_MESSAGE_CHARS_MAX + 1
    );
}

#[test]
fn all_partitions_get_a_deployment_whatever_the_network_does() {
    for seed in 0..30 {
        let mut world = World::faulty(3, seed);
        let both = bpmn(&format!("{}{}", process("p"), process("q")));
        let starting = bpmn(&message_process("m", "hello"));
        let (first, _) = deploy(&mut world, &[("both.bpmn", &both), ("m.bpmn", &starting)]);
        let (second, _) = deploy(
            &mut world,
            &[
                ("both.bpmn", &both),
                ("m.bpmn", &bpmn(&message_process("m", "bye"))),
            ],
        );
        world.settle();
        for id in 1..=3 {
            let content = world.content(id);
            let m = processes::latest(content, "m").unwrap().unwrap();
            assert_eq!(m.version, 2, "seed {seed} partition {id}");
            assert_eq!(
                message_start_events::of_name(content, "hello").unwrap(),
                [],
                "seed {seed} partition {id}"
            );
            assert_eq!(
                message_start_events::of_name(content, "bye").unwrap().len(),
                1,
                "seed {seed} partition {id}"
            );
            for process in ["p", "q", "m"] {
                let here = processes::latest(content, process).unwrap();
                assert_eq!(here, processes::latest(world.content(1), process).unwrap());
            }
            assert_eq!(
                processes::resource(content, first, "both.bpmn")
                    .unwrap()
                    .unwrap(),
                both.as_bytes()
            );
            assert_eq!(
                world
                    .partition(id)
                    .events(MessageStartEventSubscriptionIntent::Deleted)
                    .len(),
                1
            );
            if id > 1 {
                assert_eq!(
                    world.partition(id).keys(DeploymentIntent::Created),
                    [first, second],
                    "seed {seed}"
                );
            }
        }
        assert_distributed(&world, [first, second], seed);
    }
}

/// The deployment partition has heard from all others, and has nothing more to send.
fn assert_distributed(world: &World, deployments: [Key; 2], seed: u64) {
    let deployer = world.partition(1);
    let mut finished = deployer.keys(CommandDistributionIntent::Finished);
    finished.sort();
    assert_eq!(finished, deployments, "seed {seed}");
    for (intent, count) in [
        (CommandDistributionIntent::Started, 2),
        (CommandDistributionIntent::Distributing, 4),
        (CommandDistributionIntent::Acknowledged, 4),
    ] {
        assert_eq!(deployer.events(intent).len(), count, "seed {seed}");
    }
    assert_eq!(
        deployer.content.count(prefix::PENDING_DISTRIBUTIONS)
            + deployer.content.count(prefix::OUTBOX),
        0
    );
}

#[test]
fn the_outbox_refers_to_resources_and_gives_them_back() {
    let mut world = World::new(3, 0);
    let content = bpmn(&process("p"));
    deploy(&mut world, &[("p.bpmn", &content)]);
    for target in [2, 3] {
        let undelivered = channel::undelivered(world.content(1), PartitionId(target), 10).unwrap();
        let RecordValue::Deployment(deployment) = &undelivered[0].command.value else {
            panic!()
        };
        assert_eq!(deployment.resources[0].resource, content.as_bytes());
    }
}

#[test]
fn only_what_is_new_is_distributed() {
    let mut world = World::new(2, 0);
    let old = bpmn(&process("old"));
    deploy(&mut world, &[("old.bpmn", &old)]);
    world.settle();
    let before = world.partition(1).records.len();
    deploy(&mut world, &[("old.bpmn", &old)]);
    let written = &world.partition(1).records[before..];
    assert_eq!(
        written.last().unwrap().intent,
        DeploymentIntent::Created.into(),
        "nothing is to be distributed"
    );
}

#[test]
fn what_is_deployed_together_gets_new_versions_together() {
    let mut world = World::new(1, 0);
    let (p, q) = (bpmn(&process("p")), bpmn(&process("q")));
    let changed = bpmn(&format!("<!-- changed -->{}", process("q")));
    let versions = |world: &mut World, q: &str| {
        let (_, processes) = deploy(world, &[("p.bpmn", &p), ("q.bpmn", q)]);
        let found = processes.iter().map(|it| (it.version, it.duplicate));
        found.collect::<Vec<_>>()
    };
    assert_eq!(versions(&mut world, &q), [(1, false), (1, false)]);
    assert_eq!(versions(&mut world, &q), [(1, true), (1, true)]);
    assert_eq!(versions(&mut world, &changed), [(2, false), (2, false)]);
    let (_, alone) = deploy(&mut world, &[("p.bpmn", &p)]);
    assert_eq!((alone[0].version, alone[0].duplicate), (2, true));
}

#[test]
fn a_message_start_event_needs_a_name_without_variables() {
    let mut world = World::new(1, 0);
    deploy(
        &mut world,
        &[(
            "m.bpmn",
            &bpmn(&message_process("m", "=&quot;he&quot; + &quot;llo&quot;")),
        )],
    );
    assert_eq!(
        message_start_events::of_name(world.content(1), "hello")
            .unwrap()
            .len(),
        1
    );
    let rejection = refused(
        &mut world,
        &[("n.bpmn", &bpmn(&message_process("n", "=nothing")))],
    );
    assert!(rejection.reason.contains("n-start"), "{}", rejection.reason);
}
