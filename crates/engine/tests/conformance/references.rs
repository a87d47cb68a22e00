//! What a client calls its operation is in all records that come of it.

use skep_bpmn::builder::ProcessBuilder;
use skep_engine::limits;
use skep_protocol::{
    Command, Key, OperationReference, ProcessInstanceCreationIntent, ProcessInstanceIntent, Record,
    RecordType, values,
};

use crate::harness::Harness;

fn many_jobs() -> String {
    ProcessBuilder::new("p")
        .start()
        .service_task("task", "work")
        .multi_instance(false, r#"inputCollection="=for i in 1..count return i""#)
        .end()
        .timer_boundary("late", "task", "timeDuration", "PT1M")
        .non_interrupting()
        .end()
        .xml()
}

fn creation(count: u32) -> Command {
    let creation = values::ProcessInstanceCreation {
        bpmn_process_id: "p".to_owned(),
        version: -1,
        variables: format!("{{\"count\":{count}}}"),
        ..Default::default()
    };
    Command::new(Key::NONE, ProcessInstanceCreationIntent::Create, creation)
}

fn cancellation(instance: Key) -> Command {
    let value = values::ProcessInstance::default();
    Command::new(instance, ProcessInstanceIntent::Cancel, value)
}

fn references(records: &[Record]) -> Vec<i64> {
    let references = records.iter().map(|record| record.operation_reference.0);
    let mut references: Vec<_> = references.collect();
    references.dedup();
    references
}

#[test]
fn an_operation_is_named_in_all_that_follows_however_long_it_takes() {
    let count = limits::FOLLOW_UPS_MAX as u32 * 2;
    let mut harness = Harness::with(&many_jobs());
    let deployed = harness.records.len();
    assert_eq!(references(&harness.records), [-1]);
    harness
        .ask(creation(count).referred_to_as(OperationReference(7)))
        .unwrap();
    assert_eq!(harness.count("task ACTIVATED"), count as usize + 1);
    assert_eq!(references(&harness.records[deployed..]), [7]);
    let created = harness.records.len();
    harness.advance(60_000);
    assert!(harness.happened("late COMPLETED"));
    assert_eq!(
        references(&harness.records[created..]),
        [-1],
        "what the clock does is nobody's operation"
    );
    let triggered = harness.records.len();
    let instance = harness.key_of("p");
    harness
        .ask(cancellation(instance).referred_to_as(OperationReference(0)))
        .unwrap();
    assert!(harness.happened("p TERMINATED"));
    assert_eq!(references(&harness.records[triggered..]), [0]);
}

#[test]
fn a_refusal_names_what_was_refused() {
    let mut harness = Harness::with(&many_jobs());
    let before = harness.records.len();
    let unknown = cancellation(Key(5)).referred_to_as(OperationReference(9));
    harness.ask(unknown).unwrap_err();
    let [.., rejection] = &harness.records[..] else {
        panic!("no record")
    };
    assert_eq!(rejection.record_type, RecordType::CommandRejection);
    assert_eq!(references(&harness.records[before..]), [9]);
    let failing = creation(1).referred_to_as(OperationReference(10));
    let before = harness.records.len();
    let input = skep_engine::Input::Client {
        command: failing,
        request: None,
    };
    harness.fail(input, "boom");
    assert_eq!(references(&harness.records[before..]), [10]);
}
