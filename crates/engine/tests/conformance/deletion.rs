//! Deletion of deployed resources.

use skep_bpmn::builder::ProcessBuilder;
use skep_protocol::values::{self, IncidentErrorType};
use skep_protocol::{
    Command, DecisionIntent, DecisionRequirementsIntent, FormIntent, Key,
    ProcessInstanceCreationIntent, ProcessIntent, RejectionType, ResourceDeletionIntent,
    SignalIntent, TimerIntent,
};

use crate::harness::Harness;
use crate::helpers::{delete, refusal, values_of};

/// A process whose one task has that job type.
fn version(job_type: &str) -> String {
    ProcessBuilder::new("p")
        .start()
        .service_task("task", job_type)
        .end()
        .xml()
}

/// Keys of the processes deployed so far.
fn processes(harness: &Harness) -> Vec<Key> {
    let created = harness.events(ProcessIntent::Created);
    created.iter().map(|record| record.key).collect()
}

fn new_version(harness: &Harness) -> i32 {
    let created: Vec<values::Process> = values_of(harness, ProcessIntent::Created);
    created.last().unwrap().version
}

#[test]
fn without_its_latest_version_a_process_falls_back_to_the_one_before() {
    let mut harness = Harness::with(&version("one"));
    harness.deploy(&version("two"));
    let [first, second] = processes(&harness)[..] else {
        panic!()
    };
    delete(&mut harness, second).unwrap();
    harness.create("p", "{}");
    harness.work("one", "{}");
    // The number is not given again, and the same content is no duplicate of what is gone.
    harness.deploy(&version("two"));
    assert_eq!(new_version(&harness), 3);
    delete(&mut harness, first).unwrap();
    harness.create("p", "{}");
    harness.work("two", "{}");
    assert_eq!(harness.events(ProcessIntent::Deleting).len(), 2);
    assert_eq!(harness.events(ProcessIntent::Deleted).len(), 2);
    assert_eq!(harness.events(ResourceDeletionIntent::Deleting).len(), 2);
    assert_eq!(harness.events(ResourceDeletionIntent::Deleted).len(), 2);
    harness.assert_clean();
}

#[test]
fn a_process_without_versions_cannot_be_started_and_begins_again_above_the_last() {
    let mut harness = Harness::with(&version("one"));
    let key = processes(&harness)[0];
    delete(&mut harness, key).unwrap();
    let creation = values::ProcessInstanceCreation {
        bpmn_process_id: "p".to_owned(),
        version: -1,
        ..Default::default()
    };
    let intent = ProcessInstanceCreationIntent::Create;
    let answer = harness.ask(Command::new(Key::NONE, intent, creation));
    assert_eq!(refusal(answer).0, RejectionType::NotFound);
    harness.deploy(&version("one"));
    assert_eq!(new_version(&harness), 2);
}

#[test]
fn what_is_gone_or_never_was_is_not_found() {
    let mut harness = Harness::with(&version("one"));
    let key = processes(&harness)[0];
    delete(&mut harness, key).unwrap();
    for key in [key, Key(99)] {
        let (kind, reason) = refusal(delete(&mut harness, key));
        assert_eq!(kind, RejectionType::NotFound);
        assert_eq!(
            reason,
            format!("Expected to delete resource but no resource found with key `{key}`")
        );
    }
}

#[test]
fn a_process_with_instances_is_not_deleted() {
    let mut harness = Harness::with(&version("one"));
    let key = processes(&harness)[0];
    harness.create("p", "{}");
    let (kind, reason) = refusal(delete(&mut harness, key));
    assert_eq!(kind, RejectionType::InvalidState);
    assert_eq!(
        reason,
        format!(
            "Expected to delete resource with key `{key}` but there are still running instances"
        )
    );
    harness.work("one", "{}");
    delete(&mut harness, key).unwrap();
}

