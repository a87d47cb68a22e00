//! Signal throw and end events: broadcast a signal with what was mapped into them.

use skep_bpmn::model::Text;

use crate::behaviours::incidents::Step;
use crate::behaviours::{expressions, lifecycle, signals, variables};
use crate::instances::ElementInstance;
use crate::processing::Processing;

pub(crate) fn activate(p: &mut Processing, instance: &ElementInstance, signal: &Text) -> Step<()> {
    let name = expressions::name(p, instance.key, "signal name", signal)?;
    lifecycle::activated(p, instance);
    let instance = p.existing_instance(instance.key)?;
    let variables = variables::local_document(p, &instance, &[])?;
    signals::schedule_broadcast(p, &name, variables);
    lifecycle::schedule_completion(p, &instance);
    Ok(())
}
