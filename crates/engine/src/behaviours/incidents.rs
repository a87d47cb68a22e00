//! Incidents: raised where a step cannot be done, resolved by a person or with what they belong to.

use skep_protocol::values::{self, IncidentErrorType};
use skep_protocol::{IncidentIntent, Key};
use skep_state::StateError;

use crate::instances::ElementInstance;
use crate::limits;
use crate::processing::{Processing, Result};
use crate::tables::incidents;

/// A step that a person must mend.
#[derive(Debug)]
pub(crate) struct Failure {
    /// Kind of incident.
    pub error_type: IncidentErrorType,
    /// What went wrong.
    pub message: String,
}

/// Why a step ends early.
#[derive(Debug)]
pub(crate) enum Stop {
    /// The disk failed.
    State(StateError),
    /// An incident is to be raised.
    Incident(Failure),
}

/// Result of a part of a step that may need a person.
pub(crate) type Step<T> = std::result::Result<T, Stop>;

impl From<StateError> for Stop {
    fn from(error: StateError) -> Stop {
        Stop::State(error)
    }
}

impl Failure {
    /// A failure of that kind.
    pub fn new(error_type: IncidentErrorType, message: impl Into<String>) -> Failure {
        Failure {
            error_type,
            message: message.into(),
        }
    }

    /// Something evaluated to the wrong thing.
    pub fn extract_value(message: impl Into<String>) -> Stop {
        Stop::Incident(Failure::new(IncidentErrorType::ExtractValueError, message))
    }
}

/// Raises the incident of a step that stopped; gives the result if it did not.
pub(crate) fn raise_if_stopped<T>(
    p: &mut Processing,
    instance: &ElementInstance,
    step: Step<T>,
) -> Result<Option<T>> {
    match step {
        Ok(done) => Ok(Some(done)),
        Err(Stop::State(error)) => Err(error),
        Err(Stop::Incident(failure)) => {
            raise(p, instance, Key::NONE, failure)?;
            Ok(None)
        }
    }
}

/// Raises an incident of an element instance, or of its job if there is a job key. One that is open stands for all that is
/// wrong with its owner.
pub(crate) fn raise(
    p: &mut Processing,
    instance: &ElementInstance,
    job_key: Key,
    failure: Failure,
) -> Result<()> {
    let incident = values::Incident {
        error_type: failure.error_type.into(),
        error_message: shortened(failure.message),
        bpmn_process_id: instance.process.id.to_string(),
        process_definition_key: instance.process.key.0,
        process_instance_key: instance.process_instance_key.0,
        element_id: instance.element().id.to_string(),
        element_instance_key: instance.key.0,
        job_key: job_key.0,
        variable_scope_key: instance.key.0,
    };
    if incidents::of_owner(p.txn, incidents::owner(&incident))?.is_some() {
        return Ok(());
    }
    let key = p.next_key()?;
    incidents::create(p.txn, key, &incident);
    p.event(key, IncidentIntent::Created, incident);
    Ok(())
}

/// Resolves the incident of an element instance or job that has ended.
pub(crate) fn resolve_of(p: &mut Processing, owner: Key) -> Result<()> {
    if let Some(key) = incidents::of_owner(p.txn, owner)?
        && let Some(incident) = incidents::get(p.txn, key)?
    {
        resolve(p, key, incident);
    }
    Ok(())
}

/// Writes down that an incident is resolved.
pub(crate) fn resolve(p: &mut Processing, key: Key, incident: values::Incident) {
    incidents::delete(p.txn, key, &incident);
    p.event(key, IncidentIntent::Resolved, incident);
}

/// A message cut to what is kept of it, and marked as cut.
pub(crate) fn shortened(mut message: String) -> String {
    if let Some((end, _)) = message.char_indices().nth(limits::ERROR_MESSAGE_CHARS_MAX) {
        message.truncate(end);
        message.push_str("...");
    }
    message
}
