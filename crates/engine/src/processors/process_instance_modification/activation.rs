//! The instructions to activate elements: where each begins, and with which variables.

use std::collections::BTreeMap;

use skep_bpmn::model::{Element, ElementIndex, Process};
use skep_protocol::{Command, Key, ProcessInstanceIntent, values};

use super::{Possible, is_usable};
use crate::behaviours::incidents::Step;
use crate::behaviours::{lifecycle, variables};
use crate::elements;
use crate::instances::ElementInstance;
use crate::json::Document;
use crate::processing::{Processing, Result};

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

/// Finds out where each of the instructions, which were found to make sense, begins.
pub(super) fn plan(
    root: &ElementInstance,
    instances: &[ElementInstance],
    instructions: &[values::ActivateInstruction],
) -> Possible<Plan> {
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
        let element = root.process.element_by_id(&instruction.element_id);
        let element = element.expect("the elements of instructions were found to exist");
        let activation = activation(root, &scopes, instruction, element)?;
        plan.activations.push(activation);
    }
    Ok(plan)
}

fn activation(
    root: &ElementInstance,
    scopes: &Scopes<'_>,
    instruction: &values::ActivateInstruction,
    element: &Element,
) -> Possible<Activation> {
    let chosen = Key(instruction.ancestor_scope_key);
    let within = match chosen.0 > 0 {
        true => scopes.by_key[&chosen],
        false => only_ancestor(root, scopes, element)?,
    };
    let mut path = vec![element.index];
    for scope in root.process.flow_scopes(element.index) {
        if scope.index == within.element && !within.is_body() {
            break;
        }
        if scope.multi_instance.is_some() {
            return Err(format!(
                "it contains one or more activate instructions that would result in the activation of multi-instance element \
                 '{}', which is currently unsupported.",
                scope.id
            ));
        }
        path.push(scope.index);
    }
    path.reverse();
    Ok(Activation {
        within: within.key,
        path,
        shares_scopes: chosen.0 <= 0,
        documents: documents(&root.process, instruction)?,
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

/// The innermost scope around an element that is there, if each is there once.
fn only_ancestor<'a>(
    root: &'a ElementInstance,
    scopes: &Scopes<'a>,
    element: &Element,
) -> Possible<&'a ElementInstance> {
    let mut within = root;
    let mut around: Vec<&Element> = root.process.flow_scopes(element.index).collect();
    while let Some(scope) = around.pop() {
        match scopes.by_element.get(&scope.index).map(Vec::as_slice) {
            None | Some([]) => break,
            Some([only]) => within = only,
            Some(_) => {
                return Err(format!(
                    "it contains one or more activate instructions for an element that has a flow scope with more than one active \
                     instance: '{}'. Can't decide in which instance of the flow scope the element should be activated. Please \
                     specify an ancestor element instance key for this activate instruction.",
                    scope.id
                ));
            }
        }
    }
    Ok(within)
}

fn documents(
    process: &Process,
    instruction: &values::ActivateInstruction,
) -> Possible<Vec<(ElementIndex, Document)>> {
    let mut documents = Vec::new();
    for of_scope in &instruction.variable_instructions {
        let scope = match of_scope.element_id.as_str() {
            "" => process.root(),
            id => process
                .element_by_id(id)
                .expect("the scopes of variables were found to exist"),
        };
        let document = Document::from_client(&of_scope.variables).map_err(|rejection| {
            format!(
                "it contains one or more variable instructions that are invalid: {}",
                rejection.reason
            )
        })?;
        documents.push((scope.index, document));
    }
    Ok(documents)
}

/// Activates the elements. Gives for each the keys of the scopes around it, from the outside in.
pub(super) fn execute(p: &mut Processing, plan: Plan) -> Step<Vec<Vec<i64>>> {
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
