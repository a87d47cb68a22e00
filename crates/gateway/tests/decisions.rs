//! Calls about decisions.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use skep_gateway::proto::*;
use skep_protocol::*;
use support::*;
use tonic::Code;

/// Answers an evaluation with how it was made; `fails` those that are to fail.
fn evaluate(command: &Command) -> Answer {
    let RecordValue::DecisionEvaluation(asked) = &command.value else {
        panic!("{command:?}")
    };
    let mut evaluated = values::DecisionEvaluation {
        decision_key: 5,
        decision_id: asked.decision_id.clone(),
        decision_name: "Fee".to_owned(),
        decision_version: 2,
        decision_requirements_id: "g".to_owned(),
        decision_requirements_key: 4,
        decision_output: "1".to_owned(),
        evaluated_decisions: vec![values::EvaluatedDecision {
            decision_id: asked.decision_id.clone(),
            decision_type: "DECISION_TABLE".to_owned(),
            decision_output: "1".to_owned(),
            evaluated_inputs: vec![values::EvaluatedInput {
                input_id: "i".to_owned(),
                input_name: "n".to_owned(),
                input_value: "7".to_owned(),
            }],
            matched_rules: vec![values::MatchedRule {
                rule_id: "r".to_owned(),
                rule_index: 1,
                evaluated_outputs: vec![values::EvaluatedOutput {
                    output_id: "o".to_owned(),
                    output_name: "fee".to_owned(),
                    output_value: "1".to_owned(),
                }],
            }],
            ..Default::default()
        }],
        ..Default::default()
    };
    if asked.decision_id != "fails" {
        return event(key(1, 9), DecisionEvaluationIntent::Evaluated, evaluated);
    }
    evaluated.decision_output = "null".to_owned();
    evaluated.failed_decision_id = "fails".to_owned();
    evaluated.evaluation_failure_message = "why".to_owned();
    event(key(1, 9), DecisionEvaluationIntent::Failed, evaluated)
}

fn request(id: &str) -> EvaluateDecisionRequest {
    EvaluateDecisionRequest {
        decision_key: -1,
        decision_id: id.to_owned(),
        variables: r#"{"n":7}"#.to_owned(),
        tenant_id: String::new(),
    }
}

#[tokio::test]
async fn an_evaluation_is_answered_with_how_it_was_made() {
    let brokers = Fake::new(1, |_, command| evaluate(command));
    let mut client = start(brokers.clone()).await.client;
    let response = client.evaluate_decision(request("fee")).await.unwrap();
    let response = response.into_inner();
    assert_eq!((response.decision_key, response.decision_version), (5, 2));
    assert_eq!(response.decision_output, "1");
    assert_eq!(response.tenant_id, "<default>");
    assert_eq!(response.decision_evaluation_key, key(1, 9));
    let decision = &response.evaluated_decisions[0];
    assert_eq!(decision.decision_type, "DECISION_TABLE");
    assert_eq!(decision.evaluated_inputs[0].input_value, "7");
    let rule = &decision.matched_rules[0];
    assert_eq!((&*rule.rule_id, rule.rule_index), ("r", 1));
    assert_eq!(rule.evaluated_outputs[0].output_name, "fee");
    assert!(response.failed_decision_id.is_empty());
}

#[tokio::test]
async fn a_failed_evaluation_is_an_answer_without_output() {
    let mut client = start(Fake::new(1, |_, command| evaluate(command)))
        .await
        .client;
    let response = client.evaluate_decision(request("fails")).await.unwrap();
    let response = response.into_inner();
    assert_eq!(response.decision_output, "");
    assert_eq!(response.failed_decision_id, "fails");
    assert_eq!(response.failure_message, "why");
}

#[tokio::test]
async fn variables_that_are_no_document_do_not_reach_a_broker() {
    let mut client = start(Fake::new(1, |_, command| panic!("{command:?}")))
        .await
        .client;
    let request = EvaluateDecisionRequest {
        variables: "[]".to_owned(),
        ..request("fee")
    };
    let status = client.evaluate_decision(request).await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);
}

#[tokio::test]
async fn a_deployment_is_answered_with_its_decisions_and_their_requirements() {
    let brokers = Fake::new(1, |_, _| {
        let created = values::Deployment {
            decisions: vec![values::DecisionMetadata {
                decision_id: "fee".to_owned(),
                version: 1,
                decision_key: 5,
                decision_requirements_id: "g".to_owned(),
                decision_requirements_key: 4,
                ..Default::default()
            }],
            decision_requirements: vec![values::DecisionRequirementsMetadata {
                decision_requirements_id: "g".to_owned(),
                version: 1,
                decision_requirements_key: 4,
                resource_name: "g.dmn".to_owned(),
                ..Default::default()
            }],
            ..Default::default()
        };
        event(9, DeploymentIntent::Created, created)
    });
    let mut client = start(brokers.clone()).await.client;
    let response = client.deploy_resource(DeployResourceRequest::default());
    let deployments = response.await.unwrap().into_inner().deployments;
    let metadata = deployments.into_iter().map(|it| it.metadata.unwrap());
    let [decision, requirements] = &metadata.collect::<Vec<_>>()[..] else {
        panic!("a decision and its requirements");
    };
    let deployment::Metadata::Decision(decision) = decision else {
        panic!("{decision:?}");
    };
    assert_eq!(
        (&*decision.dmn_decision_id, decision.decision_key),
        ("fee", 5)
    );
    let deployment::Metadata::DecisionRequirements(requirements) = requirements else {
        panic!("{requirements:?}");
    };
    assert_eq!(requirements.resource_name, "g.dmn");
}
