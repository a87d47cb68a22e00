//! JOB: what workers and time do to jobs.

use skep_protocol::values;
use skep_protocol::{Command, Intent, JobIntent, Key, RecordValue, Rejection};

use crate::banned;
use crate::behaviours::errors::{self, Caught};
use crate::behaviours::incidents::{self, Failure};
use crate::behaviours::{events, jobs as behaviour, lifecycle, listeners, variables};
use crate::json::Document;
use crate::processing::{Processing, Result};
use crate::tables::jobs::{self, JobState, StoredJob};

use skep_protocol::values::{IncidentErrorType, JobKind};

/// Evaluates a JOB command.
pub(crate) fn process(p: &mut Processing, command: &Command) -> Result<()> {
    let RecordValue::Job(value) = &command.value else {
        unreachable!("a JOB command carries a job");
    };
    match command.intent {
        Intent::Job(JobIntent::Complete) => complete(p, command, value),
        Intent::Job(JobIntent::Fail) => fail(p, command, value),
        Intent::Job(JobIntent::ThrowError) => throw_error(p, command, value),
        Intent::Job(JobIntent::UpdateRetries) => update_retries(p, command, value),
        Intent::Job(JobIntent::UpdateTimeout) => update_timeout(p, command, value),
        Intent::Job(JobIntent::Yield) => give_back(p, command),
        Intent::Job(JobIntent::TimeOut) => time_out(p, command),
        Intent::Job(JobIntent::RecurAfterBackoff) => recur(p, command),
        intent => {
            let reason = format!(
                "The command {} is not supported by this version",
                intent.name()
            );
            p.reject(command, Rejection::invalid_argument(reason));
            Ok(())
        }
    }
}

/// The job, if a worker may still report on it; else the command is refused.
fn reported(p: &mut Processing, command: &Command, action: &str) -> Result<Option<StoredJob>> {
    let Some(stored) = jobs::get(p.txn, command.key)? else {
        let reason = format!(
            "Expected to {action} with key '{}', but no such job was found",
            command.key
        );
        p.reject(command, Rejection::not_found(reason));
        return Ok(None);
    };
    if banned::refuses(p, command, stored.job.process_instance_key)? {
        return Ok(None);
    }
    if !matches!(stored.state(), JobState::Activatable | JobState::Activated) {
        let reason = format!(
            "Expected to {action} with key '{}', but it is in state '{}'",
            command.key,
            stored.state().name()
        );
        p.reject(command, Rejection::invalid_state(reason));
        return Ok(None);
    }
    Ok(Some(stored))
}

/// The variables of a report; if they are no document, the command is refused.
fn document(p: &mut Processing, command: &Command, variables: &str) -> Option<Document> {
    Document::from_client(variables)
        .map_err(|rejection| p.reject(command, rejection))
        .ok()
}

fn complete(p: &mut Processing, command: &Command, value: &values::Job) -> Result<()> {
    let Some(stored) = reported(p, command, "complete job")? else {
        return Ok(());
    };
    if document(p, command, &value.variables).is_none() {
        return Ok(());
    }
    let instance = p.existing_instance(Key(stored.job.element_instance_key))?;
    jobs::delete(p.txn, command.key, &stored);
    p.instances
        .change(instance.key, |instance| instance.job_key = Key::NONE);
    let job = values::Job {
        variables: value.variables.clone(),
        ..stored.job
    };
    p.event(command.key, JobIntent::Completed, job.clone());
    match job.kind() {
        JobKind::ExecutionListener => listeners::job_completed(p, &instance, &value.variables)?,
        JobKind::BpmnElement => {
            events::queue(p, &instance, instance.element, &value.variables)?;
            lifecycle::schedule_completion(p, &instance);
        }
    }
    p.respond(command.key, JobIntent::Completed, job);
    Ok(())
}

