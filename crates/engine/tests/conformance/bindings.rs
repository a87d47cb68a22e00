//! Called processes and decisions that are bound to a deployment or to a version tag; forms are with the user tasks.

use skep_bpmn::builder::ProcessBuilder;
use skep_protocol::values::IncidentErrorType;
use skep_protocol::{
    Command, DecisionEvaluationIntent, DecisionIntent, Key, ProcessInstanceIntent, ProcessIntent,
    values,
};

use crate::harness::Harness;
use crate::helpers::{delete, values_of};

/// A process with a call activity.
fn caller(id: &str, binding: &str) -> String {
    let called = format!(r#"<zeebe:calledElement processId="called" {binding}/>"#);
    ProcessBuilder::new(id)
        .start()
        .element("callActivity", "call", "")
        .extension(&called)
        .end()
        .xml()
}

/// A process with a business rule task.
fn decider(id: &str, binding: &str) -> String {
    let called = format!(r#"<zeebe:calledDecision decisionId="d" resultVariable="r" {binding}/>"#);
    ProcessBuilder::new(id)
        .start()
        .element("businessRuleTask", "decide", "")
        .extension(&called)
        .end()
        .xml()
}

/// What is called, with a task whose id tells the versions apart.
fn called(tag: &str, task: &str) -> String {
    ProcessBuilder::new("called")
        .extension(&version_tag(tag))
        .start()
        .service_task(task, task)
        .end()
        .xml()
}

fn decision(tag: &str, result: &str) -> String {
    format!(
        r#"<definitions xmlns="https://www.omg.org/spec/DMN/20191111/MODEL/" xmlns:zeebe="http://camunda.org/schema/zeebe/1.0" id="g" name="g" namespace="n">
  <decision id="d" name="D"><extensionElements>{}</extensionElements><literalExpression><text>"{result}"</text></literalExpression></decision>
</definitions>"#,
        version_tag(tag)
    )
}

fn version_tag(tag: &str) -> String {
    match tag {
        "" => String::new(),
        _ => format!(r#"<zeebe:versionTag value="{tag}"/>"#),
    }
}

const DEPLOYMENT: &str = r#"bindingType="deployment""#;

fn by_tag(tag: &str) -> String {
    format!(r#"bindingType="versionTag" versionTag="{tag}""#)
}

fn deploy(harness: &mut Harness, resources: &[(&str, &str)]) -> Key {
    harness.deploy_resources(resources).unwrap().key
}

/// What decisions gave so far.
fn outputs(harness: &Harness) -> Vec<String> {
    let evaluated =
        values_of::<values::DecisionEvaluation>(harness, DecisionEvaluationIntent::Evaluated);
    let outputs = evaluated.into_iter().map(|it| it.decision_output);
    outputs.collect()
}

#[track_caller]
fn assert_only_incident(harness: &Harness, kind: IncidentErrorType, message: &str) {
    let [(_, incident)] = &harness.incidents()[..] else {
        panic!("{:?}", harness.incidents())
    };
    assert_eq!(incident.error_type(), kind);
    assert_eq!(incident.error_message, message);
}

#[test]
fn a_process_of_the_same_deployment_is_called_whatever_came_later() {
    let mut harness = Harness::new();
    let caller = caller("p", DEPLOYMENT);
    deploy(
        &mut harness,
        &[("p.bpmn", &caller), ("c.bpmn", &called("", "first"))],
    );
    deploy(&mut harness, &[("c.bpmn", &called("", "second"))]);
    harness.create("p", "{}");
    harness.work("first", "{}");
    assert!(harness.happened("p COMPLETED"));
    // Though the caller has not changed, it gets a new version together with what it calls.
    deploy(
        &mut harness,
        &[("p.bpmn", &caller), ("c.bpmn", &called("", "third"))],
    );
    harness.create("p", "{}");
    harness.work("third", "{}");
    assert_eq!(harness.count("p COMPLETED"), 2);
    harness.assert_clean();
}

#[test]
fn a_process_that_came_with_another_deployment_is_not_called() {
    let mut harness = Harness::with(&called("", "work"));
    let deployment = deploy(&mut harness, &[("p.bpmn", &caller("p", DEPLOYMENT))]);
    let instance = harness.create("p", "{}");
    let message = format!(
        "Expected to call process with BPMN process id 'called' with binding type 'deployment', but no such process found \
         in the deployment with key {deployment} which contained the current process. To resolve this incident, migrate the \
         process instance to a process definition that is deployed together with the intended process definition to call."
    );
    assert_only_incident(&harness, IncidentErrorType::CalledElementError, &message);
    harness.cancel(instance).unwrap();
    harness.assert_clean();
}

#[test]
fn a_process_with_a_tag_is_called_the_latest_of_several() {
    let mut harness = Harness::with(&caller("p", &by_tag("v1")));
    harness.create("p", "{}");
    let message = "Expected to call process with BPMN process id 'called' and version tag 'v1', but no such process found. \
                   To resolve this incident, deploy a process with the given process id and version tag.";
    assert_only_incident(&harness, IncidentErrorType::CalledElementError, message);
    for (tag, task) in [
        ("v1", "first"),
        ("v1", "second"),
        ("v2", "third"),
        ("", "x"),
    ] {
        harness.deploy(&called(tag, task));
    }
    let incident = harness.incidents()[0].0;
    harness.resolve(incident).unwrap();
    harness.work("second", "{}");
    assert!(harness.happened("p COMPLETED"));
    let created: Vec<values::Process> = values_of(&harness, ProcessIntent::Created);
    assert_eq!(created[1].version_tag, "v1");
    // Without the second version the first is the latest with the tag.
    let second = harness.events(ProcessIntent::Created)[2].key;
    delete(&mut harness, second).unwrap();
    harness.create("p", "{}");
    harness.work("first", "{}");
    assert_eq!(harness.count("p COMPLETED"), 2);
    harness.assert_clean();
}

#[test]
fn a_decision_of_the_same_deployment_is_evaluated_whatever_came_later() {
    let mut harness = Harness::new();
    deploy(
        &mut harness,
        &[
            ("p.bpmn", &decider("p", DEPLOYMENT)),
            ("d.dmn", &decision("", "first")),
        ],
    );
    deploy(&mut harness, &[("d.dmn", &decision("", "second"))]);
    harness.create("p", "{}");
    assert_eq!(outputs(&harness), [r#""first""#]);
    let alone = deploy(&mut harness, &[("q.bpmn", &decider("q", DEPLOYMENT))]);
    harness.create("q", "{}");
    let message = format!(
        "Expected to evaluate decision 'd' with binding type 'deployment', but no such decision found in the deployment \
         with key {alone} which contained the current process. To resolve this incident, migrate the process instance to a \
         process definition that is deployed together with the intended decision to evaluate."
    );
    assert_only_incident(&harness, IncidentErrorType::CalledDecisionError, &message);
}

#[test]
fn a_decision_with_a_tag_is_evaluated_the_latest_of_several() {
    let mut harness = Harness::with(&decider("p", &by_tag("v1")));
    harness.create("p", "{}");
    let message = "Expected to evaluate decision with id 'd' and version tag 'v1', but no such decision found. \
                   To resolve this incident, deploy a decision with the given id and version tag.";
    assert_only_incident(&harness, IncidentErrorType::CalledDecisionError, message);
    for (tag, result) in [("v1", "first"), ("v1", "second"), ("", "third")] {
        deploy(&mut harness, &[("d.dmn", &decision(tag, result))]);
    }
    let incident = harness.incidents()[0].0;
    harness.resolve(incident).unwrap();
    assert_eq!(outputs(&harness), [r#""second""#]);
    let created: Vec<values::Decision> = values_of(&harness, DecisionIntent::Created);
    assert_eq!(created[0].version_tag, "v1");
    assert!(harness.happened("p COMPLETED"));
    harness.assert_clean();
}

#[test]
fn an_instance_that_is_migrated_is_bound_to_the_deployment_of_its_new_definition() {
    let mut harness = Harness::with(&caller("p", DEPLOYMENT));
    let instance = harness.create("p", "{}");
    let incident = harness.incidents()[0].0;
    let caller =
        caller("p", DEPLOYMENT).replace("targetNamespace", "name=\"changed\" targetNamespace");
    deploy(
        &mut harness,
        &[("p.bpmn", &caller), ("c.bpmn", &called("", "work"))],
    );
    let target = harness.events(ProcessIntent::Created)[1].key;
    let value = values::ProcessInstanceMigration {
        process_instance_key: instance.0,
        target_process_definition_key: target.0,
        mapping_instructions: vec![values::MappingInstruction {
            source_element_id: "call".to_owned(),
            target_element_id: "call".to_owned(),
        }],
    };
    let intent = skep_protocol::ProcessInstanceMigrationIntent::Migrate;
    harness.ask(Command::new(instance, intent, value)).unwrap();
    harness.resolve(incident).unwrap();
    harness.work("work", "{}");
    assert_eq!(
        harness.events(ProcessInstanceIntent::ElementMigrated).len(),
        2
    );
    assert!(harness.happened("p COMPLETED"));
}

#[test]
fn a_tag_that_does_not_fit_into_a_key_is_refused() {
    let tag = "x".repeat(30_000);
    let mut harness = Harness::new();
    let form = format!(r#"{{"id":"f","versionTag":"{tag}"}}"#);
    for (name, content) in [
        ("c.bpmn", &called(&tag, "work")),
        ("d.dmn", &decision(&tag, "x")),
        ("f.form", &form),
        ("p.bpmn", &caller("p", &by_tag(&tag))),
    ] {
        let rejection = harness.deploy_resources(&[(name, content)]).unwrap_err();
        assert!(rejection.reason.contains("bytes"), "{}", rejection.reason);
    }
}
