//! What has completed in a migrated scope, and can be undone by a handler.
//!
//! It moves along where the activity or its compensation event is mapped and the target has a handler for it. The rest can be undone
//! no more.

use skep_bpmn::model::{Element, ElementIndex, ElementKind, Trigger};
use skep_protocol::{CompensationSubscriptionIntent as Intent, Key, values};

use super::Migration;
use crate::instances::ElementInstance;
use crate::processing::{Processing, Result};
use crate::tables::compensation_subscriptions as subscriptions;

/// Moves what can be compensated in a scope, and in the scopes that have completed in it.
pub(super) fn migrate(
    p: &mut Processing,
    migration: &Migration,
    before: &ElementInstance,
    instance: &ElementInstance,
) -> Result<()> {
    if !before.process.has_compensation {
        return Ok(());
    }
    let mut scopes = vec![(instance.key, true)];
    while let Some((scope, is_kept)) = scopes.pop() {
        for key in subscriptions::of_scope(p.txn, scope)? {
            let Some(subscription) = subscriptions::get(p.txn, key)? else {
                continue;
            };
            let successor = successor(migration, before, &subscription).filter(|_| is_kept);
            if subscription.compensation_handler_id.is_empty() {
                let inside = Key(subscription.compensable_activity_instance_key);
                scopes.push((inside, successor.is_some()));
            }
            match successor {
                Some(successor) => subscriptions::update(p.txn, key, &successor),
                None => {
                    subscriptions::delete(p.txn, key, &subscription);
                    p.event(key, Intent::Deleted, subscription);
                }
            }
        }
    }
    Ok(())
}

fn successor(
    migration: &Migration,
    before: &ElementInstance,
    subscription: &values::CompensationSubscription,
) -> Option<values::CompensationSubscription> {
    let activity = before
        .process
        .element_by_id(&subscription.compensable_activity_id)?;
    let mut moved = subscription.clone();
    moved.process_definition_key = migration.target.key.0;
    let target = if subscription.compensation_handler_id.is_empty() {
        migration
            .target_of(activity)
            .filter(|target| target.scope().is_some() || target.multi_instance.is_some())?
    } else {
        let (target, handler) = compensated(migration, before, activity)?;
        moved.compensation_handler_id = handler.id.to_string();
        target
    };
    moved.compensable_activity_id = target.id.to_string();
    Some(moved)
}

/// What a compensable activity becomes, and its handler.
fn compensated<'m>(
    migration: &'m Migration,
    before: &ElementInstance,
    activity: &Element,
) -> Option<(&'m Element, &'m Element)> {
    let events = activity.boundary_events.iter();
    let mut events = events.map(|&event| before.process.element(event));
    let own = events.find(|event| matches!(event.trigger(), Some(Trigger::Compensation(_))))?;
    let by_event = migration.target_of(own).and_then(attached_to);
    let target = match by_event {
        Some(activity) => migration.target.element(activity),
        None => migration.target_of(activity)?,
    };
    let mut events = target.boundary_events.iter();
    let handler = events.find_map(|&event| match migration.target.element(event).trigger() {
        Some(Trigger::Compensation(handler)) => Some(*handler),
        _ => None,
    })?;
    Some((target, migration.target.element(handler)))
}

fn attached_to(event: &Element) -> Option<ElementIndex> {
    match &event.kind {
        ElementKind::BoundaryEvent(boundary) => Some(boundary.attached_to),
        _ => None,
    }
}
