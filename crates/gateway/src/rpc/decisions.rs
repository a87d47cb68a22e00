//! Calls about decisions.

use skep_protocol::{
    Command, DecisionEvaluationIntent, Intent, Key, RecordValue, Rejection, RejectionType, values,
};
use tonic::{Request, Status};

use super::{DEFAULT_TENANT, Gateway, check_name, check_tenant, unexpected_answer, variables_of};
use crate::proto::{
    EvaluateDecisionRequest, EvaluateDecisionResponse, EvaluatedDecision, EvaluatedDecisionInput,
    EvaluatedDecisionOutput, MatchedDecisionRule,
};
use crate::{retry, status};

/// A decision that can't be made is an answer, not an error.
pub async fn evaluate(
    gateway: &Gateway,
    request: Request<EvaluateDecisionRequest>,
) -> Result<EvaluateDecisionResponse, Status> {
    let deadline = gateway.deadline(&request);
    let request = request.into_inner();
    check_tenant("EvaluateDecision", &request.tenant_id)?;
    check_name("decision id", &request.decision_id)?;
    let asked = values::DecisionEvaluation {
        decision_key: request.decision_key,
        decision_id: request.decision_id,
        variables: variables_of(request.variables)?,
        ..Default::default()
    };
    let command = Command::new(Key::NONE, DecisionEvaluationIntent::Evaluate, asked);
    let start = gateway.creations.next();
    let brokers = &*gateway.brokers;
    let event = retry::on_any_partition_that_knows(brokers, start, &command, deadline, is_unknown)
        .await?
        .map_err(|rejection| status::of_rejection(command.intent, &rejection))?;
    let (intent, key) = (event.intent, event.key);
    match event.value {
        RecordValue::DecisionEvaluation(evaluated) => Ok(response(key, intent, evaluated)),
        _ => Err(unexpected_answer("EVALUATE", &event)),
    }
}

/// Zeebe calls a decision that is not there an invalid argument.
fn is_unknown(rejection: &Rejection) -> bool {
    matches!(
        rejection.rejection_type,
        RejectionType::NotFound | RejectionType::InvalidArgument
    )
}

fn response(
    key: Key,
    intent: Intent,
    evaluated: values::DecisionEvaluation,
) -> EvaluateDecisionResponse {
    let failed = intent == Intent::DecisionEvaluation(DecisionEvaluationIntent::Failed);
    EvaluateDecisionResponse {
        decision_key: evaluated.decision_key,
        decision_id: evaluated.decision_id,
        decision_name: evaluated.decision_name,
        decision_version: evaluated.decision_version,
        decision_requirements_id: evaluated.decision_requirements_id,
        decision_requirements_key: evaluated.decision_requirements_key,
        decision_output: if failed {
            String::new()
        } else {
            evaluated.decision_output
        },
        evaluated_decisions: evaluated
            .evaluated_decisions
            .into_iter()
            .map(decision)
            .collect(),
        failed_decision_id: evaluated.failed_decision_id,
        failure_message: evaluated.evaluation_failure_message,
        tenant_id: DEFAULT_TENANT.to_owned(),
        decision_instance_key: key.0,
        decision_evaluation_key: key.0,
    }
}

fn decision(evaluated: values::EvaluatedDecision) -> EvaluatedDecision {
    let inputs = evaluated.evaluated_inputs.into_iter();
    EvaluatedDecision {
        decision_key: evaluated.decision_key,
        decision_id: evaluated.decision_id,
        decision_name: evaluated.decision_name,
        decision_version: evaluated.decision_version,
        decision_type: evaluated.decision_type,
        decision_output: evaluated.decision_output,
        matched_rules: evaluated.matched_rules.into_iter().map(rule).collect(),
        evaluated_inputs: inputs
            .map(|input| EvaluatedDecisionInput {
                input_id: input.input_id,
                input_name: input.input_name,
                input_value: input.input_value,
            })
            .collect(),
        tenant_id: DEFAULT_TENANT.to_owned(),
        decision_evaluation_instance_key: String::new(),
    }
}

fn rule(matched: values::MatchedRule) -> MatchedDecisionRule {
    let outputs = matched.evaluated_outputs.into_iter();
    MatchedDecisionRule {
        rule_id: matched.rule_id,
        rule_index: matched.rule_index,
        evaluated_outputs: outputs
            .map(|output| EvaluatedDecisionOutput {
                output_id: output.output_id,
                output_name: output.output_name,
                output_value: output.output_value,
            })
            .collect(),
    }
}
