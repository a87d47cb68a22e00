//! The instructions to activate elements: where each begins, and with which variables.

use std::collections::BTreeMap;

use skep_bpmn::model::{Element, ElementIndex, ElementKind, Process};
use skep_protocol::{Command, Key, ProcessInstanceIntent, values};

use super::is_usable;
use crate::behaviours::{lifecycle, variables};
use crate::elements;
use crate::instances::{ElementInstance, element_type};
use crate::json::Document;
use crate::processing::{Processing, Result};

type Planned<T> = std::result::Result<T, String>;

/// What is to be activated, in the order of the instructions.
#[derive(Debug, Default)]
pub(super) struct Plan {
    activations: Vec<Activation>,
}

#[derive(Debug)]
struct Activation {
    /// The scope that is there already.
    within: Key,
    /// Elements below it down to the one to be activated, which is the last.
    path: Vec<ElementIndex>,
    /// The scopes of the path may be those that an instruction before has created.
    shares_scopes: bool,
    /// Documents, each for an element on the way from the process to the one to be activated.
    documents: Vec<(ElementIndex, Document)>,
    /// Scopes around the element that are there already, from the inside out, beginning with `within`.
    around: Vec<(ElementIndex, Key)>,
}

impl Plan {
    /// How many children a scope gets.
    pub fn added_to(&self, scope: Key) -> usize {
        let within = self.activations.iter().filter(|it| it.within == scope);
        within.count()
    }
}

/// Scopes that are there, by element; of a multi-instance activity only what is repeated.
struct Scopes<'a> {
    by_element: BTreeMap<ElementIndex, Vec<&'a ElementInstance>>,
    by_key: BTreeMap<Key, &'a ElementInstance>,
}

/// Checks the instructions, and finds out where each begins.
pub(super) fn plan(
    root: &ElementInstance,
    instances: &[ElementInstance],
    instructions: &[values::ActivateInstruction],
) -> Planned<Plan> {
    let mut scopes = Scopes {
        by_element: BTreeMap::new(),
        by_key: BTreeMap::new(),
    };
    for instance in instances {
        scopes.by_key.insert(instance.key, instance);
        if instance.element().scope().is_some() && !instance.is_body() && is_usable(instance) {
            let of_element = scopes.by_element.entry(instance.element).or_default();
            of_element.push(instance);
        }
    }
    let mut plan = Plan::default();
    for instruction in instructions {
        let element = activatable(&root.process, instruction)?;
        let activation = activation(root, &scopes, instruction, element)?;
        plan.activations.push(activation);
    }
    Ok(plan)
}

/// The element of an instruction, if it can be activated at all.
fn activatable<'a>(
    process: &'a Process,
    instruction: &values::ActivateInstruction,
) -> Planned<&'a Element> {
    let id = &instruction.element_id;
    let unsupported = |why: String| {
        format!("activate instructions for elements that are unsupported: '{id}'. {why}")
    };
    let of_type = |kind: &str| {
        unsupported(format!(
            "The activation of elements with type '{kind}' is not supported. \
             Supported element types are: all but START_EVENT, SEQUENCE_FLOW, BOUNDARY_EVENT and PROCESS"
        ))
    };
    if process.flow_by_id(id).is_some() {
        return Err(of_type("SEQUENCE_FLOW"));
    }
    let element = process.element_by_id(id).ok_or_else(|| {
        format!("activate instructions with an element that could not be found: '{id}'")
    })?;
    match &element.kind {
        ElementKind::StartEvent(_) | ElementKind::BoundaryEvent(_) | ElementKind::Process(_) => {
            return Err(of_type(element_type(element).name()));
        }
        ElementKind::IntermediateCatchEvent(event) if event.behind_event_based_gateway => {
            return Err(unsupported(
                "The activation of events belonging to an event-based gateway is not supported"
                    .to_owned(),
            ));
        }
        _ => {}
    }
    let mut around = process.flow_scopes(element.index);
    if around.any(|scope| scope.multi_instance.is_some()) {
        return Err(unsupported(
            "The activation of elements inside a multi-instance subprocess is not supported"
                .to_owned(),
        ));
    }
    Ok(element)
}

fn activation(
    root: &ElementInstance,
    scopes: &Scopes<'_>,
    instruction: &values::ActivateInstruction,
    element: &Element,
) -> Planned<Activation> {
    let chosen = instruction.ancestor_scope_key > 0;
    let within = match chosen {
        true => chosen_ancestor(&root.process, scopes, instruction, element)?,
        false => only_ancestor(root, scopes, element)?,
    };
    let mut path = vec![element.index];
    path.extend(
        root.process
            .flow_scopes(element.index)
            .map(|scope| scope.index)
            .take_while(|scope| *scope != within.element),
    );
    path.reverse();
    Ok(Activation {
        within: within.key,
        path,
        shares_scopes: !chosen,
        documents: documents(&root.process, instruction, element)?,
        around: around(scopes, within),
    })
}

/// A scope and those around it.
fn around(scopes: &Scopes<'_>, within: &ElementInstance) -> Vec<(ElementIndex, Key)> {
    let mut found = Vec::new();
    let mut next = Some(within);
    while let Some(scope) = next {
        if !scope.is_body() {
            found.push((scope.element, scope.key));
        }
        next = scopes.by_key.get(&scope.flow_scope_key).copied();
    }
    found
}

