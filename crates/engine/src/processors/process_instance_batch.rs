//! PROCESS_INSTANCE_BATCH: the next repetitions of a multi-instance activity, or the next children of a scope to be terminated.

use skep_protocol::{Command, Intent, Key, ProcessInstanceBatchIntent, RecordValue, Rejection};

use crate::behaviours::{lifecycle, repetitions};
use crate::processing::{Processing, Result};

/// Evaluates a PROCESS_INSTANCE_BATCH command.
pub(crate) fn process(p: &mut Processing, command: &Command) -> Result<()> {
    let (RecordValue::ProcessInstanceBatch(value), Intent::ProcessInstanceBatch(intent)) =
        (&command.value, command.intent)
    else {
        unreachable!("a PROCESS_INSTANCE_BATCH command carries a batch");
    };
    let key = Key(value.batch_element_instance_key);
    match intent {
        ProcessInstanceBatchIntent::Activate => activate(p, command, key),
        ProcessInstanceBatchIntent::Terminate => terminate(p, command, key, Key(value.index)),
    }
}

fn activate(p: &mut Processing, command: &Command, body: Key) -> Result<()> {
    let found = p.instance(body)?;
    let Some(found) = found.filter(|found| found.is_body() && found.admits(found.element)) else {
        let reason = format!(
            "Expected multi-instance body with key '{body}' to be active and not interrupted, but it is not"
        );
        p.reject(command, Rejection::invalid_state(reason));
        return Ok(());
    };
    repetitions::begin_next(p, &found)
}

/// Whatever has ended meanwhile needs no telling, and what has begun since in place of it is not meant.
fn terminate(p: &mut Processing, command: &Command, scope: Key, after: Key) -> Result<()> {
    if let Some(found) = p.instance(scope)?
        && lifecycle::is_being_emptied(p, &found)?
    {
        return lifecycle::terminate_next_children(p, &found, after);
    }
    let reason =
        format!("Expected scope with key '{scope}' to be terminated or emptied, but it is not");
    p.reject(command, Rejection::invalid_state(reason));
    Ok(())
}
