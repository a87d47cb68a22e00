//! Event-based gateways (9.6).

use skep_bpmn::builder::ProcessBuilder;
use skep_protocol::values::IncidentErrorType;
use skep_protocol::{ProcessMessageSubscriptionIntent, TimerIntent};

use crate::harness::Harness;

fn process() -> ProcessBuilder {
    ProcessBuilder::new("p")
        .start()
        .element("eventBasedGateway", "gateway", "")
        .timer_catch("timer", "PT1S")
        .service_task("late", "late")
        .end()
        .move_to("gateway")
        .message_catch("message", "m", "=key")
        .service_task("told", "told")
        .end()
}

fn created(process: &ProcessBuilder) -> (Harness, skep_protocol::Key) {
    let mut harness = Harness::with(&process.xml());
    let instance = harness.create("p", r#"{"key":"k"}"#);
    (harness, instance)
}

#[test]
fn the_gateway_waits_in_place_of_its_events() {
    let (harness, _) = created(&process());
    let gateway = harness.key_of("gateway");
    assert_eq!(harness.events(TimerIntent::Created).len(), 1);
    let opened = harness.events(ProcessMessageSubscriptionIntent::Created);
    assert_eq!(opened.len(), 1);
    assert!(harness.happened("gateway ACTIVATED"));
    assert!(!harness.happened("gateway COMPLETING"));
    assert!(!harness.happened("timer ACTIVATING"));
    assert!(gateway.is_some());
}

#[test]
fn the_timer_goes_on_if_it_comes_first() {
    let (mut harness, _) = created(&process());
    harness.advance(1_000);
    let trace = harness.trace();
    let at = |event: &str| trace.iter().position(|traced| traced == event).unwrap();
    let flow = trace
        .iter()
        .position(|event| event.starts_with("flow_gateway_timer") && event.ends_with("TAKEN"));
    assert!(at("gateway COMPLETED") < flow.unwrap());
    assert!(flow.unwrap() < at("timer ACTIVATING"));
    assert!(at("timer ACTIVATED") < at("timer COMPLETING"));
    assert!(at("timer COMPLETED") < at("late ACTIVATING"));
    harness.publish("m", "k", "{}");
    assert!(!harness.happened("message ACTIVATING"));
    harness.work("late", "{}");
    assert!(harness.happened("p COMPLETED"));
    harness.advance(1_001);
    harness.assert_clean();
}

#[test]
fn the_message_goes_on_with_its_variables_if_it_comes_first() {
    let (mut harness, instance) = created(&process());
    harness.publish("m", "k", r#"{"x":1}"#);
    assert!(harness.happened("message COMPLETED"));
    assert_eq!(harness.events(TimerIntent::Canceled).len(), 1);
    assert_eq!(harness.variables(instance), [r#"key="k""#, "x=1"]);
    harness.advance(1_001);
    assert!(!harness.happened("timer ACTIVATING"));
    harness.work("told", "{}");
    harness.assert_clean();
}

#[test]
fn the_event_maps_what_it_brings() {
    let process = ProcessBuilder::new("p")
        .start()
        .element("eventBasedGateway", "gateway", "")
        .timer_catch("timer", "PT1S")
        .move_to("gateway")
        .message_catch("message", "m", "=key")
        .output("=x + 1", "y")
        .service_task("told", "told")
        .end();
    let (mut harness, instance) = created(&process);
    harness.publish("m", "k", r#"{"x":1}"#);
    assert_eq!(harness.variables(instance), [r#"key="k""#, "y=2"]);
}

#[test]
fn of_timers_that_are_due_at_once_one_goes_on() {
    let process = ProcessBuilder::new("p")
        .start()
        .element("eventBasedGateway", "gateway", "")
        .timer_catch("one", "PT1S")
        .end()
        .move_to("gateway")
        .timer_catch("two", "PT1S")
        .end();
    let (mut harness, _) = created(&process);
    harness.advance(1_000);
    let gone_on = harness.count("one COMPLETED") + harness.count("two COMPLETED");
    assert_eq!(gone_on, 1);
    assert!(harness.happened("p COMPLETED"));
    harness.assert_clean();
}

#[test]
fn of_messages_that_are_there_already_one_goes_on() {
    let process = ProcessBuilder::new("p")
        .start()
        .element("eventBasedGateway", "gateway", "")
        .message_catch("one", "a", "=key")
        .end()
        .move_to("gateway")
        .message_catch("two", "b", "=key")
        .end();
    let mut harness = Harness::with(&process.xml());
    harness.publish("a", "k", "{}");
    harness.publish("b", "k", "{}");
    harness.create("p", r#"{"key":"k"}"#);
    let gone_on = harness.count("one COMPLETED") + harness.count("two COMPLETED");
    assert_eq!(gone_on, 1);
    assert!(harness.happened("p COMPLETED"));
    harness.advance(1_001);
    harness.assert_clean();
}

#[test]
fn all_is_closed_with_the_scope() {
    let (mut harness, instance) = created(&process());
    harness.cancel(instance).unwrap();
    assert_eq!(harness.events(TimerIntent::Canceled).len(), 1);
    harness.assert_clean();
}

#[test]
fn an_expression_that_fails_opens_nothing() {
    let mut harness = Harness::with(&process().xml());
    let instance = harness.create("p", "{}");
    let (incident, value) = harness.incidents()[0].clone();
    assert_eq!(value.error_type(), IncidentErrorType::ExtractValueError);
    assert_eq!(value.element_id, "gateway");
    assert!(harness.events(TimerIntent::Created).is_empty());
    harness
        .set_variables(instance, r#"{"key":"k"}"#, false)
        .unwrap();
    harness.resolve(incident).unwrap();
    harness.publish("m", "k", "{}");
    harness.work("told", "{}");
    harness.advance(1_001);
    harness.assert_clean();
}
