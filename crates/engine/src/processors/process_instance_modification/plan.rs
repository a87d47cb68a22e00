//! What a modification comes to, if it can be done.

use skep_bpmn::model::{ElementIndex, Process};
use skep_protocol::{Key, Rejection, values};

use super::instructions::{self, refuse};
use super::{Checked, ends_instance};
use crate::instances::ElementInstance;
use crate::json::Document;
use crate::processing::{Processing, Result};
use crate::tables::element_instances::{self, ElementState};

/// Children of a scope that are looked at together.
const CHILDREN_AT_A_TIME: usize = 256;

/// A modification that can be done.
pub(super) struct Plan {
    /// The process instance.
    pub process_instance: Key,
    /// One for each instruction.
    pub activations: Vec<Activation>,
    /// Element instances to end.
    pub terminations: Vec<Key>,
}

/// An element that is to begin.
pub(super) struct Activation {
    pub element: ElementIndex,
    /// Scopes that are there, from the process instance inwards.
    pub scopes: Vec<Key>,
    /// Scopes that are not, from the outside in.
    pub new_scopes: Vec<ElementIndex>,
    /// Whether the new scopes are for this element alone, since it was said in which instance it is to begin.
    pub apart: bool,
    /// Variables of the scopes around it and of its own.
    pub variables: Vec<(ElementIndex, Document)>,
}

/// Checks a modification as a whole.
pub(super) fn make(
    p: &mut Processing,
    value: &values::ProcessInstanceModification,
) -> Checked<Plan> {
    let key = Key(value.process_instance_key);
    let instance = p
        .instance(key)?
        .filter(|instance| instance.is_process() && instance.state != ElementState::Terminating);
    let Some(instance) = instance else {
        return Err(Rejection::not_found(format!(
            "Expected to modify process instance but no process instance found with key '{key}'"
        ))
        .into());
    };
    let targets = instructions::targets(&instance.process, value)?;
    terminations_exist(p, &instance, value)?;
    let mut variables = Vec::with_capacity(targets.len());
    for (instruction, &target) in value.activate_instructions.iter().zip(&targets) {
        variables.push(instructions::variables(
            &instance.process,
            instruction,
            target,
        )?);
    }
    ancestors_fit(p, &instance, value, &targets)?;
    let activations = activations(p, &instance, value, &targets, variables)?;
    let terminations: Vec<Key> = value
        .terminate_instructions
        .iter()
        .map(|instruction| Key(instruction.element_instance_key))
        .collect();
    let plan = Plan {
        process_instance: key,
        activations,
        terminations,
    };
    refuse_end_of_called_instance(p, &instance, &plan)?;
    Ok(plan)
}

fn terminations_exist(
    p: &mut Processing,
    instance: &ElementInstance,
    value: &values::ProcessInstanceModification,
) -> Checked<()> {
    let mut unknown = Vec::new();
    for instruction in &value.terminate_instructions {
        let key = Key(instruction.element_instance_key);
        let found = p.instance(key)?;
        if found.is_none_or(|found| found.process_instance_key != instance.key) {
            unknown.push(key.to_string());
        }
    }
    refuse(
        &instance.process,
        "one or more terminate instructions with an element instance that could not be found",
        &unknown,
        "",
    )?;
    Ok(())
}

fn ancestors_fit(
    p: &mut Processing,
    instance: &ElementInstance,
    value: &values::ProcessInstanceModification,
    targets: &[ElementIndex],
) -> Checked<()> {
    let (mut inactive, mut foreign, mut unrelated) = (Vec::new(), Vec::new(), Vec::new());
    for (instruction, &target) in value.activate_instructions.iter().zip(targets) {
        let Some(key) = ancestor_of(instruction) else {
            continue;
        };
        let found = p.instance(key)?;
        let Some(ancestor) = found.filter(|found| found.state == ElementState::Activated) else {
            inactive.push(key.to_string());
            continue;
        };
        if ancestor.process_instance_key != instance.key {
            foreign.push(key.to_string());
            continue;
        }
        let mut around = instance.process.flow_scopes(target);
        if !around.any(|scope| scope.index == ancestor.element) {
            unrelated.push(format!(
                "instance '{key}' of element '{}' is not an ancestor of element '{}'",
                ancestor.element().id,
                instruction.element_id
            ));
        }
    }
    let what = "one or more activate instructions with an ancestor scope key that";
    let process = &instance.process;
    let reason = format!("{what} does not exist, or is not in an active state");
    refuse(process, &reason, &inactive, "")?;
    let reason = format!("{what} does not belong to the modified process instance");
    refuse(process, &reason, &foreign, "")?;
    let reason = format!("{what} is not an ancestor of the element to activate");
    refuse(process, &reason, &unrelated, "")?;
    Ok(())
}

