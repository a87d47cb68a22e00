//! Commands that come too late or too early are refused and change nothing.

use skep_bpmn::builder::ProcessBuilder;
use skep_engine::Input;
use skep_protocol::{Command, Key, ProcessInstanceIntent, RecordType, RecordValue, values};

use crate::harness::Harness;

/// Feeds a command about an element instance and tells whether it was refused.
fn is_refused(
    harness: &mut Harness,
    key: Key,
    intent: ProcessInstanceIntent,
    value: &values::ProcessInstance,
) -> bool {
    let before = harness.content(0..=254);
    let outcome = harness.process(Input::Internal(Command::new(key, intent, value.clone())));
    let refused = outcome
        .records
        .iter()
        .any(|record| record.record_type == RecordType::CommandRejection);
    assert!(
        !refused || harness.content(0..=254) == before,
        "a refused command changes nothing"
    );
    refused
}

fn value_of(harness: &Harness, element: &str) -> values::ProcessInstance {
    let events = harness.events(ProcessInstanceIntent::ElementActivating);
    let mut found = events
        .into_iter()
        .rev()
        .filter_map(|record| match &record.value {
            RecordValue::ProcessInstance(value) if value.element_id == element => {
                Some(value.clone())
            }
            _ => None,
        });
    found.next().unwrap()
}

fn nested(job_type: &str) -> Harness {
    let xml = ProcessBuilder::new("p")
        .start()
        .sub_process("sub")
        .start()
        .service_task("task", job_type)
        .end()
        .leave()
        .end()
        .xml();
    let mut harness = Harness::with(&xml);
    harness.create("p", "{}");
    harness
}

#[test]
fn what_has_ended_cannot_be_completed_terminated_or_entered() {
    let mut harness = nested("work");
    let (task, sub) = (harness.key_of("task"), harness.key_of("sub"));
    let (task_value, sub_value) = (value_of(&harness, "task"), value_of(&harness, "sub"));
    harness.work("work", "{}");
    assert!(harness.happened("p COMPLETED"));
    for (key, value) in [(task, &task_value), (sub, &sub_value)] {
        for intent in [
            ProcessInstanceIntent::CompleteElement,
            ProcessInstanceIntent::TerminateElement,
            ProcessInstanceIntent::ActivateElement,
        ] {
            assert!(is_refused(&mut harness, key, intent, value), "{intent:?}");
        }
    }
    assert!(is_refused(
        &mut harness,
        Key(77),
        ProcessInstanceIntent::ActivateElement,
        &task_value
    ));
    harness.assert_clean();
}

#[test]
fn what_is_being_activated_cannot_be_completed() {
    let mut harness = nested("=missing");
    let (task, value) = (harness.key_of("task"), value_of(&harness, "task"));
    assert_eq!(harness.incidents().len(), 1);
    assert!(is_refused(
        &mut harness,
        task,
        ProcessInstanceIntent::CompleteElement,
        &value
    ));
}

#[test]
fn what_is_active_is_not_activated_again() {
    let mut harness = nested("work");
    let (task, value) = (harness.key_of("task"), value_of(&harness, "task"));
    assert!(is_refused(
        &mut harness,
        task,
        ProcessInstanceIntent::ActivateElement,
        &value
    ));
}

#[test]
fn nothing_completes_or_begins_in_a_scope_that_is_being_terminated() {
    // More tasks than are terminated at once, so that the scope is still terminating after the first evaluation.
    let mut builder = ProcessBuilder::new("p").start().parallel_gateway("fork");
    for index in 0..200 {
        builder = builder
            .move_to("fork")
            .service_task(&format!("t{index}"), "work");
    }
    let mut harness = Harness::with(&builder.xml());
    let instance = harness.create("p", "{}");
    let (last, value) = (harness.key_of("t199"), value_of(&harness, "t199"));
    let cancel = Command::new(
        instance,
        ProcessInstanceIntent::Cancel,
        values::ProcessInstance::default(),
    );
    harness.process(Input::Client {
        command: cancel,
        request: None,
    });
    assert!(!harness.happened("p TERMINATED"));
    let root = value_of(&harness, "p");
    assert!(is_refused(
        &mut harness,
        instance,
        ProcessInstanceIntent::TerminateElement,
        &root
    ));
    assert!(is_refused(
        &mut harness,
        last,
        ProcessInstanceIntent::CompleteElement,
        &value
    ));
    assert!(is_refused(
        &mut harness,
        Key(78),
        ProcessInstanceIntent::ActivateElement,
        &value
    ));
    harness.settle();
    assert!(harness.happened("p TERMINATED"));
    harness.assert_clean();
}
