//! Signals (15.3 to 15.5).

use skep_bpmn::builder::ProcessBuilder;
use skep_engine::Input;
use skep_protocol::values::{self, IncidentErrorType};
use skep_protocol::{Command, Key, RejectionType, SignalIntent, SignalSubscriptionIntent};

use crate::harness::Harness;
use crate::helpers::broadcast;

const DEFINITIONS: &str = r#"<bpmn:signal id="signal" name="alarm"/>
    <bpmn:signal id="computed" name="=name"/>"#;
const SIGNAL: &str = r#"<bpmn:signalEventDefinition signalRef="signal"/>"#;
const COMPUTED: &str = r#"<bpmn:signalEventDefinition signalRef="computed"/>"#;

fn process(id: &str) -> ProcessBuilder {
    ProcessBuilder::new(id).definitions(DEFINITIONS)
}

fn alarm(harness: &mut Harness, variables: &str) {
    broadcast(harness, "alarm", variables).unwrap();
}

fn started(id: &str) -> ProcessBuilder {
    process(id)
        .start_at("plain")
        .end()
        .without_source()
        .element("startEvent", "by-signal", SIGNAL)
}

#[test]
fn a_broadcast_starts_an_instance_of_the_latest_version_of_each_process() {
    let mut harness = Harness::with(&started("a").service_task("old", "old").end().xml());
    harness.deploy(&started("a").service_task("new", "new").end().xml());
    harness.deploy(&started("b").service_task("other", "other").end().xml());
    let deleted = harness.events(SignalSubscriptionIntent::Deleted).len();
    assert_eq!(deleted, 1);
    let answer = broadcast(&mut harness, "alarm", r#"{"x":1}"#).unwrap();
    assert!(answer.key.is_some());
    assert_eq!(
        harness.count("a ACTIVATED") + harness.count("b ACTIVATED"),
        2
    );
    assert!(!harness.happened("plain ACTIVATING") && !harness.happened("old ACTIVATING"));
    assert_eq!(harness.variables(harness.key_of("a")), ["x=1"]);
    broadcast(&mut harness, "other", "{}").unwrap();
    assert_eq!(harness.count("a ACTIVATED"), 1);
    harness.work("new", "{}");
    harness.work("other", "{}");
    harness.assert_clean();
}

#[test]
fn a_start_event_maps_what_it_gets() {
    let mut harness = Harness::with(
        &started("a")
            .output("=x + 1", "y")
            .service_task("t", "t")
            .end()
            .xml(),
    );
    alarm(&mut harness, r#"{"x":1}"#);
    assert_eq!(harness.variables(harness.key_of("a")), ["y=2"]);
}

#[test]
fn several_start_events_of_a_process_each_start_an_instance() {
    let xml = started("a")
        .end()
        .definitions(r#"<bpmn:signal id="twin" name="=&quot;al&quot; + &quot;arm&quot;"/>"#)
        .without_source()
        .element(
            "startEvent",
            "again",
            r#"<bpmn:signalEventDefinition signalRef="twin"/>"#,
        )
        .end()
        .xml();
    let mut harness = Harness::with(&xml);
    alarm(&mut harness, "{}");
    assert_eq!(harness.count("a COMPLETED"), 2);
    assert!(harness.happened("by-signal COMPLETED") && harness.happened("again COMPLETED"));
}

#[test]
fn a_catch_event_takes_the_next_broadcast_and_no_former_one() {
    let xml = process("p")
        .start()
        .element("intermediateCatchEvent", "catch", COMPUTED)
        .service_task("after", "after")
        .end()
        .xml();
    let mut harness = Harness::with(&xml);
    alarm(&mut harness, "{}");
    let instance = harness.create("p", r#"{"name":"alarm"}"#);
    let other = harness.create("p", r#"{"name":"other"}"#);
    assert!(!harness.happened("catch COMPLETING"));
    alarm(&mut harness, r#"{"x":1}"#);
    alarm(&mut harness, r#"{"x":2}"#);
    assert_eq!(harness.count("catch COMPLETED"), 1);
    assert_eq!(harness.variables(instance), [r#"name="alarm""#, "x=1"]);
    assert_eq!(harness.variables(other), [r#"name="other""#]);
    harness.work("after", "{}");
    harness.cancel(other).unwrap();
    harness.assert_clean();
}

#[test]
fn a_name_that_is_no_text_is_an_incident() {
    let xml = process("p")
        .start()
        .element("intermediateCatchEvent", "catch", COMPUTED)
        .end()
        .xml();
    let mut harness = Harness::with(&xml);
    let instance = harness.create("p", r#"{"name":1}"#);
    let (incident, value) = harness.incidents()[0].clone();
    assert_eq!(value.error_type(), IncidentErrorType::ExtractValueError);
    harness
        .set_variables(instance, r#"{"name":"alarm"}"#, false)
        .unwrap();
    harness.resolve(incident).unwrap();
    alarm(&mut harness, "{}");
    assert!(harness.happened("p COMPLETED"));
}

#[test]
fn boundary_events_take_it_once_or_again_and_again() {
    for interrupting in [true, false] {
        let xml = process("p")
            .start()
            .service_task("task", "work")
            .end()
            .boundary("caught", "task", SIGNAL)
            .attribute("cancelActivity", &interrupting.to_string())
            .end_at("alarmed")
            .xml();
        let mut harness = Harness::with(&xml);
        let instance = harness.create("p", "{}");
        alarm(&mut harness, r#"{"x":1}"#);
        if !interrupting {
            assert_eq!(harness.variables(instance), ["x=1"]);
            alarm(&mut harness, "{}");
            harness.work("work", "{}");
        }
        let expected = if interrupting { 1 } else { 2 };
        assert_eq!(harness.count("alarmed COMPLETED"), expected);
        assert_eq!(harness.happened("task TERMINATED"), interrupting);
        assert!(harness.happened("p COMPLETED"));
        harness.assert_clean();
    }
}

#[test]
fn event_sub_processes_take_it_once_or_again_and_again() {
    for interrupting in [true, false] {
        let xml = process("p")
            .start()
            .service_task("task", "work")
            .end()
            .event_sub_process("on", "on-start", SIGNAL, interrupting)
            .end_at("alarmed")
            .leave()
            .xml();
        let mut harness = Harness::with(&xml);
        harness.create("p", "{}");
        alarm(&mut harness, "{}");
        if !interrupting {
            alarm(&mut harness, "{}");
            harness.work("work", "{}");
        }
        let expected = if interrupting { 1 } else { 2 };
        assert_eq!(harness.count("alarmed COMPLETED"), expected);
        assert!(harness.happened("p COMPLETED"));
        harness.assert_clean();
    }
}

#[test]
fn throw_and_end_events_broadcast_what_is_mapped_into_them() {
    for (tag, then) in [("intermediateThrowEvent", true), ("endEvent", false)] {
        let mut thrower = process("thrower")
            .start()
            .element(tag, "throw", COMPUTED)
            .input("=a + 1", "b")
            .output("=b + 1", "c");
        if then {
            thrower = thrower.service_task("then", "then").end();
        }
        let mut harness = Harness::with(&thrower.xml());
        harness.deploy(&started("a").service_task("t", "t").end().xml());
        let instance = harness.create("thrower", r#"{"a":1,"name":"alarm"}"#);
        assert_eq!(harness.variables(harness.key_of("a")), ["b=2"]);
        if then {
            assert_eq!(
                harness.variables(instance),
                ["a=1", "c=3", r#"name="alarm""#]
            );
            harness.work("then", "{}");
        }
        assert!(harness.happened("thrower COMPLETED"));
        harness.work("t", "{}");
        harness.assert_clean();
    }
}

#[test]
fn variables_that_are_no_document_are_refused() {
    let mut harness = Harness::new();
    let rejection = broadcast(&mut harness, "alarm", "[]").unwrap_err();
    assert_eq!(rejection.rejection_type, RejectionType::InvalidArgument);
}

#[test]
fn hundreds_of_instances_are_reached_some_at_a_time() {
    let xml = process("p")
        .start()
        .element("intermediateCatchEvent", "catch", SIGNAL)
        .end()
        .xml();
    let mut harness = Harness::new();
    harness.checks = false;
    harness.deploy(&xml);
    for _ in 0..200 {
        harness.create("p", "{}");
    }
    let signal = values::Signal {
        signal_name: "alarm".to_owned(),
        ..Default::default()
    };
    let outcome = harness.process(Input::Client {
        command: Command::new(Key::NONE, SignalIntent::Broadcast, signal),
        request: None,
    });
    assert!(outcome.records.len() < 2_000);
    assert!(harness.count("catch COMPLETED") < 200);
    harness.settle();
    assert_eq!(harness.count("p COMPLETED"), 200);
    harness.assert_clean();
}

#[test]
fn an_event_based_gateway_waits_for_it() {
    let xml = process("p")
        .start()
        .element("eventBasedGateway", "wait", "")
        .element("intermediateCatchEvent", "catch", SIGNAL)
        .end_at("alarmed")
        .move_to("wait")
        .timer_catch("late", "PT1H")
        .end()
        .xml();
    let mut harness = Harness::with(&xml);
    harness.create("p", "{}");
    alarm(&mut harness, "{}");
    assert_eq!(harness.count("alarmed COMPLETED"), 1);
    harness.assert_clean();
    harness.create("p", "{}");
    harness.advance(3_600_000);
    assert_eq!(harness.count("p COMPLETED"), 2);
    harness.assert_clean();
}
