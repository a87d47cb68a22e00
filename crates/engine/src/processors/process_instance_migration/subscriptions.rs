//! What a migrated element instance waits for: its own event, those behind a gateway, boundary events and the starts of event
//! sub-processes.
//!
//! What is mapped goes on waiting as before: its timer is due at the same time, its message has the same name and correlation key.
//! What is not mapped is closed, and what only the target has is opened.

use skep_bpmn::model::EventType;
use skep_protocol::{SignalSubscriptionIntent, TimerIntent};

use super::{Migration, catch_events};
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
    if before.state == ElementState::Activating {
        return Ok(());
    }
    migrate_timers(p, migration, instance)?;
    migrate_messages(p, migration, instance)?;
    migrate_signals(p, migration, instance)?;
    if catch_events::opens(instance) {
        let is_new = |id: &str| !catch_events::is_goal(migration, id);
        let opened = subscriptions::open_where(p, instance, &|event| is_new(&event.id));
        incidents::raise_if_stopped(p, instance, opened)?;
    }
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
) -> Result<()> {
    for (key, timer) in timers::of_owner(p.txn, instance.key)? {
        let old = &timer.target_element_id;
        let Some(id) = successor(migration, instance, old, EventType::Timer) else {
            timer_behaviour::cancel_where(p, instance.key, &|id| id == old)?;
            continue;
        };
        let mut moved = timer.clone();
        moved.target_element_id = id;
        moved.process_definition_key = instance.process.key.0;
        timers::delete(p.txn, key, &timer);
        timers::create(p.txn, key, &moved);
        p.event(key, TimerIntent::Migrated, moved);
    }
    Ok(())
}

fn migrate_messages(
    p: &mut Processing,
    migration: &Migration,
    instance: &ElementInstance,
) -> Result<()> {
    let successor = |id: &str| successor(migration, instance, id, EventType::Message);
    messages::close_where(p, instance.key, &|id| successor(id).is_none())?;
    for (key, subscription) in process_message_subscriptions::of(p.txn, instance.key)? {
        if subscription.state == process_message_subscriptions::CLOSING {
            continue;
        }
        if let Some(id) = successor(&subscription.element_id) {
            let interrupting = subscriptions::interrupts(instance, &id);
            let process_id = &instance.process.id;
            messages::migrate(p, key, subscription, process_id, &id, interrupting)?;
        }
    }
    Ok(())
}

fn migrate_signals(
    p: &mut Processing,
    migration: &Migration,
    instance: &ElementInstance,
) -> Result<()> {
    let successor = |id: &str| successor(migration, instance, id, EventType::Signal);
    signals::close_where(p, instance.key, &|id| successor(id).is_none())?;
    for (key, mut subscription) in signal_subscriptions::of(p.txn, instance.key)? {
        if let Some(id) = successor(&subscription.catch_event_id) {
            subscription.catch_event_id = id;
            subscription.process_definition_key = instance.process.key.0;
            subscription.bpmn_process_id = instance.process.id.to_string();
            signal_subscriptions::update(p.txn, key, &subscription);
            p.event(key, SignalSubscriptionIntent::Migrated, subscription);
        }
    }
    Ok(())
}
