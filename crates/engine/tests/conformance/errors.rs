//! Errors thrown by workers.

use skep_bpmn::builder::ProcessBuilder;
use skep_engine::tables::jobs::JobState;
use skep_protocol::values::{self, IncidentErrorType};
use skep_protocol::{IncidentIntent, JobIntent, RecordValue, RejectionType};

use crate::harness::Harness;

fn thrown(code: &str, variables: &str) -> values::Job {
    values::Job {
        error_code: code.to_owned(),
        error_message: "why".to_owned(),
        variables: variables.to_owned(),
        ..Default::default()
    }
}

fn on_task() -> String {
    ProcessBuilder::new("p")
        .start()
        .service_task("task", "work")
        .end_at("fine")
        .error_boundary("caught", "task", "E1")
        .service_task("mend", "mend")
        .end_at("mended")
        .xml()
}

#[test]
fn an_error_is_caught_on_the_task_that_threw_it() {
    let mut harness = Harness::with(&on_task());
    harness.create("p", "{}");
    let job = harness.job("work");
    harness
        .report(job, JobIntent::ThrowError, thrown("E1", "{}"))
        .unwrap();
    let trace = harness.trace();
    let at = |event: &str| {
        trace
            .iter()
            .position(|traced| traced == event)
            .expect(event)
    };
    assert!(at("task TERMINATING") < at("task TERMINATED"));
    assert!(at("task TERMINATED") < at("caught ACTIVATING"));
    assert!(at("caught COMPLETED") < at("mend ACTIVATING"));
    assert!(
        harness.events(JobIntent::Canceled).is_empty(),
        "a thrown error cancels no job"
    );
    assert_eq!(harness.job_state(job), None);
    harness.work("mend", "{}");
    assert!(harness.happened("mended COMPLETED") && harness.happened("p COMPLETED"));
    harness.assert_clean();
}

#[test]
fn an_error_is_caught_by_the_scope_around_it() {
    let xml = ProcessBuilder::new("p")
        .start()
        .sub_process("sub")
        .start()
        .parallel_gateway("fork")
        .service_task("task", "work")
        .move_to("fork")
        .service_task("other", "other")
        .leave()
        .end()
        .error_boundary("caught", "sub", "E1")
        .end_at("mended")
        .xml();
    let mut harness = Harness::with(&xml);
    harness.create("p", "{}");
    let job = harness.job("work");
    harness
        .report(job, JobIntent::ThrowError, thrown("E1", "{}"))
        .unwrap();
    let trace = harness.trace();
    let at = |event: &str| {
        trace
            .iter()
            .position(|traced| traced == event)
            .expect(event)
    };
    assert!(at("other TERMINATED") < at("sub TERMINATED"));
    assert!(at("sub TERMINATED") < at("caught ACTIVATING"));
    assert_eq!(
        harness.events(JobIntent::Canceled).len(),
        1,
        "only the other job"
    );
    assert!(harness.happened("p COMPLETED"));
    harness.assert_clean();
}

fn exact_and_any() -> String {
    let caught_by_any = r#"<bpmn:errorEventDefinition/>"#;
    ProcessBuilder::new("p")
        .start()
        .service_task("task", "work")
        .end()
        .boundary("any", "task", caught_by_any)
        .end()
        .error_boundary("exact", "task", "E1")
        .end()
        .xml()
}

#[test]
fn an_event_for_exactly_the_code_goes_before_one_for_all() {
    for (code, event) in [("E1", "exact"), ("E2", "any"), ("", "any")] {
        let mut harness = Harness::with(&exact_and_any());
        harness.create("p", "{}");
        let job = harness.job("work");
        harness
            .report(job, JobIntent::ThrowError, thrown(code, "{}"))
            .unwrap();
        assert!(harness.happened(&format!("{event} COMPLETED")), "{code}");
        harness.assert_clean();
    }
}

#[test]
fn an_error_that_nobody_catches_is_an_incident_and_the_job_can_be_done_again() {
    let mut harness = Harness::with(&on_task());
    harness.create("p", "{}");
    let job = harness.job("work");
    harness
        .report(job, JobIntent::ThrowError, thrown("E2", "{}"))
        .unwrap();
    let (incident, value) = harness.incidents()[0].clone();
    assert_eq!(value.error_type(), IncidentErrorType::UnhandledErrorEvent);
    for part in ["'E2'", "'why'", "[E1]"] {
        assert!(
            value.error_message.contains(part),
            "{}",
            value.error_message
        );
    }
    assert_eq!(harness.job_state(job), Some(JobState::ErrorThrown));
    for intent in [JobIntent::ThrowError, JobIntent::Complete, JobIntent::Fail] {
        let rejection = harness.report(job, intent, thrown("E1", "{}")).unwrap_err();
        assert_eq!(rejection.rejection_type, RejectionType::InvalidState);
        assert!(
            rejection
                .reason
                .ends_with("but it is in state 'ERROR_THROWN'"),
            "{}",
            rejection.reason
        );
    }
    harness.resolve(incident).unwrap();
    harness.work("work", "{}");
    assert!(harness.happened("fine COMPLETED"));
    harness.assert_clean();
}

