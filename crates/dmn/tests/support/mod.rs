//! Models for tests, written short.

#![allow(
    dead_code,
    clippy::unwrap_used,
    reason = "these are helpers of several tests"
)]

use skep_dmn::{Dialect, Model, Rejection};
use skep_feel::{Environment, Value};

/// A document around those elements.
pub fn definitions(content: &str) -> String {
    format!(
        r#"<definitions xmlns="https://www.omg.org/spec/DMN/20191111/MODEL/" id="d" name="d" namespace="n">{content}</definitions>"#
    )
}

/// A decision with that logic.
pub fn decision(id: &str, requires: &[&str], logic: &str) -> String {
    let requirements: String = requires
        .iter()
        .map(|href| match href.strip_prefix("bkm ") {
            Some(id) => format!(
                r##"<knowledgeRequirement><requiredKnowledge href="#{id}"/></knowledgeRequirement>"##
            ),
            None => format!(
                r##"<informationRequirement><requiredDecision href="#{href}"/></informationRequirement>"##
            ),
        })
        .collect();
    format!(r#"<decision id="{id}" name="{id}">{requirements}{logic}</decision>"#)
}

/// A literal expression.
pub fn text(source: &str) -> String {
    let source = source.replace('&', "&amp;").replace('<', "&lt;");
    format!("<literalExpression><text>{source}</text></literalExpression>")
}

/// A table over the input `n`, with rules `test => output`.
pub fn table(attributes: &str, rules: &[(&str, &str)]) -> String {
    let rules: String = rules
        .iter()
        .map(|(test, output)| {
            let test = test.replace('<', "&lt;");
            format!("<rule><inputEntry><text>{test}</text></inputEntry><outputEntry><text>{output}</text></outputEntry></rule>")
        })
        .collect();
    format!(
        r#"<decisionTable {attributes}><input><inputExpression><text>n</text></inputExpression></input><output name="o"/>{rules}</decisionTable>"#
    )
}

pub fn parse(content: &str) -> Result<Model, Rejection> {
    Model::parse("d.dmn", definitions(content).as_bytes(), Dialect::Zeebe)
}

pub fn environment() -> Environment {
    Environment::at_epoch_millis(1_700_000_000_000, 7)
}

/// What a decision gives with `n`, as JSON; or why it gives nothing.
pub fn evaluate(model: &Model, id: &str, n: i64) -> Result<String, String> {
    let scope = |name: &str| (name == "n").then(|| Value::from_json(&n.to_string()).unwrap());
    let decision = model.decision(id).unwrap();
    let outcome = model.evaluate(decision, &scope, &environment());
    match outcome.result {
        Ok(value) => Ok(value.to_json()),
        Err(failed) => Err(format!("{}: {}", failed.id, failed.error)),
    }
}

/// The same of a model that holds only this.
pub fn run(content: &str, id: &str, n: i64) -> Result<String, String> {
    evaluate(&parse(content).unwrap(), id, n)
}

/// Runs on the smallest stack that a caller may have.
pub fn on_a_small_stack(run: impl FnOnce() + Send + 'static) {
    // The debug build's frames are some three times as large as the release build's.
    let bytes = if cfg!(debug_assertions) {
        1536 * 1024
    } else {
        512 * 1024
    };
    std::thread::Builder::new()
        .stack_size(bytes)
        .spawn(run)
        .unwrap()
        .join()
        .unwrap();
}
