//! Execution listeners (16.1 to 16.7).

use skep_bpmn::builder::ProcessBuilder;
use skep_protocol::values::{self, IncidentErrorType, JobKind, JobListenerEventType};
use skep_protocol::{IncidentIntent, JobIntent, Key, ProcessMessageSubscriptionIntent};

use crate::harness::Harness;
use crate::helpers::created;

/// Listeners of the element added last: when they come, and their job types.
fn listeners(process: ProcessBuilder, listeners: &[(&str, &str)]) -> ProcessBuilder {
    let listeners: String = listeners
        .iter()
        .map(|(event, job_type)| {
            let job_type = job_type.replace('"', "&quot;");
            format!(
                "<zeebe:executionListener eventType=\"{event}\" type=\"{job_type}\" retries=\"2\"/>"
            )
        })
        .collect();
    process.extension(&format!(
        "<zeebe:executionListeners>{listeners}</zeebe:executionListeners>"
    ))
}

/// A task that a worker does, with listeners.
fn task(of_task: &[(&str, &str)]) -> ProcessBuilder {
    let process = ProcessBuilder::new("p")
        .start()
        .service_task("task", "work");
    listeners(process, of_task)
}

const ALL: [(&str, &str); 4] = [
    ("start", "s1"),
    ("end", "e1"),
    ("start", "s2"),
    ("end", "e2"),
];

#[test]
fn listeners_come_before_and_after_the_work_one_after_the_other() {
    let (mut harness, _) = created(&task(&ALL).end(), "{}");
    for (job_type, state) in [
        ("s1", "ACTIVATING"),
        ("s2", "ACTIVATING"),
        ("work", "ACTIVATED"),
        ("e1", "COMPLETING"),
        ("e2", "COMPLETING"),
    ] {
        let trace = harness.trace();
        let last = trace.iter().rev().find(|event| event.starts_with("task "));
        assert_eq!(last.unwrap(), &format!("task {state}"), "{job_type}");
        for (_, other) in ALL {
            let waits = harness.activate(other, 1).len();
            assert_eq!(
                waits,
                usize::from(other == job_type),
                "{other} at {job_type}"
            );
            harness.advance(60_001);
        }
        harness.work(job_type, "{}");
    }
    assert!(harness.happened("p COMPLETED"));
    harness.assert_clean();
}

