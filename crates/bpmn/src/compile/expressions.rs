//! Attributes and contents that are texts, numbers or expressions.

use std::sync::Arc;

use skep_feel::Expression;

use super::Compiler;
use crate::document::{Node, content, non_empty};
use crate::model::{Number, Text};
use crate::validate::{is_expression, is_name, not_an_expression};
use skep_xml::quote;

/// Zeebe's number of retries for a job that says nothing else.
const RETRIES_DEFAULT: i64 = 3;

impl<'a> Compiler<'_, 'a> {
    /// An attribute that is static or an expression.
    pub(super) fn text(&mut self, node: Node<'a>, attribute: &str) -> Option<Text> {
        let text = non_empty(node, attribute)?;
        if is_expression(text) {
            return self.expression(node, attribute).map(Text::Expression);
        }
        Some(Text::Static(text.into()))
    }

    /// An attribute of a definition that many events may refer to: read, reported and kept once.
    pub(super) fn shared_text(&mut self, node: Node<'a>, attribute: &'static str) -> Option<Text> {
        let key = (node.id().get(), attribute);
        if let Some(known) = self.shared_texts.get(&key) {
            return known.clone();
        }
        let text = self.text(node, attribute);
        self.shared_texts.insert(key, text.clone());
        text
    }

    /// An attribute that may be left out. The outer option is for problems.
    #[expect(
        clippy::option_option,
        reason = "a problem is not the same as no attribute"
    )]
    pub(super) fn optional_text(
        &mut self,
        node: Option<Node<'a>>,
        attribute: &str,
    ) -> Option<Option<Text>> {
        match node.filter(|node| non_empty(*node, attribute).is_some()) {
            Some(node) => self.text(node, attribute).map(Some),
            None => Some(None),
        }
    }

    /// An attribute that is an expression.
    pub(super) fn expression(&mut self, node: Node<'a>, attribute: &str) -> Option<Expression> {
        let text = non_empty(node, attribute)?;
        match parse(text, attribute) {
            Ok(expression) => Some(expression),
            Err(problem) => {
                self.problems.add(node, problem);
                None
            }
        }
    }

    /// The content of an XML element that is an expression.
    pub(super) fn expression_of_content(
        &mut self,
        node: Node<'a>,
        name: &str,
    ) -> Option<Expression> {
        match parse(&content(node), name) {
            Ok(expression) => Some(expression),
            Err(problem) => {
                self.problems.add(node, problem);
                None
            }
        }
    }

    /// An attribute that is a whole number or an expression.
    pub(super) fn number(&mut self, node: Node<'a>, attribute: &str) -> Option<Number> {
        Some(match self.text(node, attribute)? {
            Text::Expression(expression) => Number::Expression(expression),
            Text::Static(text) => match text.parse() {
                Ok(number) => Number::Static(number),
                Err(_) => Number::NotANumber(text),
            },
        })
    }

    pub(super) fn retries(&mut self, node: Node<'a>) -> Option<Number> {
        if node.has_attribute("retries") {
            return self.number(node, "retries");
        }
        Some(Number::Static(RETRIES_DEFAULT))
    }

    /// What starts a process is found without an instance, so that there are no variables.
    pub(super) fn require_constant(&mut self, node: Node<'a>, expression: &Expression) {
        if !expression.is_constant() {
            let variables: Vec<&str> = expression.variables().iter().map(AsRef::as_ref).collect();
            self.problems.add(
                node,
                format!(
                    "the expression '{}' of a start event must not use variables, and uses: {}",
                    quote(expression.source()),
                    quote(&variables.join(", "))
                ),
            );
        }
    }
}

fn parse(text: &str, name: &str) -> Result<Expression, String> {
    if !is_expression(text) {
        return Err(not_an_expression(name, text));
    }
    Expression::parse(&text[1..]).map_err(|error| format!("{name}: {error}"))
}

/// The variable that an expression reads, if it is no more than a name or a path.
pub(super) fn variable_of(source: &str) -> Option<Arc<str>> {
    let source = source.trim();
    let first = source.split('.').next()?;
    source.split('.').all(is_name).then(|| first.into())
}
