//! Variables, scopes and mappings.

use skep_bpmn::builder::ProcessBuilder;
use skep_protocol::values::IncidentErrorType;
use skep_protocol::{Key, RejectionType, VariableIntent};

use crate::harness::Harness;

fn task_with(inputs: &[(&str, &str)], outputs: &[(&str, &str)]) -> String {
    let mut builder = ProcessBuilder::new("p")
        .start()
        .service_task("task", "work");
    for (source, target) in inputs {
        builder = builder.input(source, target);
    }
    for (source, target) in outputs {
        builder = builder.output(source, target);
    }
    builder.service_task("after", "after").end().xml()
}

fn after_work(xml: &str, initial: &str, brought: &str) -> Vec<String> {
    let mut harness = Harness::with(xml);
    let instance = harness.create("p", initial);
    harness.work("work", brought);
    assert!(harness.incidents().is_empty(), "{:?}", harness.incidents());
    harness.variables(instance)
}

#[test]
fn without_output_mappings_everything_a_worker_brings_goes_to_where_it_is_defined() {
    let xml = task_with(&[("=a", "local")], &[]);
    let variables = after_work(&xml, r#"{"a":1}"#, r#"{"a":2,"local":3,"new":[1, 2]}"#);
    assert_eq!(variables, ["a=2", "new=[1,2]"]);
}

#[test]
fn a_local_variable_with_the_same_value_does_not_keep_a_value_from_the_root() {
    let xml = task_with(&[("=a", "local")], &[]);
    let variables = after_work(&xml, r#"{"a":1}"#, r#"{"local":1}"#);
    assert_eq!(variables, ["a=1", "local=1"]);
}

#[test]
fn with_output_mappings_only_mapped_values_leave() {
    let xml = task_with(&[], &[("=result + 1", "total")]);
    let variables = after_work(&xml, "{}", r#"{"result":1,"other":5}"#);
    assert_eq!(variables, ["total=2"]);
}

#[test]
fn mappings_see_those_before_them_and_nest() {
    let xml = task_with(
        &[],
        &[
            ("=x", "a.b"),
            ("=a.b + 1", "a.c"),
            ("=a.c", "copy"),
            ("=1", "known.n"),
        ],
    );
    let variables = after_work(&xml, r#"{"known":{"k":0}}"#, r#"{"x":1}"#);
    assert_eq!(
        variables,
        [r#"a={"b":1,"c":2}"#, "copy=2", r#"known={"k":0,"n":1}"#]
    );
}

#[test]
fn inputs_are_local_and_static_sources_are_texts() {
    let xml = task_with(
        &[("=a", "x"), ("=x + 1", "y"), ("5", "text"), ("=1", "n.m")],
        &[],
    );
    let mut harness = Harness::with(&xml);
    let instance = harness.create("p", r#"{"a":1}"#);
    let task = harness.key_of("task");
    assert_eq!(
        harness.variables(task),
        [r#"n={"m":1}"#, "text=\"5\"", "x=1", "y=2"]
    );
    assert_eq!(harness.variables(instance), ["a=1"]);
    let (_, job) = harness.activate("work", 1)[0].clone();
    assert_eq!(
        job.variables,
        r#"{"n":{"m":1},"text":"5","x":1,"y":2,"a":1}"#
    );
}

#[test]
fn a_mapping_of_a_missing_variable_gives_null() {
    let xml = task_with(&[("=missing", "x")], &[]);
    let mut harness = Harness::with(&xml);
    harness.create("p", "{}");
    assert_eq!(harness.variables(harness.key_of("task")), ["x=null"]);
}

#[test]
fn a_mapping_that_fails_is_an_incident_and_repeats_the_step() {
    let failing = "=assert(x, x != null)";
    for (inputs, outputs, state) in [
        (vec![(failing, "y")], vec![], "task ACTIVATED"),
        (vec![], vec![(failing, "y")], "task COMPLETED"),
    ] {
        let mut harness = Harness::with(&task_with(&inputs, &outputs));
        let instance = harness.create("p", "{}");
        if inputs.is_empty() {
            harness.work("work", r#"{"brought":1}"#);
        }
        let (incident, value) = harness.incidents()[0].clone();
        assert_eq!(value.error_type(), IncidentErrorType::IoMappingError);
        assert!(!harness.happened(state));
        harness
            .set_variables(instance, r#"{"x":4}"#, false)
            .unwrap();
        harness.resolve(incident).unwrap();
        assert!(harness.happened(state));
        if !inputs.is_empty() {
            harness.work("work", "{}");
        } else {
            assert_eq!(harness.variables(instance), ["x=4", "y=4"]);
        }
        harness.work("after", "{}");
        harness.assert_clean();
    }
}

#[test]
fn setting_variables_locally_or_where_they_are_defined() {
    let xml = task_with(&[("=1", "local")], &[]);
    let mut harness = Harness::with(&xml);
    let instance = harness.create("p", r#"{"a":1}"#);
    let task = harness.key_of("task");
    harness
        .set_variables(task, r#"{"local":2,"a":3,"new":4}"#, false)
        .unwrap();
    assert_eq!(harness.variables(task), ["local=2"]);
    assert_eq!(harness.variables(instance), ["a=3", "new=4"]);
    harness.set_variables(task, r#"{"a":5}"#, true).unwrap();
    assert_eq!(harness.variables(task), ["a=5", "local=2"]);
    assert_eq!(harness.variables(instance), ["a=3", "new=4"]);
}

#[test]
fn a_variable_keeps_its_key_and_equal_values_change_nothing() {
    let xml = task_with(&[], &[]);
    let mut harness = Harness::with(&xml);
    let instance = harness.create("p", r#"{"a":{"b":1}}"#);
    harness
        .set_variables(instance, r#"{ "a": { "b": 1 } }"#, false)
        .unwrap();
    assert!(harness.events(VariableIntent::Updated).is_empty());
    harness
        .set_variables(instance, r#"{"a":null}"#, false)
        .unwrap();
    let updated = harness.events(VariableIntent::Updated);
    assert_eq!(updated.len(), 1);
    assert_eq!(
        updated[0].key,
        harness.events(VariableIntent::Created)[0].key
    );
    assert_eq!(harness.variables(instance), ["a=null"]);
}

#[test]
fn setting_variables_needs_a_scope_and_an_object() {
    let mut harness = Harness::with(&task_with(&[], &[]));
    let instance = harness.create("p", "{}");
    let rejection = harness.set_variables(Key(9), "{}", false).unwrap_err();
    assert_eq!(rejection.rejection_type, RejectionType::NotFound);
    let rejection = harness.set_variables(instance, "[]", false).unwrap_err();
    assert_eq!(rejection.rejection_type, RejectionType::InvalidArgument);
}

#[test]
fn a_value_too_deep_for_expressions_is_an_incident_and_not_a_crash() {
    let deep = format!(r#"{{"x":{}1{}}}"#, "[".repeat(5_000), "]".repeat(5_000));
    let mut harness = Harness::with(&task_with(&[("=x", "y")], &[]));
    harness.create("p", &deep);
    let (_, value) = harness.incidents()[0].clone();
    assert_eq!(value.error_type(), IncidentErrorType::IoMappingError);
    assert!(
        value.error_message.contains("'x'"),
        "{}",
        value.error_message
    );
}

#[test]
fn values_keep_their_types_on_all_ways() {
    let values = r#"{"b":true,"f":1.5,"i":-3,"l":[1,"x",null,{"y":[]}],"n":null,"o":{"k":{"z":0}},"s":"text"}"#;
    let expected = [
        "b=true",
        "f=1.5",
        "i=-3",
        r#"l=[1,"x",null,{"y":[]}]"#,
        "n=null",
        r#"o={"k":{"z":0}}"#,
        r#"s="text""#,
    ];
    let mut harness = Harness::with(&task_with(&[], &[]));
    let created = harness.create("p", values);
    assert_eq!(harness.variables(created), expected);
    let mut harness = Harness::with(&task_with(&[], &[]));
    let brought = harness.create("p", "{}");
    harness.work("work", values);
    assert_eq!(harness.variables(brought), expected);
    let set = harness.create("p", "{}");
    harness.set_variables(set, values, true).unwrap();
    assert_eq!(harness.variables(set), expected);
    let outputs: Vec<(String, String)> = ["b", "f", "i", "l", "n", "o", "s"]
        .map(|name| (format!("={name}"), format!("out.{name}")))
        .into();
    let outputs: Vec<(&str, &str)> = outputs
        .iter()
        .map(|(source, target)| (source.as_str(), target.as_str()))
        .collect();
    let mapped = after_work(&task_with(&[], &outputs), "{}", values);
    assert_eq!(mapped, [format!("out={values}")]);
}
