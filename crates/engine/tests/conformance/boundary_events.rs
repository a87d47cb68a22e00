//! Boundary events that wait for a message or a time (13.1 to 13.7; 4.10, 11.2, 11.3, 19.4, 20.3).

use skep_bpmn::builder::ProcessBuilder;
use skep_protocol::values::IncidentErrorType;
use skep_protocol::{
    IncidentIntent, JobIntent, Key, ProcessMessageSubscriptionIntent, RecordValue, TimerIntent,
};

use crate::harness::{Harness, START};

/// A task, to be left by way of a boundary event.
fn task() -> ProcessBuilder {
    ProcessBuilder::new("p")
        .start()
        .service_task("task", "work")
        .service_task("after", "after")
        .end()
}

fn by_message(interrupting: bool) -> ProcessBuilder {
    let process = task().message_boundary("event", "task", "m", "=key");
    let process = match interrupting {
        true => process,
        false => process.non_interrupting(),
    };
    process.service_task("react", "react").end()
}

fn created(xml: &str, variables: &str) -> (Harness, Key) {
    let mut harness = Harness::with(xml);
    let instance = harness.create("p", variables);
    (harness, instance)
}

#[test]
fn a_timer_ends_its_activity_and_goes_on_from_the_event() {
    let xml = task()
        .timer_boundary("event", "task", "timeDuration", "PT10S")
        .service_task("react", "react")
        .end()
        .xml();
    let (mut harness, _) = created(&xml, "{}");
    assert_eq!(harness.due().next, Some(START + 10_000));
    let job = harness.job("work");
    harness.advance(10_000);
    let trace = harness.trace();
    let at = |event: &str| trace.iter().position(|traced| traced == event).unwrap();
    assert!(at("task TERMINATING") < at("task TERMINATED"));
    assert!(at("task TERMINATED") < at("event ACTIVATING"));
    assert!(at("event COMPLETED") < at("react ACTIVATING"));
    assert_eq!(harness.events(JobIntent::Canceled)[0].key, job);
    assert!(
        harness.complete(job, "{}").is_err(),
        "the job is gone with its task"
    );
    harness.work("react", "{}");
    assert!(harness.happened("p COMPLETED"));
    assert!(!harness.happened("after ACTIVATING"));
    harness.assert_clean();
}

