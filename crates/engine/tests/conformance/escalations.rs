//! Escalations (15.1, 15.2).

use skep_bpmn::builder::ProcessBuilder;
use skep_protocol::EscalationIntent;
use skep_protocol::values::{self, IncidentErrorType};

use crate::harness::Harness;
use crate::helpers::values_of;

const DEFINITIONS: &str = r#"<bpmn:escalation id="low" escalationCode="low"/>
    <bpmn:escalation id="high" escalationCode="high"/>
    <bpmn:escalation id="computed" escalationCode="=code"/>"#;

fn escalation(name: &str) -> String {
    match name {
        "" => "<bpmn:escalationEventDefinition/>".to_owned(),
        name => format!(r#"<bpmn:escalationEventDefinition escalationRef="{name}"/>"#),
    }
}

/// A sub-process that throws in the middle and goes on with a task.
fn throwing(thrown: &str) -> ProcessBuilder {
    ProcessBuilder::new("p")
        .definitions(DEFINITIONS)
        .start()
        .sub_process("sub")
        .start()
        .element("intermediateThrowEvent", "throw", &escalation(thrown))
        .service_task("task", "work")
        .end()
        .leave()
        .end_at("fine")
}

fn outcomes(harness: &Harness, intent: EscalationIntent) -> Vec<(String, String)> {
    let values: Vec<values::Escalation> = values_of(harness, intent);
    let outcomes = values
        .into_iter()
        .map(|value| (value.escalation_code, value.catch_element_id));
    outcomes.collect()
}

#[test]
fn one_that_interrupts_ends_the_scope() {
    for (thrown, caught) in [("low", "low"), ("low", ""), ("computed", "low")] {
        let xml = throwing(thrown)
            .boundary("caught", "sub", &escalation(caught))
            .end_at("escalated")
            .xml();
        let mut harness = Harness::with(&xml);
        harness.create("p", r#"{"code":"low"}"#);
        assert!(harness.happened("throw TERMINATED"));
        assert!(!harness.happened("task ACTIVATING"));
        assert!(harness.happened("escalated COMPLETED") && !harness.happened("fine COMPLETED"));
        let expected = [("low".to_owned(), "caught".to_owned())];
        assert_eq!(outcomes(&harness, EscalationIntent::Escalated), expected);
        harness.assert_clean();
    }
}

#[test]
fn one_that_does_not_interrupt_lets_the_thrower_go_on() {
    let xml = throwing("low")
        .boundary("caught", "sub", &escalation("low"))
        .attribute("cancelActivity", "false")
        .end_at("escalated")
        .xml();
    let mut harness = Harness::with(&xml);
    harness.create("p", "{}");
    assert!(harness.happened("escalated COMPLETED"));
    harness.work("work", "{}");
    assert!(harness.happened("fine COMPLETED"));
    harness.assert_clean();
}

#[test]
fn one_that_nobody_catches_changes_nothing() {
    let xml = throwing("low")
        .boundary("caught", "sub", &escalation("high"))
        .end_at("escalated")
        .xml();
    let mut harness = Harness::with(&xml);
    harness.create("p", "{}");
    harness.work("work", "{}");
    assert!(harness.happened("fine COMPLETED") && harness.incidents().is_empty());
    let expected = [("low".to_owned(), String::new())];
    assert_eq!(outcomes(&harness, EscalationIntent::NotEscalated), expected);
    harness.assert_clean();
}

#[test]
fn the_exact_code_goes_before_all_codes_and_the_inner_scope_before_the_outer() {
    let xml = throwing("low")
        .boundary("any", "sub", &escalation(""))
        .end()
        .boundary("exact", "sub", &escalation("low"))
        .end()
        .event_sub_process("on", "on-start", &escalation("low"), true)
        .end()
        .leave()
        .xml();
    let mut harness = Harness::with(&xml);
    harness.create("p", "{}");
    assert!(harness.happened("exact COMPLETED"));
    assert!(!harness.happened("any ACTIVATING") && !harness.happened("on ACTIVATING"));
    harness.assert_clean();
}

#[test]
fn event_sub_processes_take_it_beside_the_scope_or_in_its_place() {
    for interrupting in [true, false] {
        let xml = ProcessBuilder::new("p")
            .definitions(DEFINITIONS)
            .start()
            .parallel_gateway("fork")
            .service_task("task", "work")
            .end()
            .move_to("fork")
            .element("endEvent", "throw", &escalation("low"))
            .event_sub_process("on", "on-start", &escalation("low"), interrupting)
            .end_at("escalated")
            .leave()
            .xml();
        let mut harness = Harness::with(&xml);
        harness.create("p", "{}");
        assert!(harness.happened("escalated COMPLETED"));
        assert_eq!(harness.happened("throw TERMINATED"), interrupting);
        if !interrupting {
            harness.work("work", "{}");
        }
        assert!(harness.happened("p COMPLETED"));
        harness.assert_clean();
    }
}

#[test]
fn it_goes_across_calls() {
    let called = ProcessBuilder::new("called")
        .definitions(DEFINITIONS)
        .start()
        .element("endEvent", "throw", &escalation("high"));
    let caller = ProcessBuilder::new("caller")
        .definitions(DEFINITIONS)
        .start()
        .element("callActivity", "call", "")
        .extension(r#"<zeebe:calledElement processId="called"/>"#)
        .end_at("fine")
        .boundary("caught", "call", &escalation("high"))
        .end_at("escalated");
    let mut harness = Harness::with(&called.xml());
    harness.deploy(&caller.xml());
    harness.create("caller", "{}");
    assert!(harness.happened("called TERMINATED") && harness.happened("escalated COMPLETED"));
    harness.assert_clean();
}

#[test]
fn a_code_that_is_no_text_is_an_incident() {
    let mut harness = Harness::with(&throwing("computed").xml());
    let instance = harness.create("p", r#"{"code":1}"#);
    let (incident, value) = harness.incidents()[0].clone();
    assert_eq!(value.error_type(), IncidentErrorType::ExtractValueError);
    harness
        .set_variables(instance, r#"{"code":"low"}"#, false)
        .unwrap();
    harness.resolve(incident).unwrap();
    harness.work("work", "{}");
    harness.assert_clean();
}
