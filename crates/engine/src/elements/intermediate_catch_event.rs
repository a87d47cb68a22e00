//! The intermediate catch event: waits for a message or a timer.

use super::service_task::leave_with_trigger_variables;
use crate::behaviours::incidents::Step;
use crate::behaviours::{lifecycle, mappings, subscriptions};
use crate::instances::ElementInstance;
use crate::processing::Processing;

pub(crate) fn activate(p: &mut Processing, instance: &ElementInstance) -> Step<()> {
    mappings::inputs(p, instance)?;
    subscriptions::open(p, instance)?;
    lifecycle::activated(p, instance);
    Ok(())
}

pub(crate) fn complete(p: &mut Processing, instance: &ElementInstance) -> Step<()> {
    leave_with_trigger_variables(p, instance)?;
    subscriptions::close(p, instance)?;
    lifecycle::completed(p, instance)?;
    Ok(())
}
