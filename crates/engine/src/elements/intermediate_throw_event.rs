//! The intermediate throw event: what it throws says what it does.

use skep_bpmn::model::ThrowEvent;

use super::{compensation_event, escalation_event, pass_through, service_task, signal_event};
use crate::behaviours::incidents::Step;
use crate::instances::ElementInstance;
use crate::processing::Processing;

pub(crate) fn activate(
    p: &mut Processing,
    instance: &ElementInstance,
    throw: &ThrowEvent,
) -> Step<()> {
    match throw {
        ThrowEvent::None | ThrowEvent::Link(_) => pass_through::activate(p, instance),
        ThrowEvent::Message(job) => service_task::activate(p, instance, job),
        ThrowEvent::Compensation(_) => compensation_event::activate(p, instance),
        ThrowEvent::Signal(signal) => signal_event::activate(p, instance, signal),
        ThrowEvent::Escalation(throw) => escalation_event::activate(p, instance, throw),
    }
}