#[test]
fn the_job_of_a_listener_says_so_and_has_the_headers_of_its_element() {
    let process = task(&ALL).header("h", "v").end();
    let (mut harness, _) = created(&process, "{}");
    let (key, job) = harness.activate("s1", 1).remove(0);
    assert_eq!(job.kind(), JobKind::ExecutionListener);
    assert_eq!(job.listener_event_type(), JobListenerEventType::Start);
    assert_eq!(job.element_id, "task");
    assert_eq!(job.retries, 2);
    assert_eq!(job.custom_headers, r#"{"h":"v"}"#);
    harness.complete(key, "{}").unwrap();
    harness.work("s2", "{}");
    let (key, job) = harness.activate("work", 1).remove(0);
    assert_eq!(job.kind(), JobKind::BpmnElement);
    harness.complete(key, "{}").unwrap();
    let (_, job) = harness.activate("e1", 1).remove(0);
    assert_eq!(job.listener_event_type(), JobListenerEventType::End);
}

#[test]
fn what_comes_before_the_work_is_the_elements_own() {
    let process = task(&[("start", "s1"), ("start", "=next")])
        .input("=1", "a")
        .end();
    let (mut harness, instance) = created(&process, "{}");
    let (key, job) = harness.activate("s1", 1).remove(0);
    assert!(job.variables.contains(r#""a":1"#), "after input mappings");
    harness.complete(key, r#"{"next":"s2","b":2}"#).unwrap();
    let (key, job) = harness.activate("s2", 1).remove(0);
    assert!(job.variables.contains(r#""b":2"#));
    harness.complete(key, r#"{"a":3}"#).unwrap();
    let task = harness.key_of("task");
    assert_eq!(harness.variables(task), ["a=3", "b=2", r#"next="s2""#]);
    assert!(harness.variables(instance).is_empty());
    harness.work("work", "{}");
    assert!(harness.happened("p COMPLETED"));
    harness.assert_clean();
}

#[test]
fn what_comes_after_the_work_goes_out() {
    let process = task(&[("end", "e1"), ("end", "e2")])
        .output("=a + 1", "b")
        .service_task("after", "after")
        .end();
    let (mut harness, instance) = created(&process, "{}");
    harness.work("work", r#"{"a":1}"#);
    let (key, job) = harness.activate("e1", 1).remove(0);
    assert!(job.variables.contains(r#""b":2"#), "after output mappings");
    harness.complete(key, r#"{"c":3}"#).unwrap();
    let (key, job) = harness.activate("e2", 1).remove(0);
    assert!(job.variables.contains(r#""c":3"#));
    harness.complete(key, "{}").unwrap();
    assert_eq!(harness.variables(instance), ["b=2", "c=3"]);
}

#[test]
fn gateways_and_events_see_what_a_listener_brought() {
    let process = ProcessBuilder::new("p").start().exclusive_gateway("choice");
    let process = listeners(process, &[("start", "decide")])
        .condition("=go")
        .message_catch("wait", "m", "=key");
    let process = listeners(process, &[("start", "prepare")])
        .end()
        .move_to("choice")
        .default_flow()
        .end_at("other");
    let (mut harness, _) = created(&process, "{}");
    harness.work("decide", r#"{"go":true}"#);
    assert!(
        harness
            .events(ProcessMessageSubscriptionIntent::Creating)
            .is_empty()
    );
    harness.work("prepare", r#"{"key":"k"}"#);
    harness.publish("m", "k", "{}");
    assert!(harness.happened("p COMPLETED"));
    harness.advance(1_001);
    harness.assert_clean();
}

#[test]
fn an_event_behind_an_event_based_gateway_keeps_what_came_while_its_listeners_work() {
    let process = ProcessBuilder::new("p")
        .start()
        .element("eventBasedGateway", "gateway", "")
        .timer_catch("timer", "PT1H")
        .move_to("gateway")
        .message_catch("message", "m", "=\"k\"");
    let process = listeners(process, &[("start", "s1"), ("end", "e1")])
        .service_task("after", "after")
        .end();
    let (mut harness, instance) = created(&process, "{}");
    harness.publish("m", "k", r#"{"x":1}"#);
    let (key, job) = harness.activate("s1", 1).remove(0);
    assert!(job.variables.contains(r#""x":1"#));
    harness.complete(key, r#"{"y":2}"#).unwrap();
    harness.work("e1", r#"{"z":3}"#);
    assert_eq!(harness.variables(instance), ["x=1", "y=2", "z=3"]);
    harness.work("after", "{}");
    harness.advance(1_001);
    harness.assert_clean();
}

#[test]
fn a_listener_is_tried_again_and_then_an_incident() {
    let (mut harness, _) = created(&task(&ALL).end(), "{}");
    harness.work("s1", "{}");
    let job = harness.job("s2");
    let failed = |retries, message: &str| values::Job {
        retries,
        error_message: message.to_owned(),
        ..Default::default()
    };
    harness
        .report(job, JobIntent::Fail, failed(1, "again"))
        .unwrap();
    assert_eq!(harness.job("s2"), job);
    harness
        .report(job, JobIntent::Fail, failed(0, "over"))
        .unwrap();
    let (incident, value) = harness.incidents()[0].clone();
    assert_eq!(
        value.error_type(),
        IncidentErrorType::ExecutionListenerNoRetries
    );
    assert_eq!(value.error_message, "over");
    assert!(harness.resolve(incident).is_err(), "it has no retries");
    harness
        .report(job, JobIntent::UpdateRetries, failed(1, ""))
        .unwrap();
    harness.resolve(incident).unwrap();
    harness.work("s2", "{}");
    assert!(harness.activate("s1", 1).is_empty(), "only what had failed");
    for job_type in ["work", "e1", "e2"] {
        harness.work(job_type, "{}");
    }
    assert!(harness.happened("p COMPLETED"));
    harness.assert_clean();
}

#[test]
fn a_job_that_cannot_be_made_is_an_incident_and_its_step_begins_anew() {
    let process = task(&[("start", "s1"), ("start", "=next")]).end();
    let (mut harness, instance) = created(&process, "{}");
    harness.work("s1", "{}");
    let (incident, value) = harness.incidents()[0].clone();
    assert_eq!(value.error_type(), IncidentErrorType::ExtractValueError);
    harness
        .set_variables(instance, r#"{"next":"s2"}"#, false)
        .unwrap();
    harness.resolve(incident).unwrap();
    harness.work("s1", "{}");
    harness.work("s2", "{}");
    harness.work("work", "{}");
    assert!(harness.happened("p COMPLETED"));
    harness.assert_clean();
}

#[test]
fn what_fails_after_the_listeners_is_repeated_without_them() {
    let process = ProcessBuilder::new("p")
        .start()
        .service_task("task", "=type")
        .input("=1", "a");
    let process = listeners(process, &[("start", "s1")]).end();
    let (mut harness, instance) = created(&process, "{}");
    harness.work("s1", r#"{"a":2}"#);
    let (incident, _) = harness.incidents()[0].clone();
    harness
        .set_variables(instance, r#"{"type":"work"}"#, false)
        .unwrap();
    harness.resolve(incident).unwrap();
    assert_eq!(harness.variables(harness.key_of("task")), ["a=2"]);
    harness.work("work", "{}");
    assert!(harness.happened("p COMPLETED"));
    harness.assert_clean();
}

#[test]
fn an_error_of_a_listener_is_caught_by_nobody() {
    let process = task(&ALL).end().error_boundary("event", "task", "E").end();
    let (mut harness, instance) = created(&process, "{}");
    let job = harness.job("s1");
    let error = values::Job {
        error_code: "E".to_owned(),
        ..Default::default()
    };
    harness.report(job, JobIntent::ThrowError, error).unwrap();
    let (_, value) = harness.incidents()[0].clone();
    assert_eq!(value.error_type(), IncidentErrorType::UnhandledErrorEvent);
    assert!(!harness.happened("event ACTIVATING"));
    harness.cancel(instance).unwrap();
    harness.assert_clean();
}

#[test]
fn a_listener_ends_with_its_element() {
    for (work, event) in [(false, "s1"), (true, "e1")] {
        let process = task(&ALL)
            .end()
            .timer_boundary("late", "task", "timeDuration", "PT1S")
            .end();
        let (mut harness, instance) = created(&process, "{}");
        if work {
            for job_type in ["s1", "s2", "work"] {
                harness.work(job_type, "{}");
            }
            // What interrupts an element still can, until its listeners are done.
            harness.advance(1_000);
            assert!(harness.happened("late COMPLETED"));
        } else {
            harness.advance(1_000);
            assert!(
                !harness.happened("late ACTIVATING"),
                "it is not waited for yet"
            );
            harness.cancel(instance).unwrap();
        }
        assert_eq!(harness.events(JobIntent::Canceled).len(), 1, "{event}");
        assert!(harness.events(IncidentIntent::Created).is_empty());
        harness.assert_clean();
    }
}

#[test]
fn processes_and_scopes_have_listeners_too() {
    let timer = "<bpmn:timerEventDefinition><bpmn:timeDuration>PT1S</bpmn:timeDuration></bpmn:timerEventDefinition>";
    let around = |id: &str| [("start", format!("{id}-s")), ("end", format!("{id}-e"))];
    let with = |process: ProcessBuilder, id: &str| {
        let around = around(id);
        let borrowed: Vec<(&str, &str)> = around.iter().map(|(e, t)| (*e, t.as_str())).collect();
        listeners(process, &borrowed)
    };
    let process = with(ProcessBuilder::new("p"), "p")
        .start()
        .sub_process("sub")
        .start()
        .element("callActivity", "call", "")
        .extension("<zeebe:calledElement processId=\"called\"/>");
    let process = with(process, "call").end().leave();
    let process = with(process, "sub").end();
    let process = process
        .event_sub_process("on", "on-start", timer, true)
        .end()
        .leave();
    let process = with(process, "on");
    let called = ProcessBuilder::new("called").start().end();
    let mut harness = Harness::with(&called.xml());
    harness.deploy(&process.xml());
    harness.create("p", "{}");
    for job_type in ["p-s", "sub-s", "call-s", "call-e", "sub-e"] {
        harness.work(job_type, "{}");
    }
    assert!(!harness.happened("p COMPLETED"));
    harness.work("p-e", r#"{"x":1}"#);
    assert!(harness.happened("p COMPLETED"));
    harness.assert_clean();

    harness.create("p", "{}");
    harness.work("p-s", "{}");
    harness.work("sub-s", "{}");
    harness.advance(1_000);
    for job_type in ["on-s", "on-e", "p-e"] {
        harness.work(job_type, "{}");
    }
    assert_eq!(harness.count("p COMPLETED"), 2);
    harness.assert_clean();
}

#[test]
fn end_listeners_of_events_come_before_they_are_left() {
    let process = ProcessBuilder::new("p").start_at("begin");
    let process = listeners(process, &[("end", "begin-e")])
        .service_task("task", "work")
        .end_at("stop");
    let process = listeners(process, &[("start", "stop-s"), ("end", "stop-e")]);
    let process = process.timer_boundary("late", "task", "timeDuration", "PT1S");
    let process = listeners(process, &[("end", "late-e")]).end();
    let (mut harness, _) = created(&process, "{}");
    assert!(!harness.happened("task ACTIVATING"));
    for job_type in ["begin-e", "work", "stop-s", "stop-e"] {
        harness.work(job_type, "{}");
    }
    assert!(harness.happened("p COMPLETED"));
    harness.assert_clean();
    harness.create("p", "{}");
    harness.work("begin-e", "{}");
    harness.advance(1_000);
    assert!(!harness.happened("late COMPLETED"));
    harness.work("late-e", "{}");
    assert_eq!(harness.count("p COMPLETED"), 2);
    harness.assert_clean();
}

#[test]
fn each_repetition_has_its_listeners() {
    let process = task(&[("start", "s"), ("end", "e")])
        .multi_instance(
            true,
            "inputCollection=\"=[1,2]\" inputElement=\"i\" outputCollection=\"out\" outputElement=\"=o\"",
        )
        .service_task("after", "after")
        .end();
    let (mut harness, instance) = created(&process, "{}");
    for round in 1..=2 {
        let (key, job) = harness.activate("s", 10).remove(0);
        assert!(job.variables.contains(&format!(r#""i":{round}"#)));
        harness.complete(key, "{}").unwrap();
        harness.work("work", "{}");
        harness.work("e", &format!(r#"{{"o":{round}}}"#));
    }
    assert_eq!(harness.variables(instance), ["out=[1,2]"]);
    harness.work("after", "{}");
    assert!(harness.happened("p COMPLETED"));
    harness.assert_clean();
}

#[test]
fn scopes_that_are_entered_for_what_is_inside_have_no_listeners_before_them() {
    let process = listeners(
        ProcessBuilder::new("p"),
        &[("start", "p-start"), ("end", "p-end")],
    );
    let process = process
        .start()
        .sub_process("sub")
        .start()
        .service_task("task", "work")
        .end()
        .leave();
    let process = listeners(process, &[("start", "sub-start"), ("end", "sub-end")]).end();
    let mut harness = Harness::with(&process.xml());
    let creation = values::ProcessInstanceCreation {
        bpmn_process_id: "p".to_owned(),
        version: -1,
        start_instructions: vec!["task".to_owned()],
        ..Default::default()
    };
    let intent = skep_protocol::ProcessInstanceCreationIntent::Create;
    harness
        .ask(skep_protocol::Command::new(Key::NONE, intent, creation))
        .unwrap();
    for job_type in ["work", "sub-end", "p-end"] {
        harness.work(job_type, "{}");
    }
    assert!(harness.happened("p COMPLETED"));
    harness.assert_clean();
}