#[test]
fn a_message_ends_its_activity_with_its_variables() {
    let (mut harness, instance) = created(&by_message(true).xml(), r#"{"key":"k"}"#);
    harness.publish("m", "other", "{}");
    assert!(!harness.happened("event ACTIVATING"));
    harness.publish("m", "k", r#"{"x":1}"#);
    assert!(harness.happened("task TERMINATED"));
    assert_eq!(harness.variables(instance), [r#"key="k""#, "x=1"]);
    harness.work("react", "{}");
    harness.advance(1_001);
    harness.assert_clean();
}

#[test]
fn an_activity_that_completes_closes_what_its_boundary_events_wait_for() {
    let xml = by_message(true)
        .timer_boundary("late", "task", "timeDuration", "PT1H")
        .end()
        .xml();
    let (mut harness, _) = created(&xml, r#"{"key":"k"}"#);
    harness.work("work", "{}");
    assert_eq!(harness.events(TimerIntent::Canceled).len(), 1);
    let deleted = harness.events(ProcessMessageSubscriptionIntent::Deleted);
    assert_eq!(deleted.len(), 1);
    harness.publish("m", "k", "{}");
    harness.advance(3_600_000);
    assert!(!harness.happened("event ACTIVATING"));
    assert!(!harness.happened("late ACTIVATING"));
    harness.work("after", "{}");
    harness.advance(1_001);
    harness.assert_clean();
}

#[test]
fn the_first_event_that_interrupts_closes_the_others() {
    let xml = by_message(true)
        .timer_boundary("late", "task", "timeDuration", "PT1S")
        .end()
        .xml();
    let (mut harness, _) = created(&xml, r#"{"key":"k"}"#);
    harness.advance(1_000);
    assert!(harness.happened("p COMPLETED"));
    harness.publish("m", "k", "{}");
    assert!(!harness.happened("event ACTIVATING"));
    harness.advance(1_001);
    harness.assert_clean();
}

#[test]
fn of_timers_that_are_due_at_once_one_interrupts() {
    let xml = task()
        .timer_boundary("one", "task", "timeDuration", "PT1S")
        .end()
        .timer_boundary("two", "task", "timeDuration", "PT1S")
        .end()
        .xml();
    let (mut harness, _) = created(&xml, "{}");
    harness.advance(1_000);
    let reacted = harness.count("one COMPLETED") + harness.count("two COMPLETED");
    assert_eq!(reacted, 1);
    assert_eq!(harness.count("task TERMINATED"), 1);
    harness.assert_clean();
}

#[test]
fn an_event_takes_all_of_its_outgoing_flows() {
    let xml = task()
        .timer_boundary("event", "task", "timeDuration", "PT1S")
        .end_at("one")
        .move_to("event")
        .end_at("two")
        .xml();
    let (mut harness, _) = created(&xml, "{}");
    harness.advance(1_000);
    assert_eq!(harness.count("one COMPLETED"), 1);
    assert_eq!(harness.count("two COMPLETED"), 1);
    harness.assert_clean();
}

#[test]
fn output_mappings_see_what_the_event_brought_and_the_variables_around_it() {
    let xml = task()
        .message_boundary("event", "task", "m", "=key")
        .output("=x + y", "z")
        .service_task("react", "react")
        .end()
        .xml();
    let (mut harness, instance) = created(&xml, r#"{"key":"k","y":2}"#);
    harness.publish("m", "k", r#"{"x":1}"#);
    assert_eq!(harness.variables(instance), [r#"key="k""#, "y=2", "z=3"]);
}

#[test]
fn an_event_is_in_the_scope_of_its_activity() {
    let xml = ProcessBuilder::new("p")
        .start()
        .sub_process("sub")
        .start()
        .service_task("task", "work")
        .end()
        .timer_boundary("event", "task", "timeDuration", "PT1S")
        .end()
        .leave()
        .end()
        .xml();
    let (mut harness, _) = created(&xml, "{}");
    let sub = harness.key_of("sub");
    harness.advance(1_000);
    let of_event = harness
        .records
        .iter()
        .find_map(|record| match &record.value {
            RecordValue::ProcessInstance(value) if value.element_id == "event" => Some(value),
            _ => None,
        });
    assert_eq!(of_event.unwrap().flow_scope_key, sub.0);
    harness.assert_clean();
}

#[test]
fn the_correlation_key_is_that_of_the_scope_around_the_activity() {
    let xml = ProcessBuilder::new("p")
        .start()
        .service_task("task", "work")
        .input("=\"inside\"", "key")
        .end()
        .message_boundary("event", "task", "m", "=key")
        .end()
        .xml();
    let (mut harness, _) = created(&xml, r#"{"key":"outside"}"#);
    harness.publish("m", "inside", "{}");
    assert!(!harness.happened("event ACTIVATING"));
    harness.publish("m", "outside", "{}");
    assert!(harness.happened("event COMPLETED"));
    harness.advance(1_001);
    harness.assert_clean();
}

#[test]
fn a_sub_process_is_empty_before_the_event_that_interrupts_it() {
    let xml = ProcessBuilder::new("p")
        .start()
        .sub_process("sub")
        .start()
        .parallel_gateway("fork")
        .service_task("one", "work")
        .end()
        .move_to("fork")
        .service_task("two", "work")
        .end()
        .leave()
        .end()
        .timer_boundary("event", "sub", "timeDuration", "PT1S")
        .end()
        .xml();
    let (mut harness, _) = created(&xml, "{}");
    harness.advance(1_000);
    let trace = harness.trace();
    let at = |event: &str| trace.iter().position(|traced| traced == event).unwrap();
    for inner in ["one TERMINATED", "two TERMINATED"] {
        assert!(at(inner) < at("sub TERMINATED"));
    }
    assert!(at("sub TERMINATED") < at("event ACTIVATING"));
    assert!(harness.happened("p COMPLETED"));
    harness.assert_clean();
}

#[test]
fn an_event_that_does_not_interrupt_leaves_its_activity_and_can_come_again() {
    let (mut harness, _) = created(&by_message(false).xml(), r#"{"key":"k"}"#);
    harness.publish("m", "k", r#"{"n":1}"#);
    harness.publish("m", "k", r#"{"n":2}"#);
    assert_eq!(harness.count("event COMPLETED"), 2);
    assert!(!harness.happened("task TERMINATING"));
    harness.work("work", "{}");
    harness.work("after", "{}");
    assert!(!harness.happened("p COMPLETED"), "it waits for both");
    for (job, _) in harness.activate("react", 10) {
        harness.complete(job, "{}").unwrap();
    }
    assert!(harness.happened("p COMPLETED"));
    harness.advance(1_001);
    harness.assert_clean();
}

#[test]
fn a_cycle_comes_as_often_as_it_says_and_without_drift() {
    let xml = task()
        .timer_boundary("event", "task", "timeCycle", "R3/PT10S")
        .non_interrupting()
        .service_task("react", "react")
        .end()
        .xml();
    let (mut harness, _) = created(&xml, "{}");
    // It is late each time, and still due at tens of seconds.
    for round in 1..=3 {
        assert_eq!(harness.due().next, Some(START + round * 10_000));
        harness.time = START + round * 10_000 + 500;
        harness.settle();
        assert_eq!(harness.count("event COMPLETED") as i64, round);
    }
    assert_eq!(harness.due().next, None);
    let repetitions: Vec<i32> = harness
        .events(TimerIntent::Created)
        .into_iter()
        .filter_map(|record| match &record.value {
            RecordValue::Timer(timer) => Some(timer.repetitions),
            _ => None,
        })
        .collect();
    assert_eq!(repetitions, [3, 2, 1]);
    assert_eq!(harness.activate("react", 10).len(), 3);
}

#[test]
fn an_endless_cycle_comes_until_its_activity_ends() {
    let xml = task()
        .timer_boundary("event", "task", "timeCycle", "=cycle(duration(\"PT1S\"))")
        .non_interrupting()
        .end()
        .xml();
    let (mut harness, _) = created(&xml, "{}");
    for _ in 0..5 {
        harness.advance(1_000);
    }
    assert_eq!(harness.count("event COMPLETED"), 5);
    harness.work("work", "{}");
    harness.work("after", "{}");
    assert!(harness.happened("p COMPLETED"));
    harness.assert_clean();
}

#[test]
fn a_date_and_an_event_that_interrupts_after_one_that_does_not() {
    let xml = task()
        .timer_boundary("early", "task", "timeDuration", "PT1S")
        .non_interrupting()
        .end()
        .timer_boundary("late", "task", "timeDate", "=date")
        .end()
        .xml();
    // Five seconds after the harness begins.
    let (mut harness, _) = created(&xml, r#"{"date":"2023-11-14T22:13:25Z"}"#);
    harness.advance(1_000);
    assert!(harness.happened("early COMPLETED"));
    assert_eq!(harness.due().next, Some(START + 5_000));
    harness.advance(4_000);
    assert!(harness.happened("late COMPLETED"));
    assert!(harness.happened("p COMPLETED"));
    harness.assert_clean();
}

#[test]
fn events_do_not_begin_once_their_scope_is_ended() {
    let xml = ProcessBuilder::new("p")
        .start()
        .sub_process("sub")
        .start()
        .service_task("task", "work")
        .end()
        .timer_boundary("inner", "task", "timeDuration", "PT1S")
        .end()
        .leave()
        .end()
        .timer_boundary("outer", "sub", "timeDuration", "PT1S")
        .end()
        .xml();
    let (mut harness, _) = created(&xml, "{}");
    harness.advance(1_000);
    assert!(harness.happened("outer COMPLETED"), "it was due first");
    assert!(!harness.happened("inner ACTIVATING"));
    harness.assert_clean();

    let (mut harness, instance) = created(&by_message(true).xml(), r#"{"key":"k"}"#);
    harness.cancel(instance).unwrap();
    harness.publish("m", "k", "{}");
    assert!(!harness.happened("event ACTIVATING"));
    harness.advance(1_001);
    harness.assert_clean();
}

#[test]
fn an_incident_of_the_activity_ends_with_it() {
    let xml = ProcessBuilder::new("p")
        .start()
        .service_task("task", "work")
        .output("=assert(missing, missing != null)", "x")
        .end()
        .timer_boundary("event", "task", "timeDuration", "PT1S")
        .end()
        .xml();
    let (mut harness, _) = created(&xml, "{}");
    harness.work("work", "{}");
    assert_eq!(harness.incidents().len(), 1);
    harness.advance(1_000);
    assert_eq!(harness.events(IncidentIntent::Resolved).len(), 1);
    assert!(harness.happened("p COMPLETED"));
    harness.assert_clean();
}

#[test]
fn expressions_that_fail_open_nothing_and_are_one_incident() {
    let xml = by_message(true)
        .timer_boundary("late", "task", "timeDuration", "=late")
        .end()
        .xml();
    let (mut harness, instance) = created(&xml, r#"{"key":"k"}"#);
    let (incident, value) = harness.incidents()[0].clone();
    assert_eq!(value.error_type(), IncidentErrorType::ExtractValueError);
    assert_eq!(value.element_id, "task");
    let opened = harness.events(ProcessMessageSubscriptionIntent::Creating);
    assert!(opened.is_empty());
    assert!(!harness.happened("task ACTIVATED"));
    harness
        .set_variables(instance, r#"{"late":"PT1S"}"#, false)
        .unwrap();
    harness.resolve(incident).unwrap();
    assert!(harness.happened("task ACTIVATED"));
    harness.advance(1_000);
    assert!(harness.happened("late COMPLETED"));
    harness.assert_clean();
}

#[test]
fn a_call_activity_and_all_that_it_called_are_ended_first() {
    let called = ProcessBuilder::new("called")
        .start()
        .service_task("task", "work")
        .end()
        .xml();
    let xml = ProcessBuilder::new("p")
        .start()
        .element("callActivity", "call", "")
        .extension("<zeebe:calledElement processId=\"called\"/>")
        .end()
        .message_boundary("event", "call", "m", "=\"k\"")
        .end()
        .xml();
    let mut harness = Harness::with(&called);
    harness.deploy(&xml);
    harness.create("p", "{}");
    harness.publish("m", "k", "{}");
    let trace = harness.trace();
    let at = |event: &str| trace.iter().position(|traced| traced == event).unwrap();
    assert!(at("called TERMINATED") < at("call TERMINATED"));
    assert!(at("call TERMINATED") < at("event ACTIVATING"));
    harness.advance(1_001);
    harness.assert_clean();
}

#[test]
fn events_of_a_multi_instance_activity_belong_to_all_of_it() {
    for interrupting in [true, false] {
        let xml = ProcessBuilder::new("p")
            .start()
            .service_task("task", "work")
            .multi_instance(false, "inputCollection=\"=[1,2,3]\"")
            .end()
            .message_boundary("event", "task", "m", "=\"k\"")
            .attribute("cancelActivity", &interrupting.to_string())
            .end()
            .xml();
        let (mut harness, _) = created(&xml, "{}");
        let opened = harness.events(ProcessMessageSubscriptionIntent::Creating);
        assert_eq!(opened.len(), 1);
        harness.publish("m", "k", "{}");
        assert_eq!(harness.count("event COMPLETED"), 1);
        let terminated = if interrupting { 4 } else { 0 };
        assert_eq!(harness.count("task TERMINATED"), terminated);
        for (job, _) in harness.activate("work", 10) {
            harness.complete(job, "{}").unwrap();
        }
        harness.advance(1_001);
        assert!(harness.happened("p COMPLETED"));
        harness.assert_clean();
    }
}
