//! Exclusive, inclusive and parallel gateways (9.1 to 9.4).

use skep_bpmn::builder::ProcessBuilder;
use skep_protocol::values::IncidentErrorType;

use crate::harness::Harness;

fn choice() -> String {
    ProcessBuilder::new("p")
        .start()
        .exclusive_gateway("choice")
        .default_flow()
        .end_at("other")
        .move_to("choice")
        .condition("=x > 10")
        .end_at("large")
        .move_to("choice")
        .condition("=x > 5")
        .end_at("medium")
        .xml()
}

#[test]
fn the_first_flow_whose_condition_holds_is_taken_and_else_the_default() {
    for (variables, taken) in [
        (r#"{"x":11}"#, "large"),
        (r#"{"x":6}"#, "medium"),
        (r#"{"x":1}"#, "other"),
    ] {
        let mut harness = Harness::with(&choice());
        harness.create("p", variables);
        let ends: Vec<_> = ["large", "medium", "other"]
            .into_iter()
            .filter(|end| harness.happened(&format!("{end} COMPLETED")))
            .collect();
        assert_eq!(ends, [taken], "{variables}");
        assert!(harness.happened("p COMPLETED"));
        harness.assert_clean();
    }
}

fn without_default() -> String {
    ProcessBuilder::new("p")
        .start()
        .exclusive_gateway("choice")
        .condition("=x > 10")
        .end()
        .move_to("choice")
        .condition("=x = 1")
        .end()
        .xml()
}

#[test]
fn no_flow_to_take_is_an_incident_that_goes_away_with_its_cause() {
    let mut harness = Harness::with(&without_default());
    let instance = harness.create("p", r#"{"x":5}"#);
    let (key, incident) = harness.incidents()[0].clone();
    assert_eq!(incident.error_type(), IncidentErrorType::ConditionError);
    assert_eq!(
        incident.error_message,
        "Expected at least one condition to evaluate to true, or to have a default flow"
    );
    harness.resolve(key).unwrap();
    assert_eq!(
        harness.incidents().len(),
        2,
        "it is raised anew while nothing has changed"
    );
    harness
        .set_variables(instance, r#"{"x":1}"#, false)
        .unwrap();
    let (again, _) = harness.incidents()[1];
    assert_ne!(again, key);
    harness.resolve(again).unwrap();
    assert!(harness.happened("p COMPLETED"));
    assert_eq!(harness.count("choice ACTIVATING"), 1);
    harness.assert_clean();
}

#[test]
fn a_condition_that_is_not_boolean_is_an_incident_with_the_reason() {
    let mut harness = Harness::with(&without_default());
    harness.create("p", r#"{"x":"text"}"#);
    let (_, incident) = harness.incidents()[0].clone();
    assert_eq!(incident.error_type(), IncidentErrorType::ExtractValueError);
    assert!(
        incident.error_message.starts_with(
            "Expected result of the expression 'x > 10' to be 'BOOLEAN', but was 'NULL'."
        ),
        "{}",
        incident.error_message
    );
}

#[test]
fn every_token_passes_an_exclusive_join() {
    let xml = ProcessBuilder::new("p")
        .start()
        .parallel_gateway("fork")
        .exclusive_gateway("merge")
        .service_task("task", "work")
        .move_to("fork")
        .connect_to("merge")
        .xml();
    let mut harness = Harness::with(&xml);
    harness.create("p", "{}");
    assert_eq!(harness.count("merge COMPLETED"), 2);
    assert_eq!(harness.activate("work", 5).len(), 2);
}

fn fork_and_join() -> String {
    ProcessBuilder::new("p")
        .start()
        .parallel_gateway("fork")
        .service_task("a", "a")
        .parallel_gateway("join")
        .end()
        .move_to("fork")
        .service_task("b", "b")
        .connect_to("join")
        .xml()
}

#[test]
fn a_join_waits_for_all_of_its_flows() {
    let mut harness = Harness::with(&fork_and_join());
    harness.create("p", "{}");
    harness.work("a", "{}");
    assert!(!harness.happened("join ACTIVATING"));
    harness.work("b", "{}");
    assert_eq!(harness.count("join COMPLETED"), 1);
    assert!(harness.happened("p COMPLETED"));
    harness.assert_clean();
}

#[test]
fn two_tokens_on_one_flow_do_not_open_a_join_and_the_second_stays() {
    // Two tokens go through "a", one through "b".
    let xml = ProcessBuilder::new("p")
        .start()
        .parallel_gateway("fork")
        .service_task("a", "a")
        .parallel_gateway("join")
        .end_at("end")
        .move_to("fork")
        .connect_to("a")
        .move_to("fork")
        .service_task("b", "b")
        .connect_to("join")
        .xml();
    let mut harness = Harness::with(&xml);
    let instance = harness.create("p", "{}");
    for (job, _) in harness.activate("a", 5) {
        harness.complete(job, "{}").unwrap();
    }
    assert!(!harness.happened("join ACTIVATING"));
    harness.work("b", "{}");
    assert_eq!(harness.count("join COMPLETED"), 1);
    assert!(harness.happened("end COMPLETED"));
    assert!(
        !harness.happened("p COMPLETED"),
        "a token still waits at the join"
    );
    harness.cancel(instance).unwrap();
    harness.assert_clean();
}

#[test]
fn a_gateway_without_outgoing_flow_ends_its_token() {
    let xml = ProcessBuilder::new("p")
        .start()
        .parallel_gateway("last")
        .xml();
    let mut harness = Harness::with(&xml);
    harness.create("p", "{}");
    assert!(harness.happened("p COMPLETED"));
    harness.assert_clean();
}

/// An inclusive gateway with two conditions, and a default flow if that is asked for.
fn inclusive(with_default: bool) -> ProcessBuilder {
    let process = ProcessBuilder::new("p")
        .start()
        .element("inclusiveGateway", "choose", "")
        .condition("=a")
        .end_at("a")
        .move_to("choose")
        .condition("=b")
        .end_at("b")
        .move_to("choose");
    match with_default {
        true => process.default_flow().end_at("default"),
        false => process,
    }
}

#[test]
fn an_inclusive_gateway_takes_every_flow_whose_condition_holds() {
    for (a, b) in [(true, true), (true, false), (false, true), (false, false)] {
        let mut harness = Harness::with(&inclusive(true).xml());
        harness.create("p", &format!(r#"{{"a":{a},"b":{b}}}"#));
        assert_eq!(harness.happened("a COMPLETED"), a);
        assert_eq!(harness.happened("b COMPLETED"), b);
        assert_eq!(harness.happened("default COMPLETED"), !a && !b);
        assert!(harness.happened("p COMPLETED"));
        harness.assert_clean();
    }
}

#[test]
fn an_inclusive_gateway_where_nothing_holds_is_an_incident() {
    let mut harness = Harness::with(&inclusive(false).xml());
    let instance = harness.create("p", r#"{"a":false,"b":false}"#);
    let (incident, value) = harness.incidents()[0].clone();
    assert_eq!(value.error_type(), IncidentErrorType::ConditionError);
    harness
        .set_variables(instance, r#"{"b":true}"#, false)
        .unwrap();
    harness.resolve(incident).unwrap();
    assert!(harness.happened("b COMPLETED"));
    harness.assert_clean();
}

#[test]
fn an_inclusive_gateway_takes_nothing_if_a_condition_fails() {
    let mut harness = Harness::with(&inclusive(true).xml());
    harness.create("p", r#"{"a":true,"b":"yes"}"#);
    assert_eq!(
        harness.incidents()[0].1.error_type(),
        IncidentErrorType::ExtractValueError
    );
    assert!(!harness.happened("a ACTIVATING"));
}

#[test]
fn an_inclusive_gateway_with_one_flow_obeys_its_condition() {
    let only = |condition: Option<&str>| {
        let process = ProcessBuilder::new("p")
            .start()
            .element("inclusiveGateway", "choose", "");
        match condition {
            Some(condition) => process.condition(condition).end().xml(),
            None => process.end().xml(),
        }
    };
    for (condition, incidents) in [(None, 0), (Some("=true"), 0), (Some("=false"), 1)] {
        let mut harness = Harness::with(&only(condition));
        harness.create("p", "{}");
        assert_eq!(harness.incidents().len(), incidents, "{condition:?}");
        assert_eq!(harness.happened("p COMPLETED"), incidents == 0);
    }
}
