//! What the kinds of BPMN elements do, one file each.
//!
//! An element is activated and completed by a step each, which does what is special about it and ends in a transition of
//! [`crate::behaviours::lifecycle`]. A step that stops with an incident is repeated from its beginning once that is resolved,
//! so that a step does everything that may fail before it does what must not be done twice.
//!
//! What several kinds share has one file: a send task, a message throw or end event, and a script or business rule task for a job worker
//! is a [`service_task`]; manual tasks, tasks of no kind, and none events [`pass_through`].
//!
//! To add a kind: a file with what it does when it is activated, an arm in [`activate`], arms in [`bring_out`] and [`leave`] if it
//! does not complete as most do, and the feature in what the deployment accepts.

mod boundary_event;
mod business_rule_task;
mod call_activity;
mod compensation_event;
mod end_event;
mod error_end_event;
mod escalation_event;
mod event_based_gateway;
mod event_sub_process;
mod exclusive_gateway;
mod inclusive_gateway;
mod intermediate_catch_event;
mod intermediate_throw_event;
mod link_throw_event;
mod multi_instance;
mod parallel_gateway;
mod pass_through;
pub(crate) mod process;
mod receive_task;
mod script_task;
mod service_task;
mod signal_event;
mod start_event;
pub(crate) mod sub_process;
mod terminate_end_event;
mod user_task;

use skep_bpmn::model::{
    BusinessRuleTask, ElementKind, EndEvent, ListenerEvent, ScriptTask, ThrowEvent,
};
use skep_protocol::values::IncidentErrorType;

use crate::behaviours::incidents::{Failure, Step, Stop};
use crate::behaviours::{
    events, lifecycle, listeners, mappings, repetitions, subscriptions, variables,
};
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
    if listeners::at_beginning(instance) {
        mappings::inputs(p, instance)?;
    }
    if listeners::begin_next(p, instance, ListenerEvent::Start)? {
        return Ok(());
    }
    match &instance.element().kind {
        ElementKind::Process(scope) => process::activate(p, instance, scope),
        ElementKind::SubProcess(scope) => sub_process::activate(p, instance, scope),
        ElementKind::EventSubProcess(scope) => event_sub_process::activate(p, instance, scope),
        ElementKind::StartEvent(_) => start_event::activate(p, instance),
        ElementKind::IntermediateCatchEvent(catch) => {
            intermediate_catch_event::activate(p, instance, catch)
        }
        ElementKind::ReceiveTask(_) => receive_task::activate(p, instance),
        ElementKind::EventBasedGateway(_) => event_based_gateway::activate(p, instance),
        ElementKind::IntermediateThrowEvent(throw) => {
            intermediate_throw_event::activate(p, instance, throw)
        }
        ElementKind::EndEvent(end) => end_event::activate(p, instance, end),
        ElementKind::ServiceTask(job)
        | ElementKind::SendTask(job)
        | ElementKind::ScriptTask(ScriptTask::Job(job))
        | ElementKind::BusinessRuleTask(BusinessRuleTask::Job(job)) => {
            service_task::activate(p, instance, job)
        }
        ElementKind::BusinessRuleTask(BusinessRuleTask::Decision(decision)) => {
            business_rule_task::activate(p, instance, decision)
        }
        ElementKind::ScriptTask(ScriptTask::Script(script)) => {
            script_task::activate(p, instance, script)
        }
        ElementKind::UserTask(task) => user_task::activate(p, instance, task),
        ElementKind::ManualTask | ElementKind::Task => pass_through::activate(p, instance),
        ElementKind::CallActivity(call) => call_activity::activate(p, instance, call),
        ElementKind::ExclusiveGateway(gateway) => exclusive_gateway::activate(p, instance, gateway),
        ElementKind::InclusiveGateway(gateway) => inclusive_gateway::activate(p, instance, gateway),
        ElementKind::ParallelGateway => parallel_gateway::activate(p, instance),
        _ => Err(unsupported(instance)),
    }
}

/// From COMPLETING to COMPLETED, and on to what follows.
pub(crate) fn complete(p: &mut Processing, instance: &ElementInstance) -> Step<()> {
    if listeners::at_beginning(instance) {
        bring_out(p, instance)?;
    }
    if listeners::begin_next(p, instance, ListenerEvent::End)? {
        return Ok(());
    }
    leave(p, instance)
}

/// What an element has brought goes where it is to stay.
fn bring_out(p: &mut Processing, instance: &ElementInstance) -> Step<()> {
    if let Some(model) = &instance.element().multi_instance
        && instance.is_body()
    {
        return multi_instance::bring_out(p, instance, model);
    }
    match &instance.element().kind {
        ElementKind::StartEvent(_) => start_event::bring_out(p, instance),
        ElementKind::BoundaryEvent(boundary) => boundary_event::bring_out(p, instance, boundary),
        ElementKind::IntermediateCatchEvent(catch) if catch.behind_event_based_gateway => {
            event_based_gateway::bring_out(p, instance)
        }
        ElementKind::CallActivity(_) => call_activity::bring_out(p, instance),
        _ => bring_out_trigger(p, instance),
    }
}

/// The variables of what triggered the completion go where the output mappings say, or to where each is defined.
fn bring_out_trigger(p: &mut Processing, instance: &ElementInstance) -> Step<()> {
    if let Some(document) = events::take(p, instance, instance.element)? {
        match instance.element().outputs.is_empty() {
            true => variables::propagate(p, instance.key, document)?,
            false => variables::merge_local(p, instance.key, document)?,
        }
    }
    mappings::outputs(p, instance)?;
    Ok(())
}

/// The element instance ends, and with it all that it still waits for.
fn leave(p: &mut Processing, instance: &ElementInstance) -> Step<()> {
    match &instance.element().kind {
        ElementKind::Process(_) => process::leave(p, instance),
        ElementKind::EventBasedGateway(_) => event_based_gateway::leave(p, instance),
        ElementKind::EndEvent(EndEvent::Terminate) => {
            terminate_end_event::leave(p, instance).map_err(Stop::from)
        }
        ElementKind::IntermediateThrowEvent(ThrowEvent::Link(catch)) => {
            link_throw_event::leave(p, instance, *catch).map_err(Stop::from)
        }
        _ => {
            subscriptions::close(p, instance)?;
            lifecycle::completed(p, instance)
        }
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
