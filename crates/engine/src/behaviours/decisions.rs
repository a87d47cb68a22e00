//! Decisions: found and evaluated, and what came of it written into a record.

use std::sync::Arc;

use skep_dmn::{DecisionLogic, EvaluatedDecision, Outcome, TableParts};
use skep_feel::{Environment, Scope, TableTrace, Value};
use skep_protocol::{DecisionEvaluationIntent, Key, values};

use crate::definitions::DecisionDefinition;
use crate::limits;
use crate::processing::{Processing, Result};
use crate::tables::decisions;

/// A deployed decision.
pub(crate) struct Found {
    definition: Arc<DecisionDefinition>,
    decision: values::Decision,
}

/// The latest version of a decision id.
pub(crate) fn latest(p: &mut Processing, decision_id: &str) -> Result<Option<Found>> {
    match decisions::latest(p.txn, decision_id)? {
        Some(version) => by_key(p, version.key()),
        None => Ok(None),
    }
}

/// The decision of a key.
pub(crate) fn by_key(p: &mut Processing, key: Key) -> Result<Option<Found>> {
    let Some(decision) = decisions::get(p.txn, key)? else {
        return Ok(None);
    };
    let requirements = Key(decision.decision_requirements_key);
    let definition = p.definitions.decisions(p.txn, requirements)?;
    let definition = definition.unwrap_or_else(|| {
        panic!("decision {key} belongs to decision requirements {requirements}, which do not exist")
    });
    Ok(Some(Found {
        definition,
        decision,
    }))
}

/// Fills a record that says who asks with what came of the evaluation, and gives the intent that it has.
pub(crate) fn evaluate(
    found: &Found,
    variables: &dyn Scope,
    environment: &Environment,
    record: &mut values::DecisionEvaluation,
) -> DecisionEvaluationIntent {
    let deployed = &found.decision;
    let id = &deployed.decision_id;
    let model = &found.definition.model;
    let decision = model.decision(id);
    let decision = decision.unwrap_or_else(|| panic!("decision '{id}' is not in its resource"));
    let outcome = model.evaluate(decision, variables, environment);
    record.decision_key = deployed.decision_key;
    record.decision_id.clone_from(id);
    record.decision_name.clone_from(&deployed.decision_name);
    record.decision_version = deployed.version;
    let requirements_id = &deployed.decision_requirements_id;
    record.decision_requirements_id.clone_from(requirements_id);
    record.decision_requirements_key = deployed.decision_requirements_key;
    if written_bytes(&outcome) > limits::DECISION_RECORD_BYTES_MAX as u64 {
        "null".clone_into(&mut record.decision_output);
        record.failed_decision_id.clone_from(id);
        record.evaluation_failure_message = format!(
            "Expected to evaluate decision '{id}', but the values of all decisions, inputs and outputs take more than {} bytes",
            limits::DECISION_RECORD_BYTES_MAX
        );
        return DecisionEvaluationIntent::Failed;
    }
    record.evaluated_decisions = outcome
        .decisions
        .iter()
        .map(|evaluated| evaluated_decision(&found.definition, evaluated))
        .collect();
    match outcome.result {
        Ok(value) => {
            record.decision_output = value.to_json();
            DecisionEvaluationIntent::Evaluated
        }
        Err(failed) => {
            "null".clone_into(&mut record.decision_output);
            failed.id.clone_into(&mut record.failed_decision_id);
            record.evaluation_failure_message =
                format!("Expected to evaluate decision '{id}', but {}", failed.error);
            DecisionEvaluationIntent::Failed
        }
    }
}

/// Bytes of the values in the record. They may share what is written out several times.
fn written_bytes(outcome: &Outcome<'_>) -> u64 {
    let result = outcome.result.as_ref().map_or(0, Value::written_bytes);
    let of_table = |table: &TableTrace| {
        let inputs = table.inputs.iter();
        let outputs = table.matched.iter().flat_map(|matched| &matched.outputs);
        inputs.chain(outputs).map(Value::written_bytes).sum::<u64>()
    };
    let decisions = outcome.decisions.iter().map(|decision| {
        decision.output.written_bytes() + decision.table.as_ref().map_or(0, of_table)
    });
    result + decisions.sum::<u64>()
}

fn evaluated_decision(
    definition: &DecisionDefinition,
    evaluated: &EvaluatedDecision<'_>,
) -> values::EvaluatedDecision {
    let id = evaluated.decision.id();
    let deployed = definition.decisions.get(id);
    let logic = evaluated.decision.logic();
    let mut record = values::EvaluatedDecision {
        decision_id: id.to_owned(),
        decision_name: evaluated.decision.name().to_owned(),
        decision_key: deployed.map_or(Key::NONE.0, |deployed| deployed.decision_key),
        decision_version: deployed.map_or(0, |deployed| deployed.version),
        decision_type: logic.type_name().to_owned(),
        decision_output: evaluated.output.to_json(),
        evaluated_inputs: Vec::new(),
        matched_rules: Vec::new(),
    };
    if let (DecisionLogic::Table(parts), Some(trace)) = (logic, &evaluated.table) {
        record.evaluated_inputs = evaluated_inputs(parts, trace);
        record.matched_rules = matched_rules(parts, trace);
    }
    record
}

fn evaluated_inputs(parts: &TableParts, trace: &TableTrace) -> Vec<values::EvaluatedInput> {
    let inputs = parts.inputs.iter().zip(&trace.inputs);
    let inputs = inputs.map(|(part, value)| values::EvaluatedInput {
        input_id: part.id.to_string(),
        input_name: part.name.to_string(),
        input_value: value.to_json(),
    });
    inputs.collect()
}

fn matched_rules(parts: &TableParts, trace: &TableTrace) -> Vec<values::MatchedRule> {
    let rules = trace.matched.iter().map(|matched| {
        let outputs = parts.outputs.iter().zip(&matched.outputs);
        let outputs = outputs.map(|(part, value)| values::EvaluatedOutput {
            output_id: part.id.to_string(),
            output_name: part.name.to_string(),
            output_value: value.to_json(),
        });
        values::MatchedRule {
            rule_id: parts.rules[matched.rule].to_string(),
            rule_index: matched.rule as i32 + 1,
            evaluated_outputs: outputs.collect(),
        }
    });
    rules.collect()
}
