//! Whether a process instance can go on with another definition.

use std::collections::BTreeMap;

use skep_bpmn::model::{Element, ElementKind, EventType, Process};
use skep_protocol::values::BpmnElementType;
use skep_protocol::{Rejection, values};

use super::{Checked, Migration, catch_events};
use crate::definitions::Definition;
use crate::instances::{ElementInstance, element_type, event_type};
use crate::processing::{Processing, Result};
use crate::tables::{event_triggers, message_start_events};

/// What is wrong with an element instance, as it stands behind [`lead`] and "but".
pub(super) type Possible = std::result::Result<(), String>;

fn lead(root: &ElementInstance) -> String {
    format!("Expected to migrate process instance '{}'", root.key)
}

/// A process that starts with messages has one instance for a correlation key, also by migration.
pub(super) fn correlation_key(
    p: &Processing,
    root: &ElementInstance,
    target: &Definition,
) -> Result<Option<Rejection>> {
    let mut starts = target.scope().start_events.iter();
    let is_message = |start: &Element| start.event_type() == Some(EventType::Message);
    if root.process.id == target.id || !starts.any(|&start| is_message(target.element(start))) {
        return Ok(None);
    }
    let Some(key) = message_start_events::started_for(p.txn, root.key)? else {
        return Ok(None);
    };
    if !message_start_events::is_started(p.txn, &target.id, &key)? {
        return Ok(None);
    }
    Ok(Some(Rejection::invalid_state(format!(
        "{} but target process definition '{}' has an active instance triggered by a message start event with correlation key \
         '{key}'. Only one instance per correlation key is allowed for message start events.",
        lead(root),
        target.key
    ))))
}

/// The mapping, if its elements exist and each is mapped once.
pub(super) fn mapping(
    root: &ElementInstance,
    target: &Definition,
    value: &values::ProcessInstanceMigration,
) -> Checked<BTreeMap<String, String>> {
    let lead = lead(root);
    let mut mapping = BTreeMap::new();
    let mut twice = Vec::new();
    for instruction in &value.mapping_instructions {
        let (source, goal) = (
            &instruction.source_element_id,
            &instruction.target_element_id,
        );
        if mapping.insert(source.clone(), goal.clone()).is_some() && !twice.contains(source) {
            twice.push(source.clone());
        }
    }
    if !twice.is_empty() {
        return Err(Rejection::invalid_argument(format!(
            "{lead} but the mapping instructions contain duplicate source element ids '[{}]'.",
            twice.join(", ")
        )));
    }
    exist(&lead, "source", &root.process, mapping.keys())?;
    exist(&lead, "target", target, mapping.values())?;
    Ok(mapping)
}

fn exist<'a>(
    lead: &str,
    which: &str,
    process: &Process,
    mut ids: impl Iterator<Item = &'a String>,
) -> Checked<()> {
    match ids.find(|id| process.element_by_id(id).is_none()) {
        None => Ok(()),
        Some(id) => Err(Rejection::invalid_argument(format!(
            "{lead} but mapping instructions contain a non-existing {which} element id '{id}'. \
             Elements provided in mapping instructions must exist in the {which} process definition."
        ))),
    }
}

/// Whether an element instance has something that it can become.
pub(super) fn instance(
    p: &mut Processing,
    root: &ElementInstance,
    instance: &ElementInstance,
    migration: &Migration,
) -> Result<Checked<()>> {
    let mut possible = element(instance, migration);
    if possible.is_ok() {
        possible = idle(p, instance)?;
    }
    if possible.is_ok()
        && let Some(after) = migration.become_of(instance)
    {
        possible = catch_events::subscribable(p, migration, instance, &after)?;
    }
    Ok(possible.map_err(|reason| Rejection::invalid_state(format!("{} but {reason}", lead(root)))))
}

fn element(instance: &ElementInstance, migration: &Migration) -> Possible {
    supported(instance)?;
    let (element, id) = (instance.element(), &instance.element().id);
    let Some(after) = migration.become_of(instance) else {
        return Err(format!(
            "no mapping instruction defined for active element with id '{id}'. Elements cannot be migrated without a mapping."
        ));
    };
    let target = after.element();
    // The body and its repetitions have one id.
    let is = match target.multi_instance.is_some() && !instance.is_repetition() {
        true => BpmnElementType::MultiInstanceBody,
        false => element_type(target),
    };
    let was = instance.element_type();
    if was != is {
        return Err(format!(
            "active element with id '{id}' and type '{}' is mapped to an element with id '{}' and different type '{}'. \
             Elements must be mapped to elements of the same type.",
            was.name(),
            target.id,
            is.name()
        ));
    }
    same_implementation(element, target)?;
    same_flow_scope(instance, target, migration)?;
    catch_events::attached(migration, instance, &after)?;
    same_loop(instance, target)
}

