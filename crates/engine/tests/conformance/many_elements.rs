//! Scopes with very many elements in them.

use skep_bpmn::builder::ProcessBuilder;
use skep_engine::{Input, limits};
use skep_protocol::{
    Command, Key, ProcessInstanceBatchIntent, ProcessInstanceIntent,
    ProcessInstanceModificationIntent, RecordType, values,
};

use crate::harness::Harness;

const CHILDREN: usize = 3_000;
const PER_MODIFICATION: usize = 500;

/// A sub-process with many waiting tasks in it; `end` says how it goes on after a job of type `end`.
fn many(end: impl FnOnce(ProcessBuilder) -> ProcessBuilder) -> Harness {
    let builder = ProcessBuilder::new("p")
        .start()
        .sub_process("sub")
        .start()
        .service_task("ends", "end");
    let builder = end(builder)
        .without_source()
        .service_task("task", "work")
        .leave()
        .service_task("after", "after")
        .end();
    let mut harness = Harness::with(&builder.xml());
    harness.checks = false;
    let instance = harness.create("p", "{}");
    for _ in 0..CHILDREN / PER_MODIFICATION {
        let activate = values::ActivateInstruction {
            element_id: "task".to_owned(),
            ..Default::default()
        };
        let modification = values::ProcessInstanceModification {
            process_instance_key: instance.0,
            activate_instructions: vec![activate; PER_MODIFICATION],
            terminate_instructions: Vec::new(),
        };
        let intent = ProcessInstanceModificationIntent::Modify;
        harness
            .ask(Command::new(instance, intent, modification))
            .unwrap();
    }
    assert_eq!(harness.count("task ACTIVATED"), CHILDREN);
    harness
}

/// Evaluates what is due until nothing is, and sees that no evaluation does more than its share.
fn settle_in_portions(harness: &mut Harness) {
    while let Some(command) = harness.due().commands.into_iter().next() {
        let outcome = harness.process(Input::Internal(command));
        let commands = outcome
            .records
            .iter()
            .filter(|record| record.record_type == RecordType::Command);
        let most = limits::FOLLOW_UPS_MAX * (limits::TERMINATING_CHILDREN_MAX + 2);
        assert!(commands.count() <= most);
    }
}

fn batches(harness: &Harness) -> Vec<&values::ProcessInstanceBatch> {
    let records = harness.records.iter();
    let batches = records.filter_map(|record| match &record.value {
        skep_protocol::RecordValue::ProcessInstanceBatch(batch) => Some(batch),
        _ => None,
    });
    batches.collect()
}

#[test]
fn a_cancellation_ends_many_elements_in_portions_that_say_how_far_they_are() {
    let mut harness = many(|builder| builder.end());
    let instance = harness.key_of("p");
    let value = values::ProcessInstance::default();
    let command = Command::new(instance, ProcessInstanceIntent::Cancel, value);
    harness.process(Input::Client {
        command,
        request: None,
    });
    assert!(
        !harness.happened("p TERMINATED"),
        "that is too much at once"
    );
    settle_in_portions(&mut harness);
    assert_eq!(harness.count("task TERMINATED"), CHILDREN);
    assert!(harness.happened("p TERMINATED"));
    let sub = harness.key_of("sub");
    let batches = batches(&harness);
    let of_process = &batches[0];
    assert_eq!(of_process.process_instance_key, instance.0);
    assert_eq!(of_process.batch_element_instance_key, instance.0);
    let indexes = batches[1..].iter().map(|batch| {
        assert_eq!(batch.process_instance_key, instance.0);
        assert_eq!(batch.batch_element_instance_key, sub.0);
        batch.index
    });
    let indexes: Vec<i64> = indexes.collect();
    assert_eq!(
        indexes.len(),
        (CHILDREN + 1).div_ceil(limits::TERMINATING_CHILDREN_MAX)
    );
    assert_eq!(indexes[0], -1);
    assert!(indexes.is_sorted());
    assert!(harness.rejections().is_empty());
    harness.assert_clean();
}

#[test]
fn a_terminate_end_event_ends_many_elements_and_its_scope_goes_on() {
    let mut harness =
        many(|builder| builder.element("endEvent", "stop", "<bpmn:terminateEventDefinition/>"));
    harness.work("end", "{}");
    assert_eq!(harness.count("task TERMINATED"), CHILDREN);
    assert!(harness.happened("sub COMPLETED"));
    harness.work("after", "{}");
    assert!(harness.happened("p COMPLETED"));
    assert!(harness.rejections().is_empty());
    harness.assert_clean();
}

#[test]
fn a_portion_that_comes_late_ends_nothing() {
    let mut harness = many(|builder| builder.end());
    let (instance, sub) = (harness.key_of("p"), harness.key_of("sub"));
    for scope in [sub, Key(5)] {
        let batch = values::ProcessInstanceBatch {
            process_instance_key: instance.0,
            batch_element_instance_key: scope.0,
            index: -1,
        };
        let intent = ProcessInstanceBatchIntent::Terminate;
        harness.process(Input::Internal(Command::new(Key::NONE, intent, batch)));
    }
    assert_eq!(harness.rejections().len(), 2);
    assert!(!harness.happened("task TERMINATING"));
}
