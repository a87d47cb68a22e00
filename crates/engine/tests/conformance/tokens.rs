//! Tokens and the order of records.

use skep_bpmn::builder::ProcessBuilder;
use skep_protocol::{Position, RecordType};

use crate::harness::Harness;

fn one_task() -> String {
    ProcessBuilder::new("p")
        .start_at("start")
        .service_task("task", "work")
        .end_at("end")
        .xml()
}

#[test]
fn an_instance_with_a_service_task_runs_from_start_to_end() {
    let mut harness = Harness::with(&one_task());
    harness.create("p", "{}");
    harness.work("work", "{}");
    let expected = [
        "p ACTIVATING",
        "p ACTIVATED",
        "start ACTIVATING",
        "start ACTIVATED",
        "start COMPLETING",
        "start COMPLETED",
        "flow-1 SEQUENCE_FLOW_TAKEN",
        "task ACTIVATING",
        "task ACTIVATED",
        "task COMPLETING",
        "task COMPLETED",
        "flow-2 SEQUENCE_FLOW_TAKEN",
        "end ACTIVATING",
        "end ACTIVATED",
        "end COMPLETING",
        "end COMPLETED",
        "p COMPLETING",
        "p COMPLETED",
    ];
    let trace = harness.trace();
    let named: Vec<&str> = trace.iter().map(String::as_str).collect();
    let flows: Vec<&str> = named
        .iter()
        .filter(|event| event.ends_with("TAKEN"))
        .copied()
        .collect();
    assert_eq!(flows.len(), 2);
    let without_flows = |events: &[&str]| -> Vec<String> {
        events
            .iter()
            .filter(|event| !event.ends_with("TAKEN"))
            .map(|event| (*event).to_owned())
            .collect()
    };
    assert_eq!(without_flows(&named), without_flows(&expected));
    harness.assert_clean();
}

#[test]
fn the_records_of_a_creation_come_in_the_order_of_zeebe() {
    let mut harness = Harness::with(&one_task());
    let before = harness.records.len();
    harness.create("p", r#"{"a":1,"b":"x"}"#);
    let named: Vec<String> = harness.records[before..before + 6]
        .iter()
        .map(|record| {
            format!(
                "{} {}",
                record.intent.value_type().name(),
                record.intent.name()
            )
        })
        .collect();
    let expected = [
        "PROCESS_INSTANCE_CREATION CREATE",
        "VARIABLE CREATED",
        "VARIABLE CREATED",
        "PROCESS_INSTANCE ACTIVATE_ELEMENT",
        "PROCESS_INSTANCE_CREATION CREATED",
        "PROCESS_INSTANCE ELEMENT_ACTIVATING",
    ];
    assert_eq!(named, expected);
}

#[test]
fn every_record_but_a_clients_command_names_the_command_that_caused_it() {
    let mut harness = Harness::with(&one_task());
    let before = harness.records.len();
    harness.create("p", "{}");
    let records = &harness.records[before..];
    assert_eq!(records[0].source_position, Position::NONE);
    for record in &records[1..] {
        let source = &harness.records[record.source_position.0 as usize - 1];
        assert_eq!(
            source.record_type,
            RecordType::Command,
            "source of {record:?}"
        );
    }
}

#[test]
fn an_activity_without_outgoing_flow_ends_its_token() {
    let mut harness = Harness::with(
        &ProcessBuilder::new("p")
            .start()
            .service_task("task", "work")
            .xml(),
    );
    harness.create("p", "{}");
    harness.work("work", "{}");
    assert!(harness.happened("p COMPLETED"));
    harness.assert_clean();
}

#[test]
fn an_activity_with_several_outgoing_flows_takes_all_of_them() {
    let xml = ProcessBuilder::new("p")
        .start()
        .service_task("task", "work")
        .service_task("a", "a")
        .move_to("task")
        .service_task("b", "b")
        .xml();
    let mut harness = Harness::with(&xml);
    harness.create("p", "{}");
    harness.work("work", "{}");
    harness.work("a", "{}");
    assert!(!harness.happened("p COMPLETED"));
    harness.work("b", "{}");
    assert!(harness.happened("p COMPLETED"));
    harness.assert_clean();
}

#[test]
fn several_tokens_into_an_activity_activate_it_once_each() {
    let xml = ProcessBuilder::new("p")
        .start()
        .parallel_gateway("fork")
        .service_task("task", "work")
        .move_to("fork")
        .connect_to("task")
        .xml();
    let mut harness = Harness::with(&xml);
    harness.create("p", "{}");
    assert_eq!(harness.count("task ACTIVATED"), 2);
    for (job, _) in harness.activate("work", 5) {
        harness.complete(job, "{}").unwrap();
    }
    assert_eq!(harness.count("p COMPLETED"), 1);
    harness.assert_clean();
}

#[test]
fn an_event_without_outgoing_flow_ends_its_token() {
    let xml = ProcessBuilder::new("p")
        .start()
        .element("intermediateThrowEvent", "last", "")
        .xml();
    let mut harness = Harness::with(&xml);
    harness.create("p", "{}");
    assert!(harness.happened("last COMPLETED") && harness.happened("p COMPLETED"));
    harness.assert_clean();
}
