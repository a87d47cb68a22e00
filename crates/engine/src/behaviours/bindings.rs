//! Bindings: which version of a process, decision or form an element means by its id.
//!
//! **Invariant**: which version that is is found out whenever the element is activated, and again when its incident is resolved.

use skep_bpmn::model::Binding;
use skep_protocol::Key;
use skep_protocol::values::IncidentErrorType;

use crate::behaviours::incidents::{Failure, Step, Stop};
use crate::instances::ElementInstance;
use crate::processing::{Processing, Result};
use crate::tables::{decisions, forms, processes};

/// What an element can be bound to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Bound {
    /// The process that a call activity calls.
    Process,
    /// The decision of a business rule task.
    Decision,
    /// The form of a user task.
    Form,
}

/// The key of what is meant by an id, or the incident that says that there is none.
pub(crate) fn find(
    p: &Processing,
    instance: &ElementInstance,
    what: Bound,
    id: &str,
    binding: &Binding,
) -> Step<Key> {
    let deployment = instance.process.deployment;
    let found = match binding {
        Binding::Latest => what.latest(p, id)?,
        Binding::Deployment => what.in_deployment(p, id, deployment)?,
        Binding::VersionTag(tag) => what.tagged(p, id, tag)?,
    };
    found.ok_or_else(|| {
        let message = match binding {
            Binding::Latest => what.no_latest(id),
            Binding::Deployment => what.none_in_deployment(id, deployment),
            Binding::VersionTag(tag) => what.none_tagged(id, tag),
        };
        Stop::Incident(Failure::new(what.error_type(), message))
    })
}

impl Bound {
    fn latest(self, p: &Processing, id: &str) -> Result<Option<Key>> {
        let latest = match self {
            Bound::Process => processes::latest(p.txn, id)?,
            Bound::Decision => decisions::latest(p.txn, id)?,
            Bound::Form => forms::latest(p.txn, id)?,
        };
        Ok(latest.map(|version| version.key()))
    }

    fn in_deployment(self, p: &Processing, id: &str, deployment: Key) -> Result<Option<Key>> {
        match self {
            Bound::Process => processes::in_deployment(p.txn, id, deployment),
            Bound::Decision => decisions::in_deployment(p.txn, id, deployment),
            Bound::Form => forms::in_deployment(p.txn, id, deployment),
        }
    }

    fn tagged(self, p: &Processing, id: &str, tag: &str) -> Result<Option<Key>> {
        match self {
            Bound::Process => processes::tagged(p.txn, id, tag),
            Bound::Decision => decisions::tagged(p.txn, id, tag),
            Bound::Form => forms::tagged(p.txn, id, tag),
        }
    }

    fn error_type(self) -> IncidentErrorType {
        match self {
            Bound::Process => IncidentErrorType::CalledElementError,
            Bound::Decision => IncidentErrorType::CalledDecisionError,
            Bound::Form => IncidentErrorType::FormNotFound,
        }
    }

    // Clients and operators know the texts from Zeebe.

    fn no_latest(self, id: &str) -> String {
        match self {
            Bound::Process => format!(
                "Expected process with BPMN process id '{id}' to be deployed, but not found."
            ),
            Bound::Decision => {
                format!("Expected to evaluate decision '{id}', but no decision found for id '{id}'")
            }
            Bound::Form => format!(
                "Expected to find a form with id '{id}', but no form with this id is found, at least a form with this id \
                 should be available. To resolve the Incident please deploy a form with the same id"
            ),
        }
    }

    fn none_in_deployment(self, id: &str, deployment: Key) -> String {
        let (asked, noun, wanted) = match self {
            Bound::Process => (
                "call process with BPMN process id",
                "process",
                "process definition to call",
            ),
            Bound::Decision => ("evaluate decision", "decision", "decision to evaluate"),
            Bound::Form => ("use a form with id", "form", "form to use"),
        };
        format!(
            "Expected to {asked} '{id}' with binding type 'deployment', but no such {noun} found in the deployment with key \
             {deployment} which contained the current process. To resolve this incident, migrate the process instance to a \
             process definition that is deployed together with the intended {wanted}."
        )
    }

    fn none_tagged(self, id: &str, tag: &str) -> String {
        let (asked, noun, incident, named) = match self {
            Bound::Process => (
                "call process with BPMN process id",
                "process",
                "this incident",
                "process id",
            ),
            Bound::Decision => (
                "evaluate decision with id",
                "decision",
                "this incident",
                "id",
            ),
            Bound::Form => ("use a form with id", "form", "the incident", "id"),
        };
        format!(
            "Expected to {asked} '{id}' and version tag '{tag}', but no such {noun} found. \
             To resolve {incident}, deploy a {noun} with the given {named} and version tag."
        )
    }
}
