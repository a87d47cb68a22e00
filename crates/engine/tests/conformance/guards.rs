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

/// A task in a scope; both may have outputs, and the scope an input, that fail.
fn failing(input: &str, output: &str, of_task: &str) -> Harness {
    let builder = ProcessBuilder::new("p")
        .start()
        .sub_process("sub")
        .start()
        .service_task("task", "work")
        .output(of_task, "x")
        .end()
        .leave()
        .input(input, "y")
        .output(output, "z")
        .end();
    let mut harness = Harness::with(&builder.xml());
    harness.create("p", "{}");
    harness
}

const FAILING: &str = r#"=assert(1, false)"#;

/// The value of an element in a scope, as a command to activate it has it.
fn inside(harness: &Harness, element: &str, scope: Key) -> values::ProcessInstance {
    values::ProcessInstance {
        element_id: element.to_owned(),
        element_type: values::BpmnElementType::ServiceTask.into(),
        flow_scope_key: scope.0,
        ..value_of(harness, "sub")
    }
}

#[test]
fn nothing_begins_in_a_scope_that_is_not_active() {
    // Activating: its input mapping has failed. Completing: its output mapping has.
    let activating = failing(FAILING, "=1", "=1");
    let mut completing = failing("=1", FAILING, "=1");
    completing.work("work", "{}");
    for mut harness in [activating, completing] {
        assert_eq!(harness.incidents().len(), 1);
        let sub = harness.key_of("sub");
        let value = inside(&harness, "task", sub);
        let intent = ProcessInstanceIntent::ActivateElement;
        assert!(is_refused(&mut harness, Key(78), intent, &value));
    }
    let mut terminated = failing("=1", "=1", "=1");
    let (sub, task) = (terminated.key_of("sub"), terminated.key_of("task"));
    let value = inside(&terminated, "task", sub);
    let instance = terminated.key_of("p");
    terminated.cancel(instance).unwrap();
    for (key, intent) in [
        (Key(78), ProcessInstanceIntent::ActivateElement),
        (task, ProcessInstanceIntent::CompleteElement),
        (task, ProcessInstanceIntent::TerminateElement),
        (sub, ProcessInstanceIntent::TerminateElement),
    ] {
        assert!(
            is_refused(&mut terminated, key, intent, &value),
            "{intent:?}"
        );
    }
}

#[test]
fn nothing_completes_or_begins_in_a_scope_that_is_interrupted() {
    // More tasks than are terminated at once, so that some are left when the scope has been interrupted.
    let mut builder = ProcessBuilder::new("p")
        .start()
        .parallel_gateway("fork")
        .event_sub_process(
            "handler",
            "begin",
            "<bpmn:timerEventDefinition><bpmn:timeDuration>PT1S</bpmn:timeDuration></bpmn:timerEventDefinition>",
            true,
        )
        .leave();
    for index in 0..200 {
        builder = builder
            .move_to("fork")
            .service_task(&format!("t{index}"), "work");
    }
    let mut harness = Harness::with(&builder.xml());
    harness.create("p", "{}");
    let (last, value) = (harness.key_of("t199"), value_of(&harness, "t199"));
    harness.time += 1_000;
    let due = harness.due().commands.remove(0);
    harness.process(Input::Internal(due));
    assert!(!harness.happened("t199 TERMINATED") && !harness.happened("handler ACTIVATED"));
    for (key, intent) in [
        (last, ProcessInstanceIntent::CompleteElement),
        (Key(78), ProcessInstanceIntent::ActivateElement),
    ] {
        assert!(is_refused(&mut harness, key, intent, &value), "{intent:?}");
    }
    harness.settle();
    assert!(harness.happened("handler COMPLETED") && harness.happened("p COMPLETED"));
    harness.assert_clean();
}
