//! Whether the events that an element instance waits for can go on with it.

use std::collections::{BTreeMap, BTreeSet};

use skep_bpmn::model::{Element, EventType};

use super::Migration;
use super::checks::Possible;
use crate::behaviours::incidents::Stop;
use crate::behaviours::subscriptions;
use crate::instances::{ElementInstance, event_type};
use crate::processing::{Processing, Result};
use crate::tables::element_instances::ElementState;
use crate::tables::{distributions, process_message_subscriptions};

/// Whether each mapped event stays at its element, alone and of its kind.
pub(super) fn attached(
    migration: &Migration,
    before: &ElementInstance,
    after: &ElementInstance,
) -> Possible {
    let (id, target_id) = (&before.element().id, &after.element().id);
    let mut sources: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    let mut mapped = Vec::new();
    for event in subscriptions::events(before) {
        let Some(target) = migration.target_of(event) else {
            continue;
        };
        sources.entry(&target.id).or_default().insert(&event.id);
        mapped.push((event, target));
    }
    let attached = subscriptions::events(after);
    for (event, target) in &mapped {
        if attached.iter().all(|other| other.index != target.index) {
            return Err(format!(
                "active element with id '{id}' is mapped to an element with id '{target_id}' and has a catch event with id '{}' that \
                 is mapped to a catch event with id '{}'. These mappings detach the catch event from the element in the target \
                 process. Catch events must stay attached to the same element instance.",
                event.id, target.id
            ));
        }
    }
    if let Some((target, several)) = sources.iter().find(|(_, sources)| sources.len() > 1) {
        let several: Vec<&str> = several.iter().copied().collect();
        return Err(format!(
            "active element with id '{id}' has a catch event attached that is mapped to a catch event with id '{target}'. There are \
             multiple mapping instructions that target this catch event: '{}'. Catch events cannot be merged by process instance \
             migration. Please ensure the mapping instructions target a catch event only once.",
            several.join("', '")
        ));
    }
    same_types(id, &mapped)?;
    no_compensation(id, "active", &subscriptions::events(before))?;
    no_compensation(target_id, "target", &attached)
}

fn same_types(id: &str, mapped: &[(&Element, &Element)]) -> Possible {
    for (event, target) in mapped {
        let (was, is) = (event_type(event), event_type(target));
        if was != is {
            return Err(format!(
                "active element with id '{id}' has a catch event with id '{}' that is mapped to a catch event with id '{}'. These \
                 catch events have different event types: '{}' and '{}'. The event type of a catch event cannot be changed by \
                 process instance migration. Please ensure the event type of the catch event remains the same or remove the \
                 mapping instruction for these catch events.",
                event.id,
                target.id,
                was.name(),
                is.name()
            ));
        }
    }
    Ok(())
}

/// As Zeebe 8.6, which moves no handlers along; later versions do.
fn no_compensation(id: &str, which: &str, events: &[&Element]) -> Possible {
    let mut events = events.iter();
    if events.all(|event| event.event_type() != Some(EventType::Compensation)) {
        return Ok(());
    }
    Err(format!(
        "{which} element with id '{id}' has one or more boundary events of types 'COMPENSATION'. \
         Migrating {which} elements with boundary events of these types is not possible yet."
    ))
}

/// Whether what only the target waits for can be waited for.
pub(super) fn subscribable(
    p: &mut Processing,
    migration: &Migration,
    before: &ElementInstance,
    after: &ElementInstance,
) -> Result<Possible> {
    if !opens(after) {
        return Ok(Ok(()));
    }
    let (id, target_id) = (&before.element().id, &after.element().id);
    let messages = match subscriptions::messages_of(p, after, &|event| {
        !is_goal(migration, &event.id)
    }) {
        Ok(messages) => messages,
        Err(Stop::State(error)) => return Err(error),
        Err(Stop::Incident(failure)) => {
            return Ok(Err(format!(
                "active element with id '{id}' is mapped to element with id '{target_id}' that must be subscribed to a catch \
                     event. {}",
                failure.message
            )));
        }
    };
    let open = process_message_subscriptions::of(p.txn, before.key)?;
    for (key, subscription) in &open {
        if !distributions::pending(p.txn, *key)?.is_empty() {
            return Ok(Err(format!(
                "active element with id '{id}' has a pending message subscription migration distribution for event with id '{}'.",
                subscription.element_id
            )));
        }
    }
    for (event, name) in messages {
        if open.iter().any(|(_, open)| open.message_name == name) {
            return Ok(Err(format!(
                "active element with id '{id}' attempts to subscribe to a message it is already subscribed to with name '{name}'. \
                 Migrating active elements that subscribe to a message they are already subscribed to is not possible yet. Please \
                 provide a mapping instruction to message catch event with id '{}' to migrate the respective message subscription.",
                event.id
            )));
        }
    }
    Ok(Ok(()))
}

/// Whether an element instance, as it goes on, is subscribed to events at all.
pub(super) fn opens(after: &ElementInstance) -> bool {
    // Before it is active it opens them itself, once its incident is resolved or its listeners have done their part.
    after.state != ElementState::Activating && after.interrupted_by.is_none()
}

/// Whether something is mapped to an event, so that it is not opened anew.
pub(super) fn is_goal(migration: &Migration, id: &str) -> bool {
    migration.mapping.values().any(|goal| goal == id)
}
