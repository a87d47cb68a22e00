//! Events: triggers accepted by an element instance, and what they set going.
//!
//! A trigger is queued in the event scope of the element instance that catches it (TRIGGERING) and taken out when it is handled
//! (TRIGGERED), which may be after other elements were ended.

use skep_bpmn::model::{Element, ElementIndex, ElementKind};
use skep_protocol::{Key, ProcessEventIntent, values};

use crate::behaviours::{event_sub_processes, lifecycle, variables};
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

/// Triggers an event, if it is still waited for: the element instance's own, one of its boundary events, the start of an event
/// sub-process in it, or one behind it if it is an event-based gateway.
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
    if event.index != instance.element {
        return Ok(open(p, instance)?.contains(&event.index));
    }
    Ok(is_in_open_scope(p, instance)?
        && instance.state == ElementState::Activated
        && instance.interrupted_by.is_none()
        && !is_queued(p, instance, event.index)?)
}

fn is_in_open_scope(p: &mut Processing, instance: &ElementInstance) -> Result<bool> {
    if !instance.flow_scope_key.is_some() {
        return Ok(true);
    }
    let scope = p.existing_instance(instance.flow_scope_key)?;
    Ok(scope.admits(instance.element))
}

/// The events beside its own work that can still be triggered in an element instance: starts of event sub-processes, from the
/// inside, then boundary events.
pub(crate) fn open(p: &mut Processing, instance: &ElementInstance) -> Result<Vec<ElementIndex>> {
    let mut found = Vec::new();
    if instance.state == ElementState::Terminating || !is_in_open_scope(p, instance)? {
        return Ok(found);
    }
    if instance.state == ElementState::Activated
        && instance.interrupted_by.is_none()
        && !instance.finishes_early
    {
        found.extend(instance.event_sub_process_starts());
        if !instance.has_triggers {
            found.extend(instance.events_behind_gateway());
        }
    }
    if !instance.is_interrupted_from_outside() {
        found.extend(instance.boundary_events());
    }
    Ok(found)
}

/// Triggers an event that is known to be waited for.
pub(crate) fn trigger_open(
    p: &mut Processing,
    instance: &ElementInstance,
    event: ElementIndex,
    variables: &str,
) -> Result<()> {
    queue(p, instance, event, variables)?;
    let instance = p.existing_instance(instance.key)?;
    match &instance.process.element(event).kind {
        ElementKind::BoundaryEvent(boundary) if boundary.interrupting => {
            p.instances.change(instance.key, |instance| {
                instance.interrupted_by = Some(event)
            });
            lifecycle::schedule_termination(p, &instance);
        }
        ElementKind::BoundaryEvent(_) => {
            if let Some(variables) = take(p, &instance, event)? {
                activate_boundary_event(p, instance.flow_scope_key, event, variables)?;
            }
        }
        ElementKind::StartEvent(start) => {
            event_sub_processes::triggered(p, &instance, event, start.interrupting)?;
        }
        _ => lifecycle::schedule_completion(p, &instance),
    }
    Ok(())
}

/// Lets the oldest trigger of an event wait in another scope: that of the event sub-process that it begins.
pub(crate) fn hand_over(
    p: &mut Processing,
    from: &ElementInstance,
    to: &ElementInstance,
    event: ElementIndex,
) -> Result<()> {
    let id = &from.process.element(event).id;
    let queued = event_triggers::of_scope(p.txn, from.key)?;
    let is_last = queued.len() == 1;
    let found = queued
        .into_iter()
        .find(|(_, trigger)| *trigger.target_element_id == **id);
    if let Some((key, mut value)) = found {
        event_triggers::delete(p.txn, from.key, key);
        p.instances
            .change(from.key, |from| from.has_triggers = !is_last);
        value.scope_key = to.key.0;
        event_triggers::create(p.txn, key, &value);
        p.instances.change(to.key, |to| to.has_triggers = true);
    }
    Ok(())
}

/// The event whose trigger has waited longest in a scope.
pub(crate) fn first_queued(
    p: &mut Processing,
    scope: &ElementInstance,
) -> Result<Option<ElementIndex>> {
    let queued = event_triggers::of_scope(p.txn, scope.key)?;
    let event = queued
        .first()
        .and_then(|(_, trigger)| scope.process.element_by_id(&trigger.target_element_id));
    Ok(event.map(|event| event.index))
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

/// Whether a trigger of an event waits in a scope.
pub(crate) fn is_queued(
    p: &mut Processing,
    scope: &ElementInstance,
    event: ElementIndex,
) -> Result<bool> {
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
