//! The link throw event: goes on at the link catch event of the same name.

use skep_bpmn::model::ElementIndex;
use skep_protocol::ProcessInstanceIntent;

use crate::behaviours::lifecycle;
use crate::instances::ElementInstance;
use crate::processing::{Processing, Result};

pub(crate) fn leave(
    p: &mut Processing,
    instance: &ElementInstance,
    catch: ElementIndex,
) -> Result<()> {
    lifecycle::end(p, instance, ProcessInstanceIntent::ElementCompleted)?;
    let scope = p.existing_instance(instance.flow_scope_key)?;
    lifecycle::schedule_activation(p, &scope, catch)
}
