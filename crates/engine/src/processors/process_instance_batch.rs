//! PROCESS_INSTANCE_BATCH: the next repetitions of a multi-instance activity.

use skep_protocol::{Command, Key, RecordValue, Rejection};

use crate::behaviours::repetitions;
use crate::processing::{Processing, Result};

/// Evaluates a PROCESS_INSTANCE_BATCH command.
pub(crate) fn process(p: &mut Processing, command: &Command) -> Result<()> {
    let RecordValue::ProcessInstanceBatch(value) = &command.value else {
        unreachable!("a PROCESS_INSTANCE_BATCH command carries a batch");
    };
    let body = p.instance(Key(value.batch_element_instance_key))?;
    let Some(body) = body.filter(|body| body.is_body() && body.admits(body.element)) else {
        let reason = format!(
            "Expected multi-instance body with key '{}' to be active and not interrupted, but it is not",
            value.batch_element_instance_key
        );
        p.reject(command, Rejection::invalid_state(reason));
        return Ok(());
    };
    repetitions::begin_next(p, &body)
}
