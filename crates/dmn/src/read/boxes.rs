//! Boxed expressions in XML.
//!
//! Recursion is bounded by the depth that XML may have.

use std::sync::Arc;

use skep_feel::{Boxed, Kind};
use skep_xml::{Problems, quote};

use super::table::table;
use super::types::TypeTable;
use super::{Node, attribute, child, children, inner_text, named};
use crate::Dialect;

/// The kinds of boxed expressions.
const EXPRESSIONS: [&str; 12] = [
    "literalExpression",
    "decisionTable",
    "context",
    "list",
    "relation",
    "invocation",
    "functionDefinition",
    "conditional",
    "filter",
    "for",
    "some",
    "every",
];

/// Reads the expressions of one model.
pub(crate) struct Reader<'t> {
    pub(crate) dialect: Dialect,
    pub(crate) types: &'t TypeTable,
}

impl Reader<'_> {
    /// The expression directly inside of an element.
    pub(crate) fn inside<'a>(&self, node: Node<'a>, problems: &mut Problems) -> Boxed<'a> {
        let expression =
            children(node).find(|child| EXPRESSIONS.contains(&child.tag_name().name()));
        match expression {
            Some(expression) => self.expression(expression, problems),
            None => Boxed::Nothing,
        }
    }

    /// The expression inside of a part of an element, as of `if` in a conditional.
    fn part<'a>(
        &self,
        node: Node<'a>,
        part: &'static str,
        problems: &mut Problems,
    ) -> Box<Boxed<'a>> {
        Box::new(match child(node, part) {
            Some(part) => self.inside(part, problems),
            None => {
                problems.add(node, format!("Must contain '{part}'"));
                Boxed::Nothing
            }
        })
    }

    /// The type of an attribute `typeRef`, where types count.
    pub(crate) fn declared(&self, type_ref: Option<&str>) -> Option<Kind> {
        match self.dialect {
            Dialect::Standard => self
                .types
                .get(type_ref?)
                .map(|resolved| resolved.kind.clone()),
            Dialect::Zeebe => None,
        }
    }

    fn expression<'a>(&self, node: Node<'a>, problems: &mut Problems) -> Boxed<'a> {
        let boxed = match node.tag_name().name() {
            "literalExpression" => self.literal(node, problems),
            "decisionTable" => Boxed::Table(Box::new(table(self, node, problems))),
            "context" => self.context(node, problems),
            "list" => Boxed::List(self.items(node, problems)),
            "relation" => self.relation(node, problems),
            "invocation" => self.invocation(node, problems),
            "functionDefinition" => self.function(node, problems),
            "conditional" => Boxed::Conditional {
                condition: self.part(node, "if", problems),
                then: self.part(node, "then", problems),
                otherwise: self.part(node, "else", problems),
            },
            "filter" => Boxed::Filter {
                list: self.part(node, "in", problems),
                condition: self.part(node, "match", problems),
            },
            "for" => Boxed::For {
                variable: variable(node, problems),
                list: self.part(node, "in", problems),
                body: self.part(node, "return", problems),
            },
            quantifier => Boxed::Quantified {
                every: quantifier == "every",
                variable: variable(node, problems),
                list: self.part(node, "in", problems),
                condition: self.part(node, "satisfies", problems),
            },
        };
        boxed.typed(self.declared(attribute(node, "typeRef")))
    }

    fn literal<'a>(&self, node: Node<'a>, problems: &mut Problems) -> Boxed<'a> {
        check_language(node, problems);
        match inner_text(node, problems) {
            Some(text) => Boxed::Text(text),
            None => Boxed::Nothing,
        }
    }

    fn items<'a>(&self, node: Node<'a>, problems: &mut Problems) -> Vec<Boxed<'a>> {
        children(node)
            .filter(|child| EXPRESSIONS.contains(&child.tag_name().name()))
            .map(|item| self.expression(item, problems))
            .collect()
    }

    fn context<'a>(&self, node: Node<'a>, problems: &mut Problems) -> Boxed<'a> {
        let mut entries = Vec::new();
        let mut result = None;
        for entry in named(node, "contextEntry") {
            let value = self.inside(entry, problems);
            let Some(variable) = child(entry, "variable") else {
                result = Some(value);
                continue;
            };
            let name: Arc<str> = attribute(variable, "name").unwrap_or("").into();
            entries.push((
                name,
                value.typed(self.declared(attribute(variable, "typeRef"))),
            ));
        }
        match result {
            Some(result) => Boxed::With {
                entries,
                result: Box::new(result),
            },
            None => Boxed::Context(entries),
        }
    }

    fn relation<'a>(&self, node: Node<'a>, problems: &mut Problems) -> Boxed<'a> {
        let columns: Vec<Arc<str>> = named(node, "column")
            .map(|column| attribute(column, "name").unwrap_or("").into())
            .collect();
        let mut rows = Vec::new();
        for row in named(node, "row") {
            let cells = self.items(row, problems);
            if cells.len() != columns.len() {
                let text = format!("Must have {} cells, one for each column", columns.len());
                problems.add(row, text);
            }
            rows.push(Boxed::Record(columns.iter().cloned().zip(cells).collect()));
        }
        Boxed::List(rows)
    }

    fn invocation<'a>(&self, node: Node<'a>, problems: &mut Problems) -> Boxed<'a> {
        let called = child(node, "literalExpression");
        let function = called.and_then(|called| inner_text(called, problems));
        let arguments = named(node, "binding").map(|binding| {
            let parameter = child(binding, "parameter");
            let name = parameter.and_then(|parameter| attribute(parameter, "name"));
            (name.unwrap_or("").into(), self.inside(binding, problems))
        });
        let arguments = arguments.collect();
        let Some(function) = function else {
            problems.add(node, "Must name what it invokes in a literal expression");
            return Boxed::Nothing;
        };
        Boxed::Invocation {
            function: Box::new(Boxed::Text(function)),
            arguments,
        }
    }

    /// A function definition, or the logic of a knowledge model, which has the same parts.
    pub(crate) fn function<'a>(&self, node: Node<'a>, problems: &mut Problems) -> Boxed<'a> {
        let parameters = named(node, "formalParameter").map(|parameter| {
            let name: Arc<str> = attribute(parameter, "name").unwrap_or("").into();
            let kind = attribute(parameter, "typeRef").and_then(|name| self.types.get(name));
            (name, kind.map(|resolved| resolved.kind.clone()))
        });
        let parameters = parameters.collect();
        // Functions of Java or PMML are never run: whoever calls one gets null.
        let body = match attribute(node, "kind") {
            None | Some("FEEL") => self.inside(node, problems),
            Some(_) => Boxed::Nothing,
        };
        Boxed::Function {
            parameters,
            body: Box::new(body),
        }
    }
}

fn variable(node: Node<'_>, problems: &mut Problems) -> Arc<str> {
    match attribute(node, "iteratorVariable") {
        Some(name) => name.into(),
        None => {
            problems.add(
                node,
                "Attribute 'iteratorVariable' must be present and not empty",
            );
            "".into()
        }
    }
}

/// Only FEEL is understood.
pub(crate) fn check_language(node: Node<'_>, problems: &mut Problems) {
    if let Some(language) = attribute(node, "expressionLanguage")
        && !language.to_ascii_lowercase().contains("feel")
    {
        let text = format!(
            "Expression language '{}' is not supported; write FEEL",
            quote(language)
        );
        problems.add(node, text);
    }
}
