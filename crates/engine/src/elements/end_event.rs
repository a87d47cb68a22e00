//! The none end event: ends its token. What other events do at their end is the same, with the sequence flows that they have.

use crate::behaviours::incidents::Step;
use crate::behaviours::{lifecycle, mappings};
use crate::instances::ElementInstance;
use crate::processing::Processing;

pub(crate) fn activate(p: &mut Processing, instance: &ElementInstance) -> Step<()> {
    lifecycle::activated_and_done(p, instance);
    Ok(())
}

pub(crate) fn complete(p: &mut Processing, instance: &ElementInstance) -> Step<()> {
    mappings::outputs(p, instance)?;
    lifecycle::completed(p, instance)?;
    Ok(())
}
