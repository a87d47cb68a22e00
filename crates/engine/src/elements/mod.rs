//! What the kinds of BPMN elements do, one file each.
//!
//! An element is activated and completed by a step each, which does what is special about it and ends in a transition of
//! [`crate::behaviours::lifecycle`]. A step that stops with an incident is repeated from its beginning once that is resolved,
//! so that a step does everything that may fail before it does what must not be done twice.
//!
//! To add a kind: a file with its two steps, an arm in [`activate`] and [`complete`], and the feature in what the deployment
//! accepts.

mod boundary_event;
mod call_activity;
mod end_event;
mod error_end_event;
mod escalation_event;
mod event_sub_process;
mod exclusive_gateway;
mod intermediate_catch_event;
mod multi_instance;
mod parallel_gateway;
pub(crate) mod process;
mod script_task;
mod service_task;
mod start_event;
pub(crate) mod sub_process;

use skep_bpmn::model::{ElementKind, EndEvent, ScriptTask, ThrowEvent};
use skep_protocol::values::IncidentErrorType;

use crate::behaviours::incidents::{Failure, Step, Stop};
use crate::behaviours::repetitions;
use crate::instances::ElementInstance;
use crate::processing::Processing;

/// From ACTIVATING to ACTIVATED, and on if there is nothing to wait for.
pub(crate) fn activate(p: &mut Processing, instance: &ElementInstance) -> Step<()> {
    if let Some(model) = &instance.element().multi_instance {
        if instance.is_body() {
            return multi_instance::activate(p, instance, model);
        }
        repetitions::begin(p, instance)?;
    }
    match &instance.element().kind {
        ElementKind::Process(scope) => process::activate(p, instance, scope),
        ElementKind::SubProcess(scope) => sub_process::activate(p, instance, scope),
        ElementKind::EventSubProcess(scope) => event_sub_process::activate(p, instance, scope),
        ElementKind::StartEvent(_) => start_event::activate(p, instance),
        ElementKind::EndEvent(EndEvent::None) => end_event::activate(p, instance),
        ElementKind::EndEvent(EndEvent::Error(throw)) => {
            error_end_event::activate(p, instance, throw)
        }
        ElementKind::EndEvent(EndEvent::Escalation(throw))
        | ElementKind::IntermediateThrowEvent(ThrowEvent::Escalation(throw)) => {
            escalation_event::activate(p, instance, throw)
        }
        ElementKind::ServiceTask(job) => service_task::activate(p, instance, job),
        ElementKind::ScriptTask(ScriptTask::Script(script)) => {
            script_task::activate(p, instance, script)
        }
        ElementKind::IntermediateCatchEvent(_) => intermediate_catch_event::activate(p, instance),
        ElementKind::CallActivity(call) => call_activity::activate(p, instance, call),
        ElementKind::ExclusiveGateway(gateway) => exclusive_gateway::activate(p, instance, gateway),
        ElementKind::ParallelGateway => parallel_gateway::activate(p, instance),
        _ => Err(unsupported(instance)),
    }
}

/// From COMPLETING to COMPLETED, and on to what follows.
pub(crate) fn complete(p: &mut Processing, instance: &ElementInstance) -> Step<()> {
    if let Some(model) = &instance.element().multi_instance
        && instance.is_body()
    {
        return multi_instance::complete(p, instance, model);
    }
    match &instance.element().kind {
        ElementKind::Process(_) => process::complete(p, instance),
        ElementKind::SubProcess(_) | ElementKind::EventSubProcess(_) => {
            sub_process::complete(p, instance)
        }
        ElementKind::StartEvent(_) => start_event::complete(p, instance),
        ElementKind::EndEvent(EndEvent::None | EndEvent::Escalation(_))
        | ElementKind::IntermediateThrowEvent(ThrowEvent::Escalation(_)) => {
            end_event::complete(p, instance)
        }
        ElementKind::ServiceTask(_) => service_task::complete(p, instance),
        ElementKind::CallActivity(_) => call_activity::complete(p, instance),
        ElementKind::ScriptTask(ScriptTask::Script(_)) => script_task::complete(p, instance),
        ElementKind::IntermediateCatchEvent(_) => intermediate_catch_event::complete(p, instance),
        ElementKind::BoundaryEvent(boundary) => boundary_event::complete(p, instance, boundary),
        _ => Err(unsupported(instance)),
    }
}

/// The deployment refuses what the engine does not execute, so that only a definition of a newer version can lead here.
fn unsupported(instance: &ElementInstance) -> Stop {
    let message = format!(
        "Element '{}' is of a kind that this version does not execute",
        instance.element().id
    );
    Stop::Incident(Failure::new(IncidentErrorType::Unknown, message))
}
