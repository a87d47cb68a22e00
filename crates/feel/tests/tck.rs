//! Runs the literal expressions of the DMN TCK against this engine.
//!
//! Every result node is accounted for: it passes, it is in `tck_deviations.txt` with its reason, or it needs DMN
//! (a decision that is no literal expression, knowledge models) and is counted as such. A deviation
//! that has gone is a failure too, so the list can only shrink knowingly.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use roxmltree::{Document, Node};
use skep_feel::{Environment, Expression, Number, Scope, Value};

fn tck_folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/tck")
}

fn sorted_files(folder: &Path) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    files
}

fn child<'a, 'i>(node: Node<'a, 'i>, name: &str) -> Option<Node<'a, 'i>> {
    node.children()
        .find(|child| child.tag_name().name() == name)
}

/// The decisions of one model that are plain FEEL, and the names that its expressions may hold.
struct Model {
    decisions: BTreeMap<String, String>,
    /// Decisions that only a DMN engine can evaluate.
    beyond: BTreeSet<String>,
    names: Vec<String>,
}

impl Model {
    fn read(document: &Document<'_>) -> Model {
        let mut model = Model {
            decisions: BTreeMap::new(),
            beyond: BTreeSet::new(),
            names: Vec::new(),
        };
        for node in document.root_element().children().filter(Node::is_element) {
            let name = node.attribute("name").unwrap_or_default().to_owned();
            let knowledge = child(node, "knowledgeRequirement").is_some();
            let text = child(node, "literalExpression").and_then(|literal| child(literal, "text"));
            if node.tag_name().name() == "decision"
                && !knowledge
                && let Some(text) = text
            {
                let source = text.text().unwrap_or_default().to_owned();
                model.decisions.insert(name.clone(), source);
            } else if node.tag_name().name() != "inputData" {
                model.beyond.insert(name.clone());
            }
            if matches!(node.tag_name().name(), "decision" | "inputData") {
                model.names.push(name);
            }
        }
        model
    }

    /// Whether the decision, or one that it reads, needs DMN. The kit's models have no cycles.
    fn is_beyond(&self, name: &str) -> bool {
        self.beyond.contains(name)
            || self.decisions.get(name).is_some_and(|source| {
                let names: Vec<&str> = self.names.iter().map(String::as_str).collect();
                Expression::parse_with_names(source, &names).is_ok_and(|expression| {
                    expression
                        .variables()
                        .iter()
                        .any(|read| self.is_beyond(read))
                })
            })
    }
}

/// Inputs of the case first, then other decisions, evaluated on demand.
struct CaseScope<'m> {
    model: &'m Model,
    inputs: &'m BTreeMap<String, Value>,
}

impl Scope for CaseScope<'_> {
    fn variable(&self, name: &str) -> Option<Value> {
        self.inputs
            .get(name)
            .cloned()
            .or_else(|| evaluate(self.model, self.inputs, name))
    }
}

fn environment() -> Environment {
    Environment::at_epoch_millis(1_700_000_000_000, 7)
}

/// What a decision evaluates to; `None` if it is not one that we can run.
fn evaluate(model: &Model, inputs: &BTreeMap<String, Value>, decision: &str) -> Option<Value> {
    let source = model.decisions.get(decision)?;
    let names: Vec<&str> = model.names.iter().map(String::as_str).collect();
    let Ok(expression) = Expression::parse_with_names(source, &names) else {
        return Some(Value::Null);
    };
    if expression
        .variables()
        .iter()
        .any(|name| model.is_beyond(name))
    {
        return None;
    }
    let scope = CaseScope { model, inputs };
    let evaluated = expression.evaluate(&scope, &environment());
    Some(evaluated.map_or(Value::Null, |evaluation| evaluation.value))
}

fn feel(source: &str) -> Value {
    Expression::parse(source)
        .unwrap()
        .evaluate(&|_: &str| None, &environment())
        .unwrap()
        .value
}

/// The value that an `expected` or `inputNode` element holds.
fn read_value(node: Node<'_, '_>) -> Value {
    if let Some(list) = child(node, "list") {
        let items = list
            .children()
            .filter(|item| item.tag_name().name() == "item");
        return Value::list(items.map(read_value).collect()).unwrap();
    }
    let components: Vec<Node<'_, '_>> = node
        .children()
        .filter(|child| child.tag_name().name() == "component")
        .collect();
    if !components.is_empty() {
        let entries = components
            .iter()
            .map(|node| {
                (
                    Arc::from(node.attribute("name").unwrap()),
                    read_value(*node),
                )
            })
            .collect();
        return Value::context(entries).unwrap();
    }
    let Some(value) = child(node, "value") else {
        return Value::Null;
    };
    let xsi = "http://www.w3.org/2001/XMLSchema-instance";
    if value.attribute((xsi, "nil")) == Some("true") {
        return Value::Null;
    }
    let text = value.text().unwrap_or_default();
    let kind = value.attribute((xsi, "type")).unwrap_or("xsd:string");
    match kind.split(':').next_back().unwrap() {
        "boolean" => Value::Boolean(text.trim() == "true"),
        "decimal" | "double" | "integer" => Value::Number(text.trim().parse().unwrap()),
        "date" | "time" | "duration" => feel(&format!("@\"{}\"", text.trim())),
        "dateTime" => feel(&format!("date and time(\"{}\")", text.trim())),
        _ => Value::from(text),
    }
}