#[test]
fn variables_of_an_error_stay_with_its_event_unless_they_are_mapped() {
    for (mapped, expected) in [(false, vec!["a=1"]), (true, vec!["a=1", "code=7"])] {
        let mut builder = ProcessBuilder::new("p")
            .start()
            .service_task("task", "work")
            .end()
            .error_boundary("caught", "task", "E1");
        if mapped {
            builder = builder.output("=detail", "code");
        }
        let mut harness = Harness::with(&builder.service_task("mend", "mend").end().xml());
        let instance = harness.create("p", r#"{"a":1}"#);
        let job = harness.job("work");
        harness
            .report(job, JobIntent::ThrowError, thrown("E1", r#"{"detail":7}"#))
            .unwrap();
        assert_eq!(harness.variables(instance), expected);
        harness.work("mend", "{}");
        harness.assert_clean();
    }
}

fn throwing(code: &str) -> ProcessBuilder {
    ProcessBuilder::new("thrower")
        .definitions(&format!(r#"<bpmn:error id="error" errorCode="{code}"/>"#))
        .start()
        .element(
            "endEvent",
            "throw",
            r#"<bpmn:errorEventDefinition errorRef="error"/>"#,
        )
}

fn calling() -> ProcessBuilder {
    ProcessBuilder::new("p")
        .start()
        .element("callActivity", "call", "")
        .extension(r#"<zeebe:calledElement processId="thrower"/>"#)
        .end()
}

#[test]
fn an_error_end_event_is_caught_around_its_scope_and_across_calls() {
    for (code, variables) in [("E1", "{}"), ("=code", r#"{"code":"E1"}"#)] {
        let mut harness = Harness::with(&throwing(code).xml());
        harness.deploy(
            &calling()
                .error_boundary("any", "call", "")
                .end_at("wrong")
                .error_boundary("caught", "call", "E1")
                .end_at("mended")
                .xml(),
        );
        harness.create("p", variables);
        let trace = harness.trace();
        let at = |event: &str| trace.iter().position(|traced| traced == event).unwrap();
        assert!(at("throw ACTIVATED") < at("throw TERMINATED"));
        assert!(at("throw TERMINATED") < at("call TERMINATED"));
        assert!(harness.happened("mended COMPLETED"));
        harness.assert_clean();
    }
}

#[test]
fn an_error_end_event_that_nobody_catches_is_an_incident_again_and_again() {
    let mut harness = Harness::with(&throwing("E1").xml());
    let instance = harness.create("thrower", "{}");
    let (incident, value) = harness.incidents()[0].clone();
    assert_eq!(value.error_type(), IncidentErrorType::UnhandledErrorEvent);
    assert_eq!(value.element_id, "throw");
    assert_eq!(value.job_key, -1);
    harness.resolve(incident).unwrap();
    assert_eq!(harness.incidents().len(), 2);
    harness.cancel(instance).unwrap();
    harness.assert_clean();
}

#[test]
fn a_code_that_is_no_text_is_an_incident() {
    let mut harness = Harness::with(&throwing("=code").xml());
    harness.create("thrower", r#"{"code":1}"#);
    let (_, value) = harness.incidents()[0].clone();
    assert_eq!(value.error_type(), IncidentErrorType::ExtractValueError);
}

#[test]
fn the_inner_scope_goes_before_the_outer_and_its_event_sub_process_before_its_boundary() {
    let xml = ProcessBuilder::new("p")
        .definitions(r#"<bpmn:error id="error" errorCode="E"/>"#)
        .start()
        .sub_process("sub")
        .start()
        .element(
            "endEvent",
            "throw",
            r#"<bpmn:errorEventDefinition errorRef="error"/>"#,
        )
        .event_sub_process(
            "on",
            "on-start",
            r#"<bpmn:errorEventDefinition errorRef="error"/>"#,
            true,
        )
        .element(
            "endEvent",
            "again",
            r#"<bpmn:errorEventDefinition errorRef="error"/>"#,
        )
        .leave()
        .leave()
        .end()
        .error_boundary("outside", "sub", "E")
        .end_at("mended")
        .xml();
    let mut harness = Harness::with(&xml);
    harness.create("p", "{}");
    let trace = harness.trace();
    let at = |event: &str| trace.iter().position(|traced| traced == event).unwrap();
    assert!(at("throw TERMINATED") < at("on ACTIVATING"));
    assert!(at("again TERMINATED") < at("sub TERMINATED"));
    assert!(at("sub TERMINATED") < at("outside ACTIVATING"));
    assert!(harness.happened("mended COMPLETED"));
    harness.assert_clean();
}

#[test]
fn a_code_of_digits_is_a_text_and_a_long_message_is_cut() {
    let xml = on_task().replace("E1", "404");
    let mut harness = Harness::with(&xml);
    harness.create("p", "{}");
    let job = harness.job("work");
    harness
        .report(job, JobIntent::ThrowError, thrown("404", "{}"))
        .unwrap();
    assert!(harness.happened("caught COMPLETED"));

    let mut harness = Harness::with(&xml);
    let instance = harness.create("p", "{}");
    let job = harness.job("work");
    let error = values::Job {
        error_message: "x".repeat(10_001),
        ..thrown("405", "{}")
    };
    harness.report(job, JobIntent::ThrowError, error).unwrap();
    let record = harness.events(JobIntent::ErrorThrown)[0];
    let RecordValue::Job(thrown) = &record.value else {
        panic!("{record:?}")
    };
    assert_eq!(thrown.error_message, format!("{}...", "x".repeat(10_000)));
    // The incident goes with its scope.
    harness.cancel(instance).unwrap();
    assert_eq!(harness.events(IncidentIntent::Resolved).len(), 1);
    harness.assert_clean();
}
