//! Runs compliance levels 2 and 3 of the DMN TCK, which lie in `testdata/tck`.
//!
//! A test passes when all its results do. One that does not is in `tck_deviations.txt`, with its reason; one that is there and passes
//! is a failure too, so that the list can only shrink knowingly.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use roxmltree::{Document, Node};
use skep_dmn::{Dialect, Model};
use skep_feel::{Environment, Expression, Number, Value};

fn sorted_files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap();
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

fn with_extension(folder: &Path, extension: &str) -> Vec<PathBuf> {
    let mut files = sorted_files(folder);
    files.retain(|path| path.extension().is_some_and(|found| found == extension));
    files
}

fn named<'a, 'i>(node: Node<'a, 'i>, name: &str) -> Vec<Node<'a, 'i>> {
    let children = node.children();
    children
        .filter(|child| child.tag_name().name() == name)
        .collect()
}

fn child<'a, 'i>(node: Node<'a, 'i>, name: &str) -> Option<Node<'a, 'i>> {
    named(node, name).first().copied()
}

fn environment() -> Environment {
    Environment::at_epoch_millis(1_700_000_000_000, 7)
}

fn feel(source: &str) -> Value {
    let expression = Expression::parse(source).unwrap();
    let evaluated = expression.evaluate(&|_: &str| None, &environment());
    evaluated.unwrap().value
}

/// The value that an `expected` or `inputNode` element holds.
fn read_value(node: Node<'_, '_>) -> Value {
    if let Some(list) = child(node, "list") {
        let items = named(list, "item").into_iter().map(read_value);
        return Value::list(items.collect()).unwrap();
    }
    let components = named(node, "component");
    if !components.is_empty() {
        let entries = components.into_iter().map(|node| {
            let name = Arc::from(node.attribute("name").unwrap());
            (name, read_value(node))
        });
        return Value::context(entries.collect()).unwrap();
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
            let distance = a.checked_sub(*b);
            a == b || distance.is_some_and(|distance| distance.abs() < tolerance)
        }
        (Value::List(a), Value::List(b)) => {
            let (a, b) = (a.items(), b.items());
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b))
        }
        (Value::Context(a), Value::Context(b)) => {
            let mut entries = a.entries().iter();
            a.len() == b.len()
                && entries.all(|(key, value)| b.get(key).is_some_and(|other| same(value, other)))
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
            let evaluated = equal.evaluate(&scope, &environment()).unwrap();
            evaluated.value.as_bool() == Some(true)
        }
    }
}

/// The model that a file of cases is about; what else lies beside it is what it may import.
fn model(file: &Path, cases: Node<'_, '_>) -> Model {
    let name = child(cases, "modelName").unwrap().text().unwrap().trim();
    let others: Vec<Vec<u8>> = with_extension(file.parent().unwrap(), "dmn")
        .into_iter()
        .filter(|path| path.file_name().unwrap() != name)
        .map(|path| fs::read(path).unwrap())
        .collect();
    let imported: Vec<&[u8]> = others.iter().map(Vec::as_slice).collect();
    let xml = fs::read(file.with_file_name(name)).unwrap();
    Model::parse_with_imports(name, &xml, &imported, Dialect::Standard).unwrap()
}

/// What a result node of a case gives.
fn evaluate(
    model: &Model,
    case: Node<'_, '_>,
    result: Node<'_, '_>,
    inputs: &BTreeMap<String, Value>,
) -> Option<Value> {
    let scope = |name: &str| inputs.get(name).cloned();
    let name = result.attribute("name").unwrap();
    if let Some(service) = case.attribute("invocableName") {
        let value = model.evaluate_service(service, &scope, &environment())?;
        let value = value.unwrap();
        // Several outputs come as a context.
        let output = value.as_context().and_then(|context| context.get(name));
        return Some(output.cloned().unwrap_or(value));
    }
    let Some(decision) = model.decisions().find(|decision| decision.name() == name) else {
        let value = model.evaluate_service(name, &scope, &environment())?;
        return value.ok();
    };
    let outcome = model.evaluate(decision, &scope, &environment());
    Some(outcome.result.map_or(Value::Null, |value| value))
}

#[derive(Default)]
struct Tally {
    passed: BTreeMap<String, usize>,
    tests: BTreeMap<String, usize>,
    failed: BTreeMap<String, String>,
}

fn run_file(level: &str, file: &Path, tally: &mut Tally) {
    let text = fs::read_to_string(file).unwrap();
    let cases = Document::parse(&text).unwrap();
    let model = model(file, cases.root_element());
    let stem = file.file_stem().unwrap().to_str().unwrap();
    for case in named(cases.root_element(), "testCase") {
        let inputs = named(case, "inputNode").into_iter().map(|node| {
            let name = node.attribute("name").unwrap();
            (name.to_owned(), read_value(node))
        });
        let inputs: BTreeMap<String, Value> = inputs.collect();
        let mut problems = Vec::new();
        for result in named(case, "resultNode") {
            let expected = child(result, "expected").map_or(Value::Null, read_value);
            match evaluate(&model, case, result, &inputs) {
                Some(found) if same(&found, &expected) => {}
                found => problems.push(format!(
                    "{} = {found:?}, expected {expected:?}",
                    result.attribute("name").unwrap()
                )),
            }
        }
        *tally.tests.entry(level.to_owned()).or_default() += 1;
        if problems.is_empty() {
            *tally.passed.entry(level.to_owned()).or_default() += 1;
        } else {
            let id = format!("{stem} {}", case.attribute("id").unwrap_or("?"));
            tally.failed.insert(id, problems.join("; "));
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
fn the_tck_passes_but_for_the_listed_deviations() {
    let kit = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/tck");
    let mut tally = Tally::default();
    for level in ["compliance-level-2", "compliance-level-3"] {
        for folder in sorted_files(&kit.join(level)) {
            for file in with_extension(&folder, "xml") {
                run_file(level, &file, &mut tally);
            }
        }
    }
    for (level, tests) in &tally.tests {
        let passed = tally.passed.get(level).copied().unwrap_or_default();
        println!("{level}: {passed} of {tests}");
    }
    let known = deviations();
    let unknown: Vec<String> = tally
        .failed
        .iter()
        .filter(|(id, _)| !known.contains(*id))
        .map(|(id, why)| format!("{id}: {why}"))
        .collect();
    assert!(
        unknown.is_empty(),
        "{} tests fail:\n{}",
        unknown.len(),
        unknown.join("\n")
    );
    let gone: Vec<&String> = known
        .iter()
        .filter(|id| !tally.failed.contains_key(*id))
        .collect();
    assert!(gone.is_empty(), "no deviations any more: {gone:?}");
}
