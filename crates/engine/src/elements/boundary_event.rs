//! The boundary event, activated by its trigger once what it is attached to was interrupted.

use skep_bpmn::model::{BoundaryEvent, Trigger};

use super::start_event::propagate_own_variables;
use crate::behaviours::incidents::Step;
use crate::behaviours::mappings;
use crate::instances::ElementInstance;
use crate::processing::Processing;

/// The variables of an error stay where they are unless they are mapped, those of other triggers go to the flow scope.
pub(crate) fn bring_out(
    p: &mut Processing,
    instance: &ElementInstance,
    boundary: &BoundaryEvent,
) -> Step<()> {
    if !mappings::outputs(p, instance)? && !matches!(boundary.trigger, Trigger::Error(_)) {
        propagate_own_variables(p, instance)?;
    }
    Ok(())
}