fn ancestor_of(instruction: &values::ActivateInstruction) -> Option<Key> {
    (instruction.ancestor_scope_key > 0).then_some(Key(instruction.ancestor_scope_key))
}

fn activations(
    p: &mut Processing,
    instance: &ElementInstance,
    value: &values::ProcessInstanceModification,
    targets: &[ElementIndex],
    variables: Vec<Vec<(ElementIndex, Document)>>,
) -> Checked<Vec<Activation>> {
    let mut planned = Vec::with_capacity(targets.len());
    let mut ambiguous = Vec::new();
    for ((instruction, &element), variables) in value
        .activate_instructions
        .iter()
        .zip(targets)
        .zip(variables)
    {
        let mut around: Vec<ElementIndex> = instance
            .process
            .flow_scopes(element)
            .map(|scope| scope.index)
            .collect();
        around.reverse();
        let ancestor = ancestor_of(instruction);
        let scopes = match ancestor {
            Some(ancestor) => Some(scopes_up_to(p, ancestor)?),
            None => scopes_there(p, instance, &around)?,
        };
        let Some(scopes) = scopes else {
            ambiguous.push(instruction.element_id.clone());
            continue;
        };
        let innermost = *scopes.last().expect("the process instance is a scope");
        refuse_closed(&p.existing_instance(innermost)?)?;
        planned.push(Activation {
            element,
            new_scopes: around.split_off(scopes.len()),
            scopes,
            apart: ancestor.is_some(),
            variables,
        });
    }
    refuse(
        &instance.process,
        "one or more activate instructions for an element that has a flow scope with more than one active instance",
        &ambiguous,
        " Can't decide in which instance of the flow scope the element should be activated. \
         Please specify an ancestor element instance key for this activate instruction.",
    )?;
    Ok(planned)
}

/// A scope in which nothing can begin any more, or not yet.
fn refuse_closed(scope: &ElementInstance) -> Checked<()> {
    if scope.state == ElementState::Activated && !scope.finishes_early {
        return Ok(());
    }
    Err(Rejection::invalid_state(format!(
        "Expected to activate an element in the instance '{}' of element '{}', but it is {}",
        scope.key,
        scope.element().id,
        scope.state.name()
    ))
    .into())
}

/// An element instance and all scopes around it, from the outside in.
fn scopes_up_to(p: &mut Processing, ancestor: Key) -> Result<Vec<Key>> {
    let mut scopes = Vec::new();
    let mut next = ancestor;
    while next.is_some() {
        scopes.push(next);
        next = p.existing_instance(next)?.flow_scope_key;
    }
    scopes.reverse();
    Ok(scopes)
}

/// The instances of the scopes around an element as far as there are any, or `None` if there are several of one.
fn scopes_there(
    p: &mut Processing,
    instance: &ElementInstance,
    around: &[ElementIndex],
) -> Result<Option<Vec<Key>>> {
    assert_eq!(around.first(), Some(&Process::ROOT));
    let mut scopes = vec![instance.key];
    for &element in &around[1..] {
        let scope = scopes[scopes.len() - 1];
        let id = &instance.process.element(element).id;
        match instances_of(p, scope, id)?.as_slice() {
            [] => break,
            [one] => scopes.push(*one),
            _ => return Ok(None),
        }
    }
    Ok(Some(scopes))
}

/// Up to two active instances of an element in a scope.
fn instances_of(p: &mut Processing, scope: Key, id: &str) -> Result<Vec<Key>> {
    let mut found = Vec::new();
    let mut after = Key(0);
    loop {
        let children = element_instances::children(p.txn, scope, after, CHILDREN_AT_A_TIME)?;
        for &child in &children {
            let stored = element_instances::get(p.txn, child)?;
            let is_meant = stored.is_some_and(|stored| {
                stored.element_id == id && stored.state() == ElementState::Activated
            });
            if is_meant {
                found.push(child);
            }
            if found.len() > 1 {
                return Ok(found);
            }
        }
        match children.last() {
            Some(&last) if children.len() == CHILDREN_AT_A_TIME => after = last,
            _ => return Ok(found),
        }
    }
}

fn refuse_end_of_called_instance(
    p: &mut Processing,
    instance: &ElementInstance,
    plan: &Plan,
) -> Checked<()> {
    if !instance.parent_process_instance_key.is_some() {
        return Ok(());
    }
    let ends = match plan.activations.is_empty() {
        true => ends_instance(p, instance.key, &plan.terminations)?,
        false => plan.terminations.contains(&instance.key),
    };
    if ends {
        return Err(Rejection::invalid_argument(format!(
            "Expected to modify instance of process '{}' but the given instructions would terminate the instance. \
             The instance was created by a call activity in the parent process. \
             To terminate this instance please modify the parent process instead.",
            instance.process.id
        ))
        .into());
    }
    Ok(())
}
