//! The call activity: runs another process, and waits for its end.

use skep_bpmn::model::CallActivity;

use super::service_task::leave_with_trigger_variables;
use crate::behaviours::incidents::Step;
use crate::behaviours::{calls, lifecycle, mappings, subscriptions};
use crate::instances::ElementInstance;
use crate::processing::Processing;

pub(crate) fn activate(
    p: &mut Processing,
    instance: &ElementInstance,
    call: &CallActivity,
) -> Step<()> {
    mappings::inputs(p, instance)?;
    let process = calls::find(p, instance, call)?;
    subscriptions::open(p, instance)?;
    lifecycle::activated(p, instance);
    calls::begin(p, instance, call, &process)?;
    Ok(())
}

/// What the called instance brought was queued as a trigger of the call activity.
pub(crate) fn complete(p: &mut Processing, instance: &ElementInstance) -> Step<()> {
    leave_with_trigger_variables(p, instance)?;
    subscriptions::close(p, instance)?;
    lifecycle::completed(p, instance)?;
    Ok(())
}
