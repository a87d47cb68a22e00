//! Event sub-processes (12.1 to 12.10).

use skep_bpmn::builder::ProcessBuilder;
use skep_protocol::values::{self, IncidentErrorType};
use skep_protocol::{
    Command, JobIntent, Key, MessageIntent, ProcessMessageSubscriptionIntent, TimerIntent,
};

use crate::harness::Harness;

const TIMER: &str = "<bpmn:timerEventDefinition><bpmn:timeDuration>PT1S</bpmn:timeDuration></bpmn:timerEventDefinition>";
const ERROR: &str = r#"<bpmn:errorEventDefinition errorRef="error"/>"#;
const MESSAGE: &str = r#"<bpmn:messageEventDefinition messageRef="message"/>"#;
const DEFINITIONS: &str = r#"<bpmn:error id="error" errorCode="E"/>
    <bpmn:message id="message" name="go"><bpmn:extensionElements>
    <zeebe:subscription correlationKey="=key"/></bpmn:extensionElements></bpmn:message>"#;

fn publish(harness: &mut Harness, variables: &str) {
    let message = values::Message {
        name: "go".to_owned(),
        correlation_key: "k".to_owned(),
        variables: variables.to_owned(),
        ..Default::default()
    };
    harness
        .ask(Command::new(Key::NONE, MessageIntent::Publish, message))
        .unwrap();
}

/// A scope with a task, and an event sub-process with another.
fn process(definition: &str, interrupting: bool) -> ProcessBuilder {
    ProcessBuilder::new("p")
        .definitions(DEFINITIONS)
        .start()
        .sub_process("sub")
        .start()
        .service_task("task", "work")
        .end()
        .event_sub_process("on", "on-start", definition, interrupting)
        .service_task("handle", "handle")
        .end_at("handled")
        .leave()
        .leave()
        .service_task("after", "after")
        .end()
        .error_boundary("outside", "sub", "F")
        .end_at("failed")
}

