//! The business rule task that evaluates a decision: its output becomes a variable. It waits for nothing.

use skep_bpmn::model::Decision;
use skep_protocol::values::{self, IncidentErrorType};
use skep_protocol::{DecisionEvaluationIntent, Key};

use crate::behaviours::bindings::{self, Bound};
use crate::behaviours::incidents::{Failure, Step, Stop};
use crate::behaviours::{decisions, events, expressions, lifecycle};
use crate::instances::ElementInstance;
use crate::processing::Processing;

pub(crate) fn activate(
    p: &mut Processing,
    instance: &ElementInstance,
    called: &Decision,
) -> Step<()> {
    let output = evaluate(p, instance, called)?;
    events::bring_result(p, instance, &called.result_variable, &output)?;
    lifecycle::activated_and_done(p, instance);
    Ok(())
}

/// The output of the decision, as JSON. Whether it could be made is written down either way.
fn evaluate(p: &mut Processing, instance: &ElementInstance, called: &Decision) -> Step<String> {
    let id = expressions::name(p, instance.key, "decision id", &called.decision_id)?;
    let key = bindings::find(p, instance, Bound::Decision, &id, &called.binding)?;
    let found = decisions::by_key(p, key)?;
    let found = found.unwrap_or_else(|| panic!("decision {key} of '{id}' is known, but not there"));
    let mut record = values::DecisionEvaluation {
        bpmn_process_id: instance.process.id.to_string(),
        process_definition_key: instance.process.key.0,
        process_instance_key: instance.process_instance_key.0,
        element_id: instance.element().id.to_string(),
        element_instance_key: instance.key.0,
        ..Default::default()
    };
    let intent = expressions::with_visible(p, instance.key, |variables, environment| {
        decisions::evaluate(&found, variables, environment, &mut record)
    })?;
    let key: Key = p.next_key()?;
    p.event(key, intent, record.clone());
    match intent {
        DecisionEvaluationIntent::Failed => Err(Stop::Incident(Failure::new(
            IncidentErrorType::DecisionEvaluationError,
            record.evaluation_failure_message,
        ))),
        _ => Ok(record.decision_output),
    }
}
