//! Tasks of all kinds, and what is like one (1.8; 4.1 to 4.11; 19.3, 19.4).

use skep_bpmn::builder::ProcessBuilder;
use skep_protocol::values::{BpmnElementType, IncidentErrorType};
use skep_protocol::{
    JobIntent, ProcessInstanceIntent, ProcessMessageSubscriptionIntent, RecordValue,
};

use crate::harness::Harness;
use crate::helpers::created;

/// All that is done by a job worker: its name in BPMN, what stands inside, and its kind in records.
const JOB_ELEMENTS: [(&str, &str, BpmnElementType); 6] = [
    ("serviceTask", "", BpmnElementType::ServiceTask),
    ("sendTask", "", BpmnElementType::SendTask),
    ("scriptTask", "", BpmnElementType::ScriptTask),
    ("businessRuleTask", "", BpmnElementType::BusinessRuleTask),
    (
        "intermediateThrowEvent",
        "<bpmn:messageEventDefinition messageRef=\"message\"/>",
        BpmnElementType::IntermediateThrowEvent,
    ),
    (
        "endEvent",
        "<bpmn:messageEventDefinition messageRef=\"message\"/>",
        BpmnElementType::EndEvent,
    ),
];

fn job_element(tag: &str, content: &str, job_type: &str) -> ProcessBuilder {
    ProcessBuilder::new("p")
        .definitions("<bpmn:message id=\"message\" name=\"m\"/>")
        .start()
        .job_element(tag, "task", job_type)
        .content(content)
}

fn lifecycle_of(harness: &Harness, element: &str) -> Vec<String> {
    let prefix = format!("{element} ");
    let trace = harness.trace();
    let of_element = trace.iter().filter_map(|event| event.strip_prefix(&prefix));
    of_element.map(str::to_owned).collect()
}

