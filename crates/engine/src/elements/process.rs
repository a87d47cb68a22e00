//! The process itself: the root scope.

use skep_bpmn::model::Scope;
use skep_protocol::ProcessInstanceIntent;

use crate::behaviours::incidents::Step;
use crate::behaviours::{calls, events, lifecycle, results, subscriptions};
use crate::elements::sub_process;
use crate::instances::ElementInstance;
use crate::processing::Processing;
use crate::tables::element_instances::ElementState;

/// Begins at the start event that was triggered, or else at the none start event.
pub(crate) fn activate(p: &mut Processing, instance: &ElementInstance, scope: &Scope) -> Step<()> {
    subscriptions::open(p, instance)?;
    lifecycle::activated(p, instance);
    let mut start = scope.none_start;
    if instance.has_triggers
        && let Some(event) = events::first_queued(p, instance)?
    {
        start = Some(event);
    }
    let start = start.expect("a process instance is created only where it can begin");
    lifecycle::schedule_activation(p, instance, start)?;
    Ok(())
}

/// ACTIVATING and ACTIVATED without a start event and start listeners.
pub(crate) fn enter(p: &mut Processing, instance: &ElementInstance) -> Step<()> {
    activating(p, instance);
    sub_process::open(p, instance)?;
    lifecycle::activated(p, instance);
    Ok(())
}

/// ELEMENT_ACTIVATING.
pub(crate) fn activating(p: &mut Processing, instance: &ElementInstance) {
    p.instances.change(instance.key, |instance| {
        instance.state = ElementState::Activating
    });
    p.event(
        instance.key,
        ProcessInstanceIntent::ElementActivating,
        instance.value(),
    );
}

/// Answers whoever waits for the result, and lets the call activity behind it go on.
pub(crate) fn leave(p: &mut Processing, instance: &ElementInstance) -> Step<()> {
    let result = results::prepare(p, instance)?;
    let variables = calls::variables_to_return(p, instance)?;
    subscriptions::close(p, instance)?;
    lifecycle::process_completed(p, instance)?;
    if let Some((awaited, result)) = result {
        results::send(p, &awaited, result)?;
    }
    if let Some(caller) = lifecycle::instance_ended(p, instance, variables)? {
        lifecycle::terminated(p, caller)?;
    }
    Ok(())
}
