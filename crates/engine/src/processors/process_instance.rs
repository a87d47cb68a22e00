//! PROCESS_INSTANCE: cancelling an instance, and the steps of element instances.

use skep_bpmn::model::ElementKind;
use skep_protocol::values;
use skep_protocol::{Command, Intent, Key, ProcessInstanceIntent, RecordValue, Rejection};

use crate::behaviours::{calls, incidents, joins, lifecycle, listeners};
use crate::elements;
use crate::instances::ElementInstance;
use crate::processing::{Processing, Result};
use crate::tables::element_instances::ElementState;

/// Evaluates a PROCESS_INSTANCE command.
pub(crate) fn process(p: &mut Processing, command: &Command) -> Result<()> {
    let RecordValue::ProcessInstance(value) = &command.value else {
        unreachable!("a PROCESS_INSTANCE command carries a process instance");
    };
    match command.intent {
        Intent::ProcessInstance(ProcessInstanceIntent::Cancel) => cancel(p, command),
        Intent::ProcessInstance(ProcessInstanceIntent::ActivateElement) => {
            activate(p, command, value)?;
            joins::look_again(p, Key(value.flow_scope_key))
        }
        Intent::ProcessInstance(ProcessInstanceIntent::CompleteElement) => complete(p, command),
        Intent::ProcessInstance(ProcessInstanceIntent::TerminateElement) => terminate(p, command),
        Intent::ProcessInstance(ProcessInstanceIntent::CompleteExecutionListener) => {
            complete_listener(p, command)?;
            joins::look_again(p, Key(value.flow_scope_key))
        }
        intent => unreachable!("{} is no command about a process instance", intent.name()),
    }
}

fn cancel(p: &mut Processing, command: &Command) -> Result<()> {
    let instance = p.instance(command.key)?;
    let Some(instance) = instance
        .filter(|instance| instance.is_process() && instance.state != ElementState::Terminating)
    else {
        let reason = format!(
            "Expected to cancel a process instance with key '{}', but no such process was found",
            command.key
        );
        p.reject(command, Rejection::not_found(reason));
        return Ok(());
    };
    if instance.parent_process_instance_key.is_some() {
        let root = calls::root(p, &instance)?;
        let reason = format!(
            "Expected to cancel a process instance with key '{}', but it is created by a parent process instance. \
             Cancel the root process instance '{root}' instead.",
            command.key
        );
        p.reject(command, Rejection::invalid_state(reason));
        return Ok(());
    }
    lifecycle::schedule_termination(p, &instance);
    p.respond(
        command.key,
        ProcessInstanceIntent::ElementTerminating,
        instance.value(),
    );
    Ok(())
}

fn activate(p: &mut Processing, command: &Command, value: &values::ProcessInstance) -> Result<()> {
    let instance = match p.instance(command.key)? {
        Some(instance) => match instance.state {
            ElementState::Created => {
                elements::process::activating(p, &instance);
                instance
            }
            // An incident was resolved: the step is repeated.
            ElementState::Activating => {
                if refuse_in_closed_scope(p, command, &instance)? {
                    return Ok(());
                }
                instance
            }
            _ => return refuse(p, command, "ACTIVATING", Some(&instance)),
        },
        None => match enter(p, command, value)? {
            Some(instance) => instance,
            None => return Ok(()),
        },
    };
    let step = elements::activate(p, &instance);
    incidents::raise_if_stopped(p, &instance, step)?;
    Ok(())
}

