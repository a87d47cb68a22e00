//! Decisions, decision requirements graphs, and evaluations.

use skep_protocol::values::{
    Decision, DecisionEvaluation, DecisionMetadata, DecisionRequirements,
    DecisionRequirementsMetadata, EvaluatedDecision, EvaluatedInput, EvaluatedOutput, MatchedRule,
};

use super::writer::Object;

pub(super) fn metadata(object: &mut Object<'_>, value: &DecisionMetadata) {
    object
        .text("decisionId", &value.decision_id)
        .text("decisionName", &value.decision_name)
        .optional("version", value.version)
        .optional("decisionKey", value.decision_key)
        .text("decisionRequirementsId", &value.decision_requirements_id)
        .optional("decisionRequirementsKey", value.decision_requirements_key)
        .boolean("duplicate", value.duplicate)
        .optional("deploymentKey", value.deployment_key)
        .text("versionTag", &value.version_tag)
        .tenant();
}

pub(super) fn requirements_metadata(object: &mut Object<'_>, value: &DecisionRequirementsMetadata) {
    object
        .text("decisionRequirementsId", &value.decision_requirements_id)
        .text(
            "decisionRequirementsName",
            &value.decision_requirements_name,
        )
        .optional("decisionRequirementsVersion", value.version)
        .optional("decisionRequirementsKey", value.decision_requirements_key)
        .text("namespace", &value.namespace)
        .text("resourceName", &value.resource_name)
        .bytes("checksum", &value.checksum)
        .boolean("duplicate", value.duplicate)
        .tenant();
}

pub(super) fn decision(object: &mut Object<'_>, value: &Decision) {
    object
        .text("decisionId", &value.decision_id)
        .text("decisionName", &value.decision_name)
        .optional("version", value.version)
        .optional("decisionKey", value.decision_key)
        .text("decisionRequirementsId", &value.decision_requirements_id)
        .optional("decisionRequirementsKey", value.decision_requirements_key)
        .boolean("duplicate", false)
        .optional("deploymentKey", value.deployment_key)
        .text("versionTag", &value.version_tag)
        .tenant();
}

pub(super) fn requirements(object: &mut Object<'_>, value: &DecisionRequirements) {
    object
        .text("decisionRequirementsId", &value.decision_requirements_id)
        .text(
            "decisionRequirementsName",
            &value.decision_requirements_name,
        )
        .optional("decisionRequirementsVersion", value.version)
        .optional("decisionRequirementsKey", value.decision_requirements_key)
        .text("namespace", &value.namespace)
        .text("resourceName", &value.resource_name)
        .bytes("checksum", &value.checksum)
        .bytes("resource", &value.resource)
        .boolean("duplicate", false)
        .tenant();
}

pub(super) fn evaluation(object: &mut Object<'_>, value: &DecisionEvaluation) {
    object
        .optional("decisionKey", value.decision_key)
        .text("decisionId", &value.decision_id)
        .text("decisionName", &value.decision_name)
        .optional("decisionVersion", value.decision_version)
        .text("decisionRequirementsId", &value.decision_requirements_id)
        .optional("decisionRequirementsKey", value.decision_requirements_key)
        .text("decisionOutput", json_text(&value.decision_output))
        .document("variables", &value.variables)
        .text("bpmnProcessId", &value.bpmn_process_id)
        .optional("processDefinitionKey", value.process_definition_key)
        .optional("processInstanceKey", value.process_instance_key)
        .text("elementId", &value.element_id)
        .optional("elementInstanceKey", value.element_instance_key)
        .objects("evaluatedDecisions", &value.evaluated_decisions, evaluated)
        .text(
            "evaluationFailureMessage",
            &value.evaluation_failure_message,
        )
        .text("failedDecisionId", &value.failed_decision_id)
        .tenant();
}

fn evaluated(object: &mut Object<'_>, value: &EvaluatedDecision) {
    object
        .text("decisionId", &value.decision_id)
        .text("decisionName", &value.decision_name)
        .optional("decisionKey", value.decision_key)
        .optional("decisionVersion", value.decision_version)
        .text("decisionType", &value.decision_type)
        .text("decisionOutput", json_text(&value.decision_output))
        .objects("evaluatedInputs", &value.evaluated_inputs, input)
        .objects("matchedRules", &value.matched_rules, rule)
        .tenant();
}

fn input(object: &mut Object<'_>, value: &EvaluatedInput) {
    object
        .text("inputId", &value.input_id)
        .text("inputName", &value.input_name)
        .text("inputValue", json_text(&value.input_value));
}

fn rule(object: &mut Object<'_>, value: &MatchedRule) {
    object
        .text("ruleId", &value.rule_id)
        .number("ruleIndex", value.rule_index)
        .objects("evaluatedOutputs", &value.evaluated_outputs, output);
}

fn output(object: &mut Object<'_>, value: &EvaluatedOutput) {
    object
        .text("outputId", &value.output_id)
        .text("outputName", &value.output_name)
        .text("outputValue", json_text(&value.output_value));
}

/// A text that holds JSON; without any it is the text of null.
fn json_text(json: &str) -> &str {
    if json.is_empty() { "null" } else { json }
}
