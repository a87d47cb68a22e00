//! Elements that have nothing to do themselves: none events, manual tasks, tasks of no kind, and events whose meaning is in how
//! they are left.

use crate::behaviours::incidents::Step;
use crate::behaviours::{lifecycle, subscriptions};
use crate::instances::ElementInstance;
use crate::processing::Processing;

pub(crate) fn activate(p: &mut Processing, instance: &ElementInstance) -> Step<()> {
    subscriptions::open(p, instance)?;
    lifecycle::activated_and_done(p, instance);
    Ok(())
}
