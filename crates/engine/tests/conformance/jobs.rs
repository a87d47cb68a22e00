//! Jobs.

use skep_bpmn::builder::ProcessBuilder;
use skep_engine::tables::jobs::JobState;
use skep_protocol::values::{self, IncidentErrorType};
use skep_protocol::{Command, JobBatchIntent, JobIntent, Key, RejectionType};

use crate::harness::{Harness, START};

fn one_task() -> String {
    ProcessBuilder::new("p")
        .start()
        .service_task("task", "work")
        .header("h", "v")
        .end()
        .xml()
}

fn running(count: usize) -> Harness {
    let mut harness = Harness::with(&one_task());
    for index in 0..count {
        harness.create("p", &format!(r#"{{"index":{index}}}"#));
    }
    harness
}

fn failure(retries: i32, back_off: i64, message: &str) -> values::Job {
    values::Job {
        retries,
        retry_back_off: back_off,
        error_message: message.to_owned(),
        ..Default::default()
    }
}

#[test]
fn a_job_tells_its_worker_all_about_it() {
    let mut harness = running(1);
    let (_, job) = harness.activate("work", 1)[0].clone();
    assert_eq!(
        (job.job_type.as_str(), job.retries, job.worker.as_str()),
        ("work", 3, "worker")
    );
    assert_eq!(job.custom_headers, r#"{"h":"v"}"#);
    assert_eq!(job.variables, r#"{"index":0}"#);
    assert_eq!(
        (job.bpmn_process_id.as_str(), job.process_definition_version),
        ("p", 1)
    );
    assert_eq!(
        (job.element_id.as_str(), job.element_instance_key),
        ("task", harness.key_of("task").0)
    );
    assert_eq!(job.deadline, START + 60_000);
}

#[test]
fn jobs_are_handed_out_oldest_first_and_no_more_than_asked_for() {
    let mut harness = running(5);
    let first = harness.activate("work", 2);
    assert_eq!(first.len(), 2);
    assert!(first[0].0 < first[1].0);
    let rest = harness.activate("work", 100);
    assert_eq!(rest.len(), 3);
    assert!(first[1].0 < rest[0].0);
    assert!(harness.activate("work", 1).is_empty());
    assert!(harness.activate("other", 1).is_empty());
}

#[test]
fn more_jobs_than_are_looked_up_at_once_are_handed_out_together() {
    let mut harness = running(150);
    assert_eq!(harness.activate("work", 1000).len(), 150);
}

#[test]
fn a_request_for_jobs_must_be_complete() {
    let mut harness = running(1);
    let valid = values::JobBatch {
        job_type: "work".to_owned(),
        timeout: 1,
        max_jobs_to_activate: 1,
        ..Default::default()
    };
    let invalid = [
        values::JobBatch {
            max_jobs_to_activate: 0,
            ..valid.clone()
        },
        values::JobBatch {
            timeout: 0,
            ..valid.clone()
        },
        values::JobBatch {
            job_type: String::new(),
            ..valid.clone()
        },
    ];
    for batch in invalid {
        let rejection = harness
            .ask(Command::new(Key::NONE, JobBatchIntent::Activate, batch))
            .unwrap_err();
        assert_eq!(rejection.rejection_type, RejectionType::InvalidArgument);
    }
    assert!(
        harness
            .ask(Command::new(Key::NONE, JobBatchIntent::Activate, valid))
            .is_ok(),
        "the worker may be empty"
    );
}

#[test]
fn only_the_variables_asked_for_are_fetched() {
    let mut harness = Harness::with(&one_task());
    harness.create("p", r#"{"a":1,"b":2}"#);
    let (jobs, _) = harness.activate_batch("work", 1, &["b", "missing", "b"]);
    assert_eq!(jobs[0].1.variables, r#"{"b":2}"#);
}

#[test]
fn a_failed_job_goes_back_to_its_place() {
    let mut harness = running(2);
    let first = harness.activate("work", 1)[0].0;
    harness
        .report(first, JobIntent::Fail, failure(2, 0, "oops"))
        .unwrap();
    let jobs = harness.activate("work", 2);
    assert_eq!(jobs[0].0, first, "before the newer one");
    assert_eq!(
        (jobs[0].1.retries, jobs[0].1.error_message.as_str()),
        (2, "oops")
    );
}

#[test]
fn a_job_waits_for_its_back_off() {
    let mut harness = running(1);
    let job = harness.job("work");
    harness
        .report(job, JobIntent::Fail, failure(1, 5_000, ""))
        .unwrap();
    assert_eq!(harness.job_state(job), Some(JobState::Failed));
    assert_eq!(harness.due().next, Some(START + 5_000));
    harness.advance(4_999);
    assert!(harness.activate("work", 1).is_empty());
    harness.advance(1);
    assert_eq!(harness.job("work"), job);
}

#[test]
fn a_job_without_retries_waits_for_a_person() {
    let mut harness = running(1);
    let job = harness.job("work");
    harness
        .report(job, JobIntent::Fail, failure(0, 0, "broken"))
        .unwrap();
    let (incident, value) = harness.incidents()[0].clone();
    assert_eq!(
        (value.error_type(), value.error_message.as_str()),
        (IncidentErrorType::JobNoRetries, "broken")
    );
    assert_eq!(value.job_key, job.0);
    assert!(harness.activate("work", 1).is_empty());

    let rejection = harness.resolve(incident).unwrap_err();
    assert_eq!(
        rejection.rejection_type,
        RejectionType::NotFound,
        "what the client sees"
    );
    let logged = harness
        .rejections()
        .last()
        .unwrap()
        .rejection
        .clone()
        .unwrap();
    assert_eq!(
        logged.rejection_type,
        RejectionType::InvalidState,
        "what the log says"
    );

    let retries = values::Job {
        retries: 1,
        ..Default::default()
    };
    harness
        .report(job, JobIntent::UpdateRetries, retries)
        .unwrap();
    assert!(
        harness.activate("work", 1).is_empty(),
        "retries alone resolve nothing"
    );
    harness.resolve(incident).unwrap();
    assert_eq!(harness.job("work"), job);

    harness
        .report(job, JobIntent::Fail, failure(-1, 0, ""))
        .unwrap();
    let (again, value) = harness.incidents()[1].clone();
    assert_ne!(again, incident);
    assert_eq!(value.error_message, "No more retries left.");
}

#[test]
fn retries_must_be_positive_whether_the_job_exists_or_not() {
    let mut harness = running(1);
    let job = harness.job("work");
    for key in [job, Key(3)] {
        let rejection = harness
            .report(key, JobIntent::UpdateRetries, values::Job::default())
            .unwrap_err();
        assert_eq!(rejection.rejection_type, RejectionType::InvalidArgument);
    }
    let retries = values::Job {
        retries: 1,
        ..Default::default()
    };
    let rejection = harness
        .report(Key(3), JobIntent::UpdateRetries, retries)
        .unwrap_err();
    assert_eq!(rejection.rejection_type, RejectionType::NotFound);
}

#[test]
fn variables_of_a_failure_are_local_to_the_task() {
    let mut harness = running(1);
    let instance = harness.key_of("p");
    let job = harness.job("work");
    let value = values::Job {
        variables: r#"{"index":9,"why":"x"}"#.to_owned(),
        ..failure(1, 0, "")
    };
    harness.report(job, JobIntent::Fail, value).unwrap();
    assert_eq!(
        harness.variables(harness.key_of("task")),
        ["index=9", "why=\"x\""]
    );
    assert_eq!(harness.variables(instance), ["index=0"]);
}

#[test]
fn a_job_whose_lock_ended_is_handed_out_again_and_may_still_be_completed_by_the_first() {
    let mut harness = running(1);
    let job = harness.job("work");
    harness.advance(59_999);
    assert!(harness.activate("work", 1).is_empty());
    harness.advance(1);
    assert_eq!(harness.events(JobIntent::TimedOut).len(), 1);
    assert_eq!(harness.job_state(job), Some(JobState::Activatable));
    harness.complete(job, "{}").unwrap();
    assert!(harness.happened("p COMPLETED"));
    harness.assert_clean();
}

#[test]
fn the_lock_can_be_moved() {
    let mut harness = running(1);
    let job = harness.job("work");
    let value = values::Job {
        timeout: 100,
        ..Default::default()
    };
    harness
        .report(job, JobIntent::UpdateTimeout, value.clone())
        .unwrap();
    harness.advance(100);
    assert_eq!(harness.job_state(job), Some(JobState::Activatable));
    let rejection = harness
        .report(job, JobIntent::UpdateTimeout, value)
        .unwrap_err();
    assert_eq!(rejection.rejection_type, RejectionType::InvalidState);
}

#[test]
fn reports_on_jobs_that_wait_for_something_else_are_refused() {
    let mut harness = running(1);
    let job = harness.job("work");
    harness
        .report(job, JobIntent::Fail, failure(0, 0, ""))
        .unwrap();
    for intent in [JobIntent::Complete, JobIntent::Fail, JobIntent::ThrowError] {
        let rejection = harness.report(job, intent, failure(1, 0, "")).unwrap_err();
        assert_eq!(rejection.rejection_type, RejectionType::InvalidState);
        assert!(
            rejection.reason.ends_with("but it is in state 'FAILED'"),
            "{}",
            rejection.reason
        );
        let rejection = harness
            .report(Key(3), intent, failure(1, 0, ""))
            .unwrap_err();
        assert_eq!(rejection.rejection_type, RejectionType::NotFound);
    }
    let rejection = harness.complete(Key(3), "{}").unwrap_err();
    assert_eq!(
        rejection.reason,
        "Expected to complete job with key '3', but no such job was found"
    );
}

#[test]
fn a_report_must_bring_an_object() {
    let mut harness = running(1);
    let job = harness.job("work");
    let rejection = harness.complete(job, "1").unwrap_err();
    assert_eq!(rejection.rejection_type, RejectionType::InvalidArgument);
    harness.complete(job, "").unwrap();
    assert!(harness.happened("p COMPLETED"));
}

#[test]
fn type_and_retries_are_evaluated_and_must_fit() {
    let xml = |retries: &str| {
        ProcessBuilder::new("p")
            .start()
            .service_task_with_retries("task", "=type", retries)
            .end()
            .xml()
    };
    let mut harness = Harness::with(&xml("=tries"));
    harness.create("p", r#"{"type":"t","tries":7}"#);
    assert_eq!(harness.activate("t", 1)[0].1.retries, 7);
    for variables in [
        r#"{"type":1,"tries":7}"#,
        r#"{"tries":7}"#,
        r#"{"type":"t","tries":"x"}"#,
        r#"{"type":"t","tries":1e12}"#,
    ] {
        let mut harness = Harness::with(&xml("=tries"));
        let instance = harness.create("p", variables);
        let (incident, value) = harness.incidents()[0].clone();
        assert_eq!(
            value.error_type(),
            IncidentErrorType::ExtractValueError,
            "{variables}"
        );
        harness
            .set_variables(instance, r#"{"type":"t","tries":1}"#, false)
            .unwrap();
        harness.resolve(incident).unwrap();
        harness.work("t", "{}");
        harness.assert_clean();
    }
}

#[test]
fn an_answer_that_is_full_leaves_jobs_for_the_next_one() {
    let mut harness = Harness::with(&one_task());
    let large = format!(r#"{{"x":"{}"}}"#, "a".repeat(1_500_000));
    for _ in 0..4 {
        harness.create("p", &large);
    }
    let (jobs, truncated) = harness.activate_batch("work", 10, &[]);
    assert_eq!((jobs.len(), truncated), (2, true));
    let (jobs, truncated) = harness.activate_batch("work", 10, &[]);
    assert_eq!((jobs.len(), truncated), (2, false));
}

#[test]
fn a_job_that_fits_into_no_answer_is_an_incident_and_does_not_hold_up_others() {
    let mut harness = Harness::with(&one_task());
    harness.create(
        "p",
        &format!(r#"{{"x":"{}","y":1}}"#, "a".repeat(4_190_000)),
    );
    harness.create("p", "{}");
    let (jobs, _) = harness.activate_batch("work", 10, &[]);
    assert_eq!(jobs.len(), 1);
    let (incident, value) = harness.incidents()[0].clone();
    assert_eq!(value.error_type(), IncidentErrorType::MessageSizeExceeded);
    assert!(harness.activate("work", 10).is_empty());
    harness.resolve(incident).unwrap();
    let (jobs, _) = harness.activate_batch("work", 10, &["y"]);
    assert_eq!(jobs[0].1.variables, r#"{"y":1}"#);
}

#[test]
fn whoever_waits_for_jobs_is_told_when_there_are_some() {
    let mut harness = running(0);
    let creation = values::ProcessInstanceCreation {
        bpmn_process_id: "p".to_owned(),
        version: -1,
        ..Default::default()
    };
    let command = Command::new(
        Key::NONE,
        skep_protocol::ProcessInstanceCreationIntent::Create,
        creation,
    );
    let outcome = harness.process(skep_engine::Input::Client {
        command,
        request: None,
    });
    assert_eq!(outcome.jobs_available, ["work"]);
    let job = harness.job("work");
    let command = Command::new(job, JobIntent::Fail, failure(1, 0, ""));
    let outcome = harness.process(skep_engine::Input::Client {
        command,
        request: None,
    });
    assert_eq!(outcome.jobs_available, ["work"]);
}

#[test]
fn a_job_that_was_not_taken_is_given_back_as_it_was() {
    let mut harness = running(1);
    let job = harness.job("work");
    let outcome = harness.process(skep_engine::Input::Client {
        command: Command::new(job, JobIntent::Yield, values::Job::default()),
        request: None,
    });
    assert_eq!(outcome.jobs_available, ["work"]);
    assert_eq!(harness.events(JobIntent::Yielded).len(), 1);
    assert_eq!(harness.job_state(job), Some(JobState::Activatable));
    let answer = harness.report(job, JobIntent::Yield, values::Job::default());
    assert_eq!(
        answer.unwrap_err().rejection_type,
        RejectionType::InvalidState
    );
    let again = harness.activate("work", 1);
    assert_eq!((again[0].0, again[0].1.retries), (job, 3));
    let unknown = harness.report(Key(99), JobIntent::Yield, values::Job::default());
    assert_eq!(unknown.unwrap_err().rejection_type, RejectionType::NotFound);
}

/// Types announced by a client's command.
fn announced(harness: &mut Harness, command: Command) -> Vec<String> {
    let input = skep_engine::Input::Client {
        command,
        request: None,
    };
    harness.process(input).jobs_available
}

/// Asks for one job, to be locked for a millisecond.
fn asked() -> Command {
    let batch = values::JobBatch {
        job_type: "work".to_owned(),
        timeout: 1,
        max_jobs_to_activate: 1,
        ..Default::default()
    };
    Command::new(Key::NONE, JobBatchIntent::Activate, batch)
}

#[test]
fn a_job_is_announced_whenever_a_command_makes_it_activatable() {
    let mut harness = Harness::with(&one_task());
    let creation = values::ProcessInstanceCreation {
        bpmn_process_id: "p".to_owned(),
        version: -1,
        ..Default::default()
    };
    let intent = skep_protocol::ProcessInstanceCreationIntent::Create;
    let created = announced(&mut harness, Command::new(Key::NONE, intent, creation));
    assert_eq!(created, ["work"]);
    let job = harness.job("work");
    let failed = Command::new(job, JobIntent::Fail, failure(1, 0, ""));
    assert_eq!(announced(&mut harness, failed), ["work"]);
    let exhausted = Command::new(job, JobIntent::Fail, failure(0, 0, ""));
    assert!(announced(&mut harness, exhausted).is_empty());
    let retries = values::Job {
        retries: 1,
        ..Default::default()
    };
    harness
        .report(job, JobIntent::UpdateRetries, retries)
        .unwrap();
    let incident = harness.incidents()[0].0;
    let intent = skep_protocol::IncidentIntent::Resolve;
    let resolve = Command::new(incident, intent, values::Incident::default());
    assert_eq!(announced(&mut harness, resolve), ["work"]);
}

#[test]
fn a_job_is_announced_when_time_makes_it_activatable() {
    let mut harness = running(1);
    let job = harness.job("work");
    let failed = Command::new(job, JobIntent::Fail, failure(1, 5, ""));
    assert!(announced(&mut harness, failed).is_empty());
    for intent in [JobIntent::RecurAfterBackoff, JobIntent::TimeOut] {
        harness.time += 5;
        let due = harness.due().commands;
        assert_eq!(due[0].intent, intent.into());
        let outcome = harness.process(skep_engine::Input::Internal(due[0].clone()));
        assert_eq!(outcome.jobs_available, ["work"]);
        announced(&mut harness, asked());
    }
}
