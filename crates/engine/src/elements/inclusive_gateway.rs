//! The inclusive gateway: takes all sequence flows whose conditions hold.

use skep_bpmn::model::{FlowIndex, ForkingGateway};

use super::exclusive_gateway::nothing_to_take;
use crate::behaviours::incidents::Step;
use crate::behaviours::{expressions, lifecycle};
use crate::instances::ElementInstance;
use crate::processing::Processing;

pub(crate) fn activate(
    p: &mut Processing,
    instance: &ElementInstance,
    gateway: &ForkingGateway,
) -> Step<()> {
    let flows = choose(p, instance, gateway)?;
    lifecycle::activated(p, instance);
    lifecycle::completing(p, instance);
    lifecycle::completed_along(p, instance, &flows)?;
    Ok(())
}

/// The flows to take; none only if there is none at all.
fn choose(
    p: &mut Processing,
    instance: &ElementInstance,
    gateway: &ForkingGateway,
) -> Step<Vec<FlowIndex>> {
    let outgoing = &instance.element().outgoing;
    if let [only] = outgoing[..]
        && instance.process.flow(only).condition.is_none()
    {
        return Ok(vec![only]);
    }
    let mut chosen = Vec::new();
    for &index in outgoing {
        if gateway.default_flow == Some(index) {
            continue;
        }
        if let Some(condition) = &instance.process.flow(index).condition
            && expressions::boolean(p, instance.key, condition)?
        {
            chosen.push(index);
        }
    }
    if chosen.is_empty() {
        chosen.extend(gateway.default_flow);
    }
    if chosen.is_empty() && !outgoing.is_empty() {
        return Err(nothing_to_take());
    }
    Ok(chosen)
}
