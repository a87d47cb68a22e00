//! INCIDENT: a person has mended what an incident told of.

use skep_protocol::values::{self, IncidentErrorType};
use skep_protocol::{Command, IncidentIntent, Key, Rejection, RejectionType, Response};

use crate::banned;
use crate::behaviours::{incidents as behaviour, jobs as jobs_behaviour, lifecycle};
use crate::instances::ElementInstance;
use crate::processing::{Processing, Result};
use crate::tables::element_instances::ElementState;
use crate::tables::incidents;
use crate::tables::jobs::{self, JobState, StoredJob};

/// Evaluates an INCIDENT command.
pub(crate) fn process(p: &mut Processing, command: &Command) -> Result<()> {
    let lead = format!("Expected to resolve incident with key '{}'", command.key);
    let Some(incident) = incidents::get(p.txn, command.key)? else {
        p.reject(
            command,
            Rejection::not_found(format!("{lead}, but no such incident was found")),
        );
        return Ok(());
    };
    if banned::refuses(p, command, incident.process_instance_key)? {
        return Ok(());
    }
    if incident.job_key > 0 {
        resolve_of_job(p, command, &lead, incident)
    } else {
        resolve_of_element(p, command, incident)
    }
}

fn resolve_of_job(
    p: &mut Processing,
    command: &Command,
    lead: &str,
    incident: values::Incident,
) -> Result<()> {
    let key = Key(incident.job_key);
    let before = jobs::get(p.txn, key)?;
    let before =
        before.unwrap_or_else(|| panic!("incident {} is of job {key}, which is gone", command.key));
    let needs_retries = matches!(
        incident.error_type(),
        IncidentErrorType::JobNoRetries | IncidentErrorType::ExecutionListenerNoRetries
    );
    if needs_retries && before.job.retries <= 0 {
        refuse_without_retries(p, command, lead, key);
        return Ok(());
    }
    answer(p, command, incident);
    let mut after = StoredJob {
        state: JobState::Activatable.into(),
        job: before.job.clone(),
    };
    after.job.recurring_time = -1;
    jobs_behaviour::change(p, key, &before, &after);
    Ok(())
}

/// The log says INVALID_STATE, the client NOT_FOUND: a quirk that Zeebe's clients know.
fn refuse_without_retries(p: &mut Processing, command: &Command, lead: &str, job: Key) {
    let reason = format!(
        "{lead}, but job with key '{job}' has no retries left. \
         Please update the job retries and retry resolving the incident"
    );
    let request = p.request.take();
    p.reject(command, Rejection::invalid_state(reason.clone()));
    if let Some(request) = request {
        let rejection = Rejection::new(RejectionType::NotFound, reason);
        p.outcome.responses.push(Response {
            request,
            result: Err(rejection),
        });
    }
}

fn resolve_of_element(
    p: &mut Processing,
    command: &Command,
    incident: values::Incident,
) -> Result<()> {
    let instance = p.existing_instance(Key(incident.element_instance_key))?;
    answer(p, command, incident);
    repeat(p, &instance);
    Ok(())
}

fn answer(p: &mut Processing, command: &Command, incident: values::Incident) {
    behaviour::resolve(p, command.key, incident.clone());
    p.respond(command.key, IncidentIntent::Resolved, incident);
}

/// Repeats the step that stopped.
fn repeat(p: &mut Processing, instance: &ElementInstance) {
    match instance.state {
        ElementState::Activating => {
            let intent = skep_protocol::ProcessInstanceIntent::ActivateElement;
            p.follow_up(Command::new(instance.key, intent, instance.value()));
        }
        ElementState::Completing => lifecycle::schedule_completion(p, instance),
        // It came up beside the element's own steps, which go on by themselves.
        ElementState::Created | ElementState::Activated | ElementState::Terminating => {}
    }
}
