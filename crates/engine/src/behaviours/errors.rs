//! Thrown errors: who catches them.

use skep_bpmn::model::{ElementIndex, Trigger};
use skep_protocol::values::IncidentErrorType;

use crate::behaviours::incidents::Failure;
use crate::behaviours::{calls, events};
use crate::instances::ElementInstance;
use crate::processing::{Processing, Result};

/// Where a thrown error is caught, or what could have been caught.
#[derive(Debug)]
pub(crate) enum Caught {
    /// By that event of that element instance.
    By {
        /// The element instance that is interrupted.
        catcher: ElementInstance,
        /// The event, of the catcher's process.
        event: ElementIndex,
    },
    /// By nobody. These codes are caught.
    Nowhere(Vec<String>),
}

/// Looks for the event that catches an error: at the element that throws it, then outwards, and from a called process instance
/// on at its call activity. In one scope an event for exactly that code goes before one for all codes.
pub(crate) fn find(p: &mut Processing, thrower: &ElementInstance, code: &str) -> Result<Caught> {
    let mut available = Vec::new();
    let mut next = Some(thrower.clone());
    while let Some(instance) = next {
        let open = events::open(p, &instance)?;
        if let Some(event) = matching(&instance, &open, code, &mut available) {
            return Ok(Caught::By {
                catcher: instance,
                event,
            });
        }
        next = match instance.flow_scope_key.is_some() {
            true => Some(p.existing_instance(instance.flow_scope_key)?),
            false => calls::caller(p, &instance)?,
        };
    }
    Ok(Caught::Nowhere(available))
}

fn matching(
    instance: &ElementInstance,
    open: &[ElementIndex],
    code: &str,
    available: &mut Vec<String>,
) -> Option<ElementIndex> {
    let mut catch_all = None;
    for &index in open {
        match instance.process.element(index).trigger() {
            Some(Trigger::Error(Some(caught))) if **caught == *code => return Some(index),
            Some(Trigger::Error(Some(caught))) => available.push(caught.to_string()),
            Some(Trigger::Error(None)) => catch_all = catch_all.or(Some(index)),
            _ => {}
        }
    }
    catch_all
}

/// The incident of an error that nobody catches.
pub(crate) fn uncaught(code: &str, message: &str, available: &[String]) -> Failure {
    let mut text = format!("Expected to throw an error event with the code '{code}'");
    if !message.is_empty() {
        text.push_str(&format!(" with message '{message}'"));
    }
    text.push_str(", but it was not caught.");
    if available.is_empty() {
        text.push_str(" No error events are available in the scope.");
    } else {
        text.push_str(&format!(
            " Available error events are [{}]",
            available.join(", ")
        ));
    }
    Failure::new(IncidentErrorType::UnhandledErrorEvent, text)
}
