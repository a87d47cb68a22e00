//! The exclusive gateway: takes the first sequence flow whose condition holds.

use skep_bpmn::model::{FlowIndex, ForkingGateway};
use skep_protocol::values::IncidentErrorType;

use crate::behaviours::expressions;
use crate::behaviours::incidents::{Failure, Step, Stop};
use crate::behaviours::lifecycle;
use crate::instances::ElementInstance;
use crate::processing::Processing;

pub(crate) fn activate(
    p: &mut Processing,
    instance: &ElementInstance,
    gateway: &ForkingGateway,
) -> Step<()> {
    let flow = choose(p, instance, gateway)?;
    lifecycle::activated(p, instance);
    lifecycle::completing(p, instance);
    lifecycle::completed_along(p, instance, flow.as_slice())?;
    Ok(())
}

/// The flow to take; `None` if there is none at all.
fn choose(
    p: &mut Processing,
    instance: &ElementInstance,
    gateway: &ForkingGateway,
) -> Step<Option<FlowIndex>> {
    let outgoing = &instance.element().outgoing;
    if let [only] = outgoing[..]
        && instance.process.flow(only).condition.is_none()
    {
        return Ok(Some(only));
    }
    for &index in outgoing {
        if gateway.default_flow == Some(index) {
            continue;
        }
        if let Some(condition) = &instance.process.flow(index).condition
            && expressions::boolean(p, instance.key, condition)?
        {
            return Ok(Some(index));
        }
    }
    if gateway.default_flow.is_some() || outgoing.is_empty() {
        return Ok(gateway.default_flow);
    }
    Err(nothing_to_take())
}

/// The incident of a gateway where no condition holds.
pub(super) fn nothing_to_take() -> Stop {
    let message = "Expected at least one condition to evaluate to true, or to have a default flow";
    Stop::Incident(Failure::new(IncidentErrorType::ConditionError, message))
}
