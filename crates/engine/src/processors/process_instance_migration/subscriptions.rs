//! What a migrated element instance waits for beside its work: boundary events and the starts of event sub-processes.
//!
//! What is mapped goes on waiting as before: its timer is due at the same time, its message has the same correlation key. What is not
//! mapped is closed, and what only the target has is opened.

use std::collections::BTreeSet;

use skep_bpmn::model::EventType;
use skep_protocol::{Key, TimerIntent};

use super::Migration;
use crate::behaviours::{incidents, messages, signals, subscriptions, timers as timer_behaviour};
use crate::instances::ElementInstance;
use crate::processing::{Processing, Result};
use crate::tables::element_instances::ElementState;
use crate::tables::{process_message_subscriptions, signal_subscriptions, timers};

/// Moves what an element instance waited for to what it waits for now.
pub(super) fn migrate(
    p: &mut Processing,
    migration: &Migration,
    before: &ElementInstance,
    instance: &ElementInstance,
) -> Result<()> {
    if before.state != ElementState::Activated {
        // It opens them when its incident is resolved, or has closed them.
        return Ok(());
    }
    let mut kept = BTreeSet::new();
    migrate_timers(p, migration, instance, &mut kept)?;
    migrate_messages(p, migration, instance, &mut kept)?;
    migrate_signals(p, migration, instance, &mut kept)?;
    let opened = subscriptions::open_where(p, instance, &|event| !kept.contains(&*event.id));
    incidents::raise_if_stopped(p, instance, opened)?;
    Ok(())
}

/// The event that one of the source has become, if the target waits for the same kind there.
fn successor(
    migration: &Migration,
    instance: &ElementInstance,
    id: &str,
    kind: EventType,
) -> Option<String> {
    let mapped = migration.mapped(id)?;
    let is_awaited = subscriptions::waits_for(instance, mapped, kind);
    is_awaited.then(|| mapped.to_owned())
}

fn migrate_timers(
    p: &mut Processing,
    migration: &Migration,
    instance: &ElementInstance,
    kept: &mut BTreeSet<String>,
) -> Result<()> {
    for (key, timer) in timers::of_owner(p.txn, instance.key)? {
        let Some(id) = successor(
            migration,
            instance,
            &timer.target_element_id,
            EventType::Timer,
        ) else {
            let old = timer.target_element_id;
            timer_behaviour::cancel_where(p, instance.key, &|id| id == old)?;
            continue;
        };
        let mut moved = timer.clone();
        moved.target_element_id.clone_from(&id);
        moved.process_definition_key = instance.process.key.0;
        timers::delete(p.txn, key, &timer);
        timers::create(p.txn, key, &moved);
        p.event(key, TimerIntent::Migrated, moved);
        kept.insert(id);
    }
    Ok(())
}

/// The message's side knows the process id, so that it is told by closing and opening, in this order.
fn migrate_messages(
    p: &mut Processing,
    migration: &Migration,
    instance: &ElementInstance,
    kept: &mut BTreeSet<String>,
) -> Result<()> {
    let open = process_message_subscriptions::of(p.txn, instance.key)?;
    messages::close_where(p, instance.key, &|_| true)?;
    for (_, subscription) in open {
        if subscription.state == process_message_subscriptions::CLOSING {
            continue;
        }
        let Some(id) = successor(
            migration,
            instance,
            &subscription.element_id,
            EventType::Message,
        ) else {
            continue;
        };
        messages::open(
            p,
            instance.key,
            &instance.value(),
            &id,
            &subscription.message_name,
            &subscription.correlation_key,
            subscriptions::interrupts(instance, &id),
        )?;
        kept.insert(id);
    }
    Ok(())
}

fn migrate_signals(
    p: &mut Processing,
    migration: &Migration,
    instance: &ElementInstance,
    kept: &mut BTreeSet<String>,
) -> Result<()> {
    let open: Vec<(Key, _)> = signal_subscriptions::of(p.txn, instance.key)?;
    signals::close_where(p, instance.key, &|_| true)?;
    for (_, subscription) in open {
        let id = &subscription.catch_event_id;
        if let Some(id) = successor(migration, instance, id, EventType::Signal) {
            signals::open(p, instance, &id, &subscription.signal_name)?;
            kept.insert(id);
        }
    }
    Ok(())
}
