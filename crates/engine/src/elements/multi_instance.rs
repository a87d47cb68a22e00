//! The body of a multi-instance activity: the scope of its repetitions.

use skep_bpmn::model::MultiInstance;

use crate::behaviours::incidents::Step;
use crate::behaviours::{incidents::Failure, lifecycle, repetitions, subscriptions};
use crate::instances::ElementInstance;
use crate::processing::Processing;

pub(crate) fn activate(
    p: &mut Processing,
    instance: &ElementInstance,
    model: &MultiInstance,
) -> Step<()> {
    let items = repetitions::items(p, instance, model)?;
    let items = items.as_list().expect("it was seen to be a list");
    let total = u32::try_from(items.len()).map_err(|_| {
        Failure::extract_value("The input collection has more items than can be counted")
    })?;
    repetitions::create_output(p, instance, model, items.len())?;
    subscriptions::open(p, instance)?;
    lifecycle::activated(p, instance);
    p.instances
        .change(instance.key, |body| body.repetition.total = total);
    if total == 0 {
        lifecycle::schedule_completion(p, instance);
    } else {
        let body = p.existing_instance(instance.key)?;
        repetitions::schedule(p, &body);
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
