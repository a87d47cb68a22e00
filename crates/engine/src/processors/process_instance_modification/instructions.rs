//! Whether the instructions of a modification make sense in a process, whatever instances there are.

use skep_bpmn::model::{Element, ElementIndex, ElementKind, Process};
use skep_protocol::{Rejection, values};

use crate::json::Document;

type Checked<T> = std::result::Result<T, Rejection>;

/// The elements that are to begin.
pub(super) fn targets(
    process: &Process,
    value: &values::ProcessInstanceModification,
) -> Checked<Vec<ElementIndex>> {
    let (mut targets, mut unknown, mut unsupported) = (Vec::new(), Vec::new(), Vec::new());
    let mut reasons: Vec<&str> = Vec::new();
    for instruction in &value.activate_instructions {
        let id = &instruction.element_id;
        if process.flow_by_id(id).is_some() {
            unsupported.push(id.clone());
            reasons.push(UNSUPPORTED_FLOW);
            continue;
        }
        let Some(element) = process.element_by_id(id) else {
            unknown.push(id.clone());
            continue;
        };
        match why_unsupported(process, element) {
            Some(reason) => {
                unsupported.push(id.clone());
                reasons.push(reason);
            }
            None => targets.push(element.index),
        }
    }
    let reason = "one or more activate instructions with an element that could not be found";
    refuse(process, reason, &unknown, "")?;
    let rest = format!(" {}.", reasons.first().unwrap_or(&""));
    let reason = "one or more activate instructions for elements that are unsupported";
    refuse(process, reason, &unsupported, &rest)?;
    Ok(targets)
}

const UNSUPPORTED_FLOW: &str =
    "The activation of elements with type 'SEQUENCE_FLOW' is not supported";

/// Why an element cannot begin by hand, if it cannot.
fn why_unsupported(process: &Process, element: &Element) -> Option<&'static str> {
    match &element.kind {
        ElementKind::Process(_) => {
            return Some("The activation of elements with type 'PROCESS' is not supported");
        }
        ElementKind::StartEvent(_) => {
            return Some("The activation of elements with type 'START_EVENT' is not supported");
        }
        ElementKind::BoundaryEvent(_) => {
            return Some("The activation of elements with type 'BOUNDARY_EVENT' is not supported");
        }
        ElementKind::IntermediateCatchEvent(event) if event.behind_event_based_gateway => {
            return Some(
                "The activation of events belonging to an event-based gateway is not supported",
            );
        }
        _ => {}
    }
    process
        .flow_scopes(element.index)
        .any(|scope| scope.multi_instance.is_some())
        .then_some("The activation of elements inside a multi-instance subprocess is not supported")
}

/// The documents of an instruction, with the element whose instance each is for.
pub(super) fn variables(
    process: &Process,
    instruction: &values::ActivateInstruction,
    target: ElementIndex,
) -> Checked<Vec<(ElementIndex, Document)>> {
    let (mut found, mut unknown, mut outside) = (Vec::new(), Vec::new(), Vec::new());
    for one in &instruction.variable_instructions {
        let document = Document::from_client(&one.variables)?;
        let id = &one.element_id;
        if id.is_empty() {
            found.push((Process::ROOT, document));
            continue;
        }
        let Some(element) = process.element_by_id(id) else {
            unknown.push(id.clone());
            continue;
        };
        let mut around = process.flow_scopes(target);
        if element.index == target || around.any(|scope| scope.index == element.index) {
            found.push((element.index, document));
        } else {
            outside.push(id.clone());
        }
    }
    let reason =
        "one or more variable instructions with a scope element id that could not be found";
    refuse(process, reason, &unknown, "")?;
    let reason = "one or more variable instructions with a scope element that doesn't belong to the \
                  activating element's flow scope";
    let rest = " These variables should be set before or after the modification.";
    refuse(process, reason, &outside, rest)?;
    Ok(found)
}

/// Refuses a modification if there is something that it is refused for.
pub(super) fn refuse(process: &Process, reason: &str, named: &[String], rest: &str) -> Checked<()> {
    if named.is_empty() {
        return Ok(());
    }
    let mut end = rest.to_owned();
    if !end.is_empty() {
        end.insert(0, '.');
    }
    Err(Rejection::invalid_argument(format!(
        "Expected to modify instance of process '{}' but it contains {reason}: '{}'{end}",
        process.id,
        named.join("', '")
    )))
}
