//! The script task whose script is a FEEL expression: its value becomes a variable. It waits for nothing.

use skep_bpmn::model::Script;

use crate::behaviours::incidents::Step;
use crate::behaviours::{events, expressions, lifecycle};
use crate::instances::ElementInstance;
use crate::processing::Processing;

pub(crate) fn activate(
    p: &mut Processing,
    instance: &ElementInstance,
    script: &Script,
) -> Step<()> {
    let evaluation = expressions::evaluate(p, instance.key, &script.expression)?;
    let result = evaluation.value.to_json();
    events::bring_result(p, instance, &script.result_variable, &result)?;
    lifecycle::activated_and_done(p, instance);
    Ok(())
}