fn fail(p: &mut Processing, command: &Command, value: &values::Job) -> Result<()> {
    let Some(before) = reported(p, command, "fail job")? else {
        return Ok(());
    };
    let Some(document) = document(p, command, &value.variables) else {
        return Ok(());
    };
    let backs_off = value.retries > 0 && value.retry_back_off > 0;
    let state = if value.retries > 0 && !backs_off {
        JobState::Activatable
    } else {
        JobState::Failed
    };
    let job = values::Job {
        retries: value.retries,
        retry_back_off: value.retry_back_off,
        recurring_time: if backs_off {
            p.now().saturating_add(value.retry_back_off)
        } else {
            -1
        },
        error_message: incidents::shortened(value.error_message.clone()),
        deadline: -1,
        worker: String::new(),
        ..before.job.clone()
    };
    let after = StoredJob {
        state: state.into(),
        job,
    };
    let failed = values::Job {
        variables: value.variables.clone(),
        deadline: before.job.deadline,
        worker: before.job.worker.clone(),
        ..after.job.clone()
    };
    p.event(command.key, JobIntent::Failed, failed.clone());
    behaviour::change(p, command.key, &before, &after);
    let instance = p.existing_instance(Key(after.job.element_instance_key))?;
    variables::merge_local(p, instance.key, document)?;
    if after.job.retries <= 0 {
        let message = match after.job.error_message.as_str() {
            "" => "No more retries left.",
            message => message,
        };
        let error_type = match after.job.kind() {
            JobKind::BpmnElement => IncidentErrorType::JobNoRetries,
            JobKind::ExecutionListener => IncidentErrorType::ExecutionListenerNoRetries,
        };
        let failure = Failure::new(error_type, message);
        incidents::raise(p, &instance, command.key, failure)?;
    }
    p.respond(command.key, JobIntent::Failed, failed);
    Ok(())
}

fn throw_error(p: &mut Processing, command: &Command, value: &values::Job) -> Result<()> {
    let Some(before) = reported(p, command, "throw an error for job")? else {
        return Ok(());
    };
    if document(p, command, &value.variables).is_none() {
        return Ok(());
    }
    let job = values::Job {
        error_code: value.error_code.clone(),
        error_message: incidents::shortened(value.error_message.clone()),
        variables: value.variables.clone(),
        ..before.job.clone()
    };
    let instance = p.existing_instance(Key(before.job.element_instance_key))?;
    p.event(command.key, JobIntent::ErrorThrown, job.clone());
    let caught = match job.kind() {
        JobKind::BpmnElement => errors::find(p, &instance, &value.error_code)?,
        // Its element is not at work, and so throws no error.
        JobKind::ExecutionListener => Caught::Nowhere(Vec::new()),
    };
    match caught {
        Caught::By { catcher, event } => {
            jobs::delete(p.txn, command.key, &before);
            p.instances
                .change(instance.key, |instance| instance.job_key = Key::NONE);
            events::trigger_open(p, &catcher, event, &value.variables)?;
        }
        Caught::Nowhere(available) => {
            let mut after = StoredJob {
                state: JobState::ErrorThrown.into(),
                job: job.clone(),
            };
            after.job.deadline = -1;
            after.job.variables = String::new();
            behaviour::change(p, command.key, &before, &after);
            let failure = errors::uncaught(&job.error_code, &job.error_message, &available);
            incidents::raise(p, &instance, command.key, failure)?;
        }
    }
    p.respond(command.key, JobIntent::ErrorThrown, job);
    Ok(())
}

fn update_retries(p: &mut Processing, command: &Command, value: &values::Job) -> Result<()> {
    let lead = format!(
        "Expected to update retries for job with key '{}'",
        command.key
    );
    if value.retries <= 0 {
        let given = value.retries;
        let reason =
            format!("{lead} with a positive amount of retries, but the amount given was '{given}'");
        p.reject(command, Rejection::invalid_argument(reason));
        return Ok(());
    }
    let Some(before) = jobs::get(p.txn, command.key)? else {
        p.reject(
            command,
            Rejection::not_found(format!("{lead}, but no such job was found")),
        );
        return Ok(());
    };
    if banned::refuses(p, command, before.job.process_instance_key)? {
        return Ok(());
    }
    let mut after = before.clone();
    after.job.retries = value.retries;
    behaviour::change(p, command.key, &before, &after);
    p.event(command.key, JobIntent::RetriesUpdated, after.job.clone());
    p.respond(command.key, JobIntent::RetriesUpdated, after.job);
    Ok(())
}

