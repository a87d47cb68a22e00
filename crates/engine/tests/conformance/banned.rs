//! What is banned, and what a ban does.

use skep_bpmn::builder::ProcessBuilder;
use skep_engine::tables::prefix;
use skep_engine::{Failure, Input};
use skep_protocol::{
    Command, ErrorIntent, JobIntent, Key, MessageIntent, MessageSubscriptionIntent, RejectionType,
    RequestId, values,
};
use skep_state::{LimitExceeded, TableKey};

use crate::harness::Harness;
use crate::helpers::values_of;

fn one_task() -> String {
    ProcessBuilder::new("p")
        .start()
        .service_task("task", "work")
        .end()
        .xml()
}

fn waiting_in_a_sub_process() -> String {
    ProcessBuilder::new("p")
        .start()
        .sub_process("sub")
        .start()
        .message_catch("catch", "m", "=\"key\"")
        .end()
        .leave()
        .end()
        .xml()
}

fn ban(harness: &mut Harness, process_instance: Key) {
    harness.process(Input::Ban {
        process_instance,
        reason: "it killed the process".to_owned(),
    });
}

fn publish(time_to_live: i64) -> Command {
    let message = values::Message {
        name: "m".to_owned(),
        correlation_key: "key".to_owned(),
        time_to_live,
        ..Default::default()
    };
    Command::new(Key::NONE, MessageIntent::Publish, message)
}

/// Process instances in which something was banned, as the record stream says.
fn errors(harness: &Harness) -> Vec<i64> {
    let errors: Vec<values::Error> = values_of(harness, ErrorIntent::Created);
    errors
        .iter()
        .map(|error| error.process_instance_key)
        .collect()
}

/// Has the sub-process of the latest instance vanish, as only a bug could: what completes in it panics.
fn lose_sub_process(harness: &mut Harness) {
    let sub = harness.key_of("sub");
    let row = TableKey::new(prefix::ELEMENT_INSTANCES).i64(sub.0);
    harness.damage(&[row.as_bytes()]);
}

