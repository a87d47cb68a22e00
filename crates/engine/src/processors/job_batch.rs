//! JOB_BATCH: a worker asks for jobs.

use prost::Message;
use skep_protocol::values::{self, ActivatedJob, IncidentErrorType, JobBatch};
use skep_protocol::{Command, JobBatchIntent, Key, RecordValue, Rejection};

use crate::behaviours::incidents::{self, Failure};
use crate::behaviours::{jobs as behaviour, variables};
use crate::limits;
use crate::processing::{Processing, Result};
use crate::tables::jobs::{self, JobState, StoredJob};

/// Jobs looked up at once: few queues are longer than what one worker asks for.
const LOOKED_UP_AT_ONCE: usize = 64;

/// Evaluates a JOB_BATCH command.
pub(crate) fn process(p: &mut Processing, command: &Command) -> Result<()> {
    let RecordValue::JobBatch(value) = &command.value else {
        unreachable!("a JOB_BATCH command carries a job batch");
    };
    if let Some(rejection) = invalid(value) {
        p.reject(command, rejection);
        return Ok(());
    }
    let key = p.next_key()?;
    let mut batch = JobBatch {
        jobs: Vec::new(),
        truncated: false,
        ..value.clone()
    };
    collect(p, &mut batch)?;
    p.event(key, JobBatchIntent::Activated, batch.clone());
    p.respond(key, JobBatchIntent::Activated, batch);
    Ok(())
}

fn invalid(value: &JobBatch) -> Option<Rejection> {
    let lead = "Expected to activate job batch with";
    let reason = if value.max_jobs_to_activate < 1 {
        format!(
            "{lead} max jobs to activate to be greater than zero, but it was '{}'",
            value.max_jobs_to_activate
        )
    } else if value.timeout < 1 {
        format!(
            "{lead} timeout to be greater than zero, but it was '{}'",
            value.timeout
        )
    } else if value.job_type.is_empty() {
        format!("{lead} type to be present, but it was blank")
    } else {
        return None;
    };
    Some(Rejection::invalid_argument(reason))
}

/// Takes jobs, oldest first, until there are enough, no more, or the answer is full.
fn collect(p: &mut Processing, batch: &mut JobBatch) -> Result<()> {
    let wanted = usize::try_from(batch.max_jobs_to_activate).unwrap_or(0);
    let deadline = p.now().saturating_add(batch.timeout);
    let (mut from, mut bytes) = (Key(0), 0);
    while batch.jobs.len() < wanted {
        let limit = LOOKED_UP_AT_ONCE.min(wanted - batch.jobs.len());
        let keys = jobs::activatable(p.txn, &batch.job_type, from, limit)?;
        for &key in &keys {
            let before = jobs::get(p.txn, key)?;
            let before =
                before.unwrap_or_else(|| panic!("job {key} is in a queue but does not exist"));
            // Its worker could not complete it.
            if p.banned
                .contains(p.txn, Key(before.job.process_instance_key))?
            {
                continue;
            }
            let job = with_variables(p, &before, batch, deadline)?;
            let job_bytes = job.encoded_len() + 16;
            if bytes + job_bytes <= limits::JOB_BATCH_BYTES_MAX {
                bytes += job_bytes;
                activate(p, key, &before, &job);
                batch.jobs.push(ActivatedJob {
                    key: key.0,
                    job: Some(job),
                });
            } else if batch.jobs.is_empty() {
                too_large(p, key, &before, job_bytes)?;
            } else {
                batch.truncated = true;
                return Ok(());
            }
        }
        match keys.last() {
            Some(last) if keys.len() == limit => from = Key(last.0 + 1),
            _ => return Ok(()),
        }
    }
    Ok(())
}

fn with_variables(
    p: &mut Processing,
    stored: &StoredJob,
    batch: &JobBatch,
    deadline: i64,
) -> Result<values::Job> {
    let element_instance = Key(stored.job.element_instance_key);
    Ok(values::Job {
        deadline,
        worker: batch.worker.clone(),
        timeout: batch.timeout,
        variables: variables::visible_document(p, element_instance, &batch.fetch_variables)?,
        ..stored.job.clone()
    })
}

fn activate(p: &mut Processing, key: Key, before: &StoredJob, job: &values::Job) {
    let stored = values::Job {
        variables: String::new(),
        ..job.clone()
    };
    jobs::update(
        p.txn,
        key,
        before,
        &StoredJob {
            state: JobState::Activated.into(),
            job: stored,
        },
    );
}

/// A job that no answer can hold waits for a person.
fn too_large(p: &mut Processing, key: Key, before: &StoredJob, bytes: usize) -> Result<()> {
    let after = StoredJob {
        state: JobState::Failed.into(),
        job: before.job.clone(),
    };
    behaviour::change(p, key, before, &after);
    let instance = p.existing_instance(Key(before.job.element_instance_key))?;
    let message = format!(
        "The job with key '{key}' can not be activated, because with {bytes} bytes it is larger than the \
         configured message size of {} bytes. Try to reduce the size by reducing the number of fetched variables \
         or modifying the variable values.",
        limits::JOB_BATCH_BYTES_MAX
    );
    incidents::raise(
        p,
        &instance,
        key,
        Failure::new(IncidentErrorType::MessageSizeExceeded, message),
    )
}
