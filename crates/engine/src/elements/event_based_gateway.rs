//! The event-based gateway: waits for the events behind it, and goes on at the first that comes.

use skep_protocol::ProcessInstanceIntent;

use super::intermediate_catch_event;
use super::start_event::propagate_own_variables;
use crate::behaviours::incidents::{self, Step};
use crate::behaviours::{events, lifecycle, mappings, subscriptions, variables};
use crate::elements;
use crate::instances::ElementInstance;
use crate::processing::Processing;

pub(crate) fn activate(p: &mut Processing, instance: &ElementInstance) -> Step<()> {
    intermediate_catch_event::wait(p, instance)
}

/// The event begins with what triggered it, and has nothing to wait for any more.
pub(crate) fn leave(p: &mut Processing, instance: &ElementInstance) -> Step<()> {
    subscriptions::close(p, instance)?;
    let target = events::first_queued(p, instance)?
        .expect("an event-based gateway is left because of a trigger");
    let variables = events::take(p, instance, target)?;
    let flow = instance
        .element()
        .outgoing
        .iter()
        .map(|&flow| instance.process.flow(flow))
        .find(|flow| flow.target == target)
        .expect("an event-based gateway waits for what is behind it");
    lifecycle::end(p, instance, ProcessInstanceIntent::ElementCompleted)?;
    lifecycle::flow_taken(p, instance, flow)?;
    let scope = p.existing_instance(instance.flow_scope_key)?;
    let key = p.next_key()?;
    let event = lifecycle::enter(p, key, &scope, target, 0);
    variables::merge_local(p, key, variables.unwrap_or_default())?;
    let step = elements::activate(p, &event);
    incidents::raise_if_stopped(p, &event, step)?;
    Ok(())
}

/// What came to the gateway is the event's own, and goes to its flow scope.
pub(crate) fn bring_out(p: &mut Processing, event: &ElementInstance) -> Step<()> {
    if !mappings::outputs(p, event)? {
        propagate_own_variables(p, event)?;
    }
    Ok(())
}
