//! Event sub-processes: begun by an event in the scope around them, beside the work of that scope or in its place.
//!
//! **Invariants**
//! - A scope is interrupted by one event sub-process at most. Nothing else begins or ends in it from then on, and the event
//!   sub-process begins when all that was in the scope has been terminated; until then its trigger waits in the scope.
//! - An interrupted scope keeps what it waits for as an activity, its boundary events.

use skep_bpmn::model::{ElementIndex, ElementKind};
use skep_protocol::Key;

use crate::behaviours::{events, incidents, lifecycle, subscriptions};
use crate::elements;
use crate::instances::ElementInstance;
use crate::processing::{Processing, Result};
use crate::tables::taken_sequence_flows;

/// The start event of an event sub-process has been triggered, and its trigger is queued in the scope.
pub(crate) fn triggered(
    p: &mut Processing,
    scope: &ElementInstance,
    event: ElementIndex,
    interrupting: bool,
) -> Result<()> {
    if !interrupting {
        return enter(p, scope.key, event);
    }
    if scope.tokens > 0 {
        taken_sequence_flows::delete_scope(p.txn, scope.key)?;
    }
    p.instances.change(scope.key, |scope| {
        scope.interrupted_by = Some(event);
        scope.tokens = 0;
    });
    subscriptions::close_event_sub_processes(p, scope)?;
    if scope.children > 0 {
        return lifecycle::schedule_termination_of_children(
            p,
            scope,
            lifecycle::BEFORE_ALL_CHILDREN,
        );
    }
    enter(p, scope.key, event)
}

/// The event that interrupts a scope, if it waits for the scope to be empty.
pub(crate) fn pending(p: &mut Processing, scope: &ElementInstance) -> Result<Option<ElementIndex>> {
    let Some(event) = scope.interrupted_by else {
        return Ok(None);
    };
    let is_start = matches!(
        scope.process.element(event).kind,
        ElementKind::StartEvent(_)
    );
    Ok((is_start && events::is_queued(p, scope, event)?).then_some(event))
}

/// Something that was in an interrupted scope has been terminated.
pub(crate) fn go_on(p: &mut Processing, scope: Key, event: ElementIndex) -> Result<()> {
    let now = p.existing_instance(scope)?;
    if now.children > 0 {
        return Ok(());
    }
    enter(p, scope, event)
}

/// Begins an event sub-process with what its trigger brought.
fn enter(p: &mut Processing, scope: Key, event: ElementIndex) -> Result<()> {
    let scope = p.existing_instance(scope)?;
    let element = scope
        .process
        .element(event)
        .flow_scope
        .expect("a start event is in a scope");
    let key = p.next_key()?;
    let instance = lifecycle::enter(p, key, &scope, element, 0);
    events::hand_over(p, &scope, &instance, event)?;
    let instance = p.existing_instance(key)?;
    let step = elements::activate(p, &instance);
    incidents::raise_if_stopped(p, &instance, step)?;
    Ok(())
}
