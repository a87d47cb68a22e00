//! The call activity: runs another process, and waits for its end. What that brings is queued as a trigger of the call activity.

use skep_bpmn::model::CallActivity;

use crate::behaviours::incidents::Step;
use crate::behaviours::{
    calls, events, lifecycle, mappings, repetitions, subscriptions, variables,
};
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

/// What the called instance brings goes where the output mappings say, or to where each variable is defined. It has copies of all that
/// its caller saw: what repetitions know of themselves stays as it is, and so do the lists that collect their outputs, which
/// would be taken back to what they were when the call began.
pub(crate) fn bring_out(p: &mut Processing, instance: &ElementInstance) -> Step<()> {
    if let Some(mut document) = events::take(p, instance, instance.element)? {
        if instance.element().outputs.is_empty() {
            repetitions::keep_collected(p, instance, &mut document)?;
            let own = repetitions::take_own(instance, &mut document);
            variables::merge_local(p, instance.key, own)?;
            variables::propagate(p, instance.key, document)?;
        } else {
            variables::merge_local(p, instance.key, document)?;
        }
    }
    mappings::outputs(p, instance)?;
    Ok(())
}
