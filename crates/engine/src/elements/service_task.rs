//! The service task: work done by a job worker.

use skep_bpmn::model::Job;

use crate::behaviours::incidents::Step;
use crate::behaviours::{events, jobs, lifecycle, mappings, subscriptions, variables};
use crate::instances::ElementInstance;
use crate::processing::Processing;

pub(crate) fn activate(p: &mut Processing, instance: &ElementInstance, job: &Job) -> Step<()> {
    mappings::inputs(p, instance)?;
    let job = jobs::prepare(p, instance, job)?;
    subscriptions::open(p, instance)?;
    jobs::create(p, instance, job)?;
    lifecycle::activated(p, instance);
    Ok(())
}

pub(crate) fn complete(p: &mut Processing, instance: &ElementInstance) -> Step<()> {
    leave_with_trigger_variables(p, instance)?;
    subscriptions::close(p, instance)?;
    lifecycle::completed(p, instance)?;
    Ok(())
}

/// The variables of what triggered the completion go where the output mappings say, or to where each is defined.
pub(super) fn leave_with_trigger_variables(
    p: &mut Processing,
    instance: &ElementInstance,
) -> Step<()> {
    let brought = events::take(p, instance, instance.element)?;
    let has_outputs = !instance.element().outputs.is_empty();
    if let Some(document) = brought {
        match has_outputs {
            true => variables::merge_local(p, instance.key, document)?,
            false => variables::propagate(p, instance.key, document)?,
        }
    }
    mappings::outputs(p, instance)?;
    Ok(())
}
