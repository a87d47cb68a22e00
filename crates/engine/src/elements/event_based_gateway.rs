//! The event-based gateway: waits for the events behind it, and goes on at the first that comes.

use skep_protocol::ProcessInstanceIntent;

use crate::behaviours::incidents::{self, Step};
use crate::behaviours::{events, lifecycle, subscriptions};
use crate::elements;
use crate::instances::ElementInstance;
use crate::processing::Processing;

/// The event begins with what triggered it, and has nothing to wait for any more.
pub(crate) fn leave(p: &mut Processing, instance: &ElementInstance) -> Step<()> {
    subscriptions::close(p, instance)?;
    let trigger = events::detach_first(p, instance.key)?
        .expect("an event-based gateway is left because of a trigger");
    let flow = instance
        .element()
        .outgoing
        .iter()
        .map(|&flow| instance.process.flow(flow))
        .find(|flow| *instance.process.element(flow.target).id == *trigger.event())
        .expect("an event-based gateway waits for what is behind it");
    lifecycle::end(p, instance, ProcessInstanceIntent::ElementCompleted)?;
    lifecycle::flow_taken(p, instance, flow)?;
    let scope = p.existing_instance(instance.flow_scope_key)?;
    let key = p.next_key()?;
    let event = lifecycle::enter(p, key, &scope, flow.target, 0);
    events::attach(p, &event, trigger);
    let event = p.existing_instance(key)?;
    let step = elements::activate(p, &event);
    incidents::raise_if_stopped(p, &event, step)?;
    Ok(())
}
