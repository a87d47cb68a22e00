//! Work done by a person: kept as a job for an application that shows it, or by the engine itself.

use skep_bpmn::model::{UserTask, UserTaskImplementation};

use crate::behaviours::incidents::Step;
use crate::behaviours::{jobs, lifecycle, subscriptions, user_tasks};
use crate::instances::ElementInstance;
use crate::processing::Processing;

pub(crate) fn activate(
    p: &mut Processing,
    instance: &ElementInstance,
    model: &UserTask,
) -> Step<()> {
    let properties = user_tasks::evaluate(p, instance, model)?;
    subscriptions::open(p, instance)?;
    match model.implementation {
        UserTaskImplementation::JobWorker => {
            let job = user_tasks::job(instance, model, &properties);
            jobs::create(p, instance, job)?;
        }
        UserTaskImplementation::Native => user_tasks::create(p, instance, model, properties)?,
    }
    lifecycle::activated(p, instance);
    Ok(())
}
