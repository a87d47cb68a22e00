//! What keeps a partition going whatever a process does.

use skep_bpmn::builder::ProcessBuilder;
use skep_engine::Input;
use skep_engine::limits;
use skep_protocol::{Command, ErrorIntent, JobIntent, RecordType, RejectionType, RequestId};

use crate::harness::Harness;

fn endless_loop() -> String {
    ProcessBuilder::new("p")
        .start()
        .exclusive_gateway("merge")
        .exclusive_gateway("again")
        .condition("=true")
        .connect_to("merge")
        .move_to("again")
        .default_flow()
        .end()
        .xml()
}

#[test]
fn an_endless_loop_is_continued_in_portions_and_can_be_cancelled() {
    let mut harness = Harness::with(&endless_loop());
    let creation = skep_protocol::values::ProcessInstanceCreation {
        bpmn_process_id: "p".to_owned(),
        version: -1,
        ..Default::default()
    };
    let create = Command::new(
        skep_protocol::Key::NONE,
        skep_protocol::ProcessInstanceCreationIntent::Create,
        creation,
    );
    let outcome = harness.process(Input::Client {
        command: create,
        request: None,
    });
    let commands = outcome
        .records
        .iter()
        .filter(|record| record.record_type == RecordType::Command)
        .count();
    assert!(
        commands <= limits::FOLLOW_UPS_MAX + 3,
        "{commands} commands in one evaluation"
    );
    for _ in 0..5 {
        let due = harness.due().commands;
        assert_eq!(due.len(), 1);
        let positions = harness.records.len();
        let outcome = harness.process(Input::Internal(due[0].clone()));
        let source = outcome.records[0].source_position.0;
        assert!(
            source > 0 && source as usize <= positions,
            "the command has its record already"
        );
    }
    let instance = harness.key_of("p");
    harness.cancel(instance).unwrap();
    assert!(harness.happened("p TERMINATED"));
    harness.assert_clean();
}

fn one_task() -> String {
    ProcessBuilder::new("p")
        .start()
        .timer_catch("wait", "PT1S")
        .service_task("task", "work")
        .end()
        .xml()
}

#[test]
fn a_clients_command_that_cannot_be_evaluated_is_rejected_and_bans_nothing() {
    let mut harness = Harness::with(&one_task());
    harness.create("p", "{}");
    harness.advance(1_000);
    let job = harness.job("work");
    let command = Command::new(
        job,
        JobIntent::Complete,
        skep_protocol::values::Job::default(),
    );
    let request = RequestId {
        gateway: 1,
        request: 999,
    };
    let outcome = harness.fail(
        Input::Client {
            command,
            request: Some(request),
        },
        "boom",
    );
    let rejection = outcome.responses[0].result.clone().unwrap_err();
    assert_eq!(rejection.rejection_type, RejectionType::ProcessingError);
    assert!(rejection.reason.contains("boom"));
    assert_eq!(harness.events(ErrorIntent::Created).len(), 1);
    harness.complete(job, "{}").unwrap();
    assert!(harness.happened("p COMPLETED"));
}

#[test]
fn an_instance_whose_own_command_cannot_be_evaluated_is_banned_and_its_commands_are_skipped() {
    let mut harness = Harness::with(&one_task());
    let banned = harness.create("p", "{}");
    let other = harness.create("p", "{}");
    harness.time += 1_000;
    let due = harness.due().commands;
    assert_eq!(due.len(), 2);
    harness.fail(Input::Internal(due[0].clone()), "boom");
    harness.settle();
    assert_eq!(harness.count("task ACTIVATED"), 1, "the other goes on");
    assert!(
        harness.due().commands.is_empty(),
        "what is banned is not due again"
    );
    let rejection = harness.cancel(banned).unwrap_err();
    assert_eq!(rejection.rejection_type, RejectionType::InvalidState);
    harness.cancel(other).unwrap();
    assert_eq!(harness.active(), ["p", "wait"]);
}

#[test]
fn keys_rise_and_never_come_twice() {
    let mut harness = Harness::with(&one_task());
    let first = harness.create("p", "{}");
    let second = harness.create("p", "{}");
    assert!(second > first);
    let mut created: Vec<_> = harness
        .events(skep_protocol::ProcessInstanceIntent::ElementActivating)
        .into_iter()
        .map(|record| record.key)
        .collect();
    let count = created.len();
    created.sort();
    created.dedup();
    assert_eq!(created.len(), count);
}