/// What has no state of its own beside what moves with it.
fn supported(instance: &ElementInstance) -> Possible {
    let (element, id) = (instance.element(), &instance.element().id);
    match &element.kind {
        _ if instance.is_body() => Ok(()),
        ElementKind::IntermediateCatchEvent(catch) => match element.event_type() {
            Some(EventType::Message | EventType::Timer | EventType::Signal)
                if catch.behind_event_based_gateway =>
            {
                Err(format!(
                    "active element with id '{id}' is an intermediate catch event attached to an event-based gateway. \
                     Migrating active events attached to an event-based gateway is not possible yet."
                ))
            }
            Some(EventType::Message | EventType::Timer | EventType::Signal) => Ok(()),
            _ => Err(format!(
                "active element with id '{id}' is intermediate catch event of type '{}'. \
                 Migrating active intermediate catch event of this type is not possible yet.",
                event_type(element).name()
            )),
        },
        ElementKind::Process(_)
        | ElementKind::SubProcess(_)
        | ElementKind::EventSubProcess(_)
        | ElementKind::ServiceTask(_)
        | ElementKind::SendTask(_)
        | ElementKind::UserTask(_)
        | ElementKind::ScriptTask(_)
        | ElementKind::BusinessRuleTask(_)
        | ElementKind::ReceiveTask(_)
        | ElementKind::CallActivity(_)
        | ElementKind::ExclusiveGateway(_)
        | ElementKind::EventBasedGateway(_) => Ok(()),
        _ => Err(format!(
            "active element with id '{id}' has an unsupported type. The migration of a {} is not supported.",
            element_type(element).name()
        )),
    }
}

fn same_implementation(element: &Element, target: &Element) -> Possible {
    let (ElementKind::UserTask(before), ElementKind::UserTask(after)) =
        (&element.kind, &target.kind)
    else {
        return Ok(());
    };
    if before.implementation == after.implementation {
        return Ok(());
    }
    Err(format!(
        "active user task with id '{}' and implementation '{}' is mapped to an user task with id '{}' and different implementation \
         '{}'. Elements must be mapped to elements of the same implementation.",
        element.id,
        before.implementation.name(),
        target.id,
        after.implementation.name()
    ))
}

fn same_flow_scope(
    instance: &ElementInstance,
    target: &Element,
    migration: &Migration,
) -> Possible {
    let Some(scope) = instance.element().flow_scope else {
        return Ok(());
    };
    let expected = migration.target_of(instance.process.element(scope));
    let expected = expected.map(|scope| &*scope.id);
    let found = target
        .flow_scope
        .map(|scope| &*migration.target.element(scope).id);
    if expected == found {
        return Ok(());
    }
    Err(format!(
        "the flow scope of active element with id '{}' is changed. The flow scope of the active element is expected to be '{}' \
         but was '{}'. The flow scope of an element cannot be changed during migration yet.",
        instance.element().id,
        expected.unwrap_or_default(),
        found.unwrap_or_default()
    ))
}

fn same_loop(instance: &ElementInstance, target: &Element) -> Possible {
    let is_sequential = |element: &Element| {
        let model = element.multi_instance.as_ref();
        model.is_some_and(|model| model.sequential)
    };
    let element = instance.element();
    if !instance.is_body() || is_sequential(element) == is_sequential(target) {
        return Ok(());
    }
    Err(format!(
        "active element with id '{}' has a different loop characteristics than the target element with id '{}'. \
         Both elements must have either sequential or parallel loop characteristics.",
        element.id, target.id
    ))
}

/// Whether nothing has begun that has not come to its end.
fn idle(p: &Processing, instance: &ElementInstance) -> Result<Possible> {
    let is_triggered =
        instance.has_triggers && !event_triggers::of_scope(p.txn, instance.key)?.is_empty();
    if instance.tokens == 0 && !is_triggered {
        return Ok(Ok(()));
    }
    Ok(Err(
        "a concurrent command was executed on the process instance. Please retry the migration."
            .to_owned(),
    ))
}
