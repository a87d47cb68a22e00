//! The call activity: runs another process, and waits for its end. What that brings is queued as a trigger of the call activity.

use skep_bpmn::model::CallActivity;

use crate::behaviours::incidents::Step;
use crate::behaviours::{calls, lifecycle, subscriptions};
use crate::instances::ElementInstance;
use crate::processing::Processing;

pub(crate) fn activate(
    p: &mut Processing,
    instance: &ElementInstance,
    call: &CallActivity,
) -> Step<()> {
    let process = calls::find(p, instance, call)?;
    subscriptions::open(p, instance)?;
    lifecycle::activated(p, instance);
    calls::begin(p, instance, call, &process)?;
    Ok(())
}
