//! What an element instance waits for beside its work: its own event, and those of its boundary events.
//!
//! All expressions are evaluated before the first subscription is opened, so that a failure opens none.

use skep_bpmn::model::{Element, ElementKind, Trigger};
use skep_protocol::Key;

use crate::behaviours::incidents::Step;
use crate::behaviours::timers::{self, Schedule};
use crate::behaviours::{expressions, messages};
use crate::instances::ElementInstance;
use crate::processing::{Processing, Result};

/// A subscription that can be opened.
enum Prepared<'a> {
    Timer {
        target: &'a Element,
        schedule: Schedule,
    },
    Message {
        target: &'a Element,
        name: String,
        correlation_key: String,
        interrupting: bool,
    },
}

/// Opens all subscriptions of an element instance.
pub(crate) fn open(p: &mut Processing, instance: &ElementInstance) -> Step<()> {
    let mut prepared = Vec::new();
    let element = instance.element();
    if matches!(element.kind, ElementKind::IntermediateCatchEvent(_)) {
        prepare(p, instance.key, element, true, &mut prepared)?;
    }
    for &index in instance.boundary_events() {
        let event = instance.process.element(index);
        if let ElementKind::BoundaryEvent(boundary) = &event.kind {
            // Seen from outside: local variables of the activity are none of a boundary event's.
            prepare(
                p,
                instance.flow_scope_key,
                event,
                boundary.interrupting,
                &mut prepared,
            )?;
        }
    }
    for subscription in prepared {
        match subscription {
            Prepared::Timer { target, schedule } => {
                timers::create(p, instance, &target.id, schedule)?
            }
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

fn prepare<'a>(
    p: &mut Processing,
    scope: Key,
    event: &'a Element,
    interrupting: bool,
    prepared: &mut Vec<Prepared<'a>>,
) -> Step<()> {
    match event.trigger() {
        Some(Trigger::Timer(timer)) => {
            if let Some(schedule) = timers::schedule(p, scope, timer)? {
                prepared.push(Prepared::Timer {
                    target: event,
                    schedule,
                });
            }
        }
        Some(Trigger::Message(message)) => {
            let name = expressions::text(p, scope, &message.name)?.to_string();
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
        _ => {}
    }
    Ok(())
}

/// Closes all subscriptions of an element instance.
pub(crate) fn close(p: &mut Processing, instance: &ElementInstance) -> Result<()> {
    let element = instance.element();
    let own = matches!(element.kind, ElementKind::IntermediateCatchEvent(_)).then_some(element);
    let attached = instance
        .boundary_events()
        .iter()
        .map(|&index| instance.process.element(index));
    let (mut has_timers, mut has_messages) = (false, false);
    for event in own.into_iter().chain(attached) {
        match event.trigger() {
            Some(Trigger::Timer(_)) => has_timers = true,
            Some(Trigger::Message(_)) => has_messages = true,
            _ => {}
        }
    }
    if has_timers {
        timers::cancel_of(p, instance.key)?;
    }
    if has_messages {
        messages::close_all(p, instance.key)?;
    }
    Ok(())
}
