//! Called process instances: begun by a call activity, and reported back to it when they end.
//!
//! **Invariants**
//! - A call activity knows its called instance from the call until that instance has ended, and does not end before it.
//! - Both are in the same partition, but their variables are not of one tree: what goes over is copied.

use std::sync::Arc;

use skep_bpmn::model::{CallActivity, ElementKind};
use skep_protocol::Key;
use skep_protocol::values::IncidentErrorType;

use crate::behaviours::bindings::{self, Bound};
use crate::behaviours::incidents::{Failure, Step, Stop};
use crate::behaviours::{events, expressions, instances, lifecycle, variables};
use crate::definitions::Definition;
use crate::instances::ElementInstance;
use crate::limits;
use crate::processing::{Processing, Result};
use crate::tables::element_instances::ElementState;

/// The process that a call activity calls.
pub(crate) fn find(
    p: &mut Processing,
    instance: &ElementInstance,
    call: &CallActivity,
) -> Step<Arc<Definition>> {
    let id = expressions::name(p, instance.key, "BPMN process id", &call.process_id)?;
    let refuse = |message: String| {
        let error_type = IncidentErrorType::CalledElementError;
        Err(Stop::Incident(Failure::new(error_type, message)))
    };
    let key = bindings::find(p, instance, Bound::Process, &id, &call.binding)?;
    let process = p.definitions.process(p.txn, key)?;
    let process = process
        .unwrap_or_else(|| panic!("process definition {key} of '{id}' is known, but not there"));
    if process.none_start().is_none() {
        return refuse(format!(
            "Expected process with BPMN process id '{id}' to have a none start event, but not found."
        ));
    }
    if instance.call_depth >= limits::CALL_DEPTH_MAX {
        return refuse(format!(
            "Expected at most {} process instances that call each other, but calling '{id}' would be one more. \
             If the call is repeated without end, cancel the process instance and correct its process.",
            limits::CALL_DEPTH_MAX
        ));
    }
    Ok(process)
}

/// Creates the called instance, with its variables.
pub(crate) fn begin(
    p: &mut Processing,
    instance: &ElementInstance,
    call: &CallActivity,
    process: &Arc<Definition>,
) -> Result<()> {
    let variables = if call.propagate_all_parent_variables {
        variables::visible_document(p, instance.key, &[])?
    } else {
        let instance = p.existing_instance(instance.key)?;
        variables::local_document(p, &instance, &[])?
    };
    let called = instances::create_called(p, process, instance, &variables)?;
    p.instances.change(instance.key, |instance| {
        instance.called_process_instance_key = called;
    });
    Ok(())
}

/// The call activity behind a process instance, if there is one.
pub(crate) fn caller(
    p: &mut Processing,
    called: &ElementInstance,
) -> Result<Option<ElementInstance>> {
    let key = called.parent_element_instance_key;
    if !called.is_process() || !key.is_some() {
        return Ok(None);
    }
    p.existing_instance(key).map(Some)
}

/// The process instance that nobody called, at the top of the calls that led to this one.
pub(crate) fn root(p: &mut Processing, called: &ElementInstance) -> Result<Key> {
    let mut instance = called.clone();
    while instance.parent_process_instance_key.is_some() {
        instance = p.existing_instance(instance.parent_process_instance_key)?;
    }
    Ok(instance.key)
}

/// The variables that a completing instance brings to its caller; `None` if it brings none, or nobody called it.
pub(crate) fn variables_to_return(
    p: &mut Processing,
    called: &ElementInstance,
) -> Result<Option<String>> {
    let Some(caller) = caller(p, called)? else {
        return Ok(None);
    };
    let element = caller.element();
    let ElementKind::CallActivity(call) = &element.kind else {
        unreachable!("only call activities call process instances");
    };
    if !call.propagate_all_child_variables && element.outputs.is_empty() {
        return Ok(None);
    }
    variables::local_document(p, called, &[]).map(Some)
}

/// A called instance has ended: its call activity goes on. `variables` are what it brings if it has completed. Gives the call
/// activity if it only waited for this in order to terminate.
pub(crate) fn ended(
    p: &mut Processing,
    called: &ElementInstance,
    variables: Option<String>,
) -> Result<Option<Key>> {
    let Some(caller) = caller(p, called)? else {
        return Ok(None);
    };
    p.instances.change(caller.key, |caller| {
        caller.called_process_instance_key = Key::NONE;
    });
    if caller.state == ElementState::Terminating {
        return Ok(Some(caller.key));
    }
    if let Some(variables) = variables {
        events::queue(p, &caller, caller.element, &variables)?;
    }
    lifecycle::schedule_completion(p, &caller);
    Ok(None)
}