#[test]
fn all_that_is_done_by_a_worker_has_the_life_of_a_service_task() {
    for (tag, content, kind) in JOB_ELEMENTS {
        let process = job_element(tag, content, "=t")
            .input("=1", "a")
            .output("=b", "c")
            .header("h", "v");
        let (mut harness, _) = created(&process, r#"{"t":"work"}"#);
        assert_eq!(lifecycle_of(&harness, "task"), ["ACTIVATING", "ACTIVATED"]);
        let jobs = harness.activate("work", 10);
        let [(key, job)] = &jobs[..] else {
            panic!("{tag}: {jobs:?}")
        };
        assert_eq!(job.custom_headers, r#"{"h":"v"}"#, "{tag}");
        assert_eq!(job.retries, 3, "{tag}");
        assert!(job.variables.contains(r#""a":1"#), "{tag}");
        harness.complete(*key, r#"{"b":2}"#).unwrap();
        assert_eq!(
            lifecycle_of(&harness, "task"),
            ["ACTIVATING", "ACTIVATED", "COMPLETING", "COMPLETED"]
        );
        let kinds = harness
            .records
            .iter()
            .filter_map(|record| match &record.value {
                RecordValue::ProcessInstance(value) if value.element_id == "task" => {
                    Some(value.element_type())
                }
                _ => None,
            });
        assert!(kinds.into_iter().all(|found| found == kind), "{tag}");
        assert_eq!(
            harness
                .events(ProcessInstanceIntent::ElementCompleted)
                .len(),
            3
        );
        harness.assert_clean();
    }
}

#[test]
fn a_job_type_that_fails_is_an_incident_of_any_such_element() {
    for (tag, content, _) in JOB_ELEMENTS {
        for variables in ["{}", r#"{"t":7}"#] {
            let (mut harness, instance) = created(&job_element(tag, content, "=t"), variables);
            let (incident, value) = harness.incidents()[0].clone();
            assert_eq!(value.error_type(), IncidentErrorType::ExtractValueError);
            assert_eq!(lifecycle_of(&harness, "task"), ["ACTIVATING"], "{tag}");
            harness
                .set_variables(instance, r#"{"t":"work"}"#, false)
                .unwrap();
            harness.resolve(incident).unwrap();
            harness.work("work", "{}");
            harness.assert_clean();
        }
    }
}

#[test]
fn a_job_goes_with_its_element() {
    for (tag, content, _) in JOB_ELEMENTS {
        let (mut harness, instance) = created(&job_element(tag, content, "work"), "{}");
        harness.cancel(instance).unwrap();
        assert_eq!(harness.events(JobIntent::Canceled).len(), 1, "{tag}");
        harness.assert_clean();
    }
}

#[test]
fn what_has_nothing_to_do_passes_through() {
    for (tag, kind) in [
        ("manualTask", BpmnElementType::ManualTask),
        ("task", BpmnElementType::Task),
        (
            "intermediateThrowEvent",
            BpmnElementType::IntermediateThrowEvent,
        ),
    ] {
        let process = ProcessBuilder::new("p")
            .start()
            .element(tag, "it", "")
            .output("=x + 1", "y")
            .service_task("after", "work")
            .end();
        let (mut harness, instance) = created(&process, r#"{"x":1}"#);
        assert_eq!(
            lifecycle_of(&harness, "it"),
            ["ACTIVATING", "ACTIVATED", "COMPLETING", "COMPLETED"]
        );
        assert!(harness.records.iter().any(|record| matches!(
            &record.value,
            RecordValue::ProcessInstance(value) if value.element_type() == kind
        )));
        assert_eq!(harness.variables(instance), ["x=1", "y=2"], "{tag}");
        harness.work("work", "{}");
        harness.assert_clean();
    }
}

#[test]
fn a_manual_task_closes_what_its_boundary_events_wait_for() {
    let process = ProcessBuilder::new("p")
        .start()
        .element("manualTask", "task", "")
        .end()
        .message_boundary("event", "task", "m", "=\"k\"")
        .end();
    let (harness, _) = created(&process, "{}");
    assert!(harness.happened("p COMPLETED"));
    harness.assert_clean();
}

fn receiving() -> ProcessBuilder {
    ProcessBuilder::new("p")
        .start()
        .receive_task("task", "m", "=key")
}

#[test]
fn a_receive_task_waits_for_its_message() {
    let process = receiving().service_task("after", "work").end();
    let (mut harness, instance) = created(&process, r#"{"key":"k"}"#);
    assert_eq!(lifecycle_of(&harness, "task"), ["ACTIVATING", "ACTIVATED"]);
    harness.publish("m", "k", r#"{"x":1}"#);
    assert_eq!(harness.variables(instance), [r#"key="k""#, "x=1"]);
    harness.work("work", "{}");
    harness.advance(1_001);
    harness.assert_clean();
}

#[test]
fn a_receive_task_maps_what_its_message_brings() {
    let process = receiving()
        .input("=\"k\"", "key")
        .output("=x + 1", "y")
        .service_task("after", "work")
        .end();
    let (mut harness, instance) = created(&process, "{}");
    harness.publish("m", "k", r#"{"x":1}"#);
    assert_eq!(harness.variables(instance), ["y=2"]);
}

#[test]
fn of_a_receive_task_and_its_boundary_event_the_first_has_the_message() {
    let process = receiving()
        .end()
        .message_boundary("event", "task", "other", "=key")
        .end_at("other-end");
    for (name, event) in [("m", "task COMPLETED"), ("other", "other-end COMPLETED")] {
        let (mut harness, _) = created(&process, r#"{"key":"k"}"#);
        harness.publish(name, "k", "{}");
        assert!(harness.happened(event));
        assert!(harness.happened("p COMPLETED"));
        harness.advance(1_001);
        harness.assert_clean();
    }
}

#[test]
fn each_repetition_of_a_receive_task_has_a_subscription() {
    let process = ProcessBuilder::new("p")
        .start()
        .receive_task("task", "m", "=k")
        .multi_instance(false, "inputCollection=\"=[1,2]\" inputElement=\"k\"")
        .end();
    let (mut harness, _) = created(&process, "{}");
    let opened = harness.events(ProcessMessageSubscriptionIntent::Created);
    assert_eq!(opened.len(), 2);
    harness.publish("m", "2", "{}");
    assert!(!harness.happened("p COMPLETED"));
    harness.publish("m", "1", "{}");
    assert!(harness.happened("p COMPLETED"));
    harness.advance(1_001);
    harness.assert_clean();
}

#[test]
fn a_receive_task_ends_what_it_waits_for_with_its_instance() {
    let (mut harness, instance) = created(&receiving(), r#"{"key":"k"}"#);
    harness.cancel(instance).unwrap();
    harness.assert_clean();
}

#[test]
fn headers_that_say_nothing_are_left_out_and_quotes_of_static_texts_are_kept() {
    for (tag, content, _) in JOB_ELEMENTS {
        let process = job_element(tag, content, "\"quoted\"")
            .header("", "v")
            .header("empty", "")
            .header("h", "v");
        let (mut harness, _) = created(&process, "{}");
        let (_, job) = harness.activate("\"quoted\"", 1).remove(0);
        assert_eq!(job.custom_headers, r#"{"h":"v"}"#, "{tag}");
        assert_eq!(job.job_type, "\"quoted\"", "{tag}");
    }
}

#[test]
fn what_is_not_mended_is_another_incident() {
    let (mut harness, instance) = created(&job_element("serviceTask", "", "=t"), "{}");
    let first = harness.incidents()[0].0;
    harness
        .set_variables(instance, r#"{"t":7}"#, false)
        .unwrap();
    harness.resolve(first).unwrap();
    let incidents = harness.incidents();
    assert_eq!(incidents.len(), 2);
    assert_ne!(incidents[1].0, first);
    assert_ne!(incidents[1].1.error_message, incidents[0].1.error_message);
}
