//! Decisions: deployed, called by business rule tasks, and evaluated for clients.

use skep_bpmn::builder::ProcessBuilder;
use skep_protocol::values::{self, DecisionEvaluation, IncidentErrorType};
use skep_protocol::{
    Command, DecisionEvaluationIntent, DecisionIntent, DecisionRequirementsIntent,
    DeploymentIntent, Intent, Key, RecordValue, RejectionType, ResponseResult,
};

use crate::harness::Harness;
use crate::helpers::{answered, values_of};

/// A graph of two decisions: `rate` requires `risk`, whose rules have those outputs.
fn graph(id: &str, high: &str) -> String {
    format!(
        r##"<definitions xmlns="https://www.omg.org/spec/DMN/20191111/MODEL/" id="{id}" name="{id} name" namespace="n">
  <decision id="risk" name="Risk">
    <variable name="risk" typeRef="Any"/>
    <decisionTable id="t" hitPolicy="UNIQUE">
      <input id="i1" label="Age"><inputExpression><text>age</text></inputExpression></input>
      <input id="i2"><inputExpression><text>vip</text></inputExpression></input>
      <output id="o1" name="level"/>
      <rule id="r1"><inputEntry><text>&lt; 25</text></inputEntry><inputEntry><text/></inputEntry><outputEntry><text>{high}</text></outputEntry></rule>
      <rule id="r2"><inputEntry><text>&gt;= 25</text></inputEntry><inputEntry><text>-</text></inputEntry><outputEntry><text>"low"</text></outputEntry></rule>
      <rule id="r3"><inputEntry><text>&gt; 90</text></inputEntry><inputEntry><text>-</text></inputEntry><outputEntry><text>"old"</text></outputEntry></rule>
    </decisionTable>
  </decision>
  <decision id="rate" name="Rate">
    <informationRequirement><requiredDecision href="#risk"/></informationRequirement>
    <literalExpression><text>{{level: risk, factor: factor}}</text></literalExpression>
  </decision>
</definitions>"##
    )
}

