//! PROCESS_INSTANCE_MODIFICATION: tokens of a process instance are moved by hand.
//!
//! All instructions are checked before anything is done. Then elements are activated, each in the scope that its instruction
//! chooses or in the only one that there is, with the scopes that are missing; then element instances are terminated, and with
//! them the scopes that would be left with nothing in them.

mod activation;
mod termination;
mod validation;

use skep_protocol::{
    Command, Key, ProcessInstanceModificationIntent, RecordValue, Rejection, values,
};

use crate::banned;
use crate::behaviours::incidents::{Step, Stop};
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
    let planned = validation::check(p, &root, &instances, value)?
        .and_then(|()| plan(&root, &instances, value));
    match planned {
        Ok((activations, terminated)) => {
            match modify(p, command, value, &root, activations, &terminated) {
                Ok(()) => Ok(()),
                Err(Stop::State(error)) => Err(error),
                Err(Stop::Incident(failure)) => {
                    p.take_back(command, Rejection::invalid_argument(failure.message));
                    Ok(())
                }
            }
        }
        Err(problem) => {
            let id = &root.process.id;
            let reason = format!("Expected to modify instance of process '{id}' but {problem}");
            p.reject(command, Rejection::invalid_argument(reason));
            Ok(())
        }
    }
}

/// Something, or why it is not possible, as that stands behind the process id and "but".
type Possible<T> = std::result::Result<T, String>;

/// Whether something may begin in a scope.
fn is_usable(scope: &ElementInstance) -> bool {
    scope.state == ElementState::Activated && !scope.finishes_early
}

/// What is to be done, or what is wrong with the instructions.
fn plan(
    root: &ElementInstance,
    instances: &[ElementInstance],
    value: &values::ProcessInstanceModification,
) -> Possible<(activation::Plan, Vec<Key>)> {
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
) -> Step<()> {
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
