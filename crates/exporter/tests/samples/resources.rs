//! What is deployed.

use skep_protocol::values::*;
use skep_protocol::*;

use super::text;

pub fn all() -> Vec<(Intent, RecordValue)> {
    let mut all = deployed();
    all.extend(decisions());
    all
}

fn deployment() -> Deployment {
    Deployment {
        resources: vec![DeploymentResource {
            resource_name: text("order.bpmn"),
            resource: b"contents".to_vec(),
        }],
        processes: vec![ProcessMetadata {
            bpmn_process_id: text("order"),
            version: 2,
            process_definition_key: 5,
            resource_name: text("order.bpmn"),
            checksum: b"checksum".to_vec(),
            duplicate: false,
            version_tag: text("v2"),
            deployment_key: 4,
        }],
        decisions: vec![DecisionMetadata {
            decision_id: text("discount"),
            decision_name: text("Discount"),
            version: 1,
            decision_key: 6,
            decision_requirements_id: text("prices"),
            decision_requirements_key: 7,
            duplicate: true,
            version_tag: text("v3"),
            deployment_key: 3,
        }],
        decision_requirements: vec![DecisionRequirementsMetadata {
            decision_requirements_id: text("prices"),
            decision_requirements_name: text("Prices"),
            version: 1,
            decision_requirements_key: 7,
            namespace: text("http://example"),
            resource_name: text("prices.dmn"),
            checksum: b"checksum".to_vec(),
            duplicate: true,
        }],
        forms: vec![FormMetadata {
            form_id: text("address"),
            version: 1,
            form_key: 8,
            resource_name: text("address.form"),
            checksum: b"checksum".to_vec(),
            duplicate: false,
            version_tag: text("v1"),
            deployment_key: 4,
        }],
    }
}

fn deployed() -> Vec<(Intent, RecordValue)> {
    let process = Process {
        bpmn_process_id: text("order"),
        version: 2,
        process_definition_key: 5,
        resource_name: text("order.bpmn"),
        checksum: b"checksum".to_vec(),
        resource: b"contents".to_vec(),
        deployment_key: 4,
        is_deleting: true,
        version_tag: text("v2"),
    };
    let form = Form {
        form_id: text("address"),
        version: 1,
        form_key: 8,
        resource_name: text("address.form"),
        checksum: b"checksum".to_vec(),
        resource: b"contents".to_vec(),
        deployment_key: 4,
        version_tag: text("v1"),
    };
    let deletion = ResourceDeletion {
        resource_key: 5,
        is_distributed: true,
    };
    vec![
        (DeploymentIntent::Created.into(), deployment().into()),
        (
            CommandDistributionIntent::Started.into(),
            CommandDistribution::new(PartitionId(2), ResourceDeletionIntent::Delete.into())
                .with_value(&deletion.clone().into())
                .into(),
        ),
        (ProcessIntent::Created.into(), process.into()),
        (FormIntent::Created.into(), form.into()),
        (ResourceDeletionIntent::Deleted.into(), deletion.into()),
    ]
}

fn decisions() -> Vec<(Intent, RecordValue)> {
    let decision = Decision {
        decision_id: text("discount"),
        decision_name: text("Discount"),
        version: 1,
        decision_key: 6,
        decision_requirements_id: text("prices"),
        decision_requirements_key: 7,
        deployment_key: 4,
        version_tag: text("v3"),
    };
    let requirements = DecisionRequirements {
        decision_requirements_id: text("prices"),
        decision_requirements_name: text("Prices"),
        version: 1,
        decision_requirements_key: 7,
        namespace: text("http://example"),
        resource_name: text("prices.dmn"),
        checksum: b"checksum".to_vec(),
        resource: b"contents".to_vec(),
        deployment_key: 4,
    };
    vec![
        (DecisionIntent::Created.into(), decision.into()),
        (
            DecisionRequirementsIntent::Created.into(),
            requirements.into(),
        ),
        (
            DecisionEvaluationIntent::Evaluated.into(),
            evaluation().into(),
        ),
    ]
}

fn evaluation() -> DecisionEvaluation {
    let evaluated = EvaluatedDecision {
        decision_id: text("discount"),
        decision_name: text("Discount"),
        decision_key: 6,
        decision_version: 1,
        decision_type: text("DECISION_TABLE"),
        decision_output: text("0.1"),
        evaluated_inputs: vec![EvaluatedInput {
            input_id: text("amount"),
            input_name: text("Amount"),
            input_value: text("300"),
        }],
        matched_rules: vec![MatchedRule {
            rule_id: text("many"),
            rule_index: 1,
            evaluated_outputs: vec![EvaluatedOutput {
                output_id: text("rate"),
                output_name: text("Rate"),
                output_value: text("0.1"),
            }],
        }],
    };
    DecisionEvaluation {
        decision_key: 6,
        decision_id: text("discount"),
        decision_name: text("Discount"),
        decision_version: 1,
        decision_requirements_id: text("prices"),
        decision_requirements_key: 7,
        decision_output: text("0.1"),
        variables: text("{\"amount\":300}"),
        bpmn_process_id: text("order"),
        process_definition_key: 5,
        process_instance_key: 1,
        element_id: text("price"),
        element_instance_key: 2,
        evaluated_decisions: vec![evaluated],
        evaluation_failure_message: text("none"),
        failed_decision_id: text("nobody"),
    }
}
