//! What an element instance waits for beside its work: its own event, its boundary events, and the start events of the event
//! sub-processes in it.
//!
//! All expressions are evaluated before the first subscription is opened, so that a failure opens none.

use std::sync::Arc;

use skep_bpmn::model::{Element, ElementKind, EventType, Trigger};
use skep_protocol::Key;

use crate::behaviours::incidents::Step;
use crate::behaviours::timers::{self, Schedule};
use crate::behaviours::{expressions, messages, signals};
use crate::instances::ElementInstance;
use crate::processing::{Processing, Result};

/// A subscription that can be opened.
enum Prepared<'a> {
    Timer {
        target: &'a Element,
        schedule: Schedule,
    },
    Signal {
        target: &'a Element,
        name: Arc<str>,
    },
    Message {
        target: &'a Element,
        name: String,
        correlation_key: String,
        interrupting: bool,
    },
}

/// An event that an element instance waits for.
struct Awaited<'a> {
    event: &'a Element,
    /// Scope in which its expressions are evaluated.
    scope: Key,
    interrupting: bool,
}

/// All that an element instance waits for.
fn awaited(instance: &ElementInstance) -> Vec<Awaited<'_>> {
    let mut found = Vec::new();
    let own = instance.awaits_itself().then_some(&instance.element);
    for &index in own.into_iter().chain(instance.events_behind_gateway()) {
        found.push(Awaited {
            event: instance.process.element(index),
            scope: instance.key,
            interrupting: true,
        });
    }
    for &index in instance.boundary_events() {
        let event = instance.process.element(index);
        if let ElementKind::BoundaryEvent(boundary) = &event.kind {
            // Seen from outside: local variables of the activity are none of a boundary event's.
            found.push(Awaited {
                event,
                scope: instance.flow_scope_key,
                interrupting: boundary.interrupting,
            });
        }
    }
    for index in instance.event_sub_process_starts() {
        let event = instance.process.element(index);
        if let ElementKind::StartEvent(start) = &event.kind {
            found.push(Awaited {
                event,
                scope: instance.key,
                interrupting: start.interrupting,
            });
        }
    }
    found
}

/// The events that belong to an element instance, whether or not it is subscribed to them.
pub(crate) fn events(instance: &ElementInstance) -> Vec<&Element> {
    let awaited = awaited(instance).into_iter();
    awaited.map(|awaited| awaited.event).collect()
}

/// Whether an element instance waits for an event of that kind.
pub(crate) fn waits_for(instance: &ElementInstance, event_id: &str, kind: EventType) -> bool {
    let is_of_kind = |event: &Element| match kind {
        EventType::Message => event.awaited_message().is_some(),
        _ => event.event_type() == Some(kind),
    };
    let mut events = events(instance).into_iter();
    events.any(|event| *event.id == *event_id && is_of_kind(event))
}

/// Whether an event that an element instance waits for interrupts it.
pub(crate) fn interrupts(instance: &ElementInstance, event_id: &str) -> bool {
    let found = awaited(instance);
    found
        .iter()
        .any(|awaited| *awaited.event.id == *event_id && awaited.interrupting)
}

/// Opens all subscriptions of an element instance.
pub(crate) fn open(p: &mut Processing, instance: &ElementInstance) -> Step<()> {
    open_where(p, instance, &|_| true)
}

/// Opens the subscriptions of an element instance to those events.
pub(crate) fn open_where(
    p: &mut Processing,
    instance: &ElementInstance,
    is_meant: &dyn Fn(&Element) -> bool,
) -> Step<()> {
    for subscription in prepare_where(p, instance, is_meant)? {
        match subscription {
            Prepared::Timer { target, schedule } => {
                timers::create(p, instance, &target.id, schedule)?
            }
            Prepared::Signal { target, name } => signals::open(p, instance, &target.id, &name)?,
            Prepared::Message {
                target,
                name,
                correlation_key,
                interrupting,
            } => {
                let value = instance.value();
                messages::open(
                    p,
                    instance.key,
                    &value,
                    &target.id,
                    &name,
                    &correlation_key,
                    interrupting,
                )?;
            }
        }
    }
    Ok(())
}

