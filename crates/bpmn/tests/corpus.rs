//! Every model of the conformance corpus is read, or refused with the words that its scenario expects.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::path::{Path, PathBuf};

use skep_bpmn::parse;

fn models(folder: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("testdata")
        .join(folder);
    let entries = fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let mut models: Vec<PathBuf> = entries
        .filter(|path| path.extension().is_some_and(|it| it == "bpmn"))
        .collect();
    models.sort();
    assert!(
        models.len() > 20,
        "models are missing in {}",
        folder.display()
    );
    models
}

/// Models that are refused, with the texts that clients look for.
const REFUSED: &[(&str, &[&str])] = &[
    ("reject_call_activity_empty", &["call", "calledElement"]),
    ("reject_condition_elsewhere", &["work", "Conditional"]),
    ("reject_condition_missing", &["split_to_b", "condition"]),
    ("reject_duplicate_boundary_error", &["work", "SAME"]),
    ("reject_duplicate_boundary_message", &["work", "twice-came"]),
    ("reject_event_gateway_single", &["choose", "at least 2"]),
    ("reject_event_gateway_target", &["choose"]),
    ("reject_event_subprocess_none_start", &["on-none"]),
    (
        "reject_expression_unparsable",
        &["split_to_a", "conditionExpression", "failed to parse"],
    ),
    ("reject_is_atomic.bad", &["bad-half", "start event"]),
    (
        "reject_message_without_subscription",
        &["Message_unkeyed", "subscription"],
    ),
    (
        "reject_multi_instance_half_output",
        &["outputElement", "outputCollection"],
    ),
    ("reject_multi_instance_no_collection", &["inputCollection"]),
    ("reject_no_start_event", &["no-start", "start event"]),
    ("reject_not_xml.broken", &["reject_not_xml.broken"]),
    ("reject_output_source_static", &["output", "fixed"]),
    ("reject_reserved_header", &["io.camunda.zeebe:assignee"]),
    ("reject_subprocess_message_start", &["inner", "none"]),
    ("reject_timer_cycle_catch", &["wait", "time"]),
    ("reject_timer_invalid", &["wait", "Invalid timer duration"]),
    ("reject_two_none_starts", &["two-nones", "none start"]),
    ("v82_reject_duplicate_link_catch", &["Twice"]),
    ("v82_reject_error_code_expression_on_catch", &["errorCode"]),
    ("v82_reject_script_and_job", &["calc", "taskDefinition"]),
    (
        "v82_reject_script_without_result",
        &["script", "resultVariable"],
    ),
    (
        "v83_reject_straight_through_loop",
        &["straight-through", "task-a > task-b > task-a"],
    ),
    ("v85_reject_compensation_without_handler", &["b-hotel"]),
    ("v86_reject_gateway_end_listener", &["which", "listeners"]),
];

#[test]
fn the_corpus_is_read_or_refused_as_its_scenarios_say() {
    let mut wrong = Vec::new();
    let mut refused = 0;
    for model in models("bpmn") {
        let name = model.file_stem().unwrap().to_str().unwrap();
        let expected = REFUSED.iter().find(|(refused, _)| *refused == name);
        match (parse(name, &fs::read(&model).unwrap()), expected) {
            (Ok(processes), None) => assert!(!processes.is_empty(), "{name}"),
            (Ok(_), Some(_)) => wrong.push(format!("{name} is accepted")),
            (Err(rejection), None) => wrong.push(format!("{name} is refused: {rejection}")),
            (Err(rejection), Some((_, texts))) => {
                refused += 1;
                let rejection = rejection.to_string();
                if let Some(text) = texts.iter().find(|text| !rejection.contains(*text)) {
                    wrong.push(format!("{name} does not say '{text}': {rejection}"));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(refused, REFUSED.len());
}

/// The models of the BPMN Model Interchange Working Group use all of BPMN. Most are not meant to be
/// executed; what matters is that each is read or refused with a reason.
#[test]
fn the_interchange_models_are_read_or_refused_with_a_reason() {
    for model in models("miwg") {
        let name = model.file_name().unwrap().to_str().unwrap();
        if let Err(rejection) = parse(name, &fs::read(&model).unwrap()) {
            let text = rejection.to_string();
            assert!(
                text.starts_with(&format!("'{name}': \n- Element: ")),
                "{text}"
            );
            assert!(text.contains("- ERROR: "), "{text}");
        }
    }
}
