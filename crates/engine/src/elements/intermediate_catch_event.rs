//! The intermediate catch event: waits for its event.

use skep_bpmn::model::{CatchEvent, Trigger};

use super::pass_through;
use crate::behaviours::incidents::Step;
use crate::behaviours::{lifecycle, subscriptions};
use crate::instances::ElementInstance;
use crate::processing::Processing;

/// What it would wait for has happened already if a link or an event-based gateway led here.
pub(crate) fn activate(
    p: &mut Processing,
    instance: &ElementInstance,
    catch: &CatchEvent,
) -> Step<()> {
    if catch.behind_event_based_gateway || matches!(catch.trigger, Trigger::Link(_)) {
        return pass_through::activate(p, instance);
    }
    wait(p, instance)
}

pub(crate) fn wait(p: &mut Processing, instance: &ElementInstance) -> Step<()> {
    subscriptions::open(p, instance)?;
    lifecycle::activated(p, instance);
    Ok(())
}
