//! Work done by a job worker: the service task and all that is like it.

use skep_bpmn::model::Job;

use crate::behaviours::incidents::Step;
use crate::behaviours::{jobs, lifecycle, subscriptions};
use crate::instances::ElementInstance;
use crate::processing::Processing;

pub(crate) fn activate(p: &mut Processing, instance: &ElementInstance, job: &Job) -> Step<()> {
    let job = jobs::prepare(p, instance, job)?;
    subscriptions::open(p, instance)?;
    jobs::create(p, instance, job)?;
    lifecycle::activated(p, instance);
    Ok(())
}
