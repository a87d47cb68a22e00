//! Jobs of elements: creation, hand-back to the workers, cancelling.

use skep_bpmn::model::{Header, Job as JobModel};
use skep_protocol::{JobIntent, Key, values};

use crate::behaviours::expressions;
use crate::behaviours::incidents::{self, Step};
use crate::instances::ElementInstance;
use crate::json::{ObjectBuilder, string};
use crate::processing::{Processing, Result};
use crate::tables::jobs::{self, JobState, StoredJob};

/// The job of an element, its expressions evaluated.
pub(crate) fn prepare(
    p: &mut Processing,
    instance: &ElementInstance,
    model: &JobModel,
) -> Step<values::Job> {
    let job_type = expressions::name(p, instance.key, "job type", &model.job_type)?;
    let retries = expressions::number(p, instance.key, &model.retries)?;
    Ok(values::Job {
        job_type: job_type.to_string(),
        retries,
        deadline: -1,
        recurring_time: -1,
        custom_headers: headers(&model.headers),
        element_id: instance.element().id.to_string(),
        element_instance_key: instance.key.0,
        process_instance_key: instance.process_instance_key.0,
        bpmn_process_id: instance.process.id.to_string(),
        process_definition_version: instance.process.version,
        process_definition_key: instance.process.key.0,
        ..values::Job::default()
    })
}

/// JOB CREATED.
pub(crate) fn create(
    p: &mut Processing,
    instance: &ElementInstance,
    job: values::Job,
) -> Result<()> {
    let key = p.next_key()?;
    let stored = StoredJob {
        state: JobState::Activatable.into(),
        job,
    };
    jobs::create(p.txn, key, &stored);
    p.instances
        .change(instance.key, |instance| instance.job_key = key);
    announce(p, &stored.job.job_type);
    p.event(key, JobIntent::Created, stored.job);
    Ok(())
}

fn headers(headers: &[Header]) -> String {
    if headers.is_empty() {
        return String::new();
    }
    let mut object = ObjectBuilder::new();
    for header in headers {
        object.entry(&header.key, &string(&header.value));
    }
    object.finish()
}

/// Tells that a type has a job to be activated.
pub(crate) fn announce(p: &mut Processing, job_type: &str) {
    if !p
        .outcome
        .jobs_available
        .iter()
        .any(|other| other == job_type)
    {
        p.outcome.jobs_available.push(job_type.to_owned());
    }
}

/// Writes down how a job has changed.
pub(crate) fn change(p: &mut Processing, key: Key, before: &StoredJob, after: &StoredJob) {
    jobs::update(p.txn, key, before, after);
    if after.state() == JobState::Activatable && before.state() != JobState::Activatable {
        announce(p, &after.job.job_type);
    }
}

/// JOB CANCELED for the job of an element that ends.
pub(crate) fn cancel_of(p: &mut Processing, instance: &ElementInstance) -> Result<()> {
    let key = instance.job_key;
    if !key.is_some() {
        return Ok(());
    }
    if let Some(stored) = jobs::get(p.txn, key)? {
        jobs::delete(p.txn, key, &stored);
        p.event(key, JobIntent::Canceled, stored.job);
        incidents::resolve_of(p, key)?;
    }
    p.instances
        .change(instance.key, |instance| instance.job_key = Key::NONE);
    Ok(())
}
