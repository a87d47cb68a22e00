//! Events: triggers accepted by an element instance, and what they set going.
//!
//! A trigger is queued in the event scope of the element instance that catches it (TRIGGERING) and taken out when it is handled
//! (TRIGGERED), which may be after other elements were ended.

use skep_bpmn::model::{Element, ElementIndex, ElementKind};
use skep_protocol::{Key, ProcessEventIntent, values};

use crate::behaviours::{lifecycle, variables};
use crate::instances::ElementInstance;
use crate::json::{Document, ObjectBuilder};
use crate::processing::{Processing, Result};
use crate::tables::element_instances::ElementState;
use crate::tables::event_triggers;

/// What became of a trigger.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trigger {
    /// It has been queued, and what follows from it is scheduled.
    Accepted,
    /// Nobody waits for it any more.
    Refused,
}

/// Triggers an event, if it is still waited for: the element instance's own, or one of its boundary events.
pub(crate) fn trigger(
    p: &mut Processing,
    element_instance: Key,
    catch_element_id: &str,
    variables: &str,
) -> Result<Trigger> {
    let Some(instance) = p.instance(element_instance)? else {
        return Ok(Trigger::Refused);
    };
    let Some(event) = instance.process.element_by_id(catch_element_id) else {
        return Ok(Trigger::Refused);
    };
    if !accepts(p, &instance, event)? {
        return Ok(Trigger::Refused);
    }
    trigger_open(p, &instance, event.index, variables)?;
    Ok(Trigger::Accepted)
}

/// Whether an element instance still waits for an event.
fn accepts(p: &mut Processing, instance: &ElementInstance, event: &Element) -> Result<bool> {
    if instance.interrupted_by.is_some() {
        return Ok(false);
    }
    let scope = p.existing_instance(instance.flow_scope_key)?;
    if !scope.admits(instance.element) {
        return Ok(false);
    }
    match &event.kind {
        ElementKind::BoundaryEvent(_) => Ok(instance.boundary_events().contains(&event.index)
            && instance.state != ElementState::Terminating),
        _ if event.index == instance.element => {
            Ok(instance.state == ElementState::Activated && !is_queued(p, instance, event.index)?)
        }
        _ => Ok(false),
    }
}

/// Triggers an event that is known to be waited for.
pub(crate) fn trigger_open(
    p: &mut Processing,
    instance: &ElementInstance,
    event: ElementIndex,
    variables: &str,
) -> Result<()> {
    queue(p, instance, event, variables)?;
    let ElementKind::BoundaryEvent(boundary) = &instance.process.element(event).kind else {
        lifecycle::schedule_completion(p, instance);
        return Ok(());
    };
    if boundary.interrupting {
        p.instances.change(instance.key, |instance| {
            instance.interrupted_by = Some(event)
        });
        lifecycle::schedule_termination(p, instance);
    } else if let Some(variables) = take(p, instance, event)? {
        activate_boundary_event(p, instance.flow_scope_key, event, variables)?;
    }
    Ok(())
}

/// The result of an element that does its work itself, to be taken when it completes, as what a trigger brings.
pub(crate) fn bring_result(
    p: &mut Processing,
    instance: &ElementInstance,
    variable: &str,
    json: &str,
) -> Result<()> {
    let mut document = ObjectBuilder::new();
    document.entry(variable, json);
    queue(p, instance, instance.element, &document.finish())
}

/// PROCESS_EVENT TRIGGERING.
pub(crate) fn queue(
    p: &mut Processing,
    scope: &ElementInstance,
    event: ElementIndex,
    variables: &str,
) -> Result<()> {
    let key = p.next_key()?;
    let value = values::ProcessEvent {
        scope_key: scope.key.0,
        target_element_id: scope.process.element(event).id.to_string(),
        variables: variables.to_owned(),
        process_definition_key: scope.process.key.0,
        process_instance_key: scope.process_instance_key.0,
    };
    event_triggers::create(p.txn, key, &value);
    p.instances
        .change(scope.key, |scope| scope.has_triggers = true);
    p.event(key, ProcessEventIntent::Triggering, value);
    Ok(())
}

fn is_queued(p: &mut Processing, scope: &ElementInstance, event: ElementIndex) -> Result<bool> {
    if !scope.has_triggers {
        return Ok(false);
    }
    let id = &scope.process.element(event).id;
    Ok(event_triggers::of_scope(p.txn, scope.key)?
        .iter()
        .any(|(_, trigger)| *trigger.target_element_id == **id))
}

/// PROCESS_EVENT TRIGGERED: takes the oldest trigger of an event out of its scope, and gives its variables.
pub(crate) fn take(
    p: &mut Processing,
    scope: &ElementInstance,
    event: ElementIndex,
) -> Result<Option<Document>> {
    let scope = p.existing_instance(scope.key)?;
    if !scope.has_triggers {
        return Ok(None);
    }
    let id = &scope.process.element(event).id;
    let queued = event_triggers::of_scope(p.txn, scope.key)?;
    let is_last = queued.len() == 1;
    let Some((key, value)) = queued
        .into_iter()
        .find(|(_, trigger)| *trigger.target_element_id == **id)
    else {
        return Ok(None);
    };
    event_triggers::delete(p.txn, scope.key, key);
    if is_last {
        p.instances
            .change(scope.key, |scope| scope.has_triggers = false);
    }
    let document =
        Document::parse(&value.variables).expect("documents are checked before they are queued");
    p.event(key, ProcessEventIntent::Triggered, value);
    Ok(Some(document))
}

/// Activates a boundary event, with the variables of its trigger as its own.
pub(crate) fn activate_boundary_event(
    p: &mut Processing,
    scope: Key,
    event: ElementIndex,
    variables: Document,
) -> Result<()> {
    let scope = p.existing_instance(scope)?;
    let key = p.next_key()?;
    let instance = lifecycle::enter(p, key, &scope, event, 0);
    variables::merge_local(p, key, variables)?;
    lifecycle::activated_and_done(p, &instance);
    Ok(())
}
