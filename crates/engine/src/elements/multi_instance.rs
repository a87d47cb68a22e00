//! The body of a multi-instance activity: the scope of its repetitions.

use skep_bpmn::model::MultiInstance;

use crate::behaviours::incidents::Step;
use crate::behaviours::{lifecycle, repetitions, subscriptions};
use crate::instances::ElementInstance;
use crate::processing::Processing;

pub(crate) fn activate(
    p: &mut Processing,
    instance: &ElementInstance,
    model: &MultiInstance,
) -> Step<()> {
    let items = repetitions::items(p, instance, model)?;
    let total = repetitions::count(&items)?;
    repetitions::create_output(p, instance, model, total as usize)?;
    subscriptions::open(p, instance)?;
    lifecycle::activated(p, instance);
    p.instances
        .change(instance.key, |body| body.repetition.total = total);
    if total == 0 {
        lifecycle::schedule_completion(p, instance);
    } else {
        let body = p.existing_instance(instance.key)?;
        repetitions::schedule(p, &body)?;
    }
    Ok(())
}

pub(crate) fn bring_out(
    p: &mut Processing,
    instance: &ElementInstance,
    model: &MultiInstance,
) -> Step<()> {
    repetitions::return_output(p, instance, model)?;
    Ok(())
}
