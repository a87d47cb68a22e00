//! Incidents in general.

use skep_bpmn::builder::ProcessBuilder;
use skep_protocol::{Key, RejectionType};

use crate::harness::Harness;

#[test]
fn an_unknown_incident_cannot_be_resolved() {
    let mut harness = Harness::new();
    let rejection = harness.resolve(Key(4)).unwrap_err();
    assert_eq!(rejection.rejection_type, RejectionType::NotFound);
    assert_eq!(
        rejection.reason,
        "Expected to resolve incident with key '4', but no such incident was found"
    );
}

#[test]
fn an_incident_keeps_the_instance_alive_and_goes_once() {
    let xml = ProcessBuilder::new("p")
        .start()
        .service_task("task", "=type")
        .end()
        .xml();
    let mut harness = Harness::with(&xml);
    let instance = harness.create("p", "{}");
    let (incident, value) = harness.incidents()[0].clone();
    assert_eq!(value.element_id, "task");
    assert_eq!(value.variable_scope_key, harness.key_of("task").0);
    assert_eq!(harness.active(), ["p", "task"]);
    harness
        .set_variables(instance, r#"{"type":"t"}"#, false)
        .unwrap();
    harness.resolve(incident).unwrap();
    assert!(harness.resolve(incident).is_err());
    harness.work("t", "{}");
    harness.assert_clean();
}
