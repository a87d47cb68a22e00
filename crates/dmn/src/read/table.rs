//! Decision tables in XML.

use std::sync::Arc;

use skep_feel::{
    Aggregation, Boxed, HitPolicy, Table, TableInput, TableOutput, TableRule, Violation,
};
use skep_xml::{Problems, quote};

use super::boxes::{Reader, check_language};
use super::{Node, attribute, child, inner_text, named};
use crate::Dialect;

/// Ids and names of a table's parts, for those who want to know how a decision was made.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct TableParts {
    /// In the order of the columns.
    pub inputs: Vec<Part>,
    /// In the order of the columns.
    pub outputs: Vec<Part>,
    /// Ids in the order of the rows.
    pub rules: Vec<Arc<str>>,
}

/// A column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// Its id; empty if it has none.
    pub id: Arc<str>,
    /// Its label, or what stands for it.
    pub name: Arc<str>,
}

pub(super) fn table<'a>(reader: &Reader<'_>, node: Node<'a>, problems: &mut Problems) -> Table<'a> {
    let inputs: Vec<_> = named(node, "input")
        .map(|column| input(reader, column, problems))
        .collect();
    let outputs: Vec<_> = named(node, "output")
        .map(|column| output(reader, column, problems))
        .collect();
    if outputs.is_empty() {
        problems.add(node, "Must have at least one output");
    }
    let hit_policy = hit_policy(node, problems);
    let adds_up = matches!(hit_policy, HitPolicy::Collect(Some(_)));
    if adds_up && outputs.len() > 1 && reader.dialect == Dialect::Zeebe {
        problems.add(
            node,
            "COLLECT with an aggregation must have a single output",
        );
    }
    let rules = named(node, "rule")
        .map(|row| rule(row, inputs.len(), outputs.len(), problems))
        .collect();
    Table {
        inputs,
        outputs,
        rules,
        hit_policy,
        on_violation: match reader.dialect {
            Dialect::Standard => Violation::IsNull,
            Dialect::Zeebe => Violation::Fails,
        },
    }
}

fn input<'a>(reader: &Reader<'_>, column: Node<'a>, problems: &mut Problems) -> TableInput<'a> {
    let expression = child(column, "inputExpression");
    if let Some(expression) = expression {
        check_language(expression, problems);
    }
    let text = expression.and_then(|expression| inner_text(expression, problems));
    let allowed = child(column, "inputValues").and_then(|values| inner_text(values, problems));
    TableInput {
        value: text.map_or(Boxed::Nothing, Boxed::Text),
        // Zeebe does not look at them.
        allowed: allowed.filter(|_| reader.dialect == Dialect::Standard),
    }
}

fn output<'a>(reader: &Reader<'_>, column: Node<'a>, problems: &mut Problems) -> TableOutput<'a> {
    let allowed = child(column, "outputValues").and_then(|values| inner_text(values, problems));
    let default = child(column, "defaultOutputEntry");
    TableOutput {
        name: output_key(column).into(),
        allowed,
        default: default.and_then(|entry| inner_text(entry, problems)),
        kind: reader.declared(attribute(column, "typeRef")),
    }
}

fn output_key(column: Node<'_>) -> &str {
    attribute(column, "name")
        .or_else(|| attribute(column, "label"))
        .or_else(|| attribute(column, "id"))
        .unwrap_or("")
}

fn rule<'a>(
    row: Node<'a>,
    inputs: usize,
    outputs: usize,
    problems: &mut Problems,
) -> TableRule<'a> {
    let mut cells = |name: &'static str, expected: usize| {
        let mut texts = Vec::with_capacity(expected);
        for entry in named(row, name) {
            check_language(entry, problems);
            texts.push(inner_text(entry, problems).unwrap_or(""));
        }
        if texts.len() != expected {
            let text = format!("Must have {expected} of '{name}', one for each column");
            problems.add(row, text);
        }
        texts
    };
    TableRule {
        tests: cells("inputEntry", inputs),
        outputs: cells("outputEntry", outputs),
    }
}

fn hit_policy(table: Node<'_>, problems: &mut Problems) -> HitPolicy {
    let aggregation = match attribute(table, "aggregation") {
        None => None,
        Some("SUM") => Some(Aggregation::Sum),
        Some("MIN") => Some(Aggregation::Min),
        Some("MAX") => Some(Aggregation::Max),
        Some("COUNT") => Some(Aggregation::Count),
        Some(other) => {
            let text = format!("Aggregation '{}' is unknown", quote(other));
            problems.add(table, text);
            None
        }
    };
    match attribute(table, "hitPolicy").unwrap_or("UNIQUE") {
        "UNIQUE" => HitPolicy::Unique,
        "ANY" => HitPolicy::Any,
        "FIRST" => HitPolicy::First,
        "PRIORITY" => HitPolicy::Priority,
        "RULE ORDER" => HitPolicy::RuleOrder,
        "OUTPUT ORDER" => HitPolicy::OutputOrder,
        "COLLECT" => HitPolicy::Collect(aggregation),
        other => {
            let text = format!("Hit policy '{}' is unknown", quote(other));
            problems.add(table, text);
            HitPolicy::Unique
        }
    }
}

/// The names of a table's parts.
pub(crate) fn parts(table: Node<'_>) -> TableParts {
    let id = |node: Node<'_>| Arc::from(attribute(node, "id").unwrap_or(""));
    let inputs = named(table, "input").map(|column| Part {
        id: id(column),
        name: attribute(column, "label")
            .map(Arc::from)
            .or_else(|| expression_text(column))
            .unwrap_or_else(|| "".into()),
    });
    let outputs = named(table, "output").map(|column| Part {
        id: id(column),
        name: attribute(column, "label")
            .unwrap_or_else(|| output_key(column))
            .into(),
    });
    TableParts {
        inputs: inputs.collect(),
        outputs: outputs.collect(),
        rules: named(table, "rule").map(id).collect(),
    }
}

/// Characters of an expression that stand for a name. As Zeebe.
const NAME_CHARS_MAX: usize = 30;

fn expression_text(column: Node<'_>) -> Option<Arc<str>> {
    let text = child(child(column, "inputExpression")?, "text")?.text()?;
    let shortened: String = text.chars().take(NAME_CHARS_MAX).collect();
    Some(shortened.into())
}
