//! Results of process instances that somebody waits for.

use skep_protocol::{Command, ProcessInstanceResultIntent, Response, values};

use crate::behaviours::variables;
use crate::instances::ElementInstance;
use crate::processing::{Processing, Result};
use crate::tables::awaited_results;

/// PROCESS_INSTANCE_RESULT COMPLETED, if somebody waits for it; before the variables of the instance are gone.
pub(crate) fn prepare(
    p: &mut Processing,
    instance: &ElementInstance,
) -> Result<
    Option<(
        awaited_results::AwaitedResult,
        values::ProcessInstanceResult,
    )>,
> {
    if !instance.has_awaited_result {
        return Ok(None);
    }
    let Some(awaited) = awaited_results::get(p.txn, instance.key)? else {
        return Ok(None);
    };
    let result = values::ProcessInstanceResult {
        bpmn_process_id: instance.process.id.to_string(),
        version: instance.process.version,
        process_definition_key: instance.process.key.0,
        process_instance_key: instance.key.0,
        variables: variables::local_document(p, instance, &awaited.fetch_variables)?,
    };
    Ok(Some((awaited, result)))
}

/// Writes the result down and answers with it.
pub(crate) fn send(
    p: &mut Processing,
    awaited: &awaited_results::AwaitedResult,
    result: values::ProcessInstanceResult,
) -> Result<()> {
    let key = p.next_key()?;
    p.event(key, ProcessInstanceResultIntent::Completed, result.clone());
    let event = Command::new(key, ProcessInstanceResultIntent::Completed, result);
    p.outcome.responses.push(Response {
        request: awaited.request_id(),
        result: Ok(event),
    });
    Ok(())
}
