//! Execution listeners of every kind of element: each is done, fails until nothing is left to try, is mended, and goes on; or its
//! instance is cancelled before.

use skep_bpmn::builder::ProcessBuilder;
use skep_protocol::values::{self, IncidentErrorType};
use skep_protocol::{JobIntent, Key};

use crate::harness::Harness;
use crate::helpers::broadcast;

const DEFINITIONS: &str = r#"<bpmn:escalation id="up" escalationCode="up"/>
    <bpmn:signal id="alarm" name="alarm"/>"#;
const ESCALATION: &str = r#"<bpmn:escalationEventDefinition escalationRef="up"/>"#;
const SIGNAL: &str = r#"<bpmn:signalEventDefinition signalRef="alarm"/>"#;
const BEFORE: &str = r#"<zeebe:executionListener eventType="start" type="before" retries="1"/>"#;
const AFTER: &str = r#"<zeebe:executionListener eventType="end" type="after" retries="1"/>"#;

/// An element, whether it can have listeners after its work, and how it is appended.
type Place = (&'static str, bool, fn(ProcessBuilder) -> ProcessBuilder);

const PLACES: &[Place] = &[
    ("service task", true, |b| b.service_task("it", "work")),
    ("user task", true, |b| b.element("userTask", "it", "")),
    ("receive task", true, |b| b.receive_task("it", "go", "=key")),
    ("manual task", true, |b| b.element("manualTask", "it", "")),
    ("task", true, |b| b.element("task", "it", "")),
    ("script task", true, |b| {
        b.element("scriptTask", "it", "")
            .extension(r#"<zeebe:script expression="=1" resultVariable="x"/>"#)
    }),
    ("sub-process", true, |b| {
        let b = b.sub_process("it").start().end().leave();
        b.move_to("it")
    }),
    ("call activity", true, |b| {
        b.element("callActivity", "it", "")
            .extension(r#"<zeebe:calledElement processId="called"/>"#)
    }),
    ("repeated task", true, |b| {
        b.service_task("it", "work")
            .multi_instance(true, r#"inputCollection="=[1]""#)
    }),
    ("exclusive gateway", false, |b| b.exclusive_gateway("it")),
    ("parallel gateway", false, |b| b.parallel_gateway("it")),
    ("inclusive gateway", false, |b| {
        b.element("inclusiveGateway", "it", "")
    }),
    ("message catch event", true, |b| {
        b.message_catch("it", "go", "=key")
    }),
    ("timer catch event", true, |b| b.timer_catch("it", "PT1S")),
    ("none throw event", true, |b| {
        b.element("intermediateThrowEvent", "it", "")
    }),
    ("signal throw event", true, |b| {
        b.element("intermediateThrowEvent", "it", SIGNAL)
    }),
    ("escalation throw event", true, |b| {
        b.element("intermediateThrowEvent", "it", ESCALATION)
    }),
    ("compensation throw event", true, |b| {
        b.element(
            "intermediateThrowEvent",
            "it",
            "<bpmn:compensateEventDefinition/>",
        )
    }),
];

fn begun(place: &Place) -> (Harness, Key) {
    let (_, has_after, part) = place;
    let after = if *has_after { AFTER } else { "" };
    let listeners = format!("<zeebe:executionListeners>{BEFORE}{after}</zeebe:executionListeners>");
    let process = |id| ProcessBuilder::new(id).definitions(DEFINITIONS).start();
    let mut harness = Harness::with(&process("called").end().xml());
    let whole = part(process("p")).extension(&listeners).end();
    harness.deploy(&whole.xml());
    let instance = harness.create("p", r#"{"key":"k"}"#);
    (harness, instance)
}

/// Does the work of the element itself.
fn go_on(harness: &mut Harness) {
    for job_type in ["work", "io.camunda.zeebe:userTask"] {
        for (job, _) in harness.activate(job_type, 10) {
            harness.complete(job, "{}").unwrap();
        }
    }
    harness.publish("go", "k", "{}");
    broadcast(harness, "alarm", "{}").unwrap();
    harness.advance(2_000);
}

/// Fails the job of a listener, and gives its incident.
fn fail(harness: &mut Harness, listener: &str) -> (Key, Key) {
    let job = harness.job(listener);
    let nothing_left = values::Job::default();
    harness.report(job, JobIntent::Fail, nothing_left).unwrap();
    let (incident, value) = harness.incidents().last().unwrap().clone();
    let expected = IncidentErrorType::ExecutionListenerNoRetries;
    assert_eq!(value.error_type(), expected);
    assert_eq!((value.element_id.as_str(), Key(value.job_key)), ("it", job));
    (job, incident)
}

fn mend(place: &Place) {
    let (mut harness, _) = begun(place);
    for listener in ["before", "after"] {
        if listener == "after" && !place.1 {
            continue;
        }
        let (job, incident) = fail(&mut harness, listener);
        go_on(&mut harness);
        assert!(!harness.happened("it COMPLETED"));
        let retries = values::Job {
            retries: 1,
            ..Default::default()
        };
        harness
            .report(job, JobIntent::UpdateRetries, retries)
            .unwrap();
        harness.resolve(incident).unwrap();
        harness.work(listener, "{}");
        go_on(&mut harness);
    }
    assert!(harness.happened("p COMPLETED"), "{:#?}", harness.trace());
    harness.advance(10_000);
    harness.assert_clean();
}

fn cancel(place: &Place) {
    for (listener, fails) in [
        ("before", false),
        ("before", true),
        ("after", false),
        ("after", true),
    ] {
        if listener == "after" && !place.1 {
            continue;
        }
        let (mut harness, instance) = begun(place);
        if listener == "after" {
            harness.work("before", "{}");
            go_on(&mut harness);
        }
        if fails {
            fail(&mut harness, listener);
        }
        harness.cancel(instance).unwrap();
        assert!(harness.happened("it TERMINATED") && harness.happened("p TERMINATED"));
        harness.advance(10_000);
        harness.assert_clean();
    }
}

fn everywhere(check: fn(&Place)) {
    let wrong: Vec<&str> = PLACES
        .iter()
        .filter(|place| std::panic::catch_unwind(|| check(place)).is_err())
        .map(|place| place.0)
        .collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn listeners_of_every_element_are_mended_when_they_fail() {
    everywhere(mend);
}

#[test]
fn an_instance_is_cancelled_at_the_listeners_of_any_element() {
    everywhere(cancel);
}
