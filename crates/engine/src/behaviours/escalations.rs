//! Escalations: thrown outwards until a scope has an event for them.

use skep_bpmn::model::{ElementIndex, ElementKind, Trigger};
use skep_protocol::{EscalationIntent, values};

use crate::behaviours::{calls, events};
use crate::instances::ElementInstance;
use crate::processing::{Processing, Result};

/// What became of an escalation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Caught {
    /// A scope around the thrower is interrupted by it.
    Interrupting,
    /// An event takes it up, and the thrower goes on.
    Beside,
    /// Nobody has an event for it.
    Nowhere,
}

/// Throws an escalation, from the flow scope of the thrower outwards and across calls. In one scope an event for exactly that
/// code goes before one for all codes.
pub(crate) fn throw(p: &mut Processing, thrower: &ElementInstance, code: &str) -> Result<Caught> {
    let mut next = around(p, thrower)?;
    while let Some(instance) = next {
        let open = events::open(p, &instance)?;
        if let Some(event) = matching(&instance, &open, code) {
            let catcher = instance.process.element(event).id.to_string();
            tell(p, thrower, code, EscalationIntent::Escalated, catcher)?;
            events::trigger_open(p, &instance, event, "")?;
            return Ok(match is_interrupting(&instance, event) {
                true => Caught::Interrupting,
                false => Caught::Beside,
            });
        }
        next = around(p, &instance)?;
    }
    tell(
        p,
        thrower,
        code,
        EscalationIntent::NotEscalated,
        String::new(),
    )?;
    Ok(Caught::Nowhere)
}

/// The flow scope of an element instance; of a called process instance its call activity.
fn around(p: &mut Processing, instance: &ElementInstance) -> Result<Option<ElementInstance>> {
    match instance.flow_scope_key.is_some() {
        true => p.existing_instance(instance.flow_scope_key).map(Some),
        false => calls::caller(p, instance),
    }
}

fn matching(instance: &ElementInstance, open: &[ElementIndex], code: &str) -> Option<ElementIndex> {
    let mut catch_all = None;
    for &index in open {
        match instance.process.element(index).trigger() {
            Some(Trigger::Escalation(Some(caught))) if **caught == *code => return Some(index),
            Some(Trigger::Escalation(None)) => catch_all = catch_all.or(Some(index)),
            _ => {}
        }
    }
    catch_all
}

fn is_interrupting(instance: &ElementInstance, event: ElementIndex) -> bool {
    match &instance.process.element(event).kind {
        ElementKind::BoundaryEvent(boundary) => boundary.interrupting,
        ElementKind::StartEvent(start) => start.interrupting,
        _ => unreachable!("escalations are caught by boundary events and event sub-processes"),
    }
}

fn tell(
    p: &mut Processing,
    thrower: &ElementInstance,
    code: &str,
    intent: EscalationIntent,
    catch_element_id: String,
) -> Result<()> {
    let escalation = values::Escalation {
        process_instance_key: thrower.process_instance_key.0,
        escalation_code: code.to_owned(),
        throw_element_id: thrower.element().id.to_string(),
        catch_element_id,
    };
    let key = p.next_key()?;
    p.event(key, intent, escalation);
    Ok(())
}