fn calling(decision: &str) -> ProcessBuilder {
    let called =
        format!(r#"<zeebe:calledDecision decisionId="{decision}" resultVariable="result"/>"#);
    ProcessBuilder::new("p")
        .start()
        .element("businessRuleTask", "decide", "")
        .extension(&called)
}

fn evaluate(harness: &mut Harness, id: &str, key: i64, variables: &str) -> ResponseResult {
    let asked = DecisionEvaluation {
        decision_id: id.to_owned(),
        decision_key: key,
        variables: variables.to_owned(),
        ..Default::default()
    };
    harness.ask(Command::new(
        Key::NONE,
        DecisionEvaluationIntent::Evaluate,
        asked,
    ))
}

#[test]
fn a_decision_gives_a_variable_and_a_record_of_how_it_was_made() {
    let mut harness = Harness::new();
    let xml = calling("rate").service_task("after", "t").end().xml();
    let dmn = graph("g", "\"high\"");
    harness
        .deploy_resources(&[("p.bpmn", &xml), ("g.dmn", &dmn)])
        .unwrap();
    let instance = harness.create("p", r#"{"age":20,"factor":1.5}"#);
    let result = r#"result={"level":"high","factor":1.5}"#;
    assert_eq!(
        harness.variables(instance),
        ["age=20", "factor=1.5", result]
    );
    let [evaluated] =
        &values_of::<DecisionEvaluation>(&harness, DecisionEvaluationIntent::Evaluated)[..]
    else {
        panic!("one evaluation");
    };
    assert_eq!(evaluated.decision_id, "rate");
    assert_eq!(evaluated.decision_name, "Rate");
    assert_eq!(evaluated.decision_version, 1);
    assert_eq!(evaluated.decision_requirements_id, "g");
    assert_eq!(evaluated.element_id, "decide");
    assert_eq!(evaluated.process_instance_key, instance.0);
    assert_eq!(
        evaluated.decision_output,
        r#"{"level":"high","factor":1.5}"#
    );
    let [risk, rate] = &evaluated.evaluated_decisions[..] else {
        panic!("what is required comes first");
    };
    assert_eq!(rate.decision_type, "LITERAL_EXPRESSION");
    assert_eq!(risk.decision_type, "DECISION_TABLE");
    let inputs = risk.evaluated_inputs.iter();
    let inputs: Vec<_> = inputs
        .map(|it| (&*it.input_id, &*it.input_name, &*it.input_value))
        .collect();
    assert_eq!(inputs, [("i1", "Age", "20"), ("i2", "vip", "null")]);
    let [rule] = &risk.matched_rules[..] else {
        panic!("one rule matches");
    };
    assert_eq!((&*rule.rule_id, rule.rule_index), ("r1", 1));
    let output = &rule.evaluated_outputs[0];
    assert_eq!((&*output.output_id, &*output.output_name), ("o1", "level"));
    assert_eq!(output.output_value, r#""high""#);
    harness.work("t", "{}");
    harness.assert_clean();
}

#[test]
fn the_decision_id_may_be_an_expression_and_the_result_is_mapped() {
    let mut harness = Harness::new();
    let xml = calling("=which")
        .output("=upper case(result)", "out")
        .service_task("after", "t")
        .end()
        .xml();
    let dmn = graph("g", "\"high\"");
    harness
        .deploy_resources(&[("p.bpmn", &xml), ("g.dmn", &dmn)])
        .unwrap();
    let instance = harness.create("p", r#"{"age":30,"which":"risk"}"#);
    assert_eq!(
        harness.variables(instance),
        ["age=30", r#"out="LOW""#, r#"which="risk""#]
    );
    harness.work("t", "{}");
    harness.assert_clean();
}

#[test]
fn a_decision_that_is_not_deployed_is_an_incident_until_it_is() {
    let mut harness = Harness::with(&calling("risk").end().xml());
    harness.create("p", r#"{"age":30}"#);
    let (incident, value) = harness.incidents()[0].clone();
    assert_eq!(value.error_type(), IncidentErrorType::CalledDecisionError);
    assert_eq!(
        value.error_message,
        "Expected to evaluate decision 'risk', but no decision found for id 'risk'"
    );
    harness
        .deploy_resources(&[("g.dmn", &graph("g", "1"))])
        .unwrap();
    harness.resolve(incident).unwrap();
    assert!(harness.happened("p COMPLETED"));
    harness.assert_clean();
}

#[test]
fn a_decision_that_fails_is_an_incident_that_can_be_resolved() {
    let mut harness = Harness::new();
    let xml = calling("rate").end().xml();
    harness
        .deploy_resources(&[("p.bpmn", &xml), ("g.dmn", &graph("g", "1"))])
        .unwrap();
    let instance = harness.create("p", r#"{"age":95}"#);
    let (incident, value) = harness.incidents()[0].clone();
    assert_eq!(
        value.error_type(),
        IncidentErrorType::DecisionEvaluationError
    );
    assert_eq!(
        value.error_message,
        "Expected to evaluate decision 'rate', but failed to evaluate expression 'Risk': the hit policy of a decision table is \
         violated: UNIQUE, but several rules match"
    );
    let [failed] = &values_of::<DecisionEvaluation>(&harness, DecisionEvaluationIntent::Failed)[..]
    else {
        panic!("one evaluation");
    };
    assert_eq!(failed.failed_decision_id, "risk");
    assert_eq!(failed.evaluation_failure_message, value.error_message);
    assert_eq!(failed.evaluated_decisions[0].matched_rules.len(), 2);
    harness
        .set_variables(instance, r#"{"age":7}"#, false)
        .unwrap();
    harness.resolve(incident).unwrap();
    assert!(harness.happened("p COMPLETED"));
    harness.assert_clean();
}

#[test]
fn a_decision_id_that_is_no_text_is_an_incident() {
    let mut harness = Harness::with(&calling("=which").end().xml());
    harness.create("p", r#"{"which":1}"#);
    let (_, value) = harness.incidents()[0].clone();
    assert_eq!(value.error_type(), IncidentErrorType::ExtractValueError);
}

#[test]
fn an_unchanged_graph_is_a_duplicate_and_a_changed_one_a_new_version() {
    let mut harness = Harness::new();
    let first =
        answered::<values::Deployment>(harness.deploy_resources(&[("g.dmn", &graph("g", "1"))]));
    let ids = first
        .decisions
        .iter()
        .map(|decision| &*decision.decision_id);
    assert_eq!(ids.collect::<Vec<_>>(), ["risk", "rate"]);
    assert_eq!(
        first.decision_requirements[0].decision_requirements_name,
        "g name"
    );
    assert_eq!(first.decision_requirements[0].namespace, "n");
    let same =
        answered::<values::Deployment>(harness.deploy_resources(&[("g.dmn", &graph("g", "1"))]));
    assert!(same.decision_requirements[0].duplicate && same.decisions[1].duplicate);
    assert_eq!(
        same.decisions[1].decision_key,
        first.decisions[1].decision_key
    );
    let other_name =
        answered::<values::Deployment>(harness.deploy_resources(&[("h.dmn", &graph("g", "1"))]));
    let changed =
        answered::<values::Deployment>(harness.deploy_resources(&[("h.dmn", &graph("g", "2"))]));
    for (version, deployment) in [(2, other_name), (3, changed)] {
        assert_eq!(deployment.decision_requirements[0].version, version);
        assert_eq!(deployment.decisions[0].version, version);
    }
    // The decisions of another graph go on with the versions of their ids.
    let other_graph =
        answered::<values::Deployment>(harness.deploy_resources(&[("i.dmn", &graph("i", "1"))]));
    assert_eq!(other_graph.decision_requirements[0].version, 1);
    assert_eq!(other_graph.decisions[0].version, 4);
    assert_eq!(harness.events(DecisionRequirementsIntent::Created).len(), 4);
    assert_eq!(harness.events(DecisionIntent::Created).len(), 8);
    assert_eq!(harness.events(DeploymentIntent::Created).len(), 5);
}

#[test]
fn the_same_ids_twice_in_one_deployment_are_refused() {
    let mut harness = Harness::new();
    let (a, b) = (graph("g", "1"), graph("g", "2"));
    let rejection = harness
        .deploy_resources(&[("a.dmn", &a), ("b.dmn", &b)])
        .unwrap_err();
    assert_eq!(rejection.rejection_type, RejectionType::InvalidArgument);
    for line in [
        "Duplicated decision id 'risk' in resources 'a.dmn' and 'b.dmn'",
        "Duplicated DRG id 'g' in resources 'a.dmn' and 'b.dmn'",
    ] {
        assert!(rejection.reason.contains(line), "{}", rejection.reason);
    }
    assert!(harness.events(DecisionIntent::Created).is_empty());
}

#[test]
fn what_is_wrong_with_a_graph_is_said_with_its_place() {
    let mut harness = Harness::new();
    let broken = graph("g", "1 +").replace(r#" name="Rate""#, "");
    let rejection = harness.deploy_resources(&[("g.dmn", &broken)]).unwrap_err();
    assert!(
        rejection
            .reason
            .contains("Attribute 'name' must be present"),
        "{}",
        rejection.reason
    );
    let rejection = harness
        .deploy_resources(&[("g.dmn", &graph("g", "1 +"))])
        .unwrap_err();
    for part in [
        "'g.dmn': ",
        "- Element: risk",
        "failed to parse expression '1 +'",
    ] {
        assert!(rejection.reason.contains(part), "{}", rejection.reason);
    }
}

#[test]
fn a_client_gets_the_latest_version_of_an_id_or_the_decision_of_a_key() {
    let mut harness = Harness::new();
    let first =
        answered::<values::Deployment>(harness.deploy_resources(&[("g.dmn", &graph("g", "1"))]));
    harness
        .deploy_resources(&[("g.dmn", &graph("g", "2"))])
        .unwrap();
    let old = first.decisions[0].decision_key;
    for (id, key, version, output) in [("risk", 0, 2, "2"), ("", old, 1, "1")] {
        let answer = evaluate(&mut harness, id, key, r#"{"age":3}"#).unwrap();
        assert_eq!(
            answer.intent,
            Intent::DecisionEvaluation(DecisionEvaluationIntent::Evaluated)
        );
        let RecordValue::DecisionEvaluation(evaluated) = answer.value else {
            panic!("unexpected answer");
        };
        assert_eq!(evaluated.decision_version, version);
        assert_eq!(evaluated.decision_output, output);
        assert_eq!(evaluated.variables, r#"{"age":3}"#);
        assert_eq!(evaluated.process_instance_key, -1);
    }
}

#[test]
fn a_client_is_told_that_there_is_no_such_decision() {
    let mut harness = Harness::new();
    for (id, key, reason) in [
        (
            "x",
            -1,
            "Expected to evaluate decision 'x', but no decision found for id 'x'",
        ),
        (
            "",
            7,
            "Expected to evaluate decision '7', but no decision found for key '7'",
        ),
        (
            "",
            -1,
            "Expected either a decision id or a valid decision key, but none provided",
        ),
    ] {
        let rejection = evaluate(&mut harness, id, key, "{}").unwrap_err();
        assert_eq!(rejection.rejection_type, RejectionType::InvalidArgument);
        assert_eq!(rejection.reason, reason);
    }
}

#[test]
fn a_client_is_answered_when_the_decision_fails() {
    let mut harness = Harness::new();
    harness
        .deploy_resources(&[("g.dmn", &graph("g", "1"))])
        .unwrap();
    let answer = evaluate(&mut harness, "rate", -1, r#"{"age":95}"#).unwrap();
    let RecordValue::DecisionEvaluation(failed) = answer.value else {
        panic!("unexpected answer");
    };
    assert_eq!(
        answer.intent,
        Intent::DecisionEvaluation(DecisionEvaluationIntent::Failed)
    );
    assert_eq!(failed.failed_decision_id, "risk");
    assert!(failed.evaluation_failure_message.contains("UNIQUE"));
}

#[test]
fn a_decision_whose_values_do_not_fit_into_a_record_fails() {
    let mut harness = Harness::new();
    let doubling = "{a: [0, 0], b: [a, a, a, a, a, a, a, a], c: [b, b, b, b, b, b, b, b], d: [c, c, c, c, c, c, c, c], \
                    e: [d, d, d, d, d, d, d, d], f: [e, e, e, e, e, e, e, e], g: [f, f, f, f, f, f, f, f]}.g";
    harness
        .deploy_resources(&[("g.dmn", &graph("g", doubling))])
        .unwrap();
    let answer = evaluate(&mut harness, "risk", -1, r#"{"age":3}"#).unwrap();
    let RecordValue::DecisionEvaluation(failed) = answer.value else {
        panic!("unexpected answer");
    };
    assert!(
        failed.evaluation_failure_message.contains("take more than"),
        "{}",
        failed.evaluation_failure_message
    );
    assert!(failed.evaluated_decisions.is_empty());
}

#[test]
fn a_decision_id_of_two_graphs_means_the_one_that_came_last() {
    let mut harness = Harness::with(&calling("risk").end().xml());
    for (id, high) in [("g", "\"first\""), ("h", "\"second\"")] {
        let name = format!("{id}.dmn");
        harness
            .deploy_resources(&[(&name, &graph(id, high))])
            .unwrap();
    }
    harness.create("p", r#"{"age":20}"#);
    let evaluated = values_of::<DecisionEvaluation>(&harness, DecisionEvaluationIntent::Evaluated);
    assert_eq!(evaluated[0].decision_output, r#""second""#);
    assert_eq!(evaluated[0].decision_requirements_id, "h");
    assert_eq!(evaluated[0].decision_version, 2);
}
