//! What can be seen to be wrong with instructions before it is known where each begins: one kind of mistake after the other, each with
//! all of the instructions that make it.

use std::collections::BTreeMap;

use skep_bpmn::model::{Element, ElementKind, Process};
use skep_protocol::{Key, values};

use super::{Possible, is_usable};
use crate::behaviours::instances::ACTIVATABLE_TYPES;
use crate::instances::{ElementInstance, element_type};
use crate::processing::{Processing, Result};

/// Whether the instructions make sense for an instance, of which these are all element instances.
pub(super) fn check(
    p: &mut Processing,
    root: &ElementInstance,
    instances: &[ElementInstance],
    value: &values::ProcessInstanceModification,
) -> Result<Possible<()>> {
    let by_key: BTreeMap<Key, &ElementInstance> = instances
        .iter()
        .map(|instance| (instance.key, instance))
        .collect();
    let activate = &value.activate_instructions;
    let checked = elements(&root.process, activate)
        .and_then(|()| terminated(&by_key, &value.terminate_instructions))
        .and_then(|()| variable_scopes(&root.process, activate));
    match checked {
        Ok(()) => ancestors(p, &root.process, &by_key, activate),
        Err(problem) => Ok(Err(problem)),
    }
}

/// Those of the texts that are there, each once, as a list between quotes.
fn listed(texts: impl Iterator<Item = String>) -> Option<String> {
    let mut found: Vec<String> = Vec::new();
    for text in texts {
        if !found.contains(&text) {
            found.push(text);
        }
    }
    (!found.is_empty()).then(|| found.join("', '"))
}

fn elements(process: &Process, activate: &[values::ActivateInstruction]) -> Possible<()> {
    let ids = || activate.iter().map(|instruction| &instruction.element_id);
    let is_unknown =
        |id: &&String| process.element_by_id(id).is_none() && process.flow_by_id(id).is_none();
    if let Some(unknown) = listed(ids().filter(is_unknown).cloned()) {
        return Err(format!(
            "it contains one or more activate instructions with an element that could not be found: '{unknown}'"
        ));
    }
    let is_behind_gateway = |id: &&String| {
        let kind = process.element_by_id(id).map(|element| &element.kind);
        matches!(kind, Some(ElementKind::IntermediateCatchEvent(catch)) if catch.behind_event_based_gateway)
    };
    if let Some(behind) = listed(ids().filter(is_behind_gateway).cloned()) {
        return Err(format!(
            "it contains one or more activate instructions for elements that are unsupported: '{behind}'. \
             The activation of events belonging to an event-based gateway is not supported."
        ));
    }
    let unsupported = |id: &String| match process.element_by_id(id) {
        None => Some("SEQUENCE_FLOW"),
        Some(element) => unsupported_type(element),
    };
    let found = || ids().filter_map(|id| Some((id, unsupported(id)?)));
    let types = listed(found().map(|(_, kind)| kind.to_owned()));
    let Some((ids, types)) = listed(found().map(|(id, _)| id.clone())).zip(types) else {
        return Ok(());
    };
    Err(format!(
        "it contains one or more activate instructions for elements that are unsupported: '{ids}'. \
         The activation of elements with type '{types}' is not supported. Supported element types are: {ACTIVATABLE_TYPES}."
    ))
}

fn unsupported_type(element: &Element) -> Option<&'static str> {
    match &element.kind {
        ElementKind::StartEvent(_) | ElementKind::BoundaryEvent(_) | ElementKind::Process(_) => {
            Some(element_type(element).name())
        }
        _ => None,
    }
}

fn terminated(
    by_key: &BTreeMap<Key, &ElementInstance>,
    terminate: &[values::TerminateInstruction],
) -> Possible<()> {
    let keys = terminate
        .iter()
        .map(|instruction| Key(instruction.element_instance_key));
    let unknown = keys.filter(|key| !by_key.contains_key(key));
    match listed(unknown.map(|key| key.to_string())) {
        None => Ok(()),
        Some(unknown) => Err(format!(
            "it contains one or more terminate instructions with an element instance that could not be found: '{unknown}'"
        )),
    }
}

/// Variables of the process have no scope.
fn variable_scopes(process: &Process, activate: &[values::ActivateInstruction]) -> Possible<()> {
    let scopes = || {
        activate.iter().flat_map(|instruction| {
            let scopes = instruction.variable_instructions.iter();
            scopes.map(|scope| (&instruction.element_id, &scope.element_id))
        })
    };
    let unknown = scopes().filter(|(_, id)| !id.is_empty() && process.element_by_id(id).is_none());
    if let Some(unknown) = listed(unknown.map(|(_, id)| id.clone())) {
        return Err(format!(
            "it contains one or more variable instructions with a scope element id that could not be found: '{unknown}'"
        ));
    }
    let is_around = |element: &str, scope: &str| {
        let Some(element) = process.element_by_id(element) else {
            return false;
        };
        *element.id == *scope
            || process
                .flow_scopes(element.index)
                .any(|around| *around.id == *scope)
    };
    if scopes().all(|(element, scope)| scope.is_empty() || is_around(element, scope)) {
        return Ok(());
    }
    Err(
        "it contains one or more variable instructions with a scope element that doesn't belong to the activating element's \
         flow scope. These variables should be set before or after the modification."
            .to_owned(),
    )
}

fn ancestors(
    p: &mut Processing,
    process: &Process,
    by_key: &BTreeMap<Key, &ElementInstance>,
    activate: &[values::ActivateInstruction],
) -> Result<Possible<()>> {
    let (mut inactive, mut foreign, mut wrong) = (Vec::new(), Vec::new(), String::new());
    for instruction in activate {
        let key = Key(instruction.ancestor_scope_key);
        if key.0 <= 0 {
            continue;
        }
        let found = p.instance(key)?;
        let Some(ancestor) = found.filter(is_usable) else {
            inactive.push(key.to_string());
            continue;
        };
        if !by_key.contains_key(&key) {
            foreign.push(key.to_string());
            continue;
        }
        let (ancestor, element) = (&ancestor.element().id, &instruction.element_id);
        let around = process
            .element_by_id(element)
            .map(|element| process.flow_scopes(element.index));
        if around.is_none_or(|mut around| around.all(|scope| scope.id != *ancestor)) {
            wrong.push_str(&format!(
                "\n- instance '{key}' of element '{ancestor}' is not an ancestor of element '{element}'"
            ));
        }
    }
    let lead = "it contains one or more activate instructions with an ancestor scope key that";
    if let Some(keys) = listed(inactive.into_iter()) {
        return Ok(Err(format!(
            "{lead} does not exist, or is not in an active state: '{keys}'"
        )));
    }
    if let Some(keys) = listed(foreign.into_iter()) {
        return Ok(Err(format!(
            "{lead} does not belong to the modified process instance: '{keys}'"
        )));
    }
    Ok(match wrong.is_empty() {
        true => Ok(()),
        false => Err(format!(
            "{lead} is not an ancestor of the element to activate:{wrong}"
        )),
    })
}
