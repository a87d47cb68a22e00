//! The parallel gateway: takes all outgoing sequence flows. That all incoming ones were taken is seen to before it is activated.

use crate::behaviours::incidents::Step;
use crate::behaviours::lifecycle;
use crate::instances::ElementInstance;
use crate::processing::Processing;

pub(crate) fn activate(p: &mut Processing, instance: &ElementInstance) -> Step<()> {
    lifecycle::activated(p, instance);
    lifecycle::completing(p, instance);
    lifecycle::completed(p, instance)?;
    Ok(())
}
