//! Execution listeners: jobs before and after the work of an element, one after the other.
//!
//! **Invariants**
//! - While one is at work its element stays ACTIVATING or COMPLETING, and does nothing else.
//! - What comes before them in a step, the mappings, is done once however many there are. If the job of one cannot be made, the
//!   step begins anew once that is mended, with the first of them.
//! - Those of a multi-instance activity belong to each of its repetitions.

use skep_bpmn::model::ListenerEvent;
use skep_protocol::{Command, ProcessInstanceIntent};

use crate::behaviours::incidents::Step;
use crate::behaviours::{events, jobs, mappings, variables};
use crate::instances::ElementInstance;
use crate::processing::{Processing, Result};
use crate::tables::element_instances::ElementState;

/// Whether no listener has done its part of the step at hand yet, so that it is at its beginning.
pub(crate) fn at_beginning(instance: &ElementInstance) -> bool {
    instance.listeners_done == 0
}

/// Begins the next listener of a step. Gives false if there is none left.
pub(crate) fn begin_next(
    p: &mut Processing,
    instance: &ElementInstance,
    event: ListenerEvent,
) -> Step<bool> {
    if instance.is_body() {
        return Ok(false);
    }
    let done = instance.listeners_done as usize;
    let Some(listener) = instance.element().listeners_at(event).nth(done) else {
        return Ok(false);
    };
    match jobs::prepare_listener(p, instance, listener) {
        Ok(job) => jobs::create(p, instance, job)?,
        Err(stop) => {
            p.instances
                .change(instance.key, |instance| instance.listeners_done = 0);
            return Err(stop);
        }
    }
    Ok(true)
}

/// The job of a listener is done: has its element go on after the command at hand, with what the job brought.
pub(crate) fn job_completed(
    p: &mut Processing,
    instance: &ElementInstance,
    variables: &str,
) -> Result<()> {
    events::queue(p, instance, instance.element, variables)?;
    p.follow_up(Command::new(
        instance.key,
        ProcessInstanceIntent::CompleteExecutionListener,
        instance.value(),
    ));
    Ok(())
}

/// A listener has done its part. Before the work of its element, what it brought is the element's own; after it, it goes where the
/// output of the element goes.
pub(crate) fn complete(p: &mut Processing, instance: &ElementInstance) -> Result<()> {
    if let Some(document) = events::take(p, instance, instance.element)? {
        match instance.state {
            ElementState::Activating => variables::merge_local(p, instance.key, document)?,
            _ => variables::propagate(p, mappings::output_scope(instance), document)?,
        }
    }
    p.instances
        .change(instance.key, |instance| instance.listeners_done += 1);
    Ok(())
}