fn chosen_ancestor<'a>(
    process: &Process,
    scopes: &Scopes<'a>,
    instruction: &values::ActivateInstruction,
    element: &Element,
) -> Planned<&'a ElementInstance> {
    let key = instruction.ancestor_scope_key;
    let ancestor = scopes.by_key.get(&Key(key)).copied();
    let Some(ancestor) = ancestor.filter(|ancestor| is_usable(ancestor)) else {
        return Err(format!(
            "activate instructions with an ancestor scope key that does not exist, or is not in an active state: '{key}'"
        ));
    };
    let mut around = process.flow_scopes(element.index);
    if ancestor.is_body() || !around.any(|scope| scope.index == ancestor.element) {
        return Err(format!(
            "activate instructions with an ancestor scope key that is not an ancestor of the element to activate:\n\
             - instance '{key}' of element '{}' is not an ancestor of element '{}'",
            ancestor.element().id,
            element.id
        ));
    }
    Ok(ancestor)
}

/// The innermost scope around an element that is there, if it is there once.
fn only_ancestor<'a>(
    root: &ElementInstance,
    scopes: &Scopes<'a>,
    element: &Element,
) -> Planned<&'a ElementInstance> {
    for scope in root.process.flow_scopes(element.index) {
        match scopes.by_element.get(&scope.index).map(Vec::as_slice) {
            None | Some([]) => {}
            Some([only]) => return Ok(only),
            Some(_) => {
                return Err(format!(
                    "activate instructions for an element that has a flow scope with more than one active instance: '{}'. \
                     Can't decide in which instance of the flow scope '{}' the element should be activated. \
                     Please specify an ancestor element instance key for this activate instruction.",
                    element.id, scope.id
                ));
            }
        }
    }
    unreachable!("the process instance itself is active, and around all elements")
}

fn documents(
    process: &Process,
    instruction: &values::ActivateInstruction,
    element: &Element,
) -> Planned<Vec<(ElementIndex, Document)>> {
    let mut documents = Vec::new();
    for of_scope in &instruction.variable_instructions {
        let id = &of_scope.element_id;
        let scope = match id.as_str() {
            "" => process.root(),
            _ => process.element_by_id(id).ok_or_else(|| {
                format!(
                    "variable instructions with a scope element id that could not be found: '{id}'"
                )
            })?,
        };
        let mut around = process.flow_scopes(element.index);
        if scope.index != element.index && !around.any(|other| other.index == scope.index) {
            return Err(format!(
                "variable instructions with a scope element that doesn't belong to the activating element's flow scope: '{id}'. \
                 These variables should be set before or after the modification."
            ));
        }
        let document = Document::from_client(&of_scope.variables).map_err(|rejection| {
            format!(
                "variable instructions that are invalid: {}",
                rejection.reason
            )
        })?;
        documents.push((scope.index, document));
    }
    Ok(documents)
}

/// Activates the elements. Gives for each the keys of the scopes around it, from the outside in.
pub(super) fn execute(p: &mut Processing, plan: Plan) -> Result<Vec<Vec<i64>>> {
    // Scopes that were created, by the scope around them and their element.
    let mut created: BTreeMap<(Key, ElementIndex), Key> = BTreeMap::new();
    let mut ancestors = Vec::new();
    for mut activation in plan.activations {
        for (element, key) in &activation.around {
            merge(p, *key, *element, &mut activation.documents)?;
        }
        reopen(p, activation.within)?;
        let mut keys: Vec<i64> = activation
            .around
            .iter()
            .rev()
            .map(|(_, key)| key.0)
            .collect();
        let mut scope = activation.within;
        let (target, missing) = activation
            .path
            .split_last()
            .expect("a path ends with the element to be activated");
        for &element in missing {
            let known = created.get(&(scope, element)).copied();
            let entered = match known.filter(|_| activation.shares_scopes) {
                Some(known) => {
                    merge(p, known, element, &mut activation.documents)?;
                    known
                }
                None => {
                    let own = take(&mut activation.documents, element);
                    let entered = elements::sub_process::enter_with(p, scope, element, own)?;
                    created.insert((scope, element), entered);
                    entered
                }
            };
            keys.push(entered.0);
            scope = entered;
        }
        begin(p, scope, *target, take(&mut activation.documents, *target))?;
        ancestors.push(keys);
    }
    Ok(ancestors)
}

/// Something begins in a scope that an event had interrupted: it goes on.
fn reopen(p: &mut Processing, scope: Key) -> Result<()> {
    let now = p.existing_instance(scope)?;
    if now.interrupted_by.is_some() && !now.is_interrupted_from_outside() {
        p.instances
            .change(scope, |scope| scope.interrupted_by = None);
    }
    Ok(())
}

fn take(documents: &mut Vec<(ElementIndex, Document)>, element: ElementIndex) -> Vec<Document> {
    let (own, rest) = std::mem::take(documents)
        .into_iter()
        .partition(|(scope, _)| *scope == element);
    *documents = rest;
    let own: Vec<(ElementIndex, Document)> = own;
    own.into_iter().map(|(_, document)| document).collect()
}

fn merge(
    p: &mut Processing,
    scope: Key,
    element: ElementIndex,
    documents: &mut Vec<(ElementIndex, Document)>,
) -> Result<()> {
    for document in take(documents, element) {
        variables::merge_local(p, scope, document)?;
    }
    Ok(())
}

/// The element instance is there at once, so that it can have variables, and is activated by a command of its own.
fn begin(
    p: &mut Processing,
    scope: Key,
    element: ElementIndex,
    documents: Vec<Document>,
) -> Result<()> {
    let scope = p.existing_instance(scope)?;
    let key = p.next_key()?;
    let instance = lifecycle::enter(p, key, &scope, element, 0);
    for document in documents {
        variables::merge_local(p, key, document)?;
    }
    p.follow_up(Command::new(
        key,
        ProcessInstanceIntent::ActivateElement,
        instance.value(),
    ));
    Ok(())
}
