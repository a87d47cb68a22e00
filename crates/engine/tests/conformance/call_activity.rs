//! Call activities (8.1 to 8.10).

use skep_bpmn::builder::ProcessBuilder;
use skep_protocol::values::{self, IncidentErrorType};
use skep_protocol::{JobIntent, Key, ProcessInstanceIntent, RecordValue, RejectionType};

use crate::harness::Harness;

fn caller_with(called: &str) -> ProcessBuilder {
    ProcessBuilder::new("caller")
        .start()
        .element("callActivity", "call", "")
        .extension(called)
}

fn caller() -> ProcessBuilder {
    caller_with(r#"<zeebe:calledElement processId="called"/>"#)
}

fn called() -> ProcessBuilder {
    ProcessBuilder::new("called")
        .start()
        .service_task("task", "work")
        .end()
}

fn harness(caller: &ProcessBuilder) -> Harness {
    let mut harness = Harness::with(&called().xml());
    harness.deploy(&caller.xml());
    harness
}

fn value_of(harness: &Harness, key: Key) -> values::ProcessInstance {
    let records = harness.events(ProcessInstanceIntent::ElementActivating);
    let record = records.into_iter().find(|record| record.key == key);
    match &record.unwrap().value {
        RecordValue::ProcessInstance(value) => value.clone(),
        other => panic!("unexpected value {other:?}"),
    }
}

#[test]
fn the_latest_version_is_called_and_knows_its_caller() {
    let mut harness = harness(&caller().end());
    harness.deploy(
        &called()
            .definitions("<bpmn:message id=\"m\" name=\"m\"/>")
            .xml(),
    );
    let instance = harness.create("caller", "{}");
    let child = harness.key_of("called");
    let value = value_of(&harness, child);
    assert_eq!(value.version, 2);
    assert_eq!(value.parent_process_instance_key, instance.0);
    assert_eq!(value.parent_element_instance_key, harness.key_of("call").0);
    assert_eq!(value.flow_scope_key, -1);
    let task = value_of(&harness, harness.key_of("task"));
    assert_eq!(task.process_instance_key, child.0);
    assert_eq!(task.parent_process_instance_key, instance.0);
    harness.work("work", "{}");
    let trace = harness.trace();
    let at = |event: &str| trace.iter().position(|traced| traced == event).unwrap();
    assert!(at("call ACTIVATED") < at("called ACTIVATING"));
    assert!(at("called COMPLETED") < at("call COMPLETING"));
    assert!(harness.happened("caller COMPLETED"));
    harness.assert_clean();
}

#[test]
fn variables_go_in_as_the_activity_says() {
    for (flag, expected) in [(true, vec!["a=1", "b=2", "own=1"]), (false, vec!["own=1"])] {
        let element = format!(
            r#"<zeebe:calledElement processId="called" propagateAllParentVariables="{flag}"/>"#
        );
        let mut harness = harness(&caller_with(&element).input("=a", "own").end());
        harness.create("caller", r#"{"a":1,"b":2}"#);
        assert_eq!(harness.variables(harness.key_of("called")), expected);
    }
}

#[test]
fn variables_come_back_as_the_activity_says() {
    for (flag, mapped, expected) in [
        (true, false, vec!["a=1", "x=5", "y=6"]),
        (false, false, vec!["a=1"]),
        (true, true, vec!["a=1", "sum=11"]),
        (false, true, vec!["a=1", "sum=11"]),
    ] {
        let element = format!(
            r#"<zeebe:calledElement processId="called" propagateAllChildVariables="{flag}"/>"#
        );
        let mut builder = caller_with(&element);
        if mapped {
            builder = builder.output("=x+y", "sum");
        }
        let mut harness = harness(&builder.service_task("after", "after").end());
        let instance = harness.create("caller", r#"{"a":1}"#);
        harness.work("work", r#"{"x":5,"y":6}"#);
        assert_eq!(harness.variables(instance), expected, "{flag} {mapped}");
        harness.work("after", "{}");
        harness.assert_clean();
    }
}

#[test]
fn what_is_called_may_be_computed() {
    let mut harness = harness(&caller_with(r#"<zeebe:calledElement processId="=name"/>"#).end());
    harness.create("caller", r#"{"name":"called"}"#);
    harness.work("work", "{}");
    assert!(harness.happened("caller COMPLETED"));
    harness.assert_clean();
}

#[test]
fn the_root_can_be_cancelled_and_a_called_instance_cannot() {
    let mut harness = harness(&caller().end());
    harness.deploy(
        &ProcessBuilder::new("top")
            .start()
            .element("callActivity", "call-caller", "")
            .extension(r#"<zeebe:calledElement processId="caller"/>"#)
            .end()
            .xml(),
    );
    let instance = harness.create("top", "{}");
    let job = harness.job("work");
    for child in ["caller", "called"] {
        let rejection = harness.cancel(harness.key_of(child)).unwrap_err();
        assert_eq!(rejection.rejection_type, RejectionType::InvalidState);
        assert!(
            rejection.reason.contains(&instance.to_string())
                && rejection.reason.contains("parent process instance"),
            "{}",
            rejection.reason
        );
    }
    harness.cancel(instance).unwrap();
    assert!(harness.happened("called TERMINATED") && harness.happened("top TERMINATED"));
    assert_eq!(harness.job_state(job), None);
    harness.assert_clean();
}

#[test]
fn what_cannot_be_called_is_an_incident_until_it_can() {
    let mut harness = Harness::with(&caller().end().xml());
    harness.create("caller", "{}");
    let (incident, value) = harness.incidents()[0].clone();
    assert_eq!(value.error_type(), IncidentErrorType::CalledElementError);
    assert_eq!(value.element_id, "call");
    let with_message = ProcessBuilder::new("called")
        .message_start("by-message", "m")
        .end();
    harness.deploy(&with_message.xml());
    harness.resolve(incident).unwrap();
    let (incident, value) = harness.incidents()[1].clone();
    assert_eq!(value.error_type(), IncidentErrorType::CalledElementError);
    assert!(value.error_message.contains("none start event"));
    harness.deploy(&called().xml());
    harness.resolve(incident).unwrap();
    harness.work("work", "{}");
    assert!(harness.happened("caller COMPLETED"));
}

#[test]
fn an_id_that_is_no_text_is_an_incident() {
    let mut harness = harness(&caller_with(r#"<zeebe:calledElement processId="=name"/>"#).end());
    let instance = harness.create("caller", r#"{"name":1}"#);
    let (incident, value) = harness.incidents()[0].clone();
    assert_eq!(value.error_type(), IncidentErrorType::ExtractValueError);
    harness
        .set_variables(instance, r#"{"name":"called"}"#, false)
        .unwrap();
    harness.resolve(incident).unwrap();
    harness.work("work", "{}");
    harness.assert_clean();
}

#[test]
fn an_activity_that_has_called_nothing_yet_can_be_terminated() {
    let mut harness = Harness::with(&caller().end().xml());
    let instance = harness.create("caller", "{}");
    harness.cancel(instance).unwrap();
    assert!(harness.happened("call TERMINATED"));
    harness.assert_clean();
}

#[test]
fn an_error_of_the_called_instance_is_caught_at_the_call() {
    let mut harness = harness(
        &caller()
            .end()
            .error_boundary("caught", "call", "E")
            .end_at("mended"),
    );
    harness.create("caller", "{}");
    let job = harness.job("work");
    let error = values::Job {
        error_code: "E".to_owned(),
        ..Default::default()
    };
    harness.report(job, JobIntent::ThrowError, error).unwrap();
    assert!(harness.happened("called TERMINATED") && harness.happened("mended COMPLETED"));
    harness.assert_clean();
}

#[test]
fn a_process_that_calls_itself_without_end_stops_with_an_incident() {
    let xml = ProcessBuilder::new("p")
        .start()
        .element("callActivity", "call", "")
        .extension(r#"<zeebe:calledElement processId="=name"/>"#)
        .end()
        .xml();
    let mut harness = Harness::with(&xml);
    let instance = harness.create("p", r#"{"name":"p"}"#);
    let incidents = harness.incidents();
    assert_eq!(incidents.len(), 1);
    assert_eq!(
        incidents[0].1.error_type(),
        IncidentErrorType::CalledElementError
    );
    assert_eq!(harness.count("p ACTIVATED"), 1_001);
    harness.cancel(instance).unwrap();
    harness.assert_clean();
}
#[test]
fn a_boundary_event_ends_the_called_instance_first() {
    let mut harness = harness(
        &caller()
            .end_at("fine")
            .boundary(
                "late",
                "call",
                "<bpmn:timerEventDefinition><bpmn:timeDuration>PT1S</bpmn:timeDuration></bpmn:timerEventDefinition>",
            )
            .end_at("stopped"),
    );
    let instance = harness.create("caller", "{}");
    harness
        .set_variables(harness.key_of("called"), r#"{"x":1}"#, true)
        .unwrap();
    harness.advance(1_000);
    let trace = harness.trace();
    let at = |event: &str| trace.iter().position(|traced| traced == event).unwrap();
    assert!(at("call TERMINATING") < at("called TERMINATING"));
    assert!(at("task TERMINATED") < at("called TERMINATED"));
    assert!(at("called TERMINATED") < at("call TERMINATED"));
    assert!(at("call TERMINATED") < at("late ACTIVATING"));
    assert!(harness.variables(instance).is_empty(), "nothing comes back");
    assert!(harness.happened("stopped COMPLETED"));
    harness.assert_clean();
}

#[test]
fn a_boundary_event_comes_even_when_the_called_instance_is_completing() {
    let called = called().output("=assert(ok, ok = true)", "ok");
    let mut harness = Harness::with(&called.xml());
    harness.deploy(
        &caller()
            .end()
            .boundary(
                "late",
                "call",
                "<bpmn:timerEventDefinition><bpmn:timeDuration>PT1S</bpmn:timeDuration></bpmn:timerEventDefinition>",
            )
            .end_at("stopped")
            .xml(),
    );
    harness.create("caller", "{}");
    harness.work("work", "{}");
    harness.advance(1_000);
    assert!(harness.happened("call TERMINATED") && harness.happened("stopped COMPLETED"));
    harness.assert_clean();
}

#[test]
fn a_repeated_call_brings_its_variables_back_and_leaves_those_of_the_repetition_alone() {
    let called = ProcessBuilder::new("called")
        .start()
        .service_task("child", "child")
        .end();
    let xml = ProcessBuilder::new("p")
        .start()
        .element("callActivity", "call", "")
        .extension(r#"<zeebe:calledElement processId="called"/>"#)
        .multi_instance(
            true,
            r#"inputCollection="=items" inputElement="item" outputCollection="prices" outputElement="=price""#,
        )
        .service_task("after", "after")
        .end()
        .xml();
    let mut harness = Harness::with(&called.xml());
    harness.deploy(&xml);
    let instance = harness.create("p", r#"{"items":[1,2],"last":0}"#);
    harness.work("child", r#"{"price":5,"last":1,"first":true}"#);
    harness.work("child", r#"{"price":7,"last":2}"#);
    assert_eq!(
        harness.variables(instance),
        ["first=true", "items=[1,2]", "last=2", "prices=[5,7]"]
    );
}

#[test]
fn outputs_are_collected_around_a_scope_with_a_call_in_it() {
    let called = ProcessBuilder::new("called")
        .start()
        .service_task("child", "child")
        .end();
    let xml = ProcessBuilder::new("p")
        .start()
        .sub_process("sub")
        .start()
        .element("callActivity", "call", "")
        .extension(r#"<zeebe:calledElement processId="called"/>"#)
        .end()
        .leave()
        .multi_instance(
            false,
            r#"inputCollection="=[1,2]" inputElement="item" outputCollection="doubled" outputElement="=double""#,
        )
        .service_task("after", "after")
        .end()
        .xml();
    let mut harness = Harness::with(&called.xml());
    harness.deploy(&xml);
    let instance = harness.create("p", "{}");
    for (job, double) in harness.activate("child", 10).into_iter().zip([2, 4]) {
        let variables = format!("{{\"double\":{double}}}");
        harness.complete(job.0, &variables).unwrap();
    }
    let collected = "doubled=[2,4]".to_owned();
    assert!(harness.variables(instance).contains(&collected));
}
