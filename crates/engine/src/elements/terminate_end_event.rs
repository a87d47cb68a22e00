//! The terminate end event: ends everything else in its scope, which then completes.

use skep_protocol::ProcessInstanceIntent;

use crate::behaviours::lifecycle;
use crate::instances::ElementInstance;
use crate::processing::{Processing, Result};

pub(crate) fn leave(p: &mut Processing, instance: &ElementInstance) -> Result<()> {
    lifecycle::end(p, instance, ProcessInstanceIntent::ElementCompleted)?;
    lifecycle::finish_early(p, instance.flow_scope_key)
}
