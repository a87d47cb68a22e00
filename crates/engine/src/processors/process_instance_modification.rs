//! PROCESS_INSTANCE_MODIFICATION: tokens of a process instance are moved by hand.
//!
//! All instructions are checked before anything is done. Then elements are activated, each in the scope that its instruction
//! chooses or in the only one that there is, with the scopes that are missing; then element instances are terminated, and with
//! them the scopes that would be left with nothing in them.

mod activation;
mod termination;

use skep_protocol::{
    Command, Key, ProcessInstanceModificationIntent, RecordValue, Rejection, values,
};

use crate::banned;
use crate::behaviours::{instance_tree, lifecycle};
use crate::instances::ElementInstance;
use crate::processing::{Processing, Result};
use crate::tables::element_instances::ElementState;

/// Evaluates a PROCESS_INSTANCE_MODIFICATION command.
pub(crate) fn process(p: &mut Processing, command: &Command) -> Result<()> {
    let RecordValue::ProcessInstanceModification(value) = &command.value else {
        unreachable!("a PROCESS_INSTANCE_MODIFICATION command carries a modification");
    };
    if banned::refuses(p, command, command.key.0)? {
        return Ok(());
    }
    let root = p.instance(command.key)?;
    let Some(root) = root.filter(|root| root.is_process() && is_usable(root)) else {
        let reason = format!(
            "Expected to modify process instance but no process instance found with key '{}'",
            command.key
        );
        p.reject(command, Rejection::not_found(reason));
        return Ok(());
    };
    let instances = instance_tree::all(p, &root)?;
    match plan(&root, &instances, value) {
        Ok((activations, terminated)) => modify(p, command, value, &root, activations, &terminated),
        Err(problem) => {
            let reason = format!(
                "Expected to modify instance of process '{}' but it contains one or more {problem}",
                root.process.id
            );
            p.reject(command, Rejection::invalid_argument(reason));
            Ok(())
        }
    }
}

/// Whether something may begin in a scope.
fn is_usable(scope: &ElementInstance) -> bool {
    scope.state == ElementState::Activated && !scope.finishes_early
}

/// What is to be done, or what is wrong with the instructions.
fn plan(
    root: &ElementInstance,
    instances: &[ElementInstance],
    value: &values::ProcessInstanceModification,
) -> std::result::Result<(activation::Plan, Vec<Key>), String> {
    let activations = activation::plan(root, instances, &value.activate_instructions)?;
    let terminated =
        termination::plan(root, instances, &activations, &value.terminate_instructions)?;
    Ok((activations, terminated))
}

fn modify(
    p: &mut Processing,
    command: &Command,
    value: &values::ProcessInstanceModification,
    root: &ElementInstance,
    activations: activation::Plan,
    terminated: &[Key],
) -> Result<()> {
    let mut modified = value.clone();
    modified.process_instance_key = root.key.0;
    let ancestors = activation::execute(p, activations)?;
    for (instruction, scopes) in modified.activate_instructions.iter_mut().zip(ancestors) {
        instruction.ancestor_scope_keys = scopes;
    }
    let intent = ProcessInstanceModificationIntent::Modified;
    p.event(command.key, intent, modified.clone());
    p.respond(command.key, intent, modified);
    for &key in terminated {
        let instance = p.existing_instance(key)?;
        if instance.state != ElementState::Terminating {
            lifecycle::schedule_termination(p, &instance);
        }
    }
    Ok(())
}