fn harness(definition: &str, interrupting: bool) -> (Harness, Key) {
    let mut harness = Harness::with(&process(definition, interrupting).xml());
    let instance = harness.create("p", r#"{"key":"k"}"#);
    (harness, instance)
}

fn throw(harness: &mut Harness, job_type: &str, code: &str) {
    let job = harness.job(job_type);
    let error = values::Job {
        error_code: code.to_owned(),
        variables: r#"{"x":1}"#.to_owned(),
        ..Default::default()
    };
    harness.report(job, JobIntent::ThrowError, error).unwrap();
}

#[test]
fn each_kind_of_event_interrupts_its_scope_which_then_completes() {
    for definition in [TIMER, ERROR, MESSAGE] {
        let (mut harness, _) = harness(definition, true);
        match definition {
            TIMER => harness.advance(1_000),
            MESSAGE => publish(&mut harness, "{}"),
            _ => throw(&mut harness, "work", "E"),
        }
        harness.work("handle", "{}");
        harness.work("after", "{}");
        let trace = harness.trace();
        let at = |event: &str| trace.iter().position(|traced| traced == event).unwrap();
        assert!(at("task TERMINATED") < at("on ACTIVATING"));
        assert!(at("on ACTIVATED") < at("on-start ACTIVATING"));
        assert!(at("handled COMPLETED") < at("on COMPLETING"));
        assert!(at("on COMPLETED") < at("sub COMPLETING"));
        assert!(!harness.happened("sub TERMINATING"));
        assert!(harness.happened("p COMPLETED"), "{definition}");
        harness.assert_clean();
    }
}

#[test]
fn one_that_does_not_interrupt_runs_beside_its_scope_and_again() {
    let (mut harness, instance) = harness(MESSAGE, false);
    publish(&mut harness, r#"{"n":1}"#);
    publish(&mut harness, r#"{"n":2}"#);
    assert_eq!(harness.count("on ACTIVATED"), 2);
    assert!(!harness.happened("task TERMINATING"));
    let jobs = harness.activate("handle", 10);
    assert_eq!(jobs.len(), 2);
    for ((_, job), n) in jobs.iter().zip(1..) {
        assert!(job.variables.contains(&format!(r#""n":{n}"#)));
    }
    harness.work("work", "{}");
    assert!(!harness.happened("sub COMPLETING"), "it waits for both");
    harness.complete(jobs[0].0, "{}").unwrap();
    assert!(!harness.happened("sub COMPLETING"));
    harness.complete(jobs[1].0, "{}").unwrap();
    assert_eq!(harness.variables(instance), [r#"key="k""#]);
    harness.work("after", "{}");
    harness.assert_clean();
}

#[test]
fn a_cycle_comes_as_often_as_it_says() {
    let cycle = "<bpmn:timerEventDefinition><bpmn:timeCycle>=cycle</bpmn:timeCycle></bpmn:timerEventDefinition>";
    let mut harness = Harness::with(&process(cycle, false).xml());
    harness.create("p", r#"{"cycle":"R3/PT1S"}"#);
    for expected in [1, 2, 3, 3] {
        harness.advance(1_000);
        assert_eq!(harness.count("on ACTIVATED"), expected);
    }
    for (job, _) in harness.activate("handle", 10) {
        harness.complete(job, "{}").unwrap();
    }
    harness.work("work", "{}");
    harness.work("after", "{}");
    harness.assert_clean();
}

#[test]
fn what_the_event_brought_stays_in_the_event_sub_process() {
    let (mut harness, instance) = harness(ERROR, true);
    throw(&mut harness, "work", "E");
    assert_eq!(harness.variables(harness.key_of("on")), ["x=1"]);
    assert_eq!(harness.variables(instance), [r#"key="k""#]);
}

#[test]
fn a_mapping_of_the_start_event_carries_it_out() {
    let xml = ProcessBuilder::new("p")
        .definitions(DEFINITIONS)
        .start()
        .service_task("task", "work")
        .end()
        .event_sub_process("on", "on-start", ERROR, true)
        .output("=x + 1", "y")
        .service_task("handle", "handle")
        .end()
        .leave()
        .xml();
    let mut harness = Harness::with(&xml);
    let instance = harness.create("p", r#"{"key":"k"}"#);
    throw(&mut harness, "work", "E");
    assert_eq!(harness.variables(instance), [r#"key="k""#, "y=2"]);
    harness.work("handle", "{}");
    assert!(harness.happened("p COMPLETED"));
    harness.assert_clean();
}

#[test]
fn the_event_sub_processes_beside_it_wait_no_longer_and_the_boundary_events_do() {
    let xml = process(MESSAGE, true)
        .reenter("sub")
        .event_sub_process("late", "late-start", TIMER, true)
        .end()
        .leave()
        .xml();
    let mut harness = Harness::with(&xml);
    harness.create("p", r#"{"key":"k"}"#);
    publish(&mut harness, "{}");
    assert_eq!(harness.events(TimerIntent::Canceled).len(), 1);
    publish(&mut harness, "{}");
    harness.advance(1_000);
    assert_eq!(harness.count("on ACTIVATED"), 1);
    assert!(!harness.happened("late ACTIVATING"));
    throw(&mut harness, "handle", "F");
    assert!(harness.happened("sub TERMINATED") && harness.happened("failed COMPLETED"));
    assert!(harness.happened("p COMPLETED"));
    harness.assert_clean();
}

#[test]
fn an_interrupting_one_ends_those_that_run_beside() {
    let xml = process(MESSAGE, false)
        .reenter("sub")
        .event_sub_process("late", "late-start", TIMER, true)
        .end()
        .leave()
        .xml();
    let mut harness = Harness::with(&xml);
    harness.create("p", r#"{"key":"k"}"#);
    publish(&mut harness, "{}");
    harness.advance(1_000);
    assert!(harness.happened("on TERMINATED") && harness.happened("late COMPLETED"));
    harness.work("after", "{}");
    harness.assert_clean();
}

#[test]
fn tokens_that_wait_at_a_join_are_interrupted() {
    let xml = ProcessBuilder::new("p")
        .definitions(DEFINITIONS)
        .start()
        .parallel_gateway("fork")
        .parallel_gateway("join")
        .end()
        .move_to("fork")
        .service_task("task", "work")
        .connect_to("join")
        .event_sub_process("on", "on-start", TIMER, true)
        .end_at("handled")
        .leave()
        .xml();
    let mut harness = Harness::with(&xml);
    harness.create("p", "{}");
    harness.advance(1_000);
    assert!(harness.happened("task TERMINATED") && harness.happened("handled COMPLETED"));
    assert!(harness.happened("p COMPLETED"));
    harness.assert_clean();
}

#[test]
fn an_error_from_an_interrupting_one_is_not_caught_in_the_same_scope() {
    let (mut harness, instance) = harness(ERROR, true);
    throw(&mut harness, "work", "E");
    throw(&mut harness, "handle", "E");
    assert_eq!(
        harness.incidents()[0].1.error_type(),
        IncidentErrorType::UnhandledErrorEvent
    );
    harness.cancel(instance).unwrap();
    harness.assert_clean();
}

#[test]
fn subscriptions_go_with_the_scope() {
    for definition in [TIMER, MESSAGE] {
        let (mut harness, _) = harness(definition, true);
        harness.work("work", "{}");
        let closed = harness.events(TimerIntent::Canceled).len()
            + harness
                .events(ProcessMessageSubscriptionIntent::Deleted)
                .len();
        assert_eq!(closed, 1);
        harness.work("after", "{}");
        harness.assert_clean();
    }
}

#[test]
fn cancelling_ends_everything_in_an_interrupted_scope() {
    let (mut harness, instance) = harness(TIMER, true);
    harness.advance(1_000);
    harness.cancel(instance).unwrap();
    assert!(harness.happened("on TERMINATED") && harness.happened("p TERMINATED"));
    harness.assert_clean();
}

#[test]
fn an_input_mapping_that_fails_is_an_incident_and_the_trigger_waits() {
    let xml = ProcessBuilder::new("p")
        .definitions(DEFINITIONS)
        .start()
        .service_task("task", "work")
        .end()
        .event_sub_process("on", "on-start", ERROR, true)
        .service_task("handle", "handle")
        .end()
        .leave()
        .move_to("on")
        .input("=assert(ok, ok = true)", "checked")
        .xml();
    let mut harness = Harness::with(&xml);
    let instance = harness.create("p", "{}");
    throw(&mut harness, "work", "E");
    let (incident, value) = harness.incidents()[0].clone();
    assert_eq!(value.error_type(), IncidentErrorType::IoMappingError);
    assert_eq!(value.element_id, "on");
    harness.resolve(incident).unwrap();
    let (incident, _) = harness.incidents()[1].clone();
    harness
        .set_variables(instance, r#"{"ok":true}"#, false)
        .unwrap();
    harness.resolve(incident).unwrap();
    assert_eq!(
        harness.variables(harness.key_of("on")),
        ["checked=true", "x=1"]
    );
    harness.work("handle", "{}");
    harness.assert_clean();
}

#[test]
fn a_subscription_that_cannot_be_opened_is_an_incident_of_the_process() {
    let xml = ProcessBuilder::new("p")
        .definitions(DEFINITIONS)
        .start()
        .end()
        .event_sub_process("on", "on-start", MESSAGE, true)
        .end()
        .leave()
        .xml();
    let mut harness = Harness::with(&xml);
    let instance = harness.create("p", r#"{"key":true}"#);
    let (incident, value) = harness.incidents()[0].clone();
    assert_eq!(value.element_instance_key, instance.0);
    assert!(!harness.happened("p ACTIVATED"));
    harness
        .set_variables(instance, r#"{"key":"k"}"#, false)
        .unwrap();
    harness.resolve(incident).unwrap();
    assert!(harness.happened("p COMPLETED"));
    harness.assert_clean();
}

#[test]
fn repetitions_have_event_sub_processes_of_their_own() {
    let xml = process(ERROR, true)
        .move_to("sub")
        .multi_instance(false, r#"inputCollection="=[1,2]""#)
        .xml();
    let mut harness = Harness::with(&xml);
    harness.create("p", r#"{"key":"k"}"#);
    let jobs = harness.activate("work", 10);
    let error = values::Job {
        error_code: "E".to_owned(),
        ..Default::default()
    };
    harness
        .report(jobs[0].0, JobIntent::ThrowError, error)
        .unwrap();
    assert_eq!(harness.count("task TERMINATED"), 1);
    harness.work("handle", "{}");
    harness.complete(jobs[1].0, "{}").unwrap();
    harness.work("after", "{}");
    harness.assert_clean();
}

#[test]
fn a_scope_full_of_work_is_emptied_before_the_event_sub_process_begins() {
    let mut builder = ProcessBuilder::new("p")
        .definitions(DEFINITIONS)
        .start()
        .parallel_gateway("fork");
    for number in 0..100 {
        builder = builder
            .move_to("fork")
            .service_task(&format!("task{number}"), "work");
    }
    let xml = builder
        .event_sub_process("on", "on-start", TIMER, true)
        .end()
        .leave()
        .xml();
    let mut harness = Harness::with(&xml);
    harness.create("p", "{}");
    harness.advance(1_000);
    let trace = harness.trace();
    let begun = trace
        .iter()
        .position(|traced| traced == "on ACTIVATING")
        .unwrap();
    let ended = trace[..begun]
        .iter()
        .filter(|traced| traced.ends_with(" TERMINATED"));
    assert_eq!(ended.count(), 100);
    assert!(harness.happened("p COMPLETED"));
    harness.assert_clean();
}

#[test]
fn a_boundary_event_that_is_due_at_the_same_time_wins() {
    let xml = process(TIMER, true)
        .move_to("after")
        .boundary("late", "sub", TIMER)
        .end_at("stopped")
        .xml();
    let mut harness = Harness::with(&xml);
    harness.create("p", r#"{"key":"k"}"#);
    harness.advance(1_000);
    assert!(harness.happened("sub TERMINATED") && harness.happened("stopped COMPLETED"));
    assert!(!harness.happened("on ACTIVATING"));
    assert!(harness.happened("p COMPLETED"));
    harness.assert_clean();
}

#[test]
fn incidents_end_with_what_is_interrupted() {
    let xml = ProcessBuilder::new("p")
        .definitions(DEFINITIONS)
        .start()
        .service_task("task", "=missing")
        .end()
        .event_sub_process("on", "on-start", MESSAGE, true)
        .service_task("handle", "handle")
        .end()
        .leave()
        .xml();
    let mut harness = Harness::with(&xml);
    harness.create("p", r#"{"key":"k"}"#);
    let incident = harness.incidents()[0].0;
    publish(&mut harness, "{}");
    let resolved = harness.events(skep_protocol::IncidentIntent::Resolved);
    assert_eq!(resolved[0].key, incident);
    assert!(harness.happened("task TERMINATED"));
    harness.work("handle", "{}");
    assert!(harness.happened("p COMPLETED"));
    harness.assert_clean();
}

#[test]
fn a_boundary_event_in_an_interrupted_scope_does_not_come_any_more() {
    let xml = ProcessBuilder::new("p")
        .definitions(DEFINITIONS)
        .start()
        .sub_process("sub")
        .start()
        .service_task("task", "work")
        .end()
        .leave()
        .end()
        .timer_boundary("late", "sub", "timeDuration", "PT1S")
        .end_at("late-end")
        .event_sub_process("on", "on-start", MESSAGE, true)
        .service_task("handle", "handle")
        .end()
        .leave()
        .xml();
    let mut harness = Harness::with(&xml);
    harness.create("p", r#"{"key":"k"}"#);
    publish(&mut harness, "{}");
    harness.advance(1_000);
    assert!(harness.happened("sub TERMINATED") && !harness.happened("late ACTIVATING"));
    harness.work("handle", "{}");
    assert!(harness.happened("p COMPLETED"));
    harness.assert_clean();
}
