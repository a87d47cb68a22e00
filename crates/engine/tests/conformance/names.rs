//! Names too long to be part of a key: refused or an incident, never a ban.

use skep_bpmn::builder::ProcessBuilder;
use skep_protocol::names::NAME_BYTES_MAX;
use skep_protocol::values::IncidentErrorType;
use skep_protocol::{ErrorIntent, RejectionType};

use crate::harness::Harness;

fn text(bytes: usize) -> String {
    format!(r#"{{"long":"{}"}}"#, "x".repeat(bytes))
}

/// Runs into an incident with a name of one byte too many, which a shorter one mends.
fn assert_incident(xml: &str, what: &str) {
    let mut harness = Harness::with(xml);
    let instance = harness.create("p", &text(NAME_BYTES_MAX + 1));
    let (incident, value) = harness.incidents()[0].clone();
    assert_eq!(value.error_type(), IncidentErrorType::ExtractValueError);
    assert!(value.error_message.contains(what), "{value:?}");
    assert!(harness.events(ErrorIntent::Created).is_empty());
    harness
        .set_variables(instance, &text(NAME_BYTES_MAX), false)
        .unwrap();
    harness.resolve(incident).unwrap();
    assert_eq!(harness.incidents().len(), 1, "the longest name is possible");
    harness.cancel(instance).unwrap();
    harness.assert_clean();
}

#[test]
fn a_job_type_that_is_too_long_is_an_incident() {
    let xml = ProcessBuilder::new("p")
        .start()
        .service_task("task", "=long")
        .end()
        .xml();
    assert_incident(&xml, "job type");
}

#[test]
fn a_correlation_key_that_is_too_long_is_an_incident() {
    let xml = ProcessBuilder::new("p")
        .start()
        .message_catch("catch", "m", "=long")
        .end()
        .xml();
    assert_incident(&xml, "correlation key");
}

#[test]
fn a_message_name_that_is_too_long_is_an_incident() {
    let xml = ProcessBuilder::new("p")
        .start()
        .message_catch("catch", "=long", "=long")
        .end()
        .xml();
    assert_incident(&xml, "message name");
}

#[test]
fn a_variable_whose_name_is_too_long_is_refused() {
    let xml = ProcessBuilder::new("p")
        .start()
        .service_task("task", "work")
        .end()
        .xml();
    let mut harness = Harness::with(&xml);
    harness.create("p", "{}");
    let job = harness.job("work");
    let document = format!(r#"{{"{}":1}}"#, "x".repeat(NAME_BYTES_MAX + 1));
    let rejection = harness.complete(job, &document).unwrap_err();
    assert_eq!(rejection.rejection_type, RejectionType::InvalidArgument);
    assert!(rejection.reason.contains("name of a variable"));
    harness.complete(job, "{}").unwrap();
}
