//! The embedded sub-process: a scope that completes when nothing is left in it.

use skep_bpmn::model::{ElementIndex, Scope};
use skep_protocol::Key;

use crate::behaviours::incidents::Step;
use crate::behaviours::{incidents, lifecycle, subscriptions, variables};
use crate::instances::ElementInstance;
use crate::json::Document;
use crate::processing::{Processing, Result};

pub(crate) fn activate(p: &mut Processing, instance: &ElementInstance, scope: &Scope) -> Step<()> {
    subscriptions::open(p, instance)?;
    lifecycle::activated(p, instance);
    let start = scope
        .none_start
        .expect("an embedded sub-process has a none start event");
    lifecycle::schedule_activation(p, instance, start)?;
    Ok(())
}

/// ACTIVATING and ACTIVATED without its start event, for an instance that begins inside. Gives the key.
pub(crate) fn enter(p: &mut Processing, scope: Key, element: ElementIndex) -> Result<Key> {
    enter_with(p, scope, element, Vec::new())
}

/// [`enter`], with variables of its own.
pub(crate) fn enter_with(
    p: &mut Processing,
    scope: Key,
    element: ElementIndex,
    documents: Vec<Document>,
) -> Result<Key> {
    let scope = p.existing_instance(scope)?;
    let key = p.next_key()?;
    let instance = lifecycle::enter(p, key, &scope, element, 0);
    for document in documents {
        variables::merge_local(p, key, document)?;
    }
    let opened = subscriptions::open(p, &instance);
    incidents::raise_if_stopped(p, &instance, opened)?;
    lifecycle::activated(p, &instance);
    Ok(key)
}