#[test]
fn a_called_instance_keeps_its_definition() {
    let caller = ProcessBuilder::new("caller")
        .start()
        .element("callActivity", "call", "")
        .extension(r#"<zeebe:calledElement processId="p"/>"#)
        .end()
        .xml();
    let mut harness = Harness::with(&version("one"));
    harness.deploy(&caller);
    let key = processes(&harness)[0];
    harness.create("caller", "{}");
    assert_eq!(
        refusal(delete(&mut harness, key)).0,
        RejectionType::InvalidState
    );
    harness.work("one", "{}");
    delete(&mut harness, key).unwrap();
}

#[test]
fn start_events_of_the_version_before_wait_again() {
    let by_message = |message: &str| {
        ProcessBuilder::new("p")
            .message_start("start", message)
            .service_task("task", message)
            .end()
            .xml()
    };
    let mut harness = Harness::with(&by_message("one"));
    harness.deploy(&by_message("two"));
    let latest = processes(&harness)[1];
    harness.publish("one", "", "{}");
    assert!(harness.activate("one", 1).is_empty());
    delete(&mut harness, latest).unwrap();
    harness.publish("two", "", "{}");
    assert!(harness.activate("two", 1).is_empty());
    harness.publish("one", "", "{}");
    harness.work("one", "{}");
    harness.deploy(&by_message("three"));
    harness.publish("one", "", "{}");
    assert!(
        harness.activate("one", 1).is_empty(),
        "the version before was not closed"
    );
}

#[test]
fn timers_and_signals_of_the_version_before_wait_again() {
    let by = |job: &str, definition: &str| {
        ProcessBuilder::new("p")
            .element("startEvent", "start", "")
            .content(definition)
            .service_task("task", job)
            .end()
            .definitions(r#"<bpmn:signal id="sig" name="go"/>"#)
            .xml()
    };
    let timer = r#"<bpmn:timerEventDefinition id="td"><bpmn:timeCycle>R/PT1M</bpmn:timeCycle></bpmn:timerEventDefinition>"#;
    let signal = r#"<bpmn:signalEventDefinition id="sd" signalRef="sig"/>"#;
    let mut harness = Harness::with(&by("timer", timer));
    harness.deploy(&by("signal", signal));
    harness.deploy(&by("timer-again", timer));
    let [_, by_signal, latest] = processes(&harness)[..] else {
        panic!()
    };
    delete(&mut harness, latest).unwrap();
    let triggered = harness.events(TimerIntent::Triggered).len();
    harness.advance(120_000);
    assert_eq!(harness.events(TimerIntent::Triggered).len(), triggered);
    let go = values::Signal {
        signal_name: "go".to_owned(),
        ..Default::default()
    };
    harness
        .ask(Command::new(Key::NONE, SignalIntent::Broadcast, go))
        .unwrap();
    harness.work("signal", "{}");
    delete(&mut harness, by_signal).unwrap();
    harness.advance(60_000);
    harness.work("timer", "{}");
}

#[test]
fn processes_of_one_resource_are_deleted_one_by_one() {
    let both = r#"<bpmn:definitions xmlns:bpmn="http://www.omg.org/spec/BPMN/20100524/MODEL" id="d" targetNamespace="t">
        <bpmn:process id="p" isExecutable="true"><bpmn:startEvent id="ps"/></bpmn:process>
        <bpmn:process id="q" isExecutable="true"><bpmn:startEvent id="qs"/></bpmn:process></bpmn:definitions>"#;
    let mut harness = Harness::with(both);
    let [p, q] = processes(&harness)[..] else {
        panic!()
    };
    delete(&mut harness, p).unwrap();
    harness.create("q", "{}");
    assert!(harness.happened("q COMPLETED"));
    delete(&mut harness, q).unwrap();
    let resources = skep_engine::tables::prefix::RESOURCES;
    assert!(harness.content(resources..=resources).is_empty());
}

#[test]
fn decisions_and_forms_are_deleted() {
    let dmn = r#"<definitions xmlns="https://www.omg.org/spec/DMN/20191111/MODEL/" id="g" name="G" namespace="n">
        <decision id="d" name="D"><literalExpression><text>1</text></literalExpression></decision></definitions>"#;
    let form = r#"{"id":"f"}"#;
    let process = ProcessBuilder::new("p")
        .start()
        .element("businessRuleTask", "rule", "")
        .extension(r#"<zeebe:calledDecision decisionId="d" resultVariable="r"/>"#)
        .element("userTask", "task", "")
        .extension(r#"<zeebe:userTask/><zeebe:formDefinition formId="f"/>"#)
        .end()
        .xml();
    let mut harness = Harness::with(&process);
    harness
        .deploy_resources(&[("g.dmn", dmn), ("f.form", form)])
        .unwrap();
    harness.create("p", "{}");
    assert!(harness.incidents().is_empty());
    let graph = harness.events(DecisionRequirementsIntent::Created)[0].key;
    let form = harness.events(FormIntent::Created)[0].key;
    delete(&mut harness, graph).unwrap();
    assert_eq!(harness.events(DecisionIntent::Deleted).len(), 1);
    assert_eq!(harness.events(DecisionRequirementsIntent::Deleted).len(), 1);
    harness.create("p", "{}");
    let raised = |harness: &Harness| harness.incidents().last().unwrap().1.error_type();
    assert_eq!(raised(&harness), IncidentErrorType::CalledDecisionError);
    harness.deploy_resources(&[("g.dmn", dmn)]).unwrap();
    delete(&mut harness, form).unwrap();
    assert_eq!(harness.events(FormIntent::Deleted).len(), 1);
    harness.create("p", "{}");
    assert_eq!(raised(&harness), IncidentErrorType::FormNotFound);
}
