//! The event sub-process: a scope that begins at the start event that was triggered.

use skep_bpmn::model::Scope;

use crate::behaviours::incidents::Step;
use crate::behaviours::{lifecycle, subscriptions};
use crate::instances::ElementInstance;
use crate::processing::Processing;

pub(crate) fn activate(p: &mut Processing, instance: &ElementInstance, scope: &Scope) -> Step<()> {
    subscriptions::open(p, instance)?;
    lifecycle::activated(p, instance);
    let start = scope
        .start_events
        .first()
        .expect("an event sub-process has a start event");
    lifecycle::schedule_activation(p, instance, *start)?;
    Ok(())
}