fn same(found: &Value, expected: &Value) -> bool {
    match (found, expected) {
        (Value::Null, Value::Null) => true,
        // The kit compares numbers to eight places.
        (Value::Number(a), Value::Number(b)) => {
            let tolerance: Number = "0.00000001".parse().unwrap();
            a == b
                || a.checked_sub(*b)
                    .is_some_and(|distance| distance.abs() < tolerance)
        }
        (Value::List(a), Value::List(b)) => {
            a.items().len() == b.items().len()
                && a.items().iter().zip(b.items()).all(|(a, b)| same(a, b))
        }
        (Value::Context(a), Value::Context(b)) => {
            a.len() == b.len()
                && a.entries()
                    .iter()
                    .all(|(key, value)| b.get(key).is_some_and(|other| same(value, other)))
        }
        (Value::Number(_) | Value::List(_) | Value::Context(_) | Value::Null, _) => false,
        (_, Value::Null) => false,
        _ => {
            let scope = |name: &str| match name {
                "a" => Some(found.clone()),
                "b" => Some(expected.clone()),
                _ => None,
            };
            let equal = Expression::parse("a = b").unwrap();
            equal
                .evaluate(&scope, &environment())
                .unwrap()
                .value
                .as_bool()
                == Some(true)
        }
    }
}

#[derive(Default)]
struct Tally {
    passed: usize,
    needs_dmn: usize,
    failed: BTreeMap<String, String>,
}

fn run_file(file: &Path, tally: &mut Tally) {
    let text = fs::read_to_string(file).unwrap();
    let cases = Document::parse(&text).unwrap();
    let model_name = child(cases.root_element(), "modelName")
        .unwrap()
        .text()
        .unwrap()
        .trim();
    let model_text = fs::read_to_string(file.with_file_name(model_name)).unwrap();
    let model = Model::read(&Document::parse(&model_text).unwrap());
    let folder = file
        .parent()
        .unwrap()
        .file_name()
        .unwrap()
        .to_str()
        .unwrap();
    for case in cases
        .root_element()
        .children()
        .filter(|n| n.tag_name().name() == "testCase")
    {
        let inputs: BTreeMap<String, Value> = case
            .children()
            .filter(|node| node.tag_name().name() == "inputNode")
            .map(|node| (node.attribute("name").unwrap().to_owned(), read_value(node)))
            .collect();
        for result in case
            .children()
            .filter(|node| node.tag_name().name() == "resultNode")
        {
            let decision = result.attribute("name").unwrap();
            let Some(found) = evaluate(&model, &inputs, decision) else {
                tally.needs_dmn += 1;
                continue;
            };
            let expected = child(result, "expected").map_or(Value::Null, read_value);
            if same(&found, &expected) {
                tally.passed += 1;
                continue;
            }
            let id = format!(
                "{folder} {} {decision}",
                case.attribute("id").unwrap_or("?")
            );
            let source = model.decisions[decision]
                .split_whitespace()
                .collect::<Vec<_>>()
                .join(" ");
            tally
                .failed
                .insert(id, format!("{source} = {found:?}, expected {expected:?}"));
        }
    }
}

fn deviations() -> BTreeSet<String> {
    include_str!("tck_deviations.txt")
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(str::to_owned)
        .collect()
}

#[test]
fn literal_expressions_of_the_tck_give_the_expected_values() {
    let mut tally = Tally::default();
    for folder in sorted_files(&tck_folder())
        .iter()
        .filter(|path| path.is_dir())
    {
        for file in sorted_files(folder)
            .iter()
            .filter(|path| path.extension().unwrap() == "xml")
        {
            run_file(file, &mut tally);
        }
    }
    let known = deviations();
    let unknown: Vec<String> = tally
        .failed
        .iter()
        .filter(|(id, _)| !known.contains(*id))
        .map(|(id, why)| format!("{id}: {why}"))
        .collect();
    let gone: Vec<&String> = known
        .iter()
        .filter(|id| !tally.failed.contains_key(*id))
        .collect();
    println!(
        "{} passed, {} deviate knowingly, {} need DMN",
        tally.passed,
        tally.failed.len() - unknown.len(),
        tally.needs_dmn
    );
    assert!(
        unknown.is_empty(),
        "{} cases fail:\n{}",
        unknown.len(),
        unknown.join("\n")
    );
    assert!(gone.is_empty(), "no deviations any more: {gone:?}");
}