/// A new element instance, if its scope still takes one and, for a join, all tokens are there.
fn enter(
    p: &mut Processing,
    command: &Command,
    value: &values::ProcessInstance,
) -> Result<Option<ElementInstance>> {
    let scope = p.instance(Key(value.flow_scope_key))?;
    let is_open = |scope: &ElementInstance| {
        let element = scope.process.element_by_id(&value.element_id);
        scope.admits(element.map_or(scope.element, |element| element.index))
    };
    let Some(scope) = scope.filter(is_open) else {
        let reason = format!(
            "Expected flow scope instance with key '{}' to be active and not interrupted, but it is not",
            value.flow_scope_key
        );
        p.reject(command, Rejection::invalid_state(reason));
        return Ok(None);
    };
    let Some(element) = scope.process.element_by_id(&value.element_id) else {
        let reason = format!(
            "Expected an element with id '{}', but there is none",
            value.element_id
        );
        p.reject(command, Rejection::not_found(reason));
        return Ok(None);
    };
    let tokens = match joins::is_join(element) {
        true => joins::consume(p, &scope, element)?,
        false => Some(1),
    };
    let Some(tokens) = tokens else {
        let kind = match element.kind {
            ElementKind::ParallelGateway => "parallel",
            _ => "inclusive",
        };
        let reason = format!(
            "Expected to be able to activate {kind} gateway '{}', \
             but not all sequence flows have been taken.",
            element.id
        );
        p.reject(command, Rejection::invalid_state(reason));
        return Ok(None);
    };
    Ok(Some(lifecycle::enter(
        p,
        command.key,
        &scope,
        element.index,
        tokens,
    )))
}

fn complete(p: &mut Processing, command: &Command) -> Result<()> {
    let Some(instance) = p.instance(command.key)? else {
        return refuse(p, command, "ACTIVATED or COMPLETING", None);
    };
    if !matches!(
        instance.state,
        ElementState::Activated | ElementState::Completing
    ) {
        return refuse(p, command, "ACTIVATED or COMPLETING", Some(&instance));
    }
    if refuse_in_closed_scope(p, command, &instance)? {
        return Ok(());
    }
    if instance.state == ElementState::Activated {
        lifecycle::completing(p, &instance);
    }
    let step = elements::complete(p, &instance);
    incidents::raise_if_stopped(p, &instance, step)?;
    Ok(())
}

/// The step that an execution listener was part of goes on.
fn complete_listener(p: &mut Processing, command: &Command) -> Result<()> {
    let expected = "ACTIVATING or COMPLETING";
    let Some(instance) = p.instance(command.key)? else {
        return refuse(p, command, expected, None);
    };
    if refuse_in_closed_scope(p, command, &instance)? {
        return Ok(());
    }
    let go_on = match instance.state {
        ElementState::Activating => elements::activate,
        ElementState::Completing => elements::complete,
        _ => return refuse(p, command, expected, Some(&instance)),
    };
    listeners::complete(p, &instance)?;
    let instance = p.existing_instance(instance.key)?;
    let step = go_on(p, &instance);
    incidents::raise_if_stopped(p, &instance, step)?;
    Ok(())
}

/// Refuses a step of an element whose scope is being emptied.
fn refuse_in_closed_scope(
    p: &mut Processing,
    command: &Command,
    instance: &ElementInstance,
) -> Result<bool> {
    if !instance.flow_scope_key.is_some() {
        return Ok(false);
    }
    let scope = p.existing_instance(instance.flow_scope_key)?;
    if scope.admits(instance.element) {
        return Ok(false);
    }
    let reason = format!(
        "Expected flow scope instance with key '{}' to be active and not interrupted, but it is not",
        scope.key
    );
    p.reject(command, Rejection::invalid_state(reason));
    Ok(true)
}

fn terminate(p: &mut Processing, command: &Command) -> Result<()> {
    match p.instance(command.key)? {
        Some(instance) if instance.state != ElementState::Terminating => {
            lifecycle::terminate(p, &instance)
        }
        other => refuse(
            p,
            command,
            "ACTIVATING, ACTIVATED or COMPLETING",
            other.as_ref(),
        ),
    }
}

fn refuse(
    p: &mut Processing,
    command: &Command,
    expected: &str,
    found: Option<&ElementInstance>,
) -> Result<()> {
    let found = match found {
        Some(instance) => format!("it is {}", instance.state.name()),
        None => "there is no such element instance".to_owned(),
    };
    let reason = format!(
        "Expected element instance with key '{}' to be {expected}, but {found}",
        command.key
    );
    p.reject(command, Rejection::invalid_state(reason));
    Ok(())
}
