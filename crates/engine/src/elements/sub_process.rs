//! The embedded sub-process: a scope that completes when nothing is left in it.

use skep_bpmn::model::{ElementIndex, Scope};
use skep_protocol::Key;

use crate::behaviours::incidents::{Failure, Step, Stop};
use crate::behaviours::{lifecycle, subscriptions, variables};
use crate::instances::ElementInstance;
use crate::json::Document;
use crate::processing::Processing;

pub(crate) fn activate(p: &mut Processing, instance: &ElementInstance, scope: &Scope) -> Step<()> {
    subscriptions::open(p, instance)?;
    lifecycle::activated(p, instance);
    let start = scope
        .none_start
        .expect("an embedded sub-process has a none start event");
    lifecycle::schedule_activation(p, instance, start)?;
    Ok(())
}

/// ACTIVATING and ACTIVATED without its start event and start listeners, for an instance that begins inside. Gives the key.
pub(crate) fn enter(p: &mut Processing, scope: Key, element: ElementIndex) -> Step<Key> {
    enter_with(p, scope, element, Vec::new())
}

/// Opens the subscriptions of a scope that is entered directly.
pub(crate) fn open(p: &mut Processing, scope: &ElementInstance) -> Step<()> {
    subscriptions::open(p, scope).map_err(|stop| match stop {
        Stop::State(error) => Stop::State(error),
        Stop::Incident(failure) => {
            let id = &scope.element().id;
            let message = format!(
                "Expected to subscribe to catch event(s) of '{id}' but {}",
                failure.message
            );
            Stop::Incident(Failure::new(failure.error_type, message))
        }
    })
}

/// [`enter`], with variables of its own.
pub(crate) fn enter_with(
    p: &mut Processing,
    scope: Key,
    element: ElementIndex,
    documents: Vec<Document>,
) -> Step<Key> {
    let scope = p.existing_instance(scope)?;
    let key = p.next_key()?;
    let instance = lifecycle::enter(p, key, &scope, element, 0);
    for document in documents {
        variables::merge_local(p, key, document)?;
    }
    open(p, &instance)?;
    lifecycle::activated(p, &instance);
    Ok(key)
}
