//! Compensation throw and end events: have what was completed undone, and wait for that.

use crate::behaviours::incidents::Step;
use crate::behaviours::{compensation, lifecycle};
use crate::instances::ElementInstance;
use crate::processing::Processing;

pub(crate) fn activate(p: &mut Processing, instance: &ElementInstance) -> Step<()> {
    lifecycle::activated(p, instance);
    if !compensation::throw(p, instance)? {
        lifecycle::schedule_completion(p, instance);
    }
    Ok(())
}