/// The messages that [`open_where`] would wait for, each with the event that it would wait at.
pub(crate) fn messages_of<'a>(
    p: &mut Processing,
    instance: &'a ElementInstance,
    is_meant: &dyn Fn(&Element) -> bool,
) -> Step<Vec<(&'a Element, String)>> {
    let prepared = prepare_where(p, instance, is_meant)?.into_iter();
    let messages = prepared.filter_map(|subscription| match subscription {
        Prepared::Message { target, name, .. } => Some((target, name)),
        Prepared::Timer { .. } | Prepared::Signal { .. } => None,
    });
    Ok(messages.collect())
}

fn prepare_where<'a>(
    p: &mut Processing,
    instance: &'a ElementInstance,
    is_meant: &dyn Fn(&Element) -> bool,
) -> Step<Vec<Prepared<'a>>> {
    let mut prepared = Vec::new();
    for awaited in awaited(instance) {
        if is_meant(awaited.event) {
            let Awaited {
                event,
                scope,
                interrupting,
            } = awaited;
            prepare(p, scope, event, interrupting, &mut prepared)?;
        }
    }
    Ok(prepared)
}

fn prepare<'a>(
    p: &mut Processing,
    scope: Key,
    event: &'a Element,
    interrupting: bool,
    prepared: &mut Vec<Prepared<'a>>,
) -> Step<()> {
    if let Some(message) = event.awaited_message() {
        let name = expressions::name(p, scope, "message name", &message.name)?.to_string();
        let correlation_key = match &message.correlation_key {
            Some(expression) => expressions::correlation_key(p, scope, expression)?,
            None => String::new(),
        };
        prepared.push(Prepared::Message {
            target: event,
            name,
            correlation_key,
            interrupting,
        });
    }
    if let Some(Trigger::Timer(timer)) = event.trigger()
        && let Some(schedule) = timers::schedule(p, scope, timer)?
    {
        prepared.push(Prepared::Timer {
            target: event,
            schedule,
        });
    }
    if let Some(Trigger::Signal(name)) = event.trigger() {
        prepared.push(Prepared::Signal {
            target: event,
            name: expressions::name(p, scope, "signal name", name)?,
        });
    }
    Ok(())
}

/// Closes all subscriptions of an element instance.
pub(crate) fn close(p: &mut Processing, instance: &ElementInstance) -> Result<()> {
    close_those(p, instance, &|_| true)
}

/// Closes the subscriptions of the event sub-processes of a scope.
pub(crate) fn close_event_sub_processes(
    p: &mut Processing,
    instance: &ElementInstance,
) -> Result<()> {
    close_those(p, instance, &|event| {
        matches!(event.kind, ElementKind::StartEvent(_))
    })
}

/// Looks only where an event of the kind may have left something.
fn close_those(
    p: &mut Processing,
    instance: &ElementInstance,
    is_meant: &dyn Fn(&Element) -> bool,
) -> Result<()> {
    let (mut has_timers, mut has_messages, mut has_signals) = (false, false, false);
    for awaited in awaited(instance) {
        if is_meant(awaited.event) {
            has_timers |= matches!(awaited.event.trigger(), Some(Trigger::Timer(_)));
            has_messages |= awaited.event.awaited_message().is_some();
            has_signals |= matches!(awaited.event.trigger(), Some(Trigger::Signal(_)));
        }
    }
    let is_meant = |id: &str| instance.process.element_by_id(id).is_some_and(is_meant);
    if has_timers {
        timers::cancel_where(p, instance.key, &is_meant)?;
    }
    if has_signals {
        signals::close_where(p, instance.key, &is_meant)?;
    }
    if has_messages {
        messages::close_where(p, instance.key, &is_meant)?;
    }
    Ok(())
}
