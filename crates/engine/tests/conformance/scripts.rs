//! Script tasks that are FEEL expressions.

use skep_bpmn::builder::ProcessBuilder;
use skep_protocol::values::IncidentErrorType;

use crate::harness::Harness;

fn script(expression: &str) -> ProcessBuilder {
    let script = format!(r#"<zeebe:script expression="{expression}" resultVariable="result"/>"#);
    ProcessBuilder::new("p")
        .start()
        .element("scriptTask", "script", "")
        .extension(&script)
}

#[test]
fn the_result_is_a_variable_of_the_process_instance() {
    let xml = script("=a + 1").service_task("after", "t").end().xml();
    let mut harness = Harness::with(&xml);
    let instance = harness.create("p", r#"{"a":2}"#);
    assert_eq!(harness.variables(instance), ["a=2", "result=3"]);
    harness.work("t", "{}");
    harness.assert_clean();
}

#[test]
fn an_output_mapping_uses_the_result_and_keeps_it_inside() {
    let xml = script("={x: 1}")
        .output("=result.x", "out")
        .service_task("after", "t")
        .end()
        .xml();
    let mut harness = Harness::with(&xml);
    let instance = harness.create("p", "{}");
    assert_eq!(harness.variables(instance), ["out=1"]);
    harness.work("t", "{}");
    harness.assert_clean();
}

#[test]
fn a_failing_script_is_an_incident_that_can_be_resolved() {
    let xml = script("=assert(a, a != null)").end().xml();
    let mut harness = Harness::with(&xml);
    let instance = harness.create("p", "{}");
    let (incident, value) = harness.incidents()[0].clone();
    assert_eq!(value.error_type(), IncidentErrorType::ExtractValueError);
    assert_eq!(value.element_id, "script");
    assert_eq!(harness.variables(instance), Vec::<String>::new());
    harness
        .set_variables(instance, r#"{"a":7}"#, false)
        .unwrap();
    harness.resolve(incident).unwrap();
    assert!(harness.happened("p COMPLETED"));
    harness.assert_clean();
}
