//! Escalation throw and end events: tell the scopes around them, and go on unless one of those is interrupted by it.

use skep_bpmn::model::EscalationThrow;

use crate::behaviours::escalations::{self, Caught};
use crate::behaviours::incidents::Step;
use crate::behaviours::{expressions, lifecycle};
use crate::instances::ElementInstance;
use crate::processing::Processing;

pub(crate) fn activate(
    p: &mut Processing,
    instance: &ElementInstance,
    throw: &EscalationThrow,
) -> Step<()> {
    let code = expressions::text(p, instance.key, &throw.code)?;
    lifecycle::activated(p, instance);
    match escalations::throw(p, instance, &code)? {
        Caught::Interrupting => {}
        Caught::Beside | Caught::Nowhere => lifecycle::schedule_completion(p, instance),
    }
    Ok(())
}
