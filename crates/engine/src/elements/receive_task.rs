//! The receive task: an activity that waits for a message, as a catch event does.

use super::intermediate_catch_event;
use crate::behaviours::incidents::Step;
use crate::instances::ElementInstance;
use crate::processing::Processing;

pub(crate) fn activate(p: &mut Processing, instance: &ElementInstance) -> Step<()> {
    intermediate_catch_event::wait(p, instance)
}