#[test]
fn a_client_learns_that_an_instance_is_banned_whatever_it_asks() {
    let mut harness = Harness::with(&one_task());
    let instance = harness.create("p", "{}");
    let job = harness.job("work");
    let failed = values::Job {
        error_message: "out of paper".to_owned(),
        ..Default::default()
    };
    harness.report(job, JobIntent::Fail, failed).unwrap();
    let incident = harness.incidents()[0].0;
    ban(&mut harness, instance);
    let content = harness.content(0..=254);
    let with_retries = values::Job {
        retries: 3,
        timeout: 1_000,
        ..Default::default()
    };
    let mut answers = vec![
        harness.resolve(incident),
        harness.cancel(instance),
        harness.set_variables(instance, r#"{"x":1}"#, true),
    ];
    for intent in [
        JobIntent::Complete,
        JobIntent::Fail,
        JobIntent::ThrowError,
        JobIntent::UpdateRetries,
        JobIntent::UpdateTimeout,
    ] {
        answers.push(harness.report(job, intent, with_retries.clone()));
    }
    for answer in answers {
        let rejection = answer.unwrap_err();
        assert_eq!(rejection.rejection_type, RejectionType::InvalidState);
        assert!(
            rejection.reason.contains(&instance.to_string()),
            "{rejection:?}"
        );
        assert!(rejection.reason.contains("banned"), "{rejection:?}");
    }
    assert_eq!(
        harness.content(0..=254),
        content,
        "its state stays as it is"
    );
}

#[test]
fn jobs_of_a_banned_instance_are_not_handed_out() {
    let mut harness = Harness::with(&one_task());
    let banned = harness.create("p", "{}");
    let other = harness.create("p", "{}");
    ban(&mut harness, banned);
    let jobs = harness.activate("work", 10);
    assert_eq!(jobs.len(), 1);
    assert_eq!(jobs[0].1.process_instance_key, other.0);
}

#[test]
fn an_instance_is_banned_once_and_only_if_it_exists() {
    let mut harness = Harness::with(&one_task());
    let instance = harness.create("p", "{}");
    ban(&mut harness, instance);
    ban(&mut harness, instance);
    ban(&mut harness, Key(instance.0 + 1_000));
    assert_eq!(errors(&harness), [instance.0]);
}

#[test]
fn a_message_that_a_banned_instance_does_not_take_goes_to_another() {
    let mut harness = Harness::with(&waiting_in_a_sub_process());
    let banned = harness.create("p", "{}");
    let other = harness.create("p", "{}");
    ban(&mut harness, banned);
    harness.ask(publish(60_000)).unwrap();
    assert_eq!(harness.events(MessageSubscriptionIntent::Rejected).len(), 1);
    assert_eq!(harness.count("catch COMPLETED"), 1);
    assert!(harness.happened("p COMPLETED"));
    harness.cancel(other).unwrap_err();
    // One that comes later finds the message of its own.
    harness.ask(publish(60_000)).unwrap();
    harness.create("p", "{}");
    assert_eq!(harness.count("p COMPLETED"), 2);
}

#[test]
fn what_follows_from_a_clients_command_bans_the_instance_that_it_belongs_to() {
    let mut harness = Harness::with(&waiting_in_a_sub_process());
    let instance = harness.create("p", "{}");
    lose_sub_process(&mut harness);
    let request = RequestId {
        gateway: 1,
        request: 999,
    };
    let outcome = harness.process_safely(Input::Client {
        command: publish(60_000),
        request: Some(request),
    });
    let rejection = outcome.responses[0].result.clone().unwrap_err();
    assert_eq!(rejection.rejection_type, RejectionType::ProcessingError);
    assert_eq!(errors(&harness), [instance.0]);
    // The next one finds it banned, and goes where it can.
    harness.create("p", "{}");
    harness.ask(publish(60_000)).unwrap();
    assert_eq!(harness.count("p COMPLETED"), 1);
}

#[test]
fn what_only_met_an_instance_that_fails_is_evaluated_again_without_it() {
    let mut harness = Harness::with(&waiting_in_a_sub_process());
    let instance = harness.create("p", "{}");
    lose_sub_process(&mut harness);
    harness.create("p", "{}");
    harness.process_safely(Input::Internal(publish(60_000)));
    assert_eq!(errors(&harness), [instance.0]);
    assert_eq!(harness.events(MessageIntent::Published).len(), 1);
    assert_eq!(harness.count("p COMPLETED"), 1, "the other has taken it");
}

#[test]
fn an_instance_whose_step_fails_is_banned_and_not_due_again() {
    let xml = ProcessBuilder::new("p")
        .start()
        .sub_process("sub")
        .start()
        .timer_catch("wait", "PT1S")
        .end()
        .leave()
        .end()
        .xml();
    let mut harness = Harness::with(&xml);
    let instance = harness.create("p", "{}");
    lose_sub_process(&mut harness);
    harness.time += 1_000;
    let due = harness.due().commands;
    harness.process_safely(Input::Internal(due[0].clone()));
    assert_eq!(errors(&harness), [instance.0]);
    assert!(harness.due().commands.is_empty());
}

#[test]
fn a_limit_that_a_client_exceeds_bans_nothing_and_says_what_to_do() {
    let mut harness = Harness::with(&one_task());
    harness.create("p", "{}");
    let job = harness.job("work");
    let limits = [
        (
            LimitExceeded::Evaluation,
            RejectionType::ExceededBatchRecordSize,
            "fewer or smaller variables",
        ),
        (
            LimitExceeded::Key { bytes: 70_000 },
            RejectionType::InvalidArgument,
            "Use a shorter one",
        ),
    ];
    for (number, (limit, rejection_type, text)) in limits.into_iter().enumerate() {
        let request = RequestId {
            gateway: 1,
            request: 900 + number as u64,
        };
        let input = Input::Client {
            command: Command::new(job, JobIntent::Complete, values::Job::default()),
            request: Some(request),
        };
        let outcome = harness.failed(input, &Failure::Limit(limit));
        let rejection = outcome.responses[0].result.clone().unwrap_err();
        assert_eq!(rejection.rejection_type, rejection_type);
        assert!(rejection.reason.contains(text), "{rejection:?}");
    }
    assert!(errors(&harness).is_empty());
    harness.complete(job, "{}").unwrap();
}

/// What comes in at once is at most 4 MiB. It goes into the state and into several records.
#[test]
fn the_largest_documents_stay_within_an_evaluation() {
    let xml = ProcessBuilder::new("p")
        .start()
        .message_catch("catch", "m", "=\"key\"")
        .service_task("task", "work")
        .end()
        .xml();
    let mut harness = Harness::with(&xml);
    let document = |name: &str| format!(r#"{{"{name}":"{}"}}"#, "x".repeat((4 << 20) - 100));
    let instance = harness.create("p", &document("created"));
    let message = values::Message {
        name: "m".to_owned(),
        correlation_key: "key".to_owned(),
        time_to_live: 1_000,
        variables: document("published"),
        ..Default::default()
    };
    let publish = Command::new(Key::NONE, MessageIntent::Publish, message);
    harness.ask(publish).unwrap();
    harness
        .set_variables(instance, &document("set"), false)
        .unwrap();
    let (jobs, _) = harness.activate_batch("work", 1, &["none"]);
    harness.complete(jobs[0].0, &document("completed")).unwrap();
    assert!(harness.happened("p COMPLETED"));
}