fn update_timeout(p: &mut Processing, command: &Command, value: &values::Job) -> Result<()> {
    let Some(before) = jobs::get(p.txn, command.key)? else {
        let reason = format!(
            "Expected to update job deadline with key '{}', but no such job was found",
            command.key
        );
        p.reject(command, Rejection::not_found(reason));
        return Ok(());
    };
    if banned::refuses(p, command, before.job.process_instance_key)? {
        return Ok(());
    }
    if before.state() != JobState::Activated {
        let reason = format!(
            "Expected to update the timeout of job with key '{}', but it is not active",
            command.key
        );
        p.reject(command, Rejection::invalid_state(reason));
        return Ok(());
    }
    let mut after = before.clone();
    after.job.timeout = value.timeout;
    after.job.deadline = p.now().saturating_add(value.timeout);
    behaviour::change(p, command.key, &before, &after);
    p.event(command.key, JobIntent::TimeoutUpdated, after.job.clone());
    p.respond(command.key, JobIntent::TimeoutUpdated, after.job);
    Ok(())
}

/// The worker that a job was pushed to did not take it: another one may have it.
fn give_back(p: &mut Processing, command: &Command) -> Result<()> {
    let lead = format!("Expected to yield job with key '{}'", command.key);
    let Some(before) = jobs::get(p.txn, command.key)? else {
        let reason = format!("{lead}, but no such job was found");
        p.reject(command, Rejection::not_found(reason));
        return Ok(());
    };
    if banned::refuses(p, command, before.job.process_instance_key)? {
        return Ok(());
    }
    if before.state() != JobState::Activated {
        let reason = format!("{lead}, but it is in state '{}'", before.state().name());
        p.reject(command, Rejection::invalid_state(reason));
        return Ok(());
    }
    let mut after = before.clone();
    after.state = JobState::Activatable.into();
    after.job.deadline = -1;
    after.job.worker = String::new();
    p.event(command.key, JobIntent::Yielded, before.job.clone());
    behaviour::change(p, command.key, &before, &after);
    p.respond(command.key, JobIntent::Yielded, after.job);
    Ok(())
}

/// The lock of a job has ended: another worker may have it.
fn time_out(p: &mut Processing, command: &Command) -> Result<()> {
    let stored = jobs::get(p.txn, command.key)?;
    let due = stored
        .as_ref()
        .filter(|stored| stored.state() == JobState::Activated && stored.job.deadline <= p.now());
    let Some(before) = due else {
        return refuse_time(p, command, "time out", stored.as_ref());
    };
    let before = before.clone();
    p.event(command.key, JobIntent::TimedOut, before.job.clone());
    let mut after = before.clone();
    after.state = JobState::Activatable.into();
    after.job.deadline = -1;
    after.job.worker = String::new();
    behaviour::change(p, command.key, &before, &after);
    Ok(())
}

/// The back-off of a failed job has ended.
fn recur(p: &mut Processing, command: &Command) -> Result<()> {
    let stored = jobs::get(p.txn, command.key)?;
    let due = stored.as_ref().filter(|stored| {
        stored.state() == JobState::Failed && (0..=p.now()).contains(&stored.job.recurring_time)
    });
    let Some(before) = due else {
        return refuse_time(p, command, "recur after its back-off", stored.as_ref());
    };
    let before = before.clone();
    let mut after = before.clone();
    after.state = JobState::Activatable.into();
    after.job.recurring_time = -1;
    behaviour::change(p, command.key, &before, &after);
    p.event(command.key, JobIntent::RecurredAfterBackoff, before.job);
    Ok(())
}

fn refuse_time(
    p: &mut Processing,
    command: &Command,
    action: &str,
    stored: Option<&StoredJob>,
) -> Result<()> {
    let lead = format!("Expected job with key '{}' to {action}", command.key);
    let rejection = match stored {
        None => Rejection::not_found(format!("{lead}, but no such job was found")),
        Some(stored) => {
            let state = stored.state().name();
            Rejection::invalid_state(format!(
                "{lead}, but it is in state '{state}' or its time has not come"
            ))
        }
    };
    p.reject(command, rejection);
    Ok(())
}
