//! Jobs of elements: creation, hand-back to the workers, cancelling.

use skep_bpmn::model::{ExecutionListener, Header, Job as JobModel, ListenerEvent, Number, Text};
use skep_protocol::values::{JobKind, JobListenerEventType};
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
    prepare_from(p, instance, &model.job_type, &model.retries, &model.headers)
}

/// The job of an execution listener, its expressions evaluated.
pub(crate) fn prepare_listener(
    p: &mut Processing,
    instance: &ElementInstance,
    listener: &ExecutionListener,
) -> Step<values::Job> {
    let headers = instance.element().job().map(|job| &job.headers[..]);
    let job = prepare_from(
        p,
        instance,
        &listener.job_type,
        &listener.retries,
        headers.unwrap_or_default(),
    )?;
    let event = match listener.event {
        ListenerEvent::Start => JobListenerEventType::Start,
        ListenerEvent::End => JobListenerEventType::End,
    };
    Ok(values::Job {
        kind: JobKind::ExecutionListener.into(),
        listener_event_type: event.into(),
        ..job
    })
}

fn prepare_from(
    p: &mut Processing,
    instance: &ElementInstance,
    job_type: &Text,
    retries: &Number,
    headers: &[Header],
) -> Step<values::Job> {
    let job_type = expressions::name(p, instance.key, "job type", job_type)?;
    let retries = expressions::number(p, instance.key, retries)?;
    let headers = headers_document(headers);
    Ok(of_element(instance, job_type.to_string(), retries, headers))
}

/// A job that an element instance waits for.
pub(crate) fn of_element(
    instance: &ElementInstance,
    job_type: String,
    retries: i32,
    custom_headers: String,
) -> values::Job {
    values::Job {
        job_type,
        retries,
        deadline: -1,
        recurring_time: -1,
        custom_headers,
        element_id: instance.element().id.to_string(),
        element_instance_key: instance.key.0,
        process_instance_key: instance.process_instance_key.0,
        bpmn_process_id: instance.process.id.to_string(),
        process_definition_version: instance.process.version,
        process_definition_key: instance.process.key.0,
        ..values::Job::default()
    }
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

/// Headers as a JSON object.
pub(crate) fn headers_document(headers: &[Header]) -> String {
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
