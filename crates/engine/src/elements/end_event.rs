//! The end event: ends its path, after what it throws.

use skep_bpmn::model::EndEvent;

use super::{
    compensation_event, error_end_event, escalation_event, pass_through, service_task, signal_event,
};
use crate::behaviours::incidents::Step;
use crate::instances::ElementInstance;
use crate::processing::Processing;

pub(crate) fn activate(p: &mut Processing, instance: &ElementInstance, end: &EndEvent) -> Step<()> {
    match end {
        EndEvent::None | EndEvent::Terminate => pass_through::activate(p, instance),
        EndEvent::Message(job) => service_task::activate(p, instance, job),
        EndEvent::Error(throw) => error_end_event::activate(p, instance, throw),
        EndEvent::Compensation(_) => compensation_event::activate(p, instance),
        EndEvent::Signal(signal) => signal_event::activate(p, instance, signal),
        EndEvent::Escalation(throw) => escalation_event::activate(p, instance, throw),
    }
}
